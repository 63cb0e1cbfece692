"""Whether the rows above a row look like data. Then the row is part of the data, though it has words of headings."""

from collections.abc import Sequence
from itertools import pairwise

from tasks.crm.cell_kind import Kind
from tasks.crm.headings.sheet_row import SheetRow
from tasks.crm.headings.table import heading_table
from tasks.crm.headings.text import clean_heading, is_known

_VALUES = frozenset[Kind]({"number", "date", "time", "error", "email", "url", "phone"})
_NUMERIC = frozenset[Kind]({"number", "phone"})
_PERSONAL = frozenset[Kind]({"email", "phone"})
_PAIR = 2  # cells: a label and its value
_WIDE = 3  # cells of a row that is more than a label and its value
_ALIKE_ROWS = 2  # rows of words above a row that show that it is not a second row of headings
_FULL = 0.75  # share of the columns of the headings that a row of data fills


def is_below_data(index: int, filled: Sequence[SheetRow], headings: SheetRow | None) -> bool:
    """Whether the rows above the row at `index` look like data.

    Args:
        index: of the row.
        filled: all rows at the top of the sheet that are not blank.
        headings: the row above that can be the headings; None if there is none.
    """
    row, above, below = filled[index], filled[:index], filled[index + 1 :]
    if headings is not None:
        if _has_words_below(row, headings):
            return True
        between = [other for other in above if other.number > headings.number]
        if _fits(row, headings) and any(len(other.kinds) > 1 and _fits(other, headings) for other in between):
            is_another_list = above[-1].number + 1 < row.number and row.all_known and not headings.all_known
            return not is_another_list  # for example people below a block of labels and values
    alike = [other for other in above if other is not headings and any(_common_values(other, each) for each in below)]
    if len(alike) >= _ALIKE_ROWS or any(_common_values(other, each) >= _WIDE for other in alike for each in below):
        return True
    if _has_record(above, row, below):
        return True
    same_columns = [
        other for other in _adjacent(above, row) if other.kinds.keys() == row.kinds.keys() and not other.named
    ]
    return len(same_columns) >= _ALIKE_ROWS and not row.all_known and len(row.kinds) > 1


def _has_record(above: Sequence[SheetRow], row: SheetRow, below: Sequence[SheetRow]) -> bool:
    """Whether a row above, without a known heading, is certainly a record.

    It is one if it fills the columns of the headings directly below it and holds data of a person, or has the same
    kinds of cells as the row below them; or if two rows with data of a person are alike.
    """
    unknown = [other for other in above if len(other.kinds) >= _WIDE and not other.some_known]
    personal = [other for other in unknown if other.is_personal]
    if any(_common_values(one, other) >= _WIDE for one, other in pairwise(personal)):
        return True
    for other in _adjacent(unknown, row)[-1:]:
        fills = other.kinds.keys() <= row.kinds.keys() and len(other.kinds) >= _FULL * len(row.kinds)
        like_next = below and other.number + 1 == row.number and other.kinds == below[0].kinds
        if fills and (other in personal or like_next):
            return True
    return False


def _adjacent(above: Sequence[SheetRow], row: SheetRow) -> list[SheetRow]:
    """The rows above without a blank row between them and this one."""
    adjacent = list[SheetRow]()
    for other in reversed(above):
        if other.number + len(adjacent) + 1 != row.number:
            break
        adjacent.insert(0, other)
    return adjacent


def _has_words_below(row: SheetRow, headings: SheetRow) -> bool:
    """Whether a row fills the columns of the headings, with an unknown heading below each known one."""
    if row.kinds.keys() != headings.kinds.keys():
        return False
    table = heading_table()
    known = [column for column in headings.kinds if is_known(clean_heading(headings.cells[column]), table)]
    return not any(is_known(clean_heading(row.cells[column]), table) for column in known)


def _fits(row: SheetRow, headings: SheetRow) -> bool:
    """Whether a row is no wider than the headings above it."""
    return row.kinds.keys() <= headings.kinds.keys()


def _common_values(one: SheetRow, other: SheetRow) -> int:
    """In how many columns two rows have cells of the same kind; 0 if they are not rows of one table with values.

    A label and a value ("Date", "2024-02-29") are not a table unless the value is data of a person.
    """
    common = one.kinds.keys() & other.kinds.keys()
    if len(common) < _PAIR or len(common) * 2 < max(len(one.kinds), len(other.kinds)):
        return 0
    if any(_class(one.kinds[column]) != _class(other.kinds[column]) for column in common):
        return 0
    values = _PERSONAL if len(common) < _WIDE else _VALUES
    return len(common) if any(one.kinds[column] in values for column in common) else 0


def _class(kind: Kind) -> str:
    """The kind, with numbers and telephone numbers as one: they look alike."""
    return "digits" if kind in _NUMERIC else kind
