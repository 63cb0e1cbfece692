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

from deployments.processes import Child
from deployments.up.settings import StartError
from tasks.prefect_server import STATE_FILE


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
        new = self._file.with_suffix(".json.new")
        new.write_text(json.dumps(self._values, indent=1))
        new.replace(self._file)

    def remove(self) -> None:
        """Remove the file."""
        self._file.unlink(missing_ok=True)


@contextlib.contextmanager
def locked_data_dir(data_dir: Path) -> Iterator[None]:
    """Hold the lock on DATA_DIR; it also ends when the process dies.

    Raises:
        StartError: DATA_DIR cannot be written, or another `make up` holds the lock; names its pid and address.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "up.lock").open("w")
    except OSError as error:
        raise StartError(
            f"DATA_DIR={data_dir} cannot be used ({error.strerror}). Name one that can be written to: DATA_DIR=..."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other: dict[str, Any] = {}
            with contextlib.suppress(OSError, ValueError):
                other = json.loads((data_dir / STATE_FILE).read_text())
            pid, address = other.get("pid", "unknown"), other.get("ui_url", "not there yet")
            raise StartError(
                f"make up already runs for {data_dir} (pid {pid}, UI {address}). Use it, or stop it with: kill {pid}"
            ) from error
        yield
