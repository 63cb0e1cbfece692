"""Real processes that run the import and can be stopped at an exact place, to be killed there.

Each is forked from a server process that has imported Prefect and the flow already (multiprocessing's forkserver), so
that it starts in milliseconds, and runs the real code with its own environment, Prefect home and temporary directory.
A Stop wraps one function: at its n-th call the process reports where it is and waits until it is released or killed.
"""

import contextlib
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

FLOW = "flows.import_crm_data:import_crm_data"
STAGE = "db.staging:stage"  # its calls are counted: how many batches a run really staged

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    ["flows.import_crm_data", "flows.mofa_monitoring", "prefect.testing.utilities", "support.processes"]
)


@dataclass(frozen=True)
class Stop:
    """Where a process is to wait: at the n-th call of module:name, before it begins or after it returned."""

    place: str
    call: int = 1
    after: bool = False

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.place.rpartition(':')[2]} {self.call}"


@dataclass(frozen=True)
class Job:
    """What a process does: call `function` (module:name) with these arguments."""

    function: str
    arguments: Mapping[str, Any]
    environment: Mapping[str, str]
    log: Path
    prefect: Mapping[str, str] = field(default_factory=dict)  # settings; empty: the function is no flow
    stops: Sequence[Stop] = ()
    change: Mapping[str, Any] = field(default_factory=dict)  # module:name -> value that stands there instead
    largest_file: int | None = None  # bytes: beyond it writing fails, as on a full disk


@dataclass(frozen=True)
class Outcome:
    """How it ended."""

    state: str  # COMPLETED, FAILED, ... of a flow; RETURNED, RAISED of another function
    message: str  # of the state; else what was returned or raised
    staged: int  # batches
    log: str


class Process:
    """One process and the pipe to it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._pipe, theirs = _processes.Pipe()
        self._process = _processes.Process(target=_work, args=(theirs, job), daemon=True)
        self._process.start()
        theirs.close()
        self.pid = self._process.pid or 0

    def reach(self, seconds: float = 60) -> str:
        """Wait until it stops; returns where."""
        kind, content = self._receive(seconds)
        assert kind == "stopped", f"it ended instead of stopping: {content}"
        return str(content)

    def release(self) -> None:
        """Let it go on from where it stopped."""
        self._pipe.send("go on")

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._process.join(20)
        assert not self._process.is_alive()

    def outcome(self, seconds: float = 120) -> Outcome:
        """Wait for its end."""
        kind, content = self._receive(seconds)
        assert kind == "ended", f"it stopped at {content} instead of ending"
        self._process.join(30)
        state, message, staged = content
        return Outcome(state, message, staged, self.job.log.read_text())

    def ended(self) -> bool:
        """Whether it has reported how it ended, or where it stopped."""
        return self._pipe.poll()

    def _receive(self, seconds: float) -> tuple[str, Any]:
        try:
            assert self._pipe.poll(seconds), f"nothing within {seconds} s; its log:\n{self.job.log.read_text()}"
            message: tuple[str, Any] = self._pipe.recv()
        except EOFError:
            raise AssertionError(f"it died; its log:\n{self.job.log.read_text()}") from None
        return message


# ---------------------------------------------------------------------- in the process


def _work(pipe: Connection, job: Job) -> None:
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(job.environment)
    tempfile.tempdir = None
    for name, value in job.change.items():
        owner, attribute = _owner(name)
        setattr(owner, attribute, value)
    staged: list[int] = []
    _wrap(STAGE, lambda call, after: staged.append(call) if after else None)
    for stop in job.stops:
        _wrap(stop.place, _waiting(pipe, stop))
    if job.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job.largest_file, job.largest_file))
    state, message = _call(job)
    sys.stdout.flush()
    pipe.send(("ended", (state, message, len(staged))))


def _call(job: Job) -> tuple[str, str]:
    owner, name = _owner(job.function)
    function = getattr(owner, name)
    try:
        if not job.prefect:
            return "RETURNED", str(function(**job.arguments))
        from prefect import settings

        # Without heartbeats: at the end of each run Prefect waits up to a second for the thread that sends them.
        given = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": None, **job.prefect}
        with settings.temporary_settings({getattr(settings, key): value for key, value in given.items()}):
            state = function(**job.arguments, return_state=True)
        return str(state.type.value), str(state.message)
    except BaseException as error:  # noqa: BLE001 - it is reported
        traceback.print_exc()
        return "RAISED", f"{type(error).__name__}: {error}"


def _owner(place: str) -> tuple[Any, str]:
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name


def _waiting(pipe: Connection, stop: Stop) -> Callable[[int, bool], None]:
    def notice(call: int, after: bool) -> None:
        if (call, after) == (stop.call, stop.after):
            pipe.send(("stopped", str(stop)))
            pipe.recv()

    return notice


def _wrap(place: str, notice: Callable[[int, bool], None]) -> None:
    owner, name = _owner(place)
    function = getattr(owner, name)
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        call = calls
        notice(call, False)
        result = function(*args, **kwargs)
        notice(call, True)
        return result

    setattr(owner, name, wrapped)
