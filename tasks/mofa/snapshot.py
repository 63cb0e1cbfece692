"""`python -m tasks.mofa.snapshot ID [OUT]` shows a page as it was kept.

Prints the page, or writes it to the file OUT, to be opened in a browser or given to the parser of its source.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping

from db import embassies as table
from db.display import printable
from db.engine import database_of_command, transaction
from db.errors import JobError, UserError
from db.times import time_text


def read_snapshot(number: int) -> RowMapping:
    """The snapshot of this number. Raises UserError if there is none."""
    with database_of_command(), transaction() as connection:
        found = table.snapshot(connection, number)
    if found is None:
        raise UserError(
            f"there is no snapshot {number}: its number is in the message, or in embassy_changes.snapshot_id; "
            "snapshots that nothing points to are removed after MOFA_SNAPSHOT_DAYS"
        )
    return found


def describe(snapshot: Any) -> str:
    """One line about a snapshot."""
    unparsed = snapshot["version"] == table.UNPARSED
    content = "could not be read" if unparsed else f"{len(snapshot['records']):,} missions"
    return f"{snapshot['source']}: {snapshot['url']}, fetched {time_text(snapshot['fetched_at'])}, {content}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tasks.mofa.snapshot", description="Show a page as it was kept.")
    parser.add_argument("id", type=int, help="the number of the snapshot")
    parser.add_argument("out", nargs="?", type=Path, help="write the page to this file")
    given = parser.parse_args(arguments)
    try:
        found = read_snapshot(given.id)
        if given.out:
            given.out.write_text(found["body"], encoding="utf-8")
    except JobError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{given.out} cannot be written: {error.strerror or error}", file=sys.stderr)
        return 1
    print(printable(describe(found)), file=sys.stderr)
    print(f"written to {given.out}" if given.out else "\n".join(map(printable, found["body"].split("\n"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
