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


@pytest.mark.parametrize(
    ("rows", "different", "named"), [(20, 10, False), (20, 11, True), (2000, 500, False), (2000, 501, True)]
)
def test_names_differ_in_more_than_half_of_the_rows_or_of_a_thousand(rows: int, different: int, named: bool) -> None:
    values = [f"Ann{n} Lee" for n in range(different)]
    message = find_overmerging([("Kvasir", rows, values)], rows, 10, ("organization",), "ui") or ""
    assert ("columns=" in message) is named


def test_the_rows_are_those_that_differ_in_the_column_to_map_or_in_the_first() -> None:
    dates = ("Connected On", 19, DATES)
    named = find_overmerging([dates, ("Kvasir", 15, NAMES)], 20, 10, ("organization",), "ui") or ""
    assert named.startswith('15 of 20 rows would be merged with other rows although they differ in the column "Kvasir"')
    unnamed = find_overmerging([dates, ("Tisch", 15, NUMBERS)], 20, 10, ("organization",), "ui") or ""
    assert unnamed.startswith("19 of 20 rows would be merged")


def test_three_columns_are_listed_and_the_others_counted() -> None:
    columns = [(heading, NUMBERS) for heading in ("Eins", "Zwei", "Drei", "Vier", "Fünf")]
    assert 'without a field: "Eins", "Zwei", "Drei"; none' in refusal(*columns[:3])
    assert 'without a field: "Eins", "Zwei", "Drei" and 1 more; none' in refusal(*columns[:4])
    assert 'without a field: "Eins", "Zwei", "Drei" and 2 more; none' in refusal(*columns)


def test_rows_up_to_the_limit_are_left_to_the_rejects() -> None:
    assert find_overmerging([("Kvasir", 10, NAMES)], 20, 10, (), "ui") is None


@pytest.mark.parametrize("name", ["O'Neil{}", "J. Smith{}", "Ł{}"])
def test_a_name_begins_with_a_letter_whatever_follows_it(name: str) -> None:
    assert 'columns={"Kvasir": "full_name"}' in refusal(
        ("Kvasir", [name.format("abcdefghijklmnopqrst"[n]) for n in range(20)])
    )


@pytest.mark.parametrize("name", ["Ann{} de la Cruz Lee", f"A{{}}{'n' * 54} Lee", "A{}n17"])
def test_a_name_has_up_to_five_words_and_60_characters_most_of_them_letters(name: str) -> None:
    assert 'columns={"Kvasir": "full_name"}' in refusal(
        ("Kvasir", [name.format("abcdefghijklmnopqrst"[n]) for n in range(20)])
    )


@pytest.mark.parametrize(
    "word",
    ["ann{}", "1ann{}", "(ann{})", "and/or {}", "Ann{} y de la Cruz Lee", f"A{{}}{'n' * 55} Lee", "A{}17"],
)
def test_other_words_are_no_names(word: str) -> None:
    assert "columns=" not in refusal(("Kvasir", [word.format("abcdefghijklmnopqrst"[n]) for n in range(20)]))
