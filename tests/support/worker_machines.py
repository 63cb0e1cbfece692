"""A Prefect server and workers as processes that share no file: each has a home and directories of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from support.loopback import free_port
from support.make_up import environment
from support.waiting import until

ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass
class Api:
    """The REST API of a Prefect server."""

    client: httpx.Client

    @property
    def url(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def answers(self) -> bool:
        try:
            return self.client.get("/admin/version").is_success
        except httpx.TransportError:
            return False

    def run(self, deployment: str, **parameters: Any) -> str:
        """Start a run of a deployment, flow/name; returns its id."""
        found = self.client.get(f"/deployments/name/{deployment}").raise_for_status().json()["id"]
        made = self.client.post(f"/deployments/{found}/create_flow_run", json={"parameters": parameters})
        return str(made.raise_for_status().json()["id"])

    def state(self, run: str) -> dict[str, Any]:
        state: dict[str, Any] = self.client.get(f"/flow_runs/{run}").raise_for_status().json()["state"]
        return state

    def ended(self, run: str, seconds: float = 120) -> dict[str, Any]:
        """Wait for the end of a run; returns its state."""
        state: dict[str, Any] = until(
            lambda: (found := self.state(run))["type"] in ENDED and found, f"run {run} has ended", seconds
        )
        return state

    def tasks(self, run: str, name: str) -> list[str]:
        """The names of a run's tasks that begin with `name`."""
        wanted = {"task_runs": {"flow_run_id": {"any_": [run]}}, "limit": 200}
        found = self.client.post("/task_runs/filter", json=wanted).raise_for_status().json()
        return sorted(each["name"] for each in found if each["name"].startswith(name))


@contextmanager
def running_server(
    command: list[str], directory: dict[str, Any], auth: tuple[str, str] | None, log: Path, port: int
) -> Iterator[Api]:
    """A Prefect server that was started with `command`, until the end of the block.

    Args:
        command: starts it on `port`.
        directory: `cwd` and `env` of the process.
        auth: user and password that it requires.
        log: the file for what it prints.
        port: on which it listens.
    """
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **directory) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}/api", auth=auth, timeout=30, trust_env=False) as client,
    ):
        try:
            api = Api(client)
            until(api.answers, f"the server answers; its log: {log}", 120)
            yield api
        finally:
            process.terminate()


@contextmanager
def own_server(directory: Path, migrated: Path) -> Iterator[Api]:
    """A Prefect server on SQLite with a home in this directory."""
    home, port = directory / "prefect", free_port()
    home.mkdir(parents=True)
    (home / "prefect.db").write_bytes(migrated.read_bytes())
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    settings = environment(HOME=str(directory), PREFECT_HOME=str(home), PREFECT_SERVER_ANALYTICS_ENABLED="false")
    with running_server(command, {"cwd": directory, "env": settings}, None, directory / "server.log", port) as api:
        yield api


@dataclass
class WorkerMachine:
    """A machine with one worker: everything that it writes is below `directory`."""

    directory: Path
    api: Api
    settings: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        own = {"HOME": ".", "PREFECT_HOME": "prefect", "DATA_DIR": "data", "TMPDIR": "tmp"}
        for name in own.values():
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        mine = {name: str(self.directory / below) for name, below in own.items()}
        quick = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
        return environment(PREFECT_API_URL=self.api.url, **quick, **self.settings, **mine)

    def start(self, pool: str = "crm-pool") -> None:
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--name", self.directory.name]
        with (self.directory / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.directory, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )

    def kill(self) -> None:
        """As if it lost its power: the worker, its runs and their reading processes."""
        if self.process is None:
            return
        with_all = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for each in with_all:
            if each.is_running():
                each.kill()
        psutil.wait_procs(with_all, timeout=20)
        self.process.wait(20)
        self.process = None

    def files(self) -> set[Path]:
        return {path for path in self.directory.rglob("*") if path.is_file()}


def command(*arguments: str, **settings: str) -> None:
    """A command of the project, to its end."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], env=os.environ | settings, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
