"""Two sets of missions side by side, and the pairs that share a value."""

import pytest

from tasks.mofa.embassy import COMPARED, Embassy, differences
from tasks.mofa.tables import compared, differences_by_key, shared_values


def by_key(*missions):
    return {each.key: each for each in missions}


def mission(key, **fields):
    return Embassy(**{"key": key, "kind": "embassy", "name": f"Embassy {key}", **fields})


def test_every_key_is_in_one_row_that_says_which_set_holds_it():
    sets = compared(by_key(mission("b"), mission("a")), by_key(mission("c"), mission("b")))
    assert sets["_merge"].to_dict() == {"a": "left_only", "b": "both", "c": "right_only"}


def test_what_differs_is_what_two_records_of_a_mission_differ_in():
    before = by_key(mission("a", phone="+43 (1) 2", email="a@x.org"), mission("b", fax="1", city="Wien"))
    after = by_key(mission("a", phone="+43-1-2", email="b@x.org"), mission("b", fax=None, city="WIEN", address="nan"))
    found = sorted(differences_by_key(compared(before, after)))
    assert found == [("a", "email"), ("b", "address"), ("b", "fax")]
    assert found == sorted((key, field) for key in before for field in differences(before[key], after[key]))


@pytest.mark.parametrize("texts", ["nan", "NA", "None", "null"])
def test_texts_and_keys_that_look_like_missing_values_are_texts(texts):
    sets = compared(by_key(mission(texts, city=f"{texts} ")), {})
    assert sets.index.tolist() == [texts]
    assert sets["name_old"].tolist() == [f"Embassy {texts}"]
    assert sets["name_old"].notna().tolist() == [True]


def test_two_empty_sets_have_no_row_and_every_column():
    sets = compared({}, {})
    assert len(sets) == 0
    assert set(COMPARED) <= set(sets.columns)
    assert list(differences_by_key(sets)) == []


def test_pairs_are_counted_by_the_fields_in_which_they_agree():
    old = by_key(mission("a", phone="1", email="x@y.org"), mission("b", phone="1"))
    new = by_key(mission("c", phone="1", email="X@y.org"), mission("d", phone="2"))
    pairs = shared_values(old, new, ("phone", "email"), limit=2)
    assert pairs.to_numpy().tolist() == [["a", "c", 2], ["b", "c", 1]]
    assert shared_values(old, new, ("phone", "email"), limit=1).to_numpy().tolist() == [["a", "c", 1]]
