"""The child process that reads a workbook: finds sheet and headings, judges each row by itself, writes batches.

A process of its own, because a hostile workbook can make a reader take all memory or abort its process, and because
reading and judging then run on another core than staging. It knows neither Prefect nor the database. The parent gives
an Order as JSON on standard input and gets one JSON object a line on standard output:

    {"headings": {...}}   once, what was found and where the rows are
    {"batch": {...}}      for each batch, when its file is complete
    {"end": {...}}        once, after the last batch
    {"refused": "..."}    instead of the rest: one plain sentence

A batch is a file in PostgreSQL's COPY text format with the columns that `db.contacts.stage` takes.
"""

import gc
import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import NoReturn, TypeVar, cast

from tasks.crm.cell import Cell, Row
from tasks.crm.columns import HEADING_ROWS, HeadingsError, column_letter, find_headings, key, map_columns
from tasks.crm.columns import Mapping as ColumnMapping
from tasks.crm.contact import shown
from tasks.crm.copy_lines import Sheet
from tasks.crm.workbook import Workbook, WorkbookError, open_workbook

T = TypeVar("T")
ALL_SHEETS = "*"  # all visible ones, which have to have the same headings; no sheet can have this name
CLEARLY_CONTACTS = 3  # fields; a list of something else may have one heading that a contact has too
ANSWERED = 3  # exit code of a fork that has said itself why it stopped


@dataclass(frozen=True)
class Order:
    """What the parent asks for."""

    path: str  # the private copy
    name: str  # what people call it
    into: str  # directory for the batches
    import_id: int
    sheet: str | None  # None: the one that is most clearly a list of contacts; ALL_SHEETS
    columns: dict[str, str]  # heading -> field
    batch_rows: int
    memory_mb: int  # address space the process may take


@dataclass(frozen=True)
class Headings:
    """Where the rows are and where their columns go."""

    sheet: str  # of several their names
    row: int  # of the headings, as Excel shows it; of several sheets that of the first
    fields: dict[str, str]  # field -> heading
    extra: list[str]  # headings kept in extra
    rows: int | None  # how many rows the sheet has at most, if it says so


@dataclass(frozen=True)
class Batch:
    """Rows of consecutive positions in one file."""

    first: int
    last: int
    rejected: int  # of them, on their own account
    path: str


@dataclass(frozen=True)
class End:
    """The whole sheet was read."""

    rows: int
    rejected: int
    day_first: bool | None  # how the dates in words of the sheet are written; None: nothing tells, or two ways


@dataclass(frozen=True)
class Found:
    """A sheet whose headings were understood."""

    name: str
    heading_row: int  # as Excel shows it
    mapping: ColumnMapping
    rows: Iterator[Row]  # all of them, also those above the headings


def find_sheets(workbook: Workbook, order: Order) -> list[Found]:
    """The sheets to read: the one asked for, all of them, or the one that is most clearly a list of contacts.

    That is the first visible one whose headings name three fields; if there is none, the one that names most.

    Raises:
        WorkbookError: no such sheet, none with rows, or several whose headings differ.
        HeadingsError: the headings of the only candidate, or of the first of several, cannot be used.
    """
    if order.sheet == ALL_SHEETS:
        return _all_sheets(workbook, order)
    refused: HeadingsError | None = None
    best, most = None, 0
    candidates = [order.sheet] if order.sheet else _visible(workbook)
    for candidate in candidates:
        try:
            found = _understood(workbook, candidate, order)
        except HeadingsError as error:
            refused = refused or error
            continue
        if found and (len(found.mapping.fields) >= CLEARLY_CONTACTS or (candidate == candidates[-1] and not most)):
            return [found]
        if found and len(found.mapping.fields) > most:
            best, most = candidate, len(found.mapping.fields)
    if best and (found := _understood(workbook, best, order)):  # again: one sheet at a time is in memory
        return [found]
    if refused:
        raise refused
    where = f" on sheet {order.sheet!r}" if order.sheet else ""
    raise WorkbookError(f"{order.name} has no rows{where}: was the right file exported?")


def _visible(workbook: Workbook) -> list[str]:
    return [info.name for info in workbook.sheets if info.visible]


def _understood(workbook: Workbook, name: str, order: Order) -> Found | None:
    """A sheet and where its columns go; None if it is blank. Raises HeadingsError."""
    rows = workbook.rows(name)
    top = list(islice(rows, HEADING_ROWS))
    headings = {number: _with_merged(number, cells, top, workbook) for number, cells in top}
    heading_row = find_headings(headings.items(), order.columns, must_identify=not order.columns)
    if heading_row is None:
        likeliest = find_headings(headings.items(), must_identify=False)
        if likeliest is None and top:
            raise HeadingsError([f"the first {HEADING_ROWS} rows are blank"], [])
        if likeliest is None:
            return None
        map_columns(headings[likeliest])  # says what is wrong with it
        shown_there = [shown(cell) for cell in headings[likeliest]]
        raise HeadingsError([f"no row looks like headings; the likeliest is row {likeliest}"], shown_there)
    # Beside headings that are merged over several rows, the lowest of these rows has the finer ones.
    lowest = max((last for first, last, *_ in workbook.merged if first <= heading_row <= last), default=0)
    heading_row = lowest if lowest in headings else heading_row
    return Found(name, heading_row, map_columns(headings[heading_row], order.columns), chain(top, rows))


def _with_merged(number: int, cells: Sequence[Cell], top: Sequence[Row], workbook: Workbook) -> list[Cell]:
    """A row as headings: below a heading that is merged over several rows it still stands."""
    filled = list(cells)
    above = dict(top)
    for first, last, column, _ in workbook.merged:
        if first < number <= last and first in above and column < len(above[first]):
            filled += [None] * (column + 1 - len(filled))
            if filled[column] is None:
                filled[column] = above[first][column]
    return filled


def _all_sheets(workbook: Workbook, order: Order) -> list[Found]:
    """All visible sheets that are not blank; what of the first is wrong or of another differs is said with its name."""
    found: list[Found] = []
    for name in _visible(workbook):
        try:
            understood = _understood(workbook, name, order)
        except HeadingsError as error:
            raise WorkbookError(f"{order.name}: sheet {name!r}: {error}") from error
        if understood is None:
            continue
        # Read again when its turn comes, so that one sheet at a time is in memory.
        understood = replace(understood, rows=_from_the_top(workbook, name))
        if found and (difference := _difference(found[0].mapping, understood.mapping)):
            raise WorkbookError(
                f"{order.name}: the headings of sheet {name!r} differ from those of {found[0].name!r}: {difference}; "
                "make them alike, hide the sheet, or import the sheets one by one"
            )
        found.append(understood)
    if not found:
        raise WorkbookError(f"{order.name} has no rows: was the right file exported?")
    return found


def _from_the_top(workbook: Workbook, name: str) -> Iterator[Row]:
    yield from workbook.rows(name)


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


def read(order: Order) -> Generator[Headings | Batch | End, None, None]:
    """Read the workbook of `order`, writing batches as they fill.

    Raises:
        WorkbookError, HeadingsError: it cannot be read, or not understood.
        OSError: the batches cannot be written.
    """
    with open_workbook(Path(order.path), order.name) as workbook:
        sheets = find_sheets(workbook, order)
        names, first = ", ".join(found.name for found in sheets), sheets[0]
        mapping = first.mapping
        one = len(sheets) == 1
        yield Headings(
            sheet=names,
            row=first.heading_row,
            fields={field: mapping.headings[column] for column, field in mapping.fields.items()},
            extra=list(mapping.extra.values()),
            rows=max(workbook.height - first.heading_row, 0) if workbook.height and one else None,
        )
        divided = one and workbook.height > order.batch_rows and workbook.in_memory and (os.cpu_count() or 1) > 1
        if divided:
            share = yield from _on_two_cores(order, first)
        else:
            share = _Share(0, 0, [])
            for found in sheets:
                more = yield from _rows(order, found, before=share.rows)
                share = _Share(more.rows, share.rejected + more.rejected, sorted({*share.orders, *more.orders}))
        if not share.rows:
            raise WorkbookError(
                f"{order.name} has headings but no rows on sheet {names!r}: was the right file exported?"
            )
        yield End(rows=share.rows, rejected=share.rejected, day_first=share.day_first)


@dataclass(frozen=True)
class _Share:
    """What one process read: all rows are counted, of every other batch only the place."""

    rows: int
    rejected: int
    orders: list[str]

    @property
    def day_first(self) -> bool | None:
        return self.orders == ["day"] if len(self.orders) == 1 else None


def _rows(order: Order, found: Found, mine: int = 0, of: int = 1, *, before: int = 0) -> Generator[Batch, None, _Share]:
    """Judge and write every batch whose number modulo `of` is `mine`; `before` rows of other sheets are counted on."""
    sheet = Sheet(found.name, found.mapping, order.import_id)
    width, batch_rows = len(found.mapping.headings), order.batch_rows
    position, rejected, first = before, 0, 0
    batch: list[Row] = []
    for number, cells in found.rows:
        if number <= found.heading_row:
            continue
        position += 1
        if of > 1 and (position - 1) // batch_rows % of != mine:
            continue
        if len(cells) < width:
            cells += [None] * (width - len(cells))  # noqa: PLW2901 - the row is ours
        first = first if batch else position
        batch.append((number, cells))
        if position % batch_rows == 0:
            written = _written(order, sheet, first, batch)
            yield written
            rejected, batch = rejected + written.rejected, []
    if batch:
        written = _written(order, sheet, first, batch)
        yield written
        rejected += written.rejected
    return _Share(position, rejected, sorted(sheet.orders))


def _on_two_cores(order: Order, found: Found) -> Generator[Batch, None, _Share]:
    """Judging takes longer than reading: a fork, which shares the rows in memory, takes every other batch.

    The fork answers for its batches itself; its share comes back through a pipe.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        share = _carried_out(_rows(order, found, 1, 2), order)
        if share is not None:
            os.write(writer, json.dumps(asdict(share)).encode())
        os._exit(0 if share is not None else ANSWERED)
    os.close(writer)
    own = yield from _rows(order, found, 0, 2)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) == ANSWERED:
        _stop()
    if not said:
        raise MemoryError
    other = _Share(**json.loads(said))
    return _Share(own.rows, own.rejected + other.rejected, sorted({*own.orders, *other.orders}))


def _written(order: Order, sheet: Sheet, first: int, rows: list[Row]) -> Batch:
    lines, rejected = sheet.copy_lines(first, rows)
    last = first + len(rows) - 1
    path = Path(order.into, f"rows-{first}-{last}.copy")
    path.write_bytes("".join(lines).encode())
    return Batch(first=first, last=last, rejected=rejected, path=str(path))


def _answer(kind: str, content: object) -> None:
    sys.stdout.write(json.dumps({kind: content}) + "\n")
    sys.stdout.flush()


def _stop() -> NoReturn:
    """Leave without the interpreter's clean-up: after a panic or without memory it may hang."""
    with suppress(BrokenPipeError):  # the parent is gone
        sys.stdout.flush()
    os._exit(0)


def main() -> None:
    """Carry out the order on standard input."""
    order = Order(**json.loads(sys.stdin.read()))
    gc.set_threshold(100_000)  # rows are no garbage: looking for cycles among them costs a tenth of the time
    if sys.platform != "darwin":  # macOS has no limit of this kind that works
        limit = order.memory_mb << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    _carried_out(read(order), order)
    _stop()


def _carried_out(events: Generator[Headings | Batch | End, None, T], order: Order) -> T | None:
    """Answer with what comes; returns what the generator returned, None after a refusal."""
    kinds = {Headings: "headings", Batch: "batch", End: "end"}
    try:
        while True:
            event = next(events)
            _answer(kinds[type(event)], asdict(event))
    except StopIteration as end:
        return cast("T", end.value)
    except (WorkbookError, HeadingsError) as error:
        _answer("refused", str(error))
    except MemoryError:
        _answer(
            "refused",
            f"{order.name} needs more than {order.memory_mb} MB to be read: divide it, or raise IMPORT_MEMORY_MB",
        )
    except BrokenPipeError:
        pass  # the parent is gone
    except OSError as error:
        _answer("refused", f"the rows of {order.name} cannot be kept in {order.into}: {error.strerror}")
    return None


if __name__ == "__main__":
    main()
