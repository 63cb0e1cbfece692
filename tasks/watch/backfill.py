"""Starts a new run in place of a lost one, and reports what cannot be restarted automatically."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping

from db import staging, task_run_status
from db.engine import transaction
from db.times import time_text
from tasks.admission_settings import admission_settings
from tasks.crm import steps as crm
from tasks.notify.steps import Failure, report_failure
from tasks.watch.overdue import done_in_foreground
from tasks.watch.prefect_runs import Job, backfills_of, flow_run, page_of, run_of, runs_of, start_backfill
from tasks.watch.slots import (
    MAX_ATTEMPTS,
    UNFINISHED_STATES,
    LossReason,
    LostRun,
    Run,
    latest_loss,
    loss_reason,
    lost_slot,
)

REPORTED_WITHIN = timedelta(days=1)  # of their start, lost runs that a person started are reported
_NEVER = datetime.min.replace(tzinfo=UTC)
_SENTENCES: Mapping[LossReason, str] = {
    "crashed": "crashed: its process died",
    "missed": "was missed: it could not start in time",
    "stuck": "is stuck before its start",
    "late": "has not started",
}
_LATE = "no worker has taken it; python -m deployments.doctor shows what is wrong"


def backfill_job(job: Job, now: datetime) -> int:
    """Start a run in place of the last slot of the job if that was lost; returns how many runs were started."""
    grace = admission_settings().grace
    runs = runs_of(job, now)
    for each in _lost_runs_of_people(job, runs, now, grace):
        subject = job.subject_of(each.run.parameters)
        with transaction() as connection:
            succeeded = task_run_status.succeeded_since(connection, job.name, subject, each.run.id, each.run.expected)
        if not succeeded:
            _report_lost(job, each, _LATE if each.reason == "late" else "start it again, if it is still wanted")
    lost = None if job.paused else lost_slot(runs, now, grace)
    if lost is None or done_in_foreground(job, job.subject_of(lost.run.parameters), lost.run.slot):
        return 0
    return _backfill(job, lost)


def _lost_runs_of_people(job: Job, runs: list[Run], now: datetime, grace: timedelta) -> list[LostRun]:
    """Runs that a person started within a day, that were lost, and after which none for their subject succeeded."""
    started = [
        run for run in runs if not run.scheduled and not run.is_backfill and now - run.expected < REPORTED_WITHIN
    ]
    succeeded = {job.subject_of(run.parameters): run.expected for run in reversed(runs) if run.succeeded}
    return [
        LostRun(run, reason, 0)
        for run in started
        if (reason := loss_reason(run, now, grace))
        and run.expected > succeeded.get(job.subject_of(run.parameters), _NEVER)
    ]


def resume_import(unit: RowMapping, watched: Mapping[UUID, Job], now: datetime) -> int:
    """Start a run that resumes an abandoned import; returns how many runs were started.

    Args:
        unit: id, subject and flow_run_id of the import.
        watched: the deployments, by id.
        now: the time.
    """
    found = flow_run(unit["flow_run_id"])
    job = watched.get(found.deployment_id) if found and found.deployment_id else None
    if job is not None and job.paused:
        return 0
    if found is None or job is None:
        if not _overtaken(unit["id"]):
            _report_not_resumable(unit)
        return 0
    run = run_of(found)
    if run.state == "CANCELLED":
        with transaction() as connection:
            task_run_status.cancel(connection, run.id)
        return 0
    backfills = backfills_of(job, run.slot)
    # No process holds the lock of the import: its process is gone, whatever Prefect's server says of the run.
    lost: LostRun | None = LostRun(run, "crashed", len(backfills))
    if backfills and max(backfills, key=lambda each: each.expected).id != run.id:
        lost = latest_loss(run, backfills, now, admission_settings().grace)
    elif run.state in UNFINISHED_STATES - {"RUNNING"}:
        return 0
    if (lost is None or not lost.can_be_backfilled) and _overtaken(unit["id"]):
        return 0
    return _backfill(job, lost) if lost else 0


def _overtaken(unit: int) -> bool:
    """Whether another version of the workbook was imported since; then the import is not resumed, and its rows go."""
    with transaction() as connection:
        overtaken = task_run_status.fail_overtaken(connection, unit)
        if overtaken:
            staging.drop_staging(connection, unit)
    return overtaken


def _report_not_resumable(unit: RowMapping) -> None:
    sentence = (
        f"Import {unit['id']} was interrupted and cannot be resumed automatically: start it again, it resumes where it "
        "stopped."
    )
    with transaction() as connection:
        report_failure(connection, Failure(crm.JOB, unit["subject"], sentence, unit["flow_run_id"]))


def _backfill(job: Job, lost: LostRun) -> int:
    """Start the backfill run of a lost one, and report it; returns how many runs were started."""
    if lost.reason == "late":
        _report_lost(job, lost, _LATE)
        return 0
    if not lost.can_be_backfilled:
        advice = f"it was restarted {MAX_ATTEMPTS} times without success: read its log, then start it by hand"
        _report_lost(job, lost, advice, "given-up")  # an event of its own: that it fails was reported before
        return 0
    start_backfill(job, lost)
    _report_lost(job, lost, f"it is restarted automatically, up to {MAX_ATTEMPTS} times")
    return 1


def _report_lost(job: Job, lost: LostRun, advice: str, event: str = "failing") -> None:
    sentence = f"The run of {time_text(lost.run.slot)} {_SENTENCES[lost.reason]}; {advice}."
    failure = Failure(job.name, job.subject_of(lost.run.parameters), sentence, lost.run.id, page_of(lost.run.id))
    with transaction() as connection:
        report_failure(connection, failure, event=event)
