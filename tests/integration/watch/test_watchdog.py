"""The watchdog with a real Prefect server, a real database and a real webhook: what was lost is restarted, once.

Runs are put into the state in which a dead worker, process or server leaves them; imports and watches are real
processes that are killed. What the watchdog starts is run as a worker would run it.
"""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from openpyxl import Workbook
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.objects import State, StateType
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from support.databases import Database
from support.ministry import missions
from support.monitor import World, a_world
from support.processes import Stop
from support.receivers import a_webhook
from support.settings import forget_settings
from support.watchdog import HOUR, IMPORT, MONITOR, Office

from db import incidents, notifications
from db.engine import transaction
from deployments.doctor.job_checks import check_last_success
from deployments.prefect_api import AT_START, POOL, PrefectApi
from flows.import_crm_data import import_crm_data
from flows.watchdog import watchdog
from tasks.admission_settings import admission_settings
from tasks.crm.settings import import_settings
from tasks.notify.channels import channels, notify_settings
from tasks.notify.steps import deliver_outbox, report_recovery
from tasks.step import RESULTS
from tasks.watch import steps
from tasks.watch.prefect_runs import jobs
from tasks.watch.settings import watch_settings

pytestmark = [pytest.mark.timeout(300)]

STAGED = Stop("tasks.crm.steps:evaluate_and_commit")  # everything is staged, nothing is committed


@pytest.fixture
def office(database: str, prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    with a_webhook() as webhook, temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path / "storage"}):
        monkeypatch.setenv("NOTIFY_URLS", webhook.url)
        monkeypatch.setenv("TASK_MISFIRE_GRACE", "300")
        for settings in (notify_settings, watch_settings, import_settings, admission_settings):
            settings.cache_clear()
        office = Office(Database(database), webhook, tmp_path)
        yield office
        office.close()
    for settings in (notify_settings, watch_settings, admission_settings):
        settings.cache_clear()
    forget_settings()


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Company", "First Name", "Last Name", "Email"])
    for n in range(30):
        sheet.append([f"Embassy {n}", f"Ann{n}", "Lee", f"a{n}@example.org"])
    path = tmp_path / "people.xlsx"
    book.save(path)
    return path


def crashed() -> State[Any]:
    return State(type=StateType.CRASHED)


def contacts(office: Office) -> int:
    return int(office.database.query("SELECT count(*) AS n FROM contacts")[0]["n"])


def units(office: Office, name: str = "import_crm_data") -> list[tuple[str, int]]:
    found = office.database.query("SELECT status, attempts FROM task_runs WHERE name = %s ORDER BY id", name)
    return [(row["status"], row["attempts"]) for row in found]


# ---------------------------------------------------------------------- an import that was killed


def test_a_killed_import_is_resumed_once_and_the_incident_is_reported_at_both_ends(
    office: Office, workbook: Path
) -> None:
    """After SIGKILL Prefect still shows it as running; that no process holds its lock is enough."""
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    first = office.slot(deployment, by_hand=True, ago=timedelta(0), parameters={"sheet": "Sheet"})
    office.kill(IMPORT, first, STAGED)
    assert units(office) == [("processing", 1)]

    assert office.watch()["imports resumed"] == 1
    assert office.watch()["imports resumed"] == 0, "one is on its way"
    [second] = office.started(deployment)
    assert second.parameters == {"workbook": str(workbook), "sheet": "Sheet"}
    outcome = office.process(IMPORT, second).outcome()
    assert outcome.state == "COMPLETED", outcome.log
    assert contacts(office) == 30
    assert units(office) == [("completed", 2)]

    office.set(first.id, crashed())  # as the automation does, later than all that
    office.watch()
    assert len(office.started(deployment)) == 1
    assert office.heard() == [f"import_crm_data {workbook} fails", f"import_crm_data {workbook} works again"]


@pytest.mark.slow
def test_an_import_that_is_alive_is_left_alone(office: Office, workbook: Path) -> None:
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    first = office.slot(deployment, by_hand=True, ago=timedelta(0))
    process = office.process(IMPORT, first, STAGED)
    process.reach(120)
    office.a_minute_later()
    assert office.watch()["imports resumed"] == 0
    process.release()
    assert process.outcome().state == "COMPLETED"
    assert office.heard() == []


@pytest.mark.slow
def test_an_import_that_dies_each_time_is_started_three_times_and_no_more(office: Office, workbook: Path) -> None:
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    run = office.slot(deployment, by_hand=True, ago=timedelta(0))
    office.kill(IMPORT, run, STAGED)
    for attempt in range(1, 4):
        office.set(run.id, crashed())
        assert office.watch()["imports resumed"] == 1
        run = office.started(deployment)[-1]
        assert len(office.started(deployment)) == attempt
        office.kill(IMPORT, run, STAGED)
    office.set(run.id, crashed())
    assert office.watch()["imports resumed"] == 0
    assert office.heard() == [f"import_crm_data {workbook} fails"] * 2, "one episode: that it fails, and in the end"
    assert "restarted 3 times without success" in office.webhook.got[-1]["message"]
    assert contacts(office) == 0


@pytest.mark.slow
def test_a_cancelled_import_is_left_to_people(office: Office, workbook: Path) -> None:
    """Cancelling in the UI kills the process too: that is not a crash, and the schedule must not resume it."""
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    first = office.slot(deployment, by_hand=True, ago=timedelta(0))
    office.kill(IMPORT, first, STAGED)
    office.set(first.id, State(type=StateType.CANCELLED))
    assert office.watch()["imports resumed"] == 0
    assert units(office) == [("cancelled", 1)]
    nightly = office.slot(deployment, ago=timedelta(0))
    assert "was cancelled" in office.process(IMPORT, nightly).outcome().message
    by_hand = office.slot(deployment, by_hand=True, ago=timedelta(0))
    assert office.process(IMPORT, by_hand).outcome().state == "COMPLETED"
    assert office.heard() == []


def test_a_run_that_was_being_cancelled_when_its_process_died_is_cancelled(office: Office, workbook: Path) -> None:
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    server = PrefectApi(str(PREFECT_API_URL.value()), ours=True)
    server.make_work_pool()
    with get_client(sync_client=True) as client:
        client.update_deployment(deployment, DeploymentUpdate(work_pool_name=POOL))
        for kind in (StateType.CANCELLING, StateType.RUNNING):
            run = office.slot(deployment, by_hand=True)
            client.update_flow_run(run.id, infrastructure_pid="999999999")  # no process has it
            office.set(run.id, State(type=kind))
        assert len(server.end_interrupted_runs()) == 2
        client.delete_work_pool(POOL)
    assert [run.state_type for run in office.runs(deployment)] == [StateType.CANCELLED, StateType.CRASHED]


@pytest.mark.slow
def test_an_import_of_a_server_that_does_not_exist_any_more_is_reported(office: Office, workbook: Path) -> None:
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    office.kill(IMPORT, office.slot(deployment, by_hand=True, ago=timedelta(0)), STAGED)
    office.database.query("UPDATE task_runs SET flow_run_id = gen_random_uuid()")
    for _ in range(2):
        office.watch()
    assert office.started(deployment) == []
    assert office.heard() == [f"import_crm_data {workbook} fails"]


@pytest.mark.slow
def test_an_import_that_another_version_overtook_is_reported_once_and_leaves_nothing(
    office: Office, workbook: Path
) -> None:
    """Nobody can go on with it: its server is no more, and the workbook was replaced."""
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    office.kill(IMPORT, office.slot(deployment, by_hand=True, ago=timedelta(0)), STAGED)
    office.database.query("UPDATE task_runs SET flow_run_id = gen_random_uuid()")
    office.watch()
    book = Workbook()
    assert book.active is not None
    for row in (["Company", "Email"], ["Embassy", "ann@example.org"]):
        book.active.append(row)
    book.save(workbook)
    for _ in range(2):  # nights
        nightly = office.slot(deployment, ago=timedelta(0))
        assert office.process(IMPORT, nightly).outcome().state == "COMPLETED"
        office.watch()
    assert office.heard() == [f"import_crm_data {workbook} fails", f"import_crm_data {workbook} works again"]
    assert units(office) == [("failed", 1), ("completed", 1)]
    assert office.database.query("SELECT inhrelid FROM pg_inherits WHERE inhparent = 'import_staging'::regclass") == []


@pytest.mark.slow
def test_an_import_that_was_given_up_is_not_reported_again_after_another_version_overtook_it(
    office: Office, workbook: Path
) -> None:
    insert = """INSERT INTO task_runs (name, idempotency_key, subject, status, flow_run_id, updated_at)
        VALUES ('import_crm_data', %s, %s, %s, %s, now() - %s * interval '1 second')"""
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    run = office.slot(deployment, by_hand=True, ago=timedelta(0))
    office.database.query(insert, "old", str(workbook), "processing", run.id, 61)
    office.set(run.id, crashed())
    for _ in range(3):
        assert office.watch()["imports resumed"] == 1
        office.set(office.started(deployment)[-1].id, crashed())
    office.watch()
    heard = [f"import_crm_data {workbook} fails"] * 2
    assert office.heard() == heard
    office.database.query(insert, "new", str(workbook), "completed", None, 0)
    with disable_run_logger(), transaction() as connection:
        report_recovery(connection, "import_crm_data", str(workbook))
    for _ in range(2):
        office.watch()
    assert office.heard() == [*heard, f"import_crm_data {workbook} works again"]
    assert units(office) == [("failed", 0), ("completed", 0)]


def test_an_import_that_cannot_be_resumed_does_not_delay_the_others(office: Office, workbook: Path) -> None:
    """Its workbook is a number, which only a run would have been refused for."""
    insert = """INSERT INTO task_runs (name, idempotency_key, subject, attempts, flow_run_id, updated_at)
        VALUES ('import_crm_data', %s, %s, 1, %s, now() - interval '61 seconds')"""
    deployments = [office.deploy(IMPORT, {"workbook": given}) for given in (5, str(workbook))]
    for deployment in deployments:
        run = office.slot(deployment, by_hand=True, ago=timedelta(0))
        office.database.query(insert, str(run.id), str(workbook), run.id)
        office.set(run.id, crashed())

    state = watchdog(return_state=True)
    assert state.is_failed()
    assert "import 1: AttributeError" in state.message
    assert len(office.started(deployments[1])) == 1, "gone on with all the same"


# ---------------------------------------------------------------------- a slot that was lost


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left", "words"),
    [
        (crashed(), "crashed"),
        (State(type=StateType.CANCELLED, name="Missed"), "was missed"),
        (State(type=StateType.PENDING), "is stuck"),
    ],
    ids=["crashed", "missed", "stuck in pending"],
)
def test_a_lost_slot_is_backfilled_by_one_run(office: Office, workbook: Path, left: State[Any], words: str) -> None:
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    lost = office.slot(deployment, left)
    if left.type == StateType.PENDING:  # the server stamps the state with its own time
        assert office.watch()["runs backfilled"] == 0
        office.grace(0)
        time.sleep(1)
    assert office.watch()["runs backfilled"] == 1
    assert office.watch()["runs backfilled"] == 0
    [again] = office.started(deployment)
    assert again.tags == [f"slot:{lost.expected_start_time.isoformat()}"]
    assert words in office.webhook.got[0]["message"]
    assert office.process(IMPORT, again).outcome().state == "COMPLETED"
    assert office.watch()["runs backfilled"] == 0
    assert office.heard() == [f"import_crm_data {workbook} fails", f"import_crm_data {workbook} works again"]
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(lost.id).state.type in {StateType.CRASHED, StateType.CANCELLED}


@pytest.mark.slow
def test_a_slot_that_no_worker_takes_is_reported_and_backfilled_when_a_worker_is_back(
    office: Office, workbook: Path
) -> None:
    """Lost for six hours: while it waits for a worker a run in its place would only wait beside it."""
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    waiting = office.slot(deployment, ago=6 * HOUR)
    for _ in range(2):
        assert office.watch()["runs backfilled"] == 0
    assert office.heard() == [f"import_crm_data {workbook} fails"]
    assert "worker" in office.webhook.got[0]["message"]
    assert office.process(IMPORT, waiting).outcome().state == "CANCELLED"  # the worker is back: it is missed
    for _ in range(2):
        office.watch()
    [again] = office.started(deployment)
    assert office.process(IMPORT, again).outcome().state == "COMPLETED"
    assert office.watch()["runs backfilled"] == 0
    assert contacts(office) == 30
    assert office.heard()[1:] == [f"import_crm_data {workbook} works again"]


@pytest.mark.slow
@pytest.mark.parametrize("state", ["CANCELLED", "FAILED", "RUNNING"])
def test_what_a_person_stopped_what_failed_and_what_runs_is_not_started_again(
    office: Office, workbook: Path, state: str
) -> None:
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    office.slot(deployment, State(type=StateType(state)))
    assert office.watch()["runs backfilled"] == 0


def test_a_deployment_that_cannot_be_watched_does_not_stop_the_watch_of_the_others(
    office: Office, workbook: Path
) -> None:
    """Its workbook is a number, which only a run would have been refused for."""
    strange = office.deploy(IMPORT, {"workbook": 5})
    office.slot(strange, State(type=StateType.COMPLETED))
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    office.slot(deployment, crashed())
    old = Path(str(PREFECT_LOCAL_STORAGE_PATH.value())) / RESULTS / "old"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_text("a result")
    os.utime(old, (0, 0))

    state = watchdog(return_state=True)
    assert state.is_failed()
    assert "import_crm_data/test-0-" in state.message
    assert "AttributeError" in state.message
    assert len(office.started(deployment)) == 1, "made up for all the same"
    assert not old.exists(), "and the steps after it had their turn"


@pytest.mark.slow
def test_a_slot_of_a_paused_deployment_is_not_lost(office: Office, workbook: Path) -> None:
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    office.slot(deployment, crashed())
    with get_client(sync_client=True) as client:
        client.pause_deployment(deployment)
    assert office.watch()["runs backfilled"] == 0


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


@pytest.mark.slow
def test_a_slot_of_the_monitor_that_was_backfilled_is_found_done_by_a_late_one(office: Office, world: World) -> None:
    """The unit of work is that of the slot, whichever run does it."""
    world.reset(missions())
    deployment = office.deploy(MONITOR, {"source": "testland", "base_url": world.ministry.url})
    lost = office.slot(deployment, crashed())
    assert office.watch()["runs backfilled"] == 1
    [again] = office.started(deployment)
    assert office.process(MONITOR, again).outcome().state == "COMPLETED"
    [row] = office.database.query("SELECT idempotency_key, status FROM task_runs")
    slot = lost.expected_start_time
    assert row == {"idempotency_key": f"testland:{slot:%Y-%m-%dT%H:%M:%SZ}", "status": "completed"}
    office.grace(24 * 60 * 60)
    late = office.process(MONITOR, office.slot(deployment, due=slot)).outcome()
    assert late.state == "COMPLETED"
    assert "done before" in late.message
    assert len(office.database.query("SELECT 1 AS one FROM task_runs")) == 1
    assert "mofa_monitoring testland works again" in office.heard()


# ---------------------------------------------------------------------- silence


def later(office: Office, days: float) -> tuple[int, list[str]]:
    """How many jobs are silent after so many days, and the titles of the messages by then."""
    with disable_run_logger():
        watched = [job for job in jobs() if job.id in office.deployments]
        late = steps.check_for_silence.fn(watched, datetime.now(UTC) + timedelta(days=days))
        deliver_outbox.fn()
    return late, office.heard()


def test_silence_is_reported_once_when_a_slot_has_passed_without_success_and_not_before(office: Office) -> None:
    deployment = office.deploy(IMPORT, {"workbook": "/srv/people.xlsx"})
    assert later(office, 0) == (0, [])
    assert later(office, 0.9) == (0, [])  # due in 23 hours
    assert later(office, 1) == (1, ["import_crm_data /srv/people.xlsx fails"])
    assert later(office, 2) == (1, ["import_crm_data /srv/people.xlsx fails"])
    assert "it has never succeeded" in office.webhook.got[0]["message"]
    office.slot(deployment, State(type=StateType.COMPLETED), ago=timedelta(0))
    assert later(office, 0.5) == (0, [f"import_crm_data /srv/people.xlsx {what}" for what in ("fails", "works again")])


def test_a_deployment_paused_for_longer_than_its_schedule_is_reported(office: Office) -> None:
    deployment = office.deploy(IMPORT, {"workbook": "/srv/people.xlsx"})
    office.slot(deployment, State(type=StateType.COMPLETED), ago=timedelta(0))
    with get_client(sync_client=True) as client:
        client.pause_deployment(deployment)
    assert later(office, 0.9) == (0, [])
    assert later(office, 1)[0] == 1
    assert "Its deployment is paused" in office.webhook.got[0]["message"]


def test_a_running_job_has_until_the_next_slot(office: Office) -> None:
    deployment = office.deploy(IMPORT, {"workbook": "/srv/people.xlsx"})
    office.slot(deployment, State(type=StateType.RUNNING), ago=timedelta(0))
    assert later(office, 1) == (0, [])
    assert later(office, 2)[0] == 1


def test_a_file_of_the_pattern_that_was_reported_is_not_reported_as_silence_too(office: Office) -> None:
    office.deploy(IMPORT, {"workbook": "/srv/*.xlsx"})
    with transaction() as connection:
        incidents.open_incident(connection, "import_crm_data", "/srv/bad.xlsx")
    assert later(office, 1) == (1, [])


def test_a_job_that_does_not_report_itself_is_reported_by_the_watchdog(office: Office) -> None:
    """Any flow with an entry in prefect.yaml."""
    deployment = office.deploy("flows.weekly_letter.weekly_letter", {})
    office.slot(deployment, State(type=StateType.FAILED), ago=timedelta(0))
    [title] = later(office, 0)[1]
    assert title.startswith("weekly_letter weekly_letter/test-")
    assert title.endswith(" fails")
    office.slot(deployment, State(type=StateType.COMPLETED), ago=timedelta(0))
    assert later(office, 0)[1][1].endswith(" works again")


def test_a_run_after_which_a_person_succeeded_in_another_way_is_not_reported_again(
    office: Office, workbook: Path
) -> None:
    """As in the foreground, of which the deployment knows nothing."""
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    office.slot(deployment, crashed(), by_hand=True, ago=timedelta(minutes=30))
    office.watch()
    assert office.heard() == [f"import_crm_data {workbook} fails"]
    office.database.query(
        "INSERT INTO task_runs (name, idempotency_key, subject, status) "
        "VALUES ('import_crm_data', 'k', %s, 'completed')",
        str(workbook),
    )
    with disable_run_logger(), transaction() as connection:
        report_recovery(connection, "import_crm_data", str(workbook))
    office.watch()
    assert office.heard() == [f"import_crm_data {workbook} fails", f"import_crm_data {workbook} works again"]


def done_in_the_foreground(office: Office, workbook: Path, at: datetime, run: UUID | None = None) -> None:
    """What an import leaves behind of which the deployment knows nothing."""
    office.database.query(
        "INSERT INTO task_runs (name, idempotency_key, subject, status, flow_run_id, updated_at) "
        "VALUES ('import_crm_data', %s, %s, 'completed', %s, %s)",
        str(at),
        str(workbook),
        run,
        at,
    )
    with disable_run_logger(), transaction() as connection:
        report_recovery(connection, "import_crm_data", str(workbook))


@pytest.mark.slow
def test_a_slot_that_was_given_up_and_then_done_in_the_foreground_is_not_reported_again(
    office: Office, workbook: Path
) -> None:
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    office.slot(deployment, crashed())
    for _ in range(3):
        assert office.watch()["runs backfilled"] == 1
        office.set(office.started(deployment)[-1].id, crashed())
    office.watch()
    done_in_the_foreground(office, workbook, datetime.now(UTC))
    for _ in range(2):
        office.watch()
    assert office.heard() == [f"import_crm_data {workbook} {what}" for what in ("fails", "fails", "works again")]


def test_a_slot_is_not_done_by_what_another_deployment_did_with_the_same_workbook(
    office: Office, workbook: Path
) -> None:
    """It may be another sheet of it."""
    lost = office.deploy(IMPORT, {"workbook": str(workbook), "sheet": "a"})
    other = office.deploy(IMPORT, {"workbook": str(workbook), "sheet": "b"})
    office.slot(lost, crashed())
    run = office.slot(other, State(type=StateType.COMPLETED), ago=timedelta(0))
    done_in_the_foreground(office, workbook, datetime.now(UTC), run.id)
    assert office.watch()["runs backfilled"] == 1


def test_a_paused_deployment_whose_work_is_done_in_the_foreground_is_silent_once_that_ends(
    office: Office, workbook: Path
) -> None:
    """At other times than the schedule's: a slot that passed before the work of the day is no silence."""
    deployment = office.deploy(IMPORT, {"workbook": str(workbook)})
    now = datetime.now(UTC)
    office.slot(deployment, State(type=StateType.COMPLETED), ago=timedelta(0))
    with get_client(sync_client=True) as client:
        client.pause_deployment(deployment)
    for day in (1, 2):
        done_in_the_foreground(office, workbook, now + timedelta(days=day))
        assert later(office, day + 0.01) == (0, [])
    assert later(office, 3) == (0, []), "the slot has passed, the work of the day is to come"
    assert later(office, 4) == (1, [f"import_crm_data {workbook} fails"])


def test_a_job_that_seems_late_cannot_be_judged_without_the_database(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database knows the runs in the foreground; doctor has another check for it."""
    office.deploy(IMPORT, {"workbook": "/srv/people.xlsx"})
    [job] = [job for job in jobs() if job.id in office.deployments]
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/gone")
    forget_settings()
    later = datetime.now(UTC) + timedelta(days=2)
    assert check_last_success(job, later).verdict == "unknown"


def test_deployments_of_other_projects_are_none_of_ours(office: Office) -> None:
    for entrypoint in ("somebody.elses.flow", IMPORT):
        with get_client(sync_client=True) as client:
            client.update_deployment(office.deploy(entrypoint, {}), DeploymentUpdate(tags=[AT_START]))
    ours = office.deployments[1:]
    assert [job.id for job in jobs() if job.id in office.deployments] == ours
    at_start = PrefectApi(str(PREFECT_API_URL.value()), ours=True).at_start()
    assert [each for _, each in at_start] == [str(each) for each in ours]


# ---------------------------------------------------------------------- what waits, and what is old


def test_a_held_set_is_reminded_of_once_after_a_day(office: Office) -> None:
    office.database.query("""
        WITH run AS (INSERT INTO task_runs (name, idempotency_key, subject, status)
                     VALUES ('mofa_monitoring', 'k', 'japan', 'held') RETURNING id)
        INSERT INTO embassy_candidates (source, task_run_id, why, version, records)
        SELECT 'japan', id, '["too few"]', '1', '[]' FROM run""")
    now = datetime.now(UTC)

    def reminded(after: timedelta) -> tuple[int, list[str]]:
        with disable_run_logger():
            sources = steps.remind_of_held_sets.fn(now + after)
            deliver_outbox.fn()
        return sources, office.heard()

    assert reminded(timedelta(hours=23)) == (0, [])
    sources, [title] = reminded(timedelta(hours=25))
    assert (sources, title.partition(",")[0]) == (1, "japan: still held")
    assert reminded(timedelta(hours=49)) == (1, [title])
    assert "--accept 1" in office.webhook.got[0]["message"]
    office.database.query("UPDATE embassy_candidates SET applied_at = now()")
    assert reminded(timedelta(hours=49))[0] == 0


@pytest.mark.slow
def test_what_could_not_be_delivered_is_delivered_by_the_watchdog(office: Office) -> None:
    office.webhook.status = 503
    with transaction() as connection:
        notifications.enqueue(connection, "k", [channels().usable[0].id], "news", {"plain": "x", "markdown": "x"})
    office.watch()
    assert office.heard(), "it was tried"
    assert office.database.outbox()[0]["status"] == "pending"
    office.webhook.status = 200
    office.webhook.got.clear()
    office.database.expire_leases()
    office.watch()
    assert office.heard() == ["news"]


def test_old_data_are_removed_and_young_ones_and_those_that_wait_stay(office: Office, tmp_path: Path) -> None:
    storage = tmp_path / "storage" / RESULTS
    (storage / "below").mkdir(parents=True)
    for name, age in (("old", 91), ("below/old", 91), ("young", 1)):
        (storage / name).write_text("")
        then = (datetime.now(UTC) - timedelta(days=age)).timestamp()
        os.utime(storage / name, (then, then))
    office.database.query("""
        INSERT INTO task_runs (name, idempotency_key, status, updated_at) SELECT 'job', status || age, status,
            now() - age * interval '1 day' FROM unnest(ARRAY['missed', 'skipped', 'completed']) status,
            unnest(ARRAY[1, 91]) age""")
    office.database.query("""
        INSERT INTO notifications (dedup_key, channel, title, body, status, created_at) SELECT status || age, 'c', '',
            '{}', status, now() - age * interval '1 day' FROM unnest(ARRAY['sent', 'pending']) status,
            unnest(ARRAY[1, 91]) age""")
    with disable_run_logger():
        assert steps.remove_old_data.fn(datetime.now(UTC)) == 5
    assert sorted(path.name for path in storage.rglob("*") if path.is_file()) == ["young"]
    kept = office.database.query("SELECT idempotency_key AS key FROM task_runs ORDER BY 1")
    assert [row["key"] for row in kept] == ["completed1", "completed91", "missed1", "skipped1"]
    kept = office.database.query("SELECT dedup_key AS key FROM notifications ORDER BY 1")
    assert [row["key"] for row in kept] == ["pending1", "pending91", "sent1"]


def test_old_results_of_imports_go_and_those_of_other_projects_stay(
    office: Office, workbook: Path, tmp_path: Path
) -> None:
    """A worker that was started by hand keeps them in one directory, with all that its user runs on Prefect."""
    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "theirs").write_text("a result")
    os.utime(storage / "theirs", (0, 0))
    state: Any = import_crm_data(str(workbook), return_state=True)
    assert state.is_completed(), state.message
    assert [path for path in storage.rglob("*") if path.is_file()] != [storage / "theirs"], "the import left some"
    with disable_run_logger():
        steps.remove_old_data.fn(datetime.now(UTC) + timedelta(days=91))
    assert [path for path in storage.rglob("*") if path.is_file()] == [storage / "theirs"]
