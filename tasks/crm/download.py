"""Where a workbook comes from, and the private copy that everything after reads.

A workbook may change, or vanish, while it is being imported. So its bytes are copied once, and the digest that decides
whether this version was imported before is taken of exactly the bytes kept. Addresses may carry secrets (a password,
a token, a signature): nothing that leaves this module shows them, and no library's own message does either.
"""

import glob
import hashlib
import io
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from db.errors import JobError, TransientError
from db.settings import ProjectSettings
from tasks.crm.readers.workbook import WorkbookError


class WorkbookUnreachableError(TransientError):
    """The network or the other side failed: the same address may work in a minute."""


class FetchingSettings(ProjectSettings):
    """How much may be fetched, and how long to wait for it."""

    model_config = SettingsConfigDict(env_prefix="WORKBOOK_")

    max_bytes: int = Field(512 * 2**20, gt=0, description="Bytes a workbook may have, wherever it comes from")
    connect_timeout: float = Field(10, gt=0, description="Seconds to wait for a server to answer the connection")
    read_timeout: float = Field(60, gt=0, description="Seconds a server may send nothing")
    total_timeout: float = Field(1800, gt=0, description="Seconds the whole transfer may take")


@cache
def fetching_settings() -> FetchingSettings:
    """The settings from the environment, read once."""
    return FetchingSettings.load()


@dataclass(frozen=True)
class Copy:
    """A private copy of a workbook, to be read and then removed by its owner."""

    path: Path
    name: str  # the last part of the address: what people call the workbook
    sha256: str  # of exactly the bytes at `path`
    size: int  # bytes
    address: str  # where it came from, without secrets


_CHUNK = 1 << 20
_SCHEMES = ("http", "https", "s3")
_SCHEME = re.compile(r"[a-z0-9.+:-]+", re.IGNORECASE)  # fsspec writes several: simplecache::https
_HOST = re.compile(r"[^:]*(:[0-9]*)?|\[[^\]]*\](:[0-9]*)?")
_TRY_AGAIN_STATUS = {408, 425, 429}  # and every 5xx


def addresses(workbook: str) -> list[str]:
    """The files a glob matches, sorted; any other path, made absolute; an http(s):// or s3:// address as it is.

    Folders and the lock files of Excel ("~$...") do not match. Raises WorkbookError when nothing does.
    """
    workbook = located(workbook)
    if _scheme(workbook):
        return [workbook]
    if workbook.startswith("~"):
        raise WorkbookError(f"{workbook}: there is no such home directory: give the whole path")
    path = Path(workbook)
    if not glob.has_magic(workbook) or path.exists():
        return [str(path)]
    matches = map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 - pathlib's "*" matches hidden files too
    found = sorted(str(match) for match in matches if match.is_file() and not match.name.startswith("~$"))
    if not found:
        raise WorkbookError(f"No file matches {path}: check the pattern and the folder")
    return found


def located(workbook: str) -> str:
    """A path made absolute, the same wherever it is spoken of; an address, or the home of nobody, as it is."""
    workbook = os.path.expanduser(workbook.strip())  # noqa: PTH111 - pathlib raises for a user whom nobody knows
    return workbook if _scheme(workbook) or workbook.startswith("~") else str(Path(workbook).absolute())


def redacted(address: str) -> str:
    """The address without user, password, fragment and the values of its query: any of them may be a secret.

    It can be stored and shown everywhere: of a file's name that is no UTF-8 the foreign bytes are question marks.
    """
    address = address.encode("utf-8", "replace").decode()
    if not (scheme := _scheme(address)):
        return address
    rest = address.partition("://")[2]
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" not in host and not _HOST.fullmatch(host):  # what looks like a port is the beginning of a password
        rest = rest.rpartition("@")[2]
    parts = _parts(f"{_SCHEMES[0]}://{rest}")
    names = [pair.partition("=")[0] if "=" in pair else "" for pair in parts.query.split("&")] if parts.query else []
    query = "?" + "&".join(f"{name}=***" if name else "***" for name in names) if names else ""
    return f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def fetch(address: str, into: Path) -> Copy:
    """Copy the workbook at `address` (one of `addresses`) into the folder `into`; nothing is left there on failure.

    Raises WorkbookUnreachableError when trying again may help, else WorkbookError: no such file, not allowed, too
    large, no room on the disk.
    """
    shown, scheme = redacted(address), _scheme(address)
    if scheme and (scheme not in _SCHEMES or not _parts(address).netloc):
        raise WorkbookError(f"{shown} is no address of a workbook: give a path, or an http(s):// or s3:// address")
    try:
        into.mkdir(parents=True, exist_ok=True)
        file = tempfile.NamedTemporaryFile(prefix="workbook-", dir=into, delete=False)  # noqa: SIM115 - it is kept
    except OSError as error:
        raise WorkbookError(f"{shown} cannot be copied into {into}: {error.strerror}") from error
    try:
        with file:
            kept = _Kept(file, shown)
            if not scheme:
                _copy_file(Path(address), kept)
            elif scheme == "s3":
                _copy_s3(address, shown, kept)
            else:
                _copy_http(address, shown, kept)
    except BaseException as error:
        Path(file.name).unlink(missing_ok=True)
        if isinstance(error, OSError):  # the last bytes are written when the file is closed
            raise WorkbookError(f"{shown} cannot be copied into {into}: {error.strerror}") from error
        raise
    return Copy(Path(file.name), _name(address), kept.digest.hexdigest(), kept.length, shown)


def _scheme(address: str) -> str | None:
    scheme, separator, _ = address.partition("://")
    return scheme.lower() if separator and _SCHEME.fullmatch(scheme) else None


def _parts(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:  # a bracket that never closes and the like
        return SplitResult(_scheme(address) or "", "", "...", "", "")


def _name(address: str) -> str:
    if not _scheme(address):
        return redacted(Path(address).name)
    parts = _parts(address)
    return PurePosixPath(unquote(parts.path)).name or parts.hostname or "workbook"


class _Kept(io.RawIOBase):
    """The copy as it is written: counts, takes the digest, refuses too much. fsspec wants it to be a file."""

    def __init__(self, file: IO[bytes], shown: str) -> None:
        self._file, self._shown = file, shown
        self._most = fetching_settings().max_bytes
        self.digest = hashlib.sha256()
        self.length = 0

    def expect(self, length: int) -> None:
        """Refuse now what would be refused after that many bytes."""
        if length > self._most:
            raise WorkbookError(
                f"{self._shown} has more than {self._most / 2**20:,.0f} MB: divide it, or raise WORKBOOK_MAX_BYTES",
            )

    def write(self, piece: Any) -> int:
        self.length += len(piece)
        self.expect(self.length)
        self.digest.update(piece)
        try:
            return self._file.write(piece)
        except OSError as error:
            folder = Path(self._file.name).parent
            raise WorkbookError(f"{self._shown} cannot be copied into {folder}: {error.strerror}") from error


def _copy_file(path: Path, kept: _Kept) -> None:
    shown = redacted(str(path))
    try:
        before = path.stat()
        if stat.S_ISDIR(before.st_mode):
            raise WorkbookError(f"{shown} is a folder: give a file in it, or a pattern such as {shown}/*.xlsx")
        if not stat.S_ISREG(before.st_mode):
            raise WorkbookError(f"{shown} is not a file: give the path of a workbook")
        kept.expect(before.st_size)
        with path.open("rb") as source:
            while piece := source.read(_CHUNK):
                kept.write(piece)
        after = path.stat()
    except FileNotFoundError as error:
        raise WorkbookError(f"There is no file {shown} on this machine: check the path") from error
    except PermissionError as error:
        raise WorkbookError(f"{shown} may not be read by this user: change its permissions") from error
    except ValueError as error:  # a NUL
        raise WorkbookError(f"{shown!r} is no path: check it") from error
    except OSError as error:
        raise WorkbookUnreachableError(f"{shown} cannot be read: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or kept.length != after.st_size:
        raise WorkbookUnreachableError(f"{shown} was being written while it was copied: try again when it is complete")


def _copy_http(address: str, shown: str, kept: _Kept) -> None:
    """One GET, streamed: never ranges, which could mix two versions. Errors lose their cause: it shows the address."""
    import aiohttp  # noqa: PLC0415 - a local workbook does not wait for it
    from fsspec.implementations.http import HTTPFileSystem  # noqa: PLC0415 - the same

    wait = fetching_settings()
    timeout = aiohttp.ClientTimeout(wait.total_timeout, sock_connect=wait.connect_timeout, sock_read=wait.read_timeout)
    server = HTTPFileSystem(skip_instance_cache=True, client_kwargs={"timeout": timeout, "trust_env": True})
    try:
        server.get_file(address, kept)
    except (aiohttp.ClientError, OSError, ValueError) as error:  # OSError includes TimeoutError
        raise _http_problem(error, shown, kept.length) from None


def _http_problem(error: Exception, shown: str, length: int) -> JobError:
    import aiohttp  # noqa: PLC0415 - see _copy_http

    if isinstance(error, FileNotFoundError):
        return WorkbookError(f"{shown} does not exist (404): check the address")
    if isinstance(error, aiohttp.ClientResponseError):
        if error.status in {401, 403}:
            return WorkbookError(
                f"{shown} may not be read ({error.status}): check the user, password or token in the address",
            )
        if error.status in _TRY_AGAIN_STATUS or error.status >= 500:  # noqa: PLR2004 - all of HTTP's 5xx
            return WorkbookUnreachableError(f"{shown}: the server answers {error.status}: try again later")
        return WorkbookError(f"{shown}: the server answers {error.status}: check the address")
    kinds: list[tuple[type[Exception], type[JobError], str]] = [  # the first that fits
        (
            aiohttp.ClientConnectorCertificateError,
            WorkbookError,
            "the server's certificate cannot be trusted: renew it, or name your own authority in SSL_CERT_FILE",
        ),
        (aiohttp.ClientSSLError, WorkbookError, "the server speaks no TLS there: check the port, or write http://"),
        (
            aiohttp.ClientConnectorDNSError,
            WorkbookUnreachableError,
            "no server of this name is known: check the address",
        ),
        (
            aiohttp.ClientConnectorError,
            WorkbookUnreachableError,
            "the server does not take the connection: is it running?",
        ),
        (ValueError, WorkbookError, "this is not a valid address: check it"),
        (TimeoutError, WorkbookUnreachableError, "the server does not answer in time: try again later"),
    ]
    broken_off = (WorkbookUnreachableError, f"the transfer broke off after {length:,} bytes: try again")
    found, what = next(((found, what) for kind, found, what in kinds if isinstance(error, kind)), broken_off)
    return found(f"{shown}: {what}")


def _copy_s3(address: str, shown: str, kept: _Kept) -> None:
    """Ranges of one version: s3fs asks for each with the ETag of the first (If-Match)."""
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
            kept.expect(source.size)
            while piece := source.read(_CHUNK):
                kept.write(piece)
    except FileNotFoundError:
        raise WorkbookError(f"{shown} does not exist: check bucket and key") from None
    except (PermissionError, s3.NoCredentialsError):
        raise WorkbookError(
            f"{shown} may not be read: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the worker",
        ) from None
    except (s3.ParamValidationError, ValueError):
        raise WorkbookError(f"{shown} is not a valid address: write s3://bucket/key") from None
    except (s3.BotoCoreError, OSError) as error:
        raise WorkbookUnreachableError(
            f"{shown}: the storage cannot be read ({type(error).__name__}): try again"
        ) from None
