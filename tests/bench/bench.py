"""`make bench`: how fast an import is, as ratios of one run on one machine.

Each contender runs in a process of its own on a fresh database of the same embedded server, in turn, several times;
the table shows medians. Memory is the peak of the contender's processes together, the database's not counted.
The workload is make_workbook.py.
"""

import argparse
import datetime as dt
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil
import psycopg

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from db import embedded  # noqa: E402


def measured(name: str, workbook: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds and peak megabytes of one run."""
    command = [sys.executable, str(HERE / "contenders.py"), name, str(workbook)]
    peak = 0
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE
    ) as process:
        family = psutil.Process(process.pid)
        while process.poll() is None:
            memory = 0
            with suppress(psutil.Error):
                for member in (family, *family.children(recursive=True)):
                    with suppress(psutil.Error):
                        memory += member.memory_info().rss
            peak = max(peak, memory)
            time.sleep(0.05)
        out, err = process.communicate()
    if process.returncode:
        raise SystemExit(f"{name} failed:\n{err[-3000:]}")
    return float(out.split("seconds")[-1]), peak / 2**20


def fresh(url: str, environment: dict[str, str]) -> dict[str, str]:
    """An empty, migrated database, as the environment of a contender."""
    name = f"bench_{time.time_ns()}"
    with psycopg.connect(url, autocommit=True) as connection:
        for (old,) in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'bench%'").fetchall():
            connection.execute(f'DROP DATABASE "{old}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    environment = {**environment, "DATABASE_URL": url.replace("/crm?", f"/{name}?")}
    subprocess.run([sys.executable, "-c", "from db.engine import upgrade; upgrade()"], env=environment, check=True)
    return environment


def prefect_server(home: Path, stack: ExitStack) -> str:
    """A Prefect server for the whole bench; returns its API's address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    server = stack.enter_context(
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    )
    stack.callback(server.terminate)
    url = f"http://127.0.0.1:{port}/api"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health").is_success:
                return url
        time.sleep(0.2)
    raise SystemExit("the Prefect server did not start in 90 seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5, help="of the quick contenders; the usual script runs once")
    parser.add_argument("--without-script", action="store_true", help="leave the usual script out: it takes minutes")
    given = parser.parse_args()
    with ExitStack() as stack:
        room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        room.chmod(0o755)
        workbook = room / f"crm_{given.rows}.xlsx"
        print(f"making {given.rows:,} rows …", file=sys.stderr)
        subprocess.run([sys.executable, HERE / "make_workbook.py", str(given.rows), workbook], check=True)
        url = embedded.start(room)
        stack.callback(embedded.stop, room)
        environment = {
            **os.environ,
            "PREFECT_HOME": str(room / "client"),
            "PREFECT_API_URL": prefect_server(room / "prefect", stack),
            "DO_NOT_TRACK": "1",
        }
        taken: dict[str, list[tuple[float, float]]] = {"floor": [], "import_crm_data": [], "usual script": []}
        for n in range(given.runs):
            for name, results in taken.items():
                if name == "usual script" and (given.without_script or n):
                    continue
                print(f"run {n + 1}: {name} …", file=sys.stderr)
                results.append(measured(name, workbook, fresh(url, environment)))
        filled = fresh(url, environment)
        measured("import_crm_data", workbook, filled)
        again = statistics.median(measured("import_crm_data", workbook, filled)[0] for _ in range(3))
    _show(given.rows, taken, again)


def _show(rows: int, taken: dict[str, list[tuple[float, float]]], again: float) -> None:
    medians = {
        name: (statistics.median(s for s, _ in results), max(m for _, m in results))
        for name, results in taken.items()
        if results
    }
    floor = medians["floor"][0]
    print(f"\n{rows:,} rows, {dt.date.today():%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}, ")
    print(", ".join(f"{name} {version(name)}" for name in ("prefect", "psycopg", "python-calamine", "pandas")))
    print("\n| | time, of the floor | peak memory | rows/s |\n| --- | ---: | ---: | ---: |")
    for name, (seconds, memory) in medians.items():
        print(f"| {name} | {seconds / floor:.1f} × | {memory:.0f} MB | {rows / seconds:,.0f} |")
    print(f"| import_crm_data, the same workbook again | {again / floor:.1f} × | | |")
    if "usual script" in medians:
        print(f"\nimport_crm_data is {medians['usual script'][0] / medians['import_crm_data'][0]:.0f} × faster than it")


if __name__ == "__main__":
    main()
