"""One mission that cannot be read: it is kept as last known and reported once; many hold the set."""

from datetime import UTC, datetime

import pytest
from support.ministry import HOST, a_ministry, missions
from support.watch import DAY, Watch, edited, without

from tasks.mofa.embassy import Entry, Unreadable
from tasks.mofa.page import Page, Source
from tasks.state_names import HELD

ODD = "Mission?"  # a phone that the parser of this source cannot read


def strict(*, with_key: bool = True) -> Source:
    """Testland, with a parser that cannot read a mission whose phone is ODD."""
    read = a_ministry().parse

    def parse(page: Page) -> list[Entry]:
        return [
            Unreadable(each.name, f"phone: {ODD!r} is no number", each.key if with_key else None)
            if not isinstance(each, Unreadable) and each.phone == ODD
            else each
            for each in read(page)
        ]

    return a_ministry(parse=parse)


def begun(watch: Watch, **source: bool) -> None:
    watch.sources["testland"] = strict(**source)
    watch.ministry.show(missions())
    watch()
    watch.alerts()


def test_one_odd_row_stops_nothing_and_is_reported_once(watch):
    begun(watch)
    odd = edited(edited(missions(), "m7", phone=ODD, address="Elsewhere"), "m8", phone="+33 8")
    watch.ministry.show(odd)
    report = watch.report()
    assert (report["held"], report["counts"], report["missions"]) == (None, {"changed": 1}, 40)
    [unreadable] = report["unreadable"]
    assert (unreadable["row"], unreadable["key"], unreadable["keys"]) == ("Embassy 7 大使館", "m7", ["m7"])
    assert unreadable["reason"] == f"phone: {ODD!r} is no number"
    assert unreadable["page"] == f"{HOST}/region/3"
    row = watch.missions()["m7"]
    assert (row["status"], row["phone"], row["address"]) == ("open", "+33 1 000007", missions()["m7"]["address"])
    body = watch.ministry.messages[0]["message"]
    assert "Unreadable, kept as last known (1)" in body
    assert "Embassy 7 大使館" in body
    assert watch.alerts() == ["testland: 1 changed, 1 unreadable"]
    report = watch.report()
    assert ([each["new"] for each in report["unreadable"]], report["changes"]) == ([False], 0)
    assert watch.alerts() == [], "reported once"
    watch.ministry.show(edited(odd, "m7", phone="+33 7"))
    assert watch.applied() == {"changed": 2}
    assert watch.alerts() == ["testland: 1 changed"], "readable again"
    watch.ministry.show(odd)
    watch()
    assert watch.alerts() == ["testland: 1 unreadable"], "and unreadable again"


def test_a_new_mission_that_cannot_be_read_is_reported_and_not_stored(watch):
    begun(watch)
    watch.ministry.show({**missions(), "m40": {**missions(41)["m40"], "phone": ODD}})
    report = watch.report()
    assert ([each["keys"] for each in report["unreadable"]], report["changes"]) == ([[]], 0)
    assert "m40" not in watch.missions()
    assert watch.alerts() == ["testland: 1 unreadable"]


@pytest.mark.slow
def test_a_mission_behind_a_row_without_a_key_is_neither_missing_nor_closed(watch):
    begun(watch, with_key=False)
    start = datetime(2026, 1, 5, 3, tzinfo=UTC)
    odd = edited(missions(), "m7", phone=ODD, name="Renamed beyond recognition")
    watch.ministry.show(without(odd, "m2"))
    watch.slot(start)
    report = watch.report()
    assert report["counts"] == {"missing": 1}, "m2 was on another page"
    assert [each["keys"] for each in report["unreadable"]] == [["m7"]]
    for day in (1, 2):
        watch.slot(start + day * DAY)
        watch()
        assert watch.missions()["m7"]["status"] == "open"
    assert watch.missions()["m2"]["status"] == "closed"


def test_a_missing_mission_whose_row_cannot_be_read_is_not_closed(watch):
    begun(watch)
    start = datetime(2026, 1, 5, 3, tzinfo=UTC)
    watch.slot(start)
    watch.ministry.show(without(missions(), "m7"))
    assert watch.applied() == {"missing": 1}
    watch.ministry.show(edited(missions(), "m7", phone=ODD))
    watch.slot(start + DAY)
    assert watch.applied() == {}
    assert watch.missions()["m7"]["status"] == "missing"
    watch.ministry.show(missions())
    watch.slot(start + 2 * DAY)
    assert watch.applied() == {"reopened": 1}


def test_more_than_a_threshold_of_unreadable_missions_hold_the_set(watch):
    begun(watch)
    rows = missions()
    for key in ("m1", "m2"):
        rows = edited(rows, key, phone=ODD)
    watch.ministry.show(rows)
    assert watch.report()["held"] is None, "two are never too many"
    before = watch.tables()
    watch.ministry.show(edited(rows, "m3", phone=ODD))
    state = watch()
    assert state.name == HELD
    assert "3 missions cannot be read (7.5 % of 40)" in state.message
    assert watch.tables() == before
    watch.set(MOFA_UNREADABLE="0.1")
    assert watch.report()["held"] is None


@pytest.mark.slow
def test_an_accepted_set_keeps_its_unreadable_missions_as_last_known(watch):
    begun(watch)
    rows = missions()
    for key in ("m1", "m2", "m3"):
        rows = edited(rows, key, phone=ODD)
    watch.ministry.show(edited(rows, "m9", phone="+33 9"))
    number = watch.report()["held"]
    assert watch.applied(accept=number) == {"changed": 1}
    assert watch.missions()["m1"]["phone"] == "+33 1 000001"
    assert {row["status"] for row in watch.missions().values()} == {"open"}


def test_the_first_set_lists_what_could_not_be_read(watch):
    watch.sources["testland"] = strict()
    watch.ministry.show(edited(missions(), "m7", phone=ODD))
    report = watch.report()
    assert (report["baseline"], report["missions"], len(report["unreadable"])) == (True, 39, 1)
    assert "Unreadable" in watch.ministry.messages[0]["message"]


@pytest.mark.slow
def test_a_parser_of_another_version_keeps_what_it_cannot_read(watch):
    begun(watch)
    watch.ministry.show(edited(missions(), "m7", phone=ODD))
    watch()
    watch.alerts()
    watch.sources["testland"] = a_ministry(2, parse=strict().parse)
    assert watch.applied() == {}
    assert watch.missions()["m7"]["status"] == "open"
    assert watch.missions()["m7"]["phone"] == "+33 1 000007"


def test_a_character_that_is_lost_makes_its_mission_unreadable_and_no_other(watch):
    watch.ministry.show(missions())
    watch()
    watch.alerts()
    whole, half = "7 Rue de la Paix, 港区7".encode(), b"7 Rue de la Paix, \xe6\xb87"
    watch.ministry.pages["/region/3"] = watch.ministry.pages["/region/3"].replace(whole, half, 1)
    report = watch.report()
    assert ([each["key"] for each in report["unreadable"]], report["changes"]) == (["m7"], 0)
    assert "\ufffd" not in str(watch.missions())
    assert [each for each in report["assumptions"] if "UTF-8" in each], "the guess is reported"
