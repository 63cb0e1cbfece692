"""Files, directories and locks that no other user of this machine can read, replace or hold: checked before use.

DATA_DIR belongs to this user, and nobody else may write to it; what it holds is closed to others. Root may use the
DATA_DIR of a user (`sudo make up`): what root creates there belongs to that user, and no symbolic link is followed.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from db.errors import UserError

CLOSED, ENTERABLE = 0o700, 0o711
WRITE_OF_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


class NotPrivateError(UserError):
    """A file or directory belongs to another user, or others can change it; the message names it."""


def make_data_dir(data_dir: Path) -> Path:
    """Create DATA_DIR, or make sure that nobody else can write to it; returns it.

    It is closed to others, except that of root: there the database belongs to a system user, who must enter it.

    Raises:
        NotPrivateError: it belongs to another user, or is shared as /tmp is.
        OSError: it cannot be created.
    """
    with suppress(FileExistsError):
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        data_dir.mkdir(mode=CLOSED if os.geteuid() else ENTERABLE)
    with _opened(data_dir, _DIRECTORY) as opened:
        found, is_root = os.fstat(opened), os.geteuid() == 0
        trusted = {0, found.st_uid if is_root else os.geteuid()}
        if not {found.st_uid, data_dir.lstat().st_uid} <= trusted:  # of a symbolic link: its own owner, too
            raise NotPrivateError(f"DATA_DIR={data_dir} belongs to another user: set another one")
        if found.st_mode & WRITE_OF_OTHERS:
            if found.st_mode & stat.S_ISVTX or not (is_root or found.st_uid == os.geteuid()):
                raise NotPrivateError(f"other users can write to DATA_DIR={data_dir}: set another one")
            os.fchmod(opened, stat.S_IMODE(found.st_mode) & ~WRITE_OF_OTHERS)
    return data_dir


def make_private(directory: Path) -> Path:
    """Create a directory that only this user can enter, or close the existing one to others; returns it.

    Raises:
        NotPrivateError: it is a symbolic link, or belongs to another user.
        OSError: it cannot be created.
    """
    with suppress(FileExistsError):
        directory.mkdir(mode=CLOSED)
    with _opened(directory, _DIRECTORY | os.O_NOFOLLOW) as opened:
        _make_ours(opened, directory, CLOSED)
    return directory


def is_own(directory: Path) -> bool:
    """Whether a directory belongs to this user, and nobody else can write to it."""
    with suppress(OSError):
        found = directory.stat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & WRITE_OF_OTHERS
    return False


def read_private(file: Path) -> str:
    """The text of a file that only its owner can read from now on.

    Raises:
        NotPrivateError: it is a symbolic link, or belongs to another user.
        OSError: it cannot be read.
    """
    with _opened(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) as opened:
        _make_ours(opened, file, 0o600)
        with os.fdopen(os.dup(opened)) as stream:
            return stream.read()


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read: either all of it, or nothing.

    Raises:
        OSError: it cannot be written.
    """
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with _opened(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as opened:
        _make_ours(opened, new, 0o600)
        with os.fdopen(os.dup(opened), "w") as stream:
            stream.write(text)
    new.replace(file)


@contextmanager
def appended_private(file: Path) -> Iterator[int]:
    """A file that is open for appending, and that only its owner can read; created if it is missing.

    Raises:
        NotPrivateError: it is a symbolic link, or belongs to another user.
        OSError: it cannot be opened.
    """
    with _opened(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW) as opened:
        _make_ours(opened, file, 0o600)
        yield opened


@contextmanager
def lock_file(directory: Path, name: str) -> Iterator[int]:
    """An open file for `flock`, in `directory`/locks: who can open a file can hold its lock, and only this user can.

    Raises:
        NotPrivateError: the directory of the locks belongs to another user.
        OSError: the file cannot be opened.
    """
    file = make_private(directory / "locks") / name
    with _opened(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW) as opened:
        _make_ours(opened, file, 0o600)
        yield opened


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    try:
        opened = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if flags & os.O_NOFOLLOW and path.is_symlink():
            raise NotPrivateError(
                f"{path} is a symbolic link: move what it leads to in its place, or remove it"
            ) from error
        raise
    try:
        yield opened
    finally:
        os.close(opened)


def _make_ours(opened: int, path: Path, mode: int) -> None:
    """Set the permissions of what is open, which must be this user's; what root creates gets its directory's owner."""
    found, directory, is_root = os.fstat(opened), path.parent.stat(), os.geteuid() == 0
    linked = stat.S_ISREG(found.st_mode) and found.st_nlink > 1  # it may be a file of another directory
    if linked or found.st_uid not in ({0, directory.st_uid} if is_root else {os.geteuid()}):
        raise NotPrivateError(f"{path} belongs to another user: remove it")
    if is_root and found.st_uid != directory.st_uid:
        os.fchown(opened, directory.st_uid, directory.st_gid)
    if stat.S_IMODE(found.st_mode) != mode:
        os.fchmod(opened, mode)
