"""What a crawl and the parsing of a page may cost: each limit is a setting, which the sentence names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.source_texts import HOME, TABLE, table

from tasks.mofa.crawl import Crawl
from tasks.mofa.fetch_errors import FetchRefusedError
from tasks.mofa.http import Validators
from tasks.mofa.limits import Limits
from tasks.mofa.page import Page, Route, Source
from tasks.mofa.page_process import PageProcess
from tasks.mofa.reading import Attempt, Reading, try_to_read
from tasks.mofa.sources import of_file

ROWS = [(f"A{n}", f"{n} Road", str(100 + n), f"a{n}@b.example") for n in range(12)]


class _Chain:
    """A ministry each of whose pages leads to the next one."""

    mirrored = False

    def __init__(self, links: int = 1) -> None:
        self.asked, self.links, self.seconds = 0, links, 0.0

    def fetch(self, url: str, _earlier: Validators | None = None) -> Page:
        self.asked += 1
        self.seconds += 10
        return Page(url, "<html>" + "x" * (1 << 19) + "</html>")

    def read(self, _page: Page) -> Attempt:
        return Attempt(Reading([f"{HOME}/{self.asked}-{link}" for link in range(self.links)], []))


class _Archive:
    def newest(self) -> dict[str, Any]:
        return {}

    def keep(self, _page: Page, _reading: Reading) -> int:
        return 1


def _crawled(ministry: _Chain, **limits: int) -> str:
    """Why the crawl ended."""
    source = Source("endless", "", HOME, frozenset(), 1, (Route((HOME,)),), lambda _page: [], lambda _page: [])
    archive: Any = _Archive()
    crawl = Crawl(source, archive, pause=0, limits=Limits(**limits), read=ministry.read, clock=lambda: ministry.seconds)
    with pytest.raises(FetchRefusedError) as refused:
        crawl.attempt(ministry)
    return str(refused.value)


def test_pages_bytes_links_and_time_of_a_crawl_are_limited() -> None:
    for limits, asked, setting in (
        ({"pages": 3}, 3, "MOFA_MAX_PAGES"),
        ({"total_mb": 2}, 4, "MOFA_MAX_TOTAL_MB"),
        ({"seconds": 45}, 5, "MOFA_CRAWL_SECONDS"),
    ):
        ministry = _Chain()
        assert f"({setting})" in _crawled(ministry, **limits)
        assert ministry.asked == asked
    ministry = _Chain(links=11)
    assert "(MOFA_MAX_LINKS)" in _crawled(ministry, links=10)
    assert ministry.asked == 1


@pytest.fixture
def watched(tmp_path: Path) -> Callable[..., Source]:
    def make(text: str = TABLE) -> Source:
        (tmp_path / "example.toml").write_text(text)
        return of_file(tmp_path / "example.toml")

    return make


def test_a_page_is_read_the_same_in_a_process_of_its_own(watched: Callable[..., Source]) -> None:
    source = watched()
    pages = [table(*ROWS), Page(HOME, "<html><title>Maintenance</title><h1>x</h1></html>"), table(*ROWS[:3])]
    with PageProcess(source, memory_mb=1024, seconds=30) as process:
        assert [process.read(page) for page in pages] == [try_to_read(source, page) for page in pages]
    assert process._process is None


@pytest.mark.slow
def test_a_page_that_keeps_its_parser_busy_is_refused(watched: Callable[..., Source]) -> None:
    source = watched(TABLE.replace('key = ["name"]', 'key = ["name"]\nskip = ["(x+x+)+y"]\nlabels = "text"'))
    busy = Page(HOME, f"<html><table class=m><tr><td>{'x' * 60}</td></tr></table></html>")
    with PageProcess(source, memory_mb=1024, seconds=1) as process:
        with pytest.raises(FetchRefusedError, match=r"more than 1 seconds \(MOFA_PARSE_SECONDS\)"):
            process.read(busy)
        assert process.read(table(*ROWS)).found  # the next page has a process again


@pytest.mark.slow
def test_a_page_of_nothing_but_tags_is_refused_and_takes_no_more_memory_than_it_may(
    watched: Callable[..., Source],
) -> None:
    with PageProcess(watched(), memory_mb=110, seconds=60) as process:
        with pytest.raises(FetchRefusedError, match=r"more than 110 MB \(MOFA_PARSE_MEMORY_MB\)"):
            process.read(Page(HOME, f"<html>{'<br>' * (1 << 18)}</html>"))
        assert process.read(table(*ROWS)).found
