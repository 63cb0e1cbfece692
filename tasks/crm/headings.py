"""Which row of a sheet holds the headings.

Decides it from the top rows alone, as texts. The row whose cells name most fields of a contact is the row, unless rows
above it look like data: then a row of the table was about to be taken for its headings. What its columns mean is
decided in `column_mapping.py`, by the table in `headings.csv`. It exists so that titles, notes and blank rows above a
table need not be deleted.
"""

from collections import abc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tasks.crm.cell_kind import Kind, cell_kind
from tasks.crm.column_mapping import (
    IDENTIFYING,
    REASON_HEADING,
    Mapping,
    identifies,
    map_columns,
    names_fields,
    repeats_headings,
    same_headings,
    score,
)
from tasks.crm.heading_claims import find_claims, known_system
from tasks.crm.heading_table import FIELDS, HeadingTableError, heading_table, headings_table, key
from tasks.crm.heading_text import clean_heading, column_letter, is_known, shown_headings
from tasks.crm.headings_error import EXTRA, IGNORE, HeadingsError, Problem

__all__ = [
    "EXTRA",
    "FIELDS",
    "HEADING_ROWS",
    "IDENTIFYING",
    "IGNORE",
    "REASON_HEADING",
    "HeadingTableError",
    "HeadingsError",
    "Mapping",
    "column_letter",
    "find_headings",
    "headings_not_found",
    "headings_table",
    "key",
    "known_system",
    "map_columns",
    "names_fields",
    "repeats_headings",
    "same_headings",
    "score",
]

HEADING_ROWS = 30  # a heading row further down than this is not looked for
_VALUES = frozenset[Kind]({"number", "date", "time", "error", "email", "url", "phone"})
_NUMERIC = frozenset[Kind]({"number", "phone"})
_PERSONAL = frozenset[Kind]({"email", "phone"})
_WIDE = 3  # cells of a row that is more than a label and its value
_ALIKE_ROWS = 2  # rows of words above a row that are no second row of headings
_DELIMITERS = ";,\t|"

NumberedRow = tuple[int, Sequence[object]]


@dataclass(frozen=True)
class _Row:
    """A row that is not blank."""

    number: int
    cells: Sequence[object]
    named: frozenset[str]  # the fields that it names if it is the headings

    @cached_property
    def kinds(self) -> dict[int, Kind]:
        """Column -> kind of the cell, of filled cells."""
        kinds = {column: _kind(cell) for column, cell in enumerate(self.cells)}
        return {column: kind for column, kind in kinds.items() if kind != "blank"}

    @cached_property
    def all_known(self) -> bool:
        """Whether all cells are known headings."""
        return all(is_known(text, heading_table()) for cell in self.cells if (text := clean_heading(cell)))


def find_headings(
    rows: Iterable[NumberedRow],
    overrides: abc.Mapping[str, str] | None = None,
    *,
    must_identify: bool = True,
    heading_row: int | None = None,
    system: str | None = None,
) -> int | None:
    """The number of the row that holds the headings: the one whose cells name most fields, the first of equals.

    Looks at rows numbered 1 to 30, so that titles and blank rows above are skipped. A row that names a single field
    counts only if it is wider than all above it, with four cells at least if these are more than titles of one cell; a
    single cell counts only if the sheet has no second column. A row below rows that look like data does not count.

    Args:
        rows: (row number, cells from column A on), as texts.
        overrides: as for `map_columns`; the headings it names count.
        must_identify: False returns the likeliest row even if its headings identify nothing, for the error message
            of `map_columns`; None then means that all rows are blank.
        heading_row: the row that the user says, wherever it is; `rows` must reach down to it.
        system: as for `map_columns`.

    Raises:
        HeadingsError: the row that the user says is blank or does not exist.
    """
    if heading_row is not None:
        return _told_row(rows, heading_row)
    filled = _filled_rows(rows, overrides or {}, system)
    best: _Row | None = None
    single: int | None = None  # a single cell that names a field
    widest = 0  # cells of the widest row so far
    for index, row in enumerate(filled):
        width = len(row.kinds)
        if identifies(row.named):
            wide_enough = len(row.named) > 1 or width > max(widest, _WIDE if widest > 1 else 1)
            if width == 1:
                single = single or row.number
            elif (
                wide_enough
                and (best is None or len(row.named) > len(best.named))
                and not _is_below_data(index, filled, best)
            ):
                best = row
        widest = max(widest, width)
    if best is None and single is not None and widest == 1:
        return single
    if best is None and not must_identify:
        best = _likeliest(filled)
    return best.number if best else None


def _told_row(rows: Iterable[NumberedRow], heading_row: int) -> int:
    for number, cells in rows:
        if number == heading_row and any(map(clean_heading, cells)):
            return number
        if number >= heading_row:
            break
    raise HeadingsError(
        [Problem("", "heading_row", f": row {heading_row} is blank, or the sheet has no such row")], [], advise=False
    )


def _filled_rows(rows: Iterable[NumberedRow], overrides: abc.Mapping[str, str], system: str | None) -> list[_Row]:
    filled = []
    for number, cells in rows:
        if number > HEADING_ROWS:
            break
        if any(cell is not None and cell != "" for cell in cells):
            filled.append(_Row(number, cells, _named_fields(cells, overrides, system)))
    return filled


def _likeliest(filled: Sequence[_Row]) -> _Row | None:
    """The row that names most fields and is not below data; the first one if there is none."""
    ranked = sorted(range(len(filled)), key=lambda index: -len(filled[index].named))
    return next((filled[index] for index in ranked if not _is_below_data(index, filled, None)), None)


def _named_fields(cells: Sequence[object], overrides: abc.Mapping[str, str], system: str | None) -> frozenset[str]:
    """The fields that this row would name if it were the headings; empty if it is mostly numbers and dates."""
    kinds = [kind for cell in cells if (kind := _kind(cell)) != "blank"]
    if kinds.count("word") * 2 < len(kinds):
        return frozenset()
    # "Column C" would count on every row; only headings tell that this is the row.
    texts = [clean_heading(cell) for cell in cells]
    return frozenset(find_claims(texts, overrides, system, [], letters=False).fields)


def _kind(cell: object) -> Kind:
    if cell is None:
        return "blank"
    return cell_kind(cell) if isinstance(cell, str) else "number"


# --- rows above that look like data


def _is_below_data(index: int, filled: Sequence[_Row], headings: _Row | None) -> bool:
    """Whether the rows above look like data, and this one so like a row of data that has words of headings.

    `headings` is the row above that could be the headings.
    """
    row, above = filled[index], filled[:index]
    if headings is not None:
        if _stands_under(row, headings):
            return True
        between = [other for other in above if other.number > headings.number]
        if _fits(row, headings) and any(len(other.kinds) > 1 and _fits(other, headings) for other in between):
            is_another_list = above[-1].number + 1 < row.number and row.all_known and not headings.all_known
            return not is_another_list  # such as people below a block of names and values
    alike = [other for other in above if other is not headings and _is_like_rows_below(other, filled[index + 1 :])]
    if len(alike) >= _ALIKE_ROWS or any(_has_values_of_wide_row(other, filled[index + 1 :]) for other in alike):
        return True
    same_columns = [
        other for other in above if other.kinds.keys() == row.kinds.keys() and not other.named and len(row.kinds) > 1
    ]
    return len(same_columns) >= _ALIKE_ROWS and not row.all_known


def _stands_under(row: _Row, headings: _Row) -> bool:
    """Whether a row fills the columns of the headings, with a word that is no heading under each of the known ones."""
    if row.kinds.keys() != headings.kinds.keys():
        return False
    table = heading_table()
    known = [column for column in headings.kinds if is_known(clean_heading(headings.cells[column]), table)]
    return not any(is_known(clean_heading(row.cells[column]), table) for column in known)


def _fits(row: _Row, headings: _Row) -> bool:
    """Whether a row is no wider than the headings above it."""
    return row.kinds.keys() <= headings.kinds.keys()


def _is_like_rows_below(row: _Row, below: Sequence[_Row]) -> bool:
    return any(_common_values(row, other) for other in below)


def _has_values_of_wide_row(row: _Row, below: Sequence[_Row]) -> bool:
    return any(_common_values(row, other) >= _WIDE for other in below)


def _common_values(one: _Row, other: _Row) -> int:
    """In how many columns two rows have cells of the same kind, if they are rows of one table and hold values; else 0.

    A label and a value ("Date", "2024-02-29") are no table unless the value is a person's.
    """
    common = one.kinds.keys() & other.kinds.keys()
    if len(common) < 2 or len(common) * 2 < max(len(one.kinds), len(other.kinds)):  # noqa: PLR2004 - a pair
        return 0
    if any(_class(one.kinds[column]) != _class(other.kinds[column]) for column in common):
        return 0
    values = _PERSONAL if len(common) < _WIDE else _VALUES
    return len(common) if any(one.kinds[column] in values for column in common) else 0


def _class(kind: Kind) -> str:
    """Numbers and telephone numbers look alike."""
    return "digits" if kind in _NUMERIC else kind


# --- refusals


def headings_not_found(
    rows: Iterable[NumberedRow], overrides: abc.Mapping[str, str] | None = None, *, system: str | None = None
) -> HeadingsError:
    """The error for a sheet on which `find_headings` finds none: what the sheet is, or what is wrong with its headings.

    Args:
        rows: as for `find_headings`: the top rows.
        overrides: as for `map_columns`.
        system: as for `map_columns`.
    """
    top = list(rows)
    looked = Problem(
        f"headings were looked for in rows 1 to {HEADING_ROWS}: if they stand in another row, say which with ",
        "heading_row",
    )
    filled = _filled_rows(top, overrides or {}, system)
    if not filled:
        return HeadingsError([f"the first {HEADING_ROWS} rows are blank", looked], [], advise=False)
    if delimiter := _delimiter_in_cells(filled):
        name = {"\t": "tabulators"}.get(delimiter, f'"{delimiter}"')
        clause = f"the sheet is not split into columns: column A holds whole rows, divided by {name}: "
        return HeadingsError(
            [f"{clause}use Data > Text to Columns in Excel, or save the sheet as .csv"], [], advise=False
        )
    likeliest = _likeliest(filled)
    if likeliest is None:
        return HeadingsError(["no row looks like headings, and the rows look like data", looked], [], advise=False)
    # Below another row of the table it is a person's, though some of its words are headings.
    above = (row for row in filled if row.number < likeliest.number and len(row.kinds) > 1)
    below_table = any(row.kinds.keys() == likeliest.kinds.keys() for row in above)
    shown = () if below_table else shown_headings(map(clean_heading, likeliest.cells))
    try:
        map_columns(likeliest.cells, overrides, system=system)
    except HeadingsError as error:
        return HeadingsError([*error.parts, looked], shown)
    return HeadingsError([f"no row looks like headings; the likeliest is row {likeliest.number}", looked], shown)


def _delimiter_in_cells(filled: Sequence[_Row]) -> str | None:
    """The delimiter of rows that all stand in column A; None if the sheet is split into columns."""
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
