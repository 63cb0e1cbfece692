"""Sets that are accepted, and sets that are held for a person."""

import pytest
from pydantic import ValidationError

from tasks.mofa.diff import Known
from tasks.mofa.embassy import Embassy
from tasks.mofa.plausibility import Thresholds, find_anomalies


def missions(count, **fields):
    """`count` missions; a field's value may be a function of the mission's number."""
    return {
        f"m{n}": Embassy(
            **{"key": f"m{n}", "kind": "embassy", "name": f"Embassy {n}"}
            | {field: value(n) if callable(value) else value for field, value in fields.items()}
        )
        for n in range(count)
    }


def known(records, status="open"):
    return {key: Known(each, status) for key, each in records.items()}


def reasons(before, after, *, highest=None, verified=True, **thresholds):
    return find_anomalies(
        known(before),
        after,
        highest=len(before) if highest is None else highest,
        verified=verified,
        thresholds=Thresholds(**thresholds),
    )


def test_a_set_like_the_one_before_is_accepted():
    assert reasons(missions(100, phone="1"), missions(100, phone="1")) == []


def test_no_rows_are_held_even_the_first_time():
    assert reasons(missions(195), {}) == ["The pages hold no mission at all, 195 are open."]
    assert reasons({}, {}) == ["The pages hold no mission at all, 0 are open."]


def test_eighty_of_a_hundred_are_accepted_and_seventy_nine_are_not():
    assert reasons(missions(100), missions(80)) == []
    assert reasons(missions(100), missions(79)) == [
        "Only 79 open missions are found again, 79.0 % of 100, the largest recent set; at least 80% are expected."
    ]
    assert reasons(missions(100), missions(79), found_again=0.7) == []


def test_new_missions_do_not_make_up_for_those_that_are_gone():
    after = {f"new{n}": each.model_copy(update={"key": f"new{n}"}) for n, each in enumerate(missions(60).values())}
    assert len(reasons(missions(100), {**missions(60), **after})) == 1


def test_a_slow_drain_is_a_drain():
    day, count, held = 0, 100, []
    while not held and day < 30:
        day, before, count = day + 1, count, count * 95 // 100
        held = reasons(missions(before), missions(count), highest=100)
    assert (day, count) == (5, 76)
    assert held[0].startswith("Only 76 open missions ")


def test_missions_already_missing_or_closed_are_not_expected():
    before = {**known(missions(10)), **{f"x{key}": each for key, each in known(missions(90), "closed").items()}}
    assert find_anomalies(before, missions(10), highest=10, verified=True) == []


def test_after_all_missions_were_closed_any_set_is_as_large_as_expected():
    assert find_anomalies(known(missions(3), "closed"), missions(1), highest=0, verified=True) == []


def faxes(old, new):
    """A hundred missions, of which the first `old` have a fax number, and the first `new` another one by now."""
    return missions(100, fax=lambda n: f"2 {n}" if n < new else f"1 {n}" if n < old else None)


@pytest.mark.parametrize(
    ("before", "after", "unreadable", "limits", "held"),
    [
        (missions(100), missions(57), 0, {"found_again": 0.57}, False),
        (missions(100), missions(56), 0, {"found_again": 0.57}, True),
        (faxes(100, 0), faxes(58, 0), 0, {"emptied": 0.57}, False),
        (faxes(100, 0), faxes(57, 0), 0, {"emptied": 0.57}, True),
        (faxes(56, 0), faxes(1, 0), 0, {"filled": 0.57, "changed": 1}, False),
        (faxes(57, 0), faxes(1, 0), 0, {"filled": 0.57, "changed": 1}, True),
        (faxes(100, 0), faxes(100, 57), 0, {"changed": 0.57}, False),
        (faxes(100, 0), faxes(100, 58), 0, {"changed": 0.57}, True),
        (missions(100), missions(100), 57, {"unreadable": 0.57}, False),
        (missions(100), missions(100), 58, {"unreadable": 0.57}, True),
    ],
)
def test_57_of_100_missions_are_57_per_cent(before, after, unreadable, limits, held):
    given = {"unreadable": ["row: reason"] * unreadable, "thresholds": Thresholds(**limits)}
    assert bool(find_anomalies(known(before), after, highest=100, verified=True, **given)) is held


def test_a_field_that_no_mission_ever_filled_has_lost_nothing():
    assert reasons(missions(10), missions(10), filled=0) == []


def test_a_field_that_falls_by_half_is_held():
    before = missions(100, email=lambda n: f"{n}@x.org" if n < 40 else None)
    assert reasons(before, missions(100, email=lambda n: f"{n}@x.org" if n < 21 else None)) == []
    after = missions(100, email=lambda n: f"{n}@x.org" if n < 20 else None)
    assert reasons(before, after) == [
        "The field email is filled on 20.0 % of the missions (20 of 100), it was on 40.0 % (40 of 100)."
    ]


def test_a_field_that_few_fill_may_fall():
    assert reasons(missions(100, fax=lambda n: "1" if n < 19 else None), missions(100)) == []
    assert len(reasons(missions(100, fax=lambda n: "1" if n < 20 else None), missions(100))) == 2


@pytest.mark.parametrize("field", ["website", "opening_hours"])
def test_an_emptied_website_or_opening_hours_column_is_held_too(field):
    assert len(reasons(missions(10, **{field: "x"}), missions(10))) == 1


@pytest.mark.parametrize("field", ["address", "phone", "fax", "email", "head_of_mission", "name", "city", "country"])
def test_one_contact_field_changed_on_more_than_half_is_held(field):
    before = missions(100, **{field: lambda n: f"old {n}"})
    assert reasons(before, missions(100, **{field: lambda n: f"{'new' if n < 50 else 'old'} {n}"})) == []
    after = missions(100, **{field: lambda n: f"{'new' if n < 51 else 'old'} {n}"})
    assert reasons(before, after) == [
        f"The field {field} changed on 51 of 100 missions that fill it (51.0 %); at most 50% are accepted."
    ]


@pytest.mark.parametrize("field", ["website", "opening_hours"])
def test_websites_and_opening_hours_may_all_change(field):
    assert reasons(missions(100, **{field: "old"}), missions(100, **{field: "new"})) == []


def test_a_column_filled_on_a_third_cannot_change_wholesale_unseen():
    before = missions(99, fax=lambda n: f"1{n}" if n < 33 else None)
    after = missions(99, fax=lambda n: f"2{n}" if n < 33 else None)
    assert reasons(before, after) == [
        "The field fax changed on 33 of 33 missions that fill it (100.0 %); at most 50% are accepted."
    ]


def test_cosmetic_changes_of_every_phone_are_none():
    assert reasons(missions(9, phone="+43 (1) 2"), missions(9, phone="+43-1-2")) == []


def test_the_first_set_of_an_unproven_parser_is_held_and_its_second_is_not():
    assert reasons({}, missions(150), verified=False) == [
        "This is the first set (150 missions) of a parser that has not been tested with a saved page of the ministry."
    ]
    assert reasons({}, missions(150), verified=True) == []
    assert reasons(missions(150), missions(150), verified=False) == []


def test_every_reason_is_given():
    before = missions(100, phone=lambda n: f"1{n}", email="a@x.org")
    assert len(reasons(before, missions(70, phone=lambda n: f"2{n}"))) == 4


def test_every_threshold_gives_its_reason():
    assert all(len(field.description or "") > 60 for field in Thresholds.model_fields.values())


@pytest.mark.parametrize("name", Thresholds.model_fields)
def test_a_threshold_is_a_share_from_0_to_1(name):
    assert [getattr(Thresholds(**{name: share}), name) for share in (0, 1)] == [0, 1]
    for share in (-0.01, 1.01):
        with pytest.raises(ValidationError, match=name):
            Thresholds(**{name: share})


def test_one_value_on_all_missions_holds_the_set_unless_it_was_accepted_before_or_the_source_allows_it():
    before, same = missions(20, email=lambda n: f"{n}@a.example"), missions(20, email="all@a.example")
    reason = "The field email is the same on all 20 missions that fill it."
    assert reason in reasons(before, same)
    assert reasons({}, same) == [reason]
    assert reasons({}, missions(9, email="all@a.example")) == []
    assert find_anomalies({}, same, highest=0, verified=True, may_be_same={"email"}) == []
    assert reasons(same, same) == []


def held_for(found, before=None, **given):
    return find_anomalies(known(before or found), found, highest=len(found), verified=True, **given)


@pytest.mark.parametrize(("count", "held"), [(2, False), (3, True)])
def test_three_unreadable_missions_of_a_small_set_hold_it_and_two_never_do(count, held):
    assert bool(held_for(missions(20), unreadable=["row: reason"] * count)) is held


@pytest.mark.parametrize(("count", "held"), [(10, False), (11, True)])
def test_more_than_five_per_cent_unreadable_missions_hold_a_set(count, held):
    reasons = held_for(missions(200), unreadable=[f"Embassy {n}: no phone" for n in range(count)])
    assert bool(reasons) is held
    assert all(each.endswith(" The first of them: Embassy 0: no phone.") for each in reasons)


def test_emails_without_an_at_sign_on_many_missions_hold_a_set_unless_they_were_there_before():
    hidden = missions(20, email=lambda n: f"[protected {n}]")
    assert len(held_for(hidden, before=missions(20, email=lambda n: f"{n}@x.example"))) == 2, "and all changed"
    assert held_for(hidden) == []


@pytest.mark.parametrize(
    ("before", "after", "count", "held"),
    [
        (0, 2, 20, False),
        (0, 3, 20, True),
        (0, 3, 60, False),
        (0, 4, 60, True),
        (4, 4, 20, False),
        (4, 5, 20, True),
    ],
)
def test_two_emails_without_an_at_sign_or_five_per_cent_or_as_many_as_before_hold_no_set(before, after, count, held):
    was, now = (
        missions(count, email=lambda n, no=no: f"{n}" if n < no else f"{n}@x.example") for no in (before, after)
    )
    assert bool(held_for(now, before=was)) is held


def test_one_name_in_ten_towns_is_no_anomaly_and_one_telephone_number_is():
    consuls = missions(10, name="Honorary Consul", city=lambda n: f"Town {n}", country="France")
    assert find_anomalies({}, consuls, highest=0, verified=True) == []
    assert len(find_anomalies({}, missions(10, name="Honorary Consul"), highest=0, verified=True)) == 1
    assert len(find_anomalies({}, missions(10, phone="+43 1"), highest=0, verified=True)) == 1


def test_hidden_emails_are_a_share_of_the_missions_that_have_one():
    before = missions(1000)
    after = missions(1000, email=lambda n: f"form {n}" if n < 20 else (f"{n}@x.example" if n < 100 else None))
    assert reasons(before, after) == ["The e-mail has no @ on 20 of 100 missions that fill it, for example 'form 0'."]
