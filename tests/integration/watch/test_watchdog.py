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
from support.monitor import Servers, running_servers
from support.processes import Stop
from support.receivers import a_webhook
from support.settings import forget_settings
from support.watchdog import HOUR, IMPORT, MONITOR, DeployedJobs

from db import incidents, notifications
from db.engine import transaction
from deployments.doctor.job_checks import check_last_success
from deployments.prefect_api import AT_START, PrefectApi
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
def site(
    database: str, prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DeployedJobs]:
    with a_webhook() as webhook, temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path / "storage"}):
        monkeypatch.setenv("NOTIFY_URLS", webhook.url)
        monkeypatch.setenv("TASK_MISFIRE_GRACE", "300")
        for settings in (notify_settings, watch_settings, import_settings, admission_settings):
            settings.cache_clear()
        site = DeployedJobs(Database(database), webhook, tmp_path)
        yield site
        site.close()
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


def contacts(site: DeployedJobs) -> int:
    return int(site.database.query("SELECT count(*) AS n FROM contacts")[0]["n"])


def units(site: DeployedJobs, name: str = "import_crm_data") -> list[tuple[str, int]]:
    found = site.database.query("SELECT status, attempts FROM task_runs WHERE name = %s ORDER BY id", name)
    return [(row["status"], row["attempts"]) for row in found]


# ---------------------------------------------------------------------- an import that was killed


def test_a_killed_import_is_resumed_once_and_the_incident_is_reported_at_both_ends(
    site: DeployedJobs, workbook: Path
) -> None:
    """After SIGKILL Prefect still shows it as running; that no process holds its lock is enough."""
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    first = site.slot(deployment, manual=True, ago=timedelta(0), parameters={"sheet": "Sheet"})
    site.kill(IMPORT, first, STAGED)
    assert units(site) == [("processing", 1)]

    assert site.watch()["imports resumed"] == 1
    assert site.watch()["imports resumed"] == 0, "one is on its way"
    [second] = site.started(deployment)
    assert second.parameters == {"workbook": str(workbook), "sheet": "Sheet"}
    outcome = site.process(IMPORT, second).outcome()
    assert outcome.state == "COMPLETED", outcome.log
    assert contacts(site) == 30
    assert units(site) == [("completed", 2)]

    site.set(first.id, crashed())  # as the automation does, later than all that
    site.watch()
    assert len(site.started(deployment)) == 1
    assert site.titles() == [f"import_crm_data {workbook} fails", f"import_crm_data {workbook} works again"]


@pytest.mark.slow
def test_an_import_that_is_alive_is_left_alone(site: DeployedJobs, workbook: Path) -> None:
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    first = site.slot(deployment, manual=True, ago=timedelta(0))
    process = site.process(IMPORT, first, STAGED)
    process.reach(120)
    site.a_minute_later()
    assert site.watch()["imports resumed"] == 0
    process.release()
    assert process.outcome().state == "COMPLETED"
    assert site.titles() == []


@pytest.mark.slow
def test_an_import_that_dies_each_time_is_started_three_times_and_no_more(site: DeployedJobs, workbook: Path) -> None:
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    run = site.slot(deployment, manual=True, ago=timedelta(0))
    site.kill(IMPORT, run, STAGED)
    for attempt in range(1, 4):
        site.set(run.id, crashed())
        assert site.watch()["imports resumed"] == 1
        run = site.started(deployment)[-1]
        assert len(site.started(deployment)) == attempt
        site.kill(IMPORT, run, STAGED)
    site.set(run.id, crashed())
    assert site.watch()["imports resumed"] == 0
    assert site.titles() == [f"import_crm_data {workbook} fails"] * 2, "one episode: that it fails, and in the end"
    assert "restarted 3 times without success" in site.webhook.got[-1]["message"]
    assert contacts(site) == 0


@pytest.mark.slow
def test_a_cancelled_import_is_left_to_people(site: DeployedJobs, workbook: Path) -> None:
    """Cancelling in the UI kills the process too: that is not a crash, and the schedule must not resume it."""
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    first = site.slot(deployment, manual=True, ago=timedelta(0))
    site.kill(IMPORT, first, STAGED)
    site.set(first.id, State(type=StateType.CANCELLED))
    assert site.watch()["imports resumed"] == 0
    assert units(site) == [("cancelled", 1)]
    nightly = site.slot(deployment, ago=timedelta(0))
    assert "was cancelled" in site.process(IMPORT, nightly).outcome().message
    manual = site.slot(deployment, manual=True, ago=timedelta(0))
    assert site.process(IMPORT, manual).outcome().state == "COMPLETED"
    assert site.titles() == []


def test_a_run_that_was_being_cancelled_when_its_process_died_is_cancelled(site: DeployedJobs, workbook: Path) -> None:
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    server = PrefectApi(str(PREFECT_API_URL.value()), ours=True)
    server.make_work_pool()
    with get_client(sync_client=True) as client:
        client.update_deployment(deployment, DeploymentUpdate(work_pool_name=server.pool))
        for kind in (StateType.CANCELLING, StateType.RUNNING):
            run = site.slot(deployment, manual=True)
            client.update_flow_run(run.id, infrastructure_pid="999999999")  # no process has it
            site.set(run.id, State(type=kind))
        assert len(server.end_interrupted_runs()) == 2
        client.delete_work_pool(server.pool)
    assert [run.state_type for run in site.runs(deployment)] == [StateType.CANCELLED, StateType.CRASHED]


@pytest.mark.slow
def test_an_import_of_a_server_that_does_not_exist_any_more_is_reported(site: DeployedJobs, workbook: Path) -> None:
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    site.kill(IMPORT, site.slot(deployment, manual=True, ago=timedelta(0)), STAGED)
    site.database.query("UPDATE task_runs SET flow_run_id = gen_random_uuid()")
    for _ in range(2):
        site.watch()
    assert site.started(deployment) == []
    assert site.titles() == [f"import_crm_data {workbook} fails"]


@pytest.mark.slow
def test_an_import_that_another_version_overtook_is_reported_once_and_leaves_nothing(
    site: DeployedJobs, workbook: Path
) -> None:
    """Nobody can go on with it: its server is no more, and the workbook was replaced."""
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    site.kill(IMPORT, site.slot(deployment, manual=True, ago=timedelta(0)), STAGED)
    site.database.query("UPDATE task_runs SET flow_run_id = gen_random_uuid()")
    site.watch()
    book = Workbook()
    assert book.active is not None
    for row in (["Company", "Email"], ["Embassy", "ann@example.org"]):
        book.active.append(row)
    book.save(workbook)
    for _ in range(2):  # nights
        nightly = site.slot(deployment, ago=timedelta(0))
        assert site.process(IMPORT, nightly).outcome().state == "COMPLETED"
        site.watch()
    assert site.titles() == [f"import_crm_data {workbook} fails", f"import_crm_data {workbook} works again"]
    assert units(site) == [("failed", 1), ("completed", 1)]
    assert site.database.query("SELECT inhrelid FROM pg_inherits WHERE inhparent = 'import_staging'::regclass") == []


@pytest.mark.slow
def test_an_import_that_was_given_up_is_not_reported_again_after_another_version_overtook_it(
    site: DeployedJobs, workbook: Path
) -> None:
    insert = """INSERT INTO task_runs (name, idempotency_key, subject, status, flow_run_id, updated_at)
        VALUES ('import_crm_data', %s, %s, %s, %s, now() - %s * interval '1 second')"""
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    run = site.slot(deployment, manual=True, ago=timedelta(0))
    site.database.query(insert, "old", str(workbook), "processing", run.id, 61)
    site.set(run.id, crashed())
    for _ in range(3):
        assert site.watch()["imports resumed"] == 1
        site.set(site.started(deployment)[-1].id, crashed())
    site.watch()
    titles = [f"import_crm_data {workbook} fails"] * 2
    assert site.titles() == titles
    site.database.query(insert, "new", str(workbook), "completed", None, 0)
    with disable_run_logger(), transaction() as connection:
        report_recovery(connection, "import_crm_data", str(workbook))
    for _ in range(2):
        site.watch()
    assert site.titles() == [*titles, f"import_crm_data {workbook} works again"]
    assert units(site) == [("failed", 0), ("completed", 0)]


@pytest.mark.slow
def test_an_import_that_cannot_be_resumed_does_not_delay_the_others(site: DeployedJobs, workbook: Path) -> None:
    """Its workbook is a number, which only a run would have been refused for."""
    insert = """INSERT INTO task_runs (name, idempotency_key, subject, attempts, flow_run_id, updated_at)
        VALUES ('import_crm_data', %s, %s, 1, %s, now() - interval '61 seconds')"""
    deployments = [site.deploy(IMPORT, {"workbook": given}) for given in (5, str(workbook))]
    for deployment in deployments:
        run = site.slot(deployment, manual=True, ago=timedelta(0))
        site.database.query(insert, str(run.id), str(workbook), run.id)
        site.set(run.id, crashed())

    state = watchdog(return_state=True)
    assert state.is_failed()
    assert "import 1: AttributeError" in state.message
    assert len(site.started(deployments[1])) == 1, "gone on with all the same"


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
def test_a_lost_slot_is_backfilled_by_one_run(site: DeployedJobs, workbook: Path, left: State[Any], words: str) -> None:
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    lost = site.slot(deployment, left)
    if left.type == StateType.PENDING:  # the server stamps the state with its own time
        assert site.watch()["runs backfilled"] == 0
        site.grace(0)
        time.sleep(1)
    assert site.watch()["runs backfilled"] == 1
    assert site.watch()["runs backfilled"] == 0
    [again] = site.started(deployment)
    assert again.tags == [f"slot:{lost.expected_start_time.isoformat()}"]
    assert words in site.webhook.got[0]["message"]
    assert site.process(IMPORT, again).outcome().state == "COMPLETED"
    assert site.watch()["runs backfilled"] == 0
    assert site.titles() == [f"import_crm_data {workbook} fails", f"import_crm_data {workbook} works again"]
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(lost.id).state.type in {StateType.CRASHED, StateType.CANCELLED}


@pytest.mark.slow
def test_a_slot_that_no_worker_takes_is_reported_and_backfilled_when_a_worker_is_back(
    site: DeployedJobs, workbook: Path
) -> None:
    """Lost for six hours: while it waits for a worker a run in its place would only wait beside it."""
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    waiting = site.slot(deployment, ago=6 * HOUR)
    for _ in range(2):
        assert site.watch()["runs backfilled"] == 0
    assert site.titles() == [f"import_crm_data {workbook} fails"]
    assert "worker" in site.webhook.got[0]["message"]
    assert site.process(IMPORT, waiting).outcome().state == "CANCELLED"  # the worker is back: it is missed
    for _ in range(2):
        site.watch()
    [again] = site.started(deployment)
    assert site.process(IMPORT, again).outcome().state == "COMPLETED"
    assert site.watch()["runs backfilled"] == 0
    assert contacts(site) == 30
    assert site.titles()[1:] == [f"import_crm_data {workbook} works again"]


@pytest.mark.slow
@pytest.mark.parametrize("state", ["CANCELLED", "FAILED", "RUNNING"])
def test_what_a_person_stopped_what_failed_and_what_runs_is_not_started_again(
    site: DeployedJobs, workbook: Path, state: str
) -> None:
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    site.slot(deployment, State(type=StateType(state)))
    assert site.watch()["runs backfilled"] == 0


def test_what_the_watchdog_has_done_is_counted(site: DeployedJobs, workbook: Path) -> None:
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    site.slot(deployment, crashed())
    for _ in range(2):
        site.watch()
    totals = {row["action"]: row["total"] for row in site.database.query("SELECT * FROM watchdog_actions")}
    assert totals == {"imports_resumed": 0, "runs_backfilled": 1}
    [counted] = site.database.query("SELECT outcome, runs FROM job_runs WHERE name = 'watchdog'")
    assert counted == {"outcome": "completed", "runs": 2}


@pytest.mark.slow
def test_a_deployment_that_cannot_be_watched_does_not_stop_the_watch_of_the_others(
    site: DeployedJobs, workbook: Path
) -> None:
    """Its workbook is a number, which only a run would have been refused for."""
    strange = site.deploy(IMPORT, {"workbook": 5})
    site.slot(strange, State(type=StateType.COMPLETED))
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    site.slot(deployment, crashed())
    old = Path(str(PREFECT_LOCAL_STORAGE_PATH.value())) / RESULTS / "old"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_text("a result")
    os.utime(old, (0, 0))

    state = watchdog(return_state=True)
    assert state.is_failed()
    assert "import_crm_data/test-0-" in state.message
    assert "AttributeError" in state.message
    assert len(site.started(deployment)) == 1, "made up for all the same"
    assert not old.exists(), "and the steps after it had their turn"


@pytest.mark.slow
def test_a_slot_of_a_paused_deployment_is_not_lost(site: DeployedJobs, workbook: Path) -> None:
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    site.slot(deployment, crashed())
    with get_client(sync_client=True) as client:
        client.pause_deployment(deployment)
    assert site.watch()["runs backfilled"] == 0


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with running_servers() as servers:
        yield servers


@pytest.mark.slow
def test_a_slot_of_the_monitor_that_was_backfilled_is_found_done_by_a_late_one(
    site: DeployedJobs, servers: Servers
) -> None:
    """The unit of work is that of the slot, whichever run does it."""
    servers.reset(missions())
    deployment = site.deploy(MONITOR, {"source": "testland", "base_url": servers.ministry.url})
    lost = site.slot(deployment, crashed())
    assert site.watch()["runs backfilled"] == 1
    [again] = site.started(deployment)
    assert site.process(MONITOR, again).outcome().state == "COMPLETED"
    [row] = site.database.query("SELECT idempotency_key, status FROM task_runs")
    slot = lost.expected_start_time
    assert row == {"idempotency_key": f"testland:{slot:%Y-%m-%dT%H:%M:%SZ}", "status": "completed"}
    site.grace(24 * 60 * 60)
    late = site.process(MONITOR, site.slot(deployment, due=slot)).outcome()
    assert late.state == "COMPLETED"
    assert "done before" in late.message
    assert len(site.database.query("SELECT 1 AS one FROM task_runs")) == 1
    assert "mofa_monitoring testland works again" in site.titles()


# ---------------------------------------------------------------------- overdue jobs


def later(site: DeployedJobs, days: float) -> tuple[int, list[str]]:
    """How many jobs are overdue after so many days, and the titles of the messages by then."""
    with disable_run_logger():
        watched = [job for job in jobs() if job.id in site.deployments]
        late = steps.check_overdue.fn(watched, datetime.now(UTC) + timedelta(days=days))
        deliver_outbox.fn()
    return late, site.titles()


def test_silence_is_reported_once_when_a_slot_has_passed_without_success_and_not_before(site: DeployedJobs) -> None:
    deployment = site.deploy(IMPORT, {"workbook": "/srv/people.xlsx"})
    assert later(site, 0) == (0, [])
    assert later(site, 0.9) == (0, [])  # due in 23 hours
    assert later(site, 1) == (1, ["import_crm_data /srv/people.xlsx fails"])
    assert later(site, 2) == (1, ["import_crm_data /srv/people.xlsx fails"])
    assert "it has never succeeded" in site.webhook.got[0]["message"]
    site.slot(deployment, State(type=StateType.COMPLETED), ago=timedelta(0))
    assert later(site, 0.5) == (
        0,
        [f"import_crm_data /srv/people.xlsx {what}" for what in ("fails", "works again")],
    )


@pytest.mark.slow
def test_a_deployment_paused_for_longer_than_its_schedule_is_reported(site: DeployedJobs) -> None:
    deployment = site.deploy(IMPORT, {"workbook": "/srv/people.xlsx"})
    site.slot(deployment, State(type=StateType.COMPLETED), ago=timedelta(0))
    with get_client(sync_client=True) as client:
        client.pause_deployment(deployment)
    assert later(site, 0.9) == (0, [])
    assert later(site, 1)[0] == 1
    assert "Its deployment is paused" in site.webhook.got[0]["message"]


def test_a_running_job_has_until_the_next_slot(site: DeployedJobs) -> None:
    deployment = site.deploy(IMPORT, {"workbook": "/srv/people.xlsx"})
    site.slot(deployment, State(type=StateType.RUNNING), ago=timedelta(0))
    assert later(site, 1) == (0, [])
    assert later(site, 2)[0] == 1


def test_a_file_of_the_pattern_that_was_reported_is_not_reported_as_silence_too(site: DeployedJobs) -> None:
    site.deploy(IMPORT, {"workbook": "/srv/*.xlsx"})
    with transaction() as connection:
        incidents.open_incident(connection, "import_crm_data", "/srv/bad.xlsx")
    assert later(site, 1) == (1, [])


def test_a_job_that_does_not_report_itself_is_reported_by_the_watchdog(site: DeployedJobs) -> None:
    """Any flow with an entry in prefect.yaml."""
    deployment = site.deploy("flows.weekly_letter.weekly_letter", {})
    site.slot(deployment, State(type=StateType.FAILED), ago=timedelta(0))
    [title] = later(site, 0)[1]
    assert title.startswith("weekly_letter weekly_letter/test-")
    assert title.endswith(" fails")
    site.slot(deployment, State(type=StateType.COMPLETED), ago=timedelta(0))
    assert later(site, 0)[1][1].endswith(" works again")


@pytest.mark.slow
def test_a_run_after_which_a_person_succeeded_in_another_way_is_not_reported_again(
    site: DeployedJobs, workbook: Path
) -> None:
    """As in the foreground, of which the deployment knows nothing."""
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    site.slot(deployment, crashed(), manual=True, ago=timedelta(minutes=30))
    site.watch()
    assert site.titles() == [f"import_crm_data {workbook} fails"]
    site.database.query(
        "INSERT INTO task_runs (name, idempotency_key, subject, status) "
        "VALUES ('import_crm_data', 'k', %s, 'completed')",
        str(workbook),
    )
    with disable_run_logger(), transaction() as connection:
        report_recovery(connection, "import_crm_data", str(workbook))
    site.watch()
    assert site.titles() == [f"import_crm_data {workbook} fails", f"import_crm_data {workbook} works again"]


def done_in_the_foreground(site: DeployedJobs, workbook: Path, at: datetime, run: UUID | None = None) -> None:
    """What an import leaves behind of which the deployment knows nothing."""
    site.database.query(
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
    site: DeployedJobs, workbook: Path
) -> None:
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    site.slot(deployment, crashed())
    for _ in range(3):
        assert site.watch()["runs backfilled"] == 1
        site.set(site.started(deployment)[-1].id, crashed())
    site.watch()
    done_in_the_foreground(site, workbook, datetime.now(UTC))
    for _ in range(2):
        site.watch()
    assert site.titles() == [f"import_crm_data {workbook} {what}" for what in ("fails", "fails", "works again")]


@pytest.mark.slow
def test_a_slot_is_not_done_by_what_another_deployment_did_with_the_same_workbook(
    site: DeployedJobs, workbook: Path
) -> None:
    """It may be another sheet of it."""
    lost = site.deploy(IMPORT, {"workbook": str(workbook), "sheet": "a"})
    other = site.deploy(IMPORT, {"workbook": str(workbook), "sheet": "b"})
    site.slot(lost, crashed())
    run = site.slot(other, State(type=StateType.COMPLETED), ago=timedelta(0))
    done_in_the_foreground(site, workbook, datetime.now(UTC), run.id)
    assert site.watch()["runs backfilled"] == 1


@pytest.mark.slow
def test_a_paused_deployment_whose_work_is_done_in_the_foreground_is_silent_once_that_ends(
    site: DeployedJobs, workbook: Path
) -> None:
    """At other times than the schedule's: a slot that passed before the work of the day is no silence."""
    deployment = site.deploy(IMPORT, {"workbook": str(workbook)})
    now = datetime.now(UTC)
    site.slot(deployment, State(type=StateType.COMPLETED), ago=timedelta(0))
    with get_client(sync_client=True) as client:
        client.pause_deployment(deployment)
    for day in (1, 2):
        done_in_the_foreground(site, workbook, now + timedelta(days=day))
        assert later(site, day + 0.01) == (0, [])
    assert later(site, 3) == (0, []), "the slot has passed, the work of the day is to come"
    assert later(site, 4) == (1, [f"import_crm_data {workbook} fails"])


def test_a_job_that_seems_late_cannot_be_judged_without_the_database(
    site: DeployedJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database knows the runs in the foreground; doctor has another check for it."""
    site.deploy(IMPORT, {"workbook": "/srv/people.xlsx"})
    [job] = [job for job in jobs() if job.id in site.deployments]
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/gone")
    forget_settings()
    later = datetime.now(UTC) + timedelta(days=2)
    assert check_last_success(job, later).verdict == "unknown"


def test_deployments_of_other_projects_are_none_of_ours(site: DeployedJobs) -> None:
    for entrypoint in ("somebody.elses.flow", IMPORT):
        with get_client(sync_client=True) as client:
            client.update_deployment(site.deploy(entrypoint, {}), DeploymentUpdate(tags=[AT_START]))
    ours = site.deployments[1:]
    assert [job.id for job in jobs() if job.id in site.deployments] == ours
    at_start = PrefectApi(str(PREFECT_API_URL.value()), ours=True).at_start()
    assert [each for _, each in at_start] == [str(each) for each in ours]


# ---------------------------------------------------------------------- what waits, and what is old


def test_a_held_set_is_reminded_of_once_after_a_day(site: DeployedJobs) -> None:
    site.database.query("""
        WITH run AS (INSERT INTO task_runs (name, idempotency_key, subject, status)
                     VALUES ('mofa_monitoring', 'k', 'japan', 'held') RETURNING id)
        INSERT INTO embassy_candidates (source, task_run_id, why, version, records)
        SELECT 'japan', id, '["too few"]', '1', '[]' FROM run""")
    now = datetime.now(UTC)

    def reminded(after: timedelta) -> tuple[int, list[str]]:
        with disable_run_logger():
            sources = steps.remind_of_held_sets.fn(now + after)
            deliver_outbox.fn()
        return sources, site.titles()

    assert reminded(timedelta(hours=23)) == (0, [])
    sources, [title] = reminded(timedelta(hours=25))
    assert (sources, title.partition(",")[0]) == (1, "japan: still held")
    assert reminded(timedelta(hours=49)) == (1, [title])
    assert "--accept 1" in site.webhook.got[0]["message"]
    site.database.query("UPDATE embassy_candidates SET applied_at = now()")
    assert reminded(timedelta(hours=49))[0] == 0


@pytest.mark.slow
def test_what_could_not_be_delivered_is_delivered_by_the_watchdog(site: DeployedJobs) -> None:
    site.webhook.status = 503
    with transaction() as connection:
        notifications.enqueue(connection, "k", [channels().usable[0].id], "news", {"plain": "x", "markdown": "x"})
    site.watch()
    assert site.titles(), "it was tried"
    assert site.database.outbox()[0]["status"] == "pending"
    site.webhook.status = 200
    site.webhook.got.clear()
    site.database.expire_leases()
    site.watch()
    assert site.titles() == ["news"]


def test_old_data_are_removed_and_young_ones_and_those_that_wait_stay(site: DeployedJobs, tmp_path: Path) -> None:
    storage = tmp_path / "storage" / RESULTS
    (storage / "below").mkdir(parents=True)
    for name, age in (("old", 91), ("below/old", 91), ("young", 1)):
        (storage / name).write_text("")
        then = (datetime.now(UTC) - timedelta(days=age)).timestamp()
        os.utime(storage / name, (then, then))
    site.database.query("""
        INSERT INTO task_runs (name, idempotency_key, status, updated_at) SELECT 'job', status || age, status,
            now() - age * interval '1 day' FROM unnest(ARRAY['missed', 'skipped', 'completed']) status,
            unnest(ARRAY[1, 91]) age""")
    site.database.query("""
        INSERT INTO notifications (dedup_key, channel, title, body, status, created_at) SELECT status || age, 'c', '',
            '{}', status, now() - age * interval '1 day' FROM unnest(ARRAY['sent', 'pending']) status,
            unnest(ARRAY[1, 91]) age""")
    site.database.query("""
        WITH units AS (
            INSERT INTO task_runs (name, idempotency_key, status, updated_at)
            SELECT name, 'r' || status || age, status, now() - age * interval '1 day' FROM (VALUES
                ('import_crm_data', 'failed'), ('import_crm_data', 'completed'),
                ('import_crm_data.preview', 'completed')
            ) unit (name, status), unnest(ARRAY[1, 91]) age RETURNING id
        )
        INSERT INTO import_rejects (import_id, sheet, row_number, reason, "row")
        SELECT id, 's', 2, 'wrong', '[]' FROM units
        """)
    with disable_run_logger():
        assert steps.remove_old_data.fn(datetime.now(UTC)) == 7
    kept = site.database.query("""
        SELECT name, idempotency_key AS key FROM import_rejects j JOIN task_runs r ON r.id = import_id ORDER BY 1, 2""")
    assert [(row["name"], row["key"]) for row in kept] == [
        ("import_crm_data", "rcompleted1"),
        ("import_crm_data", "rcompleted91"),
        ("import_crm_data", "rfailed1"),
        ("import_crm_data.preview", "rcompleted1"),
    ]
    site.database.query("DELETE FROM task_runs WHERE idempotency_key LIKE 'r%%'")
    assert sorted(path.name for path in storage.rglob("*") if path.is_file()) == ["young"]
    kept = site.database.query("SELECT idempotency_key AS key FROM task_runs ORDER BY 1")
    assert [row["key"] for row in kept] == ["completed1", "completed91", "missed1", "skipped1"]
    kept = site.database.query("SELECT dedup_key AS key FROM notifications ORDER BY 1")
    assert [row["key"] for row in kept] == ["pending1", "pending91", "sent1"]


def test_old_results_of_imports_go_and_those_of_other_projects_stay(
    site: DeployedJobs, workbook: Path, tmp_path: Path
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
