"""What a row has to be to become a contact, and who it is: rule by rule, and for any text."""

import datetime as dt
import unicodedata
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.staged import problems, stage_cells

from tasks.crm.contact import Contact
from tasks.crm.readers.cell import ErrorCell
from tasks.crm.readers.table import block_of, cell_text
from tasks.crm.rules.dates import Day, parse_date
from tasks.crm.rules.email_address import clean_email
from tasks.crm.rules.names import split_name
from tasks.crm.rules.phone_number import clean_phone
from tasks.crm.rules.texts import LINE_LENGTH, NOTE_LENGTH, clean_line, clean_note

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
DAY = dt.date(2024, 2, 29)


# --- cells


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (94523.0, "94523"),
        (0.0, "0"),
        (-0.5, "-0.5"),
        (0.1 + 0.2, "0.3"),
        (12, "12"),
        (True, "TRUE"),
        (False, "FALSE"),
        (None, ""),
        (dt.datetime(2024, 2, 29), "2024-02-29"),
        (dt.datetime(2024, 2, 29, 13, 5), "2024-02-29 13:05:00"),
        (DAY, "2024-02-29"),
        (dt.time(13, 5), "13:05:00"),
        (dt.timedelta(hours=36, minutes=5), "36:05:00"),
        (-dt.timedelta(seconds=90.4), "-0:01:30"),
        ("  as it is ", "  as it is "),
    ],
)
def test_a_cell_is_read_as_a_person_reads_it(cell: Any, text: str) -> None:
    assert cell_text(cell) == text
    assert block_of([(2, [cell, "x"])]).columns[0].to_pylist() == [text or None]


def test_a_cell_that_shows_an_error_is_a_fault_with_its_text() -> None:
    block = block_of([(2, ["x", ErrorCell("#REF!")])])
    assert block.faults == [(0, 1, "shows #REF!")]
    assert block.columns[1].to_pylist() == ["#REF!"]


def test_one_and_true_are_not_the_same_cell() -> None:
    """They are equal and hash alike: a memory of cells must tell them apart."""
    organizations = [stage_cells({"organization": cell})["organization"] for cell in (1.0, True, "1")]
    assert organizations == ["1", "TRUE", "1"]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("  Ada \t\n Lovelace\u00a0\u3000", "Ada Lovelace"),
        ("Zoe\u0308", "Zoë"),
        ("NA", "NA"),
        ("None", "None"),
        ("=1+1", "=1+1"),
        ("'; DROP TABLE contacts; --", "'; DROP TABLE contacts; --"),
        ("\\N", "\\N"),
        (" \t ", None),
        (None, None),
    ],
)
def test_a_line_is_as_written_but_for_blanks_and_composition(cell: str | None, text: str | None) -> None:
    assert clean_line(cell) == text


def test_a_note_keeps_its_lines_whatever_system_wrote_them() -> None:
    assert clean_note(" one\r\ntwo\rthree\n\n  four \n") == "one\ntwo\nthree\n\n  four"
    assert clean_note("\n ") is None
    assert clean_note(None) is None
    assert clean_note("x" * NOTE_LENGTH)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("a\0b", "NUL"),
        ("ü\0", "NUL"),
        ("a\ud800", "surrogate"),
        ("x" * (LINE_LENGTH + 1), "1,001"),
        ("ü" * 40_000, "40,000"),
        (ErrorCell("#N/A"), "#N/A"),
    ],
)
@pytest.mark.parametrize("field", ["organization", "last_name", "email", "phone", "street", "city", "tags"])
def test_a_cell_that_cannot_be_stored_is_rejected_and_not_cut(field: str, cell: Any, value: str) -> None:
    row = {"organization": "ACME", field: cell}
    [(where, reason)] = problems(row).items()
    assert (where, value in reason) == (field, True), reason
    assert [stage_cells(row)[name] for name in ("identity_hash", "organization", "extra")] == [None] * 3


def test_notes_may_be_long_but_not_endless() -> None:
    reason = problems({"organization": "A", "notes": "x" * (NOTE_LENGTH + 1)})["notes"]
    assert reason.startswith("has 1,000,001 characters")
    assert stage_cells({"organization": "A", "notes": "x" * 40_000})["notes"] == "x" * 40_000


def test_what_cannot_be_stored_is_shown_visibly() -> None:
    raw = stage_cells({"organization": "a\0b\ud800c"})["raw"]
    assert raw == [["last_name", ""], ["organization", "a␀b?c"]]


def test_a_number_that_is_not_stored_exactly_is_rejected() -> None:
    assert cell_text(9007199254740991.0) == "9007199254740991"
    for number in (9007199254740992.0, -1234567890123456789.0, 1e300):
        with pytest.raises(ValueError, match="digits"):
            cell_text(number)
    assert block_of([(2, [1234567890123456789.0])]).columns[0].to_pylist() == ["1.23456789012346e+18"]


def test_marks_that_are_invisible_are_no_part_of_a_line_and_stay_in_a_note() -> None:
    assert clean_line("\ufeffAnn\u200b \u2060 Lee\u00ad") == "Ann Lee"
    assert clean_line("\u200b") is None
    assert clean_line("نامه\u200cای") == "نامه\u200cای", "the joiners make other letters"
    assert clean_note("a\u200bb") == "a\u200bb"


@pytest.mark.parametrize(
    ("cell", "address"),
    [
        ("Ada@Example.ORG", "ada@example.org"),
        ("  ada@example.org\u00a0", "ada@example.org"),
        ("mailto:Ada@example.org", "ada@example.org"),
        ("o'neil+crm@mail.example.co.uk", "o'neil+crm@mail.example.co.uk"),
        ("用户@例え.テスト", "用户@例え.テスト"),
        ("राम@मोहन.भारत", "राम@मोहन.भारत"),
        ("ivan@xn--80aswg.xn--p1ai", "ivan@xn--80aswg.xn--p1ai"),
        ("\u202aada@example.org\u202c", "ada@example.org"),
        ("ada\u00ad@example.org\u200b", "ada@example.org"),
        ("x" * 64 + "@x.org", "x" * 64 + "@x.org"),
        ("ab@" + "x." * 124 + "org", "ab@" + "x." * 124 + "org"),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_one_in_lower_case(cell: Any, address: str | None) -> None:
    assert clean_email(cell) == address


@pytest.mark.parametrize(
    "cell",
    [
        "ada",
        "ada@example",
        "@example.org",
        "ada@@example.org",
        "ada@example..org",
        "ada.@example.org",
        ".ada@example.org",
        "ada@example.o",
        "ada@1.2.3.4",
        "a@x.org, b",
        "a@x.org;n/a",
        "ada lovelace@x.org",
        "ada@x.org?subject=Hi",
        "ada@x.org)",
        "ada@x.xn--",
        "n/a",
        "x" * 65 + "@x.org",
        "a@" + "x." * 125 + "org",
        "work-e-mail: ada@x.org",
        "12",
    ],
)
def test_what_is_no_single_address_is_refused(cell: Any) -> None:
    with pytest.raises(ValueError, match="e-mail"):
        clean_email(cell)


def test_a_telephone_number_stays_as_written_and_has_digits() -> None:
    assert clean_phone(" +44 (0)20  7946-0958 ") == "+44 (0)20 7946-0958"
    assert stage_cells({"last_name": "A", "phone": 302079460958.0})["phone"] == "302079460958"
    assert clean_phone("112") == "112"
    for cell in ("n/a", "-", "12", "call Ada"):
        with pytest.raises(ValueError, match="telephone"):
            clean_phone(cell)


# --- days


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2024-02-29 13:05:00", Day(DAY)),
        ("2024-02-29", Day(DAY)),
        ("2024/2/29", Day(DAY)),
        ("2024-02-29T13:05:00Z", Day(DAY)),
        ("2024-02-29 13:05:00.000 +01:00", Day(DAY)),
        ("29.2.2024", Day(DAY)),
        ("05.04.2024", Day(dt.date(2024, 4, 5))),
        ("29 February 2024", Day(DAY)),
        ("29th Feb 2024", Day(DAY)),
        ("29-Feb-2024", Day(DAY)),
        ("February 29, 2024", Day(DAY)),
        ("Sept 3 2024", Day(dt.date(2024, 9, 3))),
        ("29/02/2024", Day(DAY, order="day")),
        ("2/29/2024 1:05 PM", Day(DAY, order="month")),
        ("03/04/2024", Day(dt.date(2024, 4, 3), dt.date(2024, 3, 4))),
        ("12/3/2024", Day(dt.date(2024, 3, 12), dt.date(2024, 12, 3))),
        ("3/12/2024", Day(dt.date(2024, 12, 3), dt.date(2024, 3, 12))),
        ("13/12/2024", Day(dt.date(2024, 12, 13), order="day")),
        ("12/13/2024", Day(dt.date(2024, 12, 13), order="month")),
        ("5/5/2024", Day(dt.date(2024, 5, 5))),
        (" ", None),
        (None, None),
    ],
)
def test_a_day_is_read_and_says_what_it_proves(cell: Any, expected: Day | None) -> None:
    assert parse_date(cell) == expected


@pytest.mark.parametrize(
    "cell",
    ["soon", "30/02/2024", "13/13/2024", "2023-02-29", "1/2/24", "29 Febtober 2024", "12:00:00", "TRUE", "0000-01-01"],
)
def test_words_that_are_no_day_are_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        parse_date(cell)


@pytest.mark.parametrize("cell", [45351.0, True, dt.time(12, 0), dt.timedelta(days=1)])
def test_a_number_is_never_taken_for_a_day(cell: Any) -> None:
    assert list(problems({"last_name": "A", "last_contacted": cell})) == ["last_contacted"]
    with pytest.raises(ValueError, match="is a number"):
        parse_date("45351")


@given(st.dates())
def test_any_day_reads_as_itself_however_it_is_written(date: dt.date) -> None:
    assert parse_date(date.isoformat()) == Day(date)
    assert parse_date(f"{date.day}.{date.month}.{date.year:04}") == Day(date)
    slashed = parse_date(f"{date.day}/{date.month}/{date.year:04}")
    assert slashed
    assert date in (slashed.date, slashed.month_first)
    assert (slashed.order == "day") == (date.day > 12)


# --- names and rows


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("Ada Lovelace", ("Ada", "Lovelace")),
        ("Lovelace, Ada", ("Ada", "Lovelace")),
        ("Augusta Ada King", ("Augusta Ada", "King")),
        ("Ada", (None, "Ada")),
        ("Lovelace,", (None, "Lovelace")),
        (None, (None, None)),
    ],
)
def test_a_whole_name_is_split_at_its_comma_or_its_last_blank(whole: str | None, parts: tuple[str | None, ...]) -> None:
    assert split_name(whole) == parts


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("Lovelace Ada", ("Ada", "Lovelace")),
        ("King Augusta Ada", ("Augusta Ada", "King")),
        ("Lovelace, Ada", ("Ada", "Lovelace")),
        ("Lovelace", (None, "Lovelace")),
        (None, (None, None)),
    ],
)
def test_where_the_last_name_is_written_first_it_is_the_first_word(
    whole: str | None, parts: tuple[str | None, ...]
) -> None:
    assert split_name(whole, last_first=True) == parts


def test_every_faulty_cell_of_a_row_is_reported() -> None:
    cells = {"email": "nobody", "phone": "call Ada", "last_contacted": 3.0, "city": ErrorCell("#REF!")}
    assert list(problems(cells)) == ["email", "phone", "city", "last_contacted"]


def test_a_row_that_identifies_nobody_is_refused_as_a_whole() -> None:
    assert list(problems({"city": "Paris", "notes": "x", "organization": " "})) == [None]
    for cells in ({"organization": "ACME"}, {"email": "a@x.org"}, {"last_name": "Ada"}):
        assert problems(cells) == {}


def test_half_a_name_is_refused_only_where_there_is_a_column_for_the_other_half() -> None:
    cells = {"first_name": "Ada", "organization": "ACME"}
    assert list(problems(cells)) == ["last_name"]
    assert stage_cells(cells, last_name=False)["first_name"] == "Ada"


@pytest.mark.parametrize("reached", [{"email": "suharto@x.id"}, {"phone": "+62 21 111111"}])
def test_a_first_name_alone_is_a_person_who_can_be_reached(reached: dict[str, str]) -> None:
    row = stage_cells({"first_name": "Suharto", **reached})
    assert row["problems"] is None
    assert (row["first_name"], row["last_name"]) == ("Suharto", None)


@pytest.mark.parametrize(
    ("cells", "reachable"),
    [
        ({"phone": "+62 21 111111"}, True),
        ({"phone": None}, False),
        ({"email": None, "phone": None}, False),
        ({"email": None, "city": "Rome"}, False),
        ({"email": "a@x.org"}, True),
    ],
)
def test_a_first_name_without_a_column_for_the_last_one_has_to_be_reachable(
    cells: dict[str, str | None], reachable: bool
) -> None:
    found = problems({"first_name": "Ann", **cells}, last_name=False)
    assert list(found) == ([] if reachable else [None])
    assert all("first name" in reason for reason in found.values())


# --- who it is


def person(**cells: Any) -> tuple[str, str]:
    row = stage_cells(cells, last_name=False)
    return row["identity_hash"], row["name_hash"]


ADA = {"organization": "ACME", "first_name": "Ada", "last_name": "Lovelace"}


@pytest.mark.parametrize(
    "same",
    [
        {"organization": "acme", "first_name": "ADA", "last_name": "lovelace"},
        {"organization": " ACME ", "first_name": "Ada", "last_name": "Lovelace", "city": "London"},
        {"organization": "ACME", "last_name": "Ada Lovelace"},
    ],
)
def test_case_blanks_and_where_the_name_is_split_do_not_make_another_person(same: dict[str, str]) -> None:
    assert person(**same) == person(**ADA)
    assert person(**same, email="A@X.org") == person(**ADA, email="a@x.org")


def test_several_people_share_an_address_and_one_person_has_it_whatever_the_organisation() -> None:
    ada, bob = person(**ADA, email="info@x.org"), person(**{**ADA, "first_name": "Bob"}, email="info@x.org")
    assert ada[0] != bob[0]
    assert person(**{**ADA, "organization": "Other"}, email="info@x.org")[0] == ada[0]
    assert person(**{**ADA, "organization": "Other"}, email="info@x.org")[1] != ada[1]


def test_without_an_address_the_identity_is_the_name() -> None:
    identity, name = person(**ADA)
    assert identity == name
    assert person(**ADA, email="a@x.org")[1] == name
    assert person(**ADA, email="a@x.org")[0] != name
    assert person(**{**ADA, "organization": "Other"}) != (identity, name)


def test_version_2_of_the_hashes_never_changes() -> None:
    """Stored contacts were hashed so: another value here is a new RULES_VERSION and a migration."""
    zoe = {"organization": "Straße", "first_name": "Zoë", "last_name": "Ünal"}
    assert [part[:18] for part in person(**zoe)] == ["\\x4c01b5ff5768a3cf", "\\x4c01b5ff5768a3cf"]
    assert [part[:18] for part in person(**zoe, email="zoe@x.org")] == ["\\x7e7614a903dc4fe8", "\\x4c01b5ff5768a3cf"]


# --- for any text


@given(TEXTS)
def test_normalising_twice_is_normalising_once(text: str) -> None:
    for normalise in (clean_line, clean_note):
        with suppress(ValueError):
            once = normalise(text)
            assert normalise(once) == once
            assert once is None or unicodedata.is_normalized("NFC", once)


@given(st.from_regex(r"\A[\w.+-]{1,12}@[\w-]{1,8}\.\w{2,5}\Z"))
def test_an_address_that_is_taken_is_taken_again_as_it_was_kept(text: str) -> None:
    try:
        kept = clean_email(text)
    except ValueError:
        return
    assert clean_email(kept) == kept


@given(TEXTS, TEXTS, TEXTS)
def test_what_is_stored_has_the_hashes_of_what_was_read(organization: str, first: str, last: str) -> None:
    row = stage_cells({"organization": organization or None, "first_name": first or None, "last_name": last or None})
    if row["problems"] is None:
        again = stage_cells({name: row[name] for name in ("organization", "first_name", "last_name")})
        assert {**again, "raw": None} == {**row, "raw": None}


@given(
    st.text(st.characters(), max_size=30),
    st.sampled_from([field for field in Contact.model_fields if field != "external_id"]),
)
def test_no_text_whatever_makes_the_program_stumble(text: str, field: str) -> None:
    row = stage_cells({"organization": "ACME", field: text or None})
    assert (row["problems"] is None) == (row["identity_hash"] is not None)
    assert "\0" not in str(row)
