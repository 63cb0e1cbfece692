"""Workbooks of Excel 4, which is a bare sequence of records, written here; newer ones are in test_real_workbooks.py."""

import datetime as dt
from pathlib import Path

import pytest
from support.xls import FORMATS, old_workbook

from tasks.crm.readers.cell import ErrorCell
from tasks.crm.readers.xls import OldExcel


def rows_of(path: Path) -> list[tuple[int, list[object]]]:
    book = OldExcel(path)
    try:
        return list(book.rows(book.sheets[0].name))
    finally:
        book.close()


def test_cells_arrive_as_they_are_shown_with_excels_row_numbers(tmp_path: Path) -> None:
    path = old_workbook(
        tmp_path / "a.xls",
        {
            (2, 1): "Zoë",
            (2, 2): (94523.0, "General"),
            (2, 3): (1067.0, "00000"),
            (2, 4): (0.25, "0%"),
            (2, 5): True,
            (2, 6): False,
            (4, 0): "",
            (5, 0): (45351.0, FORMATS[2]),
            (5, 1): (45351.5, FORMATS[2]),
            (5, 2): (0.5, "hh:mm"),
            (5, 3): (1.5, "[h]:mm"),
        },
    )
    assert rows_of(path) == [
        (3, [None, "Zoë", 94523.0, "01067", "25%", True, False]),
        (6, [dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 12), dt.time(12), dt.timedelta(days=1.5)]),
    ]


def test_days_count_from_1904_where_the_workbook_says_so(tmp_path: Path) -> None:
    path = old_workbook(tmp_path / "a.xls", {(0, 0): (45351.0 - 1462, FORMATS[2])}, of_1904=True)
    assert rows_of(path) == [(1, [dt.date(2024, 2, 29)])]


def test_a_sheet_can_be_read_again(tmp_path: Path) -> None:
    """As `sheet="*"` and the search for the likeliest sheet do."""
    book = OldExcel(old_workbook(tmp_path / "old.xls", {(0, 0): "Ada"}))
    assert list(book.rows(book.sheets[0].name)) == list(book.rows(book.sheets[0].name)) == [(1, ["Ada"])]
    book.close()


@pytest.mark.parametrize(
    ("code", "shown"),
    [(0, "#NULL!"), (7, "#DIV/0!"), (15, "#VALUE!"), (23, "#REF!"), (29, "#NAME?"), (36, "#NUM!"), (42, "#N/A")],
)
def test_an_error_is_never_a_blank(tmp_path: Path, code: int, shown: str) -> None:
    assert rows_of(old_workbook(tmp_path / "a.xls", {(0, 1): bytes([code])})) == [(1, [None, ErrorCell(shown)])]


def test_a_date_that_no_calendar_has_stays_the_number_it_is(tmp_path: Path) -> None:
    assert rows_of(old_workbook(tmp_path / "a.xls", {(0, 0): (1e9, FORMATS[2])})) == [(1, [1e9])]
