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
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NoReturn, TypeVar, cast

from tasks.crm.columns import HEADING_ROWS, HeadingsError, find_headings, map_columns
from tasks.crm.columns import Mapping as ColumnMapping
from tasks.crm.copy_lines import Sheet
from tasks.crm.workbook import Row, Workbook, WorkbookError, open_workbook

T = TypeVar("T")
ANSWERED = 3  # exit code of a fork that has said itself why it stopped


@dataclass(frozen=True)
class Order:
    """What the parent asks for."""

    path: str  # the private copy
    name: str  # what people call it
    into: str  # directory for the batches
    import_id: int
    sheet: str | None  # None: the first visible one whose headings can be mapped
    columns: dict[str, str]  # heading -> field
    batch_rows: int
    memory_mb: int  # address space the process may take


@dataclass(frozen=True)
class Headings:
    """Where the rows are and where their columns go."""

    sheet: str
    row: int  # of the headings, as Excel shows it
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


def find_sheet(workbook: Workbook, order: Order) -> Found:
    """The sheet to read: the one asked for, else the first visible one whose headings can be mapped.

    Raises:
        WorkbookError: no such sheet, or none with rows.
        HeadingsError: the headings of the only candidate, or of the first of several, cannot be used.
    """
    refused: HeadingsError | None = None
    candidates = [order.sheet] if order.sheet else [info.name for info in workbook.sheets if info.visible]
    for candidate in candidates:
        rows = workbook.rows(candidate)
        top = list(islice(rows, HEADING_ROWS))
        heading_row = find_headings(top, order.columns, must_identify=False)
        if heading_row is None:
            continue
        try:
            mapping = map_columns(dict(top)[heading_row], order.columns)
        except HeadingsError as error:
            refused = refused or error
        else:
            return Found(candidate, heading_row, mapping, chain(top, rows))
    if refused:
        raise refused
    where = f" on sheet {order.sheet!r}" if order.sheet else ""
    raise WorkbookError(f"{order.name} has no rows{where}: was the right file exported?")


def read(order: Order) -> Generator[Headings | Batch | End, None, None]:
    """Read the workbook of `order`, writing batches as they fill.

    Raises:
        WorkbookError, HeadingsError: it cannot be read, or not understood.
        OSError: the batches cannot be written.
    """
    with open_workbook(Path(order.path), order.name) as workbook:
        found = find_sheet(workbook, order)
        mapping = found.mapping
        yield Headings(
            sheet=found.name,
            row=found.heading_row,
            fields={field: mapping.headings[column] for column, field in mapping.fields.items()},
            extra=list(mapping.extra.values()),
            rows=max(workbook.height - found.heading_row, 0) if workbook.height else None,
        )
        divided = workbook.height > order.batch_rows and workbook.in_memory and (os.cpu_count() or 1) > 1
        share = yield from _on_two_cores(order, found) if divided else _rows(order, found)
        if not share.rows:
            raise WorkbookError(
                f"{order.name} has headings but no rows on sheet {found.name!r}: was the right file exported?"
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


def _rows(order: Order, found: Found, mine: int = 0, of: int = 1) -> Generator[Batch, None, _Share]:
    """Judge and write every batch whose number modulo `of` is `mine`."""
    sheet = Sheet(found.name, found.mapping, order.import_id)
    width, batch_rows = len(found.mapping.headings), order.batch_rows
    position = rejected = 0
    batch: list[Row] = []
    for number, cells in found.rows:
        if number <= found.heading_row:
            continue
        position += 1
        if of > 1 and (position - 1) // batch_rows % of != mine:
            continue
        if len(cells) < width:
            cells += [None] * (width - len(cells))  # noqa: PLW2901 - the row is ours
        batch.append((number, cells))
        if position % batch_rows == 0:
            written = _written(order, sheet, position - batch_rows + 1, batch)
            yield written
            rejected, batch = rejected + written.rejected, []
    if batch:
        written = _written(order, sheet, position // batch_rows * batch_rows + 1, batch)
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
