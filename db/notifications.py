"""The outbox: messages that were sent, are being sent, or wait to be sent.

A message is written in the transaction of the change that it reports. Sending is a separate step. It leases a message,
so that two senders never take the same one; the lease of a killed sender expires. A message that is being sent has no
last_error; one that waits for another attempt has the reason there.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db.tables import notifications

LEASE_SECONDS = 300  # longer than a channel may take to answer
MAX_ATTEMPTS, MAX_DAYS = 50, 30  # a message fails for good after both
ATTEMPTS_BEFORE_NEXT = 3  # then the next message is tried, to see whether the channel fails or only this message
_OF_REMOVED_CHANNELS = """status = 'pending' AND channel IN (SELECT channel FROM notifications
           WHERE status = 'pending' AND attempts > 0 AND channel <> ALL(:channels))"""
_DUE = "(leased_until IS NULL OR leased_until < now())"


@dataclass(frozen=True)
class LeasedMessage:
    """A message whose lease the caller holds."""

    id: int
    channel: str  # digest of its URL
    title: str
    body: dict[str, Any]  # plain, markdown
    attempts: int  # including this one


def enqueue(
    connection: Connection, dedup_key: str, channels: Sequence[str], title: str, body: Mapping[str, str]
) -> int:
    """Put a message into the outbox, once for each channel and key; returns how many rows are new."""
    if not channels:
        return 0
    rows = [{"dedup_key": dedup_key, "channel": each, "title": title, "body": dict(body)} for each in channels]
    new = insert(notifications).values(rows).on_conflict_do_nothing().returning(notifications.c.id)
    return len(connection.execute(new).all())


def lease(
    connection: Connection, channels: Sequence[str], suspect_channels: Collection[str] = ()
) -> LeasedMessage | None:
    """Lease the oldest message of these channels for LEASE_SECONDS; None if no message is due.

    Each channel is strict first in, first out: if any of its messages is due, its oldest is sent, even if that one
    waits for another attempt. In a suspect channel, messages that were tried often come after the others.
    """
    tried_often = "(attempts >= :before_next AND channel = ANY(:suspect_channels))"
    row = connection.execute(
        text(f"""
            UPDATE notifications SET attempts = attempts + 1, last_error = NULL,
                leased_until = now() + :lease * interval '1 second'
            WHERE id = (SELECT id FROM notifications
                        WHERE status = 'pending' AND channel = ANY(:channels)
                              AND channel IN (SELECT channel FROM notifications WHERE status = 'pending' AND {_DUE})
                              AND ({_DUE} OR last_error IS NOT NULL AND NOT {tried_often})
                        ORDER BY {tried_often}, id LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id, channel, title, body, attempts"""),
        {
            "lease": LEASE_SECONDS,
            "channels": list(channels),
            "before_next": ATTEMPTS_BEFORE_NEXT,
            "suspect_channels": list(suspect_channels),
        },
    )
    found = row.mappings().one_or_none()
    return LeasedMessage(**found) if found else None


def mark_sent(connection: Connection, due: LeasedMessage) -> None:
    """Record that the channel has accepted the message."""
    connection.execute(
        update(notifications)
        .where(notifications.c.id == due.id)
        .values(status="sent", sent_at=func.now(), last_error=None, leased_until=None)
    )


def mark_failed(connection: Connection, due: LeasedMessage, why: str, *, delay_channel: bool = True) -> None:
    """Record why the channel did not accept the message, and delay it by its age, at least a minute, at most an hour.

    The delay does not grow with the attempts, because each new message causes an attempt of the oldest.

    Args:
        connection: the caller's.
        due: the message.
        why: the reason, as a sentence.
        delay_channel: delay the other messages that are due in the channel as well.
    """
    connection.execute(
        text(f"""
            UPDATE notifications SET last_error = :why,
                status = CASE WHEN attempts >= :max_attempts AND created_at < now() - :days * interval '1 day'
                              THEN 'failed' ELSE status END,
                leased_until = now() + least(greatest(now() - created_at, interval '1 minute'), interval '1 hour')
            WHERE status = 'pending' AND (id = :id OR :delay_channel AND channel = :channel AND {_DUE})"""),
        {
            "why": why[:2000],
            "max_attempts": MAX_ATTEMPTS,
            "days": MAX_DAYS,
            "id": due.id,
            "delay_channel": delay_channel,
            "channel": due.channel,
        },
    )


def count_undelivered(connection: Connection, channels: Sequence[str], minutes: int) -> int:
    """How many messages for these channels have waited for longer than that, or have failed for good."""
    waits = notifications.c.created_at < func.now() - text(":minutes * interval '1 minute'").bindparams(minutes=minutes)
    ours = notifications.c.channel.in_(channels)  # messages of removed channels are counted by `of_removed_channels`
    late = select(func.count()).where(notifications.c.status != "sent", waits, ours)
    return int(connection.scalar(late) or 0)


def of_removed_channels(connection: Connection, channels: Sequence[str]) -> int:
    """How many messages wait for channels that are not among these and that refused a message.

    Usually the channel's URL was corrected: with another password it is another channel.
    """
    found = text(f"SELECT count(*) FROM notifications WHERE {_OF_REMOVED_CHANNELS}")
    return int(connection.scalar(found, {"channels": list(channels)}) or 0)


def redirect(connection: Connection, channels: Sequence[str], to: str | None) -> int:
    """Move the messages of removed channels to the channel `to`; returns how many were moved.

    The others fail for good: those that `to` already has, or all of them if `to` is None.
    """
    moved = text(f"""
        WITH removed AS (SELECT id, dedup_key FROM notifications WHERE {_OF_REMOVED_CHANNELS}),
             moved AS (UPDATE notifications SET channel = :to, attempts = 0, last_error = NULL, leased_until = NULL
                       WHERE CAST(:to AS text) IS NOT NULL AND id IN (SELECT min(id) FROM removed GROUP BY dedup_key)
                             AND dedup_key NOT IN (SELECT dedup_key FROM notifications WHERE channel = :to)
                       RETURNING id),
             failed AS (UPDATE notifications SET status = 'failed'
                          WHERE id IN (SELECT id FROM removed EXCEPT SELECT id FROM moved))
        SELECT count(*) FROM moved""")
    return int(connection.scalar(moved, {"channels": list(channels), "to": to}) or 0)


def delete_sent(connection: Connection, before: datetime) -> int:
    """Delete the messages that were created before then and sent, or failed for good; returns how many."""
    done = and_(notifications.c.status != "pending", notifications.c.created_at < before)
    return connection.execute(notifications.delete().where(done)).rowcount
