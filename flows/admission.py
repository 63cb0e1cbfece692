"""Admission: may this run start now? One line in any flow, sync or async, between @flow and the function.

    @flow(name="my_job")
    @admission(subject=itemgetter("source"))  # or @admission(), where all runs of the job count together
    def my_job(source: str) -> ...

Counted for each job and subject:
- A run of the schedule more than TASK_MISFIRE_GRACE seconds late does not start: it ends as *Missed*.
- Of several slots of a deployment that are due together only the newest starts, the others end as *Missed*.
- While TASK_MAX_INSTANCES runs are at work a run of the schedule ends as *Skipped*. One that a person or the API
  started waits its turn, shown as *Waiting*, and is never missed.

Missed and Skipped are Cancelled states, so that nothing retries them and they alarm nobody, and rows in `task_runs`
that say why. Who is at work is decided in the database (`db.instances`): Prefect's own limits keep places for the dead.

A run that is cancelled leaves its units of work cancelled in `task_runs`: only a person goes on with them.
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

from db import task_runs
from db.engine import DatabaseError, DatabaseUnavailableError, transaction
from db.instances import Instance
from db.settings import SettingsError
from tasks.admission_settings import admission_settings
from tasks.slot import by_schedule

P = ParamSpec("P")
R = TypeVar("R")
Subject = Callable[[dict[str, Any]], str | None]

LOOK = 1.0  # seconds between two looks of a run that waits
LOST_LOOKS = 60  # so often in a row the database may not answer before a run gives up waiting

# Who else is told what a run waits for: the terminal of a run in the foreground.
listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


def admission(subject: Subject = lambda _parameters: None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a run of the decorated function start only when it may; see the module.

    Args:
        subject: what the run is about, of its parameters (defaults included); runs about other things never meet.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        def subject_of(parameters: dict[str, Any]) -> str | None:
            given = signature.bind(**parameters)
            given.apply_defaults()
            return subject(given.arguments)

        def turn(*args: P.args, **kwargs: P.kwargs) -> Turn:
            return Turn(subject_of, signature.bind(*args, **kwargs).arguments)

        @wraps(function)
        def admitted(*args: P.args, **kwargs: P.kwargs) -> Any:
            with turn(*args, **kwargs) as mine:
                while not mine.came():
                    time.sleep(LOOK)
                return mine.refusal if mine.refusal is not None else function(*args, **kwargs)

        @wraps(function)
        async def admitted_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            with turn(*args, **kwargs) as mine:
                while not await asyncio.to_thread(mine.came):  # noqa: ASYNC110 - the event is in another process
                    await asyncio.sleep(LOOK)
                wanted = cast("Callable[P, Coroutine[Any, Any, Any]]", function)
                return mine.refusal if mine.refusal is not None else await wanted(*args, **kwargs)

        return cast("Callable[P, R]", admitted_async if inspect.iscoroutinefunction(function) else admitted)

    return decorate


class Turn:
    """One run on its way to its start, and the place it keeps while it works.

    Attributes:
        refusal: once it came, the state in which the run ends instead of starting.
    """

    def __init__(self, subject_of: Subject, parameters: dict[str, Any]) -> None:
        self.refusal: State[Any] | None = None
        self._subject_of, self._parameters = subject_of, parameters
        self._job, self._run = str(flow_run.flow_name), UUID(str(flow_run.id))
        self._subject: str | None = None
        self._by_schedule = by_schedule()
        self._place: Instance | None = None
        self._waits = False
        self._lost_looks = 0
        self._looking = threading.Lock()  # an async flow that is cancelled leaves a look behind in its thread
        self._left = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None and not isinstance(error, Exception):  # stopped by the system, or by a person
                state = self._state()
                if state is not None and (state.is_cancelling() or state.is_cancelled()):
                    with transaction() as connection:
                        task_runs.cancel(connection, self._run)
        except DatabaseError as failure:
            get_run_logger().warning("it could not be written down that this run was cancelled: %s", failure)
        finally:
            with self._looking:
                self._left = True
                if self._place is not None:
                    self._place.leave()

    def came(self) -> bool:
        """Look once: whether the waiting is over. The run may start then, or `refusal` says why it may not."""
        with self._looking:
            if self._left:
                return True
            try:
                return self._look()
            except (DatabaseError, SettingsError) as error:
                self.refusal = Failed(message=str(error))
                return True

    def _look(self) -> bool:
        limit = admission_settings().task_max_instances
        if self._place is None:
            self._subject = self._subject_of(self._parameters)
            if self._by_schedule and (why := self._missed()):
                return self._refuse("Missed", why)
            self._place = Instance(self._job, self._subject, str(self._run))
        try:
            taken = self._place.take(limit)
            holders = [] if taken else self._place.holders(limit)
        except DatabaseUnavailableError:
            self._lost_looks += 1
            if not self._waits or self._lost_looks > LOST_LOOKS:
                raise
            return False
        self._lost_looks = 0
        if taken:
            if self._waits:
                self._was_cancelled(Running())
            return True
        why = (
            f"{self._what()} is at work already{', in flow run ' if holders else ''}{' and '.join(holders)}; "
            f"TASK_MAX_INSTANCES lets {limit} at once"
        )
        if self._by_schedule:
            return self._refuse("Skipped", f"skipped: {why}")
        return self._wait(f"waits for its turn: {why}")

    def _missed(self) -> str | None:
        """Why this run of the schedule comes too late. One that a person moved to another time is that person's."""
        with get_client(sync_client=True) as client:
            run = client.read_flow_run(self._run)
            states = sorted(client.read_flow_run_states(self._run), key=lambda state: state.timestamp)
            last = max((at for at, state in enumerate(states) if state.is_scheduled()), default=None)
            slot = run.expected_start_time
            if last is None or slot is None or states[last].state_details.scheduled_time != slot:
                self._by_schedule = False
                return None
            newer = self._newer(client, run, slot, states[last + 1].timestamp)
        grace = admission_settings().task_misfire_grace
        if (late := _now() - slot) > timedelta(seconds=grace):
            return (
                f"missed: it was due at {_shown(slot)} and is {late.total_seconds():.0f} s late, more than "
                f"TASK_MISFIRE_GRACE ({grace} s) allows; start it by hand if it is still wanted"
            )
        if newer is not None:
            due = _shown(cast("datetime", newer.expected_start_time))
            return f"missed: the slot of {due} is due as well and stands for this one, flow run {newer.id}"
        return None

    def _newer(self, client: SyncPrefectClient, run: FlowRun, slot: datetime, taken: datetime) -> FlowRun | None:
        """The newest later slot that was due when a worker took this run: of those due by now none might ever start."""
        if run.deployment_id is None:
            return None
        later = FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[run.deployment_id]),
            tags=FlowRunFilterTags(all_=["auto-scheduled"]),
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
            task_runs.record_decision(
                connection, self._job, self._run, status=name.lower(), subject=self._subject, why=why
            )
        get_run_logger().warning(why)
        self.refusal = Cancelled(name=name, message=why)
        return True

    def _wait(self, why: str) -> bool:
        if self._waits:
            return self._was_cancelled()
        self._waits = True
        get_run_logger().info(why)
        if (tell := listener.get()) is not None:
            tell(why)
        return self._was_cancelled(Running(name="Waiting", message=why))

    def _was_cancelled(self, shown: State[Any] | None = None) -> bool:
        """Whether somebody ended this run while it waited; shows the state `shown` on its page if nobody did."""
        state = self._state(shown)
        if state is None or not (state.is_cancelling() or state.is_final()):
            return False
        self.refusal = Cancelled(message="cancelled while it waited for its turn")
        return True

    def _state(self, new: State[Any] | None = None) -> State[Any] | None:
        """The run's state on the server, after `new` was asked for; None while the server is away."""
        try:
            with get_client(sync_client=True) as client:
                if new is not None:
                    client.set_flow_run_state(self._run, new)  # which is refused for a run that is being cancelled
                return client.read_flow_run(self._run).state
        except (httpx.HTTPError, PrefectHTTPStatusError):
            return None

    def _what(self) -> str:
        return f"{self._job} for {self._subject}" if self._subject else self._job


def _now() -> datetime:
    return datetime.now(UTC)


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
