"""The private directory of an import: the copy of the workbook and its batches, which hold personal data."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from db.errors import UserError

PREFIX = f"import-crm-{os.getuid()}-"
JUST_MADE = 60  # seconds: another import may not have locked its new directory yet


@contextmanager
def private_directory() -> Iterator[str]:
    """A temporary directory that only this user may enter; removed at the end of the block.

    Also removes the directories that killed imports left. A lock on the directory shows that its import is alive: the
    operating system releases it when the process ends.

    Raises:
        UserError: the directory cannot be made.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
    except OSError as error:
        raise UserError(
            f"no directory can be made for the copy of the workbook ({error.strerror}): set TMPDIR to a directory "
            "that this user may write to"
        ) from error
    with made as directory, _locked(Path(directory)):
        for left in Path(directory).parent.glob(f"{PREFIX}*"):
            with suppress(OSError):
                found = left.lstat()
                if found.st_uid == os.getuid() and time.time() - found.st_mtime > JUST_MADE:
                    with _locked(left):
                        shutil.rmtree(left, ignore_errors=True)
        yield directory


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Lock the directory. Raises OSError if another process holds the lock."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)
