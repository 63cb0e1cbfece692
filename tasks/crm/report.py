"""What an import tells: its books, what became of each column, why rows were rejected.

The books balance: every row read has exactly one verdict. The report is stored as the import's result and shown as it
is to people, so cell values in its Markdown are made harmless here.
"""

import html
import re
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict

_MARKDOWN = re.compile(r"([\\`*_\[\]|~])")
_UNPROVEN = 'if accented letters look wrong, save it as "CSV UTF-8" and import that.'
_SHOWN = 20  # lines of each list in the report


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
    weak_updates: list[dict[str, Any]] = []  # sheet, row, basis, fields: [replaced field, …]; at most 1,000
    shared_emails: list[tuple[str, int]]  # e-mail, people
    encoding: str | None = None  # of text, where its bytes do not prove it
    refusal: str | None = None  # of a preview: why an import would be refused

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


def safe(text: object) -> str:
    """Text from a cell, harmless in Markdown and HTML and on one line."""
    flat = " ".join(str(text).split())
    flat = flat if len(flat) <= 200 else flat[:199] + "…"  # noqa: PLR2004 - what a table cell can show
    return _MARKDOWN.sub(r"\\\1", html.escape(flat, quote=False))


def markdown(report: ImportReport) -> str:
    """The report for the run's page."""
    title = "Preview of" if report.preview else "Import of"
    parts = [
        f"# {title} {safe(PurePosixPath(report.workbook).name)}",
        f"Import {report.import_id}, sheet {safe(report.sheet)}, headings in row {report.heading_row}."
        + (f" Read as {report.encoding}: {_UNPROVEN}" if report.encoding else "")
        + (f" No contact was changed: {_foretold(report)}" if report.preview else ""),
        _table(
            ["rows read", "inserted", "updated", "unchanged", "duplicate", "rejected"],
            [[f"{n:,}" for n in _books(report)]],
        ),
    ]
    if report.rejected:
        parts += [
            "## Rejected rows",
            _table(
                ["column", "reason", "cells"],
                [[safe(column or "(row)"), safe(reason), f"{n:,}"] for column, reason, n in report.reject_reasons],
            ),
            "This writes them into a workbook, with reasons, to be corrected and imported again:",
            f"```\npython -m tasks.crm.rejects {report.import_id} rejects.xlsx\n```",
        ]
    parts += ["## Columns", _columns(report)]
    if report.extra:
        parts.append(
            "Headings without a field of their own are kept in `extra`. "
            'To give one a field: parameter `columns`, for example `{"' + safe(report.extra[0]) + '": "notes"}`.'
        )
    if report.duplicates:
        rows = [
            [
                f"{safe(each['sheet'])} {each['row']}",
                f"{safe(each['of_sheet'])} {each['of_row']}",
                ", ".join(each["differs"]) or "nothing",
            ]
            for each in report.duplicates[:_SHOWN]
        ]
        parts += ["## Rows that repeat a person", _table(["row", "is the person of row", "differing in"], rows)]
        parts += _more(report.duplicate, len(rows))
    if report.shared_emails:
        rows = [[safe(address), f"{people:,}"] for address, people in report.shared_emails[:_SHOWN]]
        parts += ["## E-mail addresses of several people", "All of them are kept.", _table(["e-mail", "people"], rows)]
    return "\n\n".join(parts)


def _foretold(report: ImportReport) -> str:
    """What a preview says of the import."""
    if report.refusal is None:
        return "this is what an import would do now."
    return f"**an import would be refused now**, {safe(report.refusal)}."


def _books(report: ImportReport) -> tuple[int, ...]:
    return (report.rows, report.inserted, report.updated, report.unchanged, report.duplicate, report.rejected)


def _columns(report: ImportReport) -> str:
    of = max(report.accepted, 1)
    filled = {**report.filled, "full_name": report.filled.get("last_name", 0)}  # whoever has one has a last name
    mapped = [[safe(heading), field, _share(filled.get(field, 0), of)] for field, heading in report.fields.items()]
    derived = [
        [f"(from {safe(report.fields['full_name'])})", field, _share(report.filled[field], of)]
        for field in ("first_name", "last_name")
        if "full_name" in report.fields and field in report.filled
    ]
    extra = [[safe(heading), "extra", _share(report.filled_extra.get(heading, 0), of)] for heading in report.extra]
    return _table(["heading", "field", "filled"], mapped + derived + extra)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"


def _more(total: int, listed: int) -> list[str]:
    return [f"… and {total - listed:,} more."] if total > listed else []


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
