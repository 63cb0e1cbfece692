"""What an import tells: its books, what became of each column, why rows were rejected.

The books balance: every row read has exactly one verdict. The report is stored as the import's result and shown as it
is to people, so cell values in its Markdown are made harmless here.
"""

import html
import json
import re
import shlex
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict

from tasks.crm.worker_protocol import AskedBy, SheetNotRead

_MARKDOWN = re.compile(r"([\\`*_\[\]|~])")
_UNPROVEN = 'if accented letters look wrong, save it as "CSV UTF-8" and import that.'


class ImportReport(BaseModel):
    """The outcome of importing one workbook, as stored in task_runs.result."""

    model_config = ConfigDict(frozen=True)

    import_id: int  # task_runs.id
    workbook: str  # where it came from, without secrets
    sha256: str  # of its bytes
    sheet: str
    heading_row: int  # as Excel shows it
    preview: bool
    rows: int  # read
    inserted: int
    updated: int
    unchanged: int
    duplicate: int
    rejected: int
    fields: dict[str, str]  # field -> heading
    extra: list[str]  # headings without a field of their own
    filled: dict[str, int]  # field -> accepted rows that fill it
    filled_extra: dict[str, int] = {}  # heading in extra -> the same
    reject_reasons: list[tuple[str | None, str, int]]  # column, reason, faulty cells
    duplicates: list[dict[str, Any]]  # sheet, row, of_sheet, of_row, differs: [field, …]; at most 1,000
    shared_emails: list[tuple[str, int]]  # e-mail, people
    encoding: str | None = None  # (before 0.2) of text, where its bytes do not prove it
    refusal: str | None = None  # of a preview: why an import would be refused
    system: str | None = None  # that the file was exported from
    above: int = 0  # rows above the headings that are not blank
    not_read: list[SheetNotRead] = []
    hidden_rows: int = 0  # read like the others
    hidden_columns: int = 0
    assumptions: list[str] = []  # what was decided about the file and not proven by it

    @property
    def balances(self) -> bool:
        """Whether every row read has exactly one verdict."""
        return self.rows == self.inserted + self.updated + self.unchanged + self.duplicate + self.rejected

    @property
    def accepted(self) -> int:
        """Rows that were not rejected."""
        return self.rows - self.rejected


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
    if report.hidden_rows:
        told.append(f"{report.hidden_rows:,} hidden rows were read too")
    return told


def column_option(heading: str, field: str, asked_by: AskedBy) -> str:
    """How a user says where a column goes."""
    if asked_by == "command line":
        return f"--column {shlex.quote(f'{heading}={field}')}"
    return f"columns={json.dumps({heading: field}, ensure_ascii=False)}"


def safe(text: object) -> str:
    """Text from a cell, harmless in Markdown and HTML and on one line."""
    flat = " ".join(str(text).split())
    flat = flat if len(flat) <= 200 else flat[:199] + "…"  # noqa: PLR2004 - what a table cell can show
    return _MARKDOWN.sub(r"\\\1", html.escape(flat, quote=False))


def markdown(report: ImportReport) -> str:
    """The report for the run's page."""
    from tasks.crm.report_parts import parts  # noqa: PLC0415 - pandas: see steps.reading_process

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
