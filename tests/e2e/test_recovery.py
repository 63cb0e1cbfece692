"""Killed for real: what `make up` runs is killed in every way while an import runs, and it recovers automatically.

An import is held where everything is staged and nothing is applied, by a lock of this test on the table of contacts.
Then something dies. Expected each time: exactly one effect, the right row in task_runs, and people hear of it once when
it begins and once when it is over, if they have to hear of it at all.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from openpyxl import Workbook
from support.databases import Database
from support.make_up import Started, new_data_dir, processes_of, start
from support.receivers import Webhook, a_webhook
from support.waiting import until

from db import embedded
from deployments.processes import is_flow_run, marked_processes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 30
WATCHDOG = "watchdog/watchdog"
IMPORT = "import_crm_data/import-crm-data"


@dataclass
class Site:
    """A `make up`, a webhook and a workbook."""

    data_dir: Path
    webhook: Webhook
    up: Started
    workbook: Path
    figure: Callable[[str], None]

    @property
    def database(self) -> Database:
        return Database(self.up.state()["database_url"].replace("+psycopg", ""))

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Prefect's API; its server may be being started again, or be busy."""

        def answer() -> httpx.Response | None:
            with contextlib.suppress(httpx.HTTPError), self.up.api() as api:
                answer = api.request(method, path, json=body)
                return answer if answer.status_code < 500 else None
            return None

        return until(answer, path, 120).raise_for_status().json()

    def run(self, deployment: str, state: str = "SCHEDULED", **parameters: Any) -> str:
        found = self.call("GET", f"/deployments/name/{deployment}")["id"]
        body = {"parameters": parameters, "idempotency_key": f"{time.monotonic()}", "state": {"type": state}}
        return str(self.call("POST", f"/deployments/{found}/create_flow_run", body)["id"])

    def state(self, run: str) -> str:
        return str(self.call("GET", f"/flow_runs/{run}")["state"]["type"])

    def end(self, run: str, seconds: float = 180) -> str:
        final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        return str(until(lambda: (state := self.state(run)) in final and state, f"the end of {run}", seconds))

    def start_import(self) -> str:
        """A run that is held before it applies anything."""
        run = self.run(IMPORT, workbook=str(self.workbook))
        waits = "SELECT 1 AS one FROM pg_locks WHERE NOT granted AND relation = 'contacts'::regclass"
        until(lambda: self.database.query(waits), "the import waits for the lock of this test", 120)
        return run

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody can write contacts, as long as the database lives."""
        connection = psycopg.connect(self.database.url)
        try:
            connection.execute("LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE")
            yield
        finally:
            connection.close()

    def flow_run(self, run: str) -> psutil.Process:
        """The process of this run; every quarter of an hour there is one of the watchdog, too."""
        runs = [each for each in marked_processes(str(self.data_dir)) if is_flow_run(each)]
        [process] = [each for each in runs if each.environ().get("PREFECT__FLOW_RUN_ID") == run]
        return process

    def child(self, name: str) -> int:
        return int(self.up.state()["children"][name]["pid"])

    def watch(self) -> None:
        """A minute later the watchdog runs."""
        self.database.query("UPDATE task_runs SET updated_at = updated_at - interval '61 seconds'")
        assert self.end(self.run(WATCHDOG)) == "COMPLETED"

    def unit(self) -> dict[str, Any]:
        [row] = self.database.query(
            "SELECT status, attempts, result ->> 'rows' AS rows FROM task_runs WHERE subject = %s", str(self.workbook)
        )
        return row

    def imported(self) -> int:
        found = self.database.query("SELECT count(*) AS n FROM contacts WHERE organization = %s", self.workbook.stem)
        return int(found[0]["n"])

    def itself_again(self, killed: float) -> None:
        """Wait until the work is done; `killed`: when it was broken off."""
        until(lambda: self.unit()["status"] == "completed", "another run went on with it", 120)
        self.figure(f"done {time.monotonic() - killed:.0f} s after the kill, of them the watchdog's turn")

    def assert_reported(self, *what: str) -> None:
        expected = [f"import_crm_data {self.workbook} {each}" for each in what]
        until(lambda: len(self.webhook.got) >= len(expected), f"{expected} are told")
        assert [each["title"] for each in self.webhook.got] == expected


def write(path: Path) -> Path:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Company", "First Name", "Last Name", "Email"])
    for n in range(ROWS):
        sheet.append([path.stem, f"Ann{n}", "Lee", f"a{n}.{path.stem}@example.org"])
    book.save(path)
    return path


@pytest.fixture(scope="module")
def place(migrated_prefect: Path) -> Iterator[tuple[Path, Webhook]]:
    with new_data_dir(migrated_prefect) as data_dir, a_webhook() as webhook:
        yield data_dir, webhook


@pytest.fixture(scope="module")
def running(place: tuple[Path, Webhook]) -> Iterator[list[Started]]:
    """The `make up` of this module; a test that kills it puts the next one in its place."""
    ups = [start(place[0], NOTIFY_URLS=place[1].url)]
    ups[0].expect("import      Completed after", 180)
    yield ups
    ups[-1].stop()


@pytest.fixture
def site(place: tuple[Path, Webhook], running: list[Started], figure: Callable[[str], None]) -> Site:
    data_dir, webhook = place
    webhook.reset()
    number = len(list(data_dir.glob("*.xlsx")))
    return Site(data_dir, webhook, running[-1], write(data_dir / f"people-{number}.xlsx"), figure)


def test_the_run_is_killed(site: Site) -> None:
    with site.held():
        run = site.start_import()
        site.flow_run(run).kill()
        killed = time.monotonic()
        assert site.end(run) == "CRASHED", "the worker sees it"
    site.watch()
    site.itself_again(killed)
    assert site.unit() == {"status": "completed", "attempts": 2, "rows": str(ROWS)}
    assert site.imported() == ROWS
    site.assert_reported("fails", "works again")


def test_the_worker_is_killed_and_takes_its_run_along(site: Site) -> None:
    """A run of Prefect ends when its worker is gone; a transaction that it waits for may still commit."""
    with site.held():
        run = site.start_import()
        os.kill(site.child("worker"), signal.SIGKILL)
        killed = time.monotonic()
        site.up.expect("worker      died (signal 9)", 30)
    assert site.end(run) == "CRASHED"
    site.watch()
    site.itself_again(killed)
    site.watch()
    assert site.unit()["attempts"] in {1, 2}
    assert site.imported() == ROWS
    site.assert_reported(*(("fails", "works again") if site.unit()["attempts"] > 1 else ()))


def test_the_server_is_killed_and_the_run_does_not_notice(site: Site) -> None:
    with site.held():
        run = site.start_import()
        os.kill(site.child("server"), signal.SIGKILL)
        killed = time.monotonic()
        site.up.expect("server      died (signal 9)", 30)
        site.state(run)  # it answers again
        site.figure(f"it answers {time.monotonic() - killed:.0f} s after the kill, the run goes on meanwhile")
    assert site.end(run) == "COMPLETED"
    site.watch()
    assert site.unit() == {"status": "completed", "attempts": 1, "rows": str(ROWS)}
    assert site.imported() == ROWS
    site.assert_reported()


def test_worker_and_run_are_killed_and_the_run_is_marked_as_crashed(site: Site) -> None:
    """No process is left to report the run: Prefect's server only misses its heartbeat, maybe already the first one."""
    silent = site.run(WATCHDOG, state="RUNNING")
    with site.held():
        run = site.start_import()
        worker, flow_run = site.child("worker"), site.flow_run(run)
        os.kill(worker, signal.SIGKILL)
        flow_run.kill()
        killed = time.monotonic()
    site.watch()  # it need not wait for that: nobody holds the lock
    site.itself_again(killed)
    for each in (run, silent):
        assert site.end(each, 240) == "CRASHED", "the automation"
    site.watch()
    assert site.unit() == {"status": "completed", "attempts": 2, "rows": str(ROWS)}
    assert site.imported() == ROWS
    site.assert_reported("fails", "works again")


def test_everything_is_killed_and_make_up_is_started_again(site: Site, running: list[Started]) -> None:
    with site.held():
        run = site.start_import()
        killed = time.monotonic()
        site.up.process.kill()
        for process in processes_of(site.data_dir):
            with contextlib.suppress(psutil.Error):
                process.kill()
        site.up.process.wait(10)
        running.append(start(site.data_dir, NOTIFY_URLS=site.webhook.url))
        site.up = running[-1]
        site.up.expect("import      Completed after", 180)
    assert site.end(run) == "CRASHED", "make up looks for those whose process is gone"
    site.watch()
    site.itself_again(killed)
    assert site.unit() == {"status": "completed", "attempts": 2, "rows": str(ROWS)}
    assert site.imported() == ROWS
    site.assert_reported("fails", "works again")


def test_the_database_is_killed_in_the_middle(site: Site) -> None:
    """Either the run waits until the database is back, or another resumes it: the effect is the same."""
    with site.held():
        run = site.start_import()
        killed = time.monotonic()
        for process in processes_of(site.data_dir):
            with contextlib.suppress(psutil.Error):
                if process.name() == "postgres":
                    process.kill()
        site.up.expect("starting it again", 60)
        until(lambda: embedded.is_running(site.data_dir), "it answers again", 120)
    if site.end(run) != "COMPLETED":
        if site.unit()["status"] == "failed":  # it was back in time to be told of the failure, which is left to people
            site.run(IMPORT, workbook=str(site.workbook))
        site.watch()
    site.itself_again(killed)
    assert site.imported() == ROWS
    until(lambda: len(site.webhook.got) % 2 == 0, "what began is over")
    assert len(site.webhook.got) <= 2
