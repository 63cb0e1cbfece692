"""Finds the width of a delimited table, and the rows with too many or too few cells.

A row with too many cells has an unquoted delimiter, so its values are in the wrong columns. A row with too few cells
may be part of a row with an unquoted line break. Both are faults. Some programs leave out blank cells at the end of a
row: a short row is accepted if its cells have the kinds of their columns, or if many rows are short. Even then one is
a fault whose e-mail address is in another column.
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from tasks.crm.readers.table import Block, Fault

_MANY = 0.1  # of the rows: a writer that leaves out blank cells at the end
_AT_LEAST = 3
_ONE_KIND = 0.8  # of the cells of a column
_ADDRESS = re.compile(r"\s*[^\s@]+@[^\s@]+\s*")
_SURPLUS = "has {} cells, the other rows have {}: put quotation marks around a cell that holds the delimiter"
_BEYOND = "has more cells than the {:,} headings: put quotation marks around a cell that holds the delimiter"
_SHORT = "has {} cells, the other rows have {}: put quotation marks around a cell that holds a line break"


def kind(cell: str) -> str | None:
    """The kind of a text: "mail", "number", or None for others."""
    if "@" in cell:
        return "mail"
    digits = sum(character.isdigit() for character in cell)
    return "number" if digits and 2 * digits >= sum(character.isalnum() for character in cell) else None


def fits(kinds: Sequence[str | None], cells: Sequence[str]) -> bool:
    """Whether the cells have the kinds of their columns; False if no column has a kind."""
    compared = [(expected, kind(cell)) for expected, cell in zip(kinds, cells, strict=False) if expected and cell]
    return bool(compared) and all(expected == found for expected, found in compared)


@dataclass(frozen=True)
class Shape:
    """What the rows of a table have in common."""

    width: int  # cells of a row
    first: int  # the first row of this width, most likely the headings; 0: there is none
    ragged: bool  # blank cells at the end are left out
    kinds: Sequence[str | None]  # of the columns

    def is_row(self, cells: Sequence[str]) -> bool:
        """Whether the cells have the kinds of their columns; False if no column has a kind."""
        return fits(self.kinds, cells)

    def fault(self, number: int, cells: Sequence[str]) -> str | None:
        """The fault of a row with a wrong number of cells; None for others. Blank cells at the end are ignored."""
        if number <= self.first or len(cells) == self.width:
            return None
        if surplus := cells[self.width :]:
            return _SURPLUS.format(f"{len(cells):,}", f"{self.width:,}") if any(surplus) else None
        if (self.ragged or self.is_row(cells)) and not self._has_misplaced_address(cells):
            return None
        return _SHORT.format(f"{len(cells):,}", f"{self.width:,}").replace("has 1 cells", "has 1 cell")

    def _has_misplaced_address(self, cells: Sequence[str]) -> bool:
        """Whether an e-mail address is in another column than the others are: the beginning of the row is missing."""
        expected = {each for each, cell in zip(self.kinds, cells, strict=False) if _ADDRESS.fullmatch(cell)}
        return "mail" in self.kinds and bool(expected) and "mail" not in expected


def with_surplus_faults(blocks: Iterable[Block], width: int) -> Iterator[Block]:
    """The blocks, with a fault for each row with a filled cell to the right of the `width` headings."""
    for block in blocks:
        known = {fault.row for fault in block.faults if fault.column is None}
        beyond = {row for column in block.columns[width:] for row in pc.indices_nonzero(column.is_valid()).to_pylist()}
        surplus = [Fault(row, None, _BEYOND.format(width)) for row in beyond - known]
        faults = sorted([*surplus, *block.faults], key=lambda fault: fault.row)
        yield Block(block.numbers, block.columns, faults)


def shape_of(widths: "array[int]", sample: Sequence[tuple[int, list[str]]]) -> Shape:
    """The shape of a table.

    Args:
        widths: cells of each row, from row 1 on; 0 for a blank or a broken row.
        sample: number and cells of rows at the top.
    """
    counts = Counter(widths)
    counts.pop(0, None)
    usual = max(counts, key=lambda width: counts[width], default=0)  # of several the first in the text
    if usual == 1 and next(filter(None, widths)) > 1:  # a report's footer is longer than its table
        usual = max(counts.keys() - {1}, key=lambda width: counts[width])
    first = next(number for number, width in enumerate(widths, 1) if width >= usual) if usual else 0
    width = widths[first - 1] if first else 0
    kinds = kinds_of([cells for number, cells in sample if number > first and len(cells) == width], width)
    short = sum(number for cells, number in counts.items() if 1 < cells < width)
    ragged = usual < width or short >= max(_AT_LEAST, _MANY * counts.total())
    return Shape(width, first, ragged, kinds)


def kinds_of(rows: list[list[str]], width: int) -> list[str | None]:
    """The kind that most cells of a column have, of each column of rows of this width."""
    found: list[str | None] = []
    for column in range(width):
        counts = Counter(kind(row[column]) for row in rows if row[column])
        best = max(counts, key=lambda each: counts[each], default=None)
        found.append(best if counts[best] >= _ONE_KIND * counts.total() else None)
    return found
