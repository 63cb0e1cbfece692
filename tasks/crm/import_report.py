"""The outcome of an import as it is stored, and how a cell's text is made harmless where people read it."""

import html
import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from tasks.crm.worker_protocol import SheetNotRead

_MARKDOWN = re.compile(r"([\\`*_\[\]|~])")
_ESCAPED = re.compile(r"\\([\\`*_\[\]|~])")


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
    encoding: str | None = None  # (release 0.1) of text, where its bytes do not prove it
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


def safe(text: object) -> str:
    """Text from a cell, harmless in Markdown and HTML and on one line."""
    flat = " ".join(str(text).split())
    flat = flat if len(flat) <= 200 else flat[:199] + "…"  # noqa: PLR2004 - what a table cell can show
    return _MARKDOWN.sub(r"\\\1", html.escape(flat, quote=False))


def unescaped(markdown: str) -> str:
    """Markdown for a terminal: what `safe` escaped stands there as it was, to be copied."""
    return html.unescape(_ESCAPED.sub(r"\1", markdown))
