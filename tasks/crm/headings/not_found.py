"""The error for a sheet without headings: what the sheet is instead, or what is wrong with its headings."""

from collections import abc
from collections.abc import Iterable, Sequence

from tasks.crm.headings.column_mapping import identifies, map_columns
from tasks.crm.headings.data_above import is_below_data
from tasks.crm.headings.error import HeadingsError, Problem
from tasks.crm.headings.heading_row import is_transposed, likeliest_row
from tasks.crm.headings.sheet_row import HEADING_ROWS, NumberedRow, SheetRow, filled_rows
from tasks.crm.headings.text import clean_heading, shown_headings

_DELIMITERS = ";,\t|"
_SEARCHED = Problem(
    "searched_rows",
    f"headings are searched for in rows 1 to {HEADING_ROWS}: if they are in another row, give its number with ",
    "heading_row",
)


def headings_not_found(
    rows: Iterable[NumberedRow], overrides: abc.Mapping[str, str] | None = None, *, system: str | None = None
) -> HeadingsError:
    """The error for a sheet on which `find_headings` finds none.

    Args:
        rows: as for `find_headings`: the top rows.
        overrides: as for `map_columns`.
        system: as for `map_columns`.
    """
    filled = filled_rows(list(rows), overrides or {}, system)
    if not filled:
        problem = Problem("blank_sheet", f"the first {HEADING_ROWS} rows are blank")
        return HeadingsError([problem, _SEARCHED], [], advise=False)
    if fault := _fault_of_sheet(filled, overrides or {}, system):
        return HeadingsError([fault], [], advise=False)
    likeliest = likeliest_row(filled)
    if likeliest is None:
        problem = Problem("looks_like_data", "no row looks like headings, and the rows look like data")
        return HeadingsError([problem, _SEARCHED], [], advise=False)
    # Below another row of the same columns it is a record, though some of its words are headings: do not show it.
    above = (row for row in filled if row.number < likeliest.number and len(row.kinds) > 1)
    is_record = any(row.kinds.keys() == likeliest.kinds.keys() for row in above)
    shown = () if is_record else shown_headings(map(clean_heading, likeliest.cells))
    try:
        map_columns(likeliest.cells, overrides, system=system)
    except HeadingsError as error:
        return HeadingsError([*error.problems, _SEARCHED], shown)
    problem = Problem("not_headings", f"no row looks like headings; the likeliest is row {likeliest.number}")
    return HeadingsError([problem, _SEARCHED], shown)


def _fault_of_sheet(filled: Sequence[SheetRow], overrides: abc.Mapping[str, str], system: str | None) -> Problem | None:
    """What is wrong with the sheet as a whole, and what to do; None if nothing is."""
    if delimiter := _delimiter_in_cells(filled):
        name = {"\t": "tabs"}.get(delimiter, f'"{delimiter}"')
        clause = f"the sheet is not split into columns: column A holds whole rows, separated by {name}: "
        return Problem("not_split", f"{clause}use Data > Text to Columns in Excel, or save the sheet as .csv")
    if is_transposed(filled, overrides, system):
        clause = "the headings are below each other in the first column, but each record needs a row of its own"
        return Problem("transposed", f"{clause}: turn the table with Paste Special > Transpose in Excel")
    if below := _headings_below_data(filled):
        clause = f"row {below.number} holds headings, but the rows above it look like data and would be left out"
        advice = "move the headings to the top, or confirm them with "
        return Problem("below_data", f"{clause}: {advice}", "heading_row")
    return None


def _headings_below_data(filled: Sequence[SheetRow]) -> SheetRow | None:
    """The first row of known headings only that does not count because of the rows above it."""
    candidates = (i for i, row in enumerate(filled) if len(row.named) > 1 and row.all_known and identifies(row.named))
    return next((filled[index] for index in candidates if is_below_data(index, filled, None)), None)


def _delimiter_in_cells(filled: Sequence[SheetRow]) -> str | None:
    """The delimiter of rows that are all in column A; None if the sheet is split into columns."""
    if any(row.kinds.keys() != {0} for row in filled):
        return None
    texts = [str(row.cells[0]) for row in filled]
    for delimiter in _DELIMITERS:
        counts = [text.count(delimiter) for text in texts]
        divided = sum(count > 0 for count in counts)
        first = next((count for count in counts if count), 0)
        alike = sum(count == first for count in counts)
        if divided * 2 > len(texts) and alike * 2 > len(texts) and (len(texts) > 1 or first > 1):
            return delimiter
    return None
