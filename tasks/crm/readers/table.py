"""Blocks of consecutive rows as columns of text: what the readers of all formats yield.

The text is the one that a person sees in the cell ("94523", "2024-02-29", "TRUE"). An error cell, a formula that was
never calculated, and a row that cannot be parsed are a `Fault` as well.
"""

import datetime as dt
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.crm.readers.cell import Cell, ErrorCell, Row

ROWS_IN_BLOCK = 10_000
INVALID_CHARACTER = "contains an invalid character (a lone surrogate): type it again"
_UNCHECKED = frozenset({"false", "0", "falsch", "faux"})  # values of an empty check box
_INVISIBLE = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]*")
_LOOKS_BLANK = r"^[\s\p{Z}\p{Cf}]*$|^(?i:" + "|".join(sorted(_UNCHECKED)) + ")$"  # for Arrow
_EXACT = 2**53  # from here on not every integer can be stored as a number


class Fault(NamedTuple):
    """Why a cell or a row cannot be used."""

    row: int  # index in the block, from 0
    column: int | None  # index from 0 (column A); None: the row as a whole
    reason: str  # "shows #REF!"


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a sheet, without blank rows.

    All columns have the same length. A blank cell is null, never "". The cell of a fault holds the text that it shows.
    """

    numbers: pa.Int32Array  # of each row, as Excel shows it; ascending
    columns: list[pa.StringArray]  # from column A on
    faults: list[Fault] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.numbers)

    def slice(self, start: int, stop: int) -> "Block":
        """The rows with these indices."""
        faults = [Fault(row - start, column, reason) for row, column, reason in self.faults if start <= row < stop]
        columns = [column.slice(start, stop - start) for column in self.columns]
        return Block(self.numbers.slice(start, stop - start), columns, faults)

    def widened(self, width: int) -> "Block":
        """The block with at least so many columns."""
        missing = width - len(self.columns)
        if missing <= 0:
            return self
        return Block(self.numbers, [*self.columns, *[pa.nulls(len(self), pa.string())] * missing], self.faults)

    def rows(self) -> Iterator[tuple[int, list[str | None]]]:
        """The number of each row and its cells up to the last filled one. Slow: for a few rows at the top."""
        cells = zip(*[column.to_pylist() for column in self.columns], strict=True)
        for number, row in zip(self.numbers.to_pylist(), cells, strict=True):
            filled = [index for index, text in enumerate(row) if text is not None]
            yield number, list(row[: filled[-1] + 1]) if filled else []


def regrouped(blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """The same rows in blocks of `size` rows; the last one may be shorter."""
    waiting: list[Block] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count >= size:
            whole = joined(waiting)
            full = count - count % size
            yield from (whole.slice(start, start + size) for start in range(0, full, size))
            waiting, count = [whole.slice(full, count)] * (full < count), count - full
    if count:
        yield joined(waiting)


def without_blank(blocks: Iterable[Block], fields: Container[int]) -> Iterator[Block]:
    """The blocks without rows that look blank: only invisible characters, or empty check boxes outside `fields`."""
    for block in blocks:
        if not block.columns:
            yield block
            continue
        faulty = {row for row, *_ in block.faults}
        found = np.asarray(pc.fill_null(pc.match_substring_regex(pc.coalesce(*block.columns), _LOOKS_BLANK), True))
        blank = [row for row in np.flatnonzero(found).tolist() if row not in faulty and _is_blank(block, row, fields)]
        if not blank:
            yield block
            continue
        keep = np.delete(np.arange(len(block)), blank)
        places = {int(row): place for place, row in enumerate(keep)}
        faults = [Fault(places[row], column, reason) for row, column, reason in block.faults]
        if len(keep):
            taken = pa.array(keep)
            yield Block(block.numbers.take(taken), [column.take(taken) for column in block.columns], faults)


def _is_blank(block: Block, row: int, fields: Container[int]) -> bool:
    cells = ((index, column[row].as_py()) for index, column in enumerate(block.columns))
    return all(
        text is None or _INVISIBLE.fullmatch(text) or (text.casefold() in _UNCHECKED and index not in fields)
        for index, text in cells
    )


def joined(blocks: Sequence[Block]) -> Block:
    """The blocks as one block."""
    if len(blocks) == 1:
        return blocks[0]
    width = max(len(block.columns) for block in blocks)
    blocks = [block.widened(width) for block in blocks]
    faults, before = list[Fault](), 0
    for block in blocks:
        faults += [Fault(before + row, column, reason) for row, column, reason in block.faults]
        before += len(block)
    blank = pa.nulls(before, pa.string())  # shared by all blank columns: a stray cell may cause thousands of them
    parts = ([block.columns[index] for block in blocks] for index in range(width))
    columns = [pa.concat_arrays(each) if any(part.null_count < len(part) for part in each) else blank for each in parts]
    return Block(pa.concat_arrays([block.numbers for block in blocks]), columns, faults)


def block_of(rows: Sequence[Row]) -> Block:
    """The block of rows of cells."""
    width = max((len(cells) for _, cells in rows), default=0)
    padded = [cells if len(cells) == width else [*cells, *[None] * (width - len(cells))] for _, cells in rows]
    columns, faults = [], list[Fault]()
    for index, cells in enumerate(zip(*padded, strict=True)):
        column = _texts_only(cells)
        if column is None:
            texts, reasons = zip(*map(_text, cells), strict=True)
            column = pa.array(texts, pa.string())
            faults += [Fault(row, index, reason) for row, reason in enumerate(reasons) if reason]
        columns.append(column)
    return Block(pa.array([number for number, _ in rows], pa.int32()), columns, sorted(faults))


def _texts_only(cells: Sequence[Cell]) -> pa.StringArray | None:
    """The column, if all cells are texts without lone surrogates or blank."""
    if not set(map(type, cells)) <= {str, type(None)}:
        return None
    try:
        return pa.array(cells, pa.string())
    except UnicodeEncodeError:
        return None


def blocks_of(rows: Iterable[Row]) -> Iterator[Block]:
    """Blocks of ROWS_IN_BLOCK rows, of rows of cells."""
    rows = iter(rows)
    while some := list(islice(rows, ROWS_IN_BLOCK)):
        yield block_of(some)


def _text(cell: Cell) -> tuple[str | None, str | None]:
    """The text of a cell, and its fault; None for none."""
    if cell is None:
        return None, None
    if isinstance(cell, str):
        return (cell, None) if is_storable(cell) else (cell.encode("utf-8", "replace").decode(), INVALID_CHARACTER)
    if isinstance(cell, ErrorCell):
        return cell.text, f"shows {cell.text}"
    try:
        return cell_text(cell) or None, None
    except ValueError as error:
        return f"{cell:.15g}", str(error)


def cell_text(cell: Cell) -> str:
    """The text that a person sees in a cell that is not an error: "94523" for 94523.0, no time for midnight.

    Raises:
        ValueError: it is a number that Excel cannot store exactly.
    """
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        return number_text(float(cell))
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(" ")
    if isinstance(cell, dt.timedelta):  # more than a day, as Excel's [h]:mm:ss
        minutes, seconds = divmod(round(abs(cell).total_seconds()), 60)
        return f"{'-' if cell < dt.timedelta() else ''}{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return "" if cell is None else str(cell)


def number_text(value: float) -> str:
    """A number with the digits that Excel stores. Raises ValueError for an integer that is not stored exactly."""
    if not value.is_integer():
        return f"{value:.15g}"  # Excel stores 15 significant digits
    if abs(value) >= _EXACT:
        raise ValueError("has more digits than a number can store: format the cell as text and type it again")
    return str(int(value))


def is_storable(text: str) -> bool:
    """Whether the text has no lone surrogates, which neither Arrow nor PostgreSQL can store."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
