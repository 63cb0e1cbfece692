"""Admission: decides whether a run may start now. One line in any flow, sync or async, between @flow and the function.

    @flow(name="my_job")
    @admission(subject=itemgetter("source"))  # or @admission(), to count all runs of the job together
    def my_job(source: str) -> ...

Counted for each job and subject:
- A scheduled run that is more than TASK_MISFIRE_GRACE seconds late ends as *Missed*.
- Of several slots of a deployment that are due together only the newest starts; the others end as *Missed*.
- While TASK_MAX_INSTANCES runs are working, a scheduled run ends as *Skipped*. A run that a person or the API started
  waits, shown as *Waiting*, and is never missed.

Missed and Skipped are Cancelled states, so that nothing retries them and nobody is alerted. The reason is also in a row
of `task_runs`. The database decides which runs are working (`db.instances`): Prefect's own limits still count runs that
have died.

How each run ended is counted in `job_runs`, for metrics.

When a run is cancelled, its units of work become cancelled in `task_runs`: only a person resumes them.
"""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast
from uuid import UUID

import httpx
from prefect import State, get_client, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runtime import flow_run
from prefect.states import Cancelled, Failed, Running

from db import job_runs, task_run_status
from db.engine import DatabaseError, DatabaseUnavailableError, transaction
from db.instances import Instance
from db.settings import SettingsError
from db.times import duration_text, time_text
from tasks.admission_settings import admission_settings
from tasks.json_log import describe_run
from tasks.slot import SCHEDULED, by_schedule
from tasks.state_names import HELD, MISSED, SKIPPED

P = ParamSpec("P")
R = TypeVar("R")
Subject = Callable[[dict[str, Any]], str | None]

POLL_SECONDS = 1.0  # between two polls of a run that waits
MAX_UNANSWERED_POLLS = 60  # polls in a row that the database may not answer before a waiting run fails

# Called with the reason when a run starts to wait; a run in the foreground prints it.
listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


def admission(subject: Subject = lambda _parameters: None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a run of the decorated flow function start only when it may: see the module.

    Args:
        subject: returns the subject of a run from its parameters, defaults included; runs of different subjects do not
            count together.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        def subject_of(parameters: dict[str, Any]) -> str | None:
            given = signature.bind(**parameters)
            given.apply_defaults()
            return subject(given.arguments)

        def gate_of(*args: P.args, **kwargs: P.kwargs) -> AdmissionGate:
            return AdmissionGate(subject_of, signature.bind(*args, **kwargs).arguments)

        @wraps(function)
        def admitted(*args: P.args, **kwargs: P.kwargs) -> Any:
            with gate_of(*args, **kwargs) as gate:
                while not gate.poll():
                    time.sleep(POLL_SECONDS)
                return gate.refusal if gate.refusal is not None else gate.end(function(*args, **kwargs))

        @wraps(function)
        async def admitted_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            with gate_of(*args, **kwargs) as gate:
                while not await asyncio.to_thread(gate.poll):  # noqa: ASYNC110 - the event is in another process
                    await asyncio.sleep(POLL_SECONDS)
                wanted = cast("Callable[P, Coroutine[Any, Any, Any]]", function)
                return gate.refusal if gate.refusal is not None else gate.end(await wanted(*args, **kwargs))

        return cast("Callable[P, R]", admitted_async if inspect.iscoroutinefunction(function) else admitted)

    return decorate


class AdmissionGate:
    """Decides whether one run may start, and counts it while it works.

    Attributes:
        refusal: set by the last poll if the run must not start: the state in which it ends.
    """

    def __init__(self, subject_of: Subject, parameters: dict[str, Any]) -> None:
        self.refusal: State[Any] | None = None
        self._subject_of, self._parameters = subject_of, parameters
        self._job, self._run = str(flow_run.flow_name), UUID(str(flow_run.id))
        parent = flow_run.parent_flow_run_id  # the run of which this one is a part
        self._parent = UUID(parent) if parent else None
        self._subject: str | None = None
        self._by_schedule = by_schedule()
        self._instance: Instance | None = None
        self._began: float | None = None  # when it started to work
        self._outcome: str | None = None  # how it ended; None: it raised an exception
        self._waiting = False
        self._unanswered = 0
        self._polling = threading.Lock()  # an async flow that is cancelled leaves a poll behind in its thread
        self._left = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None and not isinstance(error, Exception):  # stopped by the system or by a person
                self._outcome = "interrupted"
                states = (self._state(run=run) for run in (self._run, self._parent) if run)
                if any(state is not None and (state.is_cancelling() or state.is_cancelled()) for state in states):
                    self._outcome = "cancelled"
                    with transaction() as connection:
                        task_run_status.cancel(connection, self._run)
        except DatabaseError as failure:
            get_run_logger().warning("the cancellation of this run could not be recorded: %s", failure)
        finally:
            with self._polling:
                self._left = True
                if self._instance is not None:
                    self._instance.release()
            self._record_run()
            if self._parent:
                describe_run(self._parent)

    def end(self, result: R) -> R:
        """Take the result of the run, or the state in which it ends, and return it."""
        self._outcome = _outcome(result) if isinstance(result, State) else "completed"
        return result

    def _record_run(self) -> None:
        """Count the run, for metrics; not one that could not be admitted because the database or a setting failed."""
        if self.refusal is not None and not self.refusal.is_failed():
            self._outcome = _outcome(self.refusal)
        elif self._began is None:
            return
        seconds = None if self._began is None else time.monotonic() - self._began
        try:
            with transaction() as connection:
                job_runs.record_run(connection, self._job, self._subject, self._outcome or "failed", seconds)
        except DatabaseError as failure:
            get_run_logger().warning("the end of this run could not be counted: %s", failure)

    def poll(self) -> bool:
        """Whether the decision is made: the run may start, or `refusal` is set; False while the run has to wait."""
        with self._polling:
            if self._left:
                return True
            try:
                return self._decide()
            except (DatabaseError, SettingsError) as error:
                self.refusal = Failed(message=str(error))
                return True

    def _decide(self) -> bool:
        limit = admission_settings().task_max_instances
        if self._instance is None:
            self._subject = self._subject_of(self._parameters)
            describe_run(self._run, job=self._job, subject=self._subject)
            if self._by_schedule and (why := self._missed()):
                return self._refuse(MISSED, why)
            self._instance = Instance(self._job, self._subject, str(self._run))
        try:
            acquired = self._instance.acquire(limit)
            holders = [] if acquired else self._instance.holders(limit)
        except DatabaseUnavailableError:
            self._unanswered += 1
            if not self._waiting or self._unanswered > MAX_UNANSWERED_POLLS:
                raise
            return False
        self._unanswered = 0
        if acquired:
            self._began = time.monotonic()
            if self._waiting:
                self._was_cancelled(Running())
            return True
        why = (
            f"{self._what()} is already running{', in flow run ' if holders else ''}{' and '.join(holders)}; "
            f"TASK_MAX_INSTANCES allows {limit} at once"
        )
        if self._by_schedule:
            return self._refuse(SKIPPED, f"skipped: {why}")
        return self._wait(f"waits: {why}")

    def _missed(self) -> str | None:
        """Why this scheduled run must not start; a run that a person moved to another time counts as that person's."""
        with get_client(sync_client=True) as client:
            run = client.read_flow_run(self._run)
            states = sorted(client.read_flow_run_states(self._run), key=lambda state: state.timestamp)
            last = max((at for at, state in enumerate(states) if state.is_scheduled()), default=None)
            slot = run.expected_start_time
            if last is None:  # a part of a scheduled run: that one was in time
                return None
            if slot is None or states[last].state_details.scheduled_time != slot:
                self._by_schedule = False
                return None
            newer = self._newer(client, run, slot, states[last + 1].timestamp)
        grace = admission_settings().task_misfire_grace
        if (late := _now() - slot) > timedelta(seconds=grace):
            return (
                f"missed: it was due at {time_text(slot)} and is {duration_text(late.total_seconds())} late, more than "
                f"TASK_MISFIRE_GRACE ({grace} s) allows; start it by hand if it is still wanted"
            )
        if newer is not None:
            due = time_text(cast("datetime", newer.expected_start_time))
            return f"missed: the later slot of {due} is due as well and runs instead, in flow run {newer.id}"
        return None

    def _newer(self, client: SyncPrefectClient, run: FlowRun, slot: datetime, taken: datetime) -> FlowRun | None:
        """The newest later slot that was due when a worker took this run.

        Not the newest that is due now: with a slow worker, each run would then give way to a later one.
        """
        if run.deployment_id is None:
            return None
        later = FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[run.deployment_id]),
            tags=FlowRunFilterTags(all_=[SCHEDULED]),
            expected_start_time=FlowRunFilterExpectedStartTime(after_=slot, before_=taken),
            state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=[StateType.CANCELLED])),
        )
        found = client.read_flow_runs(flow_run_filter=later, sort=FlowRunSort.EXPECTED_START_TIME_DESC)
        return next(
            (
                each
                for each in found
                if each.expected_start_time != slot and self._subject_of(each.parameters) == self._subject
            ),
            None,
        )

    def _refuse(self, name: str, why: str) -> bool:
        with transaction() as connection:
            task_run_status.record_decision(
                connection, self._job, self._run, status=name.lower(), subject=self._subject, why=why
            )
        get_run_logger().warning(why)
        self.refusal = Cancelled(name=name, message=why)
        return True

    def _wait(self, why: str) -> bool:
        if self._waiting:
            return self._was_cancelled()
        self._waiting = True
        get_run_logger().info(why)
        if (listen := listener.get()) is not None:
            listen(why)
        return self._was_cancelled(Running(name="Waiting", message=why))

    def _was_cancelled(self, shown: State[Any] | None = None) -> bool:
        """Whether this run was cancelled while it waited; if not, it gets the state `shown`."""
        state = self._state(shown)
        if state is None or not (state.is_cancelling() or state.is_final()):
            return False
        self.refusal = Cancelled(message="cancelled while it waited")
        return True

    def _state(self, new: State[Any] | None = None, run: UUID | None = None) -> State[Any] | None:
        """The state of this run, after a change to `new`, or of `run`; None while the server does not answer."""
        try:
            with get_client(sync_client=True) as client:
                if new is not None:
                    client.set_flow_run_state(self._run, new)  # the server refuses it for a run that is being cancelled
                return client.read_flow_run(run or self._run).state
        except (httpx.HTTPError, PrefectHTTPStatusError):
            return None

    def _what(self) -> str:
        return f"{self._job} for {self._subject}" if self._subject else self._job


def _outcome(state: State[Any]) -> str:
    """How a run ended, as job_runs.outcome names it."""
    if state.is_completed():
        return "held" if state.name == HELD else "completed"
    if state.is_cancelled():
        return str(state.name).lower() if state.name in {MISSED, SKIPPED} else "cancelled"
    return "failed"


def _now() -> datetime:
    return datetime.now(UTC)
