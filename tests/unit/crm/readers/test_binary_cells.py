"""Binary workbooks (.xlsb), written here record by record as [MS-XLSB] has them: no library writes any."""

import datetime as dt
import struct
from pathlib import Path

import pytest
from support.xlsb import (
    BLANK,
    BOOLEAN,
    ERROR,
    FORMULA_ERROR,
    FORMULA_NUMBER,
    NUMBER,
    SMALL_NUMBER,
    TEXT,
    binary_workbook,
    cell,
    formula,
    number,
    record,
    row,
    text,
)

from tasks.crm.readers.cell import ErrorCell
from tasks.crm.readers.workbook import WorkbookError, open_workbook


def rows_of(path: Path) -> list[tuple[int, list[object]]]:
    with open_workbook(path, path.name) as book:
        return list(book.rows("S"))


def test_cells_arrive_as_they_are_shown_with_excels_row_numbers(tmp_path: Path) -> None:
    cells = (
        row(3)
        + cell(TEXT, 1, text("Zoë"))
        + cell(NUMBER, 2, number(94523))
        + cell(NUMBER, 3, number(1067), style=1)
        + cell(SMALL_NUMBER, 4, struct.pack("<I", 7 << 2 | 2), style=1)
        + cell(BOOLEAN, 5, b"\1")
        + row(5)
        + cell(NUMBER, 0, number(45351), style=2)
        + formula(FORMULA_NUMBER, 1, number(0.25), style=3)
        + cell(BLANK, 2, style=1)
    )
    found = rows_of(binary_workbook(tmp_path / "a.xlsb", cells))
    assert found == [
        (3, [None, "Zoë", 94523.0, "01067", "00007", True]),
        (5, [dt.date(2024, 2, 29), "25%", *found[1][1][2:]]),
    ]
    assert set(found[1][1][2:]) <= {None}


def test_days_count_from_1904_where_the_workbook_says_so(tmp_path: Path) -> None:
    path = binary_workbook(tmp_path / "a.xlsb", row(1) + cell(NUMBER, 0, number(45351 - 1462), style=2), of_1904=True)
    assert rows_of(path) == [(1, [dt.date(2024, 2, 29)])]


@pytest.mark.parametrize(
    ("code", "shown"),
    [(0, "#NULL!"), (7, "#DIV/0!"), (15, "#VALUE!"), (23, "#REF!"), (29, "#NAME?"), (36, "#NUM!"), (42, "#N/A")],
)
def test_an_error_is_never_a_blank(tmp_path: Path, code: int, shown: str) -> None:
    cells = row(2) + cell(ERROR, 1, bytes([code])) + row(7) + formula(FORMULA_ERROR, 0, bytes([code]))
    assert [(n, [c for c in cells if c]) for n, cells in rows_of(binary_workbook(tmp_path / "a.xlsb", cells))] == [
        (2, [ErrorCell(shown)]),
        (7, [ErrorCell(shown)]),
    ]


@pytest.mark.parametrize(
    "cells", [row(1) + cell(NUMBER, 0, number(1))[:-4], row(1) + record(13, b"\0\0\0\0\0\0\0\0"), row(2_000_000)]
)
def test_records_that_cannot_be_followed_are_a_sentence(tmp_path: Path, cells: bytes) -> None:
    with pytest.raises(WorkbookError, match=r"a.xlsb: sheet 'S' is damaged"):
        rows_of(binary_workbook(tmp_path / "a.xlsb", cells))
