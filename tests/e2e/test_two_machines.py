"""Two workers without a shared file: what one was killed at, the other one completes.

They share a Prefect server, a database, and what everybody can request by an address: a workbook, and a ministry.
"""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.databases import Database
from support.imports import workbook
from support.loopback import Quiet, listening
from support.make_up import where_it_is_noon
from support.ministry import Answer, Handler, Ministry, running_ministry
from support.ministry import page as answer
from support.source_texts import TABLE, table
from support.waiting import until
from support.worker_machines import Api, WorkerMachine, command, own_server

ROWS, BATCH = 3000, 50
IMPORT, MONITOR, WATCHDOG = (
    "import_crm_data/import-crm-data",
    "mofa_monitoring/mofa-monitoring",
    "watchdog/watchdog",
)
LINKS = """
[[links]]
css = "a"
pattern = "/missions/[a-z]+$"
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Files(Quiet, SimpleHTTPRequestHandler):
    """The files of a directory."""


@pytest.fixture
def api(database: str, tmp_path: Path, migrated_prefect: Path) -> Iterator[Api]:
    """A server with the deployments."""
    with own_server(tmp_path / "server", migrated_prefect) as api:
        settings = {"PREFECT_HOME": str(tmp_path / "deployer"), "TASK_TIMEZONE": where_it_is_noon()}
        command("deployments.deploy", PREFECT_API_URL=api.url, **settings)
        yield api


@pytest.fixture
def machines(database: str, api: Api, tmp_path: Path) -> Iterator[list[WorkerMachine]]:
    """Two of them; no worker is started yet. Each has its own copy of the source that is monitored."""
    made = []
    for name in ("one", "two"):
        directory = tmp_path / name
        sources = directory / "sources"
        sources.mkdir(parents=True)
        (sources / "example.toml").write_text(TABLE + LINKS)
        settings = {
            "DATABASE_URL": database,
            "IMPORT_BATCH_ROWS": str(BATCH),
            "MOFA_SOURCES": str(sources),
            "WORKBOOK_SETTLE_SECONDS": "0",
        }
        made.append(WorkerMachine(directory, api, settings))
    yield made
    for machine in made:
        machine.kill()


def staged(database: Database) -> int:
    """How many rows of the import in progress are in the database."""
    [partition, *_] = database.staging() or [None]
    return database.query(f"SELECT count(*) AS rows FROM {partition}")[0]["rows"] if partition else 0


def test_an_import_killed_on_one_machine_is_completed_on_the_other(
    database: str, api: Api, machines: list[WorkerMachine], tmp_path: Path
) -> None:
    """Resumed by the watchdog, with the rows that are in the database and nothing of the other machine's files."""
    one, two = machines
    shown = tmp_path / "shown"
    shown.mkdir()
    workbook(shown / "people.xlsx", *(["ACME", f"A{n}", f"B{n}", f"a{n}@x.org", "111", "1"] for n in range(ROWS)))
    tables = Database(database)
    with listening(ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(shown)))) as host:
        one.start()
        first = api.run(IMPORT, workbook=f"http://{host}/people.xlsx")
        until(lambda: staged(tables) >= 10 * BATCH, "some batches are staged", 120)
        one.kill()
        done_before = staged(tables)
        assert 0 < done_before < ROWS, "it was killed too late"
        assert tables.query("SELECT count(*) AS contacts FROM contacts") == [{"contacts": 0}]
        before = one.files()
        tables.query("UPDATE task_runs SET updated_at = updated_at - interval '61 seconds'")

        two.start()
        assert api.ended(api.run(WATCHDOG)).type == "COMPLETED"
        [unit] = until(
            lambda: tables.query("SELECT * FROM task_runs WHERE name = 'import_crm_data' AND status = 'completed'"),
            f"the import is completed; the first run: {api.run_state(first)}",
            120,
        )
    assert unit["attempts"] == 2
    assert str(unit["flow_run_id"]) != first
    assert unit["result"]["inserted"] == ROWS
    assert tables.query("SELECT count(*) AS contacts FROM contacts") == [{"contacts": ROWS}]
    assert unit["result"]["rows"] == ROWS
    assert api.ended(str(unit["flow_run_id"])).type == "COMPLETED"
    assert one.files() == before


def test_a_watch_killed_on_one_machine_is_completed_on_the_other(
    database: str, api: Api, machines: list[WorkerMachine]
) -> None:
    """Pages that the one has stored are in the database; the other requests the missing ones."""
    one, two = machines
    tables = Database(database)
    with running_ministry() as ministry:
        asked, released = show(ministry)
        one.start()
        parameters = {"source": "example", "base_url": ministry.url}
        api.run(MONITOR, **parameters)
        assert asked.wait(120)
        pages = "SELECT url, sha256 FROM page_snapshots ORDER BY url"
        stored = until(lambda: len(found := tables.query(pages)) == 2 and found, "two pages are stored")
        one.kill()
        released.set()
        assert [each["url"].rpartition("/")[2] for each in stored] == ["missions", "b"]
        assert tables.query("SELECT count(*) AS missions FROM embassies") == [{"missions": 0}]

        two.start()
        assert api.ended(api.run(MONITOR, **parameters)).type == "COMPLETED"
        assert stored == [page for page in tables.query(pages) if not page["url"].endswith("/c")]
        [held] = tables.query("SELECT id FROM embassy_candidates")  # the first set of a source without a fixture
        assert api.ended(api.run(MONITOR, **parameters, accept=held["id"])).type == "COMPLETED"
    found = tables.query("SELECT source, count(*) AS missions FROM embassies WHERE status = 'open' GROUP BY source")
    assert found == [{"source": "example", "missions": 24}]
    proofs = tables.query("SELECT DISTINCT p.url FROM embassies e JOIN page_snapshots p ON p.id = e.snapshot_id")
    assert len(proofs) == 2, "one of them was requested by the other machine"


def show(ministry: Ministry) -> tuple[threading.Event, threading.Event]:
    """A list of two pages with missions; the second is answered late. Events: it was requested, it may be answered."""
    asked, released = threading.Event(), threading.Event()
    ministry.answers["/missions"] = answer(
        "<html><body><a href='/missions/b'>B</a><a href='/missions/c'>C</a></body></html>"
    )
    for name in "bc":
        rows = [(f"{name} {n}", f"{n} {name} Road", f"20{n}{ord(name)}", f"{name}{n}@x.example") for n in range(12)]
        ministry.answers[f"/missions/{name}"] = answer(table(*rows).text)
    ministry.answers["/missions/c"] = _late(ministry.answers["/missions/c"], asked, released)
    return asked, released


def _late(then: Answer, asked: threading.Event, released: threading.Event) -> Answer:
    def answer_late(to: Handler) -> None:
        asked.set()
        released.wait(120)
        then(to)

    return answer_late
