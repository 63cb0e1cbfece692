"""Reads a workbook into batches of staged rows, and notes what a user should know about it."""

import json
import shlex
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.crm.batch import SheetBatches, StagedRows
from tasks.crm.headings.error import column_option
from tasks.crm.readers.budget import Budget
from tasks.crm.readers.csv_conventions import listed_columns
from tasks.crm.readers.csv_shape import with_surplus_faults
from tasks.crm.readers.merged import filled_down
from tasks.crm.readers.table import regrouped, without_blank
from tasks.crm.readers.workbook import Workbook, WorkbookError, open_workbook
from tasks.crm.sheets import NO_ROWS, MatchedSheet, below_headings, find_sheets, storable_name
from tasks.crm.worker_protocol import Batch, End, Headings, ReadRequest, SheetNotRead

_SORTED = frozenset("↑↓")  # Salesforce adds one to the heading by which a report is grouped
_SECTIONS = 10  # section titles that a short sheet may have


def read(request: ReadRequest) -> Generator[Headings | Batch | End, None, None]:
    """Read the workbook and write its batches; yields the headings, each batch when its file is complete, and the end.

    Raises:
        WorkbookError: the workbook cannot be read, or has no rows.
        BudgetError: reading it costs too much.
        HeadingsError: its headings cannot be used.
        OSError: the batches cannot be written.
    """
    budget = Budget(request.name, request.filled_cells, request.written_mb)
    with open_workbook(Path(request.path), request.name, request.encoding, budget) as workbook:
        sheets, others, worth_reading = find_sheets(workbook, request)
        headings = _headings(sheets, others)
        yield headings
        totals = ReadTotals()
        for sheet in sheets:
            yield from _batches(request, sheet, workbook, totals)
        if not totals.rows:
            raise WorkbookError(f"{request.name} has headings but no rows on sheet {headings.sheet!r}: {NO_ROWS}")
        assumptions = [
            *workbook.assumptions,
            *_missing_organizations(headings, totals),
            *_missing_ids(request, headings),
            *_sheets_left_out(worth_reading, request),
            *totals.null_words_replaced(),
        ]
        yield totals.end(assumptions)


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
        date_columns={
            storable_name(sheet.name): sheet.mapping.shown_columns.index(column)
            for sheet in sheets
            for column, name in sheet.mapping.fields.items()
            if name == "last_contacted"
        },
    )


def _batches(
    request: ReadRequest, sheet: MatchedSheet, workbook: Workbook, totals: "ReadTotals"
) -> Generator[Batch, None, None]:
    """Clean the rows of a sheet, write them in batches, and add them to the totals."""
    before = totals.last
    batches = SheetBatches(
        storable_name(sheet.name), sheet.mapping, before, sheet.totals, workbook.line_of, request.reasons
    )
    below = below_headings(sheet.blocks, sheet.heading_row)
    if width := workbook.width_of(sheet.heading_row):
        below = with_surplus_faults(below, width)
    rows = filled_down(below, workbook, sheet.heading_row, workbook.budget)
    for block in regrouped(without_blank(rows, sheet.mapping.fields), request.batch_rows):
        staged = batches.staged(block.widened(len(sheet.mapping.headings)))
        first, last = before + block.numbers[0].as_py(), before + block.numbers[-1].as_py()
        path = Path(request.into, f"rows-{first}-{last}.csv")
        staged.write(path)
        workbook.budget.write(path.stat().st_size)
        totals.add(len(block), staged, last)
        yield Batch(first, last, len(block), staged.rejected, str(path))
    totals.hidden_rows += workbook.hidden_rows
    totals.hidden_columns += len([column for column in workbook.hidden_columns if column < len(sheet.mapping.headings)])


@dataclass
class ReadTotals:
    """Totals of the rows that were read so far."""

    rows: int = 0
    rejected: int = 0
    last: int = 0  # position
    date_orders: set[str] = field(default_factory=set)
    filled: Counter[str] = field(default_factory=Counter)
    filled_extra: Counter[str] = field(default_factory=Counter)

    hidden_rows: int = 0
    hidden_columns: int = 0
    name_only_rows: int = 0
    organizations: int = 0
    organization_only_rows: int = 0
    null_words: Counter[int] = field(default_factory=Counter)  # column -> cells

    def add(self, rows: int, staged: StagedRows, last: int) -> None:
        """Add the rows of a batch; `last` is the position of the last one."""
        self.rows += rows
        self.rejected += staged.rejected
        self.name_only_rows += staged.name_only_rows
        self.organizations += staged.organizations
        self.organization_only_rows += staged.organization_only_rows
        self.last = last
        self.date_orders |= staged.date_orders
        self.filled.update(staged.filled)
        self.filled_extra.update(staged.filled_extra)
        self.null_words.update(staged.null_words)

    def end(self, assumptions: Sequence[str]) -> End:
        """The last message of the reading process."""
        return End(
            self.rows,
            self.rejected,
            day_first=self.date_orders == {"day"} if len(self.date_orders) == 1 else None,
            filled=dict(self.filled),
            filled_extra=dict(sorted(self.filled_extra.items())),
            reject_name_only_rows=0 < 2 * self.name_only_rows <= self.rows,
            reject_organization_only_rows=self._lists_people(),
            hidden_rows=self.hidden_rows,
            hidden_columns=self.hidden_columns,
            assumptions=list(assumptions),
        )

    def null_words_replaced(self) -> list[str]:
        """One clause about the words for nothing that were taken for blank cells, if there were any."""
        if not self.null_words:
            return []
        places = f"{self.null_words.total():,}, in {listed_columns(sorted(self.null_words))}"
        return [f"(null), n/a, a dash or the like taken for blank cells ({places})"]

    def _lists_people(self) -> bool:
        """Whether the sheet lists people, and few of the rows between them have nothing but an organisation."""
        few = min(self.rows / 2, max(self.rows / 10, _SECTIONS))
        others = self.organizations - self.organization_only_rows
        return 0 < self.organization_only_rows <= few and others <= self.rows / 50


# ---------------------------------------------------------------------- what a user should know, one clause each


def _missing_organizations(headings: Headings, totals: ReadTotals) -> list[str]:
    """About a Salesforce report that is grouped by organisations: only the first row of a group names it."""
    blank = totals.rows - totals.rejected - totals.filled["organization"]
    if not blank or _SORTED.isdisjoint(headings.fields.get("organization", "")):
        return []
    clause = f"rows without an organisation in a report that seems to be grouped by it: {blank:,}"
    return [f"{clause} (export it ungrouped, or write the organisation into each row)"]


def _missing_ids(request: ReadRequest, headings: Headings) -> list[str]:
    """About a system that the user named although no column has its ids."""
    if not (request.system or "").strip() or "external_id" in headings.fields:
        return []
    option = column_option((headings.unused_ids or ["ID"])[0], "external_id", request.interface)
    return [f"no column holds the ids of {headings.system}: if one does, map it, for example {option}"]


def _sheets_left_out(sheets: Iterable[SheetNotRead], request: ReadRequest) -> list[str]:
    """About sheets that can hold contacts and are not read. The report names those with the same headings itself."""
    by_command = request.interface == "command line"

    def option(sheet: str) -> str:
        return f"--sheet {shlex.quote(sheet)}" if by_command else f"sheet={json.dumps(sheet, ensure_ascii=False)}"

    return [
        f'not read: sheet "{sheet.sheet}", which can hold contacts (rows: {sheet.rows:,}; {option(sheet.sheet)})'
        for sheet in sheets
        if not sheet.same_headings
    ]
