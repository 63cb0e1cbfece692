"""Copies a workbook over HTTP: with one GET, whole, and from where the address leads without losing its protection.

Ranges could mix two versions. An answer is whole if its length, or the end of its coding, says so. Errors lose their
cause, which shows the address and with it perhaps a secret.
"""

import socket
import ssl
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import anyio
import anyio.from_thread
import httpx

from db.errors import JobError, TransientError
from tasks.crm.readers.workbook import WorkbookError
from tasks.http_status import RETRYABLE_STATUS_CODES
from tasks.private_network import is_private, is_private_literal, is_valid, proxy_for

END_UNKNOWN = "the server did not say how long the file is, so a missing end would not be noticed"
_MAX_REDIRECTS = 10
_PIECE = 1 << 20  # bytes
_GZIP_OR_ZLIB = 47  # for zlib: the header says which
_GZIP_MAGIC = b"\x1f\x8b"


class WorkbookUnreachableError(TransientError):
    """The network or the server failed: the same address may work in a minute."""


class Writer(Protocol):
    """Takes the bytes of the copy."""

    length: int

    def check_length(self, length: int) -> None:
        """Raise WorkbookError if a workbook of this length is too large."""

    def write(self, piece: bytes) -> int:
        """Write a piece. Raises WorkbookError."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds."""

    connect: float
    read: float  # a server may send nothing
    total: float


def copy_http(address: str, shown: str, writer: Writer, timeouts: Timeouts) -> list[str]:
    """Copy the answer of `address` into the writer; returns what the user should know about it.

    Args:
        address: http(s)://
        shown: the address without secrets, for messages.
        writer: takes the bytes.
        timeouts: the limits of the transfer.

    Raises:
        WorkbookUnreachableError: a retry may help.
        WorkbookError: it does not.
    """
    try:
        with anyio.from_thread.start_blocking_portal() as portal:
            return portal.call(_Transfer(shown, writer, timeouts).run, address)
    except (httpx.HTTPError, httpx.InvalidURL, zlib.error, OSError, ValueError) as error:  # TimeoutError is an OSError
        raise _problem(error, shown, writer.length) from None


class _Transfer:
    """One transfer, with its redirects."""

    def __init__(self, shown: str, writer: Writer, timeouts: Timeouts) -> None:
        self._shown, self._writer, self._timeouts = shown, writer, timeouts
        self._starts_at_public_address = False  # so no redirect may lead to a private one

    async def run(self, address: str) -> list[str]:
        """Request the address, follow its redirects, and write the body."""
        timeout = httpx.Timeout(self._timeouts.read, connect=self._timeouts.connect)
        with anyio.fail_after(self._timeouts.total):
            async with self._client(timeout) as client:
                request = client.build_request("GET", address)
                _require_valid(request.url)
                self._starts_at_public_address = not await _resolves_to_private_address(request.url)
                for _ in range(_MAX_REDIRECTS + 1):
                    response = await client.send(request, stream=True)
                    try:
                        self._check_peer(response)
                        if response.next_request is None:
                            return await self._write_body(response)
                    finally:
                        await response.aclose()
                    await self._check_redirect(request.url, response.next_request.url)
                    request = response.next_request
        raise WorkbookError(f"{self._shown}: more than {_MAX_REDIRECTS} redirects: check the address")

    def _client(self, timeout: httpx.Timeout) -> httpx.AsyncClient:
        try:
            return httpx.AsyncClient(timeout=timeout, headers={"Accept-Encoding": "identity"})
        except (ImportError, ValueError, httpx.InvalidURL):  # SOCKS, or what is no address
            raise WorkbookError(
                f"{self._shown}: the proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY cannot be used: give the address of "
                "an HTTP proxy"
            ) from None

    async def _check_redirect(self, here: httpx.URL, there: httpx.URL) -> None:
        _require_valid(there)
        if here.scheme == "https" and there.scheme != "https":
            raise WorkbookError(
                f"{self._shown} redirects from https to {there.scheme}, where anyone on the way can change the file: "
                "ask its owner for an https address"
            )
        if self._starts_at_public_address and await _resolves_to_private_address(there):
            raise WorkbookError(
                f"{self._shown} redirects to {there.host}, inside a private network: if that is right, give that "
                "address"
            )

    def _check_peer(self, response: httpx.Response) -> None:
        """The same of the address that was connected to: a name may lead elsewhere a moment later."""
        stream = response.extensions.get("network_stream")
        if not self._starts_at_public_address or stream is None or proxy_for(response.url.scheme, response.url.host):
            return
        if (peer := stream.get_extra_info("server_addr")) and is_private(str(peer[0])):
            raise WorkbookError(f"{self._shown} leads to {peer[0]}, inside a private network: check the name server")

    async def _write_body(self, response: httpx.Response) -> list[str]:
        if response.status_code != httpx.codes.OK:
            raise _status_problem(self._shown, response.status_code)
        coding = response.headers.get("content-encoding", "").strip().lower()
        length = response.headers.get("content-length", "")
        if not coding and length.isascii() and length.isdigit():
            self._writer.check_length(int(length))
        pieces = response.aiter_raw(_PIECE)
        if coding in {"gzip", "x-gzip", "deflate"}:
            pieces = _decompressed(pieces)
        elif coding not in {"", "identity"}:
            raise WorkbookError(
                f"{self._shown}: the server sent Content-Encoding {coding!r}, but no compression was requested"
            )
        async for piece in pieces:
            self._writer.write(piece)
        whole = length or coding or "chunked" in response.headers.get("transfer-encoding", "").lower()
        return [] if whole else [END_UNKNOWN]


def _require_valid(url: httpx.URL) -> None:
    if not is_valid(url):
        raise httpx.InvalidURL("no host or port that can exist")


async def _resolves_to_private_address(url: httpx.URL) -> bool:
    """Whether the host is in a private network. A proxy looks it up itself: then the question is the proxy's."""
    if proxy_for(url.scheme, url.host):
        return is_private_literal(url.host)
    port = url.port or (443 if url.scheme == "https" else 80)
    found = await anyio.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    return any(is_private(str(address[0])) for *_, address in found)


async def _decompressed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, decompressed. Raises RemoteProtocolError if they end too early."""
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    async for packed in pieces:
        rest = packed
        while rest:
            if unpacker.eof:
                if not rest.startswith(_GZIP_MAGIC):  # what follows the end is ignored, as browsers do
                    break
                unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
            yield unpacker.decompress(rest, _PIECE)
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if not unpacker.eof:
        raise httpx.RemoteProtocolError("the compressed body ends too early")


def _status_problem(shown: str, status: int) -> JobError:
    if status == httpx.codes.NOT_FOUND:
        return WorkbookError(f"{shown} does not exist (404): check the address")
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return WorkbookError(
            f"{shown} cannot be read ({status}): check the user, password or token in the address",
        )
    if status in RETRYABLE_STATUS_CODES or httpx.codes.is_server_error(status):
        return WorkbookUnreachableError(f"{shown}: the server answers {status}: try again later")
    return WorkbookError(f"{shown}: the server answers {status} instead of the whole file (200): check the address")


def _problem(error: Exception, shown: str, length: int) -> JobError:
    """The error for a failure after `length` bytes."""
    cause: BaseException | None = httpx.InvalidURL("not text") if isinstance(error, UnicodeError) else error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return WorkbookError(
                f"{shown}: the server's certificate is not trusted: renew it, or give your own authority in "
                "SSL_CERT_FILE"
            )
        if isinstance(cause, ssl.SSLError):
            return WorkbookError(f"{shown}: the server does not use TLS on this port: check the port, or write http://")
        if isinstance(cause, httpx.InvalidURL | httpx.UnsupportedProtocol):  # also of a redirect
            return WorkbookError(f"{shown}: this is not a valid address, or leads to one that is not: check it")
        if isinstance(cause, socket.gaierror):
            return WorkbookUnreachableError(f"{shown}: there is no server with this name: check the address")
        cause = cause.__cause__ or cause.__context__
    what = f"the transfer was interrupted after {length:,} bytes: try again"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError | ConnectionError):
        what = "the server does not accept the connection: check that it is running"
    elif isinstance(error, httpx.TimeoutException | TimeoutError):
        what = "the server does not answer in time: try again later"
    return WorkbookUnreachableError(f"{shown}: {what}")
