"""The database for a shell: what pg_dump, pg_restore and psql need to find it.

    eval "$(python -m db.shell)"

Also puts the programs that come with the embedded database on PATH, and starts that if it is what is used, so that a
backup can be restored while nothing else runs; `make up` stops it when it ends.
"""

import shlex
import sys

from db import embedded
from db.engine import DatabaseError, database_settings, database_url, parse_url


def variables() -> dict[str, str]:
    """The variables of libpq.

    Raises:
        DatabaseError, EmbeddedError: there is none, or it cannot be started.
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
    except (DatabaseError, embedded.EmbeddedError) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(exports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
