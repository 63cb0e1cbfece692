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
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NoReturn, TypeVar, cast

from tasks.crm.readers.cell import Cell, Row
from tasks.crm.headings import HEADING_ROWS, HeadingsError, column_letter, find_headings, key, map_columns
from tasks.crm.headings import Mapping as ColumnMapping
from tasks.crm.contact import shown
from tasks.crm.copy_lines import Sheet
from tasks.crm.readers.merged import filled_down
from tasks.crm.readers.workbook import Workbook, WorkbookError, open_workbook

T = TypeVar("T")
ALL_SHEETS = "*"  # all visible ones, which have to have the same headings; no sheet can have this name
CLEARLY_CONTACTS = 3  # fields; a list of something else may have one heading that a contact has too
LEAST_PIECE = 1_000  # rows; with smaller ones it takes longer to cut a sheet than to read it
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
    encoding: str | None  # of text, where its bytes do not prove it
    days: dict[str, int]  # sheet -> which cell of a row, as a reject shows it, is the day


@dataclass(frozen=True)
class Batch:
    """Rows in one file. A row's position is its number; on a further sheet the numbers are counted on."""

    first: int  # position
    last: int
    rows: int  # fewer than positions where there are blank rows
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
    pieces: Iterable[Iterable[Row]]  # all rows, also those above the headings


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
    pieces = _pieces(workbook, name, order)
    top = _look_at_the_top(pieces)
    headings = {number: _with_merged(number, cells, top, workbook) for number, cells in top}
    looked_for = partial(find_headings, overrides=order.columns, must_identify=not order.columns)
    heading_row = looked_for(headings.items())
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
    if lowest in headings and looked_for([(lowest, headings[lowest])]):
        heading_row = lowest
    below = [cells for number, cells in top if number > heading_row]
    width = len(headings[heading_row]) if order.columns else _width(headings[heading_row], below)
    return Found(name, heading_row, map_columns(headings[heading_row][:width], order.columns), pieces)


def _width(headings: Sequence[Cell], below: Sequence[Sequence[Cell]]) -> int:
    """How many columns the table has: up to its last heading, or the last column without one that two rows fill.

    A stray cell far to the right is no column, and is kept all the same.
    """
    filled = Counter(column for cells in below for column, cell in enumerate(cells) if cell is not None)
    columns = [column for column, rows in filled.items() if rows > 1 or len(below) == 1]
    columns += [column for column, heading in enumerate(headings) if heading not in {None, ""}]
    return max(columns, default=-1) + 1


def _pieces(workbook: Workbook, name: str, order: Order) -> list[Iterable[Row]]:
    return [*workbook.pieces(name, max(order.batch_rows, LEAST_PIECE), Path(order.into))]


def _look_at_the_top(pieces: list[Iterable[Row]]) -> list[Row]:
    """The first rows of the sheet, where headings may be; the pieces are as before."""
    top: list[Row] = []
    for n, piece in enumerate(pieces):
        rest = iter(piece)
        begin = list(islice(rest, HEADING_ROWS - len(top)))
        top += begin
        pieces[n] = chain(begin, rest)
        if len(top) == HEADING_ROWS:
            break
    return top


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
        understood = replace(understood, pieces=_from_the_top(workbook, name, order))
        if found and (difference := _difference(found[0].mapping, understood.mapping)):
            raise WorkbookError(
                f"{order.name}: the headings of sheet {name!r} differ from those of {found[0].name!r}: {difference}; "
                "make them alike, hide the sheet, or import the sheets one by one"
            )
        found.append(understood)
    if not found:
        raise WorkbookError(f"{order.name} has no rows: was the right file exported?")
    return found


def _from_the_top(workbook: Workbook, name: str, order: Order) -> Iterator[Iterable[Row]]:
    yield from _pieces(workbook, name, order)


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
            encoding=workbook.encoding,
            rows=max(workbook.height - first.heading_row, 0) if workbook.height and one else None,
            days={
                shown(found.name): found.mapping.shown_columns.index(column)
                for found in sheets
                for column, field in found.mapping.fields.items()
                if field == "last_contacted"
            },
        )
        share = _Share()
        for found in sheets:
            pieces = list(found.pieces)
            _look_at_the_top(pieces)  # before a fork: the first row brings the merged cells
            if len(pieces) > 1 and (os.cpu_count() or 1) > 1:
                share += yield from _on_two_cores(order, found, pieces, workbook, share.last)
            else:
                share += yield from _rows(order, found, pieces, workbook, share.last)
        if not share.rows:
            raise WorkbookError(
                f"{order.name} has headings but no rows on sheet {names!r}: was the right file exported?"
            )
        yield End(rows=share.rows, rejected=share.rejected, day_first=share.day_first)


@dataclass(frozen=True)
class _Share:
    """What was read, of a sheet or by a process."""

    rows: int = 0
    rejected: int = 0
    last: int = 0  # position
    orders: Sequence[str] = ()  # of dates in words

    def __add__(self, other: "_Share") -> "_Share":
        last, orders = max(self.last, other.last), sorted({*self.orders, *other.orders})
        return _Share(self.rows + other.rows, self.rejected + other.rejected, last, orders)

    @property
    def day_first(self) -> bool | None:
        return self.orders[0] == "day" if len(self.orders) == 1 else None


def _rows(
    order: Order, found: Found, pieces: Iterable[Iterable[Row]], workbook: Workbook, before: int
) -> Generator[Batch, None, _Share]:
    """Judge and write the rows of some pieces of a sheet, `before` which there were so many positions."""
    sheet = Sheet(found.name, found.mapping, order.import_id, before)
    width = len(found.mapping.headings)
    share = _Share(last=before)
    for piece in pieces:
        data = ((number, cells) for number, cells in piece if number > found.heading_row)
        below = filled_down(data, lambda: workbook.merged, found.heading_row)
        while rows := list(islice(below, order.batch_rows)):
            for _, cells in rows:
                if len(cells) < width:
                    cells.extend([None] * (width - len(cells)))  # the row is ours
            batch = _written(order, sheet, before, rows)
            yield batch
            share += _Share(batch.rows, batch.rejected, batch.last)
    return share + _Share(orders=sorted(sheet.orders))


def _on_two_cores(
    order: Order, found: Found, pieces: list[Iterable[Row]], workbook: Workbook, before: int
) -> Generator[Batch, None, _Share]:
    """A fork takes every other piece.

    It answers for its batches itself; its share comes back through a pipe.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        workbook.reopen()
        share = _carried_out(_rows(order, found, pieces[1::2], workbook, before), order)
        if share is not None:
            os.write(writer, json.dumps(asdict(share)).encode())
        os._exit(0 if share is not None else ANSWERED)
    os.close(writer)
    own = yield from _rows(order, found, pieces[::2], workbook, before)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) == ANSWERED:
        _stop()
    if not said:
        raise MemoryError
    return own + _Share(**json.loads(said))


def _written(order: Order, sheet: Sheet, before: int, rows: list[Row]) -> Batch:
    lines, rejected = sheet.copy_lines(rows)
    first, last = before + rows[0][0], before + rows[-1][0]
    path = Path(order.into, f"rows-{first}-{last}.copy")
    path.write_bytes("".join(lines).encode())
    return Batch(first=first, last=last, rows=len(rows), rejected=rejected, path=str(path))


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
    except HeadingsError as error:
        _answer("refused", f"{order.name}: {error}")
    except WorkbookError as error:
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
