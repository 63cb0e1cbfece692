"""One heading that is merged over several columns: which of them holds what, only the user can say.

It exists because "Name" over a first and a last name would otherwise make a last name of the first one.
"""

from collections.abc import Iterable, Mapping, Sequence

from tasks.crm.column_mapping import Mapping as ColumnMapping
from tasks.crm.heading_table import key
from tasks.crm.heading_text import column_letter, quoted
from tasks.crm.headings_error import HeadingsError, Problem
from tasks.crm.readers.cell import Merge

_NAMES = frozenset({"full_name", "first_name", "last_name", "organization"})


def refuse_divided_names(
    mapping: ColumnMapping,
    heading_row: int,
    merged: Iterable[Merge],
    below: Iterable[Sequence[str | None]],
    overrides: Mapping[str, str],
) -> None:
    """Raise HeadingsError if one heading of a name stands over several filled columns that the user does not name."""
    filled = {column for cells in below for column, cell in enumerate(cells) if cell is not None}
    told = set(map(key, overrides))
    problems: list[str | Problem] = []
    for first, last, left, right in merged:
        if not first <= heading_row <= last or mapping.fields.get(left) not in _NAMES:
            continue
        names = [f"Column {column_letter(column)}" for column in range(left + 1, right + 1) if column in filled]
        if unnamed := [quoted(name) for name in names if key(name) not in told]:
            problems.append(
                Problem(
                    f"{quoted(mapping.headings[left])} is merged over several columns that hold cells: say with ",
                    "columns",
                    f" what it is in column {column_letter(left)}, and what {' and '.join(unnamed)} is",
                )
            )
    if problems:
        raise HeadingsError(problems, mapping.headings)
