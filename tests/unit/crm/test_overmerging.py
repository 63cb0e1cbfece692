"""The guard against rows that fall into few contacts: which column it names, and as what."""

import pytest

from tasks.crm.overmerging import find_overmerging

NAMES = [f"Ann{n} Lee" for n in range(20)]
DATES = [f"{n:02} May 2024" for n in range(1, 21)]
NUMBERS = [str(1000 + n) for n in range(20)]


def refusal(*columns: tuple[str, list[str]], fields: tuple[str, ...] = ("organization",)) -> str:
    given = [(heading, 20, values) for heading, values in columns]
    return find_overmerging(given, 20, 10, fields, "ui") or ""


@pytest.mark.parametrize("dates", [DATES, ["2024-05-01"], ["May 5, 2024"], NUMBERS, ["https://x.org/1"], ["50 %"]])
def test_the_column_whose_values_look_like_names_is_named_and_never_a_date_or_number(dates: list[str]) -> None:
    assert 'columns={"Kvasir": "full_name"}' in refusal(("Connected On", dates), ("Kvasir", NAMES))
    alone = refusal(("Connected On", dates), ("URL", ["https://x.org/1"]))
    assert '"Connected On", "URL"; none' in alone
    assert "columns=" not in alone


def test_beside_a_last_name_the_names_are_first_names() -> None:
    assert 'columns={"Rufname": "first_name"}' in refusal(("Rufname", NAMES), fields=("last_name", "email"))


def test_where_names_are_whole_no_column_is_taken_for_one() -> None:
    assert 'columns={"Kvasir": "last_name"}' in refusal(("Kvasir", NAMES), fields=("first_name",))
    for fields in (("first_name", "last_name"), ("full_name",)):
        assert "columns=" not in refusal(("Kvasir", NAMES), fields=fields)


def test_an_id_is_an_external_id_of_a_system() -> None:
    message = refusal(("Account ID", NUMBERS))
    assert 'columns={"Account ID": "external_id"} system="name"' in message
    command = find_overmerging([("Account ID", 20, NUMBERS)], 20, 10, (), "command line") or ""
    assert "--column 'Account ID=external_id' --system NAME" in command


@pytest.mark.parametrize("heading", ["Deal Name", "Industry", "Lead Status"])
def test_a_column_with_another_meaning_holds_no_names(heading: str) -> None:
    assert "columns=" not in refusal((heading, NAMES))


@pytest.mark.parametrize(("others", "named"), [(4, True), (5, False)])
def test_eight_of_ten_values_of_names_look_like_names(others: int, named: bool) -> None:
    values = NAMES[others:] + NUMBERS[:others]
    assert ("columns=" in refusal(("Kvasir", values))) is named


def test_a_few_different_values_are_no_names() -> None:
    assert "columns=" not in refusal(("Tisch", ["Bonn", "Ulm"]))


def test_rows_up_to_the_limit_are_left_to_the_rejects() -> None:
    assert find_overmerging([("Kvasir", 10, NAMES)], 20, 10, (), "ui") is None


@pytest.mark.parametrize("name", ["O'Neil{}", "J. Smith{}", "Ł{}"])
def test_a_name_begins_with_a_letter_whatever_follows_it(name: str) -> None:
    assert 'columns={"Kvasir": "full_name"}' in refusal(
        ("Kvasir", [name.format("abcdefghijklmnopqrst"[n]) for n in range(20)])
    )


@pytest.mark.parametrize("word", ["ann{}", "1ann{}", "(ann{})", "and/or {}"])
def test_a_word_that_begins_otherwise_is_no_name(word: str) -> None:
    assert "columns=" not in refusal(("Kvasir", [word.format("abcdefghijklmnopqrst"[n]) for n in range(20)]))
