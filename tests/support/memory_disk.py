"""Temporary files of the tests in memory: thousands of databases, each of three hundred files, are made and dropped."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil

MEMORY = Path("/dev/shm")  # noqa: S108 - only a directory of our own in it is used
ROOM = 8 << 30  # bytes; the tests need half of it
_PREFIX = "jobs-"  # short: a path of a socket has at most 107 characters


def use_memory() -> Callable[[], None]:
    """Let this process and its children keep temporary files in memory; returns what removes them.

    Nothing changes if TMPDIR is set, or where the system has no such directory, or too little memory.
    """
    if os.environ.get("TMPDIR") or not _has_room():
        return lambda: None
    _remove_those_of_killed_sessions()
    directory = MEMORY / f"{_PREFIX}{os.getpid()}"
    directory.mkdir()
    directory.chmod(0o1777)
    os.environ["TMPDIR"] = tempfile.tempdir = str(directory)
    return lambda: shutil.rmtree(directory, ignore_errors=True)


def _has_room() -> bool:
    if not os.access(MEMORY, os.W_OK):
        return False
    found = os.statvfs(MEMORY)
    programs = not found.f_flag & os.ST_NOEXEC  # tests also put programs into temporary directories
    return programs and min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available // 2) >= ROOM


def _remove_those_of_killed_sessions() -> None:
    for left in MEMORY.glob(f"{_PREFIX}*"):
        if not psutil.pid_exists(int(left.name.removeprefix(_PREFIX))):
            shutil.rmtree(left, ignore_errors=True)
