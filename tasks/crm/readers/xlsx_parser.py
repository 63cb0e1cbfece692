"""Reads the rows of a sheet of an .xlsx with an XML parser: for any XML, and ten times slower than `xlsx_cells`."""

from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree as ET  # expat 2.4.1 and later stop XML bombs

import numpy as np
import pyarrow as pa

from tasks.crm.readers.table import ROWS_IN_BLOCK, Block
from tasks.crm.readers.xlsx_blocks import LAST_COLUMN, LAST_ROW, Cells, SheetError, blocks_of_cells, shown_in
from tasks.crm.readers.xlsx_package import local_name, reference
from tasks.crm.readers.xlsx_strings import SharedStrings
from tasks.crm.readers.xlsx_values import Shown, Values, raw_cell


class Parser:
    """Reads the rows of a sheet. A row or a cell without a reference is the next one."""

    def __init__(self, values: Values, strings: SharedStrings) -> None:
        self._values, self._strings = values, strings
        self.hidden = 0  # hidden rows that are not blank
        self._hidden: set[int] = set()  # numbers of rows

    def blocks(self, stream: IO[bytes], skip: int = 0, last: int = 0) -> Iterator[Block]:
        """The blocks of the sheet without its first `skip` elements `row`, the last of which is row `last`.

        Rows may be in any order within a block. Raises SheetError, ET.ParseError.
        """
        some: dict[int, dict[int, Shown]] = {}
        elements: dict[int, int] = {}  # row -> number of its element
        for element, row, column, shown in self._cells(stream, skip):
            if shown.text is None:
                continue
            if row not in some and len(some) >= ROWS_IN_BLOCK:
                yield from self._of_rows(some)
                last, some, elements = max(some), {}, {}
            if row <= last:
                raise SheetError("rows are not in order")
            if elements.setdefault(row, element) != element:
                raise SheetError("two rows have the same number")
            some.setdefault(row, {})[column] = shown
        yield from self._of_rows(some)

    def _of_rows(self, rows: dict[int, dict[int, Shown]]) -> Iterator[Block]:
        """The blocks of cells, given as row -> column -> text."""
        cells = [(row, column, *shown) for row in sorted(rows) for column, shown in rows[row].items()]
        if not cells:
            return
        self.hidden += len(self._hidden & rows.keys())
        self._hidden.clear()
        row, column, texts, faults = zip(*cells, strict=True)
        none, own = np.full(len(cells), -1), np.arange(len(cells))
        why = {at: fault for at, fault in enumerate(faults) if fault}
        found = Cells(np.array(row), np.array(column), none, own, pa.array(texts, pa.string()), why)
        yield from blocks_of_cells(found, self._strings)

    def _cells(self, stream: IO[bytes], skip: int) -> Iterator[tuple[int, int, int, Shown]]:
        row, column, rows = 0, -1, 0
        data: ET.Element | None = None
        for event, element in ET.iterparse(stream, events=("start", "end")):  # noqa: S314 - see the import
            tag = local_name(element.tag)
            if event == "start":
                if tag == "sheetData":
                    data = element
                elif tag == "row" and data is not None:
                    row, column, rows = int(element.get("r") or row + 1), -1, rows + 1
                    if rows > skip and element.get("hidden") in {"1", "true"}:
                        self._hidden.add(row)
            elif tag == "c" and data is not None and rows > skip:
                cell = raw_cell(element)
                row, column = reference(cell.reference) or (row, column + 1)
                if not (1 <= row <= LAST_ROW and column <= LAST_COLUMN):
                    raise SheetError("a cell is outside the sheet")
                yield rows, row, column, shown_in(cell, self._values, self._strings)
            elif tag == "row" and data is not None:
                data.clear()
