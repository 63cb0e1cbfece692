"""How the pages of a source are read: links, retries, what is believed of an answer."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from tasks.mofa.crawl import fetched
from tasks.mofa.page import Page


def test_no_further_page_is_requested_once_the_caller_takes_no_more():
    asked: list[str] = []
    closed = Event()

    def fetch(url: str) -> Page:
        asked.append(url)
        assert url == "0" or closed.wait(30)
        return Page(url, "")

    with ThreadPoolExecutor(1) as pool:
        pages = fetched([str(n) for n in range(40)], fetch, pool)
        next(pages)
        pages.close()
        closed.set()
    assert len(asked) <= 2, "the one that was taken, and the one under way"
