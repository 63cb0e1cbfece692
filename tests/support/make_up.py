"""`make up` as a process of its own."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from support.project import ROOT
from support.waiting import until

from deployments.processes import end_processes, marked_processes

GIVEN = (
    *("DATABASE_", "MIGRATION_", "POSTGRES_", "PREFECT_", "DATA_DIR", "CRM_WORKBOOK", "UI_PORT", "TASK_"),
    *("WORK_POOL", "LOG_FORMAT", "METRICS_PORT"),
)


def environment(**settings: str) -> dict[str, str]:
    """The environment without what was set for the tests themselves."""
    return {name: value for name, value in os.environ.items() if not name.startswith(GIVEN)} | settings


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """What runs for this data directory: what make up marked, and the embedded database."""
    found = marked_processes(str(data_dir))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "postgres" and str(data_dir) in " ".join(process.cmdline()):
                found.append(process)
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@dataclass
class Started:
    """A running `make up`, and what it has printed so far."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    output: Path

    def text(self) -> str:
        return self.output.read_text()

    def expect(self, words: str, seconds: float = 90) -> None:
        def printed() -> bool:
            assert self.process.poll() is None or words in self.text(), self.text()
            return words in self.text()

        until(printed, f"{words!r} in\n{self.text()}", seconds)

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.data_dir / "up.json").read_text())
        return state

    def auth_string(self) -> str:
        """The password that make up has made: user:password."""
        return (self.data_dir / "prefect-password").read_text().strip()

    def client_settings(self) -> dict[str, str]:
        """The settings that a client of its Prefect server needs, as docs/operate.md has them."""
        return {"PREFECT_API_URL": self.state()["api_url"], "PREFECT_API_AUTH_STRING": self.auth_string()}

    def api(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.state()["api_url"],
            auth=httpx.BasicAuth(*self.auth_string().split(":", 1)),
            timeout=30,
            trust_env=False,
            transport=httpx.HTTPTransport(retries=3),
        )

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def where_it_is_noon() -> str:
    """A time zone in which no nightly job begins in the middle of a test."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"  # of this sign: to the west of Greenwich


def start(data_dir: Path, root: Path = ROOT, program: str = "-m deployments.up", **settings: str) -> Started:
    output = data_dir / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *program.split(" ", 1)],
            cwd=root,
            env=environment(DATA_DIR=str(data_dir), **{"TASK_TIMEZONE": where_it_is_noon(), **settings}),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    return Started(process, data_dir, output)


def scheduled_runs(api: httpx.Client, deployment: str) -> list[dict[str, Any]]:
    """The runs that the server itself has scheduled for a deployment."""
    scheduled = {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    runs = api.post("/flow_runs/filter", json={"flow_runs": scheduled}).raise_for_status().json()
    return [run for run in runs if run["auto_scheduled"]]


@contextlib.contextmanager
def new_data_dir(migrated_prefect: Path | None = None) -> Iterator[Path]:
    """A short path (sockets have a limit) that others may enter; afterwards nothing of it runs.

    With the database of a Prefect server it is one where make up has run before, and so starts six seconds sooner.
    """
    path = Path(tempfile.mkdtemp(prefix="up-")).resolve()
    path.chmod(0o755)
    if migrated_prefect:
        (path / "prefect").mkdir()
        shutil.copy(migrated_prefect, path / "prefect" / "prefect.db")
    try:
        yield path
    finally:
        end_processes(processes_of(path), lambda: 0.0)
        shutil.rmtree(path, ignore_errors=True)
