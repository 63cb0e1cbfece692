"""Finds the sheets of a workbook that hold contacts, and where their headings are."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np

from tasks.crm.cell_kind import is_address_or_number
from tasks.crm.headings.column_mapping import Mapping as ColumnMapping
from tasks.crm.headings.column_mapping import is_same_list, map_columns, same_headings, score
from tasks.crm.headings.error import HeadingsError
from tasks.crm.headings.heading_row import find_headings
from tasks.crm.headings.merged import refuse_divided_names
from tasks.crm.headings.not_found import headings_not_found
from tasks.crm.headings.sheet_row import HEADING_ROWS
from tasks.crm.headings.table import key
from tasks.crm.headings.text import column_letter
from tasks.crm.readers.table import Block
from tasks.crm.readers.workbook import Workbook, WorkbookError
from tasks.crm.worker_protocol import ALL_SHEETS, ReadRequest, SheetNotRead

TextRow = tuple[int, list[str | None]]
NO_ROWS = "check that you exported the right file"


@dataclass(frozen=True)
class MatchedSheet:
    """A sheet whose headings are known."""

    name: str
    heading_row: int  # as Excel shows it
    mapping: ColumnMapping
    blocks: Iterable[Block]  # all rows, also those above the headings
    height: int  # last row of the sheet; 0 if the format does not state it
    above: int  # rows above the headings that are not blank
    totals: frozenset[int]  # rows that sum up a table
    has_rows: bool  # below the headings


class Matches(NamedTuple):
    """The sheets to read, and the other ones that are not blank."""

    read: list[MatchedSheet]
    others: list[SheetNotRead]
    worth_reading: list[SheetNotRead]  # those of the others that can hold contacts too


def find_sheets(workbook: Workbook, request: ReadRequest) -> Matches:
    """The sheets to read: the requested one, all of them, or the visible one that is most clearly a list of contacts.

    Raises:
        WorkbookError: there is no such sheet, or none with rows, or the headings of several sheets differ.
        HeadingsError: the headings of the only candidate, or of the first of several, cannot be used.
    """
    if request.sheet == ALL_SHEETS:
        return Matches(_all_sheets(workbook, request), [], [])
    refused: HeadingsError | None = None
    matched: list[MatchedSheet] = []
    others: dict[str, _Other] = {}
    candidates = [request.sheet] if request.sheet else _visible(workbook)
    for candidate in candidates:
        top = _top_of(workbook, candidate, request)
        try:
            sheet = _matched(workbook, top, request)
        except HeadingsError as error:
            refused = refused or error
            others[candidate] = _without_headings(workbook, top)
            continue
        if sheet:
            # Of several candidates each is opened again when it is read, so that only one of them is in memory.
            matched.append(sheet if len(candidates) == 1 else replace(sheet, blocks=_from_the_top(workbook, candidate)))
    if matched:
        best = _best(matched)
        others |= {sheet.name: _with_headings(sheet, best) for sheet in matched if sheet is not best}
        left = [others[name] for name in candidates if name in others]
        worth_reading = [other.summary for other in left if other.can_be_contacts]
        return Matches([best], [other.summary for other in left], worth_reading)
    if refused:
        raise refused
    where = f" on sheet {request.sheet!r}" if request.sheet else ""
    raise WorkbookError(f"{request.name} has no rows{where}: {NO_ROWS}")


def below_headings(blocks: Iterable[Block], heading_row: int) -> Iterator[Block]:
    """The blocks without the headings and the rows above them."""
    for block in blocks:
        above = int(np.searchsorted(np.asarray(block.numbers), heading_row, side="right"))
        if above < len(block):
            yield block.slice(above, len(block)) if above else block


def storable_name(name: str) -> str:
    """The name of a sheet as the database can store it."""
    return name.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()


# ---------------------------------------------------------------------- the best sheet, and the others


class _Other(NamedTuple):
    """A sheet that is not read."""

    summary: SheetNotRead
    can_be_contacts: bool


def _best(matched: Sequence[MatchedSheet]) -> MatchedSheet:
    """The sheet that is most clearly a list of contacts, the first of equals.

    If it has no rows it may be a template: then the best sheet of the same list that has rows.
    """
    best = max(matched, key=lambda sheet: score(sheet.mapping))
    if best.has_rows:
        return best
    alike = (sheet for sheet in matched if sheet.has_rows and is_same_list(best.mapping, sheet.mapping))
    return max(alike, key=lambda sheet: score(sheet.mapping), default=best)


def _with_headings(sheet: MatchedSheet, best: MatchedSheet) -> _Other:
    """A sheet with usable headings that is not read."""
    same = same_headings(best.mapping, sheet.mapping)
    summary = SheetNotRead(storable_name(sheet.name), _rows_below(sheet), same)
    return _Other(summary, sheet.has_rows and is_same_list(best.mapping, sheet.mapping))


def _without_headings(workbook: Workbook, top: "_Top") -> _Other:
    """A sheet without usable headings. It can hold contacts if it has e-mail addresses or telephone numbers."""
    columns = [column.slice(0, HEADING_ROWS).to_pylist() for block in top.blocks for column in block.columns]
    rows = workbook.height or sum(map(len, top.blocks))
    summary = SheetNotRead(storable_name(top.sheet), rows, same_headings=False)
    return _Other(summary, any(cell and is_address_or_number(cell) for cell in chain.from_iterable(columns)))


def _rows_below(sheet: MatchedSheet) -> int:
    """How many rows a sheet has below its headings; counted if the format does not state it."""
    if sheet.height:
        return max(sheet.height - sheet.heading_row, 0)
    return sum(map(len, below_headings(sheet.blocks, sheet.heading_row)))


def _visible(workbook: Workbook) -> list[str]:
    return [info.name for info in workbook.sheets if info.visible]


# ---------------------------------------------------------------------- one sheet


class _Top(NamedTuple):
    """The top of a sheet, opened once: to open each sheet twice would take another pass through some formats."""

    sheet: str
    blocks: list[Block]  # all that can hold headings
    rest: Iterator[Block]


def _top_of(workbook: Workbook, name: str, request: ReadRequest) -> _Top:
    blocks = workbook.blocks(name)
    return _Top(name, _begin(blocks, max(HEADING_ROWS, request.heading_row or 0)), blocks)


def _matched(workbook: Workbook, opened: _Top, request: ReadRequest) -> MatchedSheet | None:
    """A sheet and the mapping of its columns; None if it is blank. Raises HeadingsError."""
    name, begin, blocks = opened
    if not begin:
        return None
    last = max(HEADING_ROWS, request.heading_row or 0)
    top = [row for block in begin for row in block.slice(0, min(len(block), last)).rows() if row[0] <= last]
    headings = _with_merged([row for row in top if request.heading_row in (None, row[0])], dict(top), workbook)
    heading_row = _heading_row(headings, workbook, request)
    found = headings[heading_row]
    below = [cells for number, cells in top if number > heading_row]
    width = max(map(len, [found, *below])) if request.columns else _width(found, below)
    mapping = map_columns((found + [None] * width)[:width], request.columns, system=request.system)
    refuse_divided_names(mapping, heading_row, workbook.merged, below, request.columns)
    return MatchedSheet(
        name,
        heading_row,
        mapping,
        chain(begin, blocks),
        workbook.height,
        above=sum(number < heading_row for number, _ in top),
        totals=workbook.totals,
        has_rows=begin[-1].numbers[-1].as_py() > heading_row,
    )


def _heading_row(headings: dict[int, list[str | None]], workbook: Workbook, request: ReadRequest) -> int:
    """The number of the heading row. Raises HeadingsError if there is none."""
    columns, system = request.columns, request.system
    find = partial(find_headings, overrides=columns, must_identify=not columns, system=system)
    heading_row = find(headings.items(), heading_row=request.heading_row)
    if heading_row is None:
        raise headings_not_found(headings.items(), columns, system=system)
    # If headings are merged over several rows, the lowest of these rows has the more detailed ones.
    lowest = max((last for first, last, *_ in workbook.merged if first <= heading_row <= last), default=0)
    if not request.heading_row and lowest in headings and find([(lowest, headings[lowest])]):
        return lowest
    return heading_row


def _begin(blocks: Iterator[Block], last: int) -> list[Block]:
    """The first blocks, up to one that reaches below the row `last`: all blocks in which headings can be."""
    begin: list[Block] = []
    while (not begin or begin[-1].numbers[-1].as_py() <= last) and (block := next(blocks, None)):
        begin.append(block)
    return begin


def _width(headings: Sequence[str | None], below: Sequence[Sequence[str | None]]) -> int:
    """How many columns the table has: up to its last heading, or the last column without one that two rows fill.

    A single cell further to the right is not a column; its value is kept in `extra`.
    """
    filled = Counter(column for cells in below for column, cell in enumerate(cells) if cell is not None)
    columns = [column for column, rows in filled.items() if rows > 1 or len(below) == 1]
    columns += [column for column, heading in enumerate(headings) if heading]
    return max(columns, default=-1) + 1


def _with_merged(
    rows: Sequence[TextRow], top: Mapping[int, Sequence[str | None]], workbook: Workbook
) -> dict[int, list[str | None]]:
    """Rows as headings, by number: a heading that is merged over several rows applies to each of them."""
    found = {}
    for number, cells in rows:
        filled = list(cells)
        for first, last, column, _ in workbook.merged:
            if first < number <= last and first in top and column < len(top[first]):
                filled += [None] * (column + 1 - len(filled))
                if filled[column] is None:
                    filled[column] = top[first][column]
        found[number] = filled
    return found


# ---------------------------------------------------------------------- all sheets


def _all_sheets(workbook: Workbook, request: ReadRequest) -> list[MatchedSheet]:
    """All visible sheets that are not blank. Raises WorkbookError: a sheet has other headings than the first one."""
    matched: list[MatchedSheet] = []
    for name in _visible(workbook):
        try:
            sheet = _matched(workbook, _top_of(workbook, name, request), request)
        except HeadingsError as error:
            raise WorkbookError(f"{request.name}: sheet {name!r}: {error.message(request.interface)}") from error
        if sheet is None:
            continue
        # Opened again when it is read, so that only one sheet is in memory.
        sheet = replace(sheet, blocks=_from_the_top(workbook, name))
        if matched and (difference := _difference(matched[0].mapping, sheet.mapping)):
            raise WorkbookError(
                f"{request.name}: the headings of sheet {name!r} differ from those of {matched[0].name!r}: "
                f"{difference}; give them the same headings, hide the sheet, or import each sheet separately"
            )
        matched.append(sheet)
    if not matched:
        raise WorkbookError(f"{request.name} has no rows: {NO_ROWS}")
    return matched


def _from_the_top(workbook: Workbook, name: str) -> Iterator[Block]:
    yield from workbook.blocks(name)


def _difference(one: ColumnMapping, other: ColumnMapping) -> str | None:
    """The headings that only one of two sheets has, as a clause; None if there are none. The order does not matter."""
    first, second = (
        [text for column, text in enumerate(each.headings) if text != f"Column {column_letter(column)}"]
        for each in (one, other)
    )
    first_keys, second_keys = Counter(map(key, first)), Counter(map(key, second))
    fewer, more = first_keys - second_keys, second_keys - first_keys
    missing = [text for text in first if fewer[key(text)]]
    added = [text for text in second if more[key(text)]]
    parts = [f"it has no {', '.join(map(repr, missing))}"] * bool(missing)
    parts += [f"only it has {', '.join(map(repr, added))}"] * bool(added)
    return " and ".join(parts) or None
