"""Reads the cells of a workbook of Excel 2 to 2003 (.xls).

calamine reads .xls too, but it loses error cells and number formats. xlrd has both, reads more versions, and takes a
second for the 65,536 rows that such a sheet can have.
"""

import datetime as dt
import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.crm.readers.cell import Cell, ErrorCell, Merge, Row, SheetInfo
from tasks.crm.readers.number_formats import as_shown, makes_text

_EXCEL_5 = 50  # the version number in the file


class PasswordProtectedError(ValueError):
    """The workbook is encrypted."""


class OldExcel:
    """An open .xls. For a damaged file it raises exceptions of xlrd."""

    def __init__(self, path: Path) -> None:
        import xlrd  # type: ignore[import-untyped] # noqa: PLC0415 - takes time, and few workbooks are .xls

        self._xlrd: Any = xlrd
        try:
            self._book = xlrd.open_workbook(
                path,
                logfile=io.StringIO(),  # otherwise it writes warnings to standard output
                on_demand=True,  # sheet by sheet
                formatting_info=True,
                ragged_rows=True,
                ignore_workbook_corruption=True,  # sectors that two streams claim: Excel reads them
            )
        except xlrd.XLRDError as error:
            if "encrypted" in str(error):
                raise PasswordProtectedError from error
            raise
        self.merged: list[Merge] = []
        visibility = self._book._sheet_visibility  # noqa: SLF001 - the public one loads each sheet
        self.sheets = [
            SheetInfo(name, not hidden) for name, hidden in zip(self._book.sheet_names(), visibility, strict=True)
        ]

    def close(self) -> None:
        """Close the file."""
        self._book.release_resources()

    def rows(self, sheet: str) -> Iterator[Row]:
        """The rows of a sheet without blank ones."""
        table = self._book.sheet_by_name(sheet)
        self.merged = [(top + 1, bottom, left, right - 1) for top, bottom, left, right in table.merged_cells]
        try:
            for number in range(table.nrows):
                cells: list[Cell] = [
                    (value or None)
                    if kind == self._xlrd.XL_CELL_TEXT
                    else self._cell(table, number, column, kind, value)
                    for column, (kind, value) in enumerate(
                        zip(table.row_types(number), table.row_values(number), strict=True)
                    )
                ]
                if any(cell is not None for cell in cells):
                    yield number + 1, cells
        finally:
            if self._book.biff_version >= _EXCEL_5:  # an older one has closed its file and cannot load the sheet again
                self._book.unload_sheet(sheet)

    def _cell(self, table: Any, row: int, column: int, kind: int, value: Any) -> Cell:
        if kind == self._xlrd.XL_CELL_NUMBER:
            code = self._format(table, row, column)
            return as_shown(value, code) or float(value) if _makes_text(code) else float(value)
        if kind == self._xlrd.XL_CELL_DATE:
            return self._moment(value, self._format(table, row, column))
        if kind == self._xlrd.XL_CELL_BOOLEAN:
            return bool(value)
        if kind == self._xlrd.XL_CELL_ERROR:
            return ErrorCell(self._xlrd.error_text_from_code.get(value, "#ERROR"))
        return None

    def _format(self, table: Any, row: int, column: int) -> str:
        style = self._book.xf_list[table.cell_xf_index(row, column)]
        found = self._book.format_map.get(style.format_key)
        return str(found.format_str) if found else ""

    def _moment(self, value: float, code: str) -> Cell:
        if "[h" in code.lower() or "[m" in code.lower() or "[s" in code.lower():
            return dt.timedelta(days=value)
        try:
            moment: dt.datetime = self._xlrd.xldate_as_datetime(value, self._book.datemode)
        except (OverflowError, ValueError):  # Excel shows such a date as #####
            return value
        if 0 <= value < 1:
            return moment.time()
        return moment.date() if moment.time() == dt.time() else moment


_makes_text = lru_cache(maxsize=1024)(makes_text)
