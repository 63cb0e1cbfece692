"""Brings the tables of the database up to date.

    python -m deployments.migrate

`make up` does the same. Any number of processes may do it at once: one works, the others wait.
"""

import sys

from db.engine import revisions, upgrade
from db.errors import JobError


def main() -> int:
    """The command; returns its exit code."""
    try:
        before, _ = revisions()
        upgrade()
        now, _ = revisions()
    except JobError as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    print(f"migrations  {before or 'none'} before, {now} now")
    return 0


if __name__ == "__main__":
    sys.exit(main())
