"""The staging tables of imports are made by functions of the owner: the role of the jobs may create no table.

Only an owner may attach a partition, drop it, or analyse it before PostgreSQL 17. A function takes nothing but numbers
and names of columns, and its search_path is fixed: temporary tables and functions of the caller are not found.
"""

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Sets the privileges that import_staging has: a role that may use it may use its partitions.
_CREATE = """
    CREATE FUNCTION create_import_staging(import_id integer, reading text, analysed text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
    DECLARE
        staging text := 'import_staging_' || import_id;
        allowed record;
    BEGIN
        EXECUTE format('CREATE UNLOGGED TABLE IF NOT EXISTS %I PARTITION OF import_staging (PRIMARY KEY (position)) '
            'FOR VALUES IN (%s) WITH (autovacuum_enabled = false)', staging, import_id);
        -- The sample that ANALYZE then takes is enough to choose between a scan and an index, in a tenth of the time.
        EXECUTE format('ALTER TABLE %I ALTER import_id SET DEFAULT %s', staging, import_id) || (
            SELECT string_agg(format(', ALTER %I SET STATISTICS 10', named), '') FROM unnest(analysed) named);
        EXECUTE format('COMMENT ON TABLE %I IS %L', staging, reading);
        FOR allowed IN
            SELECT a.grantee::regrole::text AS role, string_agg(a.privilege_type, ', ') AS privileges
            FROM pg_class c, aclexplode(c.relacl) a
            WHERE c.oid = 'import_staging'::regclass AND a.grantee NOT IN (0, c.relowner) GROUP BY a.grantee
        LOOP
            EXECUTE format('GRANT %s ON %I TO %s', allowed.privileges, staging, allowed.role);
        END LOOP;
    END $$"""
_DROP = """
    CREATE FUNCTION drop_import_staging(import_id integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
    BEGIN
        EXECUTE format('DROP TABLE IF EXISTS %I', 'import_staging_' || import_id);
    END $$"""
_ANALYSE = """
    CREATE FUNCTION analyse_import_staging(import_id integer, analysed text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
    BEGIN
        EXECUTE format('ANALYZE %I (%s)', 'import_staging_' || import_id,
            (SELECT string_agg(quote_ident(named), ', ') FROM unnest(analysed) named));
    END $$"""
SIGNATURES = (
    "create_import_staging(integer, text, text[])",
    "drop_import_staging(integer)",
    "analyse_import_staging(integer, text[])",
)


def upgrade() -> None:
    schema = op.get_bind().scalar(text("SELECT quote_ident(current_schema())"))
    for statement in (_CREATE, _DROP, _ANALYSE):
        op.execute(statement.replace("{schema}", schema))
    for signature in SIGNATURES:
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")


def downgrade() -> None:
    for signature in SIGNATURES:
        op.execute(f"DROP FUNCTION {signature}")
