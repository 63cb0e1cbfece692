"""The outbox: what is to be told, who is telling it, and what was told.

A row is written in the transaction of what it tells, so that one is not there without the other. Sending is another
step: it leases rows, so that two senders never take the same one and a killed one frees it again. A row that is being
sent has no last_error; one that waits says why.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db.tables import notifications

LEASE_SECONDS = 300  # longer than any channel may take to answer
MOST_ATTEMPTS, MOST_DAYS = 50, 30  # given up after both
ATTEMPTS_IN_FRONT = 3  # after so many the next message shows whether it is the channel that fails, or the message
_LOST = """status = 'pending' AND channel IN (SELECT channel FROM notifications
           WHERE status = 'pending' AND attempts > 0 AND channel <> ALL(:channels))"""
_DUE = "(leased_until IS NULL OR leased_until < now())"


@dataclass(frozen=True)
class Due:
    """A message that we hold the lease of."""

    id: int
    channel: str  # digest of its URL
    title: str
    body: dict[str, Any]  # plain, markdown
    attempts: int  # this one included


def enqueue(
    connection: Connection, dedup_key: str, channels: Sequence[str], title: str, body: Mapping[str, str]
) -> int:
    """Put a message into the outbox, once for each channel and key; returns how many rows are new."""
    if not channels:
        return 0
    rows = [{"dedup_key": dedup_key, "channel": each, "title": title, "body": dict(body)} for each in channels]
    new = insert(notifications).values(rows).on_conflict_do_nothing().returning(notifications.c.id)
    return len(connection.execute(new).all())


def lease(connection: Connection, channels: Sequence[str], doubtful: Collection[str] = ()) -> Due | None:
    """The oldest message of these channels, if any of its channel is due, now ours for LEASE_SECONDS; None without one.

    None goes before it, whatever its own wait; but in a doubtful channel those tried often step aside for the others.
    """
    aside = "(attempts >= :in_front AND channel = ANY(:doubtful))"
    row = connection.execute(
        text(f"""
            UPDATE notifications SET attempts = attempts + 1, last_error = NULL,
                leased_until = now() + :lease * interval '1 second'
            WHERE id = (SELECT id FROM notifications
                        WHERE status = 'pending' AND channel = ANY(:channels)
                              AND channel IN (SELECT channel FROM notifications WHERE status = 'pending' AND {_DUE})
                              AND ({_DUE} OR last_error IS NOT NULL AND NOT {aside})
                        ORDER BY {aside}, id LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id, channel, title, body, attempts"""),
        {
            "lease": LEASE_SECONDS,
            "channels": list(channels),
            "in_front": ATTEMPTS_IN_FRONT,
            "doubtful": list(doubtful),
        },
    )
    found = row.mappings().one_or_none()
    return Due(**found) if found else None


def mark_sent(connection: Connection, due: Due) -> None:
    """The channel took the message."""
    connection.execute(
        update(notifications)
        .where(notifications.c.id == due.id)
        .values(status="sent", sent_at=func.now(), last_error=None, leased_until=None)
    )


def mark_failed(connection: Connection, due: Due, why: str, *, others_wait: bool = True) -> None:
    """The channel did not take it: it waits, with all that is due there, as long again as it is old, up to an hour.

    Not by its attempts: each new message makes one of the oldest, and would put it off.
    """
    connection.execute(
        text(f"""
            UPDATE notifications SET last_error = :why,
                status = CASE WHEN attempts >= :most AND created_at < now() - :days * interval '1 day'
                              THEN 'failed' ELSE status END,
                leased_until = now() + least(greatest(now() - created_at, interval '1 minute'), interval '1 hour')
            WHERE status = 'pending' AND (id = :id OR :others_wait AND channel = :channel AND {_DUE})"""),
        {
            "why": why[:2000],
            "most": MOST_ATTEMPTS,
            "days": MOST_DAYS,
            "id": due.id,
            "others_wait": others_wait,
            "channel": due.channel,
        },
    )


def pending(connection: Connection, channels: Sequence[str], minutes: int) -> int:
    """How many messages for these channels have been waiting for longer than that, or were given up."""
    waits = notifications.c.created_at < func.now() - text(":minutes * interval '1 minute'").bindparams(minutes=minutes)
    ours = notifications.c.channel.in_(channels)  # of a channel that was taken out nobody expects them any more
    late = select(func.count()).where(notifications.c.status != "sent", waits, ours)
    return int(connection.scalar(late) or 0)


def lost(connection: Connection, channels: Sequence[str]) -> int:
    """How many messages wait for channels that are none of these and did not take one: with another password, say."""
    found = text(f"SELECT count(*) FROM notifications WHERE {_LOST}")
    return int(connection.scalar(found, {"channels": list(channels)}) or 0)


def redirect(connection: Connection, channels: Sequence[str], to: str | None) -> int:
    """Let what is lost wait for one of these channels; returns how many. What it knows is given up; all, if to None."""
    moved = text(f"""
        WITH lost AS (SELECT id, dedup_key FROM notifications WHERE {_LOST}),
             moved AS (UPDATE notifications SET channel = :to, attempts = 0, last_error = NULL, leased_until = NULL
                       WHERE CAST(:to AS text) IS NOT NULL AND id IN (SELECT min(id) FROM lost GROUP BY dedup_key)
                             AND dedup_key NOT IN (SELECT dedup_key FROM notifications WHERE channel = :to)
                       RETURNING id),
             given_up AS (UPDATE notifications SET status = 'failed'
                          WHERE id IN (SELECT id FROM lost EXCEPT SELECT id FROM moved))
        SELECT count(*) FROM moved""")
    return int(connection.scalar(moved, {"channels": list(channels), "to": to}) or 0)


def forget_sent(connection: Connection, before: datetime) -> int:
    """Remove what was sent, or given up, before then; returns how many."""
    done = and_(notifications.c.status != "pending", notifications.c.created_at < before)
    return connection.execute(notifications.delete().where(done)).rowcount
