"""The child process that reads a workbook: finds sheet and headings, cleans the rows, writes batches.

A process of its own, because a hostile workbook can make a reader take all memory or abort its process, and because
reading then runs on another core than staging. It knows neither Prefect nor the database. `worker_protocol.py` says
what it is asked and what it answers.
"""

import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.abc import MetaPathFinder
from itertools import chain
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pyarrow as pa

from tasks.crm.batch import SheetBatches
from tasks.crm.cell_kind import is_address_or_number
from tasks.crm.headings import (
    HEADING_ROWS,
    HeadingsError,
    column_letter,
    find_headings,
    headings_not_found,
    is_same_list,
    key,
    map_columns,
    same_headings,
    score,
)
from tasks.crm.headings import Mapping as ColumnMapping
from tasks.crm.headings_error import column_option
from tasks.crm.merged_headings import refuse_divided_names
from tasks.crm.readers.csv_conventions import listed_columns
from tasks.crm.readers.csv_shape import without_slipped
from tasks.crm.readers.merged import filled_down
from tasks.crm.readers.table import Block, joined, regrouped, without_blank
from tasks.crm.readers.workbook import Workbook, WorkbookError, open_workbook
from tasks.crm.worker_protocol import ALL_SHEETS, Batch, End, Headings, ReadRequest, SheetNotRead

TextRow = tuple[int, list[str | None]]
_SORTED = frozenset("↑↓")  # beside the headings by which a report is grouped
_SECTIONS = 10  # headings between the rows of a short sheet


@dataclass(frozen=True)
class MatchedSheet:
    """A sheet whose headings were understood."""

    name: str
    heading_row: int  # as Excel shows it
    mapping: ColumnMapping
    blocks: Iterable[Block]  # all rows, also those above the headings
    height: int  # last row of the sheet; 0 if it does not say
    above: int  # rows above the headings that are not blank
    totals: frozenset[int]  # rows that sum up a table
    has_rows: bool  # below the headings


class Matches(NamedTuple):
    """The sheets to read, and the other ones that are not blank."""

    read: list[MatchedSheet]
    others: list[SheetNotRead]
    worth_reading: list[SheetNotRead]  # those of the others that can hold contacts too


def find_sheets(workbook: Workbook, request: ReadRequest) -> Matches:
    """The sheets to read: the one asked for, all of them, or the visible one that is most clearly a list of contacts.

    Raises:
        WorkbookError: no such sheet, none with rows, or several whose headings differ.
        HeadingsError: the headings of the only candidate, or of the first of several, cannot be used.
    """
    if request.sheet == ALL_SHEETS:
        return Matches(_all_sheets(workbook, request), [], [])
    refused: HeadingsError | None = None
    matched: list[MatchedSheet] = []
    others: dict[str, _Other] = {}
    candidates = [request.sheet] if request.sheet else _visible(workbook)
    for candidate in candidates:
        try:
            sheet = _matched(workbook, candidate, request)
        except HeadingsError as error:
            refused = refused or error
            others[candidate] = _without_headings(workbook, candidate)
            continue
        if sheet:
            # Opened again when it is read, so that one sheet at a time is in memory.
            matched.append(sheet if len(candidates) == 1 else replace(sheet, blocks=_from_the_top(workbook, candidate)))
    if matched:
        best = _best(matched)
        others |= {sheet.name: _with_headings(sheet, best) for sheet in matched if sheet is not best}
        left = [others[name] for name in candidates if name in others]
        return Matches([best], [other.told for other in left], [other.told for other in left if other.can_be_contacts])
    if refused:
        raise refused
    where = f" on sheet {request.sheet!r}" if request.sheet else ""
    raise WorkbookError(f"{request.name} has no rows{where}: was the right file exported?")


class _Other(NamedTuple):
    """A sheet that is not read."""

    told: SheetNotRead
    can_be_contacts: bool


def _best(matched: Sequence[MatchedSheet]) -> MatchedSheet:
    """The sheet that is most clearly a list of contacts, the first of equals; if it has no rows, one like it that has.

    The empty one may be a template.
    """
    best = max(matched, key=lambda sheet: score(sheet.mapping))
    if best.has_rows:
        return best
    alike = (sheet for sheet in matched if sheet.has_rows and is_same_list(best.mapping, sheet.mapping))
    return max(alike, key=lambda sheet: score(sheet.mapping), default=best)


def _with_headings(sheet: MatchedSheet, best: MatchedSheet) -> _Other:
    told = SheetNotRead(storable(sheet.name), _rows_below(sheet), same_headings(best.mapping, sheet.mapping))
    return _Other(told, sheet.has_rows and is_same_list(best.mapping, sheet.mapping))


def _without_headings(workbook: Workbook, name: str) -> _Other:
    """A sheet whose headings were not understood; addresses or telephone numbers on it are those of contacts."""
    begin = _begin(workbook.blocks(name), HEADING_ROWS)
    columns = [column.slice(0, HEADING_ROWS).to_pylist() for block in begin for column in block.columns]
    told = SheetNotRead(storable(name), workbook.height or len(joined(begin)), same_headings=False)
    return _Other(told, any(cell and is_address_or_number(cell) for cell in chain.from_iterable(columns)))


def _visible(workbook: Workbook) -> list[str]:
    return [info.name for info in workbook.sheets if info.visible]


def _matched(workbook: Workbook, name: str, request: ReadRequest) -> MatchedSheet | None:
    """A sheet and where its columns go; None if it is blank. Raises HeadingsError."""
    blocks = workbook.blocks(name)
    last = max(HEADING_ROWS, request.heading_row or 0)
    begin = _begin(blocks, last)
    top = [row for block in begin for row in block.slice(0, min(len(block), last)).rows() if row[0] <= last]
    if not begin:
        return None
    headings = {number: _with_merged(number, cells, top, workbook) for number, cells in top}
    columns, system = request.columns, request.system
    looked_for = partial(find_headings, overrides=columns, must_identify=not columns, system=system)
    heading_row = looked_for(headings.items(), heading_row=request.heading_row)
    if heading_row is None:
        raise headings_not_found(headings.items(), columns, system=system)
    # Beside headings that are merged over several rows, the lowest of these rows has the finer ones.
    lowest = max((last for first, last, *_ in workbook.merged if first <= heading_row <= last), default=0)
    if not request.heading_row and lowest in headings and looked_for([(lowest, headings[lowest])]):
        heading_row = lowest
    found = headings[heading_row]
    below = [cells for number, cells in top if number > heading_row]
    width = max(map(len, [found, *below])) if columns else _width(found, below)
    mapping = map_columns((found + [None] * width)[:width], columns, system=system)
    refuse_divided_names(mapping, heading_row, workbook.merged, below, columns)
    above = sum(number < heading_row for number, _ in top)
    has_rows = begin[-1].numbers[-1].as_py() > heading_row
    rows = chain(begin, blocks)
    return MatchedSheet(name, heading_row, mapping, rows, workbook.height, above, workbook.totals, has_rows)


def _begin(blocks: Iterator[Block], last: int) -> list[Block]:
    """The first blocks, down to a row below `last`: the headings may be above it."""
    begin: list[Block] = []
    while (not begin or begin[-1].numbers[-1].as_py() <= last) and (block := next(blocks, None)):
        begin.append(block)
    return begin


def _width(headings: Sequence[str | None], below: Sequence[Sequence[str | None]]) -> int:
    """How many columns the table has: up to its last heading, or the last column without one that two rows fill.

    A stray cell far to the right is no column, and is kept all the same.
    """
    filled = Counter(column for cells in below for column, cell in enumerate(cells) if cell is not None)
    columns = [column for column, rows in filled.items() if rows > 1 or len(below) == 1]
    columns += [column for column, heading in enumerate(headings) if heading]
    return max(columns, default=-1) + 1


def _with_merged(
    number: int, cells: Sequence[str | None], top: Sequence[TextRow], workbook: Workbook
) -> list[str | None]:
    """A row as headings: below a heading that is merged over several rows it still stands."""
    filled = list(cells)
    above = dict(top)
    for first, last, column, _ in workbook.merged:
        if first < number <= last and first in above and column < len(above[first]):
            filled += [None] * (column + 1 - len(filled))
            if filled[column] is None:
                filled[column] = above[first][column]
    return filled


def _all_sheets(workbook: Workbook, request: ReadRequest) -> list[MatchedSheet]:
    """All visible sheets that are not blank; what of the first is wrong or of another differs is said with its name."""
    matched: list[MatchedSheet] = []
    for name in _visible(workbook):
        try:
            sheet = _matched(workbook, name, request)
        except HeadingsError as error:
            raise WorkbookError(f"{request.name}: sheet {name!r}: {error.message(request.asked_by)}") from error
        if sheet is None:
            continue
        # Read again when its turn comes, so that one sheet at a time is in memory.
        sheet = replace(sheet, blocks=_from_the_top(workbook, name))
        if matched and (difference := _difference(matched[0].mapping, sheet.mapping)):
            raise WorkbookError(
                f"{request.name}: the headings of sheet {name!r} differ from those of {matched[0].name!r}: "
                f"{difference}; make them alike, hide the sheet, or import the sheets one by one"
            )
        matched.append(sheet)
    if not matched:
        raise WorkbookError(f"{request.name} has no rows: was the right file exported?")
    return matched


def _from_the_top(workbook: Workbook, name: str) -> Iterator[Block]:
    yield from workbook.blocks(name)


def _difference(one: ColumnMapping, other: ColumnMapping) -> str | None:
    """What headings only one of two sheets has; their order does not matter."""
    named, theirs_named = (
        [text for column, text in enumerate(each.headings) if text != f"Column {column_letter(column)}"]
        for each in (one, other)
    )
    ours, theirs = Counter(map(key, named)), Counter(map(key, theirs_named))
    missing = [text for text in named if (ours - theirs)[key(text)]]
    added = [text for text in theirs_named if (theirs - ours)[key(text)]]
    parts = [f"it has no {', '.join(map(repr, missing))}"] * bool(missing)
    parts += [f"only it has {', '.join(map(repr, added))}"] * bool(added)
    return " and ".join(parts) or None


@dataclass
class ReadTotals:
    """What was read so far."""

    rows: int = 0
    rejected: int = 0
    last: int = 0  # position
    date_orders: set[str] = field(default_factory=set)
    filled: Counter[str] = field(default_factory=Counter)
    filled_extra: Counter[str] = field(default_factory=Counter)

    hidden_rows: int = 0
    hidden_columns: int = 0
    lone_names: int = 0
    organizations: int = 0
    lone_organizations: int = 0
    null_words: Counter[int] = field(default_factory=Counter)  # column -> cells

    def end(self, assumptions: Sequence[str]) -> End:
        """The last answer."""
        return End(
            self.rows,
            self.rejected,
            day_first=self.date_orders == {"day"} if len(self.date_orders) == 1 else None,
            filled=dict(self.filled),
            filled_extra=dict(sorted(self.filled_extra.items())),
            lone_names_are_remarks=0 < 2 * self.lone_names <= self.rows,
            lone_organizations_are_sections=self._lists_people(),
            hidden_rows=self.hidden_rows,
            hidden_columns=self.hidden_columns,
            assumptions=[*assumptions, *self._null_words_told()],
        )

    def _lists_people(self) -> bool:
        """Whether people are listed, and few rows between them have nothing but an organisation."""
        few = min(self.rows / 2, max(self.rows / 10, _SECTIONS))
        others = self.organizations - self.lone_organizations
        return 0 < self.lone_organizations <= few and others <= self.rows / 50

    def _null_words_told(self) -> list[str]:
        if not self.null_words:
            return []
        places = f"{self.null_words.total():,}, in {listed_columns(sorted(self.null_words))}"
        return [f"(null), n/a, a dash or the like taken for blank cells ({places})"]


def read(request: ReadRequest) -> Generator[Headings | Batch | End, None, None]:
    """Read the workbook of `request`, writing batches as they fill.

    Raises:
        WorkbookError, HeadingsError: it cannot be read, or not understood.
        OSError: the batches cannot be written.
    """
    with open_workbook(Path(request.path), request.name, request.encoding) as workbook:
        sheets, others, worth_reading = find_sheets(workbook, request)
        headings = _headings(sheets, others)
        yield headings
        totals = ReadTotals()
        for sheet in sheets:
            yield from _batches(request, sheet, workbook, totals)
        if not totals.rows:
            raise WorkbookError(
                f"{request.name} has headings but no rows on sheet {headings.sheet!r}: was the right file exported?"
            )
        told = [
            *_grouped(headings, totals),
            *_system_without_ids(request, headings),
            *_left_out(worth_reading, request),
        ]
        yield totals.end([*workbook.assumptions, *told])


def _left_out(sheets: Iterable[SheetNotRead], request: ReadRequest) -> list[str]:
    """What is told of sheets that can hold contacts; those with the same headings are told with the books."""
    option = "--sheet " if request.asked_by == "command line" else "sheet="
    return [
        f'not read: sheet "{sheet.sheet}", which can hold contacts (rows: {sheet.rows:,}; {option}"{sheet.sheet}")'
        for sheet in sheets
        if not sheet.same_headings
    ]


def _grouped(headings: Headings, totals: ReadTotals) -> list[str]:
    """What is told of a Salesforce report that is grouped by organisations: only the first row of a group has its."""
    blank = totals.rows - totals.rejected - totals.filled["organization"]
    if not blank or _SORTED.isdisjoint(headings.fields.get("organization", "")):
        return []
    told = f"rows without an organisation in a report that seems to be grouped by it: {blank:,}"
    return [f"{told} (export it ungrouped, or write the organisation into each row)"]


def _headings(sheets: list[MatchedSheet], others: list[SheetNotRead]) -> Headings:
    first = sheets[0]
    mapping = first.mapping
    known = first.height and len(sheets) == 1
    return Headings(
        sheet=", ".join(sheet.name for sheet in sheets),
        row=first.heading_row,
        fields={name: mapping.headings[column] for column, name in mapping.fields.items()},
        extra=list(mapping.extra.values()),
        rows=max(first.height - first.heading_row, 0) if known else None,
        system=mapping.system,
        unused_ids=list(mapping.unused_ids),
        above=sum(sheet.above for sheet in sheets),
        not_read=others,
        days={
            storable(sheet.name): sheet.mapping.shown_columns.index(column)
            for sheet in sheets
            for column, name in sheet.mapping.fields.items()
            if name == "last_contacted"
        },
    )


def _system_without_ids(request: ReadRequest, headings: Headings) -> list[str]:
    """What to tell where the user says a system and no column is its id."""
    if not (request.system or "").strip() or "external_id" in headings.fields:
        return []
    option = column_option((headings.unused_ids or ["ID"])[0], "external_id", request.asked_by)
    return [f"no column holds the ids of {headings.system}: if one does, say which, for example {option}"]


def _rows_below(sheet: MatchedSheet) -> int:
    """How many rows a sheet has that is not read; counted where it does not say."""
    if sheet.height:
        return max(sheet.height - sheet.heading_row, 0)
    return sum(map(len, _below(sheet.blocks, sheet.heading_row)))


def storable(name: str) -> str:
    """The name of a sheet as the database stores it."""
    return name.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()


def _batches(
    request: ReadRequest, sheet: MatchedSheet, workbook: Workbook, totals: ReadTotals
) -> Generator[Batch, None, None]:
    """Clean and write the rows of a sheet."""
    before = totals.last
    batches = SheetBatches(storable(sheet.name), sheet.mapping, before, sheet.totals, workbook.line_of)
    below = _below(sheet.blocks, sheet.heading_row)
    if width := workbook.width_of(sheet.heading_row):
        below = without_slipped(below, width)
    rows = filled_down(below, workbook, sheet.heading_row)
    for block in regrouped(without_blank(rows, sheet.mapping.fields), request.batch_rows):
        staged = batches.staged(block.widened(len(sheet.mapping.headings)))
        first, last = before + block.numbers[0].as_py(), before + block.numbers[-1].as_py()
        path = Path(request.into, f"rows-{first}-{last}.csv")
        staged.write(path)
        totals.rows += len(block)
        totals.rejected += staged.rejected
        totals.lone_names += staged.lone_names
        totals.organizations += staged.organizations
        totals.lone_organizations += staged.lone_organizations
        totals.last = last
        totals.date_orders |= staged.date_orders
        totals.filled.update(staged.filled)
        totals.filled_extra.update(staged.filled_extra)
        totals.null_words.update(staged.null_words)
        yield Batch(first, last, len(block), staged.rejected, str(path))
    totals.hidden_rows += workbook.hidden_rows
    totals.hidden_columns += len([column for column in workbook.hidden_columns if column < len(sheet.mapping.headings)])


def _below(blocks: Iterable[Block], heading_row: int) -> Iterator[Block]:
    """The rows below the headings."""
    for block in blocks:
        above = int(np.searchsorted(np.asarray(block.numbers), heading_row, side="right"))
        if above < len(block):
            yield block.slice(above, len(block)) if above else block


def _answer(kind: str, content: object) -> None:
    sys.stdout.write(json.dumps({kind: content}) + "\n")
    sys.stdout.flush()


def _exit() -> NoReturn:
    """Leave without the interpreter's clean-up: after a panic or without memory it may hang."""
    with suppress(BrokenPipeError):  # the parent is gone
        sys.stdout.flush()
    os._exit(0)


class _NoPandas(MetaPathFinder):
    """Finds no pandas.

    Arrow imports pandas when it first converts a list, in case there are Series in it. Here there are none, and the
    import takes 0.2 s, as long as reading 10,000 rows. What needs pandas later still imports it.
    """

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def _start_arrow() -> None:
    pa.set_memory_pool(pa.system_memory_pool())  # the others keep a quarter more
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    pa.array([None])
    sys.meta_path.remove(finder)


def main() -> None:
    """Carry out the request on standard input."""
    _start_arrow()  # before it is known what to read
    request = ReadRequest(**json.loads(sys.stdin.read()))
    if sys.platform != "darwin":  # macOS has no limit of this kind that works
        limit = request.memory_mb << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    _carry_out(request)
    _exit()


def _carry_out(request: ReadRequest) -> None:
    """Answer with what comes, or with the sentence of a refusal."""
    kinds = {Headings: "headings", Batch: "batch", End: "end"}
    try:
        for event in read(request):
            _answer(kinds[type(event)], asdict(event))
    except HeadingsError as error:
        _answer("refused", f"{request.name}: {error.message(request.asked_by)}")
    except WorkbookError as error:
        _answer("refused", str(error))
    except MemoryError:
        _answer(
            "refused",
            f"{request.name} needs more than {request.memory_mb} MB to be read: divide it, or raise IMPORT_MEMORY_MB",
        )
    except BrokenPipeError:
        pass  # the parent is gone
    except OSError as error:
        _answer("refused", f"the rows of {request.name} cannot be kept in {request.into}: {error.strerror}")


if __name__ == "__main__":
    main()
