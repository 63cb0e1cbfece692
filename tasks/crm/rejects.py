"""The workbook of rejected rows: what it looks like, so that a person can repair it and import it again.

It decides that every rejected row appears once, in the columns of its own sheet and in their order, with a last column
that says why; that the faulty cells are marked; and that no value can run as a formula or break the file. It exists
because a list of reasons is of no use to the person who has to correct the rows: this workbook is corrected in place
and imported like any other (`column_mapping.py` drops the last column).
"""

import re
import sys
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

from db.errors import UserError
from tasks.crm.headings import REASON_HEADING

_LONGEST_CELL = 32_767  # Excel's limit, in UTF-16 units
_ROWS_OF_A_SHEET = 1_048_575  # Excel's limit without the heading row
_MOST_COMMENTS = 20_000  # Excel gets slow with more; the fill and the reason are always there
_WIDEST, _NARROWEST, _REASON_WIDTH = 50, 10, 70  # characters
_LARGEST_ID = 2**31 - 1  # of a serial in PostgreSQL
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
    """One reason why one row was not imported; a row with several faults is there several times."""

    @property
    def sheet(self) -> str: ...  # noqa: D102
    @property
    def row_number(self) -> int: ...  # noqa: D102 - as Excel showed it
    @property
    def column_name(self) -> str | None: ...  # noqa: D102 - the heading of the faulty cell, None: the row as a whole
    @property
    def value(self) -> str | None: ...  # noqa: D102 - what stood in that cell
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def row(self) -> Sequence[Sequence[str | None]]: ...  # noqa: D102 - [heading, text] of every column, in file order


_Column = tuple[str, int]  # a heading and which of its repeats


def write(path: Path, rejects: Iterable[Reject]) -> int:
    """Write the workbook of rejects at `path`, replacing what is there; whole or not at all.

    Args:
        path: an .xlsx file in an existing directory.
        rejects: in any order; sheets and rows are written in the order in which they are first seen.

    Returns:
        The number of rows written, which is the number of different rows among the rejects.

    Raises:
        ValueError: there is no reject.
        OSError: the directory is missing, full or not writable. Nothing is left behind.
    """
    frame = _frame(rejects)
    if frame.empty:
        raise ValueError("There is no rejected row to write.")
    with closing(_Book()) as book:
        for _, lines in frame.groupby("nth_sheet"):
            book.add(lines["sheet"].iloc[0], lines)
        book.save(path)
    return int(frame["nth_row"].iloc[-1]) + 1


def _frame(rejects: Iterable[Reject]) -> pd.DataFrame:
    """One line for each reason of each rejected row, in the order in which the rows are first seen.

    Columns: those of Reject; columns: of the row; said: the reason as the workbook gives it, once for a row; nth_sheet
    and nth_row: numbers in this order, from 0. Texts are Python objects: Arrow's cannot hold lone surrogates.
    """
    fields = ["sheet", "row_number", "column_name", "value", "reason", "row", "columns", "said"]
    lines = (
        (r.sheet or "", r.row_number, r.column_name, r.value, r.reason, r.row, _columns(r), _said(r)) for r in rejects
    )
    frame = pd.DataFrame(lines, columns=fields, dtype=object).drop_duplicates(["sheet", "row_number", "said"])
    frame["nth_sheet"], _ = pd.factorize(frame["sheet"].to_numpy())
    frame["nth_row"] = frame.groupby(["nth_sheet", "row_number"], sort=False).ngroup()
    return frame.sort_values("nth_row", kind="stable")


def _columns(reject: Reject) -> tuple[_Column, ...]:
    return _numbered(tuple(heading or "" for heading, _ in reject.row))


def _said(reject: Reject) -> str:
    name = reject.column_name
    return f"{name}: {reject.reason}" if name and name not in reject.reason else reject.reason


@lru_cache(maxsize=256)
def _numbered(headings: tuple[str, ...]) -> tuple[_Column, ...]:
    """The columns under these headings; one tuple for all the rows that share them."""
    repeats: defaultdict[str, Iterator[int]] = defaultdict(count)
    return tuple((heading, next(repeats[heading])) for heading in headings)


class _Book:
    """The workbook while it is written, row by row, so that many rejects need little memory."""

    def __init__(self) -> None:
        self.book = Workbook(write_only=True)
        self.titles: set[str] = set()
        self.comments = 0

    def add(self, name: str, lines: pd.DataFrame) -> None:
        """One sheet of rejected rows; more sheets if Excel's rows do not suffice."""
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
        """A row as it is written, from its lines; plain text as such, which is faster than a cell of its own."""
        texts = _texts(faults[0])
        reasons = [f"row {faults[0].row_number}", *(fault.said for fault in faults)]
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
            if len(text) > _LONGEST_CELL // 2 and len(fitting) < len(_legal(text)):
                reasons.append(f"{column[0]}: CUT here to {len(fitting):,} of {len(text):,} characters")
            if column in faulty:
                marked = _cell(sheet, fitting, _FAULTY_FILL)
                self.comments += 1
                if self.comments <= _MOST_COMMENTS:
                    said = _fitting("\n".join(faulty[column]))[:1000]
                    marked.comment = Comment(said, "import", height=80, width=300)
                written.append(marked)
            elif fitting.startswith(_DANGEROUS):
                written.append(_cell(sheet, fitting))
            else:
                written.append(_escaped(fitting) or None)
        why = _cell(sheet, _fitting(" · ".join(reasons)), _REASON_FILL)
        why.alignment = _REASON_ALIGNMENT
        return [*written, why]

    def save(self, path: Path) -> None:
        """Beside it first, then under its name."""
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            self.book.save(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """After a failure: half-written sheets would complain on stderr when they are collected."""
        for sheet in self.book.worksheets:
            with suppress(Exception):
                sheet.close()


def _texts(line: Any) -> dict[_Column, str]:
    """The texts of a rejected row by column."""
    return {column: text or "" for column, (_, text) in zip(line.columns, line.row, strict=True)}


def _widths(columns: Sequence[_Column], lines: pd.DataFrame) -> list[int]:
    """How wide each column is, by its heading and its first rows; in characters."""
    place = {column: i for i, column in enumerate(columns)}
    first = lines.drop_duplicates("nth_row").head(_MEASURED_ROWS).itertuples()
    lengths = [{place[column]: len(text) for column, text in _texts(line).items()} for line in first]
    lengths.append({i: len(heading) for (heading, _), i in place.items()})
    longest = pd.DataFrame(lengths, columns=list(place.values())).max()
    return list((longest + 2).clip(_NARROWEST, _WIDEST).astype(int))


def _cell(sheet: WriteOnlyWorksheet, text: str, fill: PatternFill | None = None) -> Cell:
    """A cell that is text whatever it looks like, and stays text when somebody edits it in Excel."""
    cell: Cell = WriteOnlyCell(sheet, _escaped(text) or None)
    if text:
        cell.data_type = "s"
    cell.quotePrefix = text.startswith(_DANGEROUS)
    if fill:
        cell.fill = fill
    return cell


def _legal(text: str) -> str:
    """What XML can hold: control characters shown as their pictures, one kind of line break."""
    return _ILLEGAL.sub(_shown, text.replace("\r\n", "\n").replace("\r", "\n"))


def _fitting(text: str) -> str:
    """What a cell can hold: legal, and cut at Excel's length."""
    legal = _legal(text)
    if len(legal) <= _LONGEST_CELL // 2:  # a character is at most two units
        return legal
    return legal.encode("utf-16-le")[: 2 * _LONGEST_CELL].decode("utf-16-le", "ignore")


def _escaped(text: str) -> str:
    """Text that happens to look like OOXML's own escape, "_x0041_", which readers would turn into "A"."""
    return _OOXML_ESCAPE.sub("_x005F_", text) if "_x" in text else text


def _shown(match: re.Match[str]) -> str:
    """NUL as ␀ and its like; what has no picture as the replacement character."""
    code = ord(match[0])
    return chr(0x2400 + code) if code < ord(" ") else "\ufffd"


def _title(name: str, taken: set[str]) -> str:
    """A name that Excel accepts, as near to the sheet's own as can be, so that `sheet=` finds it again."""
    plain = re.sub(r"[\[\]:*?/\\\t\n]", "_", _fitting(name)).strip("'")[:31] or "Rejects"
    number, title = 1, plain
    while title.casefold() in taken:
        number += 1
        title = f"{plain[: 31 - len(f' ({number})')]} ({number})"
    taken.add(title.casefold())
    return title


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m tasks.crm.rejects IMPORT_ID OUT.xlsx`: write the rejects of an import again, from the database.

    Returns:
        0 and one line of what was written; 1 and one sentence of what is wrong.
    """
    try:
        print(_run(sys.argv[1:] if argv is None else list(argv)))
    except UserError as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


def _run(arguments: Sequence[str]) -> str:
    for problem in _problems(arguments):
        raise UserError(problem)
    # Here and not above, so that the writer stays pure.
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from db.contacts import rejects_of  # noqa: PLC0415
    from db.engine import DatabaseError, engine, explain  # noqa: PLC0415

    number, out = int(arguments[0]), Path(arguments[1])
    try:
        with engine().connect() as connection:
            found = list(rejects_of(connection, number))
        if not found:
            raise UserError(f"Import {number} has no rejected rows, or there is no such import: nothing written.")
        count = write(out, found)
    except DatabaseError as error:
        raise UserError(str(error)) from error
    except SQLAlchemyError as error:
        raise UserError(str(explain(error))) from error
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}.") from error
    return f"{count:,} {'row' if count == 1 else 'rows'} written to {out}"


def _problems(arguments: Sequence[str]) -> Iterator[str]:
    """What is wrong with the command line, the first thing first."""
    if len(arguments) != 2:  # noqa: PLR2004
        yield "Usage: python -m tasks.crm.rejects IMPORT_ID OUT.xlsx"
        return
    number, out = arguments[0], Path(arguments[1])
    if not (number.isdecimal() and int(number) <= _LARGEST_ID):
        yield f"{arguments[0]!r} is no import: give the number that the import's report shows."
    if out.suffix.lower() != ".xlsx":
        yield f"{out} does not end in .xlsx: give the name of a workbook to write."
    if not out.parent.is_dir():
        yield f"There is no directory {out.parent}: make it first."
    if out.exists():
        yield f"{out} exists: give another name, or remove it first."


if __name__ == "__main__":
    sys.exit(main())
