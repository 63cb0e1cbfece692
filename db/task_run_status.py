"""The state of units of work, read and changed from outside the attempt that does the work.

For admission (a run that did not start), for the watchdog (work that a process left behind) and for alerts.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db.tables import task_runs
from db.task_runs import DONE, LOCK_CLASS, storable

# A condition on `task_runs r`: no living process holds the unit.
NOBODY_HOLDS = f"""NOT EXISTS (
    SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = {LOCK_CLASS} AND l.objid = r.id
    AND l.objsubid = 2 AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""


def failed_in(connection: Connection, name: str, subject: str, flow_run_id: UUID | str) -> bool:
    """Whether this flow run failed a unit of this subject, and no other run has taken it over since."""
    ours = and_(
        task_runs.c.name == name, task_runs.c.subject == subject, task_runs.c.flow_run_id == UUID(str(flow_run_id))
    )
    failed = select(task_runs.c.id).where(ours, task_runs.c.status == "failed").limit(1)
    return connection.execute(failed).first() is not None


def result_of(connection: Connection, flow_run_id: UUID | str) -> dict[str, Any] | None:
    """The result of the unit that this flow run has completed; None if there is none."""
    done = select(task_runs.c.result).where(task_runs.c.flow_run_id == UUID(str(flow_run_id)))
    result: dict[str, Any] | None = connection.scalar(done.where(task_runs.c.status.in_(DONE)).limit(1))
    return result


def record_decision(
    connection: Connection, name: str, flow_run_id: UUID | str, *, status: str, subject: str | None, why: str
) -> None:
    """Record that a run did not start, in a row of its own whose key is the run; `status` is "missed" or "skipped"."""
    decision = {"status": status, "last_error": storable(why), "updated_at": func.now()}
    about = {"subject": None if subject is None else storable(subject), "flow_run_id": UUID(str(flow_run_id))}
    row = insert(task_runs).values(name=name, idempotency_key=str(flow_run_id), **about, **decision)
    earlier = task_runs.c.status.in_(("missed", "skipped"))  # of the same run, which a person has retried
    connection.execute(
        row.on_conflict_do_update(index_elements=["name", "idempotency_key"], set_=decision, where=earlier)
    )


def cancel(connection: Connection, flow_run_id: UUID | str) -> int:
    """Mark the units that this flow run works on as cancelled, so that only a person resumes them; returns how many."""
    in_progress = and_(task_runs.c.flow_run_id == UUID(str(flow_run_id)), task_runs.c.status == "processing")
    cancelled = {"status": "cancelled", "last_error": "the run was cancelled", "updated_at": func.now()}
    return connection.execute(update(task_runs).where(in_progress).values(cancelled)).rowcount


def abandoned(connection: Connection, name: str, seconds: float = 60) -> list[RowMapping]:
    """Units of a job that are not completed and that no process works on: id, subject, flow_run_id.

    Args:
        connection: the caller's.
        name: the job.
        seconds: units that were started more recently are left out: their lock may not be acquired yet.
    """
    found = connection.execute(
        text(f"""
            SELECT r.id, r.subject, r.flow_run_id FROM task_runs r
            WHERE r.name = :name AND r.status = 'processing' AND r.updated_at < now() - :seconds * interval '1 second'
            AND {NOBODY_HOLDS} ORDER BY r.id"""),
        {"name": name, "seconds": seconds},
    )
    return list(found.mappings())


def fail_overtaken(connection: Connection, unit: int) -> bool:
    """Mark an abandoned unit as failed if another unit of its subject was completed since; returns whether it was."""
    failed = connection.execute(
        text(f"""
            UPDATE task_runs r SET status = 'failed', last_error = 'another version was done since', updated_at = now()
            WHERE r.id = :unit AND r.status = 'processing' AND {NOBODY_HOLDS}
            AND EXISTS (SELECT FROM task_runs other WHERE other.name = r.name AND other.subject = r.subject
                        AND other.status = ANY(:done) AND other.updated_at > r.updated_at)"""),
        {"unit": unit, "done": list(DONE)},
    )
    return failed.rowcount == 1


def succeeded_since(connection: Connection, name: str, subject: str, flow_run_id: UUID | str, since: datetime) -> bool:
    """Whether this flow run has completed a unit of this subject, however it ended, or any run has since then."""
    who = or_(task_runs.c.flow_run_id == UUID(str(flow_run_id)), task_runs.c.updated_at >= since)
    ours = and_(task_runs.c.name == name, task_runs.c.subject == subject, who)
    done = select(task_runs.c.id).where(ours, task_runs.c.status.in_(DONE)).limit(1)
    return connection.execute(done).first() is not None


def done_since(connection: Connection, name: str, subject: str, since: datetime) -> list[tuple[datetime, UUID | None]]:
    """When units of this subject were completed since then, and by which flow run; the last one first."""
    ours = and_(task_runs.c.name == name, task_runs.c.subject == subject, task_runs.c.updated_at >= since)
    done = select(task_runs.c.updated_at, task_runs.c.flow_run_id).where(ours, task_runs.c.status.in_(DONE))
    return [(at, run) for at, run in connection.execute(done.order_by(task_runs.c.updated_at.desc()))]


def delete_not_started(connection: Connection, before: datetime) -> int:
    """Delete the rows of runs that were missed or skipped before then; returns how many."""
    old = and_(task_runs.c.status.in_(("missed", "skipped")), task_runs.c.updated_at < before)
    return connection.execute(task_runs.delete().where(old)).rowcount
