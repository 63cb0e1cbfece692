"""Rows that are not records, and placeholders for names, each beside records that must be imported."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from support.reading import read
from support.staged import stage

from tasks.crm.batch import SheetBatches
from tasks.crm.headings.column_mapping import map_columns
from tasks.crm.readers.cell import Cell
from tasks.crm.readers.table import block_of
from tasks.crm.rules.null_words import DITTO_REASON

HEADINGS = ["Company", "First Name", "Last Name", "City"]
ANN, BOB = ["Acme", "Ann", "Lee", "Bonn"], ["Beta", "Bob", "Ray", "Ulm"]


def staged(headings: Sequence[str], *rows: Sequence[Cell]) -> list[dict[str, Any]]:
    return stage(headings, *rows).table.to_pylist()


def reasons(headings: Sequence[str], *rows: Sequence[Cell]) -> list[str]:
    """Why each row is rejected; "" of those that are stored."""
    return [" ".join(reason for *_, reason in json.loads(row["problems"] or "[]")) for row in staged(headings, *rows)]


def people(rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    fields = ("organization", "first_name", "last_name", "city")
    return [[row[name] for name in fields] for row in rows if not row["problems"]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["(1)", "(2)", "(3)", "(4)"], "numbers the columns"),
        ([1, 2, 3, 4], "numbers the columns"),
        (["A", "B", "C", "D"], "numbers the columns"),
        (["Account.Name", "FirstName", "LastName", "MailingCity"], "in other words"),
        (["company_name", "first_name", "last_name", "city"], "in other words"),
        (["Firma", "Vorname", "Name", "Ort"], "in other words"),
        (["Firma", None, None, "Ort"], "in other words"),
        (["Legal name", "Given name as in passport", "Family name", "City of residence"], "describes the columns"),
    ],
)
def test_rows_about_the_columns_are_no_people(row: Sequence[Cell], reason: str) -> None:
    rows = staged(HEADINGS, row, ANN, BOB)
    assert reason in rows[0]["problems"]
    assert people(rows) == [ANN, BOB]


def test_headings_in_a_second_language_are_no_person_although_a_column_is_unknown() -> None:
    rows = staged([*HEADINGS, "Table"], ["Компания", "Имя", "Фамилия", "Город", "Стол"], [*ANN, "1"])
    assert "in other words" in rows[0]["problems"]
    assert people(rows) == [ANN]


def test_two_cells_are_enough_for_a_row_about_the_columns() -> None:
    assert reasons(["Name", "City"], [1, 2]) == ["numbers the columns"]
    assert reasons(["Name", "City"], ["Name as in passport", "City of residence"]) == ["describes the columns"]


def test_three_letters_number_the_columns_and_two_are_a_name() -> None:
    assert reasons(["Last Name", "First Name", "City"], ["A", "B", "C"]) == ["numbers the columns"]
    assert reasons(["Last Name", "First Name"], ["A", "B"]) == [""]


@pytest.mark.parametrize("row", [["1", "2", "3", "4"], ["Text", "Given name", "Family name", "City of residence"]])
@pytest.mark.parametrize(("above", "rejected"), [(2, True), (3, False)])
def test_only_the_first_three_rows_below_the_headings_are_about_the_columns(
    row: list[str], above: int, rejected: bool
) -> None:
    rows = [ANN] * above + [row]
    assert [bool(reason) for reason in reasons(HEADINGS, *rows)[above:]] == [rejected]
    batches = SheetBatches("Contacts", map_columns(HEADINGS), before=0)
    [*_, last] = [batches.staged(block_of([(number, [*row])])) for number, row in enumerate(rows, 2)]
    assert last.rejected == rejected


@pytest.mark.parametrize(
    "row",
    [
        ["Phone House", "Ann", "Lee", "Mexico City"],
        ["Legal name", "Given name", "Lee", "Ulm"],
        ["Acme", "Acme", "Acme", "Acme"],
        ["Firma", None, None, None],
        ["1", None, None, None],
        ["Company Company", "Max", "Name", "City of London"],
        ["acme", "ann", "lee", "city"],
        ["1", "B", "C", "4"],
    ],
)
def test_the_first_record_is_one_although_it_has_words_of_headings(row: list[str]) -> None:
    assert people(staged(HEADINGS, row)) == [row]


def test_notes_about_columns_are_those_of_a_person() -> None:
    assert reasons(["Name", "Notes", "Tags"], ["ann lee", "call by phone", "email"]) == [""]
    assert reasons(["Name", "Notes"], ["Rose city", "no diet"]) == [""]


@pytest.mark.parametrize(
    "text",
    [
        *("Report run by: Jane Doe", "Ende der Liste", "Hinweis: Angaben ohne Gewähr", "Filter: Country = Germany"),
        *("Filtered By", "Show: All contacts", "My Contacts Report", "Count: 2", "Insgesamt: 2 Gäste"),
        *("https://crm.example.com/report/123", "A", "Ä"),
    ],
)
def test_a_remark_in_a_row_of_its_own_is_no_organization(text: str) -> None:
    company = ["Acme", "Bonn", "0228 1111111"]
    rows = staged(["Company", "City", "Phone"], company, company, company, [text, None, None], ["Endress", None, None])
    assert "section" in rows[3]["problems"] or "remark" in rows[3]["problems"]
    assert [row["organization"] for row in rows[2:]] == ["Acme", None, "Endress"]


@pytest.mark.parametrize(("characters", "reason"), [(1000, "is a remark"), (1001, "has 1,001 characters")])
def test_a_remark_has_up_to_1000_characters(characters: int, reason: str) -> None:
    text = "Note: ".ljust(characters, "x")
    assert reasons(HEADINGS, ANN, [text, None, None, None])[1].startswith(reason)


@pytest.mark.parametrize("headings", [HEADINGS, HEADINGS[:2]])
@pytest.mark.parametrize("text", ["-----", "====="])
def test_a_line_of_dashes_is_one_however_many_columns_there_are(headings: list[str], text: str) -> None:
    assert reasons(headings, ["Acme"], [text], [text, text]) == ["", *["is a line of dashes or control characters"] * 2]


@pytest.mark.parametrize("word", ["المجموع", 'סה"כ', "Total"])
def test_totals_are_no_organization(word: str) -> None:
    assert reasons(HEADINGS, ANN, [word, None, None, 2])[1].endswith("totals")


def test_a_telephone_number_is_no_sum() -> None:
    headings = ["Company", "City", "Phone"]
    rows = staged(headings, *(["Total", None, number] for number in ("+33 1 4744 4546", "474445", "47444", 2)))
    assert [row["organization"] for row in rows] == ["Total", "Total", None, None]
    assert ["totals" in (row["problems"] or "") for row in rows] == [False, False, True, True]
    assert reasons(["Company", "Phone", "City"], ["Total", "474445", None]) == [""]


@pytest.mark.parametrize("name", ["TBC", "tbc", "N.N.", "+1", "-", "n/a", "(deleted)", "Unknown", ".", "k.A."])
def test_a_placeholder_is_not_a_name(name: str) -> None:
    guests = stage(["Name", "Diet", "Table"], ["Ann Lee", "vegan", 1], [name, "vegan", 1])
    rows = guests.table.to_pylist()
    assert [row["last_name"] for row in rows] == ["Lee", None]
    assert "identifies nobody" in rows[1]["problems"]
    assert json.loads(rows[1]["raw"])[0] == ["Name", name]
    assert guests.null_words == {0: 1}


def test_a_placeholder_beside_what_identifies_the_row_is_a_blank_cell() -> None:
    headings = ["Name", "Company", "City", "Email"]
    rows = staged(headings, ["-", "Acme", "Ulm", "a@x.org"], ["Ann Lee", "n/a", "Ulm", None])
    assert people(rows) == [["Acme", None, None, "Ulm"], [None, "Ann", "Lee", "Ulm"]]
    names = staged(
        ["First Name", "Last Name", "Email"], ["N/A", "N/A", "a@x.org"], ["Ann", "[not provided]", "b@x.org"]
    )
    assert [(row["first_name"], row["last_name"], row["email"]) for row in names] == [
        (None, None, "a@x.org"),
        ("Ann", None, "b@x.org"),
    ]


def test_words_that_are_names_too_stay() -> None:
    rows = staged(["First Name", "Last Name", "Diet"], ["Nan", "None", "-"], ["Na", "Guest", "unknown"])
    assert [(row["first_name"], row["last_name"], json.loads(row["extra"])) for row in rows] == [
        ("Nan", "None", {"Diet": "-"}),
        ("Na", "Guest", {"Diet": "unknown"}),
    ]


@pytest.mark.parametrize("mark", ['"', "dto.", "ditto", "〃", "s.o."])
def test_a_ditto_mark_is_a_fault_of_its_cell(mark: str) -> None:
    rows = staged(["Name", "Company", "City"], ["Ann Lee", "Acme", "Ulm"], ["Bob Ray", mark, "Bonn"])
    assert json.loads(rows[1]["problems"]) == [["Company", mark, f"B3 {DITTO_REASON}"]]
    assert [row["organization"] for row in rows] == ["Acme", None]


def test_a_footer_of_a_text_file_is_a_remark(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("Company,City,Phone\nAcme,Bonn,0228 1111111\nConfidential Information - Do Not Distribute\n")
    result = read(path)
    [[heading, value, reason]] = result.problems[1]
    assert (heading, value, "remark" in reason) == (None, None, True)


def test_headings_in_another_order_begin_another_list() -> None:
    found = reasons(HEADINGS, ANN, ["Company", "Last Name", "First Name", "City"], BOB)
    assert found[0] == ""
    assert "other headings" in found[1]
    assert "is below other headings" in found[2]


def test_rows_that_look_blank_are_blank(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    lines = [
        ["\u00a0", "\u200b", "\ufeff"],
        [None, None, False],
        [None, None, 0],
        ["0", None, None],
        [None, None, True],
    ]
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(
            [["Name", "City", "Speaks"], ["Ann Lee", "Ulm", False], *lines, ["Bob Ray", "Bonn"]]
        ):
            sheet.write_row(number, 0, row)
    result = read(path)
    assert [(row["row_number"], row["last_name"], row["extra"]) for row in result.rows if not row["problems"]] == [
        ("2", "Lee", {"Speaks": "FALSE"}),
        ("8", "Ray", {}),
    ]
    assert [row["row_number"] for row in result.rows if row["problems"]] == ["6", "7"]


@pytest.mark.parametrize("name", ["0", "(null)", "TBC"])
def test_a_row_of_nothing_but_a_placeholder_below_the_headings_is_a_reject(name: str) -> None:
    assert ["nobody" in reason for reason in reasons(HEADINGS, [None, None, name, None], ANN)] == [True, False]
