"""A ministry that answers badly, from the flow to the tables: a failed crawl changes nothing and is reported once."""

import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from prefect import task_engine
from support import ministry as fake_ministry
from support.ministry import HOST, Ministry, a_ministry, missions

from tasks.mofa import steps

DELAYS = steps.crawl_pages.retry_delay_seconds


def refuses(code: int, **headers: str) -> fake_ministry.Answer:
    return fake_ministry.status(code, b"no", **headers)


def moves_while_read(ministry: Ministry) -> None:
    """m1 goes from one page to another, with another phone, after the first was read."""
    rows = missions()
    here = {key: row for key, row in rows.items() if int(key[1:]) % 4 == 2}
    ministry.pages["/region/2"] = fake_ministry.region_page(2, {**here, "m1": {**rows["m1"], "phone": "+33 8"}})


REGION = fake_ministry.region_page(1, missions())
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
        ("/region/1", refuses(302), "answers 302"),
        ("/region/1", refuses(302, Location="/region/1"), "more than 5 redirects"),
        ("/region/1", refuses(302, Location="http://169.254.169.254/"), "169.254.169.254"),
        (
            "/robots.txt",
            fake_ministry.status(200, b"User-agent: *\nDisallow: /", Content_Type="text/plain"),
            "robots.txt",
        ),
    ],
    "the transfer goes wrong": [
        ("/region/1", fake_ministry.hangs_up, "broke off"),
        ("/region/1", fake_ministry.breaks_off(REGION), "broke off"),
        ("/region/1", fake_ministry.half_gzip(REGION), "before its end"),
        ("/region/1", fake_ministry.status(200, b"\x1f\x8b junk", Content_Encoding="gzip"), "broken gzip"),
        ("/region/1", fake_ministry.endless, "MOFA_MAX_BYTES"),
        ("/region/1", fake_ministry.page(bytes(range(256)) * 50, Content_Type="text/html; charset=utf-8"), "no text"),
    ],
    "an excuse comes with status 200": [
        ("/list", fake_ministry.titled("Sign in", "User name and password: <input type=password>"), "a login page"),
        ("/list", fake_ministry.titled("メンテナンス", "しばらくお待ちください"), "a maintenance page"),
        ("/region/1", fake_ministry.titled("Just a moment...", "Checking your browser"), "a challenge for robots"),
        ("/region/1", fake_ministry.titled("Access Denied", "Reference #18"), "an access-denied page"),
        ("/region/1", fake_ministry.page(b"", Content_Type="text/html"), "the page is empty"),
        (
            "/region/1",
            fake_ministry.titled("New site", "Our missions have moved. " * 30),
            "'table#missions' was expected",
        ),
        ("/region/1", fake_ministry.page(REGION.replace(b"<td>9-17</td>", b"")), "7 cells were expected, found 6"),
        ("/list", fake_ministry.page('{"missions": []}'), "HTML page was expected"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("group", BAD_ANSWERS)
def test_whatever_the_server_answers_the_tables_stay_and_one_alert_and_one_recovery_are_reported(watch, group):
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


def test_an_outage_is_reported_once_and_its_end_once(watch):
    watch.ministry.show(missions())
    watch()
    before = watch.tables()
    watch.alerts()
    for path, answer in (("/list", fake_ministry.status(403)), ("/region/1", fake_ministry.half_gzip(REGION))):
        watch.ministry.answers = {path: answer}
        assert watch().is_failed()
        assert watch.tables() == before
    assert watch.alerts() == ["mofa_monitoring testland fails"]
    watch.ministry.answers = {}
    assert watch.applied() == {}
    assert watch.alerts() == ["mofa_monitoring testland works again"]
    watch.ministry.answers = {"/list": fake_ministry.status(403)}
    watch()
    assert watch.alerts() == ["mofa_monitoring testland fails"], "another episode"


@pytest.mark.slow
def test_a_page_that_drips_endlessly_fails_in_time(watch):
    watch.set(MOFA_READ_TIMEOUT="1", MOFA_TOTAL_TIMEOUT="0.3")
    watch.ministry.show(missions())
    watch.ministry.answers = {"/region/1": fake_ministry.drip}
    assert "in time" in watch().message
    assert Counter(watch.ministry.asked)["/region/1"] == 6, "each time given up; once beside pages that were read"


@pytest.mark.slow
def test_a_mission_edited_while_the_list_is_read_is_unreadable_and_kept_as_last_known(watch):
    watch.ministry.show(missions())
    watch()
    before = watch.tables()
    watch.alerts()
    moves_while_read(watch.ministry)
    report = watch.report()
    assert (report["held"], report["changes"], [each["key"] for each in report["unreadable"]]) == (None, 0, ["m1"])
    assert "differ in phone" in report["unreadable"][0]["reason"]
    after = watch.missions()
    assert [{**after[row["key"]], "last_verified": 0, "snapshot_id": 0} for row in before[0]] == [
        {**row, "last_verified": 0, "snapshot_id": 0} for row in before[0]
    ]
    assert after["m1"]["last_verified"] == next(row for row in before[0] if row["key"] == "m1")["last_verified"]


@pytest.mark.slow
def test_a_page_in_a_charset_it_does_not_name_is_read_all_the_same(watch):
    watch.ministry.show(missions())
    watch()
    before = watch.shown()
    for number in range(4):
        body = watch.ministry.pages[f"/region/{number}"].decode().encode("cp932")
        kind = "text/html; charset=iso-8859-1"
        watch.ministry.answers[f"/region/{number}"] = fake_ministry.page(body, Content_Type=kind)
    assert watch.applied() == {}
    assert watch.shown() == before


def test_half_a_crawl_is_never_a_set_and_what_was_read_is_not_asked_for_again(watch):
    watch.ministry.show(missions())
    tries: list[str] = []

    def at_last(to: fake_ministry.Handler) -> None:
        tries.append(to.path)
        (refuses(500) if len(tries) < 4 else fake_ministry.page(watch.ministry.pages["/region/2"]))(to)

    watch.ministry.answers["/region/2"] = at_last
    report = watch.report()
    assert (report["missions"], report["retried"], len(tries)) == (40, 3, 4)
    assert Counter(watch.ministry.asked)["/region/0"] == 1
    assert watch.shown() == missions()


@pytest.mark.slow
def test_a_crawl_may_meet_more_failures_than_it_has_attempts_while_it_reads_on(watch):
    def at_the_second_time(to: fake_ministry.Handler) -> None:
        first = Counter(watch.ministry.asked)[to.path] == 1
        (refuses(503) if first else fake_ministry.page(watch.ministry.pages[to.path]))(to)

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

    def out_of_order(to: fake_ministry.Handler) -> None:
        (refuses(503) if sum(waited) < 180 else fake_ministry.page(watch.ministry.pages["/list"]))(to)

    watch.ministry.show(missions())
    watch.ministry.answers["/list"] = out_of_order
    assert watch.report()["missions"] == 40


def test_a_parser_that_breaks_is_reported_as_well(watch):
    def breaks(page: Any) -> list[Any]:
        raise KeyError(page.url)

    watch.sources["testland"] = a_ministry(parse=breaks)
    watch.ministry.show(missions())
    assert watch().is_failed()
    assert watch.alerts() == ["mofa_monitoring testland fails"]


@pytest.mark.slow
def test_a_name_that_no_key_can_be_made_of_is_one_unreadable_mission(watch):
    tables = "".join(f"<table><tr><td><h3>{name}</h3></td></tr></table>" for name in ("Посольство", "***"))
    block = f"<div class=countrycontact><div class=country>Австрия</div><div class=contacts>{tables}</div></div>"
    watch.ministry.answers["/bdomp/zu_r.nsf/straweb"] = fake_ministry.page(f"<html><body>{block}</body></html>")
    [unreadable] = watch.report("russia")["unreadable"]
    assert unreadable["reason"] == "name: nothing was found (h3)"
    assert unreadable["page"].endswith("straweb")
    assert watch.missions("russia").keys() == {"австрия/посольство"}


def test_a_source_that_does_not_exist_is_one_sentence_and_no_alert(watch):
    state = watch("atlantis")
    assert state.is_failed()
    assert "'atlantis'" in state.message
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


def test_a_webhook_that_is_away_fails_no_run_and_receives_it_later(watch):
    watch.ministry.show(missions())
    watch.set(NOTIFY_URLS="json://127.0.0.1:1/hook")
    assert watch().is_completed()
    assert [row["status"] for row in watch.rows("SELECT status FROM notifications")] == ["pending"]
