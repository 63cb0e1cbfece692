"""The tasks of the watchdog."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from prefect import get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH

from db import contacts, embassies, incidents, job_runs, notifications, staging, task_run_status
from db.engine import DatabaseError, transaction
from db.errors import JobError
from db.settings import SettingsError
from tasks.crm import steps as crm
from tasks.mofa.steps import digest as mofa
from tasks.notify import message
from tasks.notify.steps import channel_ids, enqueue
from tasks.step import RESULTS, step
from tasks.watch import overdue
from tasks.watch.backfill import backfill_job, resume_import
from tasks.watch.prefect_runs import Job
from tasks.watch.settings import watch_settings

S = TypeVar("S")
T = TypeVar("T")
_step = partial(step, cache_policy=NO_CACHE, persist_result=False)
REMIND_AFTER = timedelta(days=1)


@_step(task_run_name="resume-abandoned-imports")
def resume_abandoned_imports(watched: list[Job], now: datetime) -> int:
    """Start one run for each import that is not completed and that no process works on; returns how many."""
    with transaction() as connection:
        units = task_run_status.abandoned(connection, crm.JOB)
    by_id = {job.id: job for job in watched}
    return sum(_for_each(units, lambda unit: f"import {unit['id']}", lambda unit: resume_import(unit, by_id, now)))


@_step(task_run_name="backfill-missed-runs")
def backfill_missed_runs(watched: list[Job], now: datetime) -> int:
    """Start one run for each job whose last slot was lost; returns how many."""
    return sum(_for_each(watched, _deployment, lambda job: backfill_job(job, now)))


@_step(task_run_name="check-for-silence")
def check_overdue(watched: list[Job], now: datetime) -> int:
    """Report which jobs should have succeeded by now, fail, or work again; returns how many are overdue."""
    return sum(_for_each(watched, _deployment, lambda job: overdue.check_overdue(job, now)))


@_step(task_run_name="remind-of-held-sets")
def remind_of_held_sets(now: datetime) -> int:
    """Remind, once, of each set that has been held for a day; returns how many there are."""
    with transaction() as connection:
        held = embassies.held_since(connection, mofa.JOB, now - REMIND_AFTER)
        for each in held:
            reminder = message.held_set(
                each["source"],
                each["id"],
                each["why"],
                found=each["found"],
                known=each["known"],
                since=each["since"].astimezone(UTC),
            )
            key = f"{mofa.held_incident(each['source'], each['compared_with'])}:reminder"
            enqueue(connection, key, channel_ids(), reminder)
    return len(held)


@_step(task_run_name="remove-old-data")
def remove_old_data(now: datetime) -> int:
    """Delete what is older than KEEP_DAYS; returns how many.

    Messages, incidents, rows of runs that did not start, rejects of previews and of refused workbooks, staged rows, and
    result files.
    """
    before = now - timedelta(days=watch_settings().keep_days)
    with transaction() as connection:
        removed = notifications.delete_sent(connection, before)
        removed += task_run_status.delete_not_started(connection, before)
        removed += incidents.delete_closed(connection, before)
        removed += job_runs.delete_old(connection, before)
        removed += contacts.delete_rejects(connection, crm.PREVIEW, before)
    with transaction() as connection:
        removed += staging.drop_abandoned_staging(connection, crm.PREVIEW, before)
    return removed + _remove_result_files(before)


def record_actions(done: Mapping[str, int]) -> None:
    """Log what a run of the watchdog has done, and add it to the totals, for metrics; done: what -> number."""
    counts = {what.replace(" ", "_"): number for what, number in done.items()}
    get_run_logger().info(", ".join(f"{number} {what}" for what, number in done.items()), extra={"counts": counts})
    try:
        with transaction() as connection:
            job_runs.record_actions(connection, {what: counts[what] for what in job_runs.ACTIONS if what in counts})
    except DatabaseError as failure:
        get_run_logger().warning("the actions of this run could not be counted: %s", failure)


def _remove_result_files(before: datetime) -> int:
    """Remove the project's result files that were last written before then; returns how many."""
    removed = 0
    storage = PREFECT_LOCAL_STORAGE_PATH.value()
    for file in (storage / RESULTS).rglob("*") if storage else ():
        try:
            if file.is_file() and file.stat().st_mtime < before.timestamp():
                file.unlink()
                removed += 1
        except OSError:  # another worker on this machine was faster
            continue
    return removed


def _for_each(watched: Iterable[S], name: Callable[[S], str], act: Callable[[S], T]) -> list[T]:
    """What `act` returns for each; raises the errors only after `act` was called for all."""
    done, problems = [], []
    for each in watched:
        try:
            done.append(act(each))
        except (DatabaseError, SettingsError):  # the same for all
            raise
        except JobError as error:
            problems.append(f"{name(each)}: {error}")
        except Exception as fault:  # noqa: BLE001 - a fault with one job must not keep the others from being watched
            get_run_logger().exception("%s cannot be watched", name(each))
            problems.append(f"{name(each)}: {type(fault).__name__}: {fault}")
    if problems:
        raise JobError("; ".join(problems))
    return done


def _deployment(job: Job) -> str:
    return job.deployment
