"""The report of an import as it is stored."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from tasks.crm.worker_protocol import SheetNotRead


class ImportReport(BaseModel):
    """The outcome of the import of one workbook, as stored in task_runs.result."""

    model_config = ConfigDict(frozen=True)

    import_id: int  # task_runs.id
    workbook: str  # its address, without secrets
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
    extra: list[str]  # headings without a field
    filled: dict[str, int]  # field -> accepted rows that fill it
    filled_extra: dict[str, int] = {}  # heading in extra -> the same
    not_kept: int = 0  # rejected rows beyond IMPORT_REJECTS
    reject_reasons: list[tuple[str | None, str, int]]  # column, reason, faulty cells
    duplicates: list[dict[str, Any]]  # sheet, row, of_sheet, of_row, differs: [field, …]; at most 1,000
    weak_updates: list[dict[str, Any]] = []  # sheet, row, basis, fields: [replaced field, …]; at most 1,000
    shared_emails: list[tuple[str, int]]  # e-mail, people
    encoding: str | None = None  # only in reports of release 0.1: the detected encoding of a text
    refusal: str | None = None  # of a preview: why an import would be refused
    system: str | None = None  # that exported the file
    unused_ids: list[str] = []  # headings in extra that are called an id; empty if one is external_id
    above: int = 0  # rows above the headings that are not blank
    not_read: list[SheetNotRead] = []
    hidden_rows: int = 0  # that were read
    hidden_columns: int = 0
    assumptions: list[str] = []  # what was assumed about the file

    @property
    def balances(self) -> bool:
        """Whether every row read has exactly one verdict."""
        return self.rows == self.inserted + self.updated + self.unchanged + self.duplicate + self.rejected

    @property
    def accepted(self) -> int:
        """Rows that were not rejected."""
        return self.rows - self.rejected
