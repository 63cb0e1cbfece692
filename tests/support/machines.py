"""Machines of the tests: a database, a Prefect home and the processes of jobs (processes.py), which can be killed."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
from support.databases import Database
from support.processes import FLOW, Job, Outcome, Process, Stop
from support.waiting import until


@dataclass
class Machine:
    """Where jobs run: a database, a directory for everything else, and the processes that were started."""

    database: Database
    api: str  # of the Prefect server
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)  # beside its own
    started: list[Process] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """The machine; at the end all of its processes are killed."""
        try:
            yield self
        finally:
            for process in self.started:
                process.kill()

    @property
    def home(self) -> Path:
        return self.directory / "prefect-home"

    @property
    def prefect(self) -> dict[str, str]:
        """The settings of Prefect with which a flow runs here."""
        return {
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(self.home),
            "PREFECT_LOCAL_STORAGE_PATH": str(self.home / "storage"),
        }

    @property
    def own_environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database.url,
            "DATA_DIR": str(self.directory),
            "TASK_MAX_INSTANCES": "16",  # here the unit of work alone decides who does it
        }

    def process(
        self,
        function: str,
        arguments: Mapping[str, Any],
        *,
        prefect: Mapping[str, str] | None = None,
        stops: Sequence[Stop] = (),
        change: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        largest_file: int | None = None,
    ) -> Process:
        """A function in a process of its own; with settings of Prefect it is a flow."""
        process = Process(
            Job(
                function=function,
                arguments=arguments,
                environment={**os.environ, **self.own_environment, **self.environment, **(environment or {})},
                log=self.directory / f"process-{len(self.started)}.log",
                prefect=prefect or {},
                stops=stops,
                change=change or {},
                largest_file=largest_file,
            )
        )
        self.started.append(process)
        return process


@dataclass
class ImportMachine(Machine):
    """A machine that imports workbooks."""

    batch_rows: int = 50

    @contextmanager
    def running(self) -> Iterator[Self]:
        self.spool.mkdir(parents=True, exist_ok=True)
        with super().running():
            yield self
        until(lambda: not self.readers(), "reading processes end with the import that started them")

    @property
    def spool(self) -> Path:
        return self.directory / "tmp"

    @property
    def own_environment(self) -> dict[str, str]:
        ours = {"TMPDIR": str(self.spool), "IMPORT_BATCH_ROWS": str(self.batch_rows)}
        return {**super().own_environment, **ours}

    def start(
        self,
        workbook: Path | str,
        *stops: Stop,
        change: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        largest_file: int | None = None,
        **parameters: Any,
    ) -> Process:
        """The import in a process of its own."""
        return self.process(
            FLOW,
            {"workbook": str(workbook), **parameters},
            prefect=self.prefect,
            stops=stops,
            change=change,
            environment=environment,
            largest_file=largest_file,
        )

    def run(self, workbook: Path | str, **how: Any) -> Outcome:
        """The import, to its end."""
        return self.start(workbook, **how).outcome()

    def kill_at(self, stop: Stop, workbook: Path, **how: Any) -> None:
        """Start the import and kill it where it stops."""
        process = self.start(workbook, stop, **how)
        process.reach()
        process.kill()

    def readers(self) -> list[psutil.Process]:
        """Reading processes that work for imports of this machine."""
        return [each for each in psutil.process_iter() if _reads(each, str(self.spool))]


def _reads(process: psutil.Process, spool: str) -> bool:
    try:
        return "tasks.crm.worker" in process.cmdline() and process.environ().get("TMPDIR") == spool
    except psutil.Error:
        return False


def succeeded(outcome: Outcome) -> Outcome:
    """The outcome of a flow that completed, without a traceback."""
    assert outcome.state == "COMPLETED", f"{outcome.message}\n{outcome.log}"
    assert "Traceback" not in outcome.log, outcome.log
    return outcome


def refused(outcome: Outcome) -> str:
    """The one line of a flow that failed, without a traceback."""
    assert outcome.state == "FAILED", f"{outcome.message}\n{outcome.log}"
    assert "Traceback" not in outcome.log, outcome.log
    assert "\n" not in outcome.message
    return outcome.message
