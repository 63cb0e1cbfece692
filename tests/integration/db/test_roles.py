"""The roles of the database: what the jobs and the reader may not do (`--as-jobs`: what the jobs can do)."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql
from sqlalchemy import Column, Integer, Table, make_url
from support import contacts
from support.databases import Database
from support.imports import done, query, refused, run, workbook
from support.roles import PASSWORD, WithRoles, as_user, drop_roles, separate_roles
from support.settings import forget_settings

from db import forget, shell, staging
from db.contacts import free_space_of_rolled_back_rows
from db.engine import DatabaseConfigError, engine, owner_connection, transaction
from db.schema import revisions, upgrade
from db.session import VERSION_TABLE
from db.tables import metadata

ADA, BOB = ["ACME", "Ada", "Lovelace", "ada@x.org", "111", "1"], ["ACME", "Bob", "Bell", "bob@x.org", "222", "2"]
READ = sorted({*metadata.tables, VERSION_TABLE} - {"import_staging", "notifications"})


@pytest.fixture
def roles(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[WithRoles]:
    """A database with three roles; DATABASE_URL names that of the jobs."""
    Database(database).query("CREATE SCHEMA other")
    with separate_roles(database, monkeypatch) as roles:
        yield roles


def denied(database: Database, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        database.query(statement)


# ---------------------------------------------------------------------- what each may not do


FORBIDDEN = (
    *(f"DROP TABLE {table}" for table in metadata.tables),
    *(f"ALTER TABLE {table} ADD added text" for table in metadata.tables),
    *(f"TRUNCATE {table} CASCADE" for table in metadata.tables if table != "import_staging"),
    f"UPDATE {VERSION_TABLE} SET version_num = '9'",
    "UPDATE contact_changes SET old = NULL",
    "UPDATE embassy_changes SET old = NULL",
    "DELETE FROM embassy_changes",
    "DELETE FROM embassies",
    "DELETE FROM embassy_candidates",
    "CREATE TABLE made (id int)",
    "CREATE TABLE other.made (id int)",
    "CREATE SCHEMA made",
    "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE ROLE made",
    "ALTER FUNCTION drop_import_staging(integer) SECURITY INVOKER",
    "COPY contacts TO PROGRAM 'true'",
    "SELECT pg_read_file('PG_VERSION')",
    "ALTER SYSTEM SET work_mem = '1GB'",
)


def test_the_jobs_change_no_table_and_no_history(roles: WithRoles) -> None:
    for statement in FORBIDDEN:
        denied(roles.jobs, statement)
    for role in (roles.jobs, roles.reader):
        role.query("GRANT SELECT ON contacts TO PUBLIC")  # a warning, and nothing is granted
    assert roles.owner.query("SELECT has_table_privilege('pg_monitor', 'contacts', 'SELECT') AS granted") == [
        {"granted": False}
    ]


def test_the_reader_writes_nothing_and_sees_no_secret(roles: WithRoles) -> None:
    for table in metadata.tables:
        column = next(iter(metadata.tables[table].columns)).name
        for statement in (
            f"INSERT INTO {table} DEFAULT VALUES",
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
            f"DROP TABLE {table}",
        ):
            denied(roles.reader, statement)
    for statement in (
        "SELECT channel FROM notifications",
        "SELECT * FROM notifications",
        "SELECT raw FROM import_staging",
        "SELECT drop_import_staging(1)",
        "SELECT nextval('task_runs_id_seq')",
        "CREATE TABLE made (id int)",
        "SELECT rolpassword FROM pg_authid",
    ):
        denied(roles.reader, statement)


def test_the_reader_sees_everything_else(roles: WithRoles) -> None:
    for table in READ:
        roles.reader.query(f"SELECT * FROM {table}")
    columns = [column.name for column in metadata.tables["notifications"].columns if column.name != "channel"]
    roles.reader.query(f"SELECT {', '.join(columns)} FROM notifications")


def test_a_staging_table_can_only_be_used_through_its_functions(roles: WithRoles) -> None:
    import_id, _, _ = contacts.staged([{"organization": "ACME", "email": "a@x.org"}])
    name = staging.partition(import_id)
    for statement in (f"DROP TABLE {name}", f"ALTER TABLE {name} ADD added text", f"COMMENT ON TABLE {name} IS NULL"):
        denied(roles.jobs, statement)
    denied(roles.reader, f"SELECT * FROM {name}")
    with transaction() as connection:  # a temporary table of the same name is not found by the functions
        connection.exec_driver_sql(f"CREATE TEMP TABLE {name} (id int)")
        staging.drop_staging(connection, import_id)
        assert connection.exec_driver_sql(f"SELECT count(*) FROM pg_temp.{name}").scalar() == 0
    assert roles.owner.staging() == []
    with transaction() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE import_staging (id int)")
        connection.exec_driver_sql("SELECT create_import_staging(7, '''; DROP TABLE contacts; --', '{position}')")
    [comment] = roles.owner.query("SELECT obj_description('import_staging_7'::regclass) AS text")
    assert comment["text"] == "'; DROP TABLE contacts; --"


# ---------------------------------------------------------------------- what the jobs may do


@pytest.mark.usefixtures("prefect_server")
def test_an_import_its_repetition_a_refusal_and_forgetting_work_as_the_jobs(roles: WithRoles, tmp_path: Path) -> None:
    assert query("SELECT current_user") == [(make_url(roles.jobs.url).username,)]
    bad = [["ACME", "", f"Name {number}", "no address", "", ""] for number in range(20)]
    refused(run(workbook(tmp_path / "bad.xlsx", *bad)), rejects=20)
    first = done(workbook(tmp_path / "a.xlsx", ADA, BOB))
    second = done(workbook(tmp_path / "b.xlsx", [*ADA[:4], "999", "1"], BOB))
    assert (first["inserted"], second["updated"], second["unchanged"]) == (2, 1, 1)
    assert roles.owner.staging() == []
    assert forget.main(["ada@x.org"]) == 0
    assert roles.reader.query("SELECT email FROM contacts") == [{"email": "bob@x.org"}]


def test_space_is_freed_by_the_jobs_themselves(roles: WithRoles) -> None:
    with transaction() as connection:
        connection.exec_driver_sql("INSERT INTO task_runs (name, idempotency_key) VALUES ('a', 'b')")
    if make_version(roles.owner) < 170000:
        pytest.skip("VACUUM is the owner's before PostgreSQL 17")
    free_space_of_rolled_back_rows()
    found = roles.owner.query("SELECT relname FROM pg_stat_user_tables WHERE vacuum_count > 0 ORDER BY 1")
    assert [each["relname"] for each in found] == ["contact_changes", "contacts", "import_rejects"]


def make_version(database: Database) -> int:
    with psycopg.connect(database.url) as connection:
        return connection.info.server_version


# ---------------------------------------------------------------------- making them


def test_migrating_again_repairs_the_rights_and_keeps_the_roles(roles: WithRoles) -> None:
    jobs, reader = (str(make_url(each.url).username) for each in (roles.jobs, roles.reader))
    stored = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname IN (%s, %s) ORDER BY 1"
    before = roles.owner.query(stored, jobs, reader)
    assert all(each["rolpassword"].startswith("SCRAM-SHA-256$") for each in before)
    assert not any(PASSWORD in each["rolpassword"] for each in before)
    with psycopg.connect(roles.owner.url, autocommit=True) as connection:
        connection.execute(sql.SQL("GRANT ALL ON contacts TO {}").format(sql.Identifier(reader)))
        connection.execute(sql.SQL("REVOKE ALL ON task_runs FROM {}").format(sql.Identifier(jobs)))
    assert upgrade() == []
    denied(roles.reader, "DELETE FROM contacts")
    roles.jobs.query("DELETE FROM task_runs")
    assert roles.owner.query(stored, jobs, reader) == before


def test_a_table_of_a_later_migration_has_its_rights_at_once(roles: WithRoles) -> None:
    added = Table("later_table", metadata, Column("id", Integer, primary_key=True))
    try:
        roles.owner.query("CREATE TABLE later_table (id serial PRIMARY KEY)")
        denied(roles.jobs, "SELECT * FROM later_table")
        upgrade()
        roles.jobs.query("INSERT INTO later_table DEFAULT VALUES")
        assert roles.reader.query("SELECT id FROM later_table") == [{"id": 1}]
        denied(roles.reader, "INSERT INTO later_table DEFAULT VALUES")
    finally:
        metadata.remove(added)


def test_tables_of_another_application_of_the_owner_stay_closed(roles: WithRoles) -> None:
    roles.owner.query("CREATE TABLE of_another (id int)")
    upgrade()
    for each in (roles.jobs, roles.reader):
        denied(each, "SELECT * FROM of_another")


def test_an_import_that_one_role_has_begun_is_continued_by_the_jobs(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"organization": "ACME", "email": f"a{n}@x.org"} for n in range(3)]
    other_id, _, _ = contacts.staged(rows)
    import_id, headings, end = contacts.staged(rows)
    with separate_roles(database, monkeypatch):
        with transaction() as connection:
            staging.prepare_staging(connection, import_id)
        assert contacts.verdicts(contacts.applied(import_id, headings, end)) == {"inserted": 3}
        with transaction() as connection:
            staging.discard_rows(connection, other_id)
            staging.drop_staging(connection, other_id)
    assert Database(database).staging() == []


def test_one_role_for_everything_creates_no_role(database: str) -> None:
    assert upgrade() == []
    assert Database(database).query("SELECT 1 FROM pg_roles WHERE starts_with(rolname, current_database())") == []
    assert contacts.verdicts(contacts.imported([{"organization": "ACME", "email": "a@x.org"}])) == {"inserted": 1}


def test_an_owner_who_may_not_create_roles_says_who_must(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, name = Database(database), Database(database).name
    owner, jobs, reader = (f"{name}_{role}" for role in ("owner", "jobs", "reader"))
    try:
        admin.query(f'CREATE ROLE "{owner}" LOGIN')
        for statement in (f'ALTER DATABASE "{name}" OWNER TO "{owner}"', f'GRANT CREATE ON SCHEMA public TO "{owner}"'):
            admin.query(statement)
        _give(admin, owner)
        monkeypatch.setenv("MIGRATION_DATABASE_URL", as_user(database, owner))
        monkeypatch.setenv("DATABASE_URL", as_user(database, jobs))
        forget_settings()
        with pytest.raises(DatabaseConfigError, match=f"no role {jobs}.*MIGRATION_DATABASE_URL"):
            upgrade()
        admin.query(f'CREATE ROLE "{jobs}" LOGIN')
        [note] = upgrade()
        assert reader in note
        assert contacts.verdicts(contacts.imported([{"organization": "ACME", "email": "a@x.org"}])) == {"inserted": 1}
        denied(Database(as_user(database, jobs)), "DROP TABLE contacts")
        admin.query(f'CREATE ROLE "{reader}" LOGIN')
        assert upgrade() == []
        assert Database(as_user(database, reader)).query("SELECT email FROM contacts") == [{"email": "a@x.org"}]
    finally:
        forget_settings()
        admin.query(f'ALTER DATABASE "{name}" OWNER TO CURRENT_USER')
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(sql.Identifier(owner)))
        drop_roles(admin, jobs, reader, owner)


def _give(database: Database, owner: str) -> None:
    """Make the role the owner of all tables and functions."""
    to = f'OWNER TO "{owner}"'
    for each in database.query(
        "SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p')"
    ):
        database.query(f"ALTER TABLE {each['name']} {to}")
    for each in database.query(
        "SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    ):
        database.query(f"ALTER FUNCTION {each['name']} {to}")


def test_jobs_that_nothing_restricts_are_said(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, jobs = Database(database), f"{Database(database).name}_jobs"
    monkeypatch.setenv("MIGRATION_DATABASE_URL", database)
    monkeypatch.setenv("DATABASE_URL", as_user(database, jobs))
    try:
        for statement, words in (
            (f'CREATE ROLE "{jobs}" LOGIN SUPERUSER', "superuser"),
            (f'ALTER ROLE "{jobs}" NOSUPERUSER; GRANT CREATE ON SCHEMA public TO "{jobs}"', "schema public"),
        ):
            admin.query(statement)
            forget_settings()
            [note] = upgrade()
            assert words in note
    finally:
        forget_settings()
        drop_roles(admin, jobs, f"{admin.name}_reader")


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"MIGRATION_DATABASE_URL": "postgresql://o:s3cr3t@h/crm"}, "DATABASE_URL"),
        (
            {"MIGRATION_DATABASE_URL": "mysql://o:s3cr3t@h/crm", "DATABASE_URL": "postgresql://j@h/crm"},
            "MIGRATION_DATABASE_URL",
        ),
        (
            {"MIGRATION_DATABASE_URL": "postgresql://o:s3cr3t@h/crm", "DATABASE_URL": "postgresql://j@h/other"},
            "different databases",
        ),
        ({"MIGRATION_DATABASE_URL": "postgresql://o:s3cr3t@h/crm", "DATABASE_URL": "postgresql://h/crm"}, "no user"),
        (
            {"MIGRATION_DATABASE_URL": "postgresql://o:s3cr3t@h/crm", "DATABASE_URL": "postgresql://j@h/crm"}
            | {"DATABASE_READER": "é" * 32},
            "DATABASE_READER",
        ),
        *(
            (
                {"MIGRATION_DATABASE_URL": "postgresql://o:s3cr3t@h/crm", "DATABASE_URL": "postgresql://j@h/crm"}
                | {"DATABASE_READER": role},
                f"DATABASE_READER names {role}",
            )
            for role in ("o", "j")
        ),
    ],
)
def test_settings_that_contradict_each_other_are_a_sentence(
    settings: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from db.roles import separate_roles as configured

    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    forget_settings()
    with pytest.raises(DatabaseConfigError, match=named) as wrong:
        configured()
    assert "s3cr3t" not in str(wrong.value)
    monkeypatch.undo()
    forget_settings()


def test_jobs_that_do_not_find_the_tables_are_said(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Database(database)
    admin.query("DROP SCHEMA public CASCADE")
    admin.query("CREATE SCHEMA public")
    admin.query("CREATE SCHEMA crm")
    in_schema = f"{'&' if '?' in database else '?'}options=-csearch_path%3Dcrm"
    with (
        monkeypatch.context() as patch,
        pytest.raises(DatabaseConfigError, match="search_path"),
        separate_roles(f"{database}{in_schema}", patch, of_jobs=database),
    ):
        pass
    with separate_roles(f"{database}{in_schema}", monkeypatch) as roles:
        assert contacts.verdicts(contacts.imported([{"organization": "ACME", "email": "a@x.org"}])) == {"inserted": 1}
        assert roles.reader.query("SELECT email FROM crm.contacts") == [{"email": "a@x.org"}]


def test_psql_is_told_the_owner_or_the_reader(roles: WithRoles) -> None:
    for reader, url in ((False, roles.owner.url), (True, roles.reader.url)):
        named = shell.variables(reader=reader)
        assert (named["PGUSER"], named["PGDATABASE"]) == (make_url(url).username, roles.owner.name)
    assert named["PGPASSWORD"] == PASSWORD


def test_migrations_are_the_owners_and_their_version_is_seen_by_the_jobs(roles: WithRoles) -> None:
    with owner_connection() as connection, engine().connect() as of_jobs:
        user = "SELECT current_user"
        assert connection.exec_driver_sql(user).scalar() == make_url(roles.owner.url).username
        assert of_jobs.exec_driver_sql(user).scalar() == make_url(roles.jobs.url).username
    assert len(set(revisions())) == 1
