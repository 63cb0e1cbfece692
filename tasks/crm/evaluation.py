"""What an import decides about a whole workbook, as values: its report, and whether it is refused. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tasks.crm.download import Copy
from tasks.crm.headings.error import column_option
from tasks.crm.import_report import ImportReport
from tasks.crm.overmerging import DistinguishingColumn, find_overmerging
from tasks.crm.worker_protocol import Batch, End, Headings, Interface

REJECTS_ALWAYS_ALLOWED = 10  # so that one typing error in a workbook of three rows does not refuse it


@dataclass(frozen=True)
class StagedWorkbook:
    """A workbook whose rows are all staged."""

    copy: Copy
    headings: Headings
    end: End
    batches: list[Batch]
    reading: str  # digest of how it was read


class FilledCells(Protocol):
    """How many cells some rows fill."""

    @property
    def filled(self) -> Mapping[str, int]:
        """Field -> rows that fill it."""

    @property
    def filled_extra(self) -> Mapping[str, int]:
        """Heading in extra -> rows that fill it."""


def fill_counts(end: End, rejected_later: Iterable[FilledCells]) -> dict[str, dict[str, int]]:
    """How many accepted rows fill each field, and each heading in extra.

    Args:
        end: counts all rows that the reading process accepted.
        rejected_later: counts of rows that were rejected after that.
    """
    filled, filled_extra = Counter(end.filled), Counter(end.filled_extra)
    for rows in rejected_later:
        filled.subtract(rows.filled)
        filled_extra.subtract(rows.filled_extra)
    return {"filled": dict(+filled), "filled_extra": dict(+filled_extra)}


def make_report(staged: StagedWorkbook, import_id: int, *, preview: bool, counts: Mapping[str, Any]) -> ImportReport:
    """The report of an import; `counts` are the other fields of ImportReport."""
    headings, end = staged.headings, staged.end
    return ImportReport(
        import_id=import_id,
        workbook=staged.copy.address,
        sha256=staged.copy.sha256,
        sheet=headings.sheet,
        heading_row=headings.row,
        preview=preview,
        fields=headings.fields,
        extra=headings.extra,
        system=headings.system,
        unused_ids=headings.unused_ids,
        above=headings.above,
        not_read=headings.not_read,
        hidden_rows=end.hidden_rows,
        hidden_columns=end.hidden_columns,
        assumptions=[*staged.copy.assumptions, *end.assumptions],
        **counts,
    )


def find_refusal(
    report: ImportReport, distinguishing: Sequence[DistinguishingColumn], reject_limit: float, interface: Interface
) -> str | None:
    """Why the workbook is refused, as the rest of a sentence; None if it is not.

    Args:
        report: with the verdicts of all rows.
        distinguishing: columns without a field in which rows of the same person differ.
        reject_limit: share of the rows that may be rejected.
        interface: whose parameters or options the message names.
    """
    allowed = max(reject_limit * report.rows, REJECTS_ALWAYS_ALLOWED)
    overmerged = find_overmerging(distinguishing, report.rows, allowed, report.fields, interface)
    if overmerged or report.rejected <= allowed:
        return overmerged
    column, reason, _ = report.reject_reasons[0]
    refusal = (
        f"{report.rejected:,} of {report.rows:,} rows are rejected, more than REJECT_LIMIT ({reject_limit:.0%}) "
        f"allows; most frequent reason: {column or 'the row'} {reason}"
    )
    if column in report.extra:  # a column that no field needs: nobody corrects every row of it
        refusal += f"; or leave that column out: {column_option(column, 'ignore', interface)}"
    return refusal
