"""Writes rejected rows to a workbook that a person can correct and import again.

Every rejected row is in it once, in the columns of its sheet and in their order, with the reason in a further column.
The faulty cells are marked, and no value can run as a formula or break the file. When the workbook is imported,
`headings/column_mapping.py` drops the column of reasons.
"""

import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from itertools import count, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from tasks.crm.headings.column_mapping import REASON_HEADING

_MAX_CELL_LENGTH = 32_767  # Excel's limit, in UTF-16 units
_ROWS_OF_A_SHEET = 1_048_575  # Excel's limit without the heading row
_MAX_COMMENTS = 20_000  # Excel gets slow with more; the fill and the reason are always written
_MAX_COMMENT_LENGTH = 1_000  # characters
_WIDEST, _NARROWEST, _REASON_WIDTH = 50, 10, 70  # characters
_MEASURED_ROWS = 200  # rows that decide how wide a column is

_HEADING_FONT = Font(bold=True)
_HEADING_FILL = PatternFill("solid", fgColor="DDDDDD")
_FAULTY_FILL = PatternFill("solid", fgColor="FFC7CE")
_REASON_FILL = PatternFill("solid", fgColor="FFF2CC")
_REASON_ALIGNMENT = Alignment(wrap_text=True, vertical="top")

# Excel, LibreOffice and Google Sheets run these as formulas or, like #REF!, as error values.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "#")
_OOXML_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
# What XML 1.0 cannot hold, and lone surrogates.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Reject(Protocol):
    """One reason why one row was not imported. A row with several faults has several rejects."""

    @property
    def sheet(self) -> str:
        """Its sheet."""

    @property
    def row_number(self) -> int:
        """The row as Excel shows it."""

    @property
    def column_name(self) -> str | None:
        """The heading of the faulty cell; None: the row as a whole."""

    @property
    def value(self) -> str | None:
        """The text of the faulty cell."""

    @property
    def reason(self) -> str:
        """The reason."""

    @property
    def row(self) -> Sequence[Sequence[str | None]]:
        """[heading, text] of every column, in the order of the workbook."""


_Column = tuple[str, int]  # a heading, and a number from 0 among columns with this heading


def write(path: Path, rejects: Iterable[Reject]) -> int:
    """Write the workbook of rejects to `path`, replacing an existing file; complete or not at all.

    Args:
        path: an .xlsx file in an existing directory.
        rejects: in any order; sheets and rows are written in the order of their first reject.

    Returns:
        The number of rows written.

    Raises:
        ValueError: there is no reject.
        OSError: the directory is missing, full or not writable. No file is left.
    """
    frame = _frame(rejects)
    if frame.empty:
        raise ValueError("There is no rejected row to write.")
    with closing(_RejectsWorkbook()) as book:
        for _, lines in frame.groupby("nth_sheet"):
            book.add(lines["sheet"].iloc[0], lines)
        book.save(path)
    return int(frame["nth_row"].iloc[-1]) + 1


def _frame(rejects: Iterable[Reject]) -> pd.DataFrame:
    """One line for each reason of each rejected row, in the order of the first reject of each row.

    Columns: those of Reject; columns: of the row; text: the reason for the workbook, once for each row; nth_sheet and
    nth_row: numbers in this order, from 0. Texts are Python objects because Arrow's cannot hold lone surrogates.
    """
    fields = ["sheet", "row_number", "column_name", "value", "reason", "row", "columns", "text"]
    lines = (
        (r.sheet or "", r.row_number, r.column_name, r.value, r.reason, r.row, _columns(r), _text(r)) for r in rejects
    )
    frame = pd.DataFrame(lines, columns=fields, dtype=object).drop_duplicates(["sheet", "row_number", "text"])
    frame["nth_sheet"], _ = pd.factorize(frame["sheet"].to_numpy())
    frame["nth_row"] = frame.groupby(["nth_sheet", "row_number"], sort=False).ngroup()
    return frame.sort_values("nth_row", kind="stable")


def _columns(reject: Reject) -> tuple[_Column, ...]:
    return _numbered(tuple(heading or "" for heading, _ in reject.row))


def _text(reject: Reject) -> str:
    """The reason with the heading of the faulty cell."""
    name = reject.column_name
    return f"{name}: {reject.reason}" if name and name not in reject.reason else reject.reason


@lru_cache(maxsize=256)
def _numbered(headings: tuple[str, ...]) -> tuple[_Column, ...]:
    """The columns with these headings; the same tuple for all rows that share them."""
    repeats: defaultdict[str, Iterator[int]] = defaultdict(count)
    return tuple((heading, next(repeats[heading])) for heading in headings)


class _RejectsWorkbook:
    """The workbook of rejects. It is written row by row, so that many rejects need little memory."""

    def __init__(self) -> None:
        self.book = Workbook(write_only=True)
        self.titles: dict[str, int] = {}
        self.comments = 0

    def add(self, name: str, lines: pd.DataFrame) -> None:
        """Add a sheet of rejected rows; several sheets if there are more rows than Excel allows."""
        kinds = lines.drop_duplicates("nth_row")["columns"].drop_duplicates()
        columns = kinds.explode().dropna().drop_duplicates().tolist()
        for _, part in lines.groupby(pd.factorize(lines["nth_row"])[0] // _ROWS_OF_A_SHEET):
            self._add_sheet(name, columns, part)

    def _add_sheet(self, name: str, columns: Sequence[_Column], lines: pd.DataFrame) -> None:
        sheet = self.book.create_sheet(_title(name, self.titles))
        sheet.freeze_panes = "A2"
        for i, width in enumerate([*_widths(columns, lines), _REASON_WIDTH], 1):
            sheet.column_dimensions[get_column_letter(i)].width = width
        texts = [*(heading for heading, _ in columns), REASON_HEADING]
        headings = [_cell(sheet, _fitting(text), _HEADING_FILL) for text in texts]
        for heading in headings:
            heading.font = _HEADING_FONT
        sheet.append(headings)
        for _, faults in groupby(lines.itertuples(index=False), key=attrgetter("nth_row")):
            sheet.append(self._cells(sheet, columns, list(faults)))

    def _cells(self, sheet: WriteOnlyWorksheet, columns: Sequence[_Column], faults: Sequence[Any]) -> list[Any]:
        """The cells of a row, from its lines. Plain texts stay texts, which is faster than a cell object each."""
        texts = _texts(faults[0])
        reasons = [f"row {faults[0].row_number}", *(fault.text for fault in faults)]
        faulty: dict[_Column, list[str]] = {}
        for fault in faults:
            # Of several columns with the same heading, the one that holds the faulty value, else the first.
            repeats = [(text != fault.value, c) for c, text in texts.items() if c[0] == fault.column_name]
            if repeats:
                faulty.setdefault(min(repeats)[1], []).append(fault.reason)
        written: list[Cell | str | None] = []
        for column in columns:
            text = texts.get(column, "")
            fitting = _fitting(text)
            if len(text) > _MAX_CELL_LENGTH // 2 and len(fitting) < len(_legal(text)):
                reasons.append(f"{column[0]}: CUT here to {len(fitting):,} of {len(text):,} characters")
            if column in faulty:
                marked = _cell(sheet, fitting, _FAULTY_FILL)
                self.comments += 1
                if self.comments <= _MAX_COMMENTS:
                    comment = _fitting("\n".join(faulty[column]))[:_MAX_COMMENT_LENGTH]
                    marked.comment = Comment(comment, "import", height=80, width=300)
                written.append(marked)
            elif fitting.startswith(_DANGEROUS):
                written.append(_cell(sheet, fitting))
            else:
                written.append(_escaped(fitting) or None)
        why = _cell(sheet, _fitting(" · ".join(reasons)), _REASON_FILL)
        why.alignment = _REASON_ALIGNMENT
        return [*written, why]

    def save(self, path: Path) -> None:
        """Write a temporary file beside `path` and rename it."""
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            self.book.save(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Close sheets that a failure left half-written: otherwise they write to stderr when they are collected."""
        for sheet in self.book.worksheets:
            with suppress(Exception):
                sheet.close()


def _texts(line: Any) -> dict[_Column, str]:
    """The texts of a rejected row by column."""
    return {column: text or "" for column, (_, text) in zip(line.columns, line.row, strict=True)}


def _widths(columns: Sequence[_Column], lines: pd.DataFrame) -> list[int]:
    """The width of each column in characters, from its heading and its first rows."""
    place = {column: i for i, column in enumerate(columns)}
    first = lines.drop_duplicates("nth_row").head(_MEASURED_ROWS).itertuples()
    lengths = [{place[column]: len(text) for column, text in _texts(line).items()} for line in first]
    lengths.append({i: len(heading) for (heading, _), i in place.items()})
    longest = pd.DataFrame(lengths, columns=list(place.values())).max()
    return list((longest + 2).clip(_NARROWEST, _WIDEST).astype(int))


def _cell(sheet: WriteOnlyWorksheet, text: str, fill: PatternFill | None = None) -> Cell:
    """A cell that is always text, also when a person edits it in Excel."""
    cell: Cell = WriteOnlyCell(sheet, _escaped(text) or None)
    if text:
        cell.data_type = "s"
    cell.quotePrefix = text.startswith(_DANGEROUS)
    if fill:
        cell.fill = fill
    return cell


def _legal(text: str) -> str:
    """The text as XML can hold it: control characters as visible symbols, one kind of line break."""
    return _ILLEGAL.sub(_shown, text.replace("\r\n", "\n").replace("\r", "\n"))


def _fitting(text: str) -> str:
    """The text as a cell can hold it: legal in XML, and cut at the length that Excel allows."""
    legal = _legal(text)
    if len(legal) <= _MAX_CELL_LENGTH // 2:  # a character is at most two units
        return legal
    return legal.encode("utf-16-le")[: 2 * _MAX_CELL_LENGTH].decode("utf-16-le", "ignore")


def _escaped(text: str) -> str:
    """The text with an escape for what looks like an escape of OOXML: readers would turn "_x0041_" into "A"."""
    return _OOXML_ESCAPE.sub("_x005F_", text) if "_x" in text else text


def _shown(match: re.Match[str]) -> str:
    """The symbol of a control character, such as ␀ for NUL, or the replacement character."""
    code = ord(match[0])
    return chr(0x2400 + code) if code < ord(" ") else "\ufffd"


def _title(name: str, taken: dict[str, int]) -> str:
    """A title that Excel accepts, as close as possible to the name of the sheet.

    `taken`: titles, each with the last number that was added to it; the new one is added.
    """
    plain = re.sub(r"[\[\]:*?/\\\t\n]", "_", _fitting(name)).strip("'")[:31] or "Rejects"
    number, title = taken.get(plain.casefold(), 1), plain
    while title.casefold() in taken:
        number += 1
        title = f"{plain[: 31 - len(f' ({number})')]} ({number})"
    taken.setdefault(title.casefold(), 1)
    taken[plain.casefold()] = number
    return title
