"""What Prefect's server says about the project's deployments and their runs, and how a backfill run is started."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect import State, get_run_logger
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
from prefect.states import Crashed
from prefect.utilities.urls import url_for
from pydantic import TypeAdapter

from db.display import redacted, redacted_in
from db.errors import JobError
from db.times import time_text
from tasks.crm import steps as crm
from tasks.mofa import steps as mofa
from tasks.mofa.steps.digest import JOB as MONITOR
from tasks.slot import SCHEDULED, slot_of, tag
from tasks.watch.slots import MAX_ATTEMPTS, LostRun, Run

WATCHDOG = "watchdog"
NEWEST_RUNS = 100  # of a deployment that are read; more than a day of a job that runs every quarter of an hour
_SCHEDULE: TypeAdapter[Any] = TypeAdapter(SCHEDULE_TYPES)

# Jobs that report their own failures -> the subject of a run, by its parameters.
SUBJECTS: Mapping[str, Callable[[dict[str, Any]], str]] = {
    crm.JOB: crm.subject,
    MONITOR: mofa.subject,
}


@dataclass(frozen=True)
class Job:
    """A deployment of this project."""

    id: UUID
    name: str  # of its flow
    deployment: str  # flow/deployment, as people write it
    paused: bool  # or without an active schedule
    schedules: tuple[dict[str, Any], ...]  # the active ones; all of them if none is active
    since: datetime  # when a schedule was last changed
    parameters: dict[str, Any]

    @property
    def subject(self) -> str:
        """The subject of its scheduled runs."""
        return self.subject_of(self.parameters)

    def subject_of(self, parameters: Mapping[str, Any]) -> str:
        """The subject of a run with these parameters."""
        known = SUBJECTS.get(self.name)
        return known(dict(parameters)) if known else self.deployment


def jobs() -> list[Job]:
    """The deployments of this project: those whose entry point is a module in flows/.

    A server may serve other projects as well.

    Raises:
        JobError: the server does not answer.
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
    return _runs(job.id, FlowRunFilter(expected_start_time=FlowRunFilterExpectedStartTime(before_=now)))


def backfills_of(job: Job, slot: datetime) -> list[Run]:
    """The backfill runs of a slot."""
    return _runs(job.id, FlowRunFilter(tags=FlowRunFilterTags(all_=[tag(slot)])))


def last_success(job: Job, now: datetime) -> datetime | None:
    """When the last run was due that did the work of the job's schedule, or found it done."""
    completed = FlowRunFilter(
        expected_start_time=FlowRunFilterExpectedStartTime(before_=now),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.COMPLETED])),
    )
    found = [run for run in _runs(job.id, completed) if run.succeeded]
    return max((run.expected for run in found if is_of_schedule(job, run)), default=None)


def is_of_schedule(job: Job, run: Run) -> bool:
    """Whether a run does the work of the job's schedule, also if a person started it."""
    return run.scheduled or run.is_backfill or job.subject_of(run.parameters) == job.subject


def next_planned(job: Job, now: datetime) -> datetime | None:
    """The next run that the server has scheduled for a job."""
    planned = FlowRunFilter(
        expected_start_time=FlowRunFilterExpectedStartTime(after_=now),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
    )
    return min((run.expected for run in _runs(job.id, planned) if run.scheduled), default=None)


def slots_after(job: Job, moment: datetime) -> list[datetime]:
    """The next two slots of the job after a moment; fewer if its schedule ends."""
    dates: set[datetime] = set()
    for each in job.schedules:
        schedule = _SCHEDULE.validate_python(each)
        start = moment + timedelta(seconds=1)
        dates.update(asyncio.run(schedule.get_dates(n=2, start=start)))
    return sorted(dates)[:2]


def flow_run(run_id: UUID | None) -> FlowRun | None:
    """A flow run; None if this server does not know it: a run in the foreground may have had a server of its own."""
    if run_id is None:
        return None
    with _prefect() as client:
        found = client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))
    return found[0] if found else None


def page_of(run_id: str) -> str | None:
    """The address of the run's page in the UI."""
    page = url_for("flow-run", obj_id=run_id)
    return page and redacted(page)


def start_backfill(job: Job, lost: LostRun) -> None:
    """Start a new run in place of a lost one: the same parameters, and a tag with the slot.

    Not by rescheduling the lost run: Prefect would submit it twice. The idempotency key of slot and attempt ensures
    that two watchdogs start one run.
    """
    attempt = lost.attempts + 1
    with _prefect() as client:
        if lost.reason == "stuck":
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
        "%s: the run of %s is lost (%s); started %s in its place (attempt %s of %s)",
        job.deployment,
        time_text(lost.run.slot),
        lost.reason,
        started.name,
        attempt,
        MAX_ATTEMPTS,
    )


def _runs(deployment: UUID, wanted: FlowRunFilter) -> list[Run]:
    with _prefect() as client:
        found = client.read_flow_runs(
            flow_run_filter=wanted,
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=NEWEST_RUNS,
        )
    return [run_of(each) for each in found]


def run_of(found: FlowRun) -> Run:
    """What this module's callers need to know of a flow run."""
    state, expected = found.state, found.expected_start_time or datetime.now(UTC)
    backfilled = slot_of(found.tags)
    return Run(
        id=str(found.id),
        parameters=found.parameters,
        expected=expected,
        slot=backfilled or expected,
        scheduled=SCHEDULED in found.tags,
        is_backfill=backfilled is not None,
        state=state.type.value if state else "SCHEDULED",
        name=(state.name if state else None) or "Scheduled",
        since=state.timestamp if state else expected,
        preview=bool(found.parameters.get("preview")),
    )


@contextmanager
def _prefect() -> Iterator[SyncPrefectClient]:
    """A client of Prefect's server.

    Raises:
        JobError: the server does not answer as expected.
    """
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (httpx.HTTPError, PrefectException) as error:
        raise JobError(f"Prefect's server does not answer as expected: {redacted_in(error)}. See its log") from error
