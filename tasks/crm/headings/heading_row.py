"""Finds the row of a sheet that holds the headings, so that titles, notes and blank rows above a table can stay.

Only the top rows decide, as texts: the headings are the row whose cells name most fields of a contact. A row below rows
that look like data does not count, because it is probably a row of the table. `column_mapping.py` decides what the
columns mean.
"""

from collections import abc
from collections.abc import Iterable, Sequence

from tasks.crm.headings.claims import find_claims
from tasks.crm.headings.column_mapping import identifies
from tasks.crm.headings.data_above import is_below_data
from tasks.crm.headings.error import HeadingsError, Problem
from tasks.crm.headings.sheet_row import NumberedRow, SheetRow, filled_rows
from tasks.crm.headings.table import heading_table
from tasks.crm.headings.text import clean_heading, is_known

_WIDE = 3  # cells of a row that is more than a label and its value
_MIN_LABELS = 2  # known headings below each other: a single one is in every row of headings


def find_headings(
    rows: Iterable[NumberedRow],
    overrides: abc.Mapping[str, str] | None = None,
    *,
    must_identify: bool = True,
    heading_row: int | None = None,
    system: str | None = None,
) -> int | None:
    """The number of the row that holds the headings; None if there is none.

    It is the row whose cells name most fields, the first of equals, of the rows 1 to HEADING_ROWS. A row that names a
    single field counts only if it is wider than all rows above; if one of these has more than one cell, it needs four.
    A single cell counts only if the sheet has no second column. A row below rows that look like data does not count.

    Args:
        rows: (row number, cells from column A on), as texts.
        overrides: as for `map_columns`; the headings in it count.
        must_identify: False returns the likeliest row even if its headings identify nobody, for the error message of
            `map_columns`; None then means that all rows are blank.
        heading_row: the row that the user gave, anywhere on the sheet; `rows` must reach down to it.
        system: as for `map_columns`.

    Raises:
        HeadingsError: the row that the user gave is blank, does not exist, or has data of a person.
    """
    if heading_row is not None:
        return _given_row(rows, heading_row)
    filled = filled_rows(rows, overrides or {}, system)
    if is_transposed(filled, overrides or {}, system):
        return None
    best = _best_row(filled)
    if best is None and not must_identify:
        best = likeliest_row(filled)
    return best.number if best else None


def _best_row(filled: Sequence[SheetRow]) -> SheetRow | None:
    """The row that names most fields; if none does, the only column's first cell that names a field."""
    best: SheetRow | None = None
    single: SheetRow | None = None
    widest = 1  # cells of the widest row so far
    for index, row in enumerate(filled):
        width = len(row.kinds)
        if identifies(row.named):
            if width == 1:
                single = single or row
            elif (
                (len(row.named) > 1 or width > max(widest, _WIDE if widest > 1 else 1))
                and (best is None or len(row.named) > len(best.named))
                and not is_below_data(index, filled, best)
            ):
                best = row
        widest = max(widest, width)
    return single if best is None and widest == 1 else best


def likeliest_row(filled: Sequence[SheetRow]) -> SheetRow | None:
    """The row that names most fields and is not below data; None if there is none."""
    ranked = sorted(range(len(filled)), key=lambda index: -len(filled[index].named))
    return next((filled[index] for index in ranked if not is_below_data(index, filled, None)), None)


def is_transposed(filled: Sequence[SheetRow], overrides: abc.Mapping[str, str], system: str | None) -> bool:
    """Whether the headings are below each other: most cells of the first column are, and name several fields."""
    wide = [row for row in filled if len(row.kinds) > 1]
    starts = [min(row.kinds) for row in wide]
    first = min(starts, default=None)
    labels = [clean_heading(row.cells[start]) for row, start in zip(wide, starts, strict=True) if start == first]
    known = sum(is_known(label, heading_table()) for label in labels)
    if known < _MIN_LABELS or known * 2 < len(labels):
        return False
    fields = find_claims(list(dict.fromkeys(labels)), overrides, system, [], letters=False).fields
    return identifies(fields) and len(fields) > max(1, *(len(row.named) for row in wide))


def _given_row(rows: Iterable[NumberedRow], heading_row: int) -> int:
    """The number of the row that the user gave. Raises HeadingsError."""
    number, cells = next((row for row in rows if row[0] >= heading_row), (0, ()))
    if number != heading_row or not any(map(clean_heading, cells)):
        after = f": row {heading_row} is blank, or the sheet has no such row"
        raise HeadingsError([Problem("blank_row", "", "heading_row", after)], [], advise=False)
    if SheetRow(heading_row, cells, frozenset()).is_personal:
        after = f": row {heading_row} holds an e-mail address or a telephone number, so it is not a row of headings"
        raise HeadingsError([Problem("personal_row", "", "heading_row", after)], [], advise=False)
    return heading_row
