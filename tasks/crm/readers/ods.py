"""Reads the cells of an OpenDocument spreadsheet (.ods), row by row.

calamine reads .ods too, but it loses error cells, formulas that were never calculated, and the texts of formatted
numbers. To find them, the XML would have to be parsed a second time. So only lxml parses it here: five times slower,
and with memory that does not grow with the rows.
"""

import datetime as dt
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.crm.readers.budget import Budget
from tasks.crm.readers.cell import NOT_CALCULATED, Cell, ErrorCell, Merge, Row, SheetInfo
from tasks.crm.readers.number_formats import as_shown
from tasks.crm.readers.sheet_elements import SheetElements

_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_CALC = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
_CELL, _COVERED, _PARAGRAPH = f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell", f"{_TEXT}p"
_ROW, _SHEET, _SPREADSHEET = f"{_TABLE}table-row", f"{_TABLE}table", f"{_OFFICE}spreadsheet"
_TYPE, _CALC_TYPE, _VALUE, _FORMULA = (
    f"{_OFFICE}value-type",
    f"{_CALC}value-type",
    f"{_OFFICE}value",
    f"{_TABLE}formula",
)
_COLUMNS_REPEATED, _ROWS_REPEATED = f"{_TABLE}number-columns-repeated", f"{_TABLE}number-rows-repeated"
_COLUMNS_SPANNED, _ROWS_SPANNED = f"{_TABLE}number-columns-spanned", f"{_TABLE}number-rows-spanned"
_UNSHOWN = {f"{_OFFICE}annotation", f"{_TEXT}ruby-text", f"{_TEXT}note"}  # within a paragraph

_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384  # Excel's
_MAX_DIGITS = 15  # digits that a number can store
# The error of a formula, of any program. In other cells such a text was typed.
_ERROR = re.compile(r"#(?:REF!|DIV/0!|N/A|NAME\?|NUM!|VALUE!|NULL!|SPILL!|CALC!|GETTING_DATA)|Err:\d{3}")
_MIDNIGHT = dt.datetime(1900, 1, 1)  # noqa: DTZ001 - of any day
_DURATION = re.compile(r"(-?)P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,](\d+))?S)?")
_ZERO_LED = re.compile(r"\D*0\d.*", re.DOTALL)  # "01067", "D-01067", "01 23 45 67 89"; never "0.5"
_HYPHENED = re.compile(r"\d+(?:-\d+)+")  # "12345-6789"


class OpenDocumentError(ValueError):
    """The file cannot be read. The message is the rest of a sentence that begins with the file's name."""


class OpenDocument:
    """An open .ods. For a damaged file it raises exceptions of zipfile and lxml."""

    def __init__(self, path: Path, budget: Budget) -> None:
        self._budget = budget
        self._archive = zipfile.ZipFile(path)
        self.merged: list[Merge] = []  # of the rows that `rows` has yielded so far
        self.sheets: list[SheetInfo] = []
        self._places: dict[str, int] = {}  # of the sheets among all tables
        self._tables = SheetElements(
            lambda: self._elements(_SHEET, _ROW, starts=True), lambda each: each.tag == _SHEET and _is_table(each)
        )
        tables = 0
        hidden: set[str] = set()
        spreadsheet = False
        for _, element in self._elements(f"{_STYLE}style", _SHEET, _ROW, _SPREADSHEET):
            if element.tag == f"{_STYLE}style":
                if any(each.get(f"{_TABLE}display") == "false" for each in element):
                    hidden.add(element.get(f"{_STYLE}name", ""))
            elif element.tag == _SPREADSHEET:
                spreadsheet = True
            elif element.tag == _SHEET and _is_table(element):
                if not any(each.tag == f"{_TABLE}table-source" for each in element):  # Calc's copy from another file
                    style = element.get(f"{_TABLE}style-name", "")
                    name = element.get(f"{_TABLE}name", "")
                    self.sheets.append(SheetInfo(name, style not in hidden))
                    self._places.setdefault(name, tables)
                tables += 1
        if not spreadsheet:
            raise OpenDocumentError("is a document, not a workbook: copy its table into a workbook and import that")

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def rows(self, sheet: str) -> Iterator[Row]:
        """The rows of a sheet without blank ones. Raises BudgetError if it repeats too many cells."""
        self.merged = []
        number = 0
        for event, element in self._tables.of(self._places[sheet]):
            if event == "end" and element.tag == _ROW and _is_table(next(element.iterancestors(_SHEET))):
                times = min(_count(element.get(_ROWS_REPEATED)), _LAST_ROW - number)
                cells, only_repeated = self._cells(element, number + 1)
                self._budget.fill(only_repeated + len(cells) * (times - 1))
                for row in range(number + 1, number + times + 1 if cells else 0):
                    yield row, list(cells)
                number += times

    def _elements(self, *tags: str, starts: bool = False) -> Iterator[tuple[str, Any]]:
        """The elements of content.xml when they end (and begin); their memory is freed afterwards."""
        from lxml import etree  # noqa: PLC0415 - takes time, and few workbooks are .ods

        events = ("start", "end") if starts else ("end",)
        with self._archive.open("content.xml") as stream:
            for event, element in etree.iterparse(stream, events=events, tag=tags, resolve_entities=False):
                yield event, element
                if event == "end":
                    element.clear()
                    while (before := element.getprevious()) is not None and before.tag == element.tag:
                        element.getparent().remove(before)

    def _cells(self, row: Any, number: int) -> tuple[list[Cell], int]:
        """The cells of a row up to its last filled one, and how many of them exist only by a repeat count."""
        cells: list[Cell] = []
        blank = repeated = 0
        for element in row:
            if element.tag not in (_CELL, _COVERED):
                continue
            attributes = dict(element.items())
            times = 1
            if _COLUMNS_REPEATED in attributes:
                times = min(_count(attributes[_COLUMNS_REPEATED]), _LAST_COLUMN - len(cells) - blank)
            if _ROWS_SPANNED in attributes or _COLUMNS_SPANNED in attributes:
                column = len(cells) + blank
                rows, columns = _count(attributes.get(_ROWS_SPANNED)), _count(attributes.get(_COLUMNS_SPANNED))
                self.merged.append((number, number + rows - 1, column, column + columns - 1))
            value = _value(element, attributes)
            if value is None:
                blank += times
                continue
            if blank:
                cells += [None] * blank
                blank = 0
            if times == 1:
                cells.append(value)
            else:
                cells += [value] * times
                repeated += times - 1
        return cells, repeated


def _is_table(table: Any) -> bool:
    """Whether it is a table of the spreadsheet, not one inside a cell or a drawing."""
    parent = table.getparent()
    return parent is not None and parent.tag == _SPREADSHEET


def _count(text: str | None) -> int:
    return max(int(text), 1) if text and text.isascii() and text.isdigit() else 1


def _value(cell: Any, attributes: dict[str, str]) -> Cell:  # noqa: PLR0911 - one return for each type
    """The value of a cell."""
    kind, formula = attributes.get(_TYPE), _FORMULA in attributes
    if kind is None and not formula and not len(cell):  # nearly all blank ones
        return None
    paragraphs = [each.text or "" if not len(each) else _text(each) for each in cell if each.tag == _PARAGRAPH]
    text = paragraphs[0] if len(paragraphs) == 1 else "\n".join(paragraphs)
    if attributes.get(_CALC_TYPE) == "error" or (formula and _ERROR.fullmatch(text)):
        return ErrorCell(text or "#ERROR")
    if kind == "string":
        return text or attributes.get(f"{_OFFICE}string-value") or None
    if kind in ("float", "currency", "percentage"):
        number = float(attributes[_VALUE])
        return as_shown(number, "0%") if kind == "percentage" else _number(number, text)
    if kind == "date":
        return _date(attributes.get(f"{_OFFICE}date-value", ""), text)
    if kind == "time":
        return _time(attributes.get(f"{_OFFICE}time-value", ""), text)
    if kind == "boolean":
        return attributes.get(f"{_OFFICE}boolean-value") == "true"
    if formula and not paragraphs:
        return ErrorCell(NOT_CALCULATED)
    return text or None


def _number(number: float, text: str) -> Cell:
    """The number, or its text if the format adds leading zeros or hyphens, or makes TRUE of it."""
    if text.upper() in ("TRUE", "FALSE") and number in (0, 1):  # as Calc writes booleans of formulas
        return bool(number)
    if (_ZERO_LED.fullmatch(text) or _HYPHENED.fullmatch(text)) and number >= 0 and number.is_integer():
        digits = "".join(character for character in text if character.isdigit())
        if len(digits) <= _MAX_DIGITS and int(digits) == number:
            return text
    return number


def _date(stated: str, text: str) -> Cell:
    try:
        moment = dt.datetime.fromisoformat(stated)
    except ValueError:  # before the year 1 or after 9999
        return text or stated or None
    return moment.date() if moment.time() == dt.time() else moment.replace(tzinfo=None)


def _time(stated: str, text: str) -> Cell:
    found = _DURATION.fullmatch(stated)
    if not found:
        return text or stated or None
    days, hours, minutes, seconds = (int(found[i] or 0) for i in (2, 3, 4, 5))
    micro = int((found[6] or "0")[:6].ljust(6, "0"))
    try:
        length = dt.timedelta(days, seconds, micro, minutes=minutes, hours=hours)
    except OverflowError:
        return text or stated or None
    if found[1] or length >= dt.timedelta(days=1):
        return -length if found[1] else length
    return (_MIDNIGHT + length).time()


def _text(element: Any) -> str:
    """The text of a paragraph without comments. Blanks, tabs and line breaks are elements in it."""
    parts = [element.text or ""]
    for each in element:
        if each.tag == f"{_TEXT}s":
            parts.append(" " * min(int(each.get(f"{_TEXT}c", "1")), 1 << 15))
        elif each.tag == f"{_TEXT}tab":
            parts.append("\t")
        elif each.tag == f"{_TEXT}line-break":
            parts.append("\n")
        elif isinstance(each.tag, str) and each.tag not in _UNSHOWN:
            parts.append(_text(each))
        parts.append(each.tail or "")
    return "".join(parts)
