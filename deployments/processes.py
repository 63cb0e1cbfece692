"""Starts, keeps alive and ends the processes of `make up`, and finds those of this machine that belong to it.

Every process is started with `MARK` in its environment, which its own children inherit (Prefect puts each flow run into
a session of its own, and a killed worker leaves its runs behind). All of them are found again by that mark, also after
`make up` itself was killed; a process that has reused a process number is never touched.
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from db.errors import JobError
from db.private_files import NotPrivateError, appended_private, make_private
from tasks.exit_status import exit_status
from tasks.json_log import text_of

MARK = "EMBASSY_JOBS_UP"  # environment variable; its value is the DATA_DIR that the process works for
MAX_EXITS_PER_MINUTE = 5  # a child that exits so often is not restarted again
MINUTE = 60
LAST_BYTES = 50_000  # of a log, in which the reason of a death is looked for
LOG_BYTES = 10_000_000  # a longer log is moved aside


class CrashLoopError(JobError):
    """A child died too often; the message names its log."""


class Child:
    """A process that is kept alive until `stop`; its session is its own, so that Ctrl-C reaches only `make up`."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> None:
        self.name = name
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._command, self._env, self._cwd = list(command), dict(env), cwd
        self._log_start = 0  # bytes of the log that earlier processes wrote
        self._exits: collections.deque[float] = collections.deque(maxlen=MAX_EXITS_PER_MINUTE)
        self._start_again_at: float | None = None

    def start(self) -> None:
        """Start the process; its output is appended to `log`, which other users cannot read."""
        make_private(self.log.parent)
        self._start_again_at = None
        with appended_private(self.log) as output:
            self._log_start = os.fstat(output).st_size
            self.process = subprocess.Popen(
                self._command,
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def exit_code(self) -> int | None:
        """The exit code of the process; None while it runs, and before it is started."""
        return self.process.poll() if self.process else None

    def last_lines(self) -> list[str]:
        """The last lines that the process wrote since it was started, without blank and purely decorative ones."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start if self._log_start <= size else 0, size - LAST_BYTES))
            lines = [text_of(line.strip()) for line in log.read().decode(errors="replace").splitlines()]
            return [line for line in lines if any(character.isalnum() for character in line)]
        return []

    def reason(self) -> str:
        """The line that most likely says why the process ended: the last one with an error, else the last one."""
        lines = self.last_lines()
        errors = [line for line in lines if re.search(r"error\b.*: |no space left", line, re.IGNORECASE)]
        return (errors or lines or [""])[-1]

    def listens_on(self, port: int) -> bool:
        """Whether this very process listens on the port."""
        if self.process is None:
            return False
        with contextlib.suppress(psutil.Error):
            connections = psutil.Process(self.process.pid).net_connections("tcp")
            return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)
        return False

    def restart_if_exited(self, announce: Callable[[str, str], None]) -> bool:
        """Start the process again if it has died, after 1, 2, 4, 8 seconds; returns whether it was started now.

        Also keeps its log short. `announce` gets the name of the child and what happened.

        Raises:
            CrashLoopError: it died five times within a minute.
        """
        limit_log(self.log)
        if self._start_again_at is not None:
            if time.monotonic() < self._start_again_at:
                return False
            self.start()
            return True
        if self.process is None or self.process.poll() is None:
            return False
        now = time.monotonic()
        self._exits.append(now)
        recent = sum(1 for exited_at in self._exits if now - exited_at < MINUTE)
        if recent >= MAX_EXITS_PER_MINUTE:
            raise CrashLoopError(f"The {self.name} died {recent} times within a minute; the reason is in {self.log}.")
        wait = 2 ** (recent - 1)
        announce(
            self.name, f"died ({exit_status(self.process.returncode)}), starting it again in {wait} s; log: {self.log}"
        )
        self._start_again_at = now + wait
        return False

    def stop(self, stop_timeout: Callable[[], float]) -> None:
        """Terminate the process, wait up to `stop_timeout()` seconds, then kill it; a signal may shorten that time."""
        self._start_again_at = None
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        started = time.monotonic()
        while self.process.poll() is None:
            if time.monotonic() - started > stop_timeout():
                self.process.kill()
                self.process.wait(10)
            time.sleep(0.05)


def limit_log(log: Path) -> None:
    """Move the contents of a long log aside; its process continues to append to the same file."""
    with contextlib.suppress(OSError, NotPrivateError):
        if log.stat().st_size > LOG_BYTES:
            old = log.with_suffix(".old.log")
            old.unlink(missing_ok=True)
            with appended_private(log) as opened, appended_private(old) as moved:
                with log.open("rb") as content, os.fdopen(os.dup(moved), "wb") as copy:
                    shutil.copyfileobj(content, copy)
                os.ftruncate(opened, 0)


def marked_processes(value: str) -> list[psutil.Process]:
    """All living processes of this user that have `MARK=value` in their environment, except this one."""
    found = []
    for process in psutil.process_iter():
        # Errors mean a process of another user, or one that has just ended.
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == value:
                found.append(process)
    return found


def is_flow_run(process: psutil.Process) -> bool:
    """Whether Prefect runs a flow in this process."""
    with contextlib.suppress(psutil.Error):
        return "prefect.engine" in process.cmdline()
    return False


def end_processes(processes: Iterable[psutil.Process], stop_timeout: Callable[[], float]) -> int:
    """Terminate the processes, wait up to `stop_timeout()` seconds, kill the others; returns how many there were."""
    alive = list(processes)
    number = len(alive)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    started = time.monotonic()
    while alive and time.monotonic() - started <= stop_timeout():
        _, alive = psutil.wait_procs(alive, timeout=0.1)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=10)
    return number
