"""The differences between two sets of missions, and their order."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.mofa.diff import CLOSED_AFTER, Change, Known, diff, match_renamed
from tasks.mofa.embassy import Embassy

NIGHT = datetime(2026, 3, 1, 3, tzinfo=UTC)


def mission(key="a", **fields):
    return Embassy(**{"key": key, "kind": "embassy", "name": f"Embassy {key}", **fields})


def by_key(*missions):
    return {each.key: each for each in missions}


def known(*missions, **state):
    return {each.key: Known(each, **state) for each in missions}


def kinds(changes):
    return [(each.kind, each.key, each.field) for each in changes]


def test_the_same_set_is_no_change():
    assert diff(known(mission()), by_key(mission(name="EMBASSY  a")), at=NIGHT) == []


def test_a_new_mission_is_added_and_an_absent_one_is_missing():
    changes = diff(known(mission("a")), by_key(mission("b")), at=NIGHT)
    assert changes == [Change("missing", "a", "Embassy a"), Change("added", "b", "Embassy b")]


def test_a_changed_field_is_reported_with_old_and_new_as_written():
    changes = diff(known(mission(phone="+43 1")), by_key(mission(phone="+43 2 ")), at=NIGHT)
    assert changes == [Change("changed", "a", "Embassy a", "phone", "+43 1", "+43 2")]


def test_address_phone_email_and_head_are_reported_before_opening_hours():
    fields = ("opening_hours", "head_of_mission", "email", "phone", "address")
    changes = diff(
        known(mission("a"), mission("z")),
        by_key(mission("a", opening_hours="9-12"), mission("z", **dict.fromkeys(fields, "new"))),
        at=NIGHT,
    )
    assert [each.field for each in changes] == ["address", "phone", "email", "head_of_mission", *["opening_hours"] * 2]


def test_closures_are_reported_first():
    before = {
        **known(mission("c", phone="1")),
        **known(mission("m")),
        **known(mission("x"), status="missing", missing_since=NIGHT),
    }
    found = by_key(mission("c", phone="2"), mission("n"))
    changes = diff(before, found, at=NIGHT + timedelta(days=1))
    assert [each.kind for each in changes] == ["closed", "missing", "added", "changed"]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (timedelta(hours=24), ["closed"]),
        (CLOSED_AFTER, ["closed"]),
        (CLOSED_AFTER - timedelta(seconds=1), []),
        (timedelta(days=9), ["closed"]),
        (timedelta(0), []),
    ],
)
def test_a_missing_mission_is_closed_only_twenty_hours_on(after, expected):
    before = known(mission(), status="missing", missing_since=NIGHT)
    assert [each.kind for each in diff(before, {}, at=NIGHT + after)] == expected


def test_twenty_hours_are_twenty_hours():
    assert timedelta(hours=20) == CLOSED_AFTER


def test_a_missing_mission_of_unknown_age_is_an_error():
    with pytest.raises(ValueError, match="'a' is missing, but since when"):
        diff(known(mission(), status="missing"), {}, at=NIGHT)


@pytest.mark.parametrize("status", ["missing", "closed"])
def test_coming_back_is_a_change_of_its_own_beside_what_changed(status):
    before = known(mission(phone="1"), status=status, missing_since=NIGHT)
    assert kinds(diff(before, by_key(mission(phone="2")), at=NIGHT)) == [
        ("reopened", "a", None),
        ("changed", "a", "phone"),
    ]


def test_a_closed_mission_stays_closed_in_silence():
    assert diff(known(mission(), status="closed"), {}, at=NIGHT + timedelta(days=99)) == []


@pytest.mark.parametrize("country", [None, "Ruritania"])
@pytest.mark.parametrize("field", ["address", "phone", "email"])
def test_a_new_key_with_address_phone_or_email_of_one_that_vanished_is_no_new_mission(field, country):
    before, now = (mission(key, country=country, **{field: text}) for key, text in (("old", "x@1"), ("new", "X@1")))
    changes = diff(known(before), by_key(now), at=NIGHT)
    assert changes == [Change("renamed", "new", "Embassy new", "name", "Embassy old", "Embassy new", was="old")]


def test_a_new_key_under_the_old_name_is_renamed_by_key():
    before, now = mission("old", name="E", phone="1"), mission("new", name="E", phone="1")
    assert diff(known(before), by_key(now), at=NIGHT) == [Change("renamed", "new", "E", "key", "old", "new", was="old")]


def test_a_new_key_with_the_old_phone_and_another_address_is_moved_and_the_rest_is_changed():
    before = mission("old", address="1 A St", phone="1", email="a@x")
    now = mission("new", address="2 B St", phone="1", email="b@x")
    assert kinds(diff(known(before), by_key(now), at=NIGHT)) == [
        ("moved", "new", "address"),
        ("changed", "new", "email"),
        ("changed", "new", "name"),
    ]


def test_a_mission_that_was_already_missing_or_is_still_there_is_not_renamed():
    missing = known(mission("old", phone="1"), status="missing", missing_since=NIGHT)
    assert kinds(diff(missing, by_key(mission("new", phone="1")), at=NIGHT)) == [("added", "new", None)]
    there = mission("old", phone="1")
    assert kinds(diff(known(there), by_key(there, mission("new", phone="1")), at=NIGHT)) == [("added", "new", None)]


def test_of_several_in_one_house_each_finds_its_own():
    gone = by_key(mission("uk-trade/tokyo", address="1 A St"), mission("embassy/tokyo", address="1 A St", phone="9"))
    new = by_key(mission("trade-dept/tokyo", address="1 A St"), mission("mission/tokyo", address="1 A St", phone="9"))
    assert match_renamed(gone, new) == {"trade-dept/tokyo": "uk-trade/tokyo", "mission/tokyo": "embassy/tokyo"}


def test_what_cannot_be_decided_is_not_guessed():
    gone = by_key(mission("a1", name="E", phone="1"))
    new = by_key(mission("b1", name="E", phone="1"), mission("c1", name="E", phone="1"))
    assert match_renamed(gone, new) == {}
    assert sorted(kinds(diff(known(gone["a1"]), new, at=NIGHT))) == [
        ("added", "b1", None),
        ("added", "c1", None),
        ("missing", "a1", None),
    ]


def test_the_switchboard_of_the_whole_ministry_is_no_evidence():
    gone = by_key(*(mission(f"a{n}", phone="1") for n in range(1_500)))
    new = by_key(*(mission(f"b{n}", phone="1") for n in range(1_500)))
    assert match_renamed(gone, new) == {}


@pytest.mark.parametrize(("sharing", "matched"), [(20, {"new": "a0"}), (21, {})])
def test_a_value_that_twenty_missions_share_is_evidence_and_one_of_more_is_the_ministrys(sharing, matched):
    gone = by_key(*(mission(f"a{n}", name=f"Office {n}" if n else "Embassy", phone="1") for n in range(sharing)))
    assert match_renamed(gone, by_key(mission("new", name="Embassy", phone="1"))) == matched


@pytest.mark.parametrize(("same", "matched"), [(299, {"c": "a"}), (300, {})])
def test_the_first_300_characters_of_key_and_name_tell_missions_apart(same, matched):
    start = "n" * (same - len("a "))
    gone = by_key(mission("a", name=f"{start}x", phone="1"), mission("b", name=f"{start}y", phone="1"))
    assert match_renamed(gone, by_key(mission("c", name=f"{start}x", phone="1"))) == matched


def test_a_name_that_is_a_letter_longer_and_one_that_is_a_letter_shorter_are_equally_like():
    name = "Consulate General of Ruritania for the Provinces of Zenda and Strelsau"
    gone = by_key(mission("old", name=name, phone="1"))
    new = by_key(mission("one", name=f"{name}s", phone="1"), mission("two", name=name[:-1], phone="1"))
    assert match_renamed(gone, new) == {}


def test_blanks_are_no_evidence():
    assert match_renamed(by_key(mission("a")), by_key(mission("b"))) == {}


def test_another_country_in_the_same_house_is_another_mission():
    before = mission("togo", country="Togo", address="1 High St", phone="1", email="togo@x")
    now = mission("benin", country="Benin", address="1 High St", phone="2", email="benin@x")
    changes = diff(known(before), by_key(now), at=NIGHT)
    assert kinds(changes) == [("missing", "togo", None), ("added", "benin", None)]


def test_a_country_that_was_renamed_is_the_same_mission():
    before = mission("swaziland", country="Swaziland", address="1 High St", phone="1")
    now = mission("eswatini", country="Eswatini", address="1 High St", phone="1")
    changes = diff(known(before), by_key(now), at=NIGHT)
    assert kinds(changes) == [("renamed", "eswatini", "name"), ("changed", "eswatini", "country")]


@pytest.mark.parametrize("kept_now", ["1", "3"])
def test_a_value_that_a_mission_which_is_still_there_has_or_had_is_no_evidence(kept_now):
    perth, hobart = mission("perth", phone="1", address="A"), mission("hobart", phone="1", address="B")
    darwin = mission("darwin", phone="1", address="C")
    found = by_key(darwin, hobart.model_copy(update={"phone": kept_now}))
    changes = diff(known(perth, hobart), found, at=NIGHT)
    assert [each.kind for each in changes if each.key in {"perth", "darwin"}] == ["missing", "added"]


def test_a_value_of_its_own_is_evidence_beside_one_that_is_shared():
    perth, hobart = mission("perth", phone="1", email="p@x"), mission("hobart", phone="1")
    darwin = mission("darwin", phone="1", email="p@x")
    changes = diff(known(perth, hobart), by_key(darwin, hobart), at=NIGHT)
    assert [each.kind for each in changes] == ["renamed"]


def test_a_new_key_with_another_city_is_renamed_by_its_city():
    before, now = mission("lyon", name="E", city="Lyon", phone="1"), mission("lyons", name="E", city="Lyons", phone="1")
    assert diff(known(before), by_key(now), at=NIGHT) == [
        Change("renamed", "lyons", "E", "city", "Lyon", "Lyons", was="lyon")
    ]


def test_a_mission_that_was_matched_is_matched_with_no_second_one():
    gone = by_key(mission("old", address="1 A St", phone="1"))
    new = by_key(mission("x", address="1 A St", phone="1"), mission("y", address="1 A St"))
    assert match_renamed(gone, new) == {"x": "old"}
    gone = by_key(mission("old", address="1 A St", phone="1"), mission("older", phone="1"))
    assert match_renamed(gone, by_key(mission("x", address="1 A St", phone="1"))) == {"x": "old"}
