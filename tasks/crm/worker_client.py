"""Starts the reading process, sends it a request, and yields its answers.

The process needs half a second for its imports. So it is started before the request is known, while Prefect begins the
run and the workbook is fetched.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import IO, Self

from tasks.crm.private_directory import private_directory
from tasks.crm.readers.workbook import WorkbookError
from tasks.crm.worker_protocol import Batch, End, Headings, ReadRequest

logger = logging.getLogger(__name__)
_COMMAND = [sys.executable, "-m", "tasks.crm.worker"]
# All other variables are left out: a process that reads files from strangers gets no secret.
_ENVIRONMENT = {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "VIRTUAL_ENV"}
_EVENTS = {"headings": Headings, "batch": Batch, "end": End}


@contextmanager
def reading_process() -> Iterator["ReadingProcess"]:
    """A reading process that waits for its request, with a private directory. Raises UserError: no directory."""
    with private_directory() as directory, ReadingProcess(directory) as process:
        yield process


class ReadingProcess:
    """A reading process, as a context manager: it is ended with the block.

    Args:
        directory: for its batches and its log.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._late = False  # whether it was ended because it took too long
        self._log: IO[str] = Path(directory, "worker.log").open("w+")  # noqa: SIM115 - closed at the end of the block
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
            env={
                name: value for name, value in os.environ.items() if name in _ENVIRONMENT or name.startswith("PYTHON")
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._kill()
        with suppress(BrokenPipeError):
            self._process.__exit__(kind, error, at)
        self._log.close()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def read(self, request: ReadRequest) -> Generator[Headings | Batch | End]:
        """Send the request and yield the answers as they come.

        Raises:
            WorkbookError: the process refused the workbook, or was stopped while reading it.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the reading process has no pipes")
        with suppress(BrokenPipeError):  # it has ended already: it sends no answer
            self._process.stdin.write(json.dumps(asdict(request)))
            self._process.stdin.close()
        with self._limited(request.seconds):
            for line in self._process.stdout:
                for kind, content in json.loads(line).items():
                    if kind == "refused":
                        raise WorkbookError(content)
                    yield _EVENTS[kind](**content)
                    if kind == "end":
                        return
        raise WorkbookError(f"{request.name} cannot be read: {self._why_stopped(request)}")

    @contextmanager
    def _limited(self, seconds: float) -> Iterator[None]:
        """End the process if the block takes longer."""

        def stop() -> None:
            self._late = True
            self._kill()

        timer = Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _why_stopped(self, request: ReadRequest) -> str:
        """Why the process ended without an answer, and what to do, as the rest of a sentence."""
        how = self._process.wait()
        self._log.seek(0)
        logger.debug("the reading process ended with %s; its log: %s", how, self._log.read()[-2000:])
        if self._late:
            return f"it takes longer than {request.seconds:,} seconds: split the workbook, or raise IMPORT_READ_SECONDS"
        if how == -signal.SIGXCPU:
            return (
                f"it takes more than {request.cpu_seconds:,} CPU seconds: split the workbook, or raise "
                "IMPORT_CPU_SECONDS"
            )
        return (
            f"the process that read it was stopped ({_ended(how)}). This happens when a workbook needs more than "
            f"{request.memory_mb} MB: open it in Excel or LibreOffice, delete empty rows and columns, save it as .xlsx "
            "and import that"
        )


def _ended(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
