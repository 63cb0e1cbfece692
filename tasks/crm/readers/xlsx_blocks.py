"""Makes the blocks of an .xlsx of its cells, for both ways of finding these."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasks.crm.readers.table import ROWS_IN_BLOCK, Block, Fault
from tasks.crm.readers.xlsx_bytes import Mask, Positions
from tasks.crm.readers.xlsx_strings import SharedStrings
from tasks.crm.readers.xlsx_values import RawCell, Shown, Values

LAST_ROW, LAST_COLUMN = 1_048_576, 16_383  # from 1 and from 0
_MAX_ROWS = 2 * ROWS_IN_BLOCK
_MAX_CELLS = 1 << 22  # of a block, including blank cells in columns that are used


class SheetError(ValueError):
    """The rows of a sheet are not in order, or refer to something that does not exist."""


def shown_in(cell: RawCell, values: Values, strings: SharedStrings) -> Shown:
    """The text of a cell, shared string or not. Raises SheetError."""
    if cell.kind != "s" or not (cell.value or "").strip():
        return values.shown(*cell[1:])
    index = int(cell.value) if cell.value and cell.value.strip().isdecimal() else -1
    if not 0 <= index < len(strings.texts):
        raise SheetError("a shared string does not exist")
    return Shown(strings.texts[index].as_py(), strings.faults.get(index))


@dataclass
class Cells:
    """Cells with a value, in the order of their rows. The text of a cell is shared or its own."""

    rows: Positions  # numbers, as Excel shows them
    columns: Positions
    shared: Positions  # index of the shared string; -1: it is in `own`
    own: Positions  # index
    texts: pa.StringArray  # the texts of the cells that have their own
    faults: dict[int, str]  # index of the cell -> reason


def blocks_of_cells(cells: Cells, strings: SharedStrings) -> Iterator[Block]:
    """The blocks of these cells. Blank rows and columns need no memory."""
    valid = _valid(cells, strings)
    if strings.faults:
        faulty = np.flatnonzero(np.isin(cells.shared, list(strings.faults)))
        cells.faults.update({at: strings.faults[int(cells.shared[at])] for at in faulty.tolist()})
    if not valid.all():
        places = np.cumsum(valid) - 1
        faults = {int(places[at]): fault for at, fault in cells.faults.items() if valid[at]}
        rows, columns, shared, own = (each[valid] for each in (cells.rows, cells.columns, cells.shared, cells.own))
        cells = Cells(rows, columns, shared, own, cells.texts, faults)
    is_next = np.diff(cells.rows, prepend=0) > 0
    numbers, row = cells.rows[is_next], np.cumsum(is_next) - 1
    used = int(np.count_nonzero(np.bincount(cells.columns)))
    step = min(_MAX_ROWS, max(_MAX_CELLS // max(used, 1), 1))
    for first in range(0, len(numbers), step):
        some = numbers[first : first + step]
        begin, end = np.searchsorted(row, [first, first + len(some)]).tolist()
        yield _block(cells, row[begin:end] - first, some, begin, strings.texts)


def _valid(cells: Cells, strings: SharedStrings) -> Mask:
    """For each cell, whether it is not blank."""
    if cells.texts.null_count == 0 and strings.texts.null_count == 0:
        return np.ones(len(cells.rows), np.bool_)
    own = np.asarray(cells.texts.is_valid())
    shared = np.asarray(strings.texts.is_valid())
    found = np.empty(len(cells.rows), np.bool_)
    is_own = cells.shared < 0
    found[is_own], found[~is_own] = own[cells.own[is_own]], shared[cells.shared[~is_own]]
    return found


def _block(cells: Cells, row: Positions, numbers: Positions, begin: int, strings: pa.StringArray) -> Block:
    """The block of the cells from `begin` on; `row` has the index of each in the block."""
    columns, shared, own = (each[begin : begin + len(row)] for each in (cells.columns, cells.shared, cells.own))
    by_column = np.argsort(columns.astype(np.uint16), kind="stable")
    in_column = np.bincount(columns)
    blank = pa.nulls(len(numbers), pa.string())
    found = [blank] * len(in_column)
    used = np.flatnonzero(in_column)
    for column, some in zip(used.tolist(), np.split(by_column, np.cumsum(in_column[used])[:-1]), strict=True):
        found[column] = _column(row[some], shared[some], own[some], len(numbers), strings, cells.texts)
    faults = [
        Fault(int(row[at - begin]), int(columns[at - begin]), reason)
        for at, reason in cells.faults.items()
        if begin <= at < begin + len(row)
    ]
    return Block(pa.array(numbers, pa.int32()), found, sorted(faults))


def _column(
    row: Positions, shared: Positions, own: Positions, rows: int, strings: pa.StringArray, texts: pa.StringArray
) -> pa.StringArray:
    is_own = shared < 0
    place = np.full(rows, -1)
    if is_own.all():
        place[row] = own
    elif not is_own.any():
        place[row], texts = shared, strings
    else:
        place[row] = np.where(is_own, np.cumsum(is_own) - 1, np.cumsum(~is_own) - 1 + is_own.sum())
        texts = pa.concat_arrays([texts.take(pa.array(own[is_own])), strings.take(pa.array(shared[~is_own]))])
    return texts.take(pa.array(place, mask=place < 0))
