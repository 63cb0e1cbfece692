"""The body of an answer, decompressed: as browsers do it, and never more bytes than are allowed.

Decompressed here, since httpx neither limits what a few bytes of gzip become nor notices that they end too early.
"""

import zlib

import httpx

from tasks.mofa.fetch_errors import FetchFailedError, FetchRefusedError

_GZIP, _ZLIB, _RAW = 31, 15, -15  # zlib's numbers for what is around the compressed bytes
CONTENT_CODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
_NOT_REQUESTED = {"br", "zstd", "compress", "x-compress", "dcb", "dcz"}  # anything else is no content coding
_GZIP_MAGIC = b"\x1f\x8b"


class _TooLargeError(Exception):
    """More bytes than are allowed."""


async def read_body(response: httpx.Response, url: str, max_bytes: int, *, cut: bool) -> bytes:
    """The body, at most `max_bytes` bytes of it once unpacked: more is cut off, or refused.

    Raises:
        FetchRefusedError: it is larger than `max_bytes`, and not to be cut.
        FetchFailedError: its content coding was not requested, or it breaks off.
        zlib.error: it is broken.
    """
    codings = _content_codings(response, url)
    length = response.headers.get("content-length", "")
    too_large = FetchRefusedError(
        f"{url} has more than {max_bytes / 2**20:,.1f} MB: if that is right, raise MOFA_MAX_BYTES"
    )
    if length.isascii() and length.isdigit() and int(length) > max_bytes and not cut:
        raise too_large
    received = bytearray()
    body = _Body(codings[-1] if codings else "", max_bytes)
    try:
        async for piece in response.aiter_raw():
            body.add(piece)
        received = body.finish(url)
        for coding in reversed(codings[:-1]):  # compressed more than once
            again = _Body(coding, max_bytes)
            again.add(bytes(received))
            received = again.finish(url)
    except _TooLargeError:
        if not cut:
            raise too_large from None
        return bytes(body.bytes[:max_bytes])
    return bytes(received)


def _content_codings(response: httpx.Response, url: str) -> list[str]:
    """The content codings of the body, in the order they were applied; others ("none", "utf-8") are ignored."""
    named = [each.strip().lower() for each in response.headers.get("content-encoding", "").split(",")]
    if unknown := next((each for each in named if each in _NOT_REQUESTED), None):
        raise FetchFailedError(f"{url}: the server sent Content-Encoding {unknown!r}, but only gzip was requested")
    return [each for each in named if each in CONTENT_CODINGS]


class _Body:
    """Bytes that arrive in pieces, unpacked."""

    def __init__(self, coding: str, max_bytes: int) -> None:
        self.bytes = bytearray()
        self._coding, self._max_bytes = coding, max_bytes
        self._unpacker: zlib._Decompress | None = None  # a type of typeshed
        self._begun = b""  # the first bytes, until they say how it is packed
        self._plain = not coding
        self._ended = False  # what follows is ignored

    def add(self, piece: bytes) -> None:
        if self._unpacker is None and not self._plain:
            self._begun += piece
            if len(self._begun) < 2:  # noqa: PLR2004 - the length of both headers
                return
            piece, self._begun = self._begun, b""
            self._begin(piece)
        while piece and not self._ended:
            if self._unpacker is None:
                self.bytes += piece
                piece = b""
            else:
                self.bytes += self._unpacker.decompress(piece, self._max_bytes + 1 - len(self.bytes))
                piece = self._after_part() if self._unpacker.eof else b""
            if len(self.bytes) > self._max_bytes:
                raise _TooLargeError

    def _begin(self, first: bytes) -> None:
        """Choose the unpacker by the first bytes: "deflate" means two formats, and gzip may not be packed at all."""
        if self._coding == "deflate":
            is_zlib = first[0] & 0x0F == 8 and (first[0] * 256 + first[1]) % 31 == 0  # noqa: PLR2004 - RFC 1950
            self._unpacker = zlib.decompressobj(_ZLIB if is_zlib else _RAW)
        elif first.startswith(_GZIP_MAGIC):
            self._unpacker = zlib.decompressobj(_GZIP)
        else:
            self._plain = True

    def _after_part(self) -> bytes:
        """What follows a whole part: another part of gzip, or bytes that browsers ignore."""
        rest: bytes = self._unpacker.unused_data if self._unpacker else b""
        if self._coding != "deflate" and rest.startswith(_GZIP_MAGIC):
            self._unpacker = zlib.decompressobj(_GZIP)
            return rest
        self._ended = len(rest) >= len(_GZIP_MAGIC) or not _GZIP_MAGIC.startswith(rest)
        return b""

    def finish(self, url: str) -> bytearray:
        """All bytes. Raises FetchFailedError if the packed ones end too early."""
        if self._begun:
            if self._coding != "deflate" and not _GZIP_MAGIC.startswith(self._begun):
                return bytearray(self._begun)
            raise FetchFailedError(f"{url}: the page breaks off before its end: try again")
        if self._unpacker is not None and not self._unpacker.eof:
            raise FetchFailedError(f"{url}: the page breaks off before its end: try again")
        return self.bytes
