"""Reads XML Spreadsheets 2003, which Excel saved as .xml, and which Salesforce, SAP and others export as .xls.

The file is read element by element, so that memory does not grow with it. Entities of a document type are not resolved.
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from lxml import etree

from tasks.crm.readers.budget import Budget
from tasks.crm.readers.cell import NOT_CALCULATED, Cell, ErrorCell, Merge, Row, SheetInfo
from tasks.crm.readers.number_formats import as_shown, makes_text
from tasks.crm.readers.refused import UnreadableError
from tasks.crm.readers.sheet_elements import SheetElements
from tasks.crm.readers.table import Block, blocks_of

_NAMESPACE = "{urn:schemas-microsoft-com:office:spreadsheet}"
_EXCEL = "{urn:schemas-microsoft-com:office:excel}"
_WORKSHEET, _ROW, _CELL, _DATA = (f"{_NAMESPACE}{tag}" for tag in ("Worksheet", "Row", "Cell", "Data"))
_COLUMN, _STYLE, _FORMAT = (f"{_NAMESPACE}{tag}" for tag in ("Column", "Style", "NumberFormat"))
_VISIBLE = f"{_EXCEL}Visible"
_MAX_COLUMNS, _MAX_ROWS = 16_384, 1_048_576
_NAMED_FORMATS = {"Percent": "0.00%", "General Number": "General"}
_NO_DAY = dt.date(1899, 12, 31)  # the date of a time without a date
_DAMAGED = "is damaged or incomplete XML: export it again, or open it in Excel, save it as .xlsx and import that"


class XmlSpreadsheet:
    """A workbook in XML."""

    encoding: str | None = None
    assumptions: tuple[str, ...] = ()

    def __init__(self, path: Path, budget: Budget) -> None:
        """Find the sheets. Raises UnreadableError: the XML is damaged or has no sheet."""
        self._path, self._budget = path, budget
        self.merged: list[Merge] = []
        self.hidden_rows = 0
        self.hidden_columns: frozenset[int] = frozenset()
        self._formats: dict[str, str] = {}
        self._worksheets = SheetElements(
            lambda: self._elements((_WORKSHEET, _COLUMN, _ROW)), lambda each: each.tag == _WORKSHEET
        )
        self.sheets = list(self._find_sheets())
        self._places = {info.name: at for at, info in reversed([*enumerate(self.sheets)])}
        if not self.sheets:
            raise UnreadableError("has no sheet: check that you exported the right file")

    def blocks(self, sheet: str) -> Iterator[Block]:
        """Blocks of the rows of a sheet. Raises UnreadableError, also after some blocks."""
        self.merged, self.hidden_rows, self.hidden_columns = [], 0, frozenset()
        return blocks_of(self._rows(sheet))

    def _find_sheets(self) -> Iterator[SheetInfo]:
        name, visible = "", True
        for event, element in self._elements((_WORKSHEET, _STYLE, _FORMAT, _VISIBLE, _ROW)):
            if element.tag == _WORKSHEET and event == "start":
                name, visible = _attribute(element, "Name") or "Sheet", True
            elif element.tag == _WORKSHEET:
                yield SheetInfo(name, visible)
            elif element.tag == _VISIBLE and event == "end":
                visible = not (element.text or "").strip().startswith("SheetHidden") and "Hidden" not in (
                    element.text or ""
                )
            elif element.tag == _STYLE and event == "end":
                self._note_format(element)

    def _note_format(self, style: Any) -> None:
        format_ = style.find(_FORMAT)
        code = _attribute(format_, "Format") if format_ is not None else None
        code = _NAMED_FORMATS.get(code or "", code)
        if code and makes_text(code):
            self._formats[_attribute(style, "ID") or ""] = code

    def _rows(self, sheet: str) -> Iterator[Row]:
        number, hidden, column = 0, set[int](), 0
        for event, element in self._worksheets.of(self._places[sheet]):
            if event == "start":
                continue
            if element.tag == _COLUMN:
                column = _number(element, "Index", column + 1, _MAX_COLUMNS)
                last = column + _number(element, "Span", 0, _MAX_COLUMNS)
                if _attribute(element, "Hidden") == "1":
                    hidden.update(range(column - 1, min(last, _MAX_COLUMNS)))
                column = last
                continue
            if len(hidden) > len(self.hidden_columns):
                self.hidden_columns = frozenset(hidden)
            number = _number(element, "Index", number + 1, _MAX_ROWS)
            self.hidden_rows += _attribute(element, "Hidden") == "1"
            cells = self._cells(element, number)
            if any(cell is not None for cell in cells):
                yield number, cells
            number += _number(element, "Span", 0, _MAX_ROWS)

    def _cells(self, row: Any, number: int) -> list[Cell]:
        cells: list[Cell] = []
        for cell in row.iterchildren(_CELL):
            index = _number(cell, "Index", len(cells) + 1, _MAX_COLUMNS) - 1
            cells.extend([None] * (index - len(cells)))
            cells[index:] = [self._value(cell)]
            across = _number(cell, "MergeAcross", 0, _MAX_COLUMNS)
            down = _number(cell, "MergeDown", 0, _MAX_ROWS)
            if across or down:
                self.merged.append((number, number + down, index, index + across))
                covered = max(min(across, _MAX_COLUMNS - len(cells)), 0)
                self._budget.fill(covered)
                cells.extend([None] * covered)
        return cells

    def _value(self, cell: Any) -> Cell:  # noqa: PLR0911 - one return for each type
        data = cell.find(_DATA)
        text = "" if data is None else "".join(data.itertext())
        if not text:
            return ErrorCell(NOT_CALCULATED) if _attribute(cell, "Formula") and data is None else None
        kind = _attribute(data, "Type") or "String"
        if kind == "Error":
            return ErrorCell(text)
        try:
            if kind == "Number":
                code = self._formats.get(_attribute(cell, "StyleID") or "")
                return (as_shown(float(text), code) if code else None) or float(text)
            if kind == "Boolean":
                return text.strip() in {"1", "true"}
            if kind == "DateTime":
                moment = dt.datetime.fromisoformat(text)
                return moment.time() if moment.date() == _NO_DAY else moment
        except ValueError:
            return text
        return text

    def _elements(self, tags: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """The elements when they begin and end; rows and sheets are freed afterwards."""
        with self._path.open("rb") as file:
            _skip_blanks(file)
            try:
                for event, element in etree.iterparse(
                    file, events=("start", "end"), tag=tags, resolve_entities=False, no_network=True, load_dtd=False,
                    huge_tree=True,
                ):  # fmt: skip
                    yield event, element
                    if event == "end" and element.tag in {_ROW, _WORKSHEET}:
                        _free(element)
            except etree.XMLSyntaxError as error:
                raise UnreadableError(_DAMAGED) from error


def _skip_blanks(file: IO[bytes]) -> None:
    """Skip blanks at the beginning: some systems write them, although XML does not allow it."""
    beginning = file.read(4096)
    file.seek(len(beginning) - len(beginning.lstrip()) if beginning[:1].isspace() else 0)


def _attribute(element: Any, name: str) -> str | None:
    value: str | None = element.get(f"{_NAMESPACE}{name}")
    return value


def _number(element: Any, name: str, default: int, limit: int) -> int:
    stated = _attribute(element, name)
    if stated is None or not stated.isascii() or not stated.isdigit():
        return default
    if int(stated[:9]) > limit:
        raise UnreadableError(_DAMAGED)
    return int(stated)


def _free(element: Any) -> None:
    """Free the memory of an element that was read, and of those before it."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]
