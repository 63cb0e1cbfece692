"""Whether a job is overdue: it should have succeeded by now, and has not."""

from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase

from db import incidents, task_run_status
from db.engine import transaction
from db.times import time_text
from tasks.admission_settings import admission_settings
from tasks.notify.steps import Failure, report_failure, report_recovery
from tasks.state_names import HELD
from tasks.watch.prefect_runs import (
    SUBJECTS,
    Job,
    flow_run,
    is_of_schedule,
    last_success,
    page_of,
    runs_of,
    slots_after,
)
from tasks.watch.slots import UNFINISHED_STATES, Run, overdue_since


def overdue(job: Job, runs: Iterable[Run], now: datetime) -> tuple[datetime | None, datetime] | None:
    """The last success, if any, and the slot that should have succeeded; None if the job is not overdue.

    Slots before the last change of the schedule do not count. If a run in the foreground does the work of a paused
    deployment, it has time until the slot after: it may run at other times than the schedule.
    """
    grace = admission_settings().grace
    unfinished = any(run.state in UNFINISHED_STATES for run in runs)
    success = last_success(job, now)
    due = slots_after(job, max(filter(None, (success, job.since))))  # none without a schedule
    since = overdue_since(due, now, grace, unfinished=unfinished)
    if since and (done := done_in_foreground(job, job.subject, since)):
        success = done
        since = overdue_since(slots_after(job, done), now, grace, unfinished=unfinished or job.paused)
    return (success, since) if since else None


def done_in_foreground(job: Job, subject: str, since: datetime) -> datetime | None:
    """When a run without a deployment last did the job's work since then; another deployment may do other work."""
    if job.name not in SUBJECTS:
        return None
    with transaction() as connection:
        done = task_run_status.done_since(connection, job.name, subject, since)
    for at, run_id in done:
        run = flow_run(run_id)
        if run is None or run.deployment_id is None:
            return at
    return None


def check_overdue(job: Job, now: datetime) -> bool:
    """Report that a job is overdue, fails, or works again; returns whether it is overdue."""
    runs = runs_of(job, now)
    _report_state(job, runs)
    if (found := overdue(job, runs, now)) is None:
        return False
    _report_overdue(job, *found)
    return True


def _report_overdue(job: Job, success: datetime | None, since: datetime) -> None:
    last = f"its last success was that of {time_text(success)}" if success else "it has never succeeded"
    advice = (
        "Its deployment is paused, or has no active schedule: resume it, if it is to run"
        if job.paused
        else f"Look at its last runs: prefect flow-run ls --flow-name {job.name}"
    )
    sentence = f"No success although one was due at {time_text(since)}; {last}. {advice}."
    with transaction() as connection:
        failing = [each.subject for each in incidents.open_incidents(connection, job.name)]
        if not any(fnmatchcase(subject, job.subject) for subject in failing):  # a file of the pattern is reported
            report_failure(connection, Failure(job.name, job.subject, sentence))


def _report_state(job: Job, runs: list[Run]) -> None:
    """Report that a job fails, if it does not report that itself; and that an incident is over, for every job."""
    ended = [run for run in runs if is_of_schedule(job, run) and (run.succeeded or run.state == "FAILED")]
    if not ended:
        return
    last = max(ended, key=lambda run: run.since)
    with transaction() as connection:
        if last.state == "FAILED" and job.name not in SUBJECTS:
            sentence = f"The run of {time_text(last.slot)} failed: its page says why."
            report_failure(connection, Failure(job.name, job.subject, sentence, last.id, page_of(last.id)))
        opened = [
            each.began_at for each in incidents.open_incidents(connection, job.name) if each.subject == job.subject
        ]
        if last.succeeded and last.name != HELD and opened and last.since > opened[0]:
            report_recovery(connection, job.name, job.subject)
