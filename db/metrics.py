"""What the database knows about the jobs, read for metrics.

All statements only read, wait for no lock that matters, and leave the contacts and pages themselves alone: their cost
does not grow with the size of `contacts`.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, text

SECONDS = 5  # after which a statement gives up
VERDICTS = ("inserted", "updated", "unchanged", "duplicate", "rejected")
_MESSAGES = ("pending", "sent", "failed")


@dataclass(frozen=True)
class Outbox:
    """The state of the outbox."""

    messages: dict[str, int]  # status -> messages
    oldest_waiting: float | None  # Unix time when the oldest message that waits was written
    attempts: int  # to send the messages that wait


def begin_reading(connection: Connection) -> None:
    """Make the transaction read-only and bound the time of its statements; its first statement."""
    connection.execute(text("SET TRANSACTION READ ONLY"))
    connection.execute(text(f"SET LOCAL statement_timeout = '{SECONDS}s'"))


def last_runs(connection: Connection, limit: int) -> list[RowMapping]:
    """How runs ended: name, subject, outcome, runs, last_at (Unix time), last_seconds.

    At most `limit` subjects of each job, those that ran last.
    """
    return _rows(
        connection,
        """
        SELECT name, subject, outcome, runs, extract(epoch FROM last_at)::float AS last_at, last_seconds
        FROM (SELECT *, dense_rank() OVER (PARTITION BY name ORDER BY newest DESC, subject) AS place
              FROM (SELECT *, max(last_at) OVER (PARTITION BY name, subject) AS newest FROM job_runs) by_subject) placed
        WHERE place <= :limit ORDER BY name, subject, outcome""",
        limit=limit,
    )


def last_imports(connection: Connection, job: str, limit: int) -> list[RowMapping]:
    """The last completed import of each workbook: subject, rows, and a number for each of VERDICTS."""
    verdicts = ", ".join(f"coalesce((r.result ->> '{name}')::bigint, 0) AS {name}" for name in VERDICTS)
    return _rows(
        connection,
        f"""
        SELECT r.subject, coalesce((r.result ->> 'rows')::bigint, 0) AS rows, {verdicts}
        FROM (SELECT DISTINCT ON (subject) id, updated_at FROM task_runs
              WHERE name = :job AND status = 'completed' AND subject IS NOT NULL
              ORDER BY subject, updated_at DESC) last
        JOIN task_runs r USING (id) ORDER BY last.updated_at DESC LIMIT :limit""",
        job=job,
        limit=limit,
    )


def units(connection: Connection) -> list[RowMapping]:
    """Units of work: name, status, units, attempts."""
    return _rows(
        connection,
        "SELECT name, status, count(*) AS units, sum(attempts) AS attempts FROM task_runs GROUP BY 1, 2 ORDER BY 1, 2",
    )


def missions(connection: Connection) -> list[RowMapping]:
    """Missions: source, status, missions."""
    return _rows(connection, "SELECT source, status, count(*) AS missions FROM embassies GROUP BY 1, 2 ORDER BY 1, 2")


def held_sets(connection: Connection, job: str) -> list[RowMapping]:
    """Sources with a set that waits for a person: source, since (Unix time when the first of them was held).

    As db.embassies.held_since: a set is no longer held once it, or anything after it, was applied.
    """
    return _rows(
        connection,
        """
        SELECT source, extract(epoch FROM min(k.created_at))::float AS since
        FROM (SELECT DISTINCT source FROM embassy_candidates) s
        LEFT JOIN LATERAL (
            SELECT id FROM task_runs r WHERE r.name = :job AND r.subject = s.source AND r.status = 'completed'
            ORDER BY updated_at DESC LIMIT 1) last ON true
        JOIN embassy_candidates k USING (source)
        WHERE k.compared_with IS NOT DISTINCT FROM last.id
        GROUP BY source HAVING NOT bool_or(k.applied_at IS NOT NULL) ORDER BY source""",
        job=job,
    )


def outbox(connection: Connection) -> Outbox:
    """The state of the outbox."""
    found = _rows(
        connection,
        """
        SELECT status, count(*) AS messages, sum(attempts) AS attempts,
               extract(epoch FROM min(created_at))::float AS oldest FROM notifications GROUP BY status""",
    )
    by_status: dict[str, Any] = {row["status"]: row for row in found}
    waiting = by_status.get("pending", {"oldest": None, "attempts": 0})
    counts = {status: by_status[status]["messages"] if status in by_status else 0 for status in _MESSAGES}
    return Outbox(counts, waiting["oldest"], waiting["attempts"])


def incidents(connection: Connection, limit: int) -> list[RowMapping]:
    """The open incidents, the newest first: name, subject, failures, began_at (Unix time); at most `limit`."""
    return _rows(
        connection,
        """
        SELECT name, subject, failures, extract(epoch FROM began_at)::float AS began_at FROM episodes
        WHERE ended_at IS NULL ORDER BY began_at DESC LIMIT :limit""",
        limit=limit,
    )


def open_incidents(connection: Connection) -> dict[str, int]:
    """Job -> its open incidents."""
    found = _rows(
        connection, "SELECT name, count(*) AS open FROM episodes WHERE ended_at IS NULL GROUP BY 1 ORDER BY 1"
    )
    return {row["name"]: row["open"] for row in found}


def actions(connection: Connection) -> dict[str, int]:
    """Action of the watchdog -> how often it was taken."""
    return {row["action"]: row["total"] for row in _rows(connection, "SELECT * FROM watchdog_actions ORDER BY 1")}


def contacts(connection: Connection) -> int | None:
    """The number of contacts, as PostgreSQL estimates it; None if it has not counted them yet."""
    number = connection.scalar(text("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass('contacts')"))
    return None if number is None or number < 0 else int(number)


def database_bytes(connection: Connection) -> int:
    """The size of the database on disk."""
    return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)


def _rows(connection: Connection, statement: str, **values: Any) -> list[RowMapping]:
    return list(connection.execute(text(statement), values).mappings())
