"""The messages between an import and its reading process.

The import sends a ReadRequest as JSON on standard input. The process answers with one JSON object per line:

    {"headings": {...}}   once: the sheet, the heading row and the mapping of the columns
    {"batch": {...}}      for each batch, when its file is complete
    {"end": {...}}        once, after the last batch
    {"refused": "..."}    instead of the rest: one plain sentence

A batch is a file in PostgreSQL's CSV format with the columns that `db.staging.stage` takes.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.crm.readers.budget import FILLED_CELLS, REASONS, WRITTEN_MB

Interface = Literal["ui", "command line"]
ALL_SHEETS = "*"  # all visible sheets, which need the same headings; no sheet can have this name


@dataclass(frozen=True)
class ReadOptions:
    """How the user wants a workbook to be read; None where it is detected."""

    sheet: str | None = None  # None: the one that is most clearly a list of contacts; ALL_SHEETS
    columns: dict[str, str] = field(default_factory=dict)  # heading -> field, "extra" or "ignore"
    heading_row: int | None = None  # as Excel shows it
    encoding: str | None = None  # of text
    system: str | None = None  # the system that exported the file

    def digest_parts(self) -> list[Any]:
        """What the options add to a digest.

        Releases before 0.1 had only `sheet` and `columns`: without the others the parts are the same as theirs.
        """
        later = {"heading_row": self.heading_row, "encoding": self.encoding, "system": self.system}
        given = {name: value for name, value in later.items() if value is not None}
        return [self.sheet, self.columns, *([given] if given else [])]


@dataclass(frozen=True)
class ReadRequest:
    """What the reading process has to read, and how. For the options see ReadOptions."""

    path: str  # the private copy
    name: str  # of the workbook, for messages
    into: str  # directory for the batches
    sheet: str | None
    columns: dict[str, str]
    batch_rows: int
    memory_mb: int  # address space that the process may use
    heading_row: int | None = None
    encoding: str | None = None
    system: str | None = None
    filled_cells: int = FILLED_CELLS  # see readers/budget.py
    written_mb: int = WRITTEN_MB
    reasons: int = REASONS  # of a rejected row that are kept
    cpu_seconds: int = 1800  # that the process may use
    seconds: int = 3600  # that it may take
    interface: Interface = "ui"  # messages name the parameters of the UI or the options of the command line


@dataclass(frozen=True)
class Headings:
    """Where the rows are, and how the columns are mapped."""

    sheet: str  # the names of all sheets that are read
    row: int  # of the headings, as Excel shows it; of several sheets that of the first
    fields: dict[str, str]  # field -> heading
    extra: list[str]  # headings of columns that are kept in extra
    rows: int | None  # how many rows the sheet has at most; None if the format does not state it
    system: str | None  # the system that exported the file
    unused_ids: list[str]  # names in extra of columns that are called an id; empty if one is external_id
    above: int  # rows above the headings that are not blank
    not_read: list["SheetNotRead"]  # visible sheets, in the order of the workbook
    date_columns: dict[str, int]  # sheet -> index of the cell of last_contacted in a reject's row


@dataclass(frozen=True)
class SheetNotRead:
    """A visible sheet that is not read because another one is more clearly a list of contacts."""

    sheet: str
    rows: int  # that it has at most; 0 if the format does not state it
    same_headings: bool  # as the sheet that is read


@dataclass(frozen=True)
class Batch:
    """Rows in one file. The position of a row is its row number; further sheets continue the numbers."""

    first: int  # position
    last: int
    rows: int  # fewer than positions where there are blank rows
    rejected: int  # rows with a faulty cell, or that are no record
    path: str


@dataclass(frozen=True)
class End:
    """Totals and observations after the last row."""

    rows: int
    rejected: int
    day_first: bool | None  # order of day and month in the dates of the file; None: unknown, or both occur
    filled: dict[str, int]  # field -> accepted rows that fill it
    filled_extra: dict[str, int]  # heading in extra -> the same
    reject_name_only_rows: bool  # whether rows with nothing but a name are section titles
    reject_organization_only_rows: bool  # the same of rows with nothing but an organisation that no other row has
    hidden_rows: int  # that were read like the others
    hidden_columns: int
    assumptions: list[str]  # what was assumed about the file, one clause each
