"""The child process that reads a workbook: real files, a real process, and what it says on its standard output."""

import datetime as dt
import html
import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from openpyxl.utils import get_column_letter, range_boundaries
from support.ods import document, table
from support.reading import ADA, HEADINGS, ReadResult, csv, read, sheets, workbook
from support.xlsx import MAIN, workbook_with_sheet_xml

# --- groups and sections


def test_people_below_the_first_of_a_group_are_reported_to_have_no_organisation(tmp_path: Path) -> None:
    rows = [["Acme", "Ann", "Lee", "a@x.org"], [None, "Bob", "Ray", "b@x.org"], ["Beta", "Cid", "Fox", "c@x.org"]]
    result = read(workbook(tmp_path / "grouped.xlsx", [["Account Name  ↑", *HEADINGS[1:]], *rows]))
    assert [row["organization"] for row in result.rows] == ["Acme", None, "Beta"]
    [assumption] = result.assumptions
    assert "without an organisation" in assumption
    assert ": 1 " in assumption
    assert read(workbook(tmp_path / "list.xlsx", [HEADINGS, *rows])).assumptions == []
    whole = read(workbook(tmp_path / "whole.xlsx", [["Account Name  ↑", *HEADINGS[1:]], rows[0], rows[2]]))
    assert whole.assumptions == []


# --- what is found


def test_a_row_arrives_whole(tmp_path: Path) -> None:
    result = read(workbook(tmp_path / "book.xlsx", [[*HEADINGS, "Zip"], [*ADA, 94523]]))
    assert result.headings == {
        "sheet": "Contacts",
        "row": 1,
        "fields": dict(zip(["organization", "first_name", "last_name", "email"], HEADINGS, strict=True)),
        "extra": ["Zip"],
        "rows": result.headings["rows"],
        "date_columns": {},
        "system": None,
        "above": 0,
        "unused_ids": [],
        "not_read": [],
    }
    assert [(b["first"], b["last"], b["rejected"]) for b in result.batches] == [(2, 2, 0)]
    assert result.end == {"rows": 1, "rejected": 0, "day_first": None}
    row = result.row()
    assert re.fullmatch(r"\\x[0-9a-f]{64}", row.pop("identity_hash"))
    assert re.fullmatch(r"\\x[0-9a-f]{64}", row.pop("name_hash"))
    assert row == {
        "position": "2",
        "sheet": "Contacts",
        "row_number": "2",
        "organization": "ACME",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "email": "ada@x.org",
        "extra": {"Zip": "94523"},
    }


def test_headings_are_found_below_titles_and_blank_rows_and_rows_keep_excels_numbers(tmp_path: Path) -> None:
    rows = [["Contacts of the embassy"], [], ["as of 2024"], HEADINGS, ADA, [], [], ["ACME", "Bob", "Bell", "b@x.org"]]
    result = read(workbook(tmp_path / "book.xlsx", rows))
    assert result.headings["row"] == 4
    assert [row["row_number"] for row in result.rows] == ["5", "8"]
    assert [row["position"] for row in result.rows] == ["5", "8"]


def several_sheets(path: Path) -> Path:
    with xlsxwriter.Workbook(path) as book:
        hidden = book.add_worksheet("Old")
        for number, row in enumerate([HEADINGS, ["Hidden", "Hid", "Den", "hid@x.org"]]):
            hidden.write_row(number, 0, row)
        figures = book.add_worksheet("Figures")
        figures.write_row(0, 0, ["Year", "Visitors"])
        figures.write_row(1, 0, [2024, 17])
        figures.activate()
        hidden.hide()
        people = book.add_worksheet("People")
        people.write_row(0, 0, HEADINGS)
        people.write_row(1, 0, ADA)
    return path


def test_the_first_visible_sheet_that_is_understood_is_read(tmp_path: Path) -> None:
    result = read(several_sheets(tmp_path / "book.xlsx"))
    assert result.headings["sheet"] == "People"
    assert result.row()["email"] == "ada@x.org"


def test_the_sheet_that_is_most_clearly_a_list_of_contacts_is_read(tmp_path: Path) -> None:
    words = [["Email", "Stage", "Source"], ["Call", "New", "Referral"]]
    people = [["Name", "Email"], ["Ada Lovelace", "ada@x.org"]]
    clear = [HEADINGS, ["ACME", "Bob", "Bell", "bob@x.org"]]
    few = sheets(tmp_path / "few.xlsx", {"Lists": words, "People": people, "Again": people, "Blank": []})
    many = sheets(tmp_path / "many.xlsx", {"Lists": words, "People": people, "Clear": clear, "Again": clear})
    assert read(few).headings["sheet"] == "People"
    assert read(few).row()["email"] == "ada@x.org"
    assert read(many).headings["sheet"] == "Clear"
    assert read(many, sheet="Lists").headings["sheet"] == "Lists"


def test_headings_far_below_blank_rows_are_distinguished_from_no_rows_at_all(tmp_path: Path) -> None:
    result = read(workbook(tmp_path / "book.xlsx", [*[[]] * 40, HEADINGS, ADA]))
    assert "the first 30 rows are blank" in result.refused
    assert (
        read(workbook(tmp_path / "book.xlsx", [*[[]] * 40, HEADINGS, ADA]), heading_row=41).row()["last_name"] == ADA[2]
    )


def test_rows_above_headings_that_the_user_names_are_no_data(tmp_path: Path) -> None:
    notes = [[f"note {n}"] for n in range(39)]
    result = read(workbook(tmp_path / "book.xlsx", [*notes, HEADINGS, ADA]), heading_row=40)
    assert [row["row_number"] for row in result.rows] == ["41"]
    assert result.headings["above"] == 39


def test_the_totals_row_of_a_table_is_that_of_the_sheet_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        people, sums = book.add_worksheet("People"), book.add_worksheet("Offices")
        for number, row in enumerate([HEADINGS, ADA, ["Beta", "Bob", "Bell", "bob@x.org"]]):
            people.write_row(number, 0, row)
        offices = [["Acme", 3], ["Beta", 4]]
        columns = [{"header": "Company", "total_string": "All"}, {"header": "Desks", "total_function": "sum"}]
        sums.add_table("A1:B4", {"data": offices, "columns": columns, "total_row": True})
        people.write_row(3, 0, ["Gamma", "Cid", "Fox", "cid@x.org"])
    assert [row["problems"] for row in read(path).rows] == [None] * 3
    assert read(path).headings["not_read"] == [{"sheet": "Offices", "rows": 3, "same_headings": False}]
    assert read(path, sheet="Offices").problems[-1][0][2].startswith("is the totals row")


def test_a_form_is_no_list_of_contacts(tmp_path: Path) -> None:
    result = read(sheets(tmp_path / "form.xlsx", {"S": [["Month", "May"], ["Name", "Ada"], ["Phone", "1234"]]}))
    assert "below each other" in result.refused
    assert "Ada" not in result.refused
    path = sheets(tmp_path / "given.xlsx", {"S": [["Wer", "x"], ["Lovelace", 1]]})
    transposed = read(path, columns={"Wer": "last_name"})
    assert transposed.row()["last_name"] == "Lovelace"


def test_a_sheet_that_is_asked_for_is_read_even_if_hidden(tmp_path: Path) -> None:
    assert read(several_sheets(tmp_path / "book.xlsx"), sheet="Old").row()["email"] == "hid@x.org"


def test_a_sheet_that_is_asked_for_is_never_replaced_by_another(tmp_path: Path) -> None:
    path = several_sheets(tmp_path / "book.xlsx")
    assert read(path, sheet="Nowhere").refused == "book.xlsx has no sheet 'Nowhere'; its sheets: Old, Figures, People"
    result = read(path, sheet="Figures")
    assert result.refused.startswith("book.xlsx: ")
    assert "none of them identifies" in result.refused
    assert not result.rows


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_headings_merged_over_two_rows_are_read_with_the_finer_ones_below(tmp_path: Path, kind: str) -> None:
    cells = {
        "A1": "Company", "B1": "Person", "D1": "Email", "E1": "Address", "B2": "First Name", "C2": "Last Name",
        "E2": "Zip", "F2": "District", "A3": "ACME", "B3": "Ada", "C3": "Lovelace", "D3": "ada@x.org", "E3": "W1",
        "F3": "7", "B4": "Bob", "C4": "Bell", "D4": "bob@x.org",
    }  # fmt: skip
    merged = ("A1:A2", "B1:C1", "D1:D2", "E1:F1", "A3:A4")
    path = merged_book(tmp_path / f"book.{kind}", cells, merged)
    result = read(path)
    assert result.headings["row"] == 2
    assert result.headings["fields"] == dict(
        zip(["organization", "first_name", "last_name", "email"], HEADINGS, strict=True)
    )
    assert [(row["row_number"], row["organization"], row["email"], row["extra"]) for row in result.rows] == [
        ("3", "ACME", "ada@x.org", {"Zip": "W1", "District": "7"}),
        ("4", "ACME", "bob@x.org", {}),
    ]


def test_a_label_merged_down_beside_the_table_does_not_move_its_headings(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active
    for line in (["Partners", *HEADINGS], [None, *ADA], [None, "ACME", "Bob", "Bell", "bob@x.org"]):
        book.active.append(line)
    book.active.merge_cells("A1:A3")
    book.save(tmp_path / "book.xlsx")
    result = read(tmp_path / "book.xlsx")
    assert result.headings["row"] == 1
    assert [row["first_name"] for row in result.rows] == ["Ada", "Bob"]


def test_of_merged_headings_the_lowest_row_is_taken_though_the_upper_names_more_fields(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active
    for line in (["Company", "Email", "Address"], [None, None, "Zip", "District"], ["ACME", "ada@x.org", "W1", "7"]):
        book.active.append(line)
    for cell_range in ("A1:A2", "B1:B2", "C1:D1"):
        book.active.merge_cells(cell_range)
    book.save(tmp_path / "book.xlsx")
    result = read(tmp_path / "book.xlsx")
    assert (result.headings["row"], result.end["rows"]) == (2, 1)
    assert (result.row()["email"], result.row()["extra"]) == ("ada@x.org", {"Zip": "W1", "District": "7"})


def merged_book(path: Path, cells: dict[str, str], merged: Sequence[str]) -> Path:
    """Cells, some of them merged, as .ods or .xlsx."""
    if path.suffix == ".ods":
        return merged_document(path, cells, merged)
    book = openpyxl.Workbook()
    assert book.active
    for place, value in cells.items():
        book.active[place] = value
    for cell_range in merged:
        book.active.merge_cells(cell_range)
    book.save(path)
    return path


def merged_document(path: Path, cells: dict[str, str], merged: Sequence[str]) -> Path:
    spans = {}
    for cell_range in merged:
        left, top, right, bottom = range_boundaries(cell_range)
        spans[left, top] = {"number-rows-spanned": bottom - top + 1, "number-columns-spanned": right - left + 1}
    rows = []
    for number in range(1, 1 + max(int(place[1:]) for place in cells)):
        row = ""
        for column in range(1, 7):
            says = "".join(f' table:{name}="{count}"' for name, count in spans.get((column, number), {}).items())
            value = cells.get(f"{get_column_letter(column)}{number}")
            kind = ' office:value-type="string"' if value else ""
            row += f"<table:table-cell{kind}{says}>{f'<text:p>{value}</text:p>' if value else ''}</table:table-cell>"
        rows.append(f"<table:table-row>{row}</table:table-row>")
    return document(path, table("".join(rows)))


BOB = ["bob@x.org", "Bell", "Bob", "ACME"]


def test_all_sheets_with_the_same_headings_are_read_in_whatever_order_their_columns_stand(tmp_path: Path) -> None:
    tables = {
        "Berlin": [HEADINGS, ADA, ["ACME", "Cy", "Coe", "bad"]],
        "Blank": [],
        "Paris": [["Our people"], [], HEADINGS[::-1], BOB, BOB, BOB],
        "Old": [["Something else"], ["x"]],
        "Rome": [[*HEADINGS, None], ADA],
    }
    result = read(sheets(tmp_path / "book.xlsx", tables, hidden="Old"), sheet="*", batch_rows=2)
    assert result.headings["sheet"] == "Berlin, Paris, Rome"
    assert result.end == {"rows": 6, "rejected": 1, "day_first": None}
    assert [(b["first"], b["last"], b["rows"], b["rejected"]) for b in result.batches] == [
        (2, 3, 2, 1),
        (7, 8, 2, 0),
        (9, 9, 1, 0),
        (11, 11, 1, 0),
    ]
    assert [(row["position"], row["sheet"], row["row_number"], row["email"]) for row in result.rows] == [
        ("2", "Berlin", "2", "ada@x.org"),
        ("3", "Berlin", "3", None),
        ("7", "Paris", "4", "bob@x.org"),
        ("8", "Paris", "5", "bob@x.org"),
        ("9", "Paris", "6", "bob@x.org"),
        ("11", "Rome", "2", "ada@x.org"),
    ]
    assert {row["last_name"] for row in result.rows} == {"Lovelace", None, "Bell"}


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (["Company", "First Name", "Last Name", "Mail", "Fax"], "it has no 'Email' and only it has 'Mail', 'Fax'"),
        (["Company", "First Name", "Last Name"], "it has no 'Email'"),
        ([*HEADINGS, "Company Size", "Company Size"], "only it has 'Company Size', 'Company Size'"),
    ],
)
def test_sheets_whose_headings_differ_are_never_read_as_if_they_did_not(
    tmp_path: Path, second: list[str], says: str
) -> None:
    path = sheets(tmp_path / "book.xlsx", {"A": [HEADINGS, ADA], "B": [second, [None, *ADA]]})
    result = read(path, sheet="*")
    assert result.refused.startswith("book.xlsx: the headings of sheet 'B' differ from those of 'A': ")
    assert f": {says}; " in result.refused
    assert not result.rows


def test_of_all_sheets_the_one_that_cannot_be_understood_is_named(tmp_path: Path) -> None:
    path = sheets(tmp_path / "book.xlsx", {"A": [HEADINGS, ADA], "B": [["Year", "Visitors"], [2024, 17]]})
    refused = read(path, sheet="*").refused
    assert refused.startswith("book.xlsx: sheet 'B': ")
    blank = read(sheets(tmp_path / "blank.xlsx", {"A": [], "B": []}), sheet="*").refused
    assert blank.startswith("blank.xlsx has no rows")


def test_two_columns_on_one_field_is_one_error_that_lists_all_headings(tmp_path: Path) -> None:
    refused = read(csv(tmp_path / "a.csv", "Last Name,Email,E-Mail,Zip\nAda,a@x.org,b@x.org,1\n")).refused
    assert "one field: email" in refused
    for heading in ('A "Last Name"', 'B "Email"', 'C "E-Mail"', 'D "Zip"'):
        assert heading in refused
    assert "\n" not in refused


def test_what_the_user_says_of_columns_is_done(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "Wer,Email,E-Mail\nLovelace,a@x.org,b@x.org\n")
    row = read(path, columns={"Wer": "last_name", "Email": "extra"}).row()
    assert (row["last_name"], row["email"], row["extra"]) == ("Lovelace", "b@x.org", {"Email": "a@x.org"})


@pytest.mark.parametrize("rows", [[], [[None]], [["", " "]]])
def test_a_workbook_without_rows_is_refused(tmp_path: Path, rows: list[list[Any]]) -> None:
    refused = read(workbook(tmp_path / "book.xlsx", rows)).refused
    assert refused
    assert "\n" not in refused


def test_headings_without_rows_are_refused(tmp_path: Path) -> None:
    result = read(workbook(tmp_path / "book.xlsx", [HEADINGS]))
    assert result.refused.startswith("book.xlsx has headings but no rows on sheet 'Contacts'")


# --- what becomes of cells


def test_an_error_cell_is_a_reject_with_its_address_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet
    sheet.append([*HEADINGS, "Zip"])
    for row in (["#REF!", *ADA[1:], 1], [*ADA[:3], "#N/A", 2], [*ADA, "#DIV/0!"], [*ADA, 4]):
        sheet.append(row)
    book.save(path)
    result = read(path)
    assert result.problems == [
        [["Company", "#REF!", "A2 shows #REF!"]],
        [["Email", "#N/A", "D3 shows #N/A"]],
        [["Zip", "#DIV/0!", "E4 shows #DIV/0!"]],
        None,
    ]
    assert result.end["rejected"] == 3
    assert result.rows[1]["raw"] == [
        ["Company", "ACME"],
        ["First Name", "Ada"],
        ["Last Name", "Lovelace"],
        ["Email", "#N/A"],
        ["Zip", "2"],
    ]


def test_every_faulty_cell_of_a_row_is_reported_also_one_that_would_go_to_extra(tmp_path: Path) -> None:
    result = read(csv(tmp_path / "a.csv", "Last Name,Email,Zip\nAda,nobody,a\0b\n"))
    [faults] = result.problems
    assert [(heading, value) for heading, value, _ in faults] == [("Email", "nobody"), ("Zip", "a␀b")]


@pytest.mark.parametrize(
    "heading", ["Last Name", "Name", "Company", "Notes", "Zip", "Email", "Phone", "Last Contacted"]
)
def test_a_nul_is_a_reject_and_not_the_end_in_whatever_column(tmp_path: Path, heading: str) -> None:
    other = "Company" if heading == "Email" else "Email"
    good = "ACME" if other == "Company" else "a@x.org"
    result = read(csv(tmp_path / "a.csv", f"{heading},{other}\na\0b,{good}\n,{good}\n"))
    assert result.end["rows"] == 2
    [[[column, value, reason]], second] = result.problems
    assert (column, value) == (heading, "a␀b")
    assert "NUL" in reason or heading in ("Email", "Phone", "Last Contacted")
    assert second is None


@pytest.mark.parametrize("heading", ["Last Name", "Name", "Company", "Zip", "Email"])
def test_a_lone_surrogate_is_a_reject_and_not_the_end(tmp_path: Path, heading: str) -> None:
    """Excel writes characters that XML lacks as _xHHHH_, and half of an emoji is one of them."""
    other = "Company" if heading == "Email" else "Email"
    book = workbook(tmp_path / "a.xlsx", [[heading, other], ["a_xD83D_b", "ACME" if other == "Company" else "a@x.org"]])
    result = read(book)
    assert result.end["rows"] == 1
    if result.problems[0] is None:  # the reader kept what stands in the file
        assert "_xD83D_" in json.dumps(result.rows[0])
    else:
        assert result.problems[0][0][0] == heading


@pytest.mark.parametrize(
    ("heading", "kept"), [("Last Name", False), ("Name", False), ("Company", False), ("Notes", True), ("Zip", True)]
)
def test_a_cell_of_40000_characters_is_kept_where_it_fits(tmp_path: Path, heading: str, kept: bool) -> None:
    result = read(csv(tmp_path / "a.csv", f"{heading},Email\n{'x' * 40_000},a@x.org\n"))
    assert result.end == {"rows": 1, "rejected": int(not kept), "day_first": None}
    if kept:
        assert "x" * 40_000 in (result.row().get("notes"), result.row()["extra"].get("Zip"))
    else:
        assert "has 40,000 characters, at most 1,000 fit" in result.problems[0][0][2]


TRICKY = [
    "=cmd|' /C calc'!A0",
    "'; DROP TABLE contacts; --",
    "\\.",
    "\\",
    "a\tb",
    "\\x41",
    "{}",
    "-1+2",
]


def test_cells_like_formulas_sql_and_copy_commands_are_text(tmp_path: Path) -> None:
    lines = "".join(f'"{cell}",a{n}@x.org,"{cell}","{cell}"\n' for n, cell in enumerate(TRICKY))
    result = read(csv(tmp_path / "a.csv", f"Last Name,Email,Zip,Notes\n{lines}\\.,z@x.org,\\.,\\.\n"))
    for cell, row in zip([*TRICKY, "\\."], result.rows, strict=True):
        if cell.startswith("="):  # what a person sees there only Excel can tell
            assert all("formula" in reason for _, _, reason in row["problems"])
            continue
        assert row["last_name"] == cell.replace("\t", " ")
        assert row["extra"]["Zip"] == cell
        assert row["notes"] == cell


def test_notes_keep_their_lines(tmp_path: Path) -> None:
    row = read(csv(tmp_path / "a.csv", 'Email,Notes,Diary\na@x.org,"one\r\ntwo\t\\n","x\ny\r"\n')).row()
    assert row["notes"] == "one\ntwo\t\\n"
    assert row["extra"] == {"Diary": "x\ny"}


def test_nothing_is_dropped_that_has_no_field_or_no_heading(tmp_path: Path) -> None:
    rows = [
        ["Email", None, "Zip", "Zip", "Email 2"],
        ["a@x.org", "one", "two", "three", None, "five", "six"],
        ["b@x.org", " "],
    ]
    result = read(workbook(tmp_path / "a.xlsx", rows))
    assert result.row(0)["extra"] == {
        "Column B": "one",
        "Zip": "two",
        "Zip (2)": "three",
        "Column F": "five",
        "Column G": "six",
    }
    assert result.row(1)["extra"] == {}


def test_numbers_booleans_and_times_are_kept_as_people_see_them(tmp_path: Path) -> None:
    rows = [["Email", "Zip", "Active", "Score"], ["a@x.org", 94523, True, 0.1 + 0.2]]
    assert read(workbook(tmp_path / "a.xlsx", rows)).row()["extra"] == {
        "Zip": "94523",
        "Active": "TRUE",
        "Score": "0.3",
    }


def test_odoo_names_people_and_companies_in_one_column(tmp_path: Path) -> None:
    rows = [
        ["Name", "Is a Company", "Email"],
        ["Deco Addict", True, "deco@x.org"],
        ["Ada King Lovelace", False, "ada@x.org"],
        ["Lumber Inc", "true", "l@x.org"],
        ["Bell, Bob", None, "bob@x.org"],
    ]
    result = read(workbook(tmp_path / "a.xlsx", rows))
    assert [(row["organization"], row["first_name"], row["last_name"]) for row in result.rows] == [
        ("Deco Addict", None, None),
        (None, "Ada King", "Lovelace"),
        ("Lumber Inc", None, None),
        (None, "Bob", "Bell"),
    ]


# --- dates


def dates(tmp_path: Path, *cells: Any) -> ReadResult:
    return read(
        csv(tmp_path / "a.csv", "Email,Last Contacted\n" + "".join(f'a{n}@x.org,"{c}"\n' for n, c in enumerate(cells)))
    )


@pytest.mark.parametrize(
    ("cells", "day_first"),
    [
        (["03/04/2024", "13/04/2024"], True),
        (["03/04/2024", "04/13/2024"], False),
        (["03/04/2024"], None),
        (["03/04/2024", "13/04/2024", "04/13/2024"], None),
        (["03/04/2024", "5 May 2024", "2024-05-06", "05.06.2024", "7/7/2024"], None),
    ],
)
def test_only_unambiguous_dates_tell_the_order_of_day_and_month(
    tmp_path: Path, cells: list[str], day_first: bool | None
) -> None:
    result = dates(tmp_path, *cells)
    assert result.end["day_first"] is day_first
    first = result.row(0)
    assert (first["last_contacted"], first["month_first"]) == ("2024-04-03", "2024-03-04")
    assert first["raw"] == [["Email", "a0@x.org"], ["Last Contacted", "03/04/2024"]]
    assert all("month_first" not in result.row(n) for n in range(1, len(cells)))


def test_real_dates_need_no_evidence_and_their_clock_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet, clock = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.write_row(0, 0, ["Email", "Last Contacted"])
        sheet.write_row(1, 0, ["a@x.org"])
        sheet.write_datetime(1, 1, dt.datetime(2024, 4, 3, 13, 5), clock)
    row = read(path).row()
    assert (row["last_contacted"], row["extra"]) == ("2024-04-03", {"Last Contacted": "2024-04-03 13:05:00"})


def test_of_two_columns_with_one_heading_the_date_that_cannot_be_settled_is_named(tmp_path: Path) -> None:
    rows = [["Email", "Last Contacted", "Last Contacted"], ["a@x.org", "2020-01-01", "03/04/2024"]]
    result = read(workbook(tmp_path / "a.xlsx", rows), columns={"Column B": "extra"})
    assert result.row()["raw"][result.headings["date_columns"]["Contacts"]] == ["Last Contacted", "03/04/2024"]


# --- merged and stray cells, and bytes that prove nothing


@pytest.mark.parametrize("sheet", [None, "*"])
@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_what_is_merged_over_several_rows_is_said_of_each_of_them(tmp_path: Path, sheet: str | None, kind: str) -> None:
    cells = dict(zip(("A1", "B1", "C1", "D1"), HEADINGS, strict=True))
    cells |= {f"A{n}": f"ACME {n}" for n in (2, 5, 6)} | {f"C{n}": f"Lee {n}" for n in (2, 3, 5, 7, 8)}
    cells |= {f"D{n}": f"a{n}@x.org" for n in range(2, 9)}
    # Over three rows, over two rows and columns, over no content, over columns alone.
    merged = ("A2:A4", "A6:B7", "B2:B5", "C3:C4", "C6:D6")
    del cells["D6"]
    path = merged_book(tmp_path / f"book.{kind}", cells, merged)
    found = {row["row_number"]: (row["organization"], row["last_name"]) for row in read(path, sheet=sheet).rows}
    assert found == {
        "2": ("ACME 2", "Lee 2"),
        "3": ("ACME 2", "Lee 3"),
        "4": ("ACME 2", "Lee 3"),
        "5": ("ACME 5", "Lee 5"),
        "6": ("ACME 6", None),
        "7": ("ACME 6", "Lee 7"),
        "8": (None, "Lee 8"),
    }


@pytest.mark.parametrize("across", [False, True], ids=["within pieces", "across"])
@pytest.mark.parametrize("sheet", [None, "*"])
def test_in_every_piece_of_a_sheet_merged_cells_are_whole(tmp_path: Path, sheet: str | None, across: bool) -> None:
    path = tmp_path / "a.xlsx"
    merged = [(2, 4), (1500, 1502), (2500, 2502), (3500, 3502), *([(1999, 2003)] if across else [])]
    company = {n: first for first, last in merged for n in range(first, last + 1)}
    with xlsxwriter.Workbook(path) as book:
        table = book.add_worksheet("Contacts")
        table.write_row(0, 0, HEADINGS)
        for n in range(2, 4001):
            table.write_row(
                n - 1, 0, [f"ACME {n}" if company.get(n, n) == n else None, "Ann", f"Lee {n}", f"a{n}@x.org"]
            )
        for first, last in merged:
            table.merge_range(f"A{first}:A{last}", f"ACME {first}")
    rows = read(path, sheet=sheet, batch_rows=1000).rows  # pieces have a thousand rows
    found = {int(row["row_number"]): row["organization"] for row in rows}
    assert found == {n: f"ACME {company.get(n, n)}" for n in range(2, 4001)}


def test_a_stray_cell_far_to_the_right_is_kept_and_makes_no_columns(tmp_path: Path) -> None:
    rows = [HEADINGS, *[[*ADA[:3], f"a{n}@x.org"] for n in range(9)], [*ADA[:3], "nobody"]]
    rows[4] = [*rows[4], *[None] * 200, "stray"]
    result = read(workbook(tmp_path / "a.xlsx", rows))
    assert result.headings["extra"] == []
    assert result.row(3)["extra"] == {"Column GW": "stray"}
    assert len(result.row(9)["raw"]) == 4


def test_a_column_without_a_heading_at_the_end_is_one_where_rows_fill_it(tmp_path: Path) -> None:
    rows = [[*HEADINGS, None], [*ADA, "x"], [*ADA, "y"], [*ADA, None]]
    assert read(workbook(tmp_path / "a.xlsx", rows)).headings["extra"] == ["Column E"]
    assert read(workbook(tmp_path / "b.xlsx", rows[:2])).headings["extra"] == ["Column E"]


def test_text_whose_bytes_do_not_prove_their_encoding_is_said(tmp_path: Path) -> None:
    for encoding, transposed in (("cp1252", ["read as Windows-1252"]), ("utf-8", []), ("utf-16", [])):
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes("Email,Last Name\na@x.org,Müller\n".encode(encoding))
        result = read(path)
        assert result.assumptions == transposed
        assert result.row()["last_name"] == "Müller"


# --- the process


def test_batches_follow_one_another(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "Email\n" + "".join(f"a{n}@x.org\n" if n % 3 else "bad\n" for n in range(1, 8)))
    result = read(path, batch_rows=3)
    assert [(b["first"], b["last"], b["rejected"]) for b in result.batches] == [(2, 4, 1), (5, 7, 1), (8, 8, 0)]
    assert [int(row["position"]) for row in result.rows] == list(range(2, 9))
    assert result.end == {"rows": 7, "rejected": 2, "day_first": None}


@pytest.mark.parametrize("batch_rows", [700, 2000])
def test_a_long_sheet_is_read_in_batches_of_which_each_row_arrives_once(tmp_path: Path, batch_rows: int) -> None:
    """No batch is larger than asked for, and none holds a row of another."""
    rows = [[f"ACME {n}", "Ada", "Lee", f"a{n}@x.org" if n % 50 else "bad", "31/01/2024"] for n in range(5, 5_004)]
    rows[1500:1520] = [[]] * 20
    path = workbook(tmp_path / "a.xlsx", [["Our people"], [], [], [*HEADINGS, "Last Contacted"], *rows])
    result = read(path, batch_rows=batch_rows)
    there = [n for n, row in enumerate(rows, 5) if row]
    assert sorted(int(row["row_number"]) for row in result.rows) == there
    assert all(row["position"] == row["row_number"] for row in result.rows)
    assert all(row["organization"] in (None, f"ACME {row['row_number']}") for row in result.rows)
    batches = sorted((b["first"], b["last"], b["rows"]) for b in result.batches)
    assert all(one[1] < next_[0] for one, next_ in itertools.pairwise(batches))
    assert max(rows for _, _, rows in batches) <= batch_rows
    rejected = sum(1 for n in there if n % 50 == 0)
    assert result.end == {"rows": len(there), "rejected": rejected, "day_first": True}
    assert result.headings["rows"] == 4_999


CORNER = '<c r="XFD1048576" t="inlineStr"><is><t>stray</t></is></c>'


def test_a_stray_cell_of_which_the_sheet_says_nothing_is_a_row(tmp_path: Path) -> None:
    """As a rectangle it would be 52 GB; it is one cell."""
    sheet = f"""<worksheet xmlns="{MAIN}"><dimension ref="A1:B2"/><sheetData>
        <row r="1"><c r="A1" t="inlineStr"><is><t>Email</t></is></c></row>
        <row r="2"><c r="A2" t="inlineStr"><is><t>ada@x.org</t></is></c></row><row r="1048576">{CORNER}</row>
        </sheetData></worksheet>"""
    result = read(workbook_with_sheet_xml(tmp_path / "stray.xlsx", sheet))
    assert result.end == {"rows": 2, "rejected": 1, "day_first": None}
    assert {row["row_number"]: row["email"] for row in result.rows} == {"2": "ada@x.org", "1048576": None}


def test_where_rows_have_no_numbers_a_stray_cell_is_a_row_too(tmp_path: Path) -> None:
    sheet = f"""<worksheet xmlns="{MAIN}"><dimension ref="A1:B2"/><sheetData>
        <row><c r="A1" t="inlineStr"><is><t>Email</t></is></c></row><row r="1048576">{CORNER}</row>
        </sheetData></worksheet>"""
    result = read(workbook_with_sheet_xml(tmp_path / "stray.xlsx", sheet))
    assert result.end == {"rows": 1, "rejected": 1, "day_first": None}


@pytest.mark.parametrize("name", ["../../escaped", "/etc/passwd", "a\tb", "'); DROP TABLE contacts; --", "<b>"])
def test_the_name_of_a_sheet_is_a_name_and_no_path(tmp_path: Path, name: str) -> None:
    cell = "<table:table-cell office:value-type='string'><text:p>{}</text:p></table:table-cell>"
    texts = ("Email", "a@x.org", "bad")
    rows = "".join(f"<table:table-row>{cell.format(text)}</table:table-row>" for text in texts)
    path = document(tmp_path / "book.ods", table(rows, html.escape(name).replace("\t", "&#9;")))
    result = read(path)
    assert [row["sheet"] for row in result.rows] == [name, name]
    assert {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()} == {
        "book.ods",
        "into/rows-2-3.csv",
    }


def test_rows_with_more_cells_than_headings_are_rejected_even_if_all_of_them_have(tmp_path: Path) -> None:
    result = read(csv(tmp_path / "a.csv", "Company,City,Country\nAcme, Inc.,Bonn,DE\nBeta, Ltd,Ulm,DE\n"))
    reasons = [reason for row in result.rows for _, _, reason in row["problems"]]
    assert len(reasons) == 2
    assert all(reason.startswith("has more cells than the 3 headings") for reason in reasons)
