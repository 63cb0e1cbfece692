"""Which mission it is, and when two spellings are the same."""

import pytest
from pydantic import ValidationError

from tasks.mofa.embassy import (
    COMPARED,
    Embassy,
    Unreadable,
    comparable,
    differences,
    from_json,
    key_of,
    merge_by_key,
    to_json,
)


def mission(key="a", **fields):
    return Embassy(**{"key": key, "kind": "embassy", "name": f"Embassy {key}", **fields})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Austria", "Embassy in Vienna"), ("AUSTRIA ", "  embassy  in\u00a0Vienna")),
        (("Bosnia-Herzegovina", "Embassy"), ("Bosnia – Herzegovina", "Embassy")),
        (("Côte d’Ivoire", "Embassy"), ("Co\u0302te d'Ivoire", "EMBASSY")),
        (("Ｊａｐａｎ", "Embassy"), ("Japan", "Embassy.")),
    ],
)
def test_a_key_survives_case_blanks_dashes_accents_composition_and_width(one, other):
    assert key_of(*one) == key_of(*other)


def test_no_invisible_character_is_stored_or_is_part_of_a_key():
    stored = mission(name="Em\u00adbassy", email="info@\u200bx.example", address="1\u2060 Main St")
    assert (stored.name, stored.email, stored.address) == ("Embassy", "info@x.example", "1 Main St")
    assert key_of("Em\u00adbassy\u200b") == key_of("Embassy")


def test_keys_distinguish_what_a_note_in_brackets_distinguishes():
    assert key_of("Sapporo") != key_of("Sapporo (office in Hakodate)")
    assert key_of("a", "b-c") != key_of("a-b", "c")


def test_a_name_without_letter_or_digit_is_no_key():
    with pytest.raises(ValueError, match="'---'"):
        key_of("Austria", "---")


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("head_of_mission", "vacant", "VACANT"),
        ("address", "1 Main St.\nVienna", "1  main st, Vienna"),
        ("phone", "+43 (1) 712-1229", "+43 1 7121229"),
        ("phone", "+43 1\n+43 2", "+43 2\n+43 1"),
        ("email", "Info@Example.org ; b@example.org", "b@example.org, mailto:info@example.org"),
        ("website", "http://www.example.org/", "https://Example.org"),
        ("opening_hours", "Monday – Friday 9–12", "Monday - Friday\n9-12"),
    ],
)
def test_cosmetic_differences_are_none(field, one, other):
    assert one != other
    assert differences(mission(**{field: one}), mission(**{field: other})) == []


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("phone", "+43 1 7121229", "+43 1 7121228"),
        ("phone", "+43 1", None),
        ("email", "a.b@example.org", "ab@example.org"),
        ("email", "a@example.org", "a@example.com"),
        ("website", "https://example.org/a", "https://example.org/b"),
        ("website", "https://example.org/?id=1", "https://example.org/?id=2"),
        ("address", "1 Main St", "11 Main St"),
        ("head_of_mission", "vacant", None),
    ],
)
def test_real_differences_are_seen(field, one, other):
    assert differences(mission(**{field: one}), mission(**{field: other})) == [field]


def test_differences_come_most_important_first_and_cover_every_field():
    changed = {field: f"other {field}" for field in COMPARED}
    assert differences(mission(), mission(**changed)) == list(COMPARED)
    assert set(COMPARED) == set(Embassy.model_fields) - {"key", "extra"}
    order = [COMPARED.index(each) for each in ("address", "phone", "email", "head_of_mission", "opening_hours")]
    assert order == sorted(order)


def test_texts_are_stored_as_written_but_for_blanks_and_what_no_database_holds():
    stored = mission(
        name=" E\u0301mbassy\nof\u00a0X ", address=" 1 A St \r\n\r\n  VIENNA", phone=" - ", extra={"n": "a\0b"}
    )
    assert (stored.name, stored.address, stored.phone) == ("\u00c9mbassy of X", "1 A St\nVIENNA", None)
    assert stored.extra == {"n": "ab"}
    assert mission(city="\ud800x").city == "?x"


@pytest.mark.parametrize("fields", [{"name": " "}, {"key": ""}, {"phone": 43_1}, {"unknown": "x"}])
def test_an_embassy_without_a_name_or_with_what_is_no_text_is_refused(fields):
    with pytest.raises(ValidationError):
        mission(**fields)


def test_an_organisation_under_several_countries_is_one_mission():
    missions, contradicting = merge_by_key(
        [
            mission("b"),
            mission("a", address="1 High St", extra={"countries": ("x",), "note": "n"}),
            mission("a", address="1 high st.", extra={"countries": ("w",), "note": "another"}),
        ]
    )
    assert list(missions) == ["a", "b"]
    assert contradicting == []
    assert missions["a"].extra == {"countries": ("w", "x"), "note": "n"}
    assert missions["a"].address == "1 High St"


def test_two_missions_that_claim_one_key_are_one_unreadable_mission_and_the_others_stay():
    records = [mission("a", address="1 High St"), mission("b"), mission("a", address="2 Low St")]
    missions, [contradicting] = merge_by_key([*records, mission("a", address="3 Mid St")])
    assert list(missions) == ["b"]
    assert (contradicting.key, contradicting.row) == ("a", "Embassy a")
    assert "address ('1 High St' and '2 Low St')" in contradicting.reason


def test_a_record_survives_being_stored_as_json():
    stored = mission(extra={"countries": ("x", "y"), "note": "n"})
    assert Embassy.model_validate_json(stored.model_dump_json()) == stored
    assert from_json(to_json(stored)) == stored


def test_an_unreadable_mission_survives_being_stored_as_json():
    stored = Unreadable("row 12", "no name", "a/b")
    assert from_json(to_json(stored)) == stored


def test_a_blank_compares_as_nothing():
    assert {comparable(field, blank) for field in COMPARED for blank in (None, "", " ")} == {""}


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        ("key", 500),
        ("name", 1_000),
        ("website", 1_000),
        ("address", 2_000),
        ("phone", 4_000),
        ("fax", 2_000),
        ("email", 2_000),
        ("opening_hours", 100_000),
    ],
)
def test_a_field_holds_as_many_characters_as_its_limit_says(field, limit):
    assert len(getattr(mission(**{field: "x" * limit}), field)) == limit
    with pytest.raises(ValidationError):
        mission(**{field: "x" * (limit + 1)})
