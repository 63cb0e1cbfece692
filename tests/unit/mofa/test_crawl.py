"""How the pages of a source are read: links, retries, what is believed of an answer."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Event

import pytest
from support import ministry as testland
from support.ministry import HOST, a_ministry, missions

from tasks.mofa.crawl import MAX_304_AGE, Crawl, StoredPage, fetched
from tasks.mofa.embassy import Embassy, Unreadable
from tasks.mofa.fetch_errors import FetchFailedError
from tasks.mofa.http import NotModified, Validators
from tasks.mofa.page import Page, PageError, Route, Source
from tasks.mofa.reading import Reading, read_page
from tasks.mofa.sources import source as shipped

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
PAGES = {f"{HOST}{path}": body.decode() for path, body in testland.testland_pages(missions()).items()}
REGION = f"{HOST}/region/1"


class Ministry:
    """Answers with texts, each address with its own in turn; the last one is repeated."""

    mirrored = False

    def __init__(self, **answers: Sequence[str]) -> None:
        self.answers = {url: [text] for url, text in PAGES.items()} | {
            HOST + path: [*of] for path, of in answers.items()
        }
        self.asked: list[tuple[str, Validators | None]] = []

    def fetch(self, url: str, earlier: Validators | None = None) -> Page | NotModified:
        self.asked.append((url, earlier))
        texts = self.answers[url]
        text = texts.pop(0) if len(texts) > 1 else texts[0]
        tag = sha256(text.encode()).hexdigest()
        if earlier and earlier.etag == tag:
            return NotModified(url, tag, None, NOW)
        return Page(url, text, sha256=tag, etag=tag, fetched_at=NOW)

    def times(self, url: str) -> int:
        return sum(asked == url for asked, _ in self.asked)


class Archive:
    """Pages in memory."""

    def __init__(self, pages: dict[str, StoredPage] | None = None) -> None:
        self.pages = pages or {}
        self.numbers = itertools.count(1)

    def newest(self) -> dict[str, StoredPage]:
        return self.pages

    def keep(self, page: Page, reading: Reading) -> int:
        number = next(self.numbers)
        self.pages = self.pages | {
            page.url: StoredPage(number, page.sha256, page.etag, None, a_ministry().version, reading, NOW, NOW)
        }
        return number

    def load(self, snapshot: int) -> Page:
        raise AssertionError(snapshot)

    def replace_reading(self, snapshot: int, reading: Reading) -> None:
        raise AssertionError(snapshot, reading)

    def renew_validators(self, snapshot: int, validators: Validators) -> None:
        raise AssertionError(snapshot, validators)

    def mark_verified(self, snapshots: Sequence[int]) -> None:
        pass


def crawl(archive: Archive | None = None, source: Source | None = None, now: datetime = NOW) -> Crawl:
    return Crawl(source or a_ministry(), archive or Archive(), pause=0, sleep=lambda _seconds: None, now=lambda: now)


def entries(made: Crawl) -> list[Embassy | Unreadable]:
    return [entry for page in made.read.values() for entry in page.reading.entries]


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


# --- a page that cannot be read


@pytest.mark.parametrize(
    "bad",
    [
        PAGES[REGION][: len(PAGES[REGION]) // 2],
        "<!doctype html><html><title>Bakım çalışması</title><body>…</body></html>",
        "<!doctype html><html><title>Nobody knows this notice</title><body>Hello</body></html>",
        "{}",
    ],
    ids=["half a page", "a notice in Turkish", "an unknown notice", "another format"],
)
def test_a_page_that_cannot_be_read_once_is_requested_again(bad):
    ministry, made = Ministry(**{"/region/1": [bad, PAGES[REGION]]}), crawl()
    made.attempt(ministry)
    assert (len(entries(made)), ministry.times(REGION), made.retried) == (40, 2, 1)
    assert made.unparsed_page is None


def test_a_page_that_cannot_be_read_twice_fails_the_crawl_and_is_kept_for_a_person():
    bad = "<!doctype html><html><title>New design</title><body>Hello</body></html>"
    ministry, made = Ministry(**{"/region/1": [bad]}), crawl()
    with pytest.raises(PageError, match="table#missions"):
        made.attempt(ministry)
    assert ministry.times(REGION) == 2
    assert made.unparsed_page is not None
    assert (made.unparsed_page.url, made.unparsed_page.text) == (REGION, bad)


def test_an_error_page_may_be_tried_again_as_often_as_the_caller_wants():
    ministry, made = Ministry(**{"/list": ["<html><title>Just a moment...</title></html>"]}), crawl()
    for _ in range(4):
        with pytest.raises(FetchFailedError, match="a challenge for robots"):
            made.attempt(ministry)


@pytest.mark.parametrize(
    "heading",
    [
        "Scheduled maintenance on Sunday",
        "Log in",
        "Forbidden City Liaison",
        "404 Street: page not found",
    ],
)
def test_a_banner_above_the_whole_list_does_not_hide_it(heading):
    text = PAGES[REGION].replace("<title>", f"<title>{heading} | ").replace("<table", f"<h1>{heading}</h1><table")
    ministry, made = Ministry(**{"/region/1": [text]}), crawl()
    made.attempt(ministry)
    assert (len(entries(made)), made.retried) == (40, 0)


def test_a_page_without_an_end_is_accepted_when_it_is_the_same_twice():
    text = PAGES[REGION].replace("</html>", "").replace("</body>", "")
    ministry, made = Ministry(**{"/region/1": [text]}), crawl()
    made.attempt(ministry)
    assert (len(entries(made)), ministry.times(REGION)) == (40, 2)


def test_a_page_cut_between_two_missions_is_requested_again():
    cut = PAGES[REGION][: PAGES[REGION].rindex("<tr>")]
    ministry, made = Ministry(**{"/region/1": [cut, PAGES[REGION]]}), crawl()
    made.attempt(ministry)
    assert len(entries(made)) == 40


def test_an_error_page_of_which_the_parser_makes_nothing_is_no_empty_list():
    text = "<html><title>Service unavailable</title></html>"
    lenient = Source(
        name="lenient",
        title="",
        home=HOST,
        hosts=frozenset({"www.mofa.example"}),
        parser_version=1,
        routes=(Route(start=(f"{HOST}/list",), verified=True),),
        follow=lambda _page: [],
        parse=lambda _page: [],
    )
    with pytest.raises(FetchFailedError, match="an error page"):
        crawl(source=lenient).attempt(Ministry(**{"/list": [text]}))


# --- unchanged pages


def stored(read: datetime, verified: datetime) -> Archive:
    archive = Archive()
    crawl(archive).attempt(Ministry())
    archive.pages = {url: replace(page, fetched_at=read, verified_at=verified) for url, page in archive.pages.items()}
    return archive


@pytest.mark.parametrize(
    ("read", "verified", "conditional"),
    [
        (timedelta(days=1), timedelta(days=1), True),
        (timedelta(days=6), timedelta(days=1), True),
        (timedelta(days=7), timedelta(days=1), False),
        (timedelta(days=8), timedelta(days=2), False),
        (timedelta(days=8), timedelta(hours=20), True),  # it was sent whole on the day before
        (timedelta(days=30), timedelta(days=20), False),
    ],
)
def test_a_304_is_accepted_for_a_week_and_then_the_whole_page_is_requested_once(read, verified, conditional):
    archive = stored(NOW - read, NOW - verified)
    ministry = Ministry()
    crawl(archive).attempt(ministry)
    assert {earlier is not None for _, earlier in ministry.asked} == {conditional}


def test_a_server_that_answers_304_endlessly_is_found_out_within_a_week():
    class Stuck(Ministry):
        def fetch(self, url: str, earlier: Validators | None = None) -> Page | NotModified:
            if earlier:
                self.asked.append((url, earlier))
                return NotModified(url, earlier.etag, None, NOW)
            return super().fetch(url)

    archive, day = stored(NOW, NOW), 0
    ministry = Stuck(**{"/region/1": [PAGES[REGION].replace("+33 1 000001", "+33 9")]})
    while "+33 9" not in str(archive.pages[REGION].reading):
        day += 1
        assert day < 10
        now = NOW + timedelta(days=day)
        crawl(archive, now=now).attempt(ministry)
        archive.pages = {url: replace(page, verified_at=now) for url, page in archive.pages.items()}
    assert timedelta(days=day) == MAX_304_AGE


# --- what a parser returns


def returning(*found: Embassy | Unreadable) -> Callable[[Page], list[Embassy | Unreadable]]:
    return lambda _page: list(found)


def mission(**fields: str) -> Embassy:
    return Embassy(key="a", kind="embassy", **({"name": "Embassy"} | fields))


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "S\ufffdo Tom\ufffd"), ("address", "12 rue de l\ufffdglise"), ("head_of_mission", "José SÃ£o \ufffd")],
)
def test_a_record_with_a_lost_character_is_unreadable(field, value):
    source = a_ministry(parse=returning(mission(**{field: value})))
    [entry] = read_page(source, Page(REGION, "")).entries
    assert isinstance(entry, Unreadable)
    assert (entry.key, field in entry.reason) == ("a", True)


@pytest.mark.parametrize(
    ("garbled", "meant"),
    [
        ("BogotÃ¡", "Bogotá"),
        ("Côte dâ€™Ivoire".replace("ô", "Ã´"), "Côte d’Ivoire"),
        ("ÐŸÐ¾ÑÐ¾Ð»ÑŒÑÑ‚Ð²Ð¾", "ÐŸÐ¾ÑÐ¾Ð»ÑŒÑÑ‚Ð²Ð¾"),
    ],
)
def test_a_text_that_was_encoded_twice_is_read_as_it_was_meant_or_not_at_all(garbled, meant):
    source = a_ministry(parse=returning(mission(address=garbled)))
    [entry] = read_page(source, Page(REGION, "")).entries
    if garbled == meant:  # some of its characters were lost on the way
        assert isinstance(entry, Unreadable)
    else:
        assert isinstance(entry, Embassy)
        assert entry.address == meant
        assert entry.extra["encoded_twice"] == ("address",)


@pytest.mark.parametrize("text", ["“CAFÉ” – JOÃO", "N° 5, Ä", "PÂTÉ’S", "ÇÃO", "Ðorđe", "AMANHÔ"])
def test_real_words_are_not_taken_for_garbled_ones(text):
    source = a_ministry(parse=returning(mission(address=text)))
    [entry] = read_page(source, Page(REGION, "")).entries
    assert isinstance(entry, Embassy)
    assert entry.address == text


@pytest.mark.parametrize("nested", ["[" * 200_000, '{"a":' * 200_000, "[" * 900 + "]" * 900])
@pytest.mark.parametrize("name", ["govuk", "korea"])
def test_json_that_is_nested_without_end_is_no_page(name: str, nested: str) -> None:
    source = shipped(name)
    with pytest.raises(PageError):
        read_page(source, Page(source.routes[0].start[0], nested, content_type="application/json"))


@pytest.mark.parametrize("link", ["/a\0b", "/a\ud800b", "/a\nb", "/a\x1bb"])
def test_a_link_with_characters_that_no_address_can_have_is_said(link: str) -> None:
    source = replace(a_ministry(), follow=lambda _page: [HOST + link], parse=lambda _page: [])
    with pytest.raises(PageError) as refused:
        read_page(source, Page(HOST, "<html></html>"))
    assert str(refused.value).isprintable()


def test_what_a_page_says_of_a_mission_can_be_stored() -> None:
    entry = Unreadable("a\0b\ud800", "because\nof\x1b", "k\0")
    assert (entry.row, entry.reason, entry.key) == ("ab?", "because of", "k")
    with pytest.raises(ValueError, match="key"):
        Embassy(key="a\0", kind="embassy", name="A")
