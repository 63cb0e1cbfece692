"""Sets that are not plausible: they change nothing, and a person applies exactly the set that was held."""

from datetime import UTC, datetime

import pytest
from support import ministry as fake_ministry
from support.ministry import a_ministry, missions
from support.watch import DAY, half_gone, title_of_baseline, title_of_held_set, without

from tasks.state_names import HELD


def test_an_unproven_source_holds_its_first_set_and_accept_applies_exactly_it(watch):
    watch.sources["testland"] = a_ministry(verified=False)
    watch.ministry.show(missions())
    state = watch()
    assert state.name == HELD
    number = state.result()["held"]
    assert watch.missions() == {}
    assert watch.alerts() == [title_of_held_set()]
    watch.ministry.show(missions(44))  # the ministry goes on, the accepted set does not
    asked = len(watch.ministry.asked)
    report = watch.report(accept=number)
    assert (report["baseline"], report["missions"], report["accepted"]) == (True, 40, number)
    assert len(watch.ministry.asked) == asked
    assert watch.shown() == missions()
    assert watch.alerts() == [title_of_baseline(40)]
    assert watch.applied() == {"added": 4}, "accepted once, it is verified"


@pytest.mark.slow
def test_a_held_set_is_stale_once_another_was_applied_and_that_is_no_failure_of_the_ministry(watch):
    watch.sources["testland"] = a_ministry(verified=False)
    watch.ministry.show(missions())
    first, second = watch.report()["held"], watch.report()["held"]
    assert watch.alerts() == [title_of_held_set()], "one episode"
    watch(accept=first)
    before = watch.tables()
    watch.alerts()
    for number, says in (
        (first, "was applied on"),
        (second, "is stale"),
        (999, "held set 999 of testland"),
    ):
        state = watch(accept=number)
        assert state.is_failed()
        assert says in state.message
    assert watch.tables() == before
    assert watch.alerts() == []
    watch.ministry.answers["/list"] = fake_ministry.status(403)
    watch()
    assert watch.alerts() == ["mofa_monitoring testland fails"], "the mistakes above have not used up the alert"


BAD_SETS = {
    "half the rows gone": (half_gone, "50.0 % of 40"),
    "all gone": (lambda _: {}, "40 are open"),
    "a column emptied": (
        lambda rows: {key: {**row, "email": ""} for key, row in rows.items()},
        "email is filled on 0.0 %",
    ),
    "every phone changed": (
        lambda rows: {key: {**row, "phone": f"+44 {key}"} for key, row in rows.items()},
        "phone changed on 40 of 40",
    ),
    "columns shifted": (
        lambda rows: {key: {**row, "phone": row["email"], "email": row["phone"]} for key, row in rows.items()},
        "phone changed on 40 of 40",
    ),
    "other keys for all": (
        lambda rows: {f"m{int(key[1:]) + 100}": row for key, row in rows.items()},
        "0.0 % of 40",
    ),
}


@pytest.mark.parametrize(
    "bad", [each if each == "all gone" else pytest.param(each, marks=pytest.mark.slow) for each in BAD_SETS]
)
def test_a_bad_day_at_the_ministry_changes_nothing_and_is_reported_once(watch, bad):
    makes, says = BAD_SETS[bad]
    watch.ministry.show(missions())
    watch()
    before = watch.tables()
    watch.alerts()
    watch.ministry.show(makes(missions()))
    for _ in range(2):
        state = watch()
        assert (state.name, state.is_completed()) == (HELD, True)
        report = state.result()
        assert (report["held"] is not None, report["changes"]) == (True, 0)
        assert any(says in reason for reason in report["why"]), report["why"]
        assert all(reason in state.message for reason in report["why"])
        assert watch.tables() == before
    assert watch.alerts() == [title_of_held_set()]
    watch.ministry.show(missions())
    assert watch.applied() == {}
    assert watch.shown() == missions()
    assert watch.alerts() == []


@pytest.mark.slow
def test_a_held_set_that_a_person_accepted_is_accepted_from_then_on(watch):
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
    assert watch.alerts()[-1] == title_of_held_set()


@pytest.mark.slow
def test_a_held_set_comes_with_examples_of_what_it_would_change(watch):
    watch.ministry.show(missions())
    watch()
    watch.alerts()
    watch.ministry.show({key: {**row, "phone": f"+44 {key}"} for key, row in missions().items()})
    state = watch()
    body = watch.ministry.messages[0]["message"]
    assert "It would change: Phone (40)" in body
    assert "+33 1 000000 → +44 m0" in body
    assert "37 more" in body
    assert state.result()["changes"] == 0, "nothing was changed"


@pytest.mark.slow
def test_a_first_set_that_is_held_comes_with_some_of_its_missions(watch):
    watch.sources["testland"] = a_ministry(verified=False)
    watch.ministry.show(missions())
    watch()
    assert "Embassy 0 大使館 (Country 0): 0 Rue de la Paix" in watch.ministry.messages[0]["message"]


def test_an_accepted_set_closes_nothing_that_it_did_not_see_twenty_hours_later(watch):
    start = datetime.now(UTC) - 3 * DAY
    watch.slot(start)
    watch.ministry.show(missions())
    watch()
    watch.ministry.show(without(missions(), "m7"))
    watch.manual_start(datetime.now(UTC))
    assert watch.applied() == {"missing": 1}
    watch.ministry.show(half_gone(missions()))
    number = watch.report()["held"]
    watch.manual_start(datetime.now(UTC) + 2 * DAY)  # a person looks at it two days later
    assert watch.applied(accept=number) == {"missing": 19}
