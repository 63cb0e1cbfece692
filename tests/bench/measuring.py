"""How the bench measures: each contender in a process of its own, on an empty database, its memory sampled meanwhile.

Memory is the highest sum of the proportional set sizes (PSS) of the contender's processes: of a page that several
processes share, such as one of a library, each counts its part only, so that it counts once in all. Only Linux
knows PSS; elsewhere it is the resident set size, which counts such a page in each. The database's is not counted.

To learn a PSS the kernel walks through the page tables, some 15 ms for each GB. So that this does not disturb what is
timed, a pause of twenty times as long follows each sample; what a process holds for less than the pause may be missed.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil
import psycopg
from loaded import Expected

from db import embedded

HERE = Path(__file__).parent
PAUSE = 0.05  # seconds between two samples of memory, at least


@dataclass(frozen=True)
class Run:
    """What one run of a contender took."""

    seconds: float
    megabytes: float  # at its peak
    people: int  # rows of its table then
    changed: int | None = None  # of them with a changed note; None: nobody looked


def measured(name: str, workbook: Path, expected: Expected, environment: dict[str, str]) -> Run:
    """One run of a contender.

    Args:
        name: one of contend.CONTENDERS.
        workbook: what it brings into the database.
        expected: what is in the database then.
        environment: of `fresh`.

    Raises:
        SystemExit: the contender failed, or its rows are not in the database.
    """
    argument = json.dumps(asdict(expected))
    command = [sys.executable, str(HERE / "contend.py"), name, str(workbook), argument]
    peak = 0
    # Files, because nobody reads a pipe while the process runs, and a full one would stop it.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        with subprocess.Popen(command, env=environment, stdout=out, stderr=err) as process:
            while process.poll() is None:
                begun = time.perf_counter()
                peak = max(peak, _memory(process.pid))
                time.sleep(max(PAUSE, 20 * (time.perf_counter() - begun)))
        out.seek(0)
        err.seek(0)
        errors = err.read()[-3000:].strip()
        if process.returncode:
            raise SystemExit(f"{errors}\n\n{name} failed: {(errors.splitlines() or ['it said nothing'])[-1]}")
        return Run(megabytes=peak / 2**20, **json.loads(out.read().strip().splitlines()[-1]))


def _memory(pid: int) -> int:
    """Bytes that the process and its children hold."""
    memory = 0
    with suppress(psutil.Error):
        family = psutil.Process(pid)
        for member in (family, *family.children(recursive=True)):
            with suppress(psutil.Error):
                memory += member.memory_full_info().pss if psutil.LINUX else member.memory_info().rss
    return memory


def fresh(url: str, environment: dict[str, str]) -> dict[str, str]:
    """An empty, migrated database, as the environment of a contender."""
    name = f"bench_{time.time_ns()}"
    with psycopg.connect(url, autocommit=True) as connection:
        for (old,) in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'bench%'").fetchall():
            connection.execute(f'DROP DATABASE "{old}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    environment = {**environment, "DATABASE_URL": url.replace("/crm?", f"/{name}?")}
    subprocess.run([sys.executable, "-c", "from db.schema import upgrade; upgrade()"], env=environment, check=True)
    settle(url)
    return environment


def settle(url: str) -> None:
    """Have the server write what was changed so far, so that it is not written at the cost of the next contender."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


@dataclass
class Written:
    """What a database has written."""

    wal: float = 0.0  # megabytes
    rejects: float = 0.0  # of them, roughly, for the rejects that are kept: by how much their table has grown
    contacts: int = 0  # rows of contacts


@contextmanager
def written(url: str) -> Iterator[Written]:
    """What is written in the block; hint bits and the like, which writing before has left to do, are done before it."""
    what = Written()
    state = "SELECT pg_current_wal_lsn() - '0/0', pg_total_relation_size('import_rejects'), pg_current_xact_id()::text"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM")
        wal, rejects, transaction = connection.execute(state).fetchone() or ()
        yield what
        wal_after, rejects_after, _ = connection.execute(state).fetchone() or ()
        newer = "SELECT count(*) FROM contacts WHERE xmin::text::bigint >= %s"
        what.wal, what.rejects = float(wal_after - wal) / 1e6, (rejects_after - rejects) / 1e6
        [what.contacts] = connection.execute(newer, [int(transaction)]).fetchone() or ()


def place(stack: ExitStack) -> tuple[Path, str, dict[str, str]]:
    """A directory, a PostgreSQL and a Prefect server, as long as the stack; returns directory, URL and environment."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
    directory.chmod(0o755)
    url = embedded.start(directory)
    stack.callback(embedded.stop, directory)
    api = _prefect_server(directory / "prefect", stack)
    ours = {"PREFECT_HOME": str(directory / "client"), "PREFECT_API_URL": api, "DO_NOT_TRACK": "1"}
    return directory, url, {**os.environ, **ours}


def _prefect_server(home: Path, stack: ExitStack) -> str:
    """Returns its API's address."""
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
