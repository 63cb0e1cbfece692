"""What an import tells: its books, what became of each column, why rows were rejected.

The books balance: every row read has exactly one verdict. The report is stored as the import's result and shown as it
is to people, so cell values in its Markdown are made harmless here.
"""

from pathlib import PurePosixPath

from tasks.crm.import_report import ImportReport, counted, safe, unescaped
from tasks.crm.worker_protocol import AskedBy

__all__ = ["ImportReport", "markdown", "remarks", "safe", "summary", "unescaped"]

_UNPROVEN = 'if accented letters look wrong, save it as "CSV UTF-8" and import that.'


def summary(report: ImportReport) -> str:
    """One line: the books."""
    return (
        f"{report.rows:,} rows: {report.inserted:,} inserted, {report.updated:,} updated, "
        f"{report.unchanged:,} unchanged, {report.duplicate:,} duplicate, {report.rejected:,} rejected"
    )


def remarks(report: ImportReport, asked_by: AskedBy) -> list[str]:
    """What somebody has to know who reads no more than the line: what was assumed, and what was not read."""
    told = list(report.assumptions)
    alike = [sheet for sheet in report.not_read if sheet.same_headings]
    if alike:
        named = ", ".join(f'"{sheet.sheet}"' for sheet in alike)
        option = '--sheet "*"' if asked_by == "command line" else 'sheet="*"'
        told.append(f"not read although the headings are the same: sheet {named} ({option} reads all)")
    if report.above:
        told.append(f"left out above the headings: {counted(report.above, 'row')}")
    hidden = [counted(number, f"hidden {what}") for number, what in _hidden(report) if number]
    if hidden:
        told.append(f"read like the others: {' and '.join(hidden)}")
    return told


def _hidden(report: ImportReport) -> tuple[tuple[int, str], ...]:
    return (report.hidden_rows, "row"), (report.hidden_columns, "column")


def markdown(report: ImportReport) -> str:
    """The report for the run's page."""
    from tasks.crm.report_parts import parts  # noqa: PLC0415 - pandas, see judge_and_apply

    title = "Preview of" if report.preview else "Import of"
    head = [
        f"# {title} {safe(PurePosixPath(report.workbook).name)}",
        f"Import {report.import_id}, sheet {safe(report.sheet)}, headings in row {report.heading_row}."
        + (f" Read as {report.encoding}: {_UNPROVEN}" if report.encoding else "")
        + (f" No contact was changed: {_foretold(report)}" if report.preview else ""),
    ]
    return "\n\n".join([*head, *parts(report)])


def _foretold(report: ImportReport) -> str:
    """What a preview says of the import."""
    if report.refusal is None:
        return "this is what an import would do now."
    return f"**an import would be refused now**, {safe(report.refusal)}."
