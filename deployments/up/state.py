"""DATA_DIR: the lock on it, and the file in which `make up` says what runs.

`up.json` has pid and create_time of `make up` and of its children, api_url, ui_url, own_password (whether the password
in PASSWORD_FILE is the server's) and database_url (without password).
It counts only while pid and create_time belong to a living process: see `tasks/prefect_server.py`, which reads it.
"""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from db.private_files import lock_file, make_data_dir, write_private
from deployments.processes import Child
from deployments.up.settings import StartError
from tasks.prefect_server import STATE_FILE, state_of_make_up


class State:
    """The contents of `up.json`."""

    def __init__(self, data_dir: Path) -> None:
        me = psutil.Process()
        self._file = data_dir / STATE_FILE
        self._values: dict[str, Any] = {
            "pid": me.pid,
            "create_time": me.create_time(),
            "data_dir": str(data_dir),
            "children": {},
        }

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: str | bool) -> None:
        self._values[name] = value

    def add(self, child: Child) -> None:
        """Remember the process of a child, and write the file."""
        if child.process is not None:
            with contextlib.suppress(psutil.Error):
                created = psutil.Process(child.process.pid).create_time()
                self._values["children"][child.name] = {"pid": child.process.pid, "create_time": created}
        self.save()

    def save(self) -> None:
        """Write the file: either all of it, or nothing."""
        write_private(self._file, json.dumps(self._values, indent=1))

    def remove(self) -> None:
        """Remove the file."""
        self._file.unlink(missing_ok=True)


@contextlib.contextmanager
def locked_data_dir(data_dir: Path) -> Iterator[None]:
    """Hold the lock on DATA_DIR; it also ends when the process dies.

    Raises:
        StartError: DATA_DIR cannot be written, or another `make up` runs; names its pid and address.
        NotPrivateError: DATA_DIR, or what is in it, belongs to another user.
    """
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context(lock_file(make_data_dir(data_dir), "up"))
        except OSError as error:
            raise StartError(
                f"DATA_DIR={data_dir} cannot be used ({error.strerror}). Name one that can be written to: DATA_DIR=..."
            ) from error
        locked = False
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = True
        other = state_of_make_up(data_dir)  # that of an earlier version has another lock
        if other or not locked:
            pid, address = (other or {}).get("pid", "unknown"), (other or {}).get("ui_url", "not there yet")
            raise StartError(
                f"make up already runs for {data_dir} (pid {pid}, UI {address}). Use it, or stop it with: kill {pid}"
            )
        yield
