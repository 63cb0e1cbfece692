"""Which known missions may be behind rows that could not be read."""

from tasks.mofa.candidate import merged
from tasks.mofa.diff import Known
from tasks.mofa.embassy import Embassy, Unreadable
from tasks.mofa.unreadable import UnreadableMission, locate

PAGE, OTHER = "https://x.example/a", "https://x.example/b"


def mission(key: str, name: str | None = None) -> Embassy:
    return Embassy(key=key, kind="embassy", name=name or f"Embassy {key}")


KNOWN = {key: Known(mission(key)) for key in ("a", "b", "c", "d")}
STOOD = {"a": PAGE, "b": PAGE, "c": PAGE, "d": OTHER}


def keys(rows: list[UnreadableMission]) -> list[tuple[str, ...]]:
    return [each.keys for each in rows]


def found(*names: str) -> dict[str, Embassy]:
    return {name: mission(name) for name in names}


def test_a_row_with_a_key_is_that_mission_alone():
    assert keys(locate([(Unreadable("x", "why", "a"), PAGE)], KNOWN, found("c"), STOOD)) == [("a",)]


def test_a_row_without_a_key_is_the_absent_mission_of_its_name():
    assert keys(locate([(Unreadable("EMBASSY  d", "why"), PAGE)], KNOWN, found("c"), STOOD)) == [("d",)]


def test_a_new_row_without_key_and_name_may_be_any_absent_mission_of_its_page():
    assert keys(locate([(Unreadable("row 3", "why"), PAGE)], KNOWN, found("c"), STOOD)) == [("a", "b")]


def test_what_is_certain_of_one_row_is_not_possible_of_another():
    rows = [(Unreadable("row 3", "why"), PAGE), (Unreadable("x", "why", "a"), PAGE)]
    assert keys(locate(rows, KNOWN, found("c"), STOOD)) == [("b",), ("a",)]


def test_a_row_that_was_unreadable_before_excuses_only_what_it_was_then():
    before = [UnreadableMission(row="row 3", reason="why", page=PAGE, keys=("a",))]
    [row] = locate([(Unreadable("row 3", "why"), PAGE)], KNOWN, found("c", "d"), STOOD, before)
    assert (row.keys, row.new) == (("a",), False), "b is missing"


def test_a_row_with_another_reason_is_new():
    before = [UnreadableMission(row="x", reason="why", page=PAGE, key="a", keys=("a",))]
    [row] = locate([(Unreadable("other text", "another"), PAGE)], KNOWN, found(), STOOD, before)
    assert row.new
    [row] = locate([(Unreadable("x", "another", "a"), PAGE)], KNOWN, found(), STOOD, before)
    assert row.new
    [row] = locate([(Unreadable("other text", "why", "a"), PAGE)], KNOWN, found(), STOOD, before)
    assert not row.new


def test_a_closed_mission_is_behind_no_row():
    known = {"a": Known(mission("a"), "closed")}
    assert keys(locate([(Unreadable("x", "why", "a"), PAGE)], known, {}, STOOD)) == [()]


def test_rows_without_a_key_are_counted_each_and_a_mission_with_one_once():
    rows = [(Unreadable("Embassy", "no address"), 1)] * 5 + [(Unreadable("x", "why", "a"), 1)] * 2
    assert len(merged(rows)[2]) == 6
