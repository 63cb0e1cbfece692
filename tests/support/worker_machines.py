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

from deployments import sqlite_immediate
from deployments.prefect_api import PrefectApi, RunState


class Api(PrefectApi):
    """The REST API of a Prefect server of the tests."""

    def __init__(self, url: str, auth_string: str | None = None) -> None:
        super().__init__(url, ours=True, auth_string=auth_string)

    def answers(self) -> bool:
        """Whether the server is there."""
        try:
            return self.healthy()
        except httpx.TransportError:
            return False

    def run(self, deployment: str, **parameters: Any) -> str:
        """Start a run of a deployment, flow/name; returns its id."""
        found = self.deployment_id(deployment)
        assert found is not None, deployment
        return self.create_run(found, tags=[], parameters=parameters)

    def ended(self, run: str, seconds: float = 120) -> RunState:
        """Wait for the end of a run; returns its state."""
        state: RunState = until(lambda: (found := self.run_state(run)).final and found, f"run {run} has ended", seconds)
        return state


@contextmanager
def own_server(directory: Path, migrated: Path) -> Iterator[Api]:
    """A Prefect server on SQLite with a home in this directory, until the end of the block."""
    home, port = directory / "prefect", free_port()
    home.mkdir(parents=True)
    (home / "prefect.db").write_bytes(migrated.read_bytes())
    settings = {"HOME": str(directory), "PREFECT_HOME": str(home)} | sqlite_immediate.settings(home, given=())
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    with (
        (directory / "server.log").open("w") as log,
        subprocess.Popen(
            command, cwd=directory, env=environment(**settings), stdout=log, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            api = Api(f"http://127.0.0.1:{port}/api")
            until(api.answers, f"the server answers; its log: {log.name}", 120)
            yield api
        finally:
            process.terminate()


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
