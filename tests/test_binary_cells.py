"""Binary workbooks (.xlsb), written here record by record as [MS-XLSB] has them: no library writes any."""

import datetime as dt
import struct
import zipfile
from pathlib import Path

import pytest

from tasks.crm.readers.cell import ErrorCell
from tasks.crm.readers.workbook import WorkbookError, open_workbook

FORMATS = ("General", "00000", "yyyy-mm-dd", "0%")
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
ROW, BLANK, SMALL_NUMBER, ERROR, BOOLEAN, NUMBER, TEXT, FORMULA_NUMBER, FORMULA_ERROR = 0, 1, 2, 3, 4, 5, 6, 9, 11


def record(kind: int, content: bytes = b"") -> bytes:
    length, groups = len(content), b""
    while length >= 0x80:
        groups, length = groups + bytes([length & 0x7F | 0x80]), length >> 7
    head = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    return head + groups + bytes([length]) + content


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode("utf-16-le")


def row(number: int) -> bytes:
    return record(ROW, struct.pack("<IIHBBBI", number - 1, 0, 0, 0, 0, 0, 0))


def cell(kind: int, column: int, value: bytes = b"", style: int = 0) -> bytes:
    return record(kind, struct.pack("<II", column, style) + value)


def formula(kind: int, column: int, value: bytes, style: int = 0) -> bytes:
    return cell(kind, column, value + struct.pack("<HII", 0, 0, 0), style)


def number(value: float) -> bytes:
    return struct.pack("<d", value)


def binary_workbook(path: Path, cells: bytes, *, of_1904: bool = False) -> Path:
    relations = (
        f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="s" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.bin"/>'
        f'<Relationship Id="t" Type="{OFFICE}/styles" Target="styles.bin"/></Relationships>'
    )
    own = list(enumerate(FORMATS[1:], 164))
    styles = (
        record(278)
        + record(615, struct.pack("<I", len(own)))
        + b"".join(record(44, struct.pack("<H", number) + text(code)) for number, code in own)
        + record(616)
        + record(617, struct.pack("<I", len(FORMATS)))
        + b"".join(
            record(47, struct.pack("<HHHHHBBHH", 0, number, 0, 0, 0, 0, 0, 0, 0))
            for number in (0, *(number for number, _ in own))
        )
        + record(618)
        + record(279)
    )
    workbook = (
        record(131)
        + record(153, struct.pack("<II", int(of_1904), 0) + text(""))
        + record(143)
        + record(156, struct.pack("<II", 0, 1) + text("s") + text("S"))
        + record(144)
        + record(132)
    )
    sheet = (
        record(129) + record(148, struct.pack("<IIII", 0, 99, 0, 9)) + record(145) + cells + record(146) + record(130)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types"/>')
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships">'
            f'<Relationship Id="a" Type="{OFFICE}/officeDocument" Target="xl/workbook.bin"/></Relationships>',
        )
        archive.writestr("xl/workbook.bin", workbook)
        archive.writestr("xl/_rels/workbook.bin.rels", relations)
        archive.writestr("xl/styles.bin", styles)
        archive.writestr("xl/worksheets/sheet1.bin", sheet)
    return path


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
    with pytest.raises(WorkbookError, match=r"a.xlsb: sheet 'S' is damaged or incomplete"):
        rows_of(binary_workbook(tmp_path / "a.xlsb", cells))
