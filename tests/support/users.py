"""Other users of this machine."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from db.embedded_location import open_to_others
from db.errors import JobError

NOBODY = 65534
TEMPORARY = Path("/tmp")  # noqa: S108 - only looked into
as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


def as_nobody(function: Callable[[], object]) -> str:
    """What `function` returns, or the expected error it raises, as text; in a process of the user nobody.

    Forked and not started anew, because nobody may not enter the home of an interpreter that is root's.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            try:
                answer = function()
            except (JobError, OSError) as error:
                answer = error
            os.write(writing, str(answer).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def python_of_all(directory: Path) -> tuple[str, dict[str, str]]:
    """A Python that every user can run, and the variable it needs: this one, or its copy in `directory`."""
    base = Path(sys.base_prefix)
    program, library = Path(sys.executable).resolve(), base / "lib"
    if open_to_others(program):
        return str(program), {}
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (directory / "bin").mkdir()
    shutil.copy(program, directory / "bin" / name)
    unused = shutil.ignore_patterns("site-packages", "test", "tests", "config-*")
    shutil.copytree(library / name, directory / "lib" / name, ignore=unused)
    for shared in library.glob("libpython*"):
        shutil.copy(shared, directory / "lib")
    return str(directory / "bin" / name), {"LD_LIBRARY_PATH": str(directory / "lib")}


@dataclass(frozen=True)
class User:
    """An ordinary user with a home."""

    uid: int
    gid: int
    home: Path

    @property
    def as_user(self) -> dict[str, Any]:
        """The arguments of `subprocess` that make the process this user's."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, **self.as_user)


@contextmanager
def new_user(name: str) -> Iterator[User]:
    """An ordinary user; at the end its processes, its home and its files in /tmp are removed."""
    subprocess.run(["useradd", "--create-home", name], check=True, capture_output=True)
    entry = pwd.getpwnam(name)
    try:
        yield User(entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))
    finally:
        for process in psutil.process_iter(["uids"]):
            with suppress(psutil.Error):
                if process.info["uids"].real == entry.pw_uid:
                    process.kill()
        for left in TEMPORARY.iterdir():
            with suppress(OSError):
                if left.lstat().st_uid == entry.pw_uid:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
        subprocess.run(["userdel", "--remove", "--force", name], check=False, capture_output=True)
