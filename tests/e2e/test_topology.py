"""The services of compose.yaml as plain processes; one of each kind is killed while work is under way."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.loopback import Quiet, listening
from support.topology import Topology, missing, started
from support.waiting import until

from deployments.demo import ministry as demo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

WORKBOOKS = 9
PEOPLE = 20_000  # in each workbook
MONITOR = "mofa_monitoring/mofa-monitoring"
IMPORT = "import_crm_data/import-crm-data"


def workbook(number: int) -> bytes:
    """A workbook of its own people."""
    rows = (f"P{number}x{n},Lee,p{number}x{n}@x.example\n" for n in range(PEOPLE))
    return ("First name,Last name,E-mail\n" + "".join(rows)).encode()


class Workbooks(Quiet, BaseHTTPRequestHandler):
    """Answers /7.csv with workbook 7."""

    def do_GET(self) -> None:
        body = workbook(int(self.path.strip("/").removesuffix(".csv")))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def topology() -> Iterator[Topology]:
    if packages := missing():
        pytest.skip(f"needs Debian's {', '.join(packages)}")
    with started(servers=2) as running:
        for _ in range(3):
            running.add_worker()
        yield running


def units(topology: Topology) -> dict[str, str]:
    """Status of each unit of work by its subject."""
    found = topology.database.query(
        "SELECT subject, status FROM task_runs WHERE name IN ('import_crm_data', 'mofa_monitoring')"
    )
    return {row["subject"]: row["status"] for row in found}


def test_one_of_each_is_killed_under_load_and_all_work_is_done_once(topology: Topology) -> None:
    api = topology.api()
    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Workbooks)) as host, demo.serving() as ministry:
        deployment = api.deployment_id(IMPORT)
        assert deployment
        runs = [
            api.create_run(deployment, tags=["load"], parameters={"workbook": f"http://{host}/{n}.csv"})
            for n in range(WORKBOOKS)
        ]
        until(topology.database.lock_holders, "an import is under way", 120)
        busy = until(lambda: [worker for worker in topology.workers if worker.children()], "a worker has a run")[0]
        assert topology.services
        for service in (busy, topology.servers[0], topology.services):
            service.kill()
        # The other server goes on: a run is created before anything has been started again.
        monitor = api.deployment_id(MONITOR)
        assert monitor
        parameters = {"source": demo.SOURCE, "base_url": ministry.url}
        runs.append(api.create_run(monitor, tags=["load"], parameters=parameters))
        for service in (topology.servers[0], topology.services, busy):  # as an engine does
            service.start()
        until(lambda: is_quiet(topology, runs), "the other workers have done the rest", 240)
        # A minute passes, after which the watchdog takes a unit of work that nobody holds for abandoned.
        topology.database.query("UPDATE task_runs SET updated_at = updated_at - interval '61 seconds'")
        watchdog = api.deployment_id("watchdog/watchdog")
        assert watchdog
        resuming = api.create_run(watchdog, tags=["load"])
        until(lambda: api.run_state(resuming).type == "COMPLETED", "the watchdog has run", 90)
        # What the killed worker had taken and not begun is reported; a person, or the program that asked, asks again.
        for n in range(WORKBOOKS):
            workbook = f"http://{host}/{n}.csv"
            if units(topology).get(workbook) is None:
                api.create_run(deployment, tags=["load"], parameters={"workbook": workbook})
        until(lambda: list(units(topology).values()) == ["completed"] * (WORKBOOKS + 1), "everything is done", 120)
    check_contacts(topology)


def is_quiet(topology: Topology, runs: list[str]) -> bool:
    """Whether no run waits for a worker, and no process holds a unit of work."""
    states = {topology.api().run_state(run).type for run in runs}
    return "SCHEDULED" not in states and not topology.database.lock_holders()


def check_contacts(topology: Topology) -> None:
    """Every person of every workbook is there once; nothing is left of the staging."""
    [counted] = topology.database.query("SELECT count(*) AS rows, count(DISTINCT email) AS people FROM contacts")
    assert counted == {"rows": WORKBOOKS * PEOPLE, "people": WORKBOOKS * PEOPLE}
    results = topology.database.query("SELECT result FROM task_runs WHERE name = 'import_crm_data'")
    assert [row["result"]["inserted"] for row in results] == [PEOPLE] * WORKBOOKS
    assert topology.database.staging() == []
    [missions] = topology.database.query("SELECT count(*) AS open FROM embassies WHERE status = 'open'")
    assert missions["open"] == 36


def test_schedules_are_planned_once(topology: Topology) -> None:
    """Two servers and restarted services plan each slot once."""
    api = topology.api()
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    planned = api._call(
        "POST",
        "/flow_runs/filter",
        flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"before_": later}},
    )
    slots = [(run["deployment_id"], run["expected_start_time"]) for run in planned if run["auto_scheduled"]]
    assert slots
    assert len(slots) == len(set(slots))
