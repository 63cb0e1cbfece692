"""The monitor from the flow to the tables: real histories and a hostile ministry, over HTTP on loopback.

Every expected count is made here from the raw files, never taken from the monitor.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import yaml
from prefect import task_engine
from psycopg.rows import dict_row
from support import ministry as hostile
from support.ministry import HOST, UK_LIST, US_LIST, Ministry, Rows, a_ministry, missions, uk_rows
from support.project import SHARED

from flows.foreground import HELD
from flows.mofa_monitoring import mofa_monitoring
from tasks.mofa import steps
from tasks.mofa.fetching import Fetcher, FetchingSettings, fetching_settings
from tasks.mofa.page import PageError
from tasks.mofa.settings import monitor_settings
from tasks.mofa.sources import source as shipped
from tasks.notify.channels import notify_settings

DATA = SHARED / "missions"
GOVUK = DATA / "govuk-fco-worldwide"
needs_data = pytest.mark.skipif(not GOVUK.exists(), reason="the shared data is not here")
DAY = timedelta(days=1)
DELAYS = steps.crawl_pages.retry_delay_seconds


class Watch:
    """Runs of the flow against the ministry, and what they left in the database."""

    def __init__(self, ministry: Ministry, database: str, patch: pytest.MonkeyPatch) -> None:
        self.ministry, self.database, self.patch = ministry, database, patch
        self.base_url: str | None = ministry.url
        self.sources = {each.name: each for each in (a_ministry(), UK_LIST, US_LIST)}
        patch.setattr(steps, "source", lambda name: self.sources.get(name) or shipped(name))

    def __call__(self, source: str = "testland", accept: int | None = None) -> Any:
        state = mofa_monitoring(source, self.base_url, accept, return_state=True)
        assert len(state.message.splitlines()) == 1, "one clear sentence"
        return state

    def report(self, source: str = "testland", accept: int | None = None) -> dict[str, Any]:
        """The report of a run that ended in order."""
        state = self(source, accept)
        assert state.is_completed(), state.message
        report: dict[str, Any] = state.result()
        return report

    def applied(self, source: str = "testland", accept: int | None = None) -> dict[str, int]:
        """How many changes of each kind a run applied."""
        report = self.report(source, accept)
        assert report["held"] is None, report["why"]
        counts: dict[str, int] = report["counts"]
        return counts

    def slot(self, at: datetime) -> None:
        """From now on runs are those of the schedule, of this slot."""
        self.patch.setattr(steps, "moment", lambda: at)
        self.patch.setattr(steps, "slot", lambda: at)

    def without_mirror(self) -> None:
        """From now on what listens on loopback is the ministry itself, and no mirror of it."""

        def fetcher(settings: FetchingSettings, hosts: Collection[str], base_url: None) -> Fetcher:
            assert base_url is None
            made = Fetcher(settings, hosts, self.ministry.url)
            made.mirrored = False
            return made

        self.base_url = None
        self.patch.setattr(steps, "Fetcher", fetcher)

    def by_hand(self, at: datetime) -> None:
        self.patch.setattr(steps, "moment", lambda: at)
        self.patch.setattr(steps, "slot", lambda: None)

    def set(self, **environment: str) -> None:
        for name, value in environment.items():
            self.patch.setenv(name, value)
        forget()

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.database, row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchall()

    def tables(self) -> list[list[dict[str, Any]]]:
        """All that people rely on: missions and changes."""
        return [
            self.rows("SELECT * FROM embassies ORDER BY id"),
            self.rows("SELECT * FROM embassy_changes ORDER BY id"),
        ]

    def missions(self, source: str = "testland") -> dict[str, dict[str, Any]]:
        return {row["key"]: row for row in self.rows("SELECT * FROM embassies WHERE source = %s", source)}

    def shown(self) -> Rows:
        """The open missions of testland, as the page has them."""
        opened = {key: row for key, row in self.missions().items() if row["status"] == "open"}
        return {key: {name: row[name] or "" for name in hostile.COLUMNS[1:]} for key, row in opened.items()}

    def changes(self, source: str) -> list[dict[str, Any]]:
        return self.rows(
            "SELECT c.*, e.key, e.name FROM embassy_changes c JOIN embassies e ON e.id = c.embassy_id "
            "WHERE e.source = %s ORDER BY c.id",
            source,
        )

    def alerts(self) -> list[str]:
        """What the webhook heard since the last look; the outbox holds nothing else."""
        heard, self.ministry.told = self.ministry.titles(), []
        assert self.rows("SELECT * FROM notifications WHERE status <> 'sent'") == []
        return heard


def forget() -> None:
    for settings in (monitor_settings, fetching_settings, notify_settings):
        settings.cache_clear()


@pytest.fixture
def ministry() -> Iterator[Ministry]:
    served, stop = hostile.serve()
    yield served
    stop()


@pytest.fixture
def watch(database: str, prefect_server: None, ministry: Ministry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setenv("MOFA_DELAY", "0")
    monkeypatch.setenv("NOTIFY_URLS", f"json://127.0.0.1:{ministry.url.rpartition(':')[2]}/hook")
    forget()
    monkeypatch.setattr(steps.crawl_pages, "retry_delay_seconds", [0] * 4)  # as often as ever, but at once
    monkeypatch.setattr(steps, "BREATH", 0)
    yield Watch(ministry, database, monkeypatch)
    forget()


def edited(rows: Rows, key: str, **fields: str) -> Rows:
    return {**rows, key: {**rows[key], **fields}}


def without(rows: Rows, *keys: str) -> Rows:
    return {key: row for key, row in rows.items() if key not in keys}


@pytest.fixture(autouse=True)
def every_change_is_proved(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did: each change points to the page that proves it."""
    watching: Watch | None = request.getfixturevalue("watch") if "watch" in request.fixturenames else None
    yield
    if watching:
        for change in watching.rows(
            "SELECT c.kind, c.field, c.new, e.key, e.source, p.records FROM embassy_changes c JOIN embassies e "
            "ON e.id = c.embassy_id LEFT JOIN page_snapshots p ON p.id = c.snapshot_id"
        ):
            assert change["records"] is not None, f"{change} points to no page"
            on_page = {each["key"]: each for each in change["records"]}
            if change["kind"] in {"missing", "closed"}:
                assert change["key"] not in on_page
            elif change["field"] and change["field"] != "key" and change["source"] != "testland":
                assert on_page  # it may have been renamed since


# --- the first set, unchanged pages, one change of each kind


def test_the_first_set_is_a_baseline_and_told_as_one_message(watch):
    watch.ministry.show(missions())
    state = watch()
    assert state.message == "testland: 40 missions watched from now on"
    assert watch.shown() == missions()
    assert watch.changes("testland") == []
    assert watch.alerts() == ["testland: 40 missions watched from now on"]


@pytest.mark.parametrize("etags", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_unchanged_run_parses_and_keeps_nothing_and_moves_only_verified(watch, etags):
    parsed: list[str] = []
    real = hostile.a_ministry().parse
    watch.sources["testland"] = a_ministry(parse=lambda page: parsed.append(page.url) or real(page))
    watch.ministry.etags = etags
    watch.without_mirror()
    watch.ministry.show(missions())
    watch()
    before, snapshots = watch.missions(), watch.rows("SELECT id, body, fetched_at FROM page_snapshots ORDER BY id")
    assert len(parsed) == len(snapshots) == 5
    parsed.clear()
    watch.alerts()
    report = watch.report()
    assert (report["pages"], report["unchanged"], report["changes"]) == (5, 5, 0)
    assert watch.ministry.unchanged == (5 if etags else 0)
    assert parsed == []
    assert watch.rows("SELECT id, body, fetched_at FROM page_snapshots ORDER BY id") == snapshots
    after = watch.missions()
    for key, row in before.items():
        assert after[key]["last_verified"] > row["last_verified"]
        assert {**after[key], "last_verified": 0} == {**row, "last_verified": 0}
    assert watch.alerts() == []


def test_a_change_of_each_kind_is_stored_with_old_and_new_and_told_once(watch):
    rows = missions()
    watch.ministry.show(rows)
    watch()
    watch.alerts()
    later = without(edited(rows, "m1", phone="+33 9 99"), "m2", "m3", "m4")
    later["m50"] = {**rows["m3"], "name": "Mission Three"}  # another key, the same address, phone, e-mail
    later["m51"] = {**rows["m4"], "address": "1 New Street"}
    later["m52"] = missions(60)["m52"]
    watch.ministry.show(later)
    assert watch.applied() == {"missing": 1, "added": 1, "moved": 1, "renamed": 1, "changed": 1}
    assert {
        (each["kind"], each["key"], each["field"], each["old"], each["new"]) for each in watch.changes("testland")
    } == {
        ("changed", "m1", "phone", "+33 1 000001", "+33 9 99"),
        ("missing", "m2", None, None, None),
        ("renamed", "m50", "name", "Embassy 3 大使館", "Mission Three"),
        ("moved", "m51", "address", rows["m4"]["address"], "1 New Street"),
        ("added", "m52", None, None, None),
    }
    assert watch.shown() == later
    assert watch.alerts() == ["testland: 1 missing, 1 added, 1 moved, 1 renamed, 1 changed"]
    assert watch.applied() == {}
    assert watch.alerts() == []


@pytest.mark.slow
def test_one_page_that_changed_is_the_only_one_read_again(watch):
    watch.ministry.show(missions())
    watch()
    watch.ministry.show(edited(missions(), "m1", phone="+33 9 99"))
    report = watch.report()
    assert (report["pages"], report["unchanged"], report["counts"]) == (5, 4, {"changed": 1})
    (change,) = watch.changes("testland")
    (proof,) = watch.rows("SELECT url, body FROM page_snapshots WHERE id = %s", change["snapshot_id"])
    assert proof["url"] == f"{HOST}/region/1"
    assert "+33 9 99" in proof["body"]


# --- missing, closed, reopened


@pytest.mark.slow
def test_a_mission_is_closed_only_by_a_later_slot_and_can_come_back(watch):
    start = datetime(2026, 1, 5, 3, tzinfo=UTC)
    watch.slot(start)
    watch.ministry.show(missions())
    watch()
    watch.ministry.show(without(missions(), "m7"))
    watch.slot(start + DAY)
    assert watch.applied() == {"missing": 1}
    assert watch.missions()["m7"]["missing_since"] == start + DAY
    watch.by_hand(start + 2 * DAY)
    assert watch.applied() == {}, "a manual run closes nothing, however late"
    watch.slot(start + DAY + timedelta(hours=19, minutes=59))
    assert watch.applied() == {}, "too early"
    assert watch.missions()["m7"]["status"] == "missing"
    watch.slot(start + DAY + timedelta(hours=20))
    assert watch.applied() == {"closed": 1}
    watch.slot(start + 3 * DAY)
    assert watch.applied() == {}, "closed is told once"
    assert watch.missions()["m7"]["status"] == "closed"
    watch.ministry.show(edited(missions(), "m7", phone="+33 7"))
    watch.slot(start + 4 * DAY)
    assert watch.applied() == {"reopened": 1, "changed": 1}
    assert watch.shown() == edited(missions(), "m7", phone="+33 7")
    assert [each["kind"] for each in watch.changes("testland")] == ["missing", "closed", "reopened", "changed"]
    (proof,) = watch.rows("SELECT url FROM page_snapshots WHERE id = %s", watch.changes("testland")[0]["snapshot_id"])
    assert proof["url"] == f"{HOST}/region/3", "the page where it stood, as it is without it"
    assert watch.alerts() == [
        "testland: 40 missions watched from now on",
        "testland: 1 missing",
        "testland: 1 closed",
        "testland: 1 reopened, 1 changed",
    ]


@pytest.mark.slow
def test_a_slot_is_done_once(watch):
    watch.slot(datetime(2026, 1, 5, 3, tzinfo=UTC))
    watch.ministry.show(missions())
    watch()
    before, asked = watch.tables(), len(watch.ministry.asked)
    assert watch().message == "done before: testland: 40 missions watched from now on"
    assert (watch.tables(), len(watch.ministry.asked)) == (before, asked)


def test_a_slot_that_was_held_is_found_held(watch):
    watch.slot(datetime(2026, 1, 5, 3, tzinfo=UTC))
    watch.sources["testland"] = a_ministry(proven=False)
    watch.ministry.show(missions())
    assert [watch().name, watch().name] == [HELD, HELD]


def test_what_stands_in_for_a_slot_of_yesterday_sees_the_page_today(monkeypatch):
    """Else a mission missed at 02:15 for the slot of the day before would be closed at 03:00."""
    yesterday = datetime.now(UTC) - DAY
    monkeypatch.setattr(steps, "slot", lambda: yesterday)
    monkeypatch.setattr(steps, "by_schedule", lambda: True)
    assert steps.moment() == yesterday
    monkeypatch.setattr(steps, "by_schedule", lambda: False)
    assert datetime.now(UTC) - steps.moment() < timedelta(minutes=1)


@pytest.mark.slow
def test_a_mirror_and_the_ministry_are_not_asked_with_what_the_other_said_of_a_page(watch):
    watch.ministry.etags = True
    watch.ministry.show(missions())
    watch()
    assert watch.report()["unchanged"] == 5, "not parsed again"
    assert watch.rows("SELECT etag FROM page_snapshots WHERE etag IS NOT NULL") == []
    watch.without_mirror()
    watch.report()
    assert watch.ministry.unchanged == 0
    said = watch.rows("SELECT etag FROM page_snapshots WHERE etag IS NOT NULL ORDER BY id")
    watch.base_url = watch.ministry.url
    watch.patch.setattr(steps, "Fetcher", Fetcher)
    watch.ministry.saved += 1
    watch.report()
    assert watch.ministry.unchanged == 0
    assert watch.rows("SELECT etag FROM page_snapshots ORDER BY id") == said, "the ministry's"


def test_a_page_that_changes_its_validators_alone_is_asked_for_with_the_new_ones(watch):
    watch.ministry.etags = True
    watch.without_mirror()
    watch.ministry.show(missions())
    watch()
    watch.ministry.saved += 1
    assert watch.report()["unchanged"] == 5
    assert watch.ministry.unchanged == 0, "each was sent whole"
    assert watch.report()["unchanged"] == 5
    assert watch.ministry.unchanged == 5


def test_nothing_more_is_asked_for_once_a_page_cannot_be_taken():
    asked: list[str] = []
    closed = Event()

    class Fetching:
        mirrored = False

        def fetch(self, url: str, _validators: object) -> str:
            asked.append(url)
            assert url == "0" or closed.wait(30)
            return url

    with ThreadPoolExecutor(1) as pool:
        pages = iter(steps._fetched([str(n) for n in range(40)], {}, Fetching(), pool))
        next(pages)
        pages.close()
        closed.set()
    assert len(asked) <= 2, "the one that was taken, and the one under way"


# --- held sets


def test_an_unproven_source_holds_its_first_set_and_accept_applies_exactly_it(watch):
    watch.sources["testland"] = a_ministry(proven=False)
    watch.ministry.show(missions())
    state = watch()
    assert state.name == HELD
    number = state.result()["held"]
    assert watch.missions() == {}
    assert watch.alerts() == ["testland: held for review, nothing was changed"]
    watch.ministry.show(missions(44))  # the ministry goes on, the accepted set does not
    asked = len(watch.ministry.asked)
    assert watch(accept=number).message == "testland: 40 missions watched from now on"
    assert len(watch.ministry.asked) == asked
    assert watch.shown() == missions()
    assert watch.alerts() == ["testland: 40 missions watched from now on"]
    assert watch.applied() == {"added": 4}, "accepted once, it is proven"


@pytest.mark.slow
def test_a_held_set_is_stale_once_another_was_applied_and_that_is_no_failure_of_the_ministry(watch):
    watch.sources["testland"] = a_ministry(proven=False)
    watch.ministry.show(missions())
    first, second = watch.report()["held"], watch.report()["held"]
    assert watch.alerts() == ["testland: held for review, nothing was changed"], "one episode"
    watch(accept=first)
    before = watch.tables()
    watch.alerts()
    for number, says in (
        (first, "was applied on"),
        (second, "is stale"),
        (999, "there is no held set 999 of testland"),
    ):
        state = watch(accept=number)
        assert state.is_failed()
        assert says in state.message
    assert watch.tables() == before
    assert watch.alerts() == []
    watch.ministry.answers["/list"] = hostile.status(403)
    watch()
    assert watch.alerts() == ["mofa_monitoring testland fails"], "the mistakes above have not used up the alert"


def half_gone(rows: Rows) -> Rows:
    return without(rows, *list(rows)[: len(rows) // 2])


BAD_SETS = {
    "half the rows gone": (half_gone, "Only 20 open missions are found again, 50.0 % of 40"),
    "all gone": (lambda _: {}, "The pages hold no mission at all, 40 are open."),
    "a column emptied": (
        lambda rows: {key: {**row, "email": ""} for key, row in rows.items()},
        "The field email is filled on 0.0 % of the missions (0 of 40), it was on 100.0 % (40 of 40).",
    ),
    "every phone changed": (
        lambda rows: {key: {**row, "phone": f"+44 {key}"} for key, row in rows.items()},
        "The field phone changed on 40 of 40 missions that fill it (100.0 %); at most 50% are believed.",
    ),
    "columns shifted": (
        lambda rows: {key: {**row, "phone": row["email"], "email": row["phone"]} for key, row in rows.items()},
        "The field phone changed on 40 of 40 missions",
    ),
    "other keys for all": (
        lambda rows: {f"m{int(key[1:]) + 100}": row for key, row in rows.items()},
        "Only 0 open missions are found again, 0.0 % of 40",
    ),
}


@pytest.mark.parametrize(
    "bad", [each if each == "all gone" else pytest.param(each, marks=pytest.mark.slow) for each in BAD_SETS]
)
def test_a_bad_day_at_the_ministry_changes_nothing_and_is_told_once(watch, bad):
    makes, says = BAD_SETS[bad]
    watch.ministry.show(missions())
    watch()
    before = watch.tables()
    watch.alerts()
    watch.ministry.show(makes(missions()))
    for _ in range(2):
        state = watch()
        assert (state.name, state.is_completed()) == (HELD, True)
        assert state.message.startswith("testland: held for review as candidate ")
        assert says in state.message
        assert watch.tables() == before
    assert watch.alerts() == ["testland: held for review, nothing was changed"]
    watch.ministry.show(missions())
    assert watch.applied() == {}
    assert watch.shown() == missions()
    assert watch.alerts() == []


@pytest.mark.slow
def test_a_held_set_that_a_person_accepted_is_believed_from_then_on(watch):
    watch.ministry.show(missions())
    watch()
    watch.ministry.show(half_gone(missions()))
    number = watch.report()["held"]
    assert watch.applied(accept=number) == {"missing": 20}
    assert watch.shown() == half_gone(missions())
    watch.alerts()
    assert watch.applied() == {}, "not held again by what was there before it was accepted"
    assert watch.alerts() == []


@pytest.mark.slow
def test_even_an_empty_set_can_be_accepted(watch):
    watch.ministry.show(missions())
    watch()
    watch.ministry.show({})
    assert watch.applied(accept=watch.report()["held"]) == {"missing": 40}


@pytest.mark.slow
def test_a_slow_drain_is_held_before_a_fifth_is_gone(watch):
    start, rows = datetime.now(UTC).replace(microsecond=0), missions(100)
    watch.slot(start)
    watch.ministry.show(rows)
    watch()
    held, day = None, 0
    while held is None and day < 10:
        day += 1
        rows = without(rows, *list(rows)[: len(rows) - len(rows) * 95 // 100])
        watch.ministry.show(rows)
        watch.slot(start + day * DAY)
        before = watch.tables()
        held = watch.report()["held"]
    assert (day, len(rows), len(watch.shown())) == (5, 76, 80)
    assert watch.tables() == before
    assert watch.alerts()[-1] == "testland: held for review, nothing was changed"


# --- failed runs


def refuses(code: int, **headers: str) -> hostile.Answer:
    return hostile.status(code, b"no", **headers)


def moves_while_read(ministry: Ministry) -> None:
    """m1 goes from one page to another, with another phone, after the first was read."""
    rows = missions()
    here = {key: row for key, row in rows.items() if int(key[1:]) % 4 == 2}
    ministry.pages["/region/2"] = hostile.region_page(2, {**here, "m1": {**rows["m1"], "phone": "+33 8"}})


REGION = hostile.region_page(1, missions())
BAD_ANSWERS: dict[str, list[tuple[str, Any, str]]] = {
    "the server says no": [
        ("/region/1", refuses(400), "answers 400"),
        ("/region/1", refuses(401), "answers 401"),
        ("/list", refuses(403), "answers 403"),
        ("/list", refuses(404), "answers 404"),
        ("/region/1", refuses(410), "answers 410"),
        ("/region/1", refuses(451), "answers 451"),
    ],
    "the server is in trouble": [
        ("/region/1", refuses(429), "answers 429"),
        ("/list", refuses(500), "answers 500"),
        ("/region/1", refuses(502), "answers 502"),
        ("/region/1", refuses(503, Retry_After="0"), "answers 503"),
        ("/region/1", refuses(503, Retry_After="999999999"), "answers 503"),
        ("/robots.txt", refuses(503), "answers 503"),
    ],
    "the answer is no page": [
        ("/region/1", refuses(204), "answers 204"),
        ("/region/1", refuses(206), "answers 206"),
        ("/region/1", refuses(302), "302 without saying where"),
        ("/region/1", refuses(302, Location="/region/1"), "more than 5 redirects"),
        ("/region/1", refuses(302, Location="http://169.254.169.254/"), "leads out of the source's hosts"),
        ("/robots.txt", hostile.status(200, b"User-agent: *\nDisallow: /", Content_Type="text/plain"), "robots.txt"),
    ],
    "the transfer goes wrong": [
        ("/region/1", hostile.hangs_up, "broke off"),
        ("/region/1", hostile.breaks_off(REGION), "broke off"),
        ("/region/1", hostile.half_gzip(REGION), "breaks off before its end"),
        ("/region/1", hostile.status(200, b"\x1f\x8b junk", Content_Encoding="gzip"), "broken gzip"),
        ("/region/1", hostile.endless, "raise MOFA_MAX_BYTES"),
        ("/region/1", hostile.page(bytes(range(128, 256)) * 50, Content_Type="text/html; charset=utf-8"), "no text"),
    ],
    "an excuse comes with status 200": [
        ("/list", hostile.titled("Sign in", "User name and password: <input type=password>"), "a login page"),
        ("/list", hostile.titled("メンテナンス", "しばらくお待ちください"), "a maintenance page"),
        ("/region/1", hostile.titled("Just a moment...", "Checking your browser"), "a challenge for robots"),
        ("/region/1", hostile.titled("Access Denied", "Reference #18"), "an access-denied page"),
        ("/region/1", hostile.page(b"", Content_Type="text/html"), "nothing"),
        ("/region/1", hostile.titled("New site", "Our missions have moved. " * 30), "'table#missions' was expected"),
        ("/region/1", hostile.page(REGION.replace(b"<td>9-17</td>", b"")), "7 cells were expected, found 6"),
        ("/list", hostile.page('{"missions": []}'), "HTML page was expected"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("group", BAD_ANSWERS)
def test_whatever_the_server_answers_the_tables_stay_and_one_alert_and_one_recovery_are_told(watch, group):
    watch.set(MOFA_MAX_BYTES="200000", MOFA_READ_TIMEOUT="5", MOFA_TOTAL_TIMEOUT="10")
    watch.ministry.show(missions())
    watch()
    before = watch.tables()
    watch.alerts()
    for path, answer, says in BAD_ANSWERS[group]:
        watch.ministry.answers = {path: answer}
        state = watch()
        assert state.is_failed(), f"{path} {says}: {state.message}"
        assert says in state.message
        assert f"{HOST}/" in state.message, "it names the page"
        assert watch.tables() == before, says
    assert watch.alerts() == ["mofa_monitoring testland fails"]
    watch.ministry.answers = {}
    assert watch.applied() == {}
    assert watch.alerts() == ["mofa_monitoring testland works again"]
    assert watch.applied() == {}
    assert watch.alerts() == []
    watch.ministry.answers = {"/list": refuses(403)}
    watch()
    assert watch.alerts() == ["mofa_monitoring testland fails"], "another episode"


def test_an_outage_is_told_once_and_its_end_once(watch):
    watch.ministry.show(missions())
    watch()
    before = watch.tables()
    watch.alerts()
    for path, answer in (("/list", hostile.status(403)), ("/region/1", hostile.half_gzip(REGION))):
        watch.ministry.answers = {path: answer}
        assert watch().is_failed()
        assert watch.tables() == before
    assert watch.alerts() == ["mofa_monitoring testland fails"]
    watch.ministry.answers = {}
    assert watch.applied() == {}
    assert watch.alerts() == ["mofa_monitoring testland works again"]
    watch.ministry.answers = {"/list": hostile.status(403)}
    watch()
    assert watch.alerts() == ["mofa_monitoring testland fails"], "another episode"


@pytest.mark.slow
def test_a_page_that_drips_for_ever_fails_in_time(watch):
    watch.set(MOFA_READ_TIMEOUT="1", MOFA_TOTAL_TIMEOUT="0.3")
    watch.ministry.show(missions())
    watch.ministry.answers = {"/region/1": hostile.drip}
    assert "does not answer in time" in watch().message
    assert Counter(watch.ministry.asked)["/region/1"] == 6, "each time given up; once beside pages that were read"


@pytest.mark.slow
def test_a_list_edited_while_it_is_read_is_no_set(watch):
    watch.ministry.show(missions())
    watch()
    before = watch.tables()
    watch.alerts()
    moves_while_read(watch.ministry)
    state = watch()
    assert state.is_failed()
    assert "two records of 'm1' differ in phone" in state.message
    assert watch.tables() == before
    assert watch.alerts() == ["mofa_monitoring testland fails"]


@pytest.mark.slow
def test_a_page_in_a_charset_it_does_not_name_is_read_all_the_same(watch):
    watch.ministry.show(missions())
    watch()
    before = watch.shown()
    for number in range(4):
        body = watch.ministry.pages[f"/region/{number}"].decode().encode("cp932")
        kind = "text/html; charset=iso-8859-1"
        watch.ministry.answers[f"/region/{number}"] = hostile.page(body, Content_Type=kind)
    assert watch.applied() == {}
    assert watch.shown() == before


def test_half_a_crawl_is_never_a_set_and_what_was_read_is_not_asked_for_again(watch):
    watch.ministry.show(missions())
    tries: list[str] = []

    def at_last(to: hostile.Handler) -> None:
        tries.append(to.path)
        (refuses(500) if len(tries) < 4 else hostile.page(watch.ministry.pages["/region/2"]))(to)

    watch.ministry.answers["/region/2"] = at_last
    report = watch.report()
    assert (report["missions"], report["retried"], len(tries)) == (40, 3, 4)
    assert Counter(watch.ministry.asked)["/region/0"] == 1
    assert watch.shown() == missions()


def test_a_crawl_may_meet_more_failures_than_it_has_attempts_while_it_reads_on(watch):
    def at_the_second_time(to: hostile.Handler) -> None:
        first = Counter(watch.ministry.asked)[to.path] == 1
        (refuses(503) if first else hostile.page(watch.ministry.pages[to.path]))(to)

    watch.set(MOFA_CONCURRENCY="1")  # so that no two failures fall into one attempt
    watch.ministry.show(missions())
    watch.ministry.answers = dict.fromkeys(watch.ministry.pages, at_the_second_time)
    report = watch.report()
    assert (report["pages"], report["retried"]) == (5, 5)
    assert {Counter(watch.ministry.asked)[path] for path in watch.ministry.pages} == {2}


def test_an_outage_of_minutes_does_not_cost_the_day(watch):
    waited: list[float] = []  # time passes only where somebody waits
    watch.patch.setattr(steps.crawl_pages, "retry_delay_seconds", DELAYS)
    watch.patch.setattr(task_engine, "time", SimpleNamespace(time=time.time, sleep=waited.append))

    def out_of_order(to: hostile.Handler) -> None:
        (refuses(503) if sum(waited) < 180 else hostile.page(watch.ministry.pages["/list"]))(to)

    watch.ministry.show(missions())
    watch.ministry.answers["/list"] = out_of_order
    assert watch.report()["missions"] == 40


def test_a_parser_that_breaks_is_told_as_well(watch):
    def breaks(page: Any) -> list[Any]:
        raise KeyError(page.url)

    watch.sources["testland"] = a_ministry(parse=breaks)
    watch.ministry.show(missions())
    assert mofa_monitoring("testland", watch.ministry.url, return_state=True).is_failed()
    assert watch.alerts() == ["mofa_monitoring testland fails"]


def test_a_name_that_no_key_can_be_made_of_is_one_sentence(watch):
    watch.ministry.show(missions())
    table = "<table><tr><td><h3>***</h3></td></tr></table>"
    block = f"<div class=countrycontact><div class=country>Австрия</div><div class=contacts>{table}</div></div>"
    page = hostile.page(f"<html><body>{block}</body></html>")
    watch.ministry.answers["/bdomp/zu_r.nsf/straweb"] = page
    state = watch("russia")
    assert state.is_failed()
    assert "straweb" in state.message
    assert "neither a letter nor a digit" in state.message


def test_a_source_that_does_not_exist_is_one_sentence_and_no_alert(watch):
    state = watch("atlantis")
    assert state.is_failed()
    assert "there is no source 'atlantis': choose one of govuk, japan, russia" in state.message
    assert watch.alerts() == []


def test_a_database_that_is_away_is_one_sentence(watch):
    from support.settings import forget_settings

    watch.patch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    forget_settings()
    from tasks.notify.steps import deliver_outbox

    watch.patch.setattr(deliver_outbox, "retry_delay_seconds", [0] * 4)
    state = watch()
    assert state.is_failed()
    assert "127.0.0.1" in state.message
    assert "exception" not in state.message


def test_a_webhook_that_is_away_fails_no_run_and_hears_it_later(watch):
    watch.ministry.show(missions())
    watch.set(NOTIFY_URLS="json://127.0.0.1:1/hook")
    assert watch().is_completed()
    assert [row["status"] for row in watch.rows("SELECT status FROM notifications")] == ["pending"]


# --- another version of a parser


@pytest.mark.slow
def test_a_parser_of_another_version_reads_the_stored_pages_again_without_a_storm(watch):
    watch.ministry.show(missions())
    watch()
    before = watch.missions()
    watch.alerts()
    real = a_ministry().parse

    def better(page: Any) -> list[Any]:  # another key and another phone for every mission
        return [each.model_copy(update={"key": f"k-{each.key}", "phone": f"tel {each.phone}"}) for each in real(page)]

    watch.sources["testland"] = a_ministry(2, parse=better)
    watch.ministry.show(edited(missions(), "m1", opening_hours="10-12"))
    assert watch.applied() == {"changed": 1}
    assert [(each["key"], each["field"]) for each in watch.changes("testland")] == [("k-m1", "opening_hours")]
    after = watch.missions()
    assert {row["id"]: row["key"] for row in after.values()} == {row["id"]: f"k-{key}" for key, row in before.items()}
    assert after["k-m2"]["phone"] == "tel +33 1 000002"
    assert after["k-m2"]["last_changed"] == before["m2"]["last_changed"]
    assert watch.alerts() == ["testland: 1 changed"]
    assert watch.applied() == {}


@pytest.mark.slow
def test_a_parser_that_cannot_read_the_stored_pages_holds_its_set_until_a_person_accepts_it(watch):
    watch.ministry.show(missions())
    watch()
    before = watch.tables()
    watch.alerts()
    real = a_ministry().parse

    def only_new(page: Any) -> list[Any]:
        if page.path != "/list" and "redesigned" not in page.text:
            raise PageError(page.url, "'redesigned' was expected")
        return real(page)

    watch.sources["testland"] = a_ministry(2, parse=only_new)
    watch.ministry.show(edited(missions(), "m1", phone="+33 9"))
    for path, body in watch.ministry.pages.items():
        watch.ministry.pages[path] = body.replace(b"<table", b"<p>redesigned</p><table")
    state = watch()
    assert state.name == HELD, state.message
    assert "'redesigned' was expected" in state.message
    assert watch.tables() == before
    assert watch.alerts() == ["testland: held for review, nothing was changed"]
    assert watch.applied(accept=state.result()["held"]) == {"changed": 1}
    assert watch.applied() == {}


@pytest.mark.slow
def test_what_another_parser_leaves_out_or_sees_again_is_no_news_of_the_ministry(watch):
    start, left_out = datetime(2026, 1, 5, 3, tzinfo=UTC), {f"m{n}" for n in range(0, 40, 8)}
    real = a_ministry().parse
    fewer = a_ministry(2, parse=lambda page: [each for each in real(page) if each.key not in left_out])
    watch.ministry.show(missions())
    watch.slot(start)
    watch()
    before = watch.missions()
    watch.alerts()
    watch.sources["testland"] = fewer
    for day in (1, 2):
        watch.slot(start + day * DAY)
        assert watch.applied() == {}
        assert watch.shown() == without(missions(), *left_out)
    watch.sources["testland"] = a_ministry(3)
    watch.slot(start + 3 * DAY)
    assert watch.applied() == {}
    assert watch.shown() == missions()
    assert {key: row["id"] for key, row in watch.missions().items()} == {key: row["id"] for key, row in before.items()}
    assert watch.alerts() == []


@pytest.mark.slow
@pytest.mark.parametrize("later", [1, 60])
def test_a_parser_that_leaves_out_too_much_is_held_however_long_ago_the_last_set_was(watch, later):
    watch.ministry.show(missions())
    watch()
    before = watch.tables()
    watch.alerts()
    real = a_ministry().parse
    watch.sources["testland"] = a_ministry(2, parse=lambda page: [each for each in real(page) if each.key < "m2"])
    watch.slot(datetime.now(UTC) + later * DAY)
    state = watch()
    assert state.name == HELD, state.message
    assert "Only 12 open missions are found again, 30.0 % of 40" in state.message
    assert "show 12 missions, 40 are known" in watch.ministry.told[0]["message"]
    assert watch.tables() == before
    assert watch.alerts() == ["testland: held for review, nothing was changed"]


# --- real histories


@cache
def offices(day: str) -> dict[str, tuple[dict[str, Any], set[str]]]:
    """Every office in the raw files of a day: key -> what stands there, the files where it stands."""
    found: dict[str, tuple[dict[str, Any], set[str]]] = {}

    def walk(node: Any, file: Path) -> None:
        if isinstance(node, list):
            for each in node:
                walk(each, file)
        elif isinstance(node, dict):
            if node.get("format") == "World Office":
                key = node["web_url"].split("/world/organisations/")[1].replace("/office/", "/")
                found.setdefault(key, (node, set()))[1].add(file.name.removesuffix("_organisations.json"))
            for each in node.values():
                walk(each, file)

    for file in (GOVUK / day).glob("*.json"):
        walk(json.loads(file.read_text()), file)
    return found


def assert_numbers_changed(again: set[str], reached: set[str]) -> None:
    """What is the same in the raw files is not told; another digit or mailbox is."""
    old, new = offices("2016-04-08"), offices("2017-06-29")
    for key in again:
        numbers = [[(each["label"], each["number"]) for each in day[key][0]["contact_numbers"]] for day in (old, new)]
        emails = [day[key][0]["details"]["email"] for day in (old, new)]
        if numbers[0] == numbers[1] and emails[0] == emails[1]:
            assert key not in reached
        digits = [sorted(re.findall(r"\d", json.dumps(each))) for each in numbers]
        if digits[0] != digits[1] or {*emails[0].casefold().split()} != {*emails[1].casefold().split()}:
            assert key in reached


def show_govuk(ministry: Ministry, day: str) -> None:
    slugs = sorted(file.name.removesuffix("_organisations.json") for file in (GOVUK / day).glob("*.json"))
    listing = {"current_page": 1, "pages": 1, "total": len(slugs), "page_size": 1000, "start_index": 1}
    results = [{"details": {"slug": slug}} for slug in slugs]
    ministry.pages = {"/api/world-locations": json.dumps({**listing, "results": results}).encode()}
    for slug in slugs:
        file = GOVUK / day / f"{slug}_organisations.json"
        ministry.pages[f"/api/world-locations/{slug}/organisations"] = file.read_bytes()


def bare(text: str | None) -> str:
    """Letters and digits alone, without markup."""
    return re.sub(r"[\W_]", "", re.sub(r"<[^>]*>", " ", text or "")).casefold()


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("found_again", ["0.8", "0.85"])
def test_fourteen_months_of_govuk(watch, found_again):
    """80.75 % are found again: believed with the default threshold; with a stricter one held, and then accepted."""
    watch.set(MOFA_FOUND_AGAIN=found_again)
    show_govuk(watch.ministry, "2016-04-08")
    assert watch("govuk").message == "govuk: 717 missions watched from now on"
    old, new = offices("2016-04-08"), offices("2017-06-29")
    assert watch.missions("govuk").keys() == old.keys()
    assert len(old) == 717
    watch.alerts()

    show_govuk(watch.ministry, "2017-06-29")
    before = watch.tables()
    report = watch.report("govuk")
    if found_again == "0.85":
        assert "Only 579 open missions are found again, 80.8 % of 717" in report["why"][0]
        assert watch.tables() == before
        assert watch.alerts() == ["govuk: held for review, nothing was changed"]
        report = watch.report("govuk", accept=report["held"])
    assert report["held"] is None

    now = watch.missions("govuk")
    assert {key for key, row in now.items() if row["status"] == "open"} == new.keys()
    again = old.keys() & new.keys()
    assert len(again) == 579
    identity = {row["key"]: row["id"] for row in before[0]}
    assert all(now[key]["id"] == identity[key] for key in again)

    counts = report["counts"]
    rekeyed = counts["renamed"] + counts["moved"]
    assert counts["missing"] + rekeyed == len(old) - len(again) == 138
    assert counts["added"] + rekeyed == len(new) - len(again) == 124
    assert len(now) == len(old) + counts["added"]
    assert len({row["id"] for row in now.values() if row["status"] == "open"} & set(identity.values())) == 579 + rekeyed

    changed: dict[str, set[str]] = {}
    changes = watch.changes("govuk")
    for each in changes:
        if each["kind"] == "changed" and each["key"] in again:
            changed.setdefault(each["field"], set()).add(each["key"])
    raw = {
        "name": lambda office: office["title"],
        "address": lambda office: office["address"]["label"]["value"],
        "opening_hours": lambda office: office["details"]["access_and_opening_times"],
        "kind": lambda office: office["details"]["type"],
        "city": lambda office: office["address"]["adr"]["locality"],
    }
    for field, value in raw.items():
        expected = {key for key in again if bare(value(old[key][0])) != bare(value(new[key][0]))}
        assert changed.get(field, set()) == expected, field
    assert [len(changed[field]) for field in ("name", "address", "opening_hours")] == [117, 47, 336]

    assert_numbers_changed(again, changed["phone"] | changed["fax"] | changed["email"])
    urls = {row["id"]: row["url"] for row in watch.rows("SELECT id, url FROM page_snapshots")}
    for each in changes:
        place = urls[each["snapshot_id"]].split("/")[-2]
        stands = old[each["key"]][1] if each["kind"] == "missing" else new[each["key"]][1]
        assert place in stands, f"{each['kind']} {each['key']} is not proved by {place}"
    assert len(watch.alerts()) == 1
    assert watch.applied("govuk") == {}


@pytest.mark.slow
@needs_data
def test_the_uk_list_of_2012_and_2013_day_by_day(watch):
    """Eight valid lists in order, the invalid ones between them refused; each step counted from the raw rows."""
    files = sorted((DATA / "uk-fco-embassies-yml").glob("*.yml"))
    assert len(files) == 20
    compared = {name: name for name in ("address", "phone", "fax", "email", "website")} | {
        "office_hours": "opening_hours"
    }
    known: dict[Any, Any] = {}
    refused, held = [], []
    for file in files:
        watch.ministry.pages["/embassies.yml"] = file.read_bytes()
        try:
            rows = uk_rows(yaml.safe_load(file.read_text(encoding="utf-8")))
        except yaml.YAMLError:
            before = watch.tables()
            state = watch("uk")
            assert state.is_failed()
            assert f"{HOST}/embassies.yml: YAML was expected" in state.message
            assert watch.tables() == before
            refused.append(file.name[:2])
            continue
        report = watch.report("uk")
        if report["held"]:
            held.append(file.name[:2])
            report = watch.report("uk", accept=report["held"])
        assert report["missions"] == len(rows)
        counts, expected = report["counts"], Counter()
        if known and file.name[:2] != "14":
            expected["missing"], expected["added"] = len(known.keys() - rows.keys()), len(rows.keys() - known.keys())
            for row in known.keys() & rows.keys():
                expected["changed"] += sum(
                    bare(str(known[row].get(name) or "")) != bare(str(rows[row].get(name) or "")) for name in compared
                )
            assert Counter(counts) == expected, file.name
        elif known:  # four months in one step: what is renamed is neither missing nor added
            rekeyed = counts.get("renamed", 0) + counts.get("moved", 0)
            assert counts["missing"] + rekeyed == len(known.keys() - rows.keys())
            assert counts["added"] + rekeyed == len(rows.keys() - known.keys())
        known = rows
    assert refused == [f"{number:02}" for number in range(2, 14)]
    assert held == ["14"], "four months in one step changed most addresses"
    missing = [row["key"] for row in watch.missions("uk").values() if row["status"] == "missing"]
    assert {"canada/calgary", "canada/montreal", "netherlands/the-hague"} <= set(missing)


@needs_data
def test_every_kind_of_edit_of_mid_ru(watch):
    text = (DATA / "russia-mid" / "derived" / "2015-03-19.html").read_text()
    watch.ministry.pages["/bdomp/zu_r.nsf/straweb"] = text.encode()
    watch("russia")
    names = len(re.findall("<h3>", text))
    assert len(watch.missions("russia")) == names == 307
    blocks = re.findall(r'<div class="countrycontact">.*?</table></div></div>', text, re.DOTALL)
    single = [
        block
        for block in blocks
        if block.count("<h3>Посольство") == block.count("<h3>") == 1 and "<td>Телефон:</td><td>" in block
    ]
    single = [block for block in single if "<td>Адрес:</td><td>" in block and "<td>e-mail:</td>" in block]
    gone, same, called = single[10:13], single[20:23], single[30:33]
    hour, dashed, moved = single[40:43], single[50:53], single[60:63]

    def swap(block: str, label: str, value: str) -> str:
        return re.sub(rf"(<td>{label}:</td><td>)[^<]*", rf"\g<1>{value}", block, count=1)

    def dashes(block: str) -> str:  # and a title in capitals: cosmetics, no change
        return re.sub(r"(Телефон:|Факс:)(</td><td>)([^<]*)", lambda cell: cell[0].replace("-", "–"), block)

    edits = dict.fromkeys(gone, "")
    edits |= {block: swap(block, "Телефон", f"+7 495 00{n}") for n, block in enumerate(same)}
    edits |= {block: re.sub("<h3>[^<]*", f"<h3>Посольство новое {n}", block) for n, block in enumerate(called)}
    edits |= {block: swap(block, "Адрес", f"Новая улица, д. {n}") for n, block in enumerate(hour)}
    edits |= {block: dashes(block.replace("<h3>Посольство", "<h3>ПОСОЛЬСТВО ")) for block in dashed}
    edits |= {
        block: swap(re.sub("<h3>[^<]*", f"<h3>Посольство другое {n}", block), "Адрес", f"Другая улица, д. {n}")
        for n, block in enumerate(moved)
    }
    fresh = "".join(
        f'<div class="countrycontact"><div class="country">Страна {n}</div><div class="contacts"><table><tr><td><h3>'
        f"Посольство</h3></td></tr><tr><td>Адрес:</td><td>Площадь {n}</td></tr></table></div></div>"
        for n in range(3)
    )
    later = text.replace("</body>", f"{fresh}</body>")
    for block, edit in edits.items():
        assert later.count(block) == 1
        assert edit != block
        later = later.replace(block, edit)
    watch.alerts()
    watch.ministry.pages["/bdomp/zu_r.nsf/straweb"] = later.encode()
    counts = watch.applied("russia")
    assert counts == {"missing": 3, "added": 3, "moved": 3, "renamed": 3, "changed": 6 + 3}, counts
    fields = Counter(each["field"] for each in watch.changes("russia") if each["kind"] == "changed")
    assert fields == {"phone": 3, "address": 3, "name": 3}
    assert len(watch.alerts()) == 1


@pytest.mark.slow
@needs_data
def test_the_us_list_that_went_from_195_to_none_is_held(watch):
    lists = [
        json.loads((DATA / "us-state-missions" / f"{day}_current.json").read_text())
        for day in ("2023-10-08", "2024-03-07")
    ]
    names = [{row["name"]: row["website"] for row in each["domains"]} for each in lists]
    assert [len(each) for each in names] == [195, 195]
    watch.ministry.pages["/current.json"] = json.dumps(lists[0]).encode()
    watch("us")
    watch.ministry.pages["/current.json"] = json.dumps(lists[1]).encode()
    edits = sum(names[0].get(name) != website for name, website in names[1].items())
    assert sum(watch.applied("us").values()) == edits
    before = watch.tables()
    watch.alerts()
    watch.ministry.pages["/current.json"] = b'{"domains": []}'
    for _ in range(3):
        assert watch("us").name == HELD
    assert watch.tables() == before
    assert watch.alerts() == ["us: held for review, nothing was changed"]
