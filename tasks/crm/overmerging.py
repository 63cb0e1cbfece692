"""Recognises overmerging: many rows would be merged although they differ in a column that is not mapped to a field.

The message names the column to map: as a name if its values look like names, as an external id if it is called an id.
Columns of dates or numbers, and columns with a known meaning, are never proposed as names. If no column is proposed,
the message lists the columns in which the rows differ.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile

from tasks.crm.cell_kind import cell_kind
from tasks.crm.headings.error import Interface, column_option
from tasks.crm.headings.table import ANY_SYSTEM, heading_table, key
from tasks.crm.headings.text import is_known, quoted

DistinguishingColumn = tuple[str, int, Sequence[str]]  # heading, rows that differ in it, different values

_NAME_LENGTH = 60  # characters
_NAME_WORDS = 5
_LISTED = 3  # columns in the message
_NAMES_OF_TEN = 8  # of ten values of a column of names, at least so many look like names
_FEW = 0.5  # different values for each row; a column with no more is a classification
_MANY = 500  # different values are more than a classification has, whatever the rows; at most 1,000 are known


def find_overmerging(
    columns: Sequence[DistinguishingColumn], rows: int, allowed: float, fields: Collection[str], interface: Interface
) -> str | None:
    """Why the workbook is refused, as the rest of a sentence; None if not more than `allowed` rows would be merged.

    Args:
        columns: columns without a field, those in which most rows differ first.
        rows: of the workbook.
        allowed: how many rows may differ only in such a column.
        fields: that the columns of the workbook are mapped to.
        interface: whose parameters or options the message names.
    """
    distinguishing = list(takewhile(lambda column: column[1] > allowed, columns))
    if not distinguishing:
        return None
    proposed, advice = _proposal(distinguishing, fields, interface)
    differing = next((count for heading, count, _ in distinguishing if heading == proposed), distinguishing[0][1])
    if proposed:
        listed = f"the column {quoted(proposed)}, which has no field"
    else:
        listed = f"columns without a field: {_listed(heading for heading, _, _ in distinguishing)}"
    return f"{differing:,} of {rows:,} rows would be merged with other rows although they differ in {listed}{advice}"


def _proposal(
    columns: Sequence[DistinguishingColumn], fields: Collection[str], interface: Interface
) -> tuple[str | None, str]:
    """The heading of the column to map, if there is one, and the advice for the message."""
    name = _missing_name(fields)
    for heading, rows, values in columns:
        if name is not None and _holds_names(heading, rows, values):
            return heading, f": map it, for example {column_option(heading, name, interface)}"
    for heading, _, _ in columns:
        if ANY_SYSTEM in heading_table().ids.get(key(heading), {}):
            system = "--system NAME" if interface == "command line" else 'system="name"'
            option = column_option(heading, "external_id", interface)
            return heading, f": if it is an id, map it and name its system: {option} {system}"
    return None, "; none of them identifies a person: add a column with names, e-mail addresses or ids"


def _listed(headings: Iterable[str]) -> str:
    names = [quoted(heading) for heading in headings]
    more = len(names[_LISTED:])
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more else "")


def _missing_name(fields: Collection[str]) -> str | None:
    """The field for names that the workbook has no column for; None if it has whole names, or both parts."""
    if "full_name" in fields:
        return None
    parts = {"first_name", "last_name"}
    missing = parts - set(fields)
    return "full_name" if missing == parts else min(missing, default=None)


def _holds_names(heading: str, rows: int, values: Sequence[str]) -> bool:
    """Whether a column with an unknown heading holds names: many different values, and most look like names."""
    table = heading_table()
    if is_known(heading, table) or any(key(heading) in headings for headings in table.groups.values()):
        return False
    alike = sum(map(_looks_like_name, values))
    return alike * 10 >= len(values) * _NAMES_OF_TEN and len(values) > min(rows * _FEW, _MANY)


def _looks_like_name(value: str) -> bool:
    """Whether it can be a person's name: few words that begin with a letter, and more letters than digits."""
    if len(value) > _NAME_LENGTH or len(value.split()) > _NAME_WORDS or cell_kind(value) != "word":
        return False
    letters, digits = sum(map(str.isalpha, value)), sum(map(str.isdigit, value))
    return value[0].isalpha() and not value[0].islower() and letters > digits and "/" not in value
