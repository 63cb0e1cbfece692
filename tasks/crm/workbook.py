"""What a workbook says, cell by cell, and the one plain sentence when it cannot be read.

The format is told from the content, never from the name: people rename files, and systems export web pages as .xls.
calamine reads .xlsx eight times faster than openpyxl but loses some cells (see `lost_cells.py`) and cannot open every
file; openpyxl reads what calamine cannot, and sheets so wide and long that calamine would ask for more memory than a
machine has. This module starts in a few milliseconds, because the child process that reads a workbook imports it:
openpyxl is imported where it is used.
"""

import datetime as dt
import mmap
import warnings
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import python_calamine as calamine

from tasks.crm import delimited, lost_cells

T = TypeVar("T")


class WorkbookError(Exception):
    """A workbook that cannot be fetched or read: one plain sentence that says what to do. Trying again is no use."""


@dataclass(frozen=True)
class ErrorCell:
    """A cell that shows an error, or whose formula was never calculated: never to be taken for a blank one."""

    text: str  # as Excel shows it ("#REF!"), or lost_cells.NOT_CALCULATED


# None is a blank cell; "" never appears. Numbers of an .xlsx are float (94523.0), as calamine gives them: only the
# field rules that need text pay for turning them into it. Cells of a .csv are all str.
Cell = str | int | float | bool | dt.datetime | dt.date | dt.time | dt.timedelta | ErrorCell | None
Row = tuple[int, list[Cell]]  # the row's number as Excel shows it, its cells from column A on


@dataclass(frozen=True)
class SheetInfo:
    """A sheet that can hold cells; chart sheets are left out."""

    name: str
    visible: bool  # False: hidden or very hidden


# calamine holds a sheet as one rectangle of about 32 bytes a cell: this many cells are 1 GB. Beyond it openpyxl reads
# row by row, slowly, and a stray cell in the last row and column costs nothing.
MOST_CELLS = 2**25

_SAVE_AS = "open it in Excel or LibreOffice, save it as .xlsx and import that"
_DAMAGED = f"is damaged or incomplete: fetch it again, or {_SAVE_AS}"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_WEB_PAGE = f"is a web page, not a workbook: if it shows your table, {_SAVE_AS}; if it asks to sign in, download it"
_COMPRESSED = "is a compressed file, not a workbook: unpack it and import what is inside"
_PROGRAM = "is a program, not a workbook: do not open it before you know where it came from"
_DOCUMENT = "is a document, not a workbook: copy its table into a workbook and import that"
# How files that are no workbook begin, in lower case.
_BEGINNINGS: dict[tuple[bytes, ...], str] = {
    (b"<!doctype", b"<html", b"<head", b"<meta", b"<body", b"<table", b"<style", b"<!--"): _WEB_PAGE,
    (b"<?xml", b"<?mso-application", b"<workbook"): f"is XML, not a workbook: {_SAVE_AS}",
    (b"%pdf-",): "is a PDF, not a workbook: export the table as .xlsx or .csv and import that",
    (b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"rar!"): _COMPRESSED,
    (b"mz\x90\x00", b"\x7felf"): _PROGRAM,
    (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00"): f"is a workbook of Excel 4 or older: {_SAVE_AS}",
}


class Workbook:
    """An open workbook, a context manager. Made by `open_workbook`."""

    sheets: list[SheetInfo]  # in the workbook's order
    in_memory = False  # the sheet that `rows` is reading is, so that a fork can go on reading it
    height = 0  # its last row as Excel shows it; 0 where only reading to the end would tell

    def rows(self, sheet: str) -> Iterator[Row]:
        """Rows of a sheet from the top, wholly blank ones left out. Raises WorkbookError, also half-way."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file; `rows` is of no use afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_workbook(path: Path, name: str) -> Workbook:
    """The workbook at `path` (a private copy); `name` is what people call it, in messages.

    Raises WorkbookError: empty, password-protected, damaged, of a format that is not read, or not a workbook at all.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(4096)
    except OSError as error:
        raise WorkbookError(f"{name} cannot be read: {error.strerror}") from error
    if not beginning.strip() and path.stat().st_size == len(beginning):
        raise WorkbookError(f"{name} is empty: export it again")
    if beginning.startswith(_ZIP):
        return _Spreadsheet(path, name)
    if beginning.startswith(_OLE):
        raise WorkbookError(f"{name} {_what_ole_is(path)}")
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for magic, what in _BEGINNINGS.items():
        if text.startswith(magic) or beginning.startswith(magic):
            raise WorkbookError(f"{name} {what}")
    return _Table(path, name)


def _what_ole_is(path: Path) -> str:
    """An OLE container is an encrypted .xlsx or an .xls; of an .xls no reader here shows the error cells."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find("EncryptedPackage".encode("utf-16-le")) >= 0:
            return "is password-protected: save it without a password and import it again"
        if content.find("WordDocument".encode("utf-16-le")) >= 0:
            return _DOCUMENT
    return f"is a workbook in the old .xls format: {_SAVE_AS}"


def _what_else_zip_is(archive: zipfile.ZipFile) -> str | None:
    """What a zip is if not an .xlsx. calamine would open .ods and .xlsb, and lose their error cells."""
    names = archive.namelist()
    if "xl/workbook.bin" in names:
        return f"is a binary workbook (.xlsb): {_SAVE_AS}"
    if any(name.lower().startswith(("xl/", "xl\\", "_rels/")) for name in names):
        return _DOCUMENT if any(name.startswith(("word/", "ppt/")) for name in names) else None
    if "content.xml" in names:
        return f"is an OpenDocument file (.ods): {_SAVE_AS}"
    return _COMPRESSED if names else _DAMAGED


@contextmanager
def _in_our_words(sentence: str) -> Iterator[None]:
    """One sentence for whatever a reader raises: its own words tell people nothing.

    A panic in calamine's Rust arrives as PanicException, which is a BaseException. MemoryError is not about the file.
    """
    try:
        yield
    except (WorkbookError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise WorkbookError(sentence) from error


def _unless_it_fails(read: Callable[[], T]) -> T | None:
    """What calamine reads, None if it cannot: it stops at XML it does not know, where openpyxl goes on."""
    try:
        with _in_our_words(""):
            return read()
    except WorkbookError:
        return None


class _Spreadsheet(Workbook):
    """An .xlsx or .xlsm."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        with _in_our_words(f"{name} {_DAMAGED}"):
            self._archive = zipfile.ZipFile(path)
            if what := _what_else_zip_is(self._archive):
                raise WorkbookError(f"{name} {what}")
            self._parts = lost_cells.sheet_parts(self._archive)
            self._calamine = _unless_it_fails(lambda: calamine.CalamineWorkbook.from_path(path))
            if self._calamine:
                self.sheets = [
                    SheetInfo(sheet.name, sheet.visible == calamine.SheetVisibleEnum.Visible)
                    for sheet in self._calamine.sheets_metadata
                    if sheet.typ == calamine.SheetTypeEnum.WorkSheet
                ]
            else:
                with self._openpyxl() as book:
                    self.sheets = [SheetInfo(sheet.title, sheet.sheet_state == "visible") for sheet in book.worksheets]

    def close(self) -> None:
        self._archive.close()
        if self._calamine:
            self._calamine.close()

    def rows(self, sheet: str) -> Iterator[Row]:
        if sheet not in {info.name for info in self.sheets}:
            raise WorkbookError(f"{self._name} has no sheet {sheet!r}: {', '.join(s.name for s in self.sheets)}")
        with _in_our_words(f"{self._name}: sheet {sheet!r} {_DAMAGED}"):
            book, part, parsed = self._calamine, self._parts[sheet], None
            with ThreadPoolExecutor(1) as other_core:
                searched = other_core.submit(lost_cells.find_lost_cells, self._archive, part)
                if book and lost_cells.fits_calamine(self._archive, part, MOST_CELLS):
                    parsed = _unless_it_fails(lambda: book.get_sheet_by_name(sheet))
                lost = searched.result()
            if parsed:
                self.in_memory, self.height = True, parsed.end[0] + 1 if parsed.end else 0
            rows = _calamine_rows(parsed) if parsed else self._openpyxl_rows(sheet)
            yield from _with_lost_cells(rows, lost) if lost else rows

    @contextmanager
    def _openpyxl(self) -> Iterator[Any]:
        import openpyxl  # noqa: PLC0415 - a fifth of a second, and hardly ever needed

        with self._path.open("rb") as file, warnings.catch_warnings():  # by path it would judge the file's name
            warnings.simplefilter("ignore")  # it warns of charts and validations that nobody asked for
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            try:
                yield book
            finally:
                book.close()

    def _openpyxl_rows(self, sheet: str) -> Iterator[Row]:
        with self._openpyxl() as book:
            book[sheet].reset_dimensions()  # rows as long as they are, not as the widest
            for number, row in enumerate(book[sheet].iter_rows(), 1):
                cells = [_openpyxl_cell(cell) for cell in row]
                if any(cell is not None for cell in cells):
                    yield number, cells


def _calamine_rows(sheet: calamine.CalamineSheet) -> Iterator[Row]:
    """iter_rows gives the empty rows above the first cell but not the empty columns before it."""
    before: list[Cell] = [None] * (sheet.start[1] if sheet.start else 0)

    blank = [""] * sheet.width
    for number, row in enumerate(sheet.iter_rows(), 1):
        if row != blank:
            cells: list[Cell] = [cell or (None if cell == "" else cell) for cell in row]
            yield number, before + cells if before else cells


def _openpyxl_cell(cell: Any) -> Cell:
    from openpyxl.utils.escape import unescape  # noqa: PLC0415 - see _openpyxl

    value: Cell = cell.value
    if cell.data_type == "e":
        return ErrorCell(str(value))
    if isinstance(value, str):
        return unescape(value) or None  # _x000D_ and its like, which calamine decodes
    return value


def _with_lost_cells(rows: Iterator[Row], lost: lost_cells.LostCells) -> Iterator[Row]:
    """`rows` with the lost cells in their places; they may stand beside, between and below the cells that were read."""
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


class _Table(Workbook):
    """A .csv, .tsv or other delimited text: one sheet, named like the file as Excel does."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        try:
            self._encoding = delimited.encoding_of(path)
        except delimited.DelimitedError as error:
            raise WorkbookError(f"{name} {error}") from error
        self.sheets = [SheetInfo(PurePosixPath(name).stem, visible=True)]

    def rows(self, sheet: str) -> Iterator[Row]:
        if sheet != self.sheets[0].name:
            raise WorkbookError(
                f"{self._name} has no sheet {sheet!r}: a table of text has one, {self.sheets[0].name!r}"
            )
        try:
            for number, cells in delimited.read_rows(self._path, self._encoding):
                yield number, cast("list[Cell]", cells)
        except delimited.DelimitedError as error:
            raise WorkbookError(f"{self._name} {error}") from error
