"""The roles of the database: an owner for migrations, one for the jobs, one for people who query.

- The owner, of MIGRATION_DATABASE_URL, owns the tables. In the embedded database it is the superuser.
- The jobs, of DATABASE_URL, read and write rows. They change no table, and no row of the history.
- The reader, DATABASE_READER, reads what people need.

Without MIGRATION_DATABASE_URL one role is all of them, and nothing is granted. Otherwise `grant` follows each migration
in the same transaction, so that a new table has its rights at once. Default privileges would also open the tables of
other applications of the owner in the same schema.
"""

from dataclasses import dataclass
from typing import Any

from psycopg import Connection as PsycopgConnection
from psycopg import sql
from sqlalchemy import Connection, text

from db import embedded
from db.engine import DatabaseConfigError, database_name, database_settings, database_url, owner_url
from db.session import VERSION_TABLE
from db.tables import metadata

MAX_NAME_LENGTH = 63  # bytes; PostgreSQL cuts the rest off
MAINTAIN_SINCE = (17,)  # the version of PostgreSQL; before, the jobs leave VACUUM to autovacuum

# What the jobs may do with a table, if not all with its rows. Those that only grow, and the history, stay as they are.
_ROWS = "SELECT, INSERT, UPDATE, DELETE"
_OF_JOBS = {
    VERSION_TABLE: "SELECT",
    "import_staging": f"{_ROWS}, TRUNCATE",
    "contact_changes": "SELECT, INSERT, DELETE",  # DELETE: db/forget.py
    "embassies": "SELECT, INSERT, UPDATE",
    "embassy_changes": "SELECT, INSERT",
    "embassy_candidates": "SELECT, INSERT, UPDATE",
}
_VACUUMED = ("contacts", "contact_changes", "import_rejects")  # db/contacts.py; needs MAINTAIN
_FUNCTIONS = (
    "create_import_staging(integer, text, text[])",
    "drop_import_staging(integer)",
    "analyse_import_staging(integer, text[])",
)
# What the reader does not see: rows in progress, and digests of addresses with passwords.
_NOT_READ = {"import_staging"}
_COLUMNS_NOT_READ = {"notifications": {"channel"}}


@dataclass(frozen=True)
class Roles:
    """The names and passwords of the roles."""

    jobs: str
    jobs_password: str | None
    reader: str
    reader_password: str | None
    reader_logs_in: bool


def separate_roles() -> Roles | None:
    """The roles beside the owner; None if one role is all of them.

    Raises:
        DatabaseConfigError: a setting is wrong.
    """
    given, owner, settings = database_url(), owner_url(), database_settings()
    if given is None:
        return Roles(embedded.JOBS, None, embedded.READER, None, reader_logs_in=True)
    if settings.migration_database_url is None or owner is None:
        return None
    if not given.username:
        raise DatabaseConfigError("DATABASE_URL names no user: with MIGRATION_DATABASE_URL it must, for the jobs")
    if given.username == owner.username:
        return None
    reader = settings.database_reader or f"{given.database}_reader"
    if len(reader.encode()) > MAX_NAME_LENGTH:
        raise DatabaseConfigError(f"the role {reader} has too long a name: set DATABASE_READER to a shorter one")
    if reader in (given.username, owner.username):
        raise DatabaseConfigError(
            f"DATABASE_READER names {reader}, the user of another address: name a role of its own"
        )
    secret = settings.database_reader_password
    password = secret.get_secret_value() if secret else None
    return Roles(given.username, given.password, reader, password, reader_logs_in=password is not None)


def grant(connection: Connection) -> list[str]:
    """Create the roles that are missing and give them exactly their rights, in the caller's transaction.

    A role that exists keeps its password and its other rights.

    Args:
        connection: of the owner of the tables.

    Returns:
        Sentences about what is missing or could not be restricted.

    Raises:
        DatabaseConfigError: the role of the jobs is missing and cannot be created.
    """
    roles = separate_roles()
    if roles is None:
        return []
    may_create = connection.scalar(text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"))
    if not _exists(connection, roles.jobs):
        if not may_create:
            raise DatabaseConfigError(
                f"{database_name()} has no role {roles.jobs}, and the user of MIGRATION_DATABASE_URL may create none: "
                "let an administrator do it (CREATE ROLE … LOGIN PASSWORD …), or leave MIGRATION_DATABASE_URL empty "
                "and name the owner in DATABASE_URL"
            )
        _create(connection, roles.jobs, roles.jobs_password, logs_in=True)
    _allow(connection, roles.jobs, _of_jobs(connection, roles.jobs))
    _allow_partitions(connection, roles.jobs)
    notes = _unrestricted(connection, roles.jobs)
    if not _exists(connection, roles.reader):
        if not may_create:
            note = (
                f"no role {roles.reader} for people who query: let an administrator create it (CREATE ROLE …), or name "
                "another in DATABASE_READER"
            )
            return [*notes, note]
        _create(connection, roles.reader, roles.reader_password, logs_in=roles.reader_logs_in)
    _allow(connection, roles.reader, _of_reader(connection))
    return notes


def _exists(connection: Connection, role: str) -> bool:
    return bool(connection.scalar(text("SELECT count(*) FROM pg_roles WHERE rolname = :role"), {"role": role}))


def _create(connection: Connection, role: str, password: str | None, *, logs_in: bool) -> None:
    """Create a role that has no right yet. The server and its log only get a digest of the password."""
    statement = f"CREATE ROLE {_quoted(connection, role)} {'LOGIN' if logs_in else 'NOLOGIN'}"
    if password is not None:
        digest = _driver(connection).pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
        statement += f" PASSWORD '{digest.decode()}'"  # of base64, $ and :
    _execute(connection, statement)


def _allow(connection: Connection, role: str, privileges: list[str]) -> None:
    """Give a role these privileges on the tables of this project, and no others; and what it needs to reach them."""
    name = _quoted(connection, role)
    _execute(connection, f"REVOKE ALL ON {', '.join(_tables(connection))} FROM {name}")
    missing = connection.scalars(
        text("""
            SELECT format('CONNECT ON DATABASE %I', current_database())
            WHERE NOT has_database_privilege(:role, current_database(), 'CONNECT')
            UNION ALL SELECT format('USAGE ON SCHEMA %I', current_schema())
            WHERE NOT has_schema_privilege(:role, current_schema(), 'USAGE')"""),
        {"role": role},
    )
    for privilege in (*missing, *privileges):
        _execute(connection, f"GRANT {privilege} TO {name}")


def _of_jobs(connection: Connection, jobs: str) -> list[str]:
    tables = _tables(connection)
    privileges = [f"{_OF_JOBS.get(table, _ROWS)} ON {table}" for table in tables]
    functions = connection.scalars(
        text("SELECT name FROM unnest(CAST(:names AS text[])) name WHERE to_regprocedure(name) IS NOT NULL"),
        {"names": list(_FUNCTIONS)},
    )
    privileges += [f"EXECUTE ON FUNCTION {function}" for function in functions]
    sequences = connection.scalars(
        text("""
            SELECT DISTINCT d.objid::regclass::text FROM pg_depend d JOIN pg_class s ON s.oid = d.objid
            WHERE s.relkind = 'S' AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'
            AND d.refobjid = ANY(CAST(:tables AS regclass[]))"""),
        {"tables": tables},
    )
    privileges += [f"USAGE ON SEQUENCE {sequence}" for sequence in sequences]
    if not connection.scalar(
        text("SELECT has_database_privilege(:jobs, current_database(), 'TEMPORARY')"), {"jobs": jobs}
    ):
        privileges.append(f"TEMPORARY ON DATABASE {_quoted(connection, _database(connection))}")
    if (connection.dialect.server_version_info or (0,)) >= MAINTAIN_SINCE:
        privileges += [f"MAINTAIN ON {table}" for table in _VACUUMED if table in tables]
    return privileges


def _of_reader(connection: Connection) -> list[str]:
    privileges = []
    for table in _tables(connection):
        if hidden := _COLUMNS_NOT_READ.get(table):
            columns = ", ".join(column.name for column in metadata.tables[table].columns if column.name not in hidden)
            privileges.append(f"SELECT ({columns}) ON {table}")
        elif table not in _NOT_READ:
            privileges.append(f"SELECT ON {table}")
    return privileges


def _allow_partitions(connection: Connection, jobs: str) -> None:
    """Let the jobs continue the imports that were staged before they had this role."""
    older = text("""
        SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'import_staging'::regclass
        AND NOT has_table_privilege(:jobs, inhrelid, 'TRUNCATE')""")
    if connection.scalars(older, {"jobs": jobs}).all():
        _execute(connection, "LOCK TABLE ONLY import_staging IN ACCESS EXCLUSIVE MODE")  # none is dropped meanwhile
        for partition in connection.scalars(older, {"jobs": jobs}).all():
            _execute(connection, f"GRANT {_OF_JOBS['import_staging']} ON {partition} TO {_quoted(connection, jobs)}")


def _unrestricted(connection: Connection, jobs: str) -> list[str]:
    """Sentences about what the jobs may do although they need not."""
    if connection.scalar(text("SELECT pg_has_role(:jobs, current_user, 'USAGE')"), {"jobs": jobs}):
        return [f"the role {jobs} of the jobs is a superuser, or has the rights of the owner: nothing restricts it"]
    schema = connection.scalar(
        text("SELECT quote_ident(current_schema()) WHERE has_schema_privilege(:jobs, current_schema(), 'CREATE')"),
        {"jobs": jobs},
    )
    if schema is None:
        return []
    return [f"the role {jobs} may create tables in the schema {schema}: revoke that, as a rule from PUBLIC"]


def _execute(connection: Connection, statement: str) -> None:
    """Execute a statement in which no character is a parameter's, because a name or a digest may contain any."""
    _driver(connection).execute(statement.encode())


def _driver(connection: Connection) -> PsycopgConnection[Any]:
    return connection.connection.driver_connection  # type: ignore[return-value]


def _database(connection: Connection) -> str:
    return str(connection.scalar(text("SELECT current_database()")))


def _tables(connection: Connection) -> list[str]:
    """The tables of this project that exist, as SQL."""
    names = [*metadata.tables, VERSION_TABLE]
    found = connection.scalars(
        text("SELECT name FROM unnest(CAST(:names AS text[])) name WHERE to_regclass(name) IS NOT NULL"),
        {"names": names},
    )
    return list(found)


def _quoted(connection: Connection, name: str) -> str:
    return sql.Identifier(name).as_string(_driver(connection))
