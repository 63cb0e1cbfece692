"""A parser of another version: the stored pages are parsed again, and what differs is no news."""

from datetime import UTC, datetime
from typing import Any

import pytest
from support.ministry import a_ministry, missions
from support.watch import DAY, edited, title_of_held_set, without

from tasks.mofa.page import PageError
from tasks.state_names import HELD


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
    assert watch.alerts() == [title_of_held_set()]
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
    assert "30.0 % of 40" in state.message
    assert "12 missions, 40 are known" in watch.ministry.messages[0]["message"]
    assert watch.tables() == before
    assert watch.alerts() == [title_of_held_set()]
