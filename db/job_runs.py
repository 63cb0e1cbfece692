"""Counts how the runs of each job end, and what the watchdog does: for metrics, and only for these.

A unit of work that was completed before is not written again by a run that finds it done. So `task_runs` does not show
that a job still runs every night; `job_runs` does.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, func
from sqlalchemy.dialects.postgresql import insert

from db.tables import job_runs, watchdog_actions
from db.task_runs import storable

ACTIONS = ("imports_resumed", "runs_backfilled")  # of the watchdog


def record_run(connection: Connection, name: str, subject: str | None, outcome: str, seconds: float | None) -> None:
    """Count a run of a job that has just ended; `seconds` is how long it worked."""
    row = insert(job_runs).values(
        name=name, subject=storable(subject or ""), outcome=outcome, last_seconds=seconds, last_at=func.now()
    )
    counted = {
        "runs": job_runs.c.runs + 1,
        "last_at": row.excluded.last_at,
        "last_seconds": row.excluded.last_seconds,
    }
    connection.execute(row.on_conflict_do_update(index_elements=["name", "subject", "outcome"], set_=counted))


def record_actions(connection: Connection, done: Mapping[str, int]) -> None:
    """Add what a run of the watchdog has done, action -> number, to the totals."""
    if not done:
        return
    rows = insert(watchdog_actions).values([{"action": action, "total": number} for action, number in done.items()])
    total = {"total": watchdog_actions.c.total + rows.excluded.total}
    connection.execute(rows.on_conflict_do_update(index_elements=["action"], set_=total))


def delete_old(connection: Connection, before: datetime) -> int:
    """Delete the counts to which no run has been added since then; returns how many."""
    return connection.execute(job_runs.delete().where(job_runs.c.last_at < before)).rowcount
