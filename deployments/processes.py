"""Starts, watches and ends the processes of `make up`; decides which processes on this machine are its own.

Every process is started with `MARK` in its environment and hands it on to whatever it starts (Prefect puts each flow
run into a session of its own, and a killed worker leaves its runs behind). So all of them are found again by that
mark, also after `make up` itself was killed, and a process number that was given to somebody else is never touched.
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

MARK = "EMBASSY_JOBS_UP"  # its value is the DATA_DIR that the process works for
DEATHS_A_MINUTE = 5  # a child that dies so often will not get better by being started again
SAID_BYTES = 50_000  # of the end of a log, in which the reason of a death is looked for
LOG_BYTES = 10_000_000  # a log longer than this is put aside


class CrashLoopError(JobError):
    """A child died too often; the message says where its log is."""


class Child:
    """A process that is kept alive until `stop`, in a session of its own so that Ctrl-C reaches only `make up`."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> None:
        self.name = name
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._command, self._env, self._cwd = list(command), dict(env), cwd
        self._log_before = 0  # bytes of the log that earlier processes wrote
        self._deaths: collections.deque[float] = collections.deque(maxlen=DEATHS_A_MINUTE)
        self._start_again_at: float | None = None

    def start(self) -> None:
        """Start the process; its output is appended to `log`."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._start_again_at = None
        with self.log.open("ab") as output:
            self._log_before = output.tell()
            self.process = subprocess.Popen(
                self._command,
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> list[str]:
        """The last lines that the process wrote since it was started, without blank ones and ornaments."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_before if self._log_before <= size else 0, size - SAID_BYTES))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
            return [line for line in lines if any(character.isalnum() for character in line)]
        return []

    def reason(self) -> str:
        """The line that most likely says why the process ended: the last that names an error, else the last."""
        said = self.said()
        errors = [line for line in said if re.search(r"error\b.*: |no space left", line, re.IGNORECASE)]
        return (errors or said or [""])[-1]

    def listens_on(self, port: int) -> bool:
        """Whether it is this process that serves the port."""
        if self.process is None:
            return False
        with contextlib.suppress(psutil.Error):
            connections = psutil.Process(self.process.pid).net_connections("tcp")
            return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)
        return False

    def watch(self, say: Callable[[str, str], None]) -> bool:
        """Keep its log short, and start it again if it died, after 1, 2, 4, 8 seconds; True when it was started again.

        Raises:
            CrashLoopError: it died five times within a minute.
        """
        keep_short(self.log)
        if self._start_again_at is not None:
            if time.monotonic() < self._start_again_at:
                return False
            self.start()
            return True
        if self.process is None or self.process.poll() is None:
            return False
        now = time.monotonic()
        self._deaths.append(now)
        recent = sum(1 for death in self._deaths if now - death < 60)  # noqa: PLR2004 - a minute
        if recent >= DEATHS_A_MINUTE:
            raise CrashLoopError(
                f"The {self.name} died {recent} times within a minute; the reason stands in {self.log}."
            )
        wait = 2 ** (recent - 1)
        say(
            self.name, f"died ({how_it_ended(self.process.returncode)}), starting it again in {wait} s; log: {self.log}"
        )
        self._start_again_at = now + wait
        return False

    def stop(self, patience: Callable[[], float]) -> None:
        """Ask the process to end, wait up to `patience()` seconds (asked again and again), then kill it."""
        self._start_again_at = None
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        started = time.monotonic()
        while self.process.poll() is None:
            if time.monotonic() - started > patience():
                self.process.kill()
                self.process.wait(10)
            time.sleep(0.05)


def keep_short(log: Path) -> None:
    """Put aside what a log holds, once it is long; its process goes on appending to the same file."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > LOG_BYTES:
            shutil.copyfile(log, log.with_suffix(".old.log"))
            os.truncate(log, 0)


def how_it_ended(code: int) -> str:
    """A return code of subprocess in words."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def marked(value: str) -> list[psutil.Process]:
    """All living processes of this user that carry `MARK=value`, except this one."""
    found = []
    for process in psutil.process_iter():
        # Processes of other users and those that just ended cannot be ours.
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == value:
                found.append(process)
    return found


def is_flow_run(process: psutil.Process) -> bool:
    """Whether this is a process in which Prefect runs a flow."""
    with contextlib.suppress(psutil.Error):
        return "prefect.engine" in process.cmdline()
    return False


def end(processes: Iterable[psutil.Process], patience: Callable[[], float]) -> int:
    """Terminate the processes, wait up to `patience()` seconds, kill what is left; how many there were."""
    alive = list(processes)
    number = len(alive)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    started = time.monotonic()
    while alive and time.monotonic() - started <= patience():
        _, alive = psutil.wait_procs(alive, timeout=0.1)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=10)
    return number
