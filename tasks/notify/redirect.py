"""Moves the messages of removed channels to a channel of NOTIFY_URLS, such as the one with the corrected URL.

    python -m tasks.notify.redirect 2       # to the second address of NOTIFY_URLS
    python -m tasks.notify.redirect none    # to no channel: they are discarded

A channel is identified by a digest of its full URL, because any part of the URL may say who receives the messages. Only
a person knows whether a URL with another password has the same receivers. `doctor` warns while there are such messages.
"""

import sys
from collections.abc import Sequence

from db import notifications
from db.engine import DatabaseError, database_of_command, transaction
from db.settings import SettingsError
from tasks.notify.channels import channels

NO_CHANNEL = "none"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        configured = channels()
        places = {str(channel.place): channel for channel in configured.usable}
        if configured.problems or not places:
            print(" ".join(configured.problems) or "Set NOTIFY_URLS here as for the jobs", file=sys.stderr)
            return 1
        if len(given) != 1 or given[0] not in (*places, NO_CHANNEL):
            print(f"Usage: python -m tasks.notify.redirect {'|'.join((*places, NO_CHANNEL))}", file=sys.stderr)
            return 2
        to = places.get(given[0])
        with database_of_command(), transaction() as connection:
            ours = [channel.id for channel in configured.usable]
            moved = notifications.redirect(connection, ours, to.id if to else None)
    except (SettingsError, DatabaseError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{moved} will be sent to {to.name} with the next delivery" if to else "The messages are discarded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
