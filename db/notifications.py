"""The outbox: what is to be told, who is telling it, and what was told.

A row is written in the transaction of what it tells, so that one is not there without the other. Sending is another
step: it leases rows, so that two senders never take the same one and a killed one frees it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db.tables import notifications

LEASE_SECONDS = 300  # longer than any channel may take to answer
MOST_ATTEMPTS = 50  # with the waits below: about a month


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


def lease(connection: Connection, channels: Sequence[str]) -> Due | None:
    """The oldest message that is due for one of these channels, now ours for LEASE_SECONDS; None if there is none.

    After a failure a message waits, longer each time, up to a day.
    """
    row = connection.execute(
        text("""
            UPDATE notifications SET attempts = attempts + 1, leased_until = now() + :lease * interval '1 second'
            WHERE id = (SELECT id FROM notifications
                        WHERE status = 'pending' AND channel = ANY(:channels)
                              AND (leased_until IS NULL OR leased_until < now())
                        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id, channel, title, body, attempts"""),
        {"lease": LEASE_SECONDS, "channels": list(channels)},
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


def mark_failed(connection: Connection, due: Due, why: str) -> None:
    """The channel did not take it: try again later, or give up after MOST_ATTEMPTS."""
    wait = min(60 * 2 ** min(due.attempts - 1, 11), 86_400)
    connection.execute(
        text("""
            UPDATE notifications SET last_error = :why,
                status = CASE WHEN attempts >= :most THEN 'failed' ELSE status END,
                leased_until = now() + :wait * interval '1 second'
            WHERE id = :id AND status = 'pending'"""),
        {"why": why[:2000], "most": MOST_ATTEMPTS, "wait": wait, "id": due.id},
    )


def pending(connection: Connection, channels: Sequence[str], minutes: int) -> int:
    """How many messages for these channels have been waiting for longer than that, or were given up."""
    waits = notifications.c.created_at < func.now() - text(":minutes * interval '1 minute'").bindparams(minutes=minutes)
    ours = notifications.c.channel.in_(channels)  # of a channel that was taken out nobody expects them any more
    late = select(func.count()).where(notifications.c.status != "sent", waits, ours)
    return int(connection.scalar(late) or 0)


def forget_sent(connection: Connection, before: datetime) -> int:
    """Remove what was sent, or given up, before then; returns how many."""
    done = and_(notifications.c.status != "pending", notifications.c.created_at < before)
    return connection.execute(notifications.delete().where(done)).rowcount
