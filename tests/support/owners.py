"""Processes that work on one unit of work, step by step as a test tells them: each is forked from a small process."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import DBAPIError
from support.project import ROOT

from db.engine import DatabaseError, engine, explain
from db.task_runs import check_owner, committed, complete, idempotent_once

JOB = "interleaved"
ORDERS_OF_A_SEED = 100
PATIENCE = 60  # seconds for an answer


class SlowClaim(idempotent_once):
    """A claim that stops once between reading the row and taking the unit over."""

    stop: Callable[[int], None]  # gets the number of the session with the lock

    def _take_over(self, connection: Connection, row: RowMapping) -> bool:
        stop, self.stop = self.stop, _go_on
        stop(connection.scalar(text("SELECT pg_backend_pid()")) or 0)
        return super()._take_over(connection, row)


def _go_on(_: int) -> None:
    """Do not stop."""


class Owner:
    """What runs in such a process: one who wants to do the unit, and may lose it.

    Args:
        stop: what a slow claim calls.
    """

    def __init__(self, stop: Callable[[int], None] = _go_on) -> None:
        self.stop = stop
        self.once: idempotent_once | None = None
        self.open: Connection | None = None  # the transaction of the work

    def claim(self, key: str, *, slowly: bool = False) -> dict[str, Any]:
        once = SlowClaim(JOB, key)
        once.stop = self.stop if slowly else _go_on
        once.__enter__()
        if not once.done:
            self.once = once
        return {"done": once.done, "attempts": once.attempts, "result": once.result, "lock": self._lock_pid()}

    def _lock_pid(self) -> int | None:
        return self.once._lock.scalar(text("SELECT pg_backend_pid()")) if self.once and self.once._lock else None

    def begin(self, kind: str) -> dict[str, Any]:
        """Open a transaction with one effect: a batch that is staged, or the work with its completion."""
        assert self.once is not None
        self.open = engine().connect()
        check_owner(self.open, self.once.claim)
        self.open.execute(
            text("INSERT INTO effects (unit, attempt, kind) VALUES (:unit, :attempt, :kind)"),
            {"unit": self.once.id, "attempt": self.once.attempts, "kind": kind},
        )
        if kind == "work":
            complete(self.open, self.once.claim, self.once.attempts)
        return {}

    def commit(self) -> dict[str, Any]:
        self._end("commit")
        return {}

    def rollback(self) -> dict[str, Any]:
        self._end("rollback")
        return {}

    def commit_without_answer(self, *, arrives: bool) -> dict[str, Any]:
        """The connection is lost while it commits; then it asks whether the commit arrived."""
        assert self.once is not None
        assert self.open is not None
        self.open.execute(text("COMMIT" if arrives else "ROLLBACK"))
        self.open.connection.driver_connection.close()  # type: ignore[union-attr]
        with suppress(DBAPIError):
            self._end("commit")
        with engine().begin() as connection:
            return {"committed": committed(connection, self.once.claim) is not None}

    def _end(self, how: str) -> None:
        assert self.open is not None
        connection, self.open = self.open, None
        try:
            getattr(connection, how)()
        finally:
            connection.close()

    def leave(self) -> dict[str, Any]:
        assert self.once is not None
        once, self.once = self.once, None
        once.result = once.attempts
        once.__exit__(None, None, None)
        return {}

    def fail(self) -> dict[str, Any]:
        assert self.once is not None
        once, self.once = self.once, None
        once.__exit__(RuntimeError, RuntimeError("a fault"), None)
        return {}

    def answer(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """What the command returns, or the name of its error."""
        try:
            return dict(getattr(self, command)(**arguments))
        except (DatabaseError, DBAPIError) as error:
            if self.open is not None:
                with suppress(DBAPIError):
                    self._end("rollback")
            known = explain(error) if isinstance(error, DBAPIError) else error
            return {"error": type(known).__name__}


def _work(pipe: socket.socket) -> None:
    lines = pipe.makefile()

    def stop(lock: int) -> None:
        pipe.sendall(json.dumps({"stopped": lock}).encode() + b"\n")
        lines.readline()

    owner = Owner(stop)
    for line in lines:
        command, arguments = json.loads(line)
        pipe.sendall(json.dumps(owner.answer(command, arguments)).encode() + b"\n")


def _fork_for_ever(listening: int) -> None:
    """Accept connections; each is answered by a process of its own, which first says its number."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the children leave no zombies
    _prepare_statements()
    server = socket.socket(fileno=listening)
    while True:
        pipe, _ = server.accept()
        if os.fork() == 0:
            pipe.sendall(f"{os.getpid()}\n".encode())
            _work(pipe)
            os._exit(0)
        pipe.close()


def _prepare_statements() -> None:
    """Once for all children: SQLAlchemy compiles each statement at its first use."""
    owner = Owner()
    for command in (("claim", {"key": "first"}), ("begin", {"kind": "work"}), ("commit", {}), ("fail", {})):
        owner.answer(*command)
    engine().dispose()


class Handle:
    """One of these processes, as the test holds it."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(path)
        self._lines = self._socket.makefile()
        self.pid = int(self._lines.readline())

    def send(self, command: str, **arguments: Any) -> None:
        self._socket.sendall(json.dumps([command, arguments]).encode() + b"\n")

    def has_answered(self, seconds: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def answer(self) -> dict[str, Any]:
        return dict(json.loads(self._lines.readline()))

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._lines.close()
        self._socket.close()


@contextmanager
def forking(directory: str, url: str) -> Iterator[str]:
    """The address from which `Handle` gets a process that works on the database."""
    path = os.path.join(directory, "owners")  # noqa: PTH118 - an address, and short
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    process = subprocess.Popen(
        [sys.executable, "-m", "support.owners", str(server.fileno())],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        pass_fds=[server.fileno()],
        start_new_session=True,
    )
    try:
        yield path
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        server.close()


if __name__ == "__main__":
    _fork_for_ever(int(sys.argv[1]))
