"""Refuses a heading of names that is merged over several columns: only the user knows what each column holds.

Without this check, "Name" over a column of first names and one of last names would make first names whole names.
"""

from collections.abc import Iterable, Mapping, Sequence

from tasks.crm.headings.column_mapping import Mapping as ColumnMapping
from tasks.crm.headings.error import HeadingsError, Problem
from tasks.crm.headings.table import key
from tasks.crm.headings.text import column_letter, quoted

_NAMES = frozenset({"full_name", "first_name", "last_name", "organization"})


def refuse_divided_names(
    mapping: ColumnMapping,
    heading_row: int,
    merged: Iterable[tuple[int, int, int, int]],
    below: Iterable[Sequence[str | None]],
    overrides: Mapping[str, str],
) -> None:
    """Raise HeadingsError if a heading of names is merged over several filled columns that the user did not map.

    `merged`: first and last row of each merged cell, as Excel shows them, and first and last column from 0.
    """
    filled = {column for cells in below for column, cell in enumerate(cells) if cell is not None}
    mapped = set(map(key, overrides))
    problems: list[Problem] = []
    for first, last, left, right in merged:
        if not first <= heading_row <= last or mapping.fields.get(left) not in _NAMES:
            continue
        names = [f"Column {column_letter(column)}" for column in range(left + 1, right + 1) if column in filled]
        if unnamed := [quoted(name) for name in names if key(name) not in mapped]:
            problems.append(
                Problem(
                    "merged_name",
                    f"{quoted(mapping.headings[left])} is merged over several columns that hold cells: map with ",
                    "columns",
                    f" this heading (column {column_letter(left)}), and {' and '.join(unnamed)}",
                )
            )
    if problems:
        raise HeadingsError(problems, mapping.headings)
