"""Pages rendered by JavaScript, read with headless Chromium; every request goes through the Fetcher.

So robots.txt, delays, limits of size and time, and the hosts of the source are the same as for any other page. Chromium
itself has no network. Pictures, fonts, style sheets and other hosts are left out. It needs the extra `javascript` and a
Chromium of the system.
"""

import hashlib
import os
import shutil
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

from tasks.mofa.fetch_errors import FetchError, FetchFailedError, FetchRefusedError
from tasks.mofa.http import Fetcher, NotModified, Validators, user_agent
from tasks.mofa.page import Page, Source
from tasks.mofa.request import Request
from tasks.mofa.settings import FetchingSettings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route
    from playwright.sync_api import Page as Tab

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_WANTED = {"document", "script", "xhr", "fetch"}  # of the kinds of requests that a page makes
_NOWHERE = "http://127.0.0.1:9"  # a proxy on the discard port: a request that is not routed reaches nobody
_ARGUMENTS = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
_FORM = "application/x-www-form-urlencoded"


def fetcher_for(source: Source, settings: FetchingSettings, base_url: str | None) -> "Fetcher | BrowserFetcher":
    """What requests the pages of a source."""
    fetcher = Fetcher(settings, source.hosts, base_url, language=source.language)
    return BrowserFetcher(fetcher, source, settings) if source.javascript else fetcher


class BrowserFetcher:
    """Like a Fetcher, but each page is rendered with headless Chromium: `with BrowserFetcher(…) as fetcher`.

    One page at a time; `fetch` may be called from several threads. The validators of an earlier page are of no use: the
    page is made anew each time.
    """

    def __init__(self, fetcher: Fetcher, source: Source, settings: FetchingSettings) -> None:
        self._fetcher, self._source, self._settings = fetcher, source, settings
        self.mirrored = fetcher.mirrored
        self._stack = ExitStack()
        self._browser: Browser | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._fetcher)
            self._thread = stack.enter_context(ThreadPoolExecutor(1, "browser"))  # Playwright wants one thread
            stack.callback(lambda: self._thread.submit(self._close).result())
            self._thread.submit(self._open).result()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]

    def fetch(self, url: str, earlier: Validators | None = None) -> Page:  # noqa: ARG002 - see the class
        """The page as a browser shows it. Raises FetchError as a Fetcher does, also for what the page requests."""
        return self._thread.submit(self._fetch, url).result()

    # ------------------------------------------------------------------ in the thread of the browser

    def _open(self) -> None:
        try:
            from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415 - an extra
        except ImportError:
            raise FetchRefusedError(
                "pages made by JavaScript need Playwright: pip install 'embassy-jobs[javascript]'"
            ) from None
        program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
        if program is None:
            raise FetchRefusedError(
                "pages made by JavaScript need Chromium: install it, for example apt install chromium"
            )
        sandbox = [] if os.geteuid() else ["--no-sandbox"]  # as root Chromium has none
        self._playwright = sync_playwright().start()
        try:
            self._browser = self._playwright.chromium.launch(
                executable_path=program,
                args=[*_ARGUMENTS, *sandbox],
                # A socket in TMPDIR, that of make up, could have a path that is too long: then Chromium does not start.
                env={name: value for name, value in os.environ.items() if name != "TMPDIR"},
                proxy={"server": _NOWHERE, "bypass": "<-loopback>"},
            )
        except Error as error:
            self._playwright.stop()
            raise FetchRefusedError(f"{program} cannot be started: {str(error).splitlines()[0]}") from error

    def _close(self) -> None:
        if self._browser is not None:
            self._browser.close()
            self._playwright.stop()

    def _fetch(self, url: str) -> Page:
        from playwright.sync_api import Error  # noqa: PLC0415 - an extra

        if self._browser is None:
            raise RuntimeError("the browser is not open")
        request = Request.of(url)
        if request.method != "GET":
            raise FetchRefusedError(f"{url}: a page made by JavaScript is requested by GET")
        context = self._browser.new_context(
            user_agent=user_agent(self._settings.contact),
            locale=self._source.language,
            timezone_id=self._source.time_zone,
            service_workers="block",
            accept_downloads=False,
        )
        made = _Requests(self._fetcher, self._source.hosts)
        try:
            context.set_default_timeout(self._settings.total_timeout * 1000)
            tab = context.new_page()
            tab.route("**/*", made.answer)
            with suppress(Error):  # why is known from the requests
                tab.goto(request.url, wait_until="load")
            text = self._html_when_idle(tab)
        finally:
            context.close()
        return made.page(url, text, self._settings.max_bytes)

    def _html_when_idle(self, tab: "Tab") -> str:
        """The HTML of the page once it requests nothing more; after MOFA_READ_TIMEOUT, as it is then."""
        from playwright.sync_api import Error  # noqa: PLC0415 - an extra

        with suppress(Error):
            tab.wait_for_load_state("networkidle", timeout=self._settings.read_timeout * 1000)
        with suppress(Error):
            return tab.content()
        return ""


class _Requests:
    """Answers the requests of one page, and remembers what went wrong."""

    def __init__(self, fetcher: Fetcher, hosts: Collection[str]) -> None:
        self._fetcher, self._hosts = fetcher, hosts
        self._document: Page | None = None
        self._error: FetchError | None = None

    def answer(self, route: "Route") -> None:
        """Fulfil a request of the page through the fetcher, or abort it."""
        asked = route.request
        wanted = asked.resource_type in _WANTED and urlsplit(asked.url).netloc.lower() in self._hosts
        request = _request_of(asked) if wanted else None
        page = self._fetched(request, is_document=asked.resource_type == "document") if request else None
        if page is None:
            route.abort()
            return
        if asked.resource_type == "document" and self._document is None:
            self._document = page
        kind = page.content_type.partition(";")[0] or "text/html"
        route.fulfill(status=page.status, content_type=f"{kind}; charset=utf-8", body=page.text)

    def _fetched(self, request: Request, *, is_document: bool) -> Page | None:
        """None if it failed. What is refused is no failure of the page, but for the page itself: it shows less then."""
        if self._error:
            return None
        try:
            page = self._fetcher.fetch(request.address)
        except FetchRefusedError as error:
            self._error = error if is_document else None
        except FetchFailedError as error:
            self._error = error
        else:
            return None if isinstance(page, NotModified) else page
        return None

    def page(self, url: str, text: str, max_bytes: int) -> Page:
        """The page with this HTML. Raises FetchError if a request of it failed."""
        if self._error:
            raise self._error
        if self._document is None or not text:
            raise FetchFailedError(f"{url}: the browser could not show the page: try again")
        body = text.encode("utf-8", "replace")
        if len(body) > max_bytes:
            raise FetchRefusedError(
                f"{url} has more than {max_bytes / 2**20:,.1f} MB: if that is right, raise MOFA_MAX_BYTES"
            )
        digest = hashlib.sha256(body).hexdigest()
        return replace(self._document, url=url, text=text, sha256=digest, etag=None, last_modified=None)


def _request_of(asked: Any) -> Request | None:
    """The request of a page, if it is one that a Fetcher can make: by GET, or a form by POST."""
    if asked.method == "GET":
        return Request(asked.url.partition("#")[0])
    if asked.method == "POST" and _FORM in asked.headers.get("content-type", ""):
        form = tuple(parse_qsl(asked.post_data or "", keep_blank_values=True))
        return Request(asked.url.partition("#")[0], "POST", form)
    return None
