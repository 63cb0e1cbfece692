"""Fills the value of a cell that is merged over several rows into each of these rows."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from tasks.crm.readers.budget import Budget
from tasks.crm.readers.cell import Merge
from tasks.crm.readers.table import Block, Fault


class Merged(Protocol):
    """A sheet that knows its merged cells, at least of the rows that it has yielded so far."""

    merged: Sequence[Merge]


class _Value(NamedTuple):
    """The value of a merged cell."""

    last: int  # row
    text: str
    reason: str | None  # if the reader found a fault in it


def filled_down(blocks: Iterable[Block], sheet: Merged, below: int, budget: Budget) -> Iterator[Block]:
    """The blocks with the value of a merged cell in every row that it covers.

    Args:
        blocks: all rows that a merged cell covers, or none.
        sheet: asked for its merged cells after each block.
        below: the row of the headings; cells merged from there or above are not data.
        budget: of the cells that are filled.

    Raises:
        BudgetError: they are too many.
    """
    known = 0
    waiting: dict[int, list[Merge]] = defaultdict(list)  # by column, the uppermost last
    unfinished: dict[int, _Value] = {}  # by column: values that reach beyond the block before
    for block in blocks:
        if new := [merge for merge in sheet.merged[known:] if below < merge[0] < merge[1]]:
            for merge in new:
                waiting[merge[2]].append(merge)
            for column in {merge[2] for merge in new}:
                waiting[column].sort(reverse=True)
        known = len(sheet.merged)
        yield _filled(block, waiting, unfinished, budget)


def _filled(block: Block, waiting: dict[int, list[Merge]], unfinished: dict[int, _Value], budget: Budget) -> Block:
    last = block.numbers[-1].as_py()
    touched = {column for column, merges in waiting.items() if merges and merges[-1][0] <= last} | set(unfinished)
    if not touched:
        return block
    numbers = block.numbers.to_pylist()
    reasons: dict[tuple[int, int | None], str] = {
        (row, column): reason for row, column, reason in block.faults if column in touched
    }
    columns = list(block.widened(max(touched) + 1).columns)
    for column in touched:
        texts = columns[column].to_pylist()
        values = [(0, unfinished.pop(column))] if column in unfinished else []
        values += _values(texts, numbers, column, waiting[column], reasons)
        filled = 0  # rows above are filled: merged cells that overlap take no more time than others
        for start, value in values:
            end = bisect_right(numbers, value.last)
            budget.fill(_fill(texts, range(max(start, filled), end), column, value, reasons))
            filled = max(filled, end)
            if value.last > last:
                unfinished[column] = value
        columns[column] = pa.array(texts, pa.string())
    others = [fault for fault in block.faults if fault.column not in touched]
    return Block(block.numbers, columns, sorted(others + [Fault(*at, why) for at, why in reasons.items()], key=_place))


def _values(
    texts: list[str | None],
    numbers: list[int],
    column: int,
    merges: list[Merge],
    reasons: dict[tuple[int, int | None], str],
) -> Iterator[tuple[int, _Value]]:
    """The merged cells that begin in the block: the index of the row below, and the value."""
    while merges and merges[-1][0] <= numbers[-1]:
        first, last, *_ = merges.pop()
        at = bisect_left(numbers, first)
        if numbers[at] == first and (text := texts[at]) is not None:
            yield at + 1, _Value(last, text, reasons.get((at, column)))


def _fill(
    texts: list[str | None],
    rows: range,
    column: int,
    value: _Value,
    reasons: dict[tuple[int, int | None], str],
) -> int:
    """Fill the blank cells of these rows; returns how many."""
    blank = [row for row in rows if texts[row] is None]
    for row in blank:
        texts[row] = value.text
        if value.reason:
            reasons[row, column] = value.reason
    return len(blank)


def _place(fault: Fault) -> tuple[int, int]:
    return fault.row, -1 if fault.column is None else fault.column
