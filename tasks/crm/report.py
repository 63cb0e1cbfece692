"""Words the report of an import: one line, remarks, and the page in Markdown.

Values of cells are escaped in the Markdown.
"""

from pathlib import PurePosixPath

from tasks.counts import counted
from tasks.crm.import_report import ImportReport
from tasks.crm.worker_protocol import Interface
from tasks.markdown import escape

_UNPROVEN = 'if accented letters look wrong, save it as "CSV UTF-8" and import that.'


def summary(report: ImportReport) -> str:
    """The verdicts in one line."""
    return (
        f"{report.rows:,} rows: {report.inserted:,} inserted, {report.updated:,} updated, "
        f"{report.unchanged:,} unchanged, {report.duplicate:,} duplicate, {report.rejected:,} rejected"
    )


def remarks(report: ImportReport, interface: Interface) -> list[str]:
    """Clauses for the line about what was assumed and what was not read."""
    clauses = list(report.assumptions)
    alike = [sheet for sheet in report.not_read if sheet.same_headings]
    if alike:
        named = ", ".join(f'"{sheet.sheet}"' for sheet in alike)
        option = '--sheet "*"' if interface == "command line" else 'sheet="*"'
        clauses.append(f"not read although the headings are the same: sheet {named} ({option} reads all)")
    if report.above:
        clauses.append(f"left out above the headings: {counted(report.above, 'row')}")
    hidden = [counted(number, f"hidden {what}") for number, what in _hidden(report) if number]
    if hidden:
        clauses.append(f"read like the others: {' and '.join(hidden)}")
    return clauses


def _hidden(report: ImportReport) -> tuple[tuple[int, str], ...]:
    return (report.hidden_rows, "row"), (report.hidden_columns, "column")


def markdown(report: ImportReport) -> str:
    """The report for the run's page."""
    from tasks.crm.report_parts import parts  # noqa: PLC0415 - loads pandas, see steps.evaluate_and_commit

    title = "Preview of" if report.preview else "Import of"
    head = [
        f"# {title} {escape(PurePosixPath(report.workbook).name)}",
        f"Import {report.import_id}, sheet {escape(report.sheet)}, headings in row {report.heading_row}."
        + (f" Read as {report.encoding}: {_UNPROVEN}" if report.encoding else "")
        + (f" No contact was changed: {_preview_outcome(report)}" if report.preview else ""),
    ]
    return "\n\n".join([*head, *parts(report)])


def _preview_outcome(report: ImportReport) -> str:
    """What an import would do, for a preview."""
    if report.refusal is None:
        return "this is what an import would do now."
    return f"**an import would be refused now**, {escape(report.refusal)}."
