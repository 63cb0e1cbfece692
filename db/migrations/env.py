"""Alembic runs this: it applies the migrations on the connection it is given, else on the configured database."""

import sys

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from db.tables import metadata


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    """Partitions of import_staging are data of running imports, not part of the schema."""
    return not (type_ == "table" and name is not None and name.startswith("import_staging_"))


def migrate(connection: Connection) -> None:
    """Run the requested migrations in one transaction."""
    context.configure(connection=connection, target_metadata=metadata, include_name=include_name)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is None:
    from db.engine import DatabaseError, engine, explain

    try:
        with engine().connect() as connection:
            migrate(connection)
            connection.commit()
    except DatabaseError as error:
        sys.exit(str(error))
    except DBAPIError as error:
        sys.exit(str(explain(error)))
else:
    migrate(given)
