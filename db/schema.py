"""Brings the tables up to date, as their owner, and grants the roles their rights in the same transaction."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db import roles
from db.engine import DatabaseConfigError, DatabaseError, database_name, engine, explain, owner_connection
from db.session import VERSION_TABLE
from db.settings import ROOT

MIGRATIONS_LOCK = 0x6D696772  # "migr"
MIGRATIONS_WAIT = "10min"  # for another process that migrates


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "db" / "migrations").replace("%", "%%"))
    return config


def revisions() -> tuple[str | None, str | None]:
    """The revision of the tables, and the newest that this project knows."""
    try:
        with engine().connect() as connection:
            now = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    except DBAPIError as error:
        raise explain(error) from error
    return now, ScriptDirectory.from_config(_migrations()).get_current_head()


def upgrade() -> list[str]:
    """Bring the tables and the rights of the roles up to date; any number of processes may call it at once.

    Returns:
        Sentences about what could not be restricted, for the operator.

    Raises:
        DatabaseError: what the owner of the tables may not do, or why the database does not answer or refuses the jobs.
    """
    config = _migrations()
    try:
        with owner_connection() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = '{MIGRATIONS_WAIT}'"))
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATIONS_LOCK})
            connection.commit()
            try:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                notes = roles.grant(connection)
                connection.commit()
            finally:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATIONS_LOCK})
                connection.commit()
    except CommandError as error:
        raise DatabaseError(
            f"the tables of {database_name()} were made by another version of this project ({error}): update the "
            "project"
        ) from error
    if roles.separate_roles():
        _check_that_the_jobs_find_them()
    return notes


def _check_that_the_jobs_find_them() -> None:
    current, newest = revisions()
    if current != newest:
        raise DatabaseConfigError(
            f"the jobs do not find the tables in {database_name()}: name the schema in DATABASE_URL as in "
            "MIGRATION_DATABASE_URL (…?options=-csearch_path%3DNAME)"
        )
