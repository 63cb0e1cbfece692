"""Requests a ministry's pages politely, and refuses answers that cannot be the page.

The only module of the monitor that uses the network. It obeys robots.txt, Crawl-delay and Retry-After, sends
conditional requests over few connections, and says who it is. Nothing that a server answers is trusted: sizes, times,
redirects and charsets are limited or checked. Retries are the caller's task; the errors say whether one may succeed,
and when.
"""

import email.utils
import hashlib
import re
import socket
import time
import zlib
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Self

import anyio
import anyio.from_thread
import httpx

from tasks.http_status import RETRYABLE_STATUS_CODES
from tasks.mofa.addresses import Addresses, refuse_private
from tasks.mofa.charset import Decoded, decode
from tasks.mofa.content_encoding import CONTENT_CODINGS, read_body
from tasks.mofa.fetch_errors import (
    FetchFailedError,
    FetchRefusedError,
    connection_problem,
    proxy_problem,
    status_problem,
)
from tasks.mofa.page import Page
from tasks.mofa.request import Request
from tasks.mofa.robots import MAX_BYTES, NO_RULES, PRODUCT, Robots
from tasks.mofa.settings import FetchingSettings
from tasks.mofa.table_file import as_text

_REDIRECTS = {301, 302, 303, 307, 308}
_SAME_METHOD = {307, 308}  # of these; after the others a browser requests by GET
_END_UNKNOWN = "the server did not say how long the page is, so a missing end would not be noticed"
_MAX_REDIRECTS = 5  # also what RFC 9309, 2.3.1.2 asks for robots.txt


@dataclass(frozen=True)
class Validators:
    """What an earlier answer said about its version; with it a server may answer that nothing changed."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class NotModified:
    """The server says that the page is still the one of the validators given."""

    url: str
    etag: str | None
    last_modified: str | None
    fetched_at: datetime  # UTC


def user_agent(contact: str | None) -> str:
    """The one User-Agent: product, version, and whom to write to."""
    try:
        number = version(PRODUCT)
    except PackageNotFoundError:  # run from a directory without being installed
        number = "0"
    return f"{PRODUCT}/{number}" + (f" (+{contact})" if contact else "")


@dataclass
class _Server:
    """What one server was asked, and what it asked for."""

    connections: anyio.Semaphore
    delay: float  # seconds between the starts of two requests
    not_before: float = 0  # on the clock
    queue: anyio.Lock = field(default_factory=anyio.Lock)
    reading_robots: anyio.Lock = field(default_factory=anyio.Lock)
    robots: Robots | None = None  # once read
    is_public: bool = False  # its name leads to no private address


@dataclass(frozen=True)
class _Answer:
    url: str  # the ministry's own address
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def length_is_known(self) -> bool:
        """Whether a missing end would have been noticed."""
        packed = CONTENT_CODINGS.keys() & {
            each.strip() for each in self.headers.get("content-encoding", "").lower().split(",")
        }
        chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        return bool(packed) or chunked or "content-length" in self.headers


class Fetcher:
    """One client for one run, for one source: `with Fetcher(settings, hosts) as fetcher: fetcher.fetch(url)`.

    Args:
        settings: limits and times.
        hosts: host or host:port of every address the source may use; nothing else is requested, but for a robots.txt
            that redirects elsewhere.
        base_url: scheme and host that replace those of every address (a mirror, a test server).
        language: of the pages that are asked for.
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
        language: str = "en",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings, self._clock, self._sleep, self._now = settings, clock, sleep, now
        self._language = language
        self._addresses = Addresses(hosts, base_url)
        self.mirrored = self._addresses.mirrored  # pages come from another server than the ministry's
        self._servers: dict[tuple[str, str, int | None], _Server] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(anyio.from_thread.start_blocking_portal())
            self._client = stack.enter_context(self._portal.wrap_async_context_manager(self._new_client()))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]

    def _new_client(self) -> httpx.AsyncClient:
        settings = self._settings
        try:
            return httpx.AsyncClient(
                headers={
                    "User-Agent": user_agent(settings.contact),
                    "Accept": "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.5",
                    "Accept-Language": self._language if self._language == "en" else f"{self._language}, en;q=0.5",
                    "Accept-Encoding": "gzip",  # what read_body can limit
                },
                timeout=httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout),
                trust_env=not self._addresses.on_loopback,  # no proxy is between this machine and itself
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:  # SOCKS, or what is no address of a proxy
            url = self._addresses.resolve(f"https://{self._addresses.first_host}")
            is_socks = isinstance(error, ImportError)
            reason = "SOCKS is not supported, use an HTTP proxy" if is_socks else "its address is not valid"
            raise proxy_problem(str(url), self._addresses.proxy(url), reason) from None

    def fetch(self, url: str, earlier: Validators | None = None) -> Page | NotModified:
        """The page at `url` (Request.address), or that it has not changed since `earlier`.

        Waits for its place in the queue first, at most MOFA_LONGEST_WAIT. Raises FetchFailedError when trying again may
        help, else FetchRefusedError.
        """
        request = Request.of(url)
        conditions = _conditions(earlier) if earlier and request.method == "GET" else {}
        answer = self._portal.call(self._follow_redirects, request, conditions)
        etag, last_modified = (
            _safe_header(answer.headers.get("etag")),
            _safe_header(answer.headers.get("last-modified")),
        )
        if answer.status == httpx.codes.NOT_MODIFIED:
            before = earlier or Validators()
            return NotModified(url, etag or before.etag, last_modified or before.last_modified, self._now())
        content_type = answer.headers.get("content-type")
        table = as_text(answer.body)
        decoded = Decoded(table, "base64") if table else decode(answer.body, content_type)
        if decoded is None:
            shown = self._addresses.shown(url)
            raise FetchFailedError(
                f"{shown}: what the server sends is no text in any known charset ({content_type})", 200
            )
        return Page(
            url=url,
            text=decoded.text,
            status=answer.status,
            content_type=_safe_header(content_type) or "",
            final_url=answer.url,
            sha256=hashlib.sha256(answer.body).hexdigest(),
            etag=etag,
            last_modified=last_modified,
            fetched_at=self._now(),
            assumed="; ".join(_assumed(answer, decoded)) or None,
        )

    async def _follow_redirects(self, request: Request, conditions: dict[str, str], *, robots: bool = False) -> _Answer:
        """The first answer that is no redirect. Each address on the way must be allowed by hosts and robots.txt.

        Cookies that an answer sets are sent from then on, also by later requests of this fetcher. A form is sent again
        after 307 and 308 only.
        """
        url = at = request.url
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                request_url = self._addresses.resolve(at, any_host=robots)
                server = self._server(request_url)
                if not robots:
                    await self._check_robots(at, request_url, server)
            except FetchRefusedError as refusal:
                if at == url:
                    raise
                raise FetchRefusedError(f"{url} redirects: {refusal}") from refusal
            answer = await self._request(replace(request, url=at), request_url, server, conditions, robots=robots)
            if answer.status == httpx.codes.NOT_MODIFIED and not conditions:
                shown = self._addresses.shown(at)
                raise FetchFailedError(f"{shown}: the server answers 304 although it was not asked for changes", 304)
            if answer.status not in _REDIRECTS:
                return answer
            at = self._addresses.redirected(at, answer.status, answer.headers.get("location", "").strip())
            if answer.status not in _SAME_METHOD:
                request = Request(at)
            conditions = {}  # they are about the page that was redirected, and could match another by chance
        raise FetchRefusedError(f"{url}: more than {_MAX_REDIRECTS} redirects, the last to {at}: check the address")

    def _server(self, request_url: httpx.URL) -> _Server:
        key = (request_url.scheme, request_url.host, request_url.port)
        if key not in self._servers:
            connections = anyio.Semaphore(self._settings.concurrency)
            self._servers[key] = _Server(connections, 0 if self._addresses.on_loopback else self._settings.delay)
        return self._servers[key]

    async def _check_robots(self, url: str, request_url: httpx.URL, server: _Server) -> None:
        """Raise FetchRefusedError unless robots.txt allows `request_url`; learn how long to wait between requests."""
        async with server.reading_robots:
            if server.robots is None:
                server.robots = await self._read_robots(str(httpx.URL(url).join("/robots.txt")))
                server.delay = max(server.delay, server.robots.delay)
                server.not_before = max(server.not_before, self._clock() + server.delay)
        if server.delay > self._settings.longest_wait:
            raise FetchRefusedError(
                f"{url}: robots.txt asks for {server.delay:g} seconds between requests: "
                "if the run may take that long, raise MOFA_LONGEST_WAIT",
            )
        if not server.robots.allows(str(request_url)):
            raise FetchRefusedError(f"{url} is excluded by robots.txt: ask the ministry, or remove the page")

    async def _read_robots(self, url: str) -> Robots:
        try:
            answer = await self._follow_redirects(Request(url), {}, robots=True)
        except FetchRefusedError:  # RFC 9309, 2.3.1.3: 4xx means that there are no rules; 5xx is FetchFailedError
            return NO_RULES
        return Robots.parse(answer.body)

    async def _request(
        self, request: Request, request_url: httpx.URL, server: _Server, conditions: dict[str, str], *, robots: bool
    ) -> _Answer:
        """One request, after its place in the queue, within MOFA_TOTAL_TIMEOUT."""
        url, form = request.url, dict(request.form) if request.method == "POST" else None
        shown, proxy = self._addresses.shown(url), self._addresses.proxy(request_url)
        async with server.connections:
            await self._wait_in_queue(url, server)
            try:
                with anyio.fail_after(self._settings.total_timeout):
                    await self._refuse_private_name(url, request_url, server)
                    async with self._client.stream(
                        request.method, request_url, headers=conditions, data=form
                    ) as response:
                        self._refuse_private_peer(url, request_url, response)
                        self._check_status(shown, server, response, proxy)
                        max_bytes = MAX_BYTES if robots else self._settings.max_bytes
                        # A redirect's body is of no use; the empty one of a 304 must be read to keep the connection.
                        redirect = response.status_code in _REDIRECTS
                        body = b"" if redirect else await read_body(response, shown, max_bytes, cut=robots)
                        return _Answer(url, response.status_code, response.headers, body)
            except (TimeoutError, httpx.TimeoutException) as error:
                raise FetchFailedError(f"{shown}: the server does not answer in time: try again later") from error
            except (httpx.ConnectError, httpx.ProxyError, socket.gaierror) as error:
                raise connection_problem(shown, error, proxy) from error
            except (httpx.HTTPError, OSError) as error:
                raise FetchFailedError(f"{shown}: the transfer broke off: try again") from error
            except zlib.error as error:
                raise FetchFailedError(f"{shown}: the server sends broken gzip: try again later") from error

    async def _wait_in_queue(self, url: str, server: _Server) -> None:
        async with server.queue:
            while (wait := server.not_before - self._clock()) > 0:
                if wait > self._settings.longest_wait:
                    raise FetchFailedError(
                        f"{url}: the server asked us to wait another {wait:.0f} seconds: "
                        "try again then, or raise MOFA_LONGEST_WAIT",
                        retry_after=wait,
                    )
                await self._sleep(wait)
            server.not_before = self._clock() + server.delay

    def _check_status(self, shown: str, server: _Server, response: httpx.Response, proxy: str | None) -> None:
        status = response.status_code
        if status in {httpx.codes.OK, httpx.codes.NOT_MODIFIED} | _REDIRECTS:
            return
        wait = None
        if status in RETRYABLE_STATUS_CODES or response.is_server_error:
            wait = _retry_after(response.headers, self._now())
            server.not_before = max(server.not_before, self._clock() + (wait or 0))
        raise status_problem(shown, response, wait, proxy)

    async def _refuse_private_name(self, url: str, request_url: httpx.URL, server: _Server) -> None:
        """A ministry's name that leads into the network of this machine is an attack or a mistake."""
        if not self._addresses.mirrored:
            refuse_private(url, request_url.host)
        if server.is_public or self._addresses.is_trusted(request_url):
            return
        port = request_url.port or (443 if request_url.scheme == "https" else 80)
        for *_, address in await anyio.getaddrinfo(request_url.host, port, type=socket.SOCK_STREAM):
            refuse_private(url, str(address[0]))
        server.is_public = True

    def _refuse_private_peer(self, url: str, request_url: httpx.URL, response: httpx.Response) -> None:
        """The same of the address really used: a name may lead elsewhere a moment later."""
        stream = response.extensions.get("network_stream")
        trusted = self._addresses.is_trusted(request_url)
        if stream and not trusted and (address := stream.get_extra_info("server_addr")):
            refuse_private(url, str(address[0]))


def _assumed(answer: _Answer, decoded: Decoded) -> Iterator[str]:
    """What is a guess about an answer: its charset, and its end if neither the server nor HTML or JSON says it."""
    if decoded.assumed:
        yield decoded.assumed
    if not answer.length_is_known and not decoded.text[-100:].rstrip().lower().endswith(("</html>", "}", "]")):
        yield _END_UNKNOWN


def _conditions(earlier: Validators) -> dict[str, str]:
    given = {
        "If-None-Match": _safe_header(earlier.etag),
        "If-Modified-Since": _safe_header(earlier.last_modified),
    }
    return {name: value for name, value in given.items() if value}


def _safe_header(value: str | None) -> str | None:
    """A header's value if it is harmless to store and to send back."""
    return value if value and re.fullmatch(r"[ -~]{1,500}", value) else None


def _retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """Seconds from now that Retry-After asks for; a date is compared with the server's own clock if there is one."""
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
