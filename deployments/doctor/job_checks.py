"""The checks of each job: its next run is planned, and its last success is as recent as its schedule requires."""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from db.engine import DatabaseError
from db.errors import JobError
from db.times import time_text
from deployments.doctor.findings import Finding, unknown
from deployments.prefect_api import PrefectApi
from tasks.watch.overdue import overdue
from tasks.watch.prefect_runs import WATCHDOG, Job, jobs, last_success, next_planned, runs_of


def check_jobs(server: PrefectApi) -> Iterator[Finding]:
    """The checks "schedules" and "jobs" for each deployment; the watchdog has its own name."""
    now = datetime.now(UTC)
    with temporary_settings({PREFECT_API_URL: server.url, PREFECT_API_AUTH_STRING: server.auth_string}):
        try:
            found = sorted(jobs(), key=lambda job: job.deployment)
            if not any(job.name == WATCHDOG for job in found):
                text = "the watchdog is not deployed: nothing is restarted automatically"
                yield Finding("schedules", "failed", text, "python -m deployments.deploy")
            for job in found:
                yield check_schedule(job, now)
                yield check_last_success(job, now)
        except JobError as error:
            yield Finding("schedules", "failed", str(error), "see the server's log")


def check_schedule(job: Job, now: datetime) -> Finding:
    """Whether the server has planned the next run."""
    if not job.schedules:
        return Finding("schedules", "ok", f"{job.deployment} has none, it is started by hand")
    if job.paused:
        text = f"{job.deployment} is paused, or has no active schedule: it does not run"
        deployment = shlex.quote(job.deployment)
        advice = (
            "if it is to run again, switch it on in the UI, or with prefect deployment schedule resume "
            f"{deployment} SCHEDULE; prefect deployment schedule ls {deployment} shows SCHEDULE"
        )
        return Finding("schedules", "warning", text, advice, alert=False)
    planned = next_planned(job, now)
    if planned is None:
        text = f"{job.deployment} has an active schedule, but the server plans no run"
        return Finding("schedules", "failed", text, "see the server's log; restart the server")
    return Finding("schedules", "ok", f"{job.deployment} runs next at {time_text(planned)}")


def check_last_success(job: Job, now: datetime) -> Finding:
    """Whether the last success is as recent as the schedule requires."""
    is_watchdog = job.name == WATCHDOG  # nothing else can report that it is overdue
    check = "watchdog" if is_watchdog else "jobs"
    try:
        found = overdue(job, runs_of(job, now), now)
    except DatabaseError:  # it knows what runs in the foreground have done
        return unknown(check, "the database does not answer")
    last = last_success(job, now)
    text = f"{job.deployment}: {f'last success at {time_text(last)}' if last else 'no success yet'}"
    if found is None:
        return Finding(check, "ok", text, alert=is_watchdog)
    advice = f"look at its last runs: prefect flow-run ls --flow-name {shlex.quote(job.name)}"
    return Finding(check, "failed", f"{text}; one was due at {time_text(found[1])}", advice, alert=is_watchdog)
