"""The processes of one `make up`: started, kept alive, and stopped."""

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from db import embedded
from db.embedded_location import EmbeddedError
from db.settings import ROOT
from deployments.processes import Child, end_processes, marked_processes
from deployments.up.settings import StartError
from deployments.up.state import State
from deployments.up.stopping import Signals
from deployments.up.terminal import print_line
from tasks.exit_status import exit_status

DATABASE_SECONDS = 5  # between two checks of the embedded database


class Supervisor:
    """The children of one `make up`.

    Attributes:
        children: those that are kept alive.
        mark: the value of MARK in the environment of all processes of this `make up`.
    """

    def __init__(self, data_dir: Path, signals: Signals) -> None:
        self.children: list[Child] = []
        self.mark = str(data_dir.resolve())
        self._data_dir, self._signals = data_dir, signals
        self._next_database_check = 0.0

    def child(self, name: str, env: dict[str, str], *arguments: str, module: str = "prefect") -> Child:
        """A child that runs a module, that of Prefect's command line, with these arguments; it is not started yet."""
        log = self._data_dir / "logs" / f"{name}.log"
        return Child(name, [sys.executable, "-m", module, *arguments], env, ROOT, log)

    def start(self, child: Child, state: State) -> None:
        """Start a child, and keep it alive from now on."""
        self.children.append(child)
        child.start()
        state.add(child)

    def give_up(self, child: Child) -> None:
        """Stop a child, and do not keep it alive any more."""
        child.stop(self._signals.stop_timeout)
        self.children.remove(child)

    def wait_for(self, condition: Callable[[], bool], seconds: float, child: Child) -> None:
        """Wait until a condition is true that `child` brings about.

        Raises:
            StartError: the child ended, or the condition is not true in time.
        """
        until = time.monotonic() + seconds
        while True:
            code = child.process.poll() if child.process else None
            with contextlib.suppress(httpx.TransportError, httpx.HTTPStatusError):
                if condition():
                    return
            if code is not None:
                problem = f"ended ({exit_status(code)})"
            elif time.monotonic() > until:
                problem = f"was not ready within {seconds:.0f} seconds"
            else:
                self._signals.check()
                time.sleep(0.1)
                continue
            raise StartError(f"The {child.name} {problem}; its log {child.log} says: {child.reason()}")

    def restart_exited_children(self, state: State) -> None:
        """Start the children again that have died, and keep their logs short.

        Raises:
            CrashLoopError: a child dies again and again.
        """
        for child in self.children:
            if child.restart_if_exited(print_line):
                state.add(child)

    def restart_database(self) -> None:
        """Start the embedded database again if it does not answer; checks it every few seconds."""
        if time.monotonic() < self._next_database_check:
            return
        self._next_database_check = time.monotonic() + DATABASE_SECONDS
        if embedded.is_running(self._data_dir):
            return
        print_line("database", "does not answer, starting it again")
        try:
            embedded.start(self._data_dir)
        except EmbeddedError as error:
            print_line("database", str(error))

    def stop_children(self, after: Callable[[Child], None]) -> None:
        """Stop all children, the last started first, and whatever they started; calls `after` for each child."""
        for child in reversed(self.children):
            child.stop(self._signals.stop_timeout)
            after(child)
        end_processes(marked_processes(self.mark), self._signals.stop_timeout)
