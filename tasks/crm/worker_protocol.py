"""What the parent and the reading process tell each other.

The parent sends a ReadRequest as JSON on standard input. The process answers with one JSON object a line:

    {"headings": {...}}   once, what was found and where the rows are
    {"batch": {...}}      for each batch, when its file is complete
    {"end": {...}}        once, after the last batch
    {"refused": "..."}    instead of the rest: one plain sentence

A batch is a file in PostgreSQL's CSV format with the columns that `db.staging.stage` takes.
"""

from dataclasses import dataclass
from typing import Literal

AskedBy = Literal["ui", "command line"]
ALL_SHEETS = "*"  # all visible ones, which have to have the same headings; no sheet can have this name


@dataclass(frozen=True)
class ReadRequest:
    """What the parent asks for."""

    path: str  # the private copy
    name: str  # what people call it
    into: str  # directory for the batches
    sheet: str | None  # None: the one that is most clearly a list of contacts; ALL_SHEETS
    columns: dict[str, str]  # heading -> field, "extra" or "ignore"
    batch_rows: int
    memory_mb: int  # address space the process may take
    heading_row: int | None = None  # as Excel shows it; None: it is looked for
    encoding: str | None = None  # of text; None: it is detected
    system: str | None = None  # that the file was exported from; None: the headings tell
    asked_by: AskedBy = "ui"  # whose parameters a refusal names


@dataclass(frozen=True)
class Headings:
    """Where the rows are and where their columns go."""

    sheet: str  # of several their names
    row: int  # of the headings, as Excel shows it; of several sheets that of the first
    fields: dict[str, str]  # field -> heading
    extra: list[str]  # headings kept in extra
    rows: int | None  # how many rows the sheet has at most, if it says so
    system: str | None  # that the file was exported from
    above: int  # rows above the headings that are not blank
    not_read: list["SheetNotRead"]  # visible sheets, in the order of the workbook
    days: dict[str, int]  # sheet -> which cell of a row, as a reject shows it, is the day


@dataclass(frozen=True)
class SheetNotRead:
    """A visible sheet that was left out because another one is more clearly a list of contacts."""

    sheet: str
    rows: int  # that it has at most; 0 if it does not say
    same_headings: bool  # as the sheet that was read


@dataclass(frozen=True)
class Batch:
    """Rows in one file. A row's position is its number; on a further sheet the numbers are counted on."""

    first: int  # position
    last: int
    rows: int  # fewer than positions where there are blank rows
    rejected: int  # of them, on their own account
    path: str


@dataclass(frozen=True)
class End:
    """The whole sheet was read."""

    rows: int
    rejected: int
    day_first: bool | None  # how the dates in words of the sheet are written; None: nothing tells, or two ways
    filled: dict[str, int]  # field -> accepted rows that fill it
    filled_extra: dict[str, int]  # heading in extra -> the same
    lone_names_are_remarks: bool  # rows with nothing but a name: headings of sections, unless most rows are such
    lone_organizations_are_sections: bool  # rows with nothing but an organisation that no other row has: the same
    hidden_rows: int  # that were read like the others
    hidden_columns: int
    assumptions: list[str]  # what was decided about the file and not proven by it, one clause each
