"""Alembic runs this: it applies the migrations on the connection it is given, else on the configured database."""

import sys

from alembic import context
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select, text

from db import roles
from db.engine import DatabaseConfigError, DatabaseError, owner_connection
from db.session import VERSION_TABLE
from db.tables import metadata


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    """Partitions of import_staging are data of running imports, not part of the schema."""
    return not (type_ == "table" and name is not None and name.startswith("import_staging_"))


def migrate(connection: Connection) -> None:
    """Run the requested migrations in one transaction."""
    if (encoding := connection.scalar(text("SHOW server_encoding"))) != "UTF8":
        raise DatabaseConfigError(
            f"the database has the encoding {encoding}, which cannot hold all names: create it with ENCODING 'UTF8'"
        )
    _adopt_version_table(connection)
    context.configure(
        connection=connection, target_metadata=metadata, include_name=include_name, version_table=VERSION_TABLE
    )
    with context.begin_transaction():
        context.run_migrations()


def _adopt_version_table(connection: Connection) -> None:
    """Rename the table of an older release, where it had Alembic's own name, unless it is another application's."""
    names = (VERSION_TABLE, "alembic_version", "task_runs")
    present = {name for name in names if connection.scalar(select(func.to_regclass(name)))}
    if present != {"alembic_version", "task_runs"}:
        return
    known = {script.revision for script in ScriptDirectory.from_config(context.config).walk_revisions()}
    if set(connection.scalars(text("SELECT version_num FROM alembic_version"))) <= known:
        connection.execute(text(f"ALTER TABLE alembic_version RENAME TO {VERSION_TABLE}"))


given = context.config.attributes.get("connection")
if given is None:
    try:
        with owner_connection() as connection:
            migrate(connection)
            roles.grant(connection)
            connection.commit()
    except DatabaseError as error:
        sys.exit(str(error))
else:
    migrate(given)
