"""May this run start? Misfire grace, coalescing, max instances: real runs of a real server, and a real database."""

import asyncio
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prefect import Flow, State, flow, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import CronSchedule
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL
from prefect.states import AwaitingRetry, Cancelling, Completed, Failed, Pending, Scheduled
from psycopg.rows import dict_row
from support.databases import Database
from support.processes import Job, Process
from support.settings import forget_settings
from support.waiting import until

from db.engine import engine
from db.instances import Instance
from flows import admission as module
from flows.admission import admission
from tasks.state_names import HELD

pytestmark = pytest.mark.usefixtures("prefect_server", "database")

JOB = "a_job"
ABOUT = "lists/partners.xlsx"
SLOT = datetime(2026, 1, 5, 3, tzinfo=UTC)
ran: list[str] = []  # what the flows below did
working = threading.Event()  # a run is at work
finish = threading.Event()  # it may end


@flow(name=JOB)
@admission(subject=itemgetter("about"))
def a_job(about: str = ABOUT) -> str:
    """A flow like any other."""
    ran.append(about)
    return about


@flow(name=JOB)
@admission(subject=itemgetter("about"))
async def an_async_job(about: str = ABOUT) -> str:
    """The same, async."""
    ran.append(about)
    return about


@flow(name=JOB)
@admission(subject=itemgetter("about"))
def a_long_job(about: str = ABOUT) -> str:
    """At work until it may end."""
    working.set()
    assert finish.wait(60)
    ran.append(about)
    return about


@flow(name=JOB)
@admission(subject=itemgetter("about"))
def a_failing_job(about: str = ABOUT) -> State[Any]:
    """Ends as its subject says."""
    if about == "refused":
        return Failed(message="no")
    if about == "held":
        return Completed(name=HELD)
    raise ValueError(about)


each_kind = pytest.mark.parametrize("job", [a_job, an_async_job], ids=["sync", "async"])
Setting = Callable[..., None]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ran.clear()
    working.clear()
    finish.clear()
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)
    yield
    finish.set()


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    def set_it(**environment: str) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        forget_settings()

    return set_it


class Deployment:
    """A deployment on the server, with runs as its schedule makes them."""

    def __init__(self, cron: str = "* * * * *", timezone: str = "UTC", **parameters: Any) -> None:
        with get_client(sync_client=True) as client:
            flow_id = client.create_flow_from_name(JOB)
            self.id = client.create_deployment(
                flow_id, name=f"test-{uuid.uuid4()}", parameters=parameters, entrypoint="nowhere.nothing"
            )
            schedule = CronSchedule(cron=cron, timezone=timezone).model_dump(mode="json")
            path = {"id": self.id}
            client.request(
                "POST", "/deployments/{id}/schedules", path_params=path, json=[{"schedule": schedule, "active": True}]
            )

    def scheduled(self, start: datetime, end: datetime, least: int = 1) -> list[FlowRun]:
        """The runs that the server itself schedules from start to end."""
        with get_client(sync_client=True) as client:
            window = {"start_time": start.isoformat(), "end_time": end.isoformat(), "min_runs": least, "max_runs": 50}
            client.request("POST", "/deployments/{id}/schedule", path_params={"id": self.id}, json=window)
            runs = client.request(
                "POST",
                "/flow_runs/filter",
                json={"flow_runs": {"deployment_id": {"any_": [str(self.id)]}}, "sort": "EXPECTED_START_TIME_ASC"},
            )
        found = [FlowRun.model_validate(run) for run in runs.json()]
        return [run for run in found if run.expected_start_time and start <= run.expected_start_time <= end]

    def slot(self, due: datetime, **parameters: Any) -> FlowRun:
        """A run as the scheduler makes it."""
        return self.run(due, ["auto-scheduled"], **parameters)

    def run(self, due: datetime, tags: list[str], **parameters: Any) -> FlowRun:
        with get_client(sync_client=True) as client:
            return client.create_flow_run_from_deployment(
                self.id, state=Scheduled(scheduled_time=due), tags=tags, parameters=parameters
            )


def start(job: Flow[..., Any], run: FlowRun) -> State[Any]:
    """As the worker does: the run is taken, and its flow started in its parameters."""
    with get_client(sync_client=True) as client:
        if run.state and run.state.is_scheduled():
            client.set_flow_run_state(run.id, Pending())
        run = client.read_flow_run(run.id)
    ended = run_flow(job, flow_run=run, parameters=run.parameters, return_type="state")
    state: State[Any] = asyncio.run(ended) if asyncio.iscoroutine(ended) else ended
    return state


class Started(threading.Thread):
    """A run on its way, in a thread of its own."""

    def __init__(self, job: Flow[..., Any], run: FlowRun) -> None:
        super().__init__(daemon=True)
        self.job, self.flow_run = job, run
        self.state: State[Any] | None = None
        self.start()

    def run(self) -> None:
        self.state = start(self.job, self.flow_run)

    def ended(self) -> State[Any]:
        self.join(120)
        assert self.state is not None
        return self.state

    def shown(self) -> State[Any]:
        """The state on its page."""
        with get_client(sync_client=True) as client:
            state: State[Any] = client.read_flow_run(self.flow_run.id).state
        return state

    def waits(self) -> State[Any]:
        """The state on its page, once it waits."""
        return until(lambda: (state := self.shown()).name == "Waiting" and state, "it waits", 60)


def rows(database: str) -> list[dict[str, Any]]:
    with psycopg.connect(database, row_factory=dict_row) as connection:
        return connection.execute("SELECT * FROM task_runs ORDER BY id").fetchall()


def hand(**parameters: Any) -> FlowRun:
    """A run that a person or the API starts now."""
    return Deployment(**parameters).run(datetime.now(UTC), [])


@pytest.fixture
def busy() -> Iterator[Instance]:
    """Another run of the job is at work."""
    other = Instance(JOB, ABOUT, "another-run")
    assert other.acquire(1)
    yield other
    other.release()


# ---------------------------------------------------------------------- late


@each_kind
@pytest.mark.parametrize(("late", "starts"), [(299, True), (301, False)])
def test_a_slot_may_be_as_late_as_the_grace_and_no_second_more(
    job: Flow[..., Any], late: int, starts: bool, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_now", lambda: SLOT + timedelta(seconds=late))
    run = Deployment().slot(SLOT)
    state = start(job, run)
    if starts:
        assert (state.name, ran, rows(database)) == ("Completed", [ABOUT], [])
        return
    assert (state.name, state.type.value, ran) == ("Missed", "CANCELLED", [])
    assert "due at 2026-01-05 03:00 UTC and is 301 s late" in (state.message or "")
    [row] = rows(database)
    assert (row["name"], row["status"], row["subject"]) == (JOB, "missed", ABOUT)
    assert (row["flow_run_id"], row["last_error"]) == (run.id, state.message)


@pytest.mark.slow
def test_the_grace_is_a_setting(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    setting(TASK_MISFIRE_GRACE="10")
    monkeypatch.setattr(module, "_now", lambda: SLOT + timedelta(seconds=11))
    assert start(a_job, Deployment().slot(SLOT)).name == "Missed"


def test_what_a_person_starts_is_never_missed(database: str) -> None:
    """Over the API, with Retry of a missed run, or by moving a slot to another time."""
    deployment = Deployment()
    assert start(a_job, deployment.run(SLOT, [])).name == "Completed"
    missed = deployment.slot(SLOT)
    assert start(a_job, missed).name == "Missed"
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(missed.id, AwaitingRetry(), force=True)  # as Retry does
        assert start(a_job, client.read_flow_run(missed.id)).name == "Completed"
        moved = deployment.slot(SLOT + timedelta(minutes=1))
        client.set_flow_run_state(moved.id, Scheduled(scheduled_time=datetime.now(UTC)))
        assert start(a_job, client.read_flow_run(moved.id)).name == "Completed"
    assert len(ran) == 3
    assert [row["status"] for row in rows(database)] == ["missed"]


@pytest.mark.slow
def test_of_three_late_slots_only_the_newest_runs(setting: Setting, database: str) -> None:
    """Whichever of them is started first."""
    setting(TASK_MISFIRE_GRACE="100000000")
    slots = Deployment(cron="0 3 * * *").scheduled(SLOT, SLOT + timedelta(days=2, hours=1), least=3)
    assert [run.expected_start_time for run in slots] == [SLOT + timedelta(days=day) for day in range(3)]
    states = [start(a_job, slots[at]) for at in (1, 2, 0)]
    assert [state.name for state in states] == ["Missed", "Completed", "Missed"]
    assert ran == [ABOUT]
    for state in (states[0], states[2]):
        assert str(slots[2].id) in (state.message or "")
    assert [row["status"] for row in rows(database)] == ["missed", "missed"]


def test_slots_of_other_subjects_and_those_that_a_person_cancelled_stand_for_no_other(setting: Setting) -> None:
    setting(TASK_MISFIRE_GRACE="100000000")
    deployment = Deployment()
    older = deployment.slot(SLOT)
    deployment.slot(SLOT + timedelta(minutes=1), about="another")
    cancelled = deployment.slot(SLOT + timedelta(minutes=2))
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(cancelled.id, Cancelling())
    assert start(a_job, older).name == "Completed"


@pytest.mark.slow
def test_a_slot_that_came_due_after_a_worker_took_this_one_does_not_take_its_place() -> None:
    """Else a job whose start takes longer than its interval would never run."""
    deployment = Deployment()
    first = deployment.slot(datetime.now(UTC))
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(first.id, Pending())
        first = client.read_flow_run(first.id)
    assert first.state is not None
    due = first.state.timestamp + timedelta(seconds=1)
    second = deployment.slot(due)
    until(lambda: datetime.now(UTC) > due, "the second slot is due", 60)
    assert start(a_job, first).name == "Completed"
    assert start(a_job, second).name == "Completed"


# ---------------------------------------------------------------------- too many


@each_kind
def test_a_slot_is_skipped_while_another_run_is_running(job: Flow[..., Any], database: str, busy: Instance) -> None:
    run = Deployment().slot(datetime.now(UTC))
    state = start(job, run)
    assert (state.name, state.type.value, ran) == ("Skipped", "CANCELLED", [])
    assert ABOUT in (state.message or "")
    assert "another-run" in (state.message or "")
    [row] = rows(database)
    assert (row["status"], row["subject"], row["last_error"]) == ("skipped", ABOUT, state.message)
    busy.release()
    assert start(job, Deployment().slot(datetime.now(UTC))).name == "Completed"


@each_kind
def test_a_run_by_hand_waits_and_shows_it(job: Flow[..., Any], database: str, busy: Instance) -> None:
    started = Started(job, hand())
    shown = started.waits()
    assert shown.type.value == "RUNNING"
    assert "another-run" in (shown.message or "")
    assert not ran
    busy.release()
    assert started.ended().name == "Completed"
    assert ran == [ABOUT]
    assert rows(database) == []
    with get_client(sync_client=True) as client:
        states = [state.name for state in client.read_flow_run_states(started.flow_run.id)]
    assert states[-4:] == ["Running", "Waiting", "Running", "Completed"]


@pytest.mark.slow
def test_other_subjects_and_other_jobs_do_not_wait(busy: Instance) -> None:
    assert start(a_job, Deployment().slot(datetime.now(UTC), about="another")).name == "Completed"
    other = flow(name="another_job")(a_job.fn)
    assert other(return_state=True).name == "Completed"


@pytest.mark.slow
def test_an_instance_counts_to_the_end_of_the_run_and_no_longer() -> None:
    first = Started(a_long_job, hand())
    assert working.wait(60)
    assert start(a_job, Deployment().slot(datetime.now(UTC))).name == "Skipped"
    finish.set()
    assert first.ended().name == "Completed"
    assert start(a_job, Deployment().slot(datetime.now(UTC))).name == "Completed"


@pytest.mark.slow
def test_two_instances_let_two_work_and_no_third(setting: Setting, busy: Instance) -> None:
    setting(TASK_MAX_INSTANCES="2")
    second = Started(a_long_job, hand())
    assert working.wait(60)
    third = start(a_job, Deployment().slot(datetime.now(UTC)))
    assert third.name == "Skipped"
    assert "another-run" in (third.message or "")
    assert str(second.flow_run.id) in (third.message or "")
    finish.set()
    assert second.ended().name == "Completed"


@pytest.mark.slow
@each_kind
def test_a_run_that_is_cancelled_while_it_waits_ends(job: Flow[..., Any], busy: Instance) -> None:
    started = Started(job, hand())
    started.waits()
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(started.flow_run.id, Cancelling())
    assert started.ended().type.value == "CANCELLED"
    assert started.shown().type.value == "CANCELLED"
    busy.release()
    assert not ran


@pytest.mark.slow
def test_a_run_whose_connection_is_cut_while_it_waits_connects_again(database: str, busy: Instance) -> None:
    started = Started(a_job, hand())
    started.waits()
    with psycopg.connect(database, autocommit=True) as connection:
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s"
        mine = str(started.flow_run.id)
        assert connection.execute(cut, [mine]).fetchone() == (1,)
        alive = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
        until(lambda: connection.execute(alive, [mine]).fetchone(), "it connects again", 60)
    assert not ran
    busy.release()
    assert started.ended().name == "Completed"


def test_a_run_stuck_in_pending_blocks_no_other() -> None:
    """A worker took it and died: it is at work nowhere, whatever its state says."""
    deployment = Deployment()
    stuck = deployment.slot(datetime.now(UTC) - timedelta(seconds=60))
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(stuck.id, Pending())
    assert start(a_job, deployment.slot(datetime.now(UTC))).name == "Completed"
    assert start(a_job, hand()).name == "Completed"


@pytest.mark.slow
def test_of_sixteen_slots_at_the_same_instant_one_runs_at_a_time(database: str) -> None:
    deployments = [Deployment() for _ in range(16)]
    now = datetime.now(UTC)
    runs = [deployment.slot(now) for deployment in deployments]
    all_at_once = threading.Barrier(16)
    at_work: list[int] = []
    most: list[int] = []

    @flow(name=JOB)
    @admission(subject=itemgetter("about"))
    def counting(about: str = ABOUT) -> None:
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.5)
        at_work.pop()
        ran.append(about)

    def together(run: FlowRun) -> State[Any]:
        all_at_once.wait(60)
        return start(counting, run)

    ended: list[State[Any]] = []
    threads = [threading.Thread(target=lambda run=run: ended.append(together(run))) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert {state.name for state in ended} == {"Completed", "Skipped"}
    assert len(ended) == 16
    assert max(most) == 1
    assert len(ran) == sum(state.name == "Completed" for state in ended)
    assert len(rows(database)) == 16 - len(ran)


# ---------------------------------------------------------------------- stopped at work


@pytest.mark.slow
@pytest.mark.parametrize(
    "job", ["support.endless_jobs:a_sync_job", "support.endless_jobs:run_async"], ids=["sync", "async"]
)
@pytest.mark.parametrize(("by_a_person", "status"), [(True, "cancelled"), (False, "processing")])
def test_what_a_person_cancels_is_left_to_a_person_and_what_the_system_stops_is_not(
    job: str, by_a_person: bool, status: str, database: str, tmp_path: Path
) -> None:
    """Both are stopped by SIGTERM; the server knows whether a person wanted it."""
    prefect = {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "PREFECT_HOME": str(tmp_path)}
    process = Process(Job(job, {}, dict(os.environ), tmp_path / "log", prefect))
    try:
        [row] = until(lambda: [row for row in rows(database) if row["attempts"]], "it is at work", 90)
        assert (row["idempotency_key"], row["status"]) == ("a unit", "processing")
        if by_a_person:
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(row["flow_run_id"], Cancelling())
        os.kill(process.pid, signal.SIGTERM)
        until(process.ended, "it ends", 60)
        [row] = rows(database)
        assert row["status"] == status
    finally:
        process.kill()


# ---------------------------------------------------------------------- what else may happen


def test_how_runs_end_is_counted(database: str, busy: Instance) -> None:
    del busy  # a run of ABOUT is at work
    deployment, now = Deployment(), datetime.now(UTC)
    start(a_job, deployment.slot(now))
    start(a_job, deployment.slot(now - timedelta(days=1), about="late"))
    for about in ("refused", "held", "fault"):
        start(a_failing_job, deployment.run(now, [], about=about))
    for job in (a_job, a_job, an_async_job):
        start(job, deployment.run(now, [], about="other"))
    counted = {
        (row["subject"], row["outcome"]): (row["runs"], row["last_seconds"] is not None)
        for row in Database(database).query("SELECT * FROM job_runs WHERE name = %s", JOB)
    }
    assert counted == {
        (ABOUT, "skipped"): (1, False),
        ("late", "missed"): (1, False),
        ("refused", "failed"): (1, True),
        ("held", "held"): (1, True),
        ("fault", "failed"): (1, True),
        ("other", "completed"): (3, True),
    }


def test_a_database_that_is_away_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    setting(DATABASE_URL="postgresql://me:secret-word@127.0.0.1:1/crm")
    state = a_job(return_state=True)
    assert state.is_failed()
    assert "does not answer" in (state.message or "")
    assert "secret-word" not in caplog.text
    assert "Traceback" not in caplog.text
    assert not ran


def test_parameters_of_a_flow_stay_as_they_are() -> None:
    """In the form of the UI, and given in any way."""
    assert a_job.parameters.properties["about"]["default"] == ABOUT
    assert an_async_job.isasync
    assert a_job("one") == "one"
    assert a_job(about="two") == "two"
    assert asyncio.run(an_async_job("three")) == "three"
    assert engine().pool.checkedout() == 0


# ---------------------------------------------------------------------- the two nights on which clocks change


@pytest.mark.slow
@pytest.mark.parametrize("cron", ["0 2 * * *", "30 2 * * *", "0 3 * * *"])
@pytest.mark.parametrize(
    "night", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2025, 10, 26, tzinfo=UTC)], ids=["spring", "autumn"]
)
def test_a_daily_job_runs_once_in_the_night_on_which_clocks_change(
    cron: str, night: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """02:30 in Berlin is not there, or there twice; the scheduler looks again and again, all night."""
    deployment = Deployment(cron=cron, timezone="Europe/Berlin")
    evening, morning = night - timedelta(hours=6), night + timedelta(hours=9)
    looks = [evening + timedelta(minutes=20) * n for n in range(46)]
    for look in looks[::3]:
        deployment.scheduled(look, morning)
    slots = deployment.scheduled(evening, morning)
    assert len(slots) == 1
    [slot] = slots
    assert slot.expected_start_time is not None
    monkeypatch.setattr(module, "_now", lambda: slot.expected_start_time + timedelta(seconds=5))
    assert start(a_job, slot).name == "Completed"
    assert ran == [ABOUT]
