"""Reads the cells of a binary workbook (.xlsb) with calamine, and adds what it loses: error cells and number formats.

A sheet is a sequence of records with type and length ([MS-XLSB] 2.1.4). The search goes from one record to the next and
reads the few that matter. Formulas need no search: in this format they always have a value.
"""

import io
import struct
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from tasks.crm.readers.cell import Cell, ErrorCell, Merge, Row, SheetInfo
from tasks.crm.readers.number_formats import as_shown, text_styles
from tasks.crm.readers.xlsx_package import relations

if TYPE_CHECKING:
    import python_calamine

WORKBOOK = "xl/workbook.bin"  # the archive of an .xlsb has this member
_SHEET, _FORMAT, _CELL_STYLES, _CELL_STYLES_END, _STYLE = 156, 44, 617, 618, 47
_ROW, _BLANK, _SMALL_NUMBER, _ERROR, _NUMBER, _FORMULA_NUMBER, _FORMULA_ERROR = 0, 1, 2, 3, 5, 9, 11
_VISIBLE = 0
_SHORT_CELLS = range(12, 19)  # cells without a column number; calamine does not read them and Excel does not write them
_ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_LAST_ROW = 1_048_576
_MAX_RECORD_LENGTH = 1 << 24  # bytes
_MORE = 0x80  # the highest bit of a byte: another group of seven bits follows
_ROWS_AT_ONCE = 20_000  # as Python objects


class BinaryCellsError(ValueError):
    """The records of a sheet cannot be read."""


@dataclass(frozen=True)
class Package:
    """The members of an .xlsb that matter here."""

    sheets: list[SheetInfo]  # in the workbook's order
    parts: dict[str, str]  # name of the sheet -> the member that holds its cells
    text_styles: dict[int, str]  # index -> format, of styles that change the text of a number


@dataclass
class Run:
    """Consecutive cells of a column with the same format."""

    first: int
    last: int
    code: str


@dataclass
class Lost:
    """What calamine loses. Rows are numbered as in Excel, columns from 0."""

    cells: dict[int, dict[int, str]] = field(default_factory=dict)  # row -> column -> error
    formats: dict[int, list[Run]] = field(default_factory=dict)  # column -> its runs from the top

    def add_error(self, row: int, column: int, text: str) -> None:
        """Add a cell that shows an error, or NOT_CALCULATED."""
        self.cells.setdefault(row, {})[column] = text

    def add_format(self, row: int, column: int, code: str) -> None:
        """Add a cell whose format changes the text of a number. Call it for the cells of a column from the top."""
        runs = self.formats.setdefault(column, [])
        if runs and runs[-1].last == row - 1 and runs[-1].code == code:
            runs[-1].last = row
        else:
            runs.append(Run(row, row, code))


class BinaryExcel:
    """An open .xlsb. For a damaged file it raises exceptions of calamine, zipfile and `find_lost_cells`."""

    def __init__(self, path: Path) -> None:
        import python_calamine  # noqa: PLC0415 - takes time, and few workbooks are .xlsb

        self._archive = zipfile.ZipFile(path)
        self._package = package_of(self._archive)
        self._calamine = python_calamine.CalamineWorkbook.from_path(path)
        self.sheets = self._package.sheets
        self.merged: list[Merge] = []

    def close(self) -> None:
        """Close the file."""
        self._archive.close()
        self._calamine.close()

    def rows(self, sheet: str) -> Iterator[Row]:
        """The rows of a sheet without blank ones."""
        with ThreadPoolExecutor(1) as other_core:
            package = self._package
            searched = other_core.submit(find_lost_cells, self._archive, package.parts[sheet], package.text_styles)
            parsed = self._calamine.get_sheet_by_name(sheet)
            lost = searched.result()
        self.merged = [
            (top + 1, bottom + 1, left, right) for (top, left), (bottom, right) in parsed.merged_cell_ranges or []
        ]
        rows = _calamine_rows(parsed)
        if lost.formats:
            rows = _as_shown(rows, lost.formats)
        yield from _with_lost_cells(rows, lost.cells) if lost.cells else rows


def package_of(archive: zipfile.ZipFile) -> Package:
    """The members of a workbook. Raises KeyError, struct.error, zipfile.BadZipFile: they cannot be read."""
    targets = relations(archive, WORKBOOK)
    sheets, parts = [], {}
    with archive.open(WORKBOOK) as stream:
        for record, content in _records(stream):
            if record == _SHEET:
                relation, after = _text(content, 8)
                kind, part = targets.get(relation, ("worksheet", ""))  # a missing one is an error when it is read
                if kind == "worksheet":
                    name = _text(content, after)[0]
                    sheets.append(SheetInfo(name, struct.unpack_from("<I", content)[0] == _VISIBLE))
                    parts[name] = part
    styles = next((target for kind, target in targets.values() if kind == "styles"), None)
    return Package(sheets, parts, _text_styles(archive, styles) if styles else {})


def _text_styles(archive: zipfile.ZipFile, part: str) -> dict[int, str]:
    codes: dict[int, str] = {}
    styles: list[int] = []
    inside = False
    with archive.open(part) as stream:
        for kind, content in _records(stream):
            if kind == _FORMAT:
                codes[struct.unpack_from("<H", content)[0]] = _text(content, 2)[0]
            elif kind in (_CELL_STYLES, _CELL_STYLES_END):
                inside = kind == _CELL_STYLES
            elif kind == _STYLE and inside:
                styles.append(struct.unpack_from("<H", content, 2)[0])
    return text_styles(codes, styles)


def find_lost_cells(archive: zipfile.ZipFile, part: str, styles: Mapping[int, str]) -> Lost:
    """What calamine loses of the sheet in `part`; `styles`: see `Package.text_styles`.

    Raises:
        BinaryCellsError, struct.error, zipfile.BadZipFile, EOFError: the sheet is damaged.
    """
    lost = Lost()
    row = 0
    with archive.open(part) as stream:
        for kind, content in _records(stream):
            if kind == _ROW:
                row = struct.unpack_from("<I", content)[0] + 1
                if row > _LAST_ROW:
                    raise BinaryCellsError(row)
            elif kind in (_ERROR, _FORMULA_ERROR):
                lost.add_error(row, _column(content), _ERRORS.get(content[8], "#ERROR"))
            elif kind in (_BLANK, _SMALL_NUMBER, _NUMBER, _FORMULA_NUMBER):
                code = styles.get(int.from_bytes(content[4:7], "little")) if styles else None
                if code:
                    lost.add_format(row, _column(content), code)
            elif kind in _SHORT_CELLS:
                raise BinaryCellsError(kind)
    return lost


def _column(content: bytes) -> int:
    return int(struct.unpack_from("<I", content)[0])


def _records(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The type and the content of each record. Type and length are in groups of seven bits, lowest first."""
    stream = io.BufferedReader(cast("io.RawIOBase", stream), 1 << 20)  # nearly all reads are of one byte
    while first := stream.read(1):
        kind = first[0]
        if kind & 0x80:
            kind = kind & 0x7F | (_byte(stream) & 0x7F) << 7
        length = 0
        for shift in (0, 7, 14, 21):
            byte = _byte(stream)
            length |= (byte & 0x7F) << shift
            if byte < _MORE:
                break
        if length > _MAX_RECORD_LENGTH:
            raise BinaryCellsError(length)
        content = stream.read(length)
        if len(content) < length:
            raise EOFError
        yield kind, content


def _byte(stream: IO[bytes]) -> int:
    byte = stream.read(1)
    if not byte:
        raise EOFError
    return byte[0]


def _text(content: bytes, at: int) -> tuple[str, int]:
    """The string that begins at `at` with its length, and where it ends."""
    length = struct.unpack_from("<I", content, at)[0]
    end = at + 4 + 2 * length
    return content[at + 4 : end].decode("utf-16-le"), end


def _calamine_rows(sheet: "python_calamine.CalamineSheet") -> Iterator[Row]:
    """The rows from column A on: calamine leaves out empty columns before the first cell, but not empty rows above."""
    if sheet.start is None:
        return
    top, left = sheet.start
    few = sheet.height <= _ROWS_AT_ONCE
    rows, above = (sheet.to_python(), top) if few else (sheet.iter_rows(), 0)
    before: list[Cell] = [None] * left
    blank = [""] * sheet.width
    for number, row in enumerate(rows, above + 1):
        if row != blank:
            cells: list[Cell] = [cell or (None if cell == "" else cell) for cell in row]
            yield number, before + cells if before else cells


def _as_shown(rows: Iterator[Row], formats: dict[int, list[Run]]) -> Iterator[Row]:
    """The rows with the texts of numbers whose format changes them."""
    waiting = {column: list(reversed(runs)) for column, runs in formats.items()}
    for number, cells in rows:
        for column, runs in waiting.items():
            while runs and runs[-1].last < number:
                runs.pop()
            if column < len(cells) and runs and runs[-1].first <= number and type(cells[column]) in (float, int):
                value = cast("float", cells[column])
                cells[column] = as_shown(value, runs[-1].code) or value
        yield number, cells


def _with_lost_cells(rows: Iterator[Row], lost: dict[int, dict[int, str]]) -> Iterator[Row]:
    """The rows with the lost cells, which may be beside, between and below the cells that calamine has read."""
    waiting = sorted(lost, reverse=True)
    for number, cells in rows:
        while waiting and waiting[-1] < number:
            above = waiting.pop()
            yield above, _marked([], lost[above])
        if waiting and waiting[-1] == number:
            yield number, _marked(cells, lost[waiting.pop()])
        else:
            yield number, cells
    for below in reversed(waiting):
        yield below, _marked([], lost[below])


def _marked(cells: list[Cell], lost: dict[int, str]) -> list[Cell]:
    cells = cells + [None] * (max(lost) + 1 - len(cells))
    for column, text in lost.items():
        cells[column] = ErrorCell(text)
    return cells
