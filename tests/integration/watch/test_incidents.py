"""An incident: reported when a job starts to fail and when it works again, and not in between."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from prefect.flow_engine import run_flow
from sqlalchemy import text
from support.databases import Database
from support.receivers import Webhook, a_webhook
from support.settings import forget_settings
from support.watchdog import IMPORT, DeployedJobs

from db import incidents
from db.engine import transaction
from flows.import_crm_data import import_crm_data
from tasks.crm import steps
from tasks.crm.download import Copy
from tasks.notify.channels import notify_settings

PEOPLE = [["Company", "First Name", "Last Name", "Email"], ["Embassy", "Ann", "Lee", "ann@example.org"]]
NOBODY = [["Colour", "Size"], ["red", "4"]]


@pytest.fixture
def webhook(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with a_webhook() as webhook:
        monkeypatch.setenv("NOTIFY_URLS", webhook.url)
        notify_settings.cache_clear()
        yield webhook
    notify_settings.cache_clear()
    forget_settings()


def write(path: Path, rows: list[list[str]]) -> str:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    book.save(path)
    return str(path)


def titles_after(webhook: Webhook, *act: Callable[[], Any]) -> list[str]:
    """The titles of the messages that these calls cause."""
    before = len(webhook.got)
    for each in act:
        each()
    return [each["title"] for each in webhook.got[before:]]


# ---------------------------------------------------------------------- in the database


def test_many_who_notice_the_same_open_one_incident(database: str) -> None:
    def notice(_: int) -> int:
        with transaction() as connection:
            return incidents.open_incident(connection, "job", "subject", uuid.uuid4()).id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(notice, range(16)))) == 1
    with transaction() as connection:
        closed = incidents.close_incident(connection, "job", "subject")
        assert closed is not None
        assert closed.failures == 16
        assert incidents.close_incident(connection, "job", "subject") is None


def test_a_run_counts_once_however_often_it_is_looked_at(database: str) -> None:
    run = uuid.uuid4()
    with transaction() as connection:
        for seen in (run, run, None, uuid.uuid4()):
            incidents.open_incident(connection, "job", "subject", seen)
        assert [each.failures for each in incidents.open_incidents(connection, "job")] == [2]


def test_the_next_incident_is_another(database: str) -> None:
    with transaction() as connection:
        first = incidents.open_incident(connection, "job", "subject")
        incidents.close_incident(connection, "job", "subject")
        assert incidents.open_incident(connection, "job", "subject").id != first.id
        assert incidents.open_incident(connection, "job", "another subject").id != first.id


# ---------------------------------------------------------------------- of the import


def test_a_refused_workbook_is_reported_once_and_so_is_its_recovery(
    webhook: Webhook, prefect_server: None, tmp_path: Path
) -> None:
    """Also if the version that works again was imported before: then no row is written."""
    path = tmp_path / "people.xlsx"

    def run() -> Any:
        return import_crm_data(str(path), return_state=True)

    write(path, PEOPLE)
    good = path.read_bytes()
    assert titles_after(webhook, run) == []
    write(path, NOBODY)
    assert titles_after(webhook, run, run) == [f"import_crm_data {path} fails"]
    path.write_bytes(good)
    assert titles_after(webhook, run, run) == [f"import_crm_data {path} works again"]
    write(path, [*NOBODY, ["blue", "5"]])
    assert titles_after(webhook, run) == [f"import_crm_data {path} fails"], "another incident"
    assert "failed 2 times" in next(each["message"] for each in webhook.got if "again" in each["title"])


@pytest.mark.slow
def test_a_path_through_a_parent_directory_is_one_subject(
    webhook: Webhook, prefect_server: None, tmp_path: Path
) -> None:
    """Otherwise its failure would never be reported, and its recovery every night."""
    (tmp_path / "jobs").mkdir()
    write(tmp_path / "bad.xlsx", NOBODY)
    path = f"{tmp_path}/jobs/../bad.xlsx"
    titles = titles_after(webhook, lambda: import_crm_data(path, return_state=True))
    assert titles == [f"import_crm_data {path} fails"]
    write(tmp_path / "bad.xlsx", PEOPLE)
    titles = titles_after(webhook, lambda: import_crm_data(path, return_state=True))
    assert titles == [f"import_crm_data {path} works again"]


@pytest.mark.slow
def test_each_file_of_a_pattern_is_reported_separately(webhook: Webhook, prefect_server: None, tmp_path: Path) -> None:
    write(tmp_path / "a.xlsx", PEOPLE)
    bad = write(tmp_path / "b.xlsx", NOBODY)

    def run() -> Any:
        return import_crm_data(str(tmp_path / "*.xlsx"), return_state=True)

    assert titles_after(webhook, run, run) == [f"import_crm_data {bad} fails"]
    worse = write(tmp_path / "c.xlsx", [["Colour"], ["green"]])
    assert titles_after(webhook, run, run) == [f"import_crm_data {worse} fails"]


@pytest.mark.slow
def test_a_preview_and_a_mistyped_address_raise_no_alert(
    webhook: Webhook, prefect_server: None, tmp_path: Path
) -> None:
    bad = write(tmp_path / "bad.xlsx", NOBODY)
    for arguments in ({"workbook": bad, "preview": True}, {"workbook": str(tmp_path / "no.xlsx")}, {}):
        state: Any = import_crm_data(**arguments, return_state=True)
        assert state.is_failed()
    assert webhook.got == []


def test_a_workbook_that_the_schedule_does_not_find_is_reported(
    webhook: Webhook, database: str, prefect_server: None, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.xlsx"
    site = DeployedJobs(Database(database), webhook, tmp_path)
    deployment = site.deploy(IMPORT, {"workbook": str(gone)})
    for _ in range(2):
        run = site.slot(deployment, ago=timedelta(0))
        state: Any = run_flow(import_crm_data, flow_run=run, parameters={"workbook": str(gone)}, return_type="state")
        assert state.is_failed()
    assert site.titles() == [f"import_crm_data {gone} fails"]
    site.close()


def test_a_bug_is_reported_and_keeps_its_traceback(
    webhook: Webhook, prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "people.xlsx", PEOPLE)

    def fault(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("tasks.crm.steps.stage_workbook", fault)
    state: Any = import_crm_data(path, return_state=True)
    assert state.is_failed()
    assert [each["title"] for each in webhook.got] == [f"import_crm_data {path} fails"]
    assert "ZeroDivisionError: a fault" in webhook.got[0]["message"]


@pytest.mark.slow
def test_a_bug_with_one_file_does_not_stop_the_import_of_the_others(
    webhook: Webhook, prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbooks = [write(tmp_path / f"{name}.xlsx", [PEOPLE[0], [name, "Ann", "Lee", ""]]) for name in "abc"]
    faulty = workbooks[1]
    stage_workbook = steps.stage_workbook

    def fault(copy: Copy, *how: Any) -> Any:
        if copy.address == faulty:
            raise ZeroDivisionError("a fault")
        return stage_workbook(copy, *how)

    monkeypatch.setattr(steps, "stage_workbook", fault)
    with pytest.raises(ZeroDivisionError):
        import_crm_data(f"{tmp_path}/*.xlsx")
    with transaction() as connection:
        ended = connection.execute(text("SELECT status FROM task_runs ORDER BY subject")).scalars().all()
    assert ended == ["completed", "failed", "completed"]
    assert [each["title"] for each in webhook.got] == [f"import_crm_data {faulty} fails"]
