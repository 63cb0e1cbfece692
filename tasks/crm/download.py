"""Finds a workbook and makes the private copy that the import reads.

A workbook may change or vanish while it is imported. So its bytes are copied once, and the digest that decides whether
this version was imported before is computed from the copy. Addresses may contain secrets (a password, a token, a
signature): no message and no value of this module shows them, and no message of a library is passed on.
"""

import errno
import glob
import hashlib
import os
import re
import stat
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote, urlsplit

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from db.display import is_address, printable, redacted
from db.settings import ProjectSettings
from tasks.crm.http_copy import Timeouts, WorkbookUnreachableError, copy_http
from tasks.crm.readers.workbook import WorkbookError


class FetchingSettings(ProjectSettings):
    """Limits for fetching a workbook."""

    model_config = SettingsConfigDict(env_prefix="WORKBOOK_")

    max_bytes: int = Field(512 * 2**20, gt=0, description="Bytes a workbook may have")
    connect_timeout: float = Field(10, gt=0, description="Seconds to wait for a server to answer the connection")
    read_timeout: float = Field(60, gt=0, description="Seconds a server may send nothing")
    total_timeout: float = Field(1800, gt=0, description="Seconds the whole transfer may take")
    settle_seconds: float = Field(3, ge=0, description="Seconds for which a file must be unchanged before it is read")


@cache
def fetching_settings() -> FetchingSettings:
    """The settings from the environment, read once."""
    return FetchingSettings.load()


@dataclass(frozen=True)
class Copy:
    """A private copy of a workbook, to be read and then removed by its owner."""

    path: Path
    name: str  # the last part of the address, for messages
    sha256: str  # of exactly the bytes at `path`
    size: int  # bytes
    address: str  # of the original, without secrets
    assumptions: tuple[str, ...] = ()  # what a user should know about the transfer


_CHUNK = 1 << 20
_SCHEMES = ("http", "https", "s3")
_SCHEME = re.compile(r"[a-z0-9.+:-]+", re.IGNORECASE)  # also several, as in simplecache::https
_CONTROL = re.compile("[\0-\x1f\x7f\ud800-\udfff]")
_NEVER_A_FILE = {errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR}
_MAX_UNCHANGED_WAIT = 60  # seconds


def addresses(workbook: str) -> list[str]:
    """The addresses of the workbooks: the sorted files that a glob matches; another path, made absolute; or the URL.

    A glob does not match folders and the lock files of Excel ("~$..."). Raises WorkbookError if it matches no file.
    """
    workbook = located(workbook)
    if is_address(workbook):
        return [workbook]
    if workbook.startswith("~"):
        raise WorkbookError(f"{workbook}: there is no such home directory: give the full path")
    path = Path(workbook)
    if not glob.has_magic(workbook) or os.path.exists(path):  # noqa: PTH110 - pathlib raises for long names
        return [str(path)]
    matches = map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 - pathlib's "*" matches hidden files too
    found = sorted(str(match) for match in matches if match.is_file() and not match.name.startswith("~$"))
    if not found:
        raise WorkbookError(f"No file matches {redacted(str(path))}: check the pattern and the folder")
    return found


def located(workbook: str) -> str:
    """The path, made absolute; an address, or the home directory of an unknown user, unchanged."""
    workbook = workbook.strip()
    with suppress(ValueError):  # a NUL
        workbook = os.path.expanduser(workbook)  # noqa: PTH111 - pathlib raises for an unknown user
    is_path = not is_address(workbook) or os.path.lexists(workbook)
    return str(Path(workbook).absolute()) if is_path and not workbook.startswith("~") else workbook


def fetch(address: str, into: Path) -> Copy:
    """Copy the workbook at `address` (one of `addresses`) into the directory `into`. A failure leaves no file there.

    Raises:
        WorkbookUnreachableError: it cannot be fetched now; a retry may help.
        WorkbookError: there is no such file, it must not be read, it is too large, or the disk is full.
    """
    shown, scheme, assumptions = redacted(address), _scheme(address), list[str]()
    if is_address(address) and not _is_complete(address):
        raise WorkbookError(f"{shown} is not the address of a workbook: give a path, or an http(s):// or s3:// address")
    try:
        into.mkdir(parents=True, exist_ok=True)
        file = tempfile.NamedTemporaryFile(prefix="workbook-", dir=into, delete=False)  # noqa: SIM115 - see below
    except OSError as error:
        raise WorkbookError(f"{shown} cannot be copied into {into}: {error.strerror}") from error
    try:
        with file:
            writer = HashingWriter(file, shown)
            if not scheme:
                _copy_file(Path(address), writer)
            elif scheme == "s3":
                _copy_s3(address, shown, writer)
            else:
                limits = fetching_settings()
                timeouts = Timeouts(limits.connect_timeout, limits.read_timeout, limits.total_timeout)
                assumptions = copy_http(address, shown, writer, timeouts)
    except BaseException as error:
        Path(file.name).unlink(missing_ok=True)
        if isinstance(error, OSError):  # closing the file writes the last bytes
            raise WorkbookError(f"{shown} cannot be copied into {into}: {error.strerror}") from error
        raise
    digest = writer.digest.hexdigest()
    return Copy(Path(file.name), _name(shown), digest, writer.length, shown, tuple(assumptions))


def _scheme(address: str) -> str | None:
    scheme, separator, _ = address.partition("://")
    return scheme.lower() if separator and _SCHEME.fullmatch(scheme) else None


def _is_complete(address: str) -> bool:
    """Whether an address has a scheme that can be fetched, and a host."""
    try:
        return _scheme(address) in _SCHEMES and bool(urlsplit(address).netloc) and not _CONTROL.search(address)
    except ValueError:  # a bracket that never closes and the like
        return False


def _name(shown: str) -> str:
    """The last part of an address without secrets, for messages."""
    if not is_address(shown):
        return PurePosixPath(shown).name
    host, _, path = shown.partition("://")[2].partition("?")[0].partition("/")
    return printable(PurePosixPath(unquote(path)).name) or host or "workbook"


class HashingWriter:
    """Writes the copy, computes its digest, and refuses too many bytes."""

    def __init__(self, file: IO[bytes], shown: str) -> None:
        self._file, self._shown = file, shown
        self._max_bytes = fetching_settings().max_bytes
        self.digest = hashlib.sha256()
        self.length = 0

    def check_length(self, length: int) -> None:
        """Raise WorkbookError if a workbook of this length is too large."""
        if length > self._max_bytes:
            raise WorkbookError(
                f"{self._shown} has more than {self._max_bytes / 2**20:,.0f} MB: split the file, or raise "
                "WORKBOOK_MAX_BYTES"
            )

    def write(self, piece: bytes) -> int:
        """Write a piece of the copy. Raises WorkbookError: too large, or the disk is full."""
        self.length += len(piece)
        self.check_length(self.length)
        self.digest.update(piece)
        try:
            return self._file.write(piece)
        except OSError as error:
            folder = Path(self._file.name).parent
            raise WorkbookError(f"{self._shown} cannot be copied into {folder}: {error.strerror}") from error


def _copy_file(path: Path, writer: HashingWriter) -> None:
    shown = redacted(str(path))
    try:
        before = path.stat()
        if stat.S_ISDIR(before.st_mode):
            raise WorkbookError(f"{shown} is a folder: give a file in it, or a pattern such as {shown}/*.xlsx")
        if not stat.S_ISREG(before.st_mode):
            raise WorkbookError(f"{shown} is not a file: give the path of a workbook")
        writer.check_length(before.st_size)
        unchanged = _wait_until_unchanged(path, before)
        with path.open("rb") as source:
            while piece := source.read(_CHUNK):
                writer.write(piece)
        after = path.stat()
    except FileNotFoundError as error:
        raise WorkbookError(f"There is no file {shown} on this machine: check the path") from error
    except PermissionError as error:
        raise WorkbookError(f"{shown} cannot be read by this user: change its permissions") from error
    except ValueError as error:
        shown = redacted(str(path).replace("\0", r"\x00"))
        raise WorkbookError(f"{shown} is not a path: check it") from error
    except OSError as error:
        kind = WorkbookError if error.errno in _NEVER_A_FILE else WorkbookUnreachableError
        raise kind(f"{shown} cannot be read: {error.strerror}") from error
    if unchanged is None or _version(unchanged) != _version(after) or writer.length != after.st_size:
        raise WorkbookUnreachableError(f"{shown} is being written: try again when it is complete")


def _wait_until_unchanged(path: Path, found: os.stat_result) -> os.stat_result | None:
    """The state of the file once it has not changed for WORKBOOK_SETTLE_SECONDS; None if it goes on changing.

    A clock that differs from that of a network share makes a file look older or newer. If it looks newer, the file is
    looked at twice; if it looks older, `_copy_file` notices what is written meanwhile.
    """
    settle = fetching_settings().settle_seconds
    deadline = time.monotonic() + _MAX_UNCHANGED_WAIT
    while not settle <= time.time() - found.st_mtime:
        if time.monotonic() > deadline:
            return None
        time.sleep(min(settle, max(settle - (time.time() - found.st_mtime), 0.01)))
        again = path.stat()
        if _version(again) == _version(found):
            return again
        found = again
    return found


def _version(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _copy_s3(address: str, shown: str, writer: HashingWriter) -> None:
    """Copy in ranges of one version: s3fs requests each with the ETag of the first one (If-Match)."""
    try:
        import botocore.exceptions as s3  # type: ignore[import-untyped] # noqa: PLC0415 - an extra
        import s3fs  # noqa: PLC0415 - an extra
    except ImportError:
        raise WorkbookError(f'{shown} needs the extra "s3": pip install "embassy-jobs[s3]"') from None
    wait = fetching_settings()
    config = {"connect_timeout": wait.connect_timeout, "read_timeout": wait.read_timeout}
    try:
        server = s3fs.S3FileSystem(skip_instance_cache=True, config_kwargs=config)
        with server.open(address, "rb", block_size=8 * _CHUNK) as source:
            found = source.details
            writer.check_length(source.size)
            while piece := source.read(_CHUNK):
                writer.write(piece)
        after = server.info(address, refresh=True)  # not every storage understands If-Match
    except FileNotFoundError:
        raise WorkbookError(f"{shown} does not exist: check bucket and key") from None
    except (PermissionError, s3.NoCredentialsError):
        raise WorkbookError(
            f"{shown} cannot be read: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the worker",
        ) from None
    except (s3.ParamValidationError, ValueError):
        raise WorkbookError(f"{shown} is not a valid address: write s3://bucket/key") from None
    except (s3.BotoCoreError, OSError) as error:
        raise WorkbookUnreachableError(
            f"{shown}: the storage cannot be read ({type(error).__name__}): try again"
        ) from None
    if writer.length != after["size"] or any(found.get(name) != after.get(name) for name in ("size", "ETag")):
        raise WorkbookUnreachableError(f"{shown} is being replaced, or was cut off: try again")
