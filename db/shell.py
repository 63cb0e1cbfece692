"""Prints the shell variables with which pg_dump, pg_restore and psql find the database.

    eval "$(python -m db.shell)"

It also adds the programs of the embedded database to PATH, and starts that database if no other is set, so that a
backup can be restored while nothing else runs. `make up` stops it when it ends.
"""

import shlex
import sys

from db import embedded
from db.embedded_location import EmbeddedError
from db.engine import DatabaseError, database_settings, database_url, parse_url


def variables() -> dict[str, str]:
    """The variables of libpq.

    Raises:
        DatabaseError, EmbeddedError: a setting is wrong, or the embedded database cannot be started.
    """
    url = database_url() or parse_url(embedded.start(database_settings().data_dir))
    host = url.host or url.query.get("host")
    port = url.port or url.query.get("port")
    named = {"PGHOST": host, "PGPORT": port, "PGUSER": url.username, "PGPASSWORD": url.password}
    return {name: str(value) for name, value in {**named, "PGDATABASE": url.database}.items() if value}


def main() -> int:
    """The command; returns its exit code."""
    try:
        exports = [f"export {name}={shlex.quote(value)}" for name, value in variables().items()]
        exports.append(f"export PATH={shlex.quote(str(embedded.programs()))}:$PATH")
    except (DatabaseError, EmbeddedError) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(exports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
