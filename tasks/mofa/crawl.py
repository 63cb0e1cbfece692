"""Reads all pages of a source: follows links, resumes after a failure, parses only what has changed.

The fetcher, the archive of earlier pages and the clocks are arguments. An incomplete crawl never becomes a set.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from tasks.mofa.fetch_errors import FetchError, FetchFailedError, FetchRefusedError
from tasks.mofa.http import NotModified, Validators
from tasks.mofa.limits import DEFAULT, Limits
from tasks.mofa.page import Page, PageError, Source
from tasks.mofa.reading import Attempt, Reading, try_to_read

PAUSE_AFTER_FAILURE = 5.0  # seconds between a failed request and the next one, while pages are read in between
MAX_304_AGE = timedelta(days=7)  # then the whole page is requested once
_AT_ONCE = 50  # pages requested before the first of them is parsed, so that answers never pile up in memory
_NOT_FOUND = 404


@dataclass(frozen=True)
class StoredPage:
    """A page as it was read before."""

    id: int  # of its snapshot
    sha256: str
    etag: str | None
    last_modified: str | None
    version: str  # of the parser that made `reading`
    reading: Reading
    fetched_at: datetime
    verified_at: datetime  # when the server last said that it is unchanged


class Archive(Protocol):
    """Where pages are kept."""

    def newest(self) -> Mapping[str, StoredPage]:
        """Of every address of the source the page that was read last."""

    def load(self, snapshot: int) -> Page:
        """A page that was kept."""

    def keep(self, page: Page, reading: Reading) -> int:
        """Keep a page that was read; the id of its snapshot."""

    def replace_reading(self, snapshot: int, reading: Reading) -> None:
        """Replace what an older parser read."""

    def renew_validators(self, snapshot: int, validators: Validators) -> None:
        """What to ask with next time whether the page is still the same."""

    def mark_verified(self, snapshots: Sequence[int]) -> None:
        """The server said that these pages are unchanged."""


class PageFetcher(Protocol):
    """What a crawl needs of http.Fetcher."""

    mirrored: bool

    def fetch(self, url: str, earlier: Validators | None = None) -> Page | NotModified:
        """The page, or that it has not changed since `earlier`."""


@dataclass(frozen=True)
class ReadPage:
    """A page of this crawl."""

    snapshot: int
    reading: Reading
    assumed: str | None = None  # what is a guess, and why: the end of a sentence


class Crawl:
    """What was read so far. It outlives a failed attempt, so that the next one requests only what is missing.

    Args:
        source: what is read.
        archive: where pages are kept.
        workers: requests at once.
        longest_wait: seconds that a server may ask us to wait; if it asks for more, the next run tries again.
        pause: seconds without requests after a failed one.
        limits: what the crawl may cost; its time begins now.
        read: reads a page of the source.
        report: called with one line for every event a person may want to see.
        clock: seconds, monotonic; `sleep` waits that many of them; `now` is the time of day.
    """

    def __init__(
        self,
        source: Source,
        archive: Archive,
        *,
        workers: int = 1,
        longest_wait: float = 300,
        pause: float = PAUSE_AFTER_FAILURE,
        limits: Limits = DEFAULT,
        read: Callable[[Page], Attempt] | None = None,
        report: Callable[[str], None] = lambda _line: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.source, self._archive = source, archive
        self._workers, self._longest_wait, self._pause = workers, longest_wait, pause
        self._report, self._clock, self._sleep, self._now = report, clock, sleep, now
        self._limits, self.read_page = limits, read or partial(try_to_read, source)
        self._end, self._bytes = clock() + self._limits.seconds, 0
        self.read: dict[str, ReadPage] = {}  # by address, in the order of the crawl
        self.unchanged: set[int] = set()  # snapshots
        self.route = 0
        self.retried = 0
        self.unparsed_page: Page | None = None  # the page that could not be read
        self._not_before = 0.0  # on the clock
        self._requested_again: set[str] = set()  # pages that could not be parsed the first time
        self._cut_short: dict[str, Reading] = {}  # what was read from pages without an end

    @property
    def verified(self) -> bool:
        """Whether the parser of the route that was taken is tested with saved real pages."""
        return self.source.routes[self.route].verified

    def attempt(self, fetcher: PageFetcher) -> None:
        """Read what is not read yet; a page is kept as soon as it is read.

        Only an attempt that reads no page fails: a long crawl may meet any number of failures on its way.

        Raises:
            FetchFailedError: no page could be read, another attempt may succeed.
            FetchRefusedError, PageError: another attempt does not help.
        """
        earlier = self._archive.newest()
        with ThreadPoolExecutor(self._workers) as pool:
            while True:
                self._sleep(max(self._not_before - self._clock(), 0))
                read = len(self.read)
                try:
                    self._follow_links(earlier, fetcher, pool)
                    break
                except FetchFailedError as failure:
                    self._wait_after(failure)
                    if len(self.read) == read:
                        raise
                    wait = max(self._not_before - self._clock(), 0)
                    self._report(f"{failure} (the crawl goes on in {wait:.0f} seconds)")
                except FetchRefusedError as refusal:
                    self._take_next_route(refusal)
        self._archive.mark_verified(sorted(self.unchanged))

    def _wait_after(self, failure: FetchFailedError) -> None:
        if (failure.retry_after or 0) > self._longest_wait:
            raise FetchRefusedError(str(failure), failure.status, failure.retry_after) from failure
        self.retried += 1
        self._not_before = self._clock() + max(failure.retry_after or 0, self._pause)

    def _take_next_route(self, refusal: FetchRefusedError) -> None:
        """The next route, if the start of this one is not there; else raises the refusal."""
        is_start = not any(url in self.read for url in self.source.routes[self.route].start)
        if refusal.status != _NOT_FOUND or not is_start or self.route + 1 == len(self.source.routes):
            raise refusal
        self.route += 1

    def _follow_links(self, earlier: Mapping[str, StoredPage], fetcher: PageFetcher, pool: ThreadPoolExecutor) -> None:
        """Read the pages of a route, and those they lead to, each once."""
        wave = list(self.source.routes[self.route].start)
        reached = set(wave)
        while wave:
            missing = [url for url in wave if url not in self.read]
            for page in fetched(missing, lambda url: self._fetch(url, earlier.get(url), fetcher), pool):
                self._spend(page)
                self.read[page.url] = self._read(page, earlier.get(page.url))
            if missing:
                self._report(f"{self.source.name}: pages read: {len(self.read):,}, unchanged: {len(self.unchanged):,}")
            leads_to = dict.fromkeys(
                link for url in wave for link in self.read[url].reading.links if link not in reached
            )
            reached.update(leads_to)
            if len(reached) > self._limits.pages:
                raise FetchRefusedError(f"{self._name} has more than {self._limits.pages:,} pages (MOFA_MAX_PAGES)")
            wave = list(leads_to)

    @property
    def _name(self) -> str:
        return f"the source {self.source.name}"

    def _spend(self, page: Page | NotModified) -> None:
        """Count a page. Raises FetchRefusedError if the crawl costs more than it may."""
        if self._clock() > self._end:
            limit = f"{self._limits.seconds:,.0f} seconds (MOFA_CRAWL_SECONDS)"
            raise FetchRefusedError(f"{self._name} takes more than {limit}: the next run reads what is missing")
        if isinstance(page, Page):
            self._bytes += len(page.text.encode("utf-8", "replace"))
        if self._bytes > self._limits.total_mb << 20:
            raise FetchRefusedError(f"{self._name} has more than {self._limits.total_mb:,} MB (MOFA_MAX_TOTAL_MB)")

    def _fetch(self, url: str, known: StoredPage | None, fetcher: PageFetcher) -> Page | NotModified:
        """Validators are between one server and us: a mirror sends whole pages, and its validators are not kept."""
        if fetcher.mirrored:
            page = fetcher.fetch(url)
            return replace(page, etag=None, last_modified=None)
        if known is None or self._needs_full_request(known):
            return fetcher.fetch(url)
        return fetcher.fetch(url, Validators(known.etag, known.last_modified))

    def _needs_full_request(self, known: StoredPage) -> bool:
        """Whether a week has passed since the page was last sent whole; weeks are counted from the first time."""
        weeks = [(time - known.fetched_at) // MAX_304_AGE for time in (known.verified_at, self._now())]
        return weeks[0] != weeks[1]

    def _read(self, page: Page | NotModified, known: StoredPage | None) -> ReadPage:
        """An unchanged page is not parsed again unless the parser has another version."""
        if known and (isinstance(page, NotModified) or page.sha256 == known.sha256):
            self.unchanged.add(known.id)
            validators = Validators(page.etag or known.etag, page.last_modified or known.last_modified)
            if validators != Validators(known.etag, known.last_modified):  # else it would be sent whole each time
                self._archive.renew_validators(known.id, validators)
            return ReadPage(known.id, self._read_again(known))
        if isinstance(page, NotModified):
            raise FetchFailedError(f"{page.url}: the server says that it is unchanged, but it was never read")
        reading = self._parse(page)
        return ReadPage(self._archive.keep(page, reading), reading, page.assumed)

    def _read_again(self, known: StoredPage) -> Reading:
        if known.version == self.source.version:
            return known.reading
        page = self._archive.load(known.id)
        reading = self.read_page(page).reading(page)
        self._archive.replace_reading(known.id, reading)
        return reading

    def _parse(self, page: Page) -> Reading:
        """What is on the page. Raises FetchFailedError if another request may give a better one, else PageError."""
        self.unparsed_page = page
        attempt = self.read_page(page)
        if problem := attempt.refusal:
            because = f" ({attempt.problem})" if attempt.problem not in ("", problem) else ""
            raise FetchFailedError(f"{page.url}: {problem}: try again later{because}")
        try:
            reading = attempt.reading(page)
        except PageError as error:
            if page.url in self._requested_again:
                raise
            self._requested_again.add(page.url)
            raise FetchFailedError(f"{error}: it is requested once more") from error
        if len(reading.links) > self._limits.links:
            raise FetchRefusedError(f"{page.url} has more than {self._limits.links:,} links (MOFA_MAX_LINKS)")
        self.unparsed_page = None
        if page.is_cut_short and self._cut_short.get(page.url) != reading:
            self._cut_short[page.url] = reading
            raise FetchFailedError(f"{page.url}: the page ends before its end (</html>): it is requested once more")
        return reading


def fetched(
    urls: Sequence[str], fetch: Callable[[str], Page | NotModified], pool: ThreadPoolExecutor
) -> Iterator[Page | NotModified]:
    """The pages in order, a few at once. After a failure no further one is requested; then the failure is raised."""
    stop = threading.Event()

    def fetch_unless_stopped(url: str) -> Page | NotModified | None:
        if stop.is_set():
            return None
        try:
            return fetch(url)
        except BaseException:
            stop.set()
            raise

    failure: FetchError | None = None
    try:
        for start in range(0, len(urls), _AT_ONCE):
            for future in [pool.submit(fetch_unless_stopped, url) for url in urls[start : start + _AT_ONCE]]:
                try:
                    page = future.result()
                except FetchError as error:
                    failure = failure or error
                    continue
                if page is not None:
                    yield page
            if failure:
                raise failure
    finally:
        stop.set()  # the caller takes no more pages
