"""Unpacks the only file in a .zip or .gz beside the private copy, up to a maximum size."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from tasks.crm.readers.budget import Budget
from tasks.crm.readers.refused import UnreadableError

_PIECE = 1 << 20
_LISTED = 10
_DAMAGED = "is a compressed file that is damaged or incomplete: fetch it again"


def unpacked_zip(path: Path, archive: zipfile.ZipFile, max_bytes: int, budget: Budget) -> tuple[Path, str]:
    """The only file of the archive, unpacked beside `path`, and its name.

    Folders, hidden files and the files that macOS adds do not count.

    Raises:
        BudgetError: more bytes would be written than the setting allows.
        UnreadableError: there is none or several, it has a password, is damaged, or has more than `max_bytes` bytes.
        OSError: the disk is full.
    """
    members = [member for member in archive.infolist() if _counts(member.filename) and not member.is_dir()]
    if not members:
        raise UnreadableError("is a compressed file with nothing in it: compress the table again")
    names = [PurePosixPath(member.filename).name for member in members]
    if len(members) > 1:
        more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
        raise UnreadableError(
            f"is a compressed file that holds {len(names):,} files ({', '.join(names[:_LISTED])}{more}): "
            "unpack it and import the right one"
        )
    member = members[0]
    if member.flag_bits & 1:
        raise UnreadableError("is a compressed file with a password: unpack it and import what is inside")
    if member.file_size > max_bytes:
        raise UnreadableError(_too_large(member.file_size))
    with _as_unreadable(), archive.open(member) as stream:
        return _copied(stream, path, max_bytes, budget), names[0]


def unpacked_gzip(path: Path, name: str, max_bytes: int, budget: Budget) -> tuple[Path, str]:
    """The file in a .gz, as `unpacked_zip`; its name is that of the .gz without the ending."""
    with _as_unreadable(), gzip.open(path) as stream:
        inside = _copied(stream, path, max_bytes, budget)
    return inside, name[:-3] if name.lower().endswith(".gz") else name


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _counts(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return bool(parts) and "__MACOSX" not in parts and not any(part.startswith((".", "~$")) for part in parts)


def _copied(stream: _Readable, path: Path, max_bytes: int, budget: Budget) -> Path:
    into, size = path.with_name(f"{path.name}-unpacked"), 0
    with into.open("wb") as file:
        while piece := stream.read(_PIECE):
            size += len(piece)
            if size > max_bytes:
                raise UnreadableError(_too_large(size))
            budget.write(len(piece))
            file.write(piece)
    return into


def _too_large(size: int) -> str:
    return f"would unpack to more than {size / 1e9:,.1f} GB: split the file, or ask the person who made it what it is"


@contextmanager
def _as_unreadable() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UnreadableError(_DAMAGED) from error
