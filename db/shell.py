"""Prints the shell variables with which pg_dump, pg_restore and psql find the database, as the owner of the tables.

    eval "$(python -m db.shell)"
    eval "$(python -m db.shell --reader)"    # as the role of people who query, who change nothing

It also adds the programs of the embedded database to PATH, and starts that database if no other is set, so that a
backup can be restored while nothing else runs. `make up` stops it when it ends.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence

from db import embedded
from db.address import parse_url
from db.embedded_location import EmbeddedError
from db.engine import DatabaseConfigError, DatabaseError, database_settings, owner_url
from db.roles import separate_roles


def variables(*, reader: bool = False) -> dict[str, str]:
    """The variables of libpq, as the owner of the tables or as the reader.

    Raises:
        DatabaseError, EmbeddedError: a setting is wrong, or the embedded database cannot be started.
    """
    url = owner_url() or parse_url(embedded.start(database_settings().data_dir))
    if reader:
        found = separate_roles()
        if found is None or not found.reader_logs_in:
            raise DatabaseConfigError(
                "no role of people who query can log in: set MIGRATION_DATABASE_URL and DATABASE_READER_PASSWORD, and "
                "run python -m deployments.migrate"
            )
        url = url.set(username=found.reader, password=found.reader_password)
    host = url.host or url.query.get("host")
    port = url.port or url.query.get("port")
    named = {"PGHOST": host, "PGPORT": port, "PGUSER": url.username, "PGPASSWORD": url.password}
    return {name: str(value) for name, value in {**named, "PGDATABASE": url.database}.items() if value}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m db.shell", description="Prints how psql finds the database.")
    parser.add_argument("--reader", action="store_true", help="as the role of people who query")
    given = parser.parse_args(arguments)
    try:
        named = variables(reader=given.reader)
        exports = [f"export {name}={shlex.quote(value)}" for name, value in named.items()]
        exports.append(f"export PATH={shlex.quote(str(embedded.programs()))}:$PATH")
    except (DatabaseError, EmbeddedError) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(exports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
