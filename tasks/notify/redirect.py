"""Sends what waits for an address that is not in NOTIFY_URLS any more to one that is: to the corrected one, say.

    python -m tasks.notify.redirect 2       # to the second address of NOTIFY_URLS
    python -m tasks.notify.redirect none    # to nobody: it is given up

A channel is a digest of its whole address, since any part of it may say who is meant: whether another password means
the same people only a person can say. doctor warns while there is something to say.
"""

import sys
from collections.abc import Sequence
from contextlib import nullcontext

from db import embedded, notifications
from db.engine import DatabaseError, database_settings, database_url, engine, transaction
from db.settings import SettingsError
from tasks.notify.channels import channels

NOBODY = "none"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        configured = channels()
        places = {str(channel.place): channel for channel in configured.usable}
        if configured.problems or not places:
            print(" ".join(configured.problems) or "set NOTIFY_URLS here as for the jobs", file=sys.stderr)
            return 1
        if len(given) != 1 or given[0] not in (*places, NOBODY):
            print(f"Usage: python -m tasks.notify.redirect {'|'.join((*places, NOBODY))}", file=sys.stderr)
            return 2
        to = places.get(given[0])
        with nullcontext() if database_url() else embedded.borrowed(database_settings().data_dir):
            try:
                with transaction() as connection:
                    ours = [channel.id for channel in configured.usable]
                    moved = notifications.redirect(connection, ours, to.id if to else None)
            finally:
                engine().dispose()  # our own connections must not look like somebody else's
    except (SettingsError, DatabaseError, embedded.EmbeddedError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{moved} sent with the next delivery to {to.name}" if to else "given up")
    return 0


if __name__ == "__main__":
    sys.exit(main())
