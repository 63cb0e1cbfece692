"""The steps of the watchdog: what was lost is started again, silence is told, old traces are removed.

Never by rescheduling the lost run: Prefect would hand it out twice. A new run takes its place, with the same parameters
and a tag that names its slot, so that it is the same unit of work; an idempotency key made of slot and attempt sees to
it that two watchdogs start one.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import httpx
from prefect import State, get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectException
from prefect.server.schemas.schedules import SCHEDULE_TYPES
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH
from prefect.states import Crashed
from prefect.utilities.urls import url_for
from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from db import embassies, episodes, notifications, staging, task_runs
from db.engine import DatabaseError, transaction
from db.errors import JobError
from db.settings import SettingsError
from tasks.admission_settings import admission_settings
from tasks.crm import steps as crm
from tasks.mofa import steps as monitor
from tasks.mofa.steps import digest as mofa
from tasks.notify import message
from tasks.notify.steps import Failure, channel_ids, enqueue, failing, working
from tasks.slot import SCHEDULED, slot_of, tag
from tasks.step import RESULTS, step
from tasks.watch.settings import watch_settings
from tasks.watch.slots import AT_WORK, HELD, MOST_ATTEMPTS, Lost, Run, lost_again, lost_slot, silent_since, trouble

S = TypeVar("S")
T = TypeVar("T")
_step = partial(step, cache_policy=NO_CACHE, persist_result=False)
WATCHDOG = "watchdog"
RUNS_LOOKED_AT = 100  # of a deployment, the newest; more than a day of a job that runs every quarter of an hour
REMIND_AFTER = timedelta(days=1)
_NEVER = datetime.min.replace(tzinfo=UTC)
_SCHEDULE: TypeAdapter[Any] = TypeAdapter(SCHEDULE_TYPES)

# Jobs that tell their own failures, and what a run of theirs is about.
SUBJECTS: Mapping[str, Callable[[dict[str, Any]], str]] = {
    crm.JOB: crm.subject,
    mofa.JOB: monitor.subject,
}


@dataclass(frozen=True)
class Job:
    """A deployment of this project."""

    id: UUID
    name: str  # of its flow, which is the job's
    deployment: str  # as people write it: flow/deployment
    paused: bool  # or without an active schedule
    schedules: tuple[dict[str, Any], ...]  # the active ones; all, if none is
    since: datetime  # when its schedule was changed last
    parameters: dict[str, Any]

    @property
    def subject(self) -> str:
        """What its scheduled runs are about."""
        return self.about(self.parameters)

    def about(self, parameters: Mapping[str, Any]) -> str:
        """What a run with these parameters is about."""
        known = SUBJECTS.get(self.name)
        return known(dict(parameters)) if known else self.deployment


# ---------------------------------------------------------------------- what Prefect's server says


def jobs() -> list[Job]:
    """The deployments of this project, however many schedules, workbooks and ministries there are.

    A server may serve other projects as well: ours are those whose entry point is a module in flows/.
    """
    with _prefect() as client:
        found: list[DeploymentResponse] = []
        while page := client.read_deployments(offset=len(found)):
            found += page
    return [_job(each) for each in found if (each.entrypoint or "").startswith("flows.")]


def _job(deployment: DeploymentResponse) -> Job:
    name = (deployment.entrypoint or "").rpartition(".")[2]
    active = [each for each in deployment.schedules if each.active]
    changed = [each.updated for each in deployment.schedules] + [deployment.created]
    return Job(
        id=deployment.id,
        name=name,
        deployment=f"{name}/{deployment.name}",
        paused=deployment.paused or not active,
        schedules=tuple(each.schedule.model_dump(mode="json") for each in active or deployment.schedules),
        since=max(filter(None, changed)),
        parameters=deployment.parameters,
    )


def runs_of(job: Job, now: datetime) -> list[Run]:
    """The newest runs of a job that were due by now."""
    due = FlowRunFilter(expected_start_time=FlowRunFilterExpectedStartTime(before_=now))
    return _runs(job.id, due, RUNS_LOOKED_AT)


def last_success(job: Job, now: datetime) -> datetime | None:
    """The slot, or the start, of the last run that did the work of the job's schedule or found it done."""
    completed = FlowRunFilter(
        expected_start_time=FlowRunFilterExpectedStartTime(before_=now),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.COMPLETED])),
    )
    found = [run for run in _runs(job.id, completed, RUNS_LOOKED_AT) if run.succeeded]
    ours = [run for run in found if run.scheduled or run.stands_in or job.about(run.parameters) == job.subject]
    return max((run.expected for run in ours), default=None)


def next_planned(job: Job, now: datetime) -> datetime | None:
    """The next run that the server itself has planned for a job."""
    planned = FlowRunFilter(
        expected_start_time=FlowRunFilterExpectedStartTime(after_=now),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
    )
    return min((run.expected for run in _runs(job.id, planned, RUNS_LOOKED_AT) if run.scheduled), default=None)


def slots_after(job: Job, moment: datetime) -> list[datetime]:
    """The next two slots of the job after a moment; fewer if its schedule ends."""
    dates: set[datetime] = set()
    for each in job.schedules:
        schedule = _SCHEDULE.validate_python(each)
        start = moment + timedelta(seconds=1)
        dates.update(asyncio.run(schedule.get_dates(n=2, start=start)))
    return sorted(dates)[:2]


def silence(job: Job, runs: Iterable[Run], now: datetime) -> tuple[datetime | None, datetime] | None:
    """The last success, if any, and the slot that should have brought another; None if the job is not late.

    A schedule that was deployed anew asks for nothing that was due before. Who does its work in the foreground while it
    is paused has times of their own: until the slot after.
    """
    grace = admission_settings().grace
    at_work = any(run.state in AT_WORK for run in runs)
    success = last_success(job, now)
    due = slots_after(job, max(filter(None, (success, job.since))))  # none without a schedule
    since = silent_since(due, now, grace, at_work=at_work)
    if since and (done := _done_in_foreground(job, job.subject, since)):
        success = done
        since = silent_since(slots_after(job, done), now, grace, at_work=at_work or job.paused)
    return (success, since) if since else None


def _done_in_foreground(job: Job, subject: str, since: datetime) -> datetime | None:
    """When a run of no deployment last did the job's work, since then; what another deployment did may differ."""
    if job.name not in SUBJECTS:
        return None
    with transaction() as connection:
        done = task_runs.done_since(connection, job.name, subject, since)
    for at, flow_run in done:
        run = _flow_run(flow_run)
        if run is None or run.deployment_id is None:
            return at
    return None


def _runs(deployment: UUID, wanted: FlowRunFilter, limit: int) -> list[Run]:
    with _prefect() as client:
        found = client.read_flow_runs(
            flow_run_filter=wanted,
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=limit,
        )
    return [_run(each) for each in found]


def _run(said: FlowRun) -> Run:
    state, expected = said.state, said.expected_start_time or datetime.now(UTC)
    named = slot_of(said.tags)
    return Run(
        id=str(said.id),
        parameters=said.parameters,
        expected=expected,
        slot=named or expected,
        scheduled=SCHEDULED in said.tags,
        stands_in=named is not None,
        state=state.type.value if state else "SCHEDULED",
        name=(state.name if state else None) or "Scheduled",
        since=state.timestamp if state else expected,
        preview=bool(said.parameters.get("preview")),
    )


@contextmanager
def _prefect() -> Iterator[SyncPrefectClient]:
    """Prefect's server.

    Raises:
        JobError: it does not answer as it should.
    """
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (httpx.HTTPError, PrefectException) as error:
        raise JobError(f"Prefect's server does not answer as it should: {error}") from error


# ---------------------------------------------------------------------- what was lost is started again


@_step(task_run_name="make-up-lost-slots")
def make_up_lost_slots(watched: list[Job], now: datetime) -> int:
    """Start one run for each job whose last slot was lost, and tell; returns how many were started."""
    grace = admission_settings().grace

    def make_up(job: Job) -> int:
        runs = runs_of(job, now)
        for each in _lost_by_people(job, runs, now, grace):
            with transaction() as connection:
                about = job.about(each.run.parameters)
                if task_runs.made_good(connection, job.name, about, each.run.id, each.run.expected):
                    continue
            _tell(job, each, _LATE if each.trouble == "late" else "start it again, if it is still wanted")
        lost = None if job.paused else lost_slot(runs, now, grace)
        if lost is None or _done_in_foreground(job, job.about(lost.run.parameters), lost.run.slot):
            return 0
        return _make_up(job, lost)

    return sum(_for_each(watched, _deployment, make_up))


def _for_each(watched: Iterable[S], name: Callable[[S], str], act: Callable[[S], T]) -> list[T]:
    """What `act` returns for each; what cannot be done for one is said after the others had their turn."""
    done, problems = [], []
    for each in watched:
        try:
            done.append(act(each))
        except (DatabaseError, SettingsError):  # these are of all of them
            raise
        except JobError as refusal:
            problems.append(f"{name(each)}: {refusal}")
        except Exception as fault:  # noqa: BLE001 - ours, or a deployment's: it keeps no other from being watched
            get_run_logger().exception("%s cannot be watched", name(each))
            problems.append(f"{name(each)}: {type(fault).__name__}: {fault}")
    if problems:
        raise JobError("; ".join(problems))
    return done


def _deployment(job: Job) -> str:
    return job.deployment


def _lost_by_people(job: Job, runs: list[Run], now: datetime, grace: timedelta) -> list[Lost]:
    """Runs that somebody asked for a day ago at most, that came to nothing, and whose like has not succeeded since."""
    asked = [run for run in runs if not run.scheduled and not run.stands_in and now - run.expected < REMIND_AFTER]
    succeeded = {job.about(run.parameters): run.expected for run in reversed(runs) if run.succeeded}
    return [
        Lost(run, what)
        for run in asked
        if (what := trouble(run, now, grace)) and run.expected > succeeded.get(job.about(run.parameters), _NEVER)
    ]


@_step(task_run_name="go-on-with-abandoned-imports")
def go_on_with_abandoned(watched: list[Job], now: datetime) -> int:
    """Start one run for each import that nobody works on although nobody finished it; returns how many."""
    with transaction() as connection:
        units = task_runs.abandoned(connection, crm.JOB)
    by_id = {job.id: job for job in watched}

    def go_on(unit: RowMapping) -> int:
        return _go_on(unit["id"], unit["subject"], unit["flow_run_id"], by_id, now)

    return sum(_for_each(units, lambda unit: f"import {unit['id']}", go_on))


def _go_on(unit: int, subject: str, flow_run: UUID | None, watched: Mapping[UUID, Job], now: datetime) -> int:
    said = _flow_run(flow_run)
    job = watched.get(said.deployment_id) if said and said.deployment_id else None
    if job is not None and job.paused:
        return 0
    if said is None or job is None:
        sentence = f"Import {unit} was broken off and cannot go on by itself: start it again, it goes on where it was."
        if not _overtaken(unit):
            with transaction() as connection:
                failing(connection, Failure(crm.JOB, subject, sentence, flow_run))
        return 0
    run = _run(said)
    if run.state == "CANCELLED":
        with transaction() as connection:
            task_runs.cancel(connection, run.id)
        return 0
    attempts = _runs(job.id, FlowRunFilter(tags=FlowRunFilterTags(all_=[tag(run.slot)])), RUNS_LOOKED_AT)
    # Nobody holds its lock: whatever Prefect still believes of the run itself, its process is gone.
    lost: Lost | None = Lost(run, "crashed", len(attempts))
    if attempts and max(attempts, key=lambda each: each.expected).id != run.id:
        lost = lost_again(run, attempts, now, admission_settings().grace)
    elif run.state in AT_WORK - {"RUNNING"}:
        return 0
    if (lost is None or not lost.can_be_made_up) and _overtaken(unit):
        return 0
    return _make_up(job, lost) if lost else 0


def _overtaken(unit: int) -> bool:
    """Whether another version of the workbook was imported since: then nobody has to go on, and nothing is kept."""
    with transaction() as connection:
        overtaken = task_runs.fail_overtaken(connection, unit)
        if overtaken:
            staging.drop_staging(connection, unit)
    return overtaken


def _flow_run(flow_run: UUID | None) -> FlowRun | None:
    """A run; None if this server does not know it, as one of the foreground with a server of its own."""
    if flow_run is None:
        return None
    with _prefect() as client:
        found = client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])))
    return found[0] if found else None


def _make_up(job: Job, lost: Lost) -> int:
    """Start the run that stands in for a lost one; how many were started."""
    if lost.trouble == "late":
        _tell(job, lost, _LATE)
        return 0
    if not lost.can_be_made_up:
        advice = f"it was started again {MOST_ATTEMPTS} times in vain: its log says more, start it by hand"
        _tell(job, lost, advice, "given-up")  # that it fails was told when it was started again
        return 0
    attempt = lost.attempts + 1
    with _prefect() as client:
        if lost.trouble == "stuck":
            ended: State[Any] = Crashed(
                message="Stuck before its start; the watchdog started another run in its place."
            )
            client.set_flow_run_state(UUID(lost.run.id), ended, force=True)
        started = client.create_flow_run_from_deployment(
            job.id,
            parameters=dict(lost.run.parameters),
            tags=[tag(lost.run.slot)],
            idempotency_key=f"{WATCHDOG}:{job.id}:{lost.run.slot.astimezone(UTC).isoformat()}:{attempt}",
        )
    get_run_logger().warning(
        "%s: the run of %s %s; started %s in its place (attempt %s of %s)",
        job.deployment,
        _when(lost.run.slot),
        _WORDS[lost.trouble],
        started.name,
        attempt,
        MOST_ATTEMPTS,
    )
    _tell(job, lost, f"it is started again by itself, up to {MOST_ATTEMPTS} times")
    return 1


_WORDS = {
    "crashed": "was broken off, its process died",
    "missed": "was missed, nobody could start it in time",
    "stuck": "is stuck before its start",
    "late": "has not started",
}
_LATE = "no worker has taken it; python -m deployments.doctor says what is wrong"


def _tell(job: Job, lost: Lost, advice: str, event: str = "failing") -> None:
    sentence = f"The run of {_when(lost.run.slot)} {_WORDS[lost.trouble]}: {advice}."
    failure = Failure(job.name, job.about(lost.run.parameters), sentence, lost.run.id, _page(lost.run.id))
    with transaction() as connection:
        failing(connection, failure, event=event)


def _page(run: str) -> str | None:
    return url_for("flow-run", obj_id=run)


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


# ---------------------------------------------------------------------- what is silent, or works again


@_step(task_run_name="listen-for-silence")
def listen_for_silence(watched: list[Job], now: datetime) -> int:
    """Tell which jobs should have had a success by now, and which work again; returns how many are late."""

    def listen(job: Job) -> bool:
        runs = runs_of(job, now)
        _tell_failed_or_working(job, runs)
        if (silent := silence(job, runs, now)) is None:
            return False
        _tell_silent(job, *silent)
        return True

    return sum(_for_each(watched, _deployment, listen))


def _tell_silent(job: Job, success: datetime | None, since: datetime) -> None:
    last = f"its last success was that of {_when(success)}" if success else "it has never had one"
    why = "its deployment is paused, or has no active schedule" if job.paused else "its last runs say more"
    sentence = f"No success although one was due at {_when(since)}; {last}. {why[0].upper()}{why[1:]}."
    with transaction() as connection:
        known = [each.subject for each in episodes.still_open(connection, job.name)]
        if not any(fnmatchcase(subject, job.subject) for subject in known):  # a file of the pattern is told already
            failing(connection, Failure(job.name, job.subject, sentence))


def _tell_failed_or_working(job: Job, runs: list[Run]) -> None:
    """For a job that does not tell it itself, that it fails; for any, that what the watchdog told of it is over."""
    ours = [run for run in runs if run.scheduled or run.stands_in or job.about(run.parameters) == job.subject]
    ended = [run for run in ours if run.succeeded or run.state == "FAILED"]
    if not ended:
        return
    last = max(ended, key=lambda run: run.since)
    with transaction() as connection:
        if last.state == "FAILED" and job.name not in SUBJECTS:
            sentence = f"The run of {_when(last.slot)} failed: its page says why."
            failing(connection, Failure(job.name, job.subject, sentence, last.id, _page(last.id)))
        began = [each.began_at for each in episodes.still_open(connection, job.name) if each.subject == job.subject]
        if last.succeeded and last.name != HELD and began and last.since > began[0]:
            working(connection, job.name, job.subject)


@_step(task_run_name="remind-of-held-sets")
def remind_of_held(now: datetime) -> int:
    """Remind, once, of what has been held for a day; returns how many sources that are."""
    with transaction() as connection:
        held = embassies.held_since(connection, mofa.JOB, now - REMIND_AFTER)
        for each in held:
            told = message.held_candidate(
                each["source"],
                each["id"],
                each["why"],
                found=each["found"],
                known=each["known"],
                since=each["since"].astimezone(UTC),
            )
            key = f"{mofa.held_incident(each['source'], each['compared_with'])}:reminder"
            enqueue(connection, key, channel_ids(), told)
    return len(held)


# ---------------------------------------------------------------------- traces


@_step(task_run_name="remove-old-traces")
def remove_old_traces(now: datetime) -> int:
    """Remove result files, sent messages, ended episodes, rows of slots not run and staged rows, once old; how many."""
    before = now - timedelta(days=watch_settings().keep_days)
    with transaction() as connection:
        removed = notifications.forget_sent(connection, before) + task_runs.forget_not_run(connection, before)
        removed += episodes.forget(connection, before)
    with transaction() as connection:
        removed += staging.forget_staging(connection, crm.PREVIEW, before)
    storage = PREFECT_LOCAL_STORAGE_PATH.value()
    for file in (storage / RESULTS).rglob("*") if storage else ():
        try:
            if file.is_file() and file.stat().st_mtime < before.timestamp():
                file.unlink()
                removed += 1
        except OSError:  # another worker on this machine was faster
            continue
    return removed
