"""How many jobs one, two and three workers do: the services of deployments/compose.yaml as processes of this machine.

    .venv/bin/python tests/bench/topology.py [--workbooks 100] [--ministries 40] [--workers 3]

Each workbook has 1,000 people of its own and comes over HTTP; each ministry has 150 missions on one page. Measured is
the time from the first run that is created until the last unit of work is completed, and the share of the processors
that was used meanwhile: near 100 % one machine is full, and a worker on another machine would add its own. The seconds
of a processor that each kind of service uses for one workbook or ministry tell what a tenfold needs.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.loopback import Quiet, listening
from support.source_texts import HOME, TABLE, table
from support.topology import Topology, missing, seconds_of_processors, started
from support.waiting import until

from deployments.prefect_api import PrefectApi
from tasks.counts import counted

PEOPLE, MISSIONS = 1_000, 150
IMPORT, MONITOR = "import_crm_data/import-crm-data", "mofa_monitoring/mofa-monitoring"
PATIENCE = 3_600
LIST = table(*((f"Mission {n}", f"{n} Road", f"+41 22 {n:03}", f"m{n}@x.example") for n in range(MISSIONS))).text


class Answers(Quiet, BaseHTTPRequestHandler):
    """/NAME.csv is a workbook of its own people, everything else the list of a ministry."""

    def do_GET(self) -> None:
        name = self.path.strip("/")
        body = workbook(name.removesuffix(".csv")) if name.endswith(".csv") else LIST
        if name == "robots.txt":
            body = ""
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


def workbook(name: str) -> str:
    """A workbook whose people no other one has."""
    rows = (f"P{n} {name},Lee,p{n}-{name}@x.example\n" for n in range(PEOPLE))
    return "First name,Last name,E-mail\n" + "".join(rows)


def timed(topology: Topology, what: str, count: int, create: Callable[[PrefectApi, int], str]) -> None:
    """Create the runs, wait until their work is done, and print how long it took."""
    before = completed(topology)
    used = seconds_by_service(topology)
    psutil.cpu_percent()
    began = time.monotonic()
    api = topology.api()
    for number in range(count):
        create(api, number)
    until(lambda: completed(topology) - before == count, f"{count} {what}", PATIENCE)
    seconds = time.monotonic() - began
    print(
        f"{counted(len(topology.workers), 'worker')}: {count} {what} in {seconds:.0f} s, "
        f"{count / seconds * 60:.0f} a minute, processors {psutil.cpu_percent():.0f} %",
        flush=True,
    )
    each = ((name, (now - used[name]) / count) for name, now in seconds_by_service(topology).items())
    print("  seconds of a processor for each: " + ", ".join(f"{name} {spent:.2f}" for name, spent in each), flush=True)


def seconds_by_service(topology: Topology) -> dict[str, float]:
    """What each kind of service has used of the processors since its start."""
    services = {"servers": topology.servers, "services": [topology.services], "workers and runs": topology.workers}
    used = {name: sum(each.seconds_of_processors() for each in kind if each) for name, kind in services.items()}
    return used | {"databases": seconds_of_processors(topology.postgres)}


def completed(topology: Topology) -> int:
    """How many units of work of both jobs are completed, or held for a person; none may fail."""
    [found] = topology.database.query(
        "SELECT count(*) FILTER (WHERE status IN ('completed', 'held')) AS n, min(last_error) AS error"
        " FROM task_runs WHERE name IN ('import_crm_data', 'mofa_monitoring')"
    )
    assert found["error"] is None, found["error"]
    return int(found["n"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workbooks", type=int, default=100)
    parser.add_argument("--ministries", type=int, default=40)
    parser.add_argument("--workers", type=int, default=3)
    given = parser.parse_args()
    if packages := missing():
        print(f"topology: needs Debian's {', '.join(packages)}", file=sys.stderr)
        return 2
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    with tempfile.TemporaryDirectory() as sources, listening(server) as host, started() as topology:
        Path(sources).chmod(0o755)
        for n in range(given.ministries):
            (Path(sources) / f"bench-{n}.toml").write_text(TABLE.replace(HOME, f"http://{host}/ministry-{n}"))
        imports, monitor = (topology.api().deployment_id(name) for name in (IMPORT, MONITOR))
        assert imports
        assert monitor
        for workers in range(1, given.workers + 1):
            topology.add_worker(MOFA_SOURCES=sources)

            def create(api: PrefectApi, n: int, workers: int = workers) -> str:
                address = f"http://{host}/{workers}x{n}.csv"
                return api.create_run(imports, tags=["bench"], parameters={"workbook": address})

            timed(topology, "workbooks", given.workbooks, create)
        timed(
            topology,
            "ministries",
            given.ministries,
            lambda api, n: api.create_run(
                monitor, tags=["bench"], parameters={"source": f"bench-{n}", "base_url": f"http://{host}"}
            ),
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
