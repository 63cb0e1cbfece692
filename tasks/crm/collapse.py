"""The guard against collapses: many rows that would be the same contacts but for a column that is not understood.

It names the column that mends the file and what it is: a name if its values look like names, an external id if it is
called an id. Dates, numbers and columns with a meaning of their own never become names. Where no column mends it, the
sentence says so and advises nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile

from tasks.crm.cell_kind import cell_kind
from tasks.crm.heading_table import ANY_SYSTEM, heading_table, key
from tasks.crm.heading_text import is_known, quoted
from tasks.crm.headings_error import AskedBy, column_option

TellingColumn = tuple[str, int, Sequence[str]]  # heading, contradicting rows that differ there, different values

_NAME_LENGTH = 60  # characters
_NAME_WORDS = 5
_NAMED = 3  # columns in the sentence
_NAMES_OF_TEN = 8  # of ten values that look like names, in a column of names
_FEW = 0.5  # values of a row: fewer different ones are those of a classification


def collapse(
    columns: Sequence[TellingColumn], rows: int, most: float, fields: Collection[str], asked_by: AskedBy
) -> str | None:
    """Why a workbook of so many rows is refused; None if no column tells more than `most` of its rows apart.

    Args:
        columns: without a field, those that tell most rows apart first.
        rows: of the workbook.
        most: rows that may be the same contacts.
        fields: that the columns of the workbook have.
        asked_by: whose parameters the sentence names.
    """
    telling = list(takewhile(lambda column: column[1] > most, columns))
    if not telling:
        return None
    field = _missing_name(fields)
    names = next((heading for heading, told, values in telling if field and _holds_names(heading, told, values)), None)
    ids = next((heading for heading, _, _ in telling if ANY_SYSTEM in heading_table().ids.get(key(heading), {})), None)
    if names is not None and field is not None:
        mended, advice = names, f": say what it is, for example {column_option(names, field, asked_by)}"
    elif ids is not None:
        system = "--system NAME" if asked_by == "command line" else 'system="name"'
        mended = ids
        advice = f": say that it is an id, and of which system: {column_option(ids, 'external_id', asked_by)} {system}"
    else:
        mended, advice = None, "; none of them tells who a row is: add a column with names, e-mail addresses or ids"
    told = next((told for heading, told, _ in telling if heading == mended), telling[0][1])
    listed = quoted(mended) if mended else _listed(heading for heading, _, _ in telling)
    return (
        f"{told:,} of {rows:,} rows would be the same contacts as others, from which they differ in what is not "
        f"understood, {listed}{advice}"
    )


def _listed(headings: Iterable[str]) -> str:
    first, *others = map(quoted, headings)
    more = len(others) + 1 - _NAMED
    return ", ".join([first, *others][:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _missing_name(fields: Collection[str]) -> str | None:
    """The field of a name that the workbook has no column for; None if its names are whole."""
    if "full_name" in fields:
        return None
    parts = {"first_name", "last_name"} - set(fields)
    return min(parts, default=None) if len(parts) < 2 else "full_name"  # noqa: PLR2004 - first and last


def _holds_names(heading: str, rows: int, values: Sequence[str]) -> bool:
    """Whether a column that the table of headings does not know holds names: many different ones, most like names."""
    table = heading_table()
    if is_known(heading, table) or any(key(heading) in headings for headings in table.groups.values()):
        return False
    alike = sum(map(_looks_like_name, values))
    return alike * 10 >= len(values) * _NAMES_OF_TEN and len(values) > min(rows, 1000) * _FEW


def _looks_like_name(value: str) -> bool:
    """Whether it can be a person's name: few words that begin with a letter, and more letters than digits."""
    if len(value) > _NAME_LENGTH or len(value.split()) > _NAME_WORDS or cell_kind(value) != "word":
        return False
    letters, digits = sum(map(str.isalpha, value)), sum(map(str.isdigit, value))
    return value[0].isalpha() and not value[0].islower() and letters >= digits and "/" not in value
