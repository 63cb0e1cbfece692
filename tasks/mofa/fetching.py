"""How a ministry's pages are asked for, and which answers count as the page.

The only module of the monitor that uses the network. A ministry owes us nothing, so it is asked politely (robots.txt,
Crawl-delay, Retry-After, conditional requests, few connections, an honest name) and nothing it answers is trusted:
sizes, times, redirects and charsets are limited or checked here, and a maintenance, challenge or login page with
status 200 is a failed fetch, because what is behind this module compares lists and must never compare with nothing.
Trying again is the caller's business; the errors say whether that may help, and when.
"""

import codecs
import email.utils
import hashlib
import ipaddress
import re
import socket
import ssl
import time
import urllib.request
import zlib
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

import anyio
import anyio.from_thread
import charset_normalizer
import httpx
import lxml.html
from lxml import etree
from protego import Protego
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from db.errors import JobError, TransientError, UserError
from db.settings import ProjectSettings


class FetchError(JobError):
    """A page could not be had; the message is one plain sentence with its address."""

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status  # of HTTP, if there was an answer
        self.retry_after = retry_after  # seconds the server asked to be left alone


class FetchFailedError(FetchError, TransientError):
    """May heal by itself: the network, a server in trouble, a maintenance page, half a page."""


class FetchRefusedError(FetchError, UserError):
    """Trying again does not help: forbidden, gone, kept out by robots.txt, too large, led to another host."""


class FetchingSettings(ProjectSettings):
    """How pages are asked for; times in seconds."""

    model_config = SettingsConfigDict(env_prefix="MOFA_")

    contact: str | None = Field(None, description="E-mail or web address in the User-Agent, for the ministry's admins")
    concurrency: int = Field(2, ge=1, le=8, description="Requests a server gets at once")
    delay: float = Field(0.25, ge=0, description="Seconds between requests, if robots.txt asks for nothing longer")
    longest_wait: float = Field(300, ge=0, description="The longest Crawl-delay or Retry-After that is waited for")
    connect_timeout: float = Field(10, gt=0, description="Seconds to wait for a server to take the connection")
    read_timeout: float = Field(30, gt=0, description="Seconds a server may send nothing")
    total_timeout: float = Field(120, gt=0, description="Seconds a page may take")
    max_bytes: int = Field(20 * 2**20, gt=0, description="Bytes a page may have once unpacked")

    @field_validator("contact")
    @classmethod
    def _fits_a_header(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[!-'*-~]+", value):
            raise ValueError("MOFA_CONTACT must be an e-mail or web address: ASCII, no blanks, no parentheses")
        return value


@cache
def fetching_settings() -> FetchingSettings:
    """The settings from the environment or .env, read once."""
    return FetchingSettings.load()


@dataclass(frozen=True)
class Validators:
    """What an earlier answer said about its version; with it a server may answer that nothing changed."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Page:
    """A page as it was served, believed to be the page and not an excuse for it."""

    url: str  # as it was asked for: the source's own address, whatever base_url says
    final_url: str  # the source's own address after redirects; relative links start here
    status: int  # 200
    text: str
    sha256: str  # of the body's bytes, unpacked
    etag: str | None
    last_modified: str | None
    content_type: str | None
    fetched_at: datetime  # UTC


@dataclass(frozen=True)
class NotModified:
    """The server says that the page is still the one of the validators given."""

    url: str
    etag: str | None
    last_modified: str | None
    fetched_at: datetime  # UTC


PRODUCT = "embassy-jobs"  # what robots.txt may call us
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
_MAY_HEAL = {408, 425, 429}  # of the 4xx; every 5xx may
_ROBOTS_BYTES = 512 * 1024  # RFC 9309, 2.5: at least 500 KiB must be read, the rest may be left
_GZIP = 31  # zlib's number for a gzip header


def user_agent(contact: str | None) -> str:
    """The one User-Agent: product, version, and whom to write to."""
    try:
        number = version(PRODUCT)
    except PackageNotFoundError:  # run from a folder without being installed
        number = "0"
    return f"{PRODUCT}/{number}" + (f" (+{contact})" if contact else "")


@dataclass
class _Server:
    """What one server was asked and what it asked for."""

    gate: anyio.Semaphore
    delay: float  # seconds between the starts of two requests
    not_before: float = 0  # on the clock
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    reading_rules: anyio.Lock = field(default_factory=anyio.Lock)
    rules: Protego | None = None  # robots.txt, once read
    public: bool = False  # its name leads to no private address


@dataclass(frozen=True)
class _Answer:
    url: str  # the source's own address
    status: int
    headers: httpx.Headers
    body: bytes


class Fetcher:
    """One client for one run, for one source: `with Fetcher(settings, hosts) as fetcher: fetcher.fetch(url)`.

    Args:
        settings: limits and times.
        hosts: host or host:port of every address the source may use; nothing else is ever asked.
        base_url: scheme and host that replace those of every address (a mirror, a test server).
        clock: seconds, monotonic; `sleep` waits that many of them; `now` is the time of day in UTC.

    `fetch` may be called from several threads; requests to one server are limited and spaced for all of them together.
    Behind it runs one event loop in a thread of its own: only so can the time of a whole answer be limited, headers
    that drip byte by byte included.
    """

    def __init__(
        self,
        settings: FetchingSettings,
        hosts: Collection[str],
        base_url: str | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings, self._clock, self._sleep, self._now = settings, clock, sleep, now
        self._hosts = {host.lower() for host in hosts}
        self._base = _base(base_url) if base_url else None
        self.mirrored = self._base is not None  # pages come from another server than the source's
        self._at_home = self._base is not None and _is_loopback(self._base.host)
        self._servers: dict[tuple[str, str, int | None], _Server] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        wait = self._settings
        with ExitStack() as stack:
            self._portal = stack.enter_context(anyio.from_thread.start_blocking_portal())
            client = httpx.AsyncClient(
                headers={
                    "User-Agent": user_agent(wait.contact),
                    "Accept": "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.5",
                    "Accept-Encoding": "gzip",  # what _unpacked can limit
                },
                timeout=httpx.Timeout(wait.read_timeout, connect=wait.connect_timeout),
                trust_env=not self._at_home,  # no proxy stands between this machine and itself
            )
            self._client = stack.enter_context(self._portal.wrap_async_context_manager(client))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]

    def fetch(self, url: str, earlier: Validators | None = None) -> Page | NotModified:
        """The page at `url`, or that it has not changed since `earlier`.

        Waits its turn first, at most MOFA_LONGEST_WAIT. Raises FetchFailedError when trying again may help, else
        FetchRefusedError.
        """
        conditions = _conditions(earlier) if earlier else {}
        answer = self._portal.call(self._follow, url, conditions)
        etag, last_modified = _kept(answer.headers.get("etag")), _kept(answer.headers.get("last-modified"))
        if answer.status == httpx.codes.NOT_MODIFIED:
            before = earlier or Validators()
            return NotModified(url, etag or before.etag, last_modified or before.last_modified, self._now())
        content_type = answer.headers.get("content-type")
        text = decoded(answer.body, content_type)
        if text is None:
            raise FetchFailedError(
                f"{url}: what the server sends is no text in any known charset ({content_type})", 200
            )
        if excuse := excuse_for_a_page(text, content_type):
            raise FetchFailedError(f"{url}: instead of the page the server sends {excuse}: try again later", 200)
        if _has_no_end(answer, text):
            raise FetchFailedError(f"{url}: the page breaks off before its end: try again", 200)
        sha256 = hashlib.sha256(answer.body).hexdigest()
        return Page(url, answer.url, answer.status, text, sha256, etag, last_modified, _kept(content_type), self._now())

    async def _follow(self, url: str, conditions: dict[str, str], *, robots: bool = False) -> _Answer:
        """The first answer that is no redirect. Each address on the way must be allowed by hosts and robots.txt."""
        at = url
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                wire, server = self._aim(at)
                if not robots:
                    await self._obey(at, wire, server)
            except FetchRefusedError as refusal:
                if at == url:
                    raise
                raise FetchRefusedError(f"{url} redirects: {refusal}") from refusal
            answer = await self._ask(at, wire, server, conditions, robots=robots)
            if answer.status == httpx.codes.NOT_MODIFIED and not conditions:
                raise FetchFailedError(f"{at}: the server answers 304 although it was not asked for changes", 304)
            if answer.status not in _REDIRECTS:
                return answer
            at = self._led_to(answer)
            conditions = {}  # they are about the page that was redirected, and could match another by chance
        raise FetchRefusedError(f"{url}: more than {_MOST_REDIRECTS} redirects, the last to {at}: check the address")

    def _aim(self, url: str) -> tuple[httpx.URL, _Server]:
        """Where a request for the source's address `url` really goes, and what is known of that server."""
        try:
            wire = httpx.URL(url).copy_with(fragment=None, username=None, password=None)
        except (httpx.InvalidURL, ValueError) as error:
            raise FetchRefusedError(f"{url!r} is no valid address: check the source") from error
        host = wire.netloc.decode("ascii").rpartition("@")[2]
        if wire.scheme not in {"http", "https"} or host not in self._hosts:
            raise FetchRefusedError(f"{url} leads out of the source's hosts ({', '.join(sorted(self._hosts))})")
        if self._base:
            wire = wire.copy_with(scheme=self._base.scheme, netloc=self._base.netloc)
        key = (wire.scheme, wire.host, wire.port)
        if key not in self._servers:
            gate = anyio.Semaphore(self._settings.concurrency)
            self._servers[key] = _Server(gate, 0 if self._at_home else self._settings.delay)
        return wire, self._servers[key]

    def _led_to(self, answer: _Answer) -> str:
        location = answer.headers.get("location", "").strip()
        if not location:
            raise FetchFailedError(
                f"{answer.url}: the server answers {answer.status} without saying where", answer.status
            )
        here = httpx.URL(answer.url)
        try:
            there = here.join(location)
        except (httpx.InvalidURL, ValueError) as error:
            raise FetchRefusedError(f"{answer.url} leads to {location[:200]!r}, which is no address") from error
        base = self._base
        if base and (there.scheme, there.host, there.port) == (base.scheme, base.host, base.port):
            there = there.copy_with(scheme=here.scheme, netloc=here.netloc)  # the mirror's name for the same server
        elif here.scheme == "https" and there.scheme == "http":
            there = there.copy_with(scheme="https")  # a front end that forgot TLS; never read what anyone could alter
        return str(there)

    async def _obey(self, url: str, wire: httpx.URL, server: _Server) -> None:
        """Raise FetchRefusedError unless robots.txt allows `wire`; learn how long to wait between requests."""
        async with server.reading_rules:
            if server.rules is None:
                try:
                    answer = await self._follow(str(httpx.URL(url).join("/robots.txt")), {}, robots=True)
                    rules = answer.body.decode("utf-8-sig", "replace")
                    if rules.lstrip().startswith("<"):  # a page in its place, whatever type it is sent as
                        rules = ""
                except (
                    FetchRefusedError
                ):  # RFC 9309, 2.3.1.3: 4xx means that there are no rules; 5xx is FetchFailedError
                    rules = ""
                server.rules = Protego.parse(rules)
                rate = server.rules.request_rate(PRODUCT)
                by_rate = rate.seconds / rate.requests if rate and rate.requests else 0
                server.delay = max(server.delay, server.rules.crawl_delay(PRODUCT) or 0, by_rate)
                server.not_before = max(server.not_before, self._clock() + server.delay)
        if server.delay > self._settings.longest_wait:
            raise FetchRefusedError(
                f"{url}: robots.txt asks for {server.delay:g} seconds between requests: "
                "if the run may take that long, raise MOFA_LONGEST_WAIT",
            )
        if not server.rules.can_fetch(str(wire), PRODUCT):
            raise FetchRefusedError(f"{url} is closed to us by robots.txt: ask the ministry, or take the page out")

    async def _ask(
        self, url: str, wire: httpx.URL, server: _Server, conditions: dict[str, str], *, robots: bool
    ) -> _Answer:
        """One request, in its turn, within MOFA_TOTAL_TIMEOUT."""
        async with server.gate:
            await self._wait_for_turn(url, server)
            try:
                with anyio.fail_after(self._settings.total_timeout):
                    await self._refuse_private_name(url, wire, server)
                    async with self._client.stream("GET", wire, headers=conditions) as response:
                        self._refuse_private_peer(url, wire, response)
                        self._judge_status(url, server, response)
                        most = _ROBOTS_BYTES if robots else self._settings.max_bytes
                        # A redirect's body is of no use; the empty one of a 304 must be read to keep the connection.
                        redirect = response.status_code in _REDIRECTS
                        body = b"" if redirect else await _unpacked(response, url, most, cut=robots)
                        return _Answer(url, response.status_code, response.headers, body)
            except (TimeoutError, httpx.TimeoutException) as error:
                raise FetchFailedError(f"{url}: the server does not answer in time: try again later") from error
            except httpx.ConnectError as error:
                raise FetchFailedError(f"{url}: {_why_not_connected(error)}") from error
            except socket.gaierror as error:
                raise FetchFailedError(
                    f"{url}: no server of this name is known: check the network and the name"
                ) from error
            except (httpx.HTTPError, OSError) as error:
                raise FetchFailedError(f"{url}: the transfer broke off: try again") from error
            except zlib.error as error:
                raise FetchFailedError(f"{url}: the server sends broken gzip: try again later") from error

    async def _wait_for_turn(self, url: str, server: _Server) -> None:
        async with server.turn:
            while (wait := server.not_before - self._clock()) > 0:
                if wait > self._settings.longest_wait:
                    raise FetchFailedError(
                        f"{url}: the server asked to be left alone for another {wait:.0f} seconds: "
                        "try again then, or raise MOFA_LONGEST_WAIT",
                        retry_after=wait,
                    )
                await self._sleep(wait)
            server.not_before = self._clock() + server.delay

    def _judge_status(self, url: str, server: _Server, response: httpx.Response) -> None:
        status = response.status_code
        if status in {httpx.codes.OK, httpx.codes.NOT_MODIFIED} | _REDIRECTS:
            return
        answers = f"{url}: the server answers {status} {response.reason_phrase[:80]}".rstrip()
        if status < httpx.codes.BAD_REQUEST:
            raise FetchFailedError(f"{answers}, not the page: try again later", status)
        if status in _MAY_HEAL or response.is_server_error:
            wait = _retry_after(response.headers, self._now())
            if wait is not None:
                server.not_before = max(server.not_before, self._clock() + wait)
            then = "later" if wait is None else f"in {wait:.0f} seconds, as it asks"
            raise FetchFailedError(f"{answers}: try again {then}", status, wait)
        if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
            raise FetchRefusedError(f"{answers}: look for the page's new address", status)
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise FetchRefusedError(f"{answers}: it keeps us out; ask the ministry, or set MOFA_CONTACT", status)
        raise FetchRefusedError(f"{answers}: check the address", status)

    async def _refuse_private_name(self, url: str, wire: httpx.URL, server: _Server) -> None:
        """A ministry's name that leads into the network of this machine is an attack or a mistake."""
        if server.public or self._trusted(wire):
            return
        port = wire.port or (443 if wire.scheme == "https" else 80)
        for *_, address in await anyio.getaddrinfo(wire.host, port, type=socket.SOCK_STREAM):
            _refuse_private(url, str(address[0]))
        server.public = True

    def _refuse_private_peer(self, url: str, wire: httpx.URL, response: httpx.Response) -> None:
        """The same of the address really used: a name may lead elsewhere a moment later."""
        stream = response.extensions.get("network_stream")
        address = stream.get_extra_info("server_addr") if stream and not self._trusted(wire) else None
        if address:
            _refuse_private(url, str(address[0]))

    def _trusted(self, wire: httpx.URL) -> bool:
        """Whether the address is the operator's choice (base_url), or a proxy of theirs resolves and connects."""
        if self._base:
            return True
        proxied = urllib.request.getproxies().keys() & {wire.scheme, "all"}
        return bool(proxied) and not urllib.request.proxy_bypass(wire.host)


def _base(base_url: str) -> httpx.URL:
    try:
        base = httpx.URL(base_url)
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchRefusedError(
            f"base_url {base_url!r} is no address: write for example http://127.0.0.1:8000"
        ) from error
    if base.scheme not in {"http", "https"} or not base.host or base.path not in {"", "/"} or base.query:
        raise FetchRefusedError("base_url replaces scheme and host only: write for example http://127.0.0.1:8000")
    return base


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_private(url: str, address: str) -> None:
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if not ip.is_global:
        raise FetchRefusedError(f"{url} leads to {ip}, an address inside a private network: check the name server")


def _conditions(earlier: Validators) -> dict[str, str]:
    given = {"If-None-Match": _kept(earlier.etag), "If-Modified-Since": _kept(earlier.last_modified)}
    return {name: value for name, value in given.items() if value}


def _kept(value: str | None) -> str | None:
    """A header's value if it is harmless to store and to send back."""
    return value if value and re.fullmatch(r"[ -~]{1,500}", value) else None


def _why_not_connected(error: httpx.ConnectError) -> str:
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the server's certificate cannot be trusted: if it is not renewed soon, tell the ministry"
        if isinstance(cause, ssl.SSLError):
            return "the server speaks no TLS there: check the address"
        if isinstance(cause, socket.gaierror):
            return "no server of this name is known: check the network and the name"
        cause = cause.__cause__ or cause.__context__
    return "the server does not take the connection: try again later"


def _retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """Seconds from now that Retry-After asks for; a date is compared with the server's own clock if it tells it."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    until = _date(value)
    if until is None:
        return None
    return max((until - (_date(headers.get("date", "")) or now)).total_seconds(), 0.0)


def _date(value: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


async def _unpacked(response: httpx.Response, url: str, most: int, *, cut: bool) -> bytes:
    """The body, at most `most` bytes of it once unpacked: more is cut off, or refused.

    Unpacked here, since httpx neither limits what a few bytes of gzip become nor notices that they end too early.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        raise FetchFailedError(
            f"{url}: the server packs the page as {encoding[:40]!r} although only gzip was asked for"
        )
    packed = encoding in {"gzip", "x-gzip"}
    inflate = zlib.decompressobj(_GZIP)
    too_large = FetchRefusedError(f"{url} has more than {most / 2**20:,.1f} MB: if that is right, raise MOFA_MAX_BYTES")
    length = response.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > most and not cut:
        raise too_large
    body, any_bytes = bytearray(), False
    async for received in response.aiter_raw():
        piece, any_bytes = received, True
        while piece:
            if packed:
                body += inflate.decompress(piece, most + 1 - len(body))
                piece = inflate.unused_data if inflate.eof else b""
                if piece:  # gzip may consist of several parts
                    inflate = zlib.decompressobj(_GZIP)
            else:
                body += piece
                piece = b""
            if len(body) > most:
                if cut:
                    return bytes(body[:most])
                raise too_large
    if packed and any_bytes and not inflate.eof:
        raise FetchFailedError(f"{url}: the page breaks off before its end: try again")
    return bytes(body)


def _has_no_end(answer: _Answer, text: str) -> bool:
    """Whether HTML stops before </html> in an answer whose length nobody told, so that half of it looks whole."""
    told = "content-length" in answer.headers or "chunked" in answer.headers.get("transfer-encoding", "").lower()
    return not told and bool(re.search(r"<html[\s>]", text, re.IGNORECASE)) and "</html" not in text[-5000:].lower()


# --- Charset ---------------------------------------------------------------------------------------------------------

_DECLARED = re.compile(
    rb"""<(?:meta\b[^>]{0,300}?\bcharset|\?xml\b[^>]{0,100}?\bencoding)\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE
)
_BOMS = [(codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")]
_WIDER = {  # what pages really contain when they name the narrower charset, as browsers take it (WHATWG Encoding)
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
}
_GUESSES = ["utf_8", "cp932", "euc_jp", "cp949", "gb18030", "big5", "cp1251", "koi8_r", "cp1252", "cp1250", "cp1256"]
_FAULTS = 200  # one broken character in so many is the page's fault and not the charset's


def decoded(body: bytes, content_type: str | None) -> str | None:
    """The text of a page, by byte order mark, valid UTF-8, header, meta element and at last its bytes; None: no text.

    Valid UTF-8 goes before what is declared: servers declare ISO-8859-1 for everything, and text in another charset
    is practically never valid UTF-8.
    """
    header = re.search(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", content_type or "", re.IGNORECASE)
    meta = _DECLARED.search(body[:4096])
    labels = [header.group(1) if header else "", meta.group(1).decode("ascii", "replace") if meta else ""]
    declared = [charset for charset in map(_charset, labels) if charset]
    if mark := next((charset for start, charset in _BOMS if body.startswith(start)), None):
        candidates = [mark]
    elif body.isascii():
        candidates = [*declared, "ascii"]  # ISO-2022-JP is ASCII to look at
    else:
        # A charset of single bytes decodes anything; of two declared ones the other is the one that can be wrong.
        candidates = ["utf-8", *sorted(declared, key=_decodes_anything)]
    for charset in candidates:
        try:
            return body.decode(charset).replace("\0", "\ufffd")
        except UnicodeError:
            continue
    for charset in candidates:
        text = body.decode(charset, "replace").replace("\0", "\ufffd")
        if text.count("\ufffd") * _FAULTS <= len(text):
            return text
    best = charset_normalizer.from_bytes(body, cp_isolation=_GUESSES).best()
    return str(best).replace("\0", "\ufffd") if best else None


def _charset(label: str) -> str | None:
    """Python's name for the charset a page declares, or None for one that no page can be in."""
    try:
        name = codecs.lookup(label.lower().removeprefix("x-")).name
        "a".encode(name)
    except (LookupError, UnicodeError, TypeError, ValueError):
        return None
    if name.startswith(("utf-16", "utf-32", "utf-7", "idna", "punycode", "unicode", "raw", "mbcs", "oem")):
        return None  # no byte order mark, so it is not UTF-16; the rest are Python's own
    return _WIDER.get(name, name)


def _decodes_anything(charset: str) -> bool:
    return charset.startswith(("cp125", "iso8859", "koi8", "mac", "cp874"))


# --- Excuses ---------------------------------------------------------------------------------------------------------

_SHORT, _TINY = 3000, 600  # visible characters: real lists are longer than the one, real missions than the other
_EXCUSES = {  # phrases of real excuses, in the languages of those who write them
    "a maintenance page": r"maintenance|メンテナンス|システム停止|점검|维护|維護|will be back soon|be right back"
    r"|технические работы|техническое обслуживание|mantenimiento|manutenção|wartungsarbeiten",
    "an access-denied page": r"access (?:to this page |is |was |has been )*denied|requested url was rejected"
    r"|request (?:rejected|blocked|unsuccessful)|you don.t have permission|\bforbidden\b|have been blocked"
    r"|アクセス.{0,8}(?:拒否|制限)|доступ.{0,12}(?:запрещ|ограничен)|접근.{0,8}(?:거부|차단)"
    r"|访问.{0,6}(?:拒绝|禁止)|accès (?:refusé|interdit)|acceso denegado|zugriff verweigert",
    "a challenge for robots": r"captcha|just a moment|attention required|checking (?:your browser|if the site)"
    r"|verify(?:ing)? (?:that )?you are (?:a )?(?:human|not a robot)|are you (?:a )?(?:human|robot)|security check"
    r"|enable javascript and cookies|проверка браузера|ddos[- ]guard|安全验证",
    "an error page": r"(?:service|site|page|website|temporarily)(?: is)?(?: currently| temporarily)? unavailable"
    r"|bad gateway|gateway time-?out|internal server error|too many requests|database error"
    r"|error establishing a database connection|page (?:was |could |can)?(?:not|cannot)(?: be)? found"
    r"|\b(?:404|50[0234])\b.{0,20}(?:error|not found)|error \b(?:404|50[0234])\b|сервис.{0,12}недоступен",
}
_EXCUSE = {name: re.compile(phrases, re.IGNORECASE) for name, phrases in _EXCUSES.items()}
_LOGIN = re.compile(
    r"log ?in\b|sign ?in\b|single sign-on|authentication|ログイン|로그인|вход|авторизац|登录|登錄|anmeld|connexion"
    r"|iniciar sesi[oó]n",
    re.IGNORECASE,
)


def excuse_for_a_page(text: str, content_type: str | None = None) -> str | None:
    """What the server sent instead of the page ("a login page"), or None if this may well be the page.

    Cautious: a long page, or one that mentions such things without being about them, is a page. What slips through
    meets a strict parser.
    """
    if not text.strip():
        return "nothing"
    kind = (content_type or "").lower()
    if not text.lstrip("\ufeff \t\r\n").startswith("<") or ("xml" in kind and "html" not in kind):
        return None  # JSON and the like: their parsers accept no excuses
    try:
        tree = lxml.html.document_fromstring(text.encode("utf-8"), parser=lxml.html.HTMLParser(encoding="utf-8"))
    except (etree.LxmlError, ValueError):
        return "nothing"
    title = _visible(tree.iter("title", "h1"))[:300]
    has_password = bool(tree.xpath("//input[translate(@type, 'PASWORD', 'pasword') = 'password']"))
    etree.strip_elements(tree, "script", "style", "noscript", "template", "title", etree.Comment, with_tail=False)
    visible = _visible([tree])
    if not visible:
        return "nothing"
    if len(visible) >= _SHORT:
        return None
    told = f"{title} {visible}" if len(visible) < _TINY else title
    excuse = next((excuse for excuse, phrases in _EXCUSE.items() if phrases.search(told)), None)
    if not excuse and has_password and (_LOGIN.search(title) or len(visible) < _TINY):
        excuse = "a login page"
    return excuse


def _visible(elements: Iterable[Any]) -> str:
    return " ".join(" ".join(text for element in elements for text in element.itertext()).split())
