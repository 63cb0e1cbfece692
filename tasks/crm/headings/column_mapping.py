"""Maps each column of a sheet to a field of a contact, to `extra`, or to nothing.

Only the headings decide, by the table of the headings that products write (`headings.csv`); the user can override it.
So an export is imported without renaming its columns, and a preview shows the mapping. Nothing is guessed: a column
with an unknown heading is kept in `extra`, and one error lists all headings that have two meanings.

Rules, in the order in which they are applied:

1. The user's mapping (`columns={"Firma": "organization"}`) overrides all other rules.
2. The column that the workbook of rejects adds (`REASON_HEADING`), and columns that the user ignores, are dropped.
3. Marks and remarks do not matter: "First Name (required)" is "First Name". A heading without a remark takes the field
   before one with a remark; of two with remarks the first one, or the one with "work".
4. Aliases have a rank. The column with the best rank takes the field; the others (a home address beside the business
   one) go to `extra`. Two columns of the same rank ("Email" and "E-mail") are an error.
5. "Name" is the whole name of a person, with these exceptions: beside "Vorname" it is the last name; in a list of
   companies (Salesforce accounts: no company column, but "Annual Revenue") it is the company; in a list of deals
   ("Stage Name") it is no field. Beside "First name" and no last name it can be the whole or the last name: an error.
   In Odoo's exports it is the name of a company in rows where "Is a company" (`Mapping.company_flag`) is true.
6. If there is a last name, a column of whole names goes to `extra`; if there is only a first name beside a whole name,
   the first name does.
7. An id is `external_id` only if it is the unique id of a known system: the one that the user named, or the product
   that the headings show. Otherwise it goes to `extra`. If the user named a system with unknown headings, the only
   column that is called an id is `external_id`.
"""

from collections import Counter, abc, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tasks.crm.headings.claims import Claims, find_claims
from tasks.crm.headings.error import EXTRA, IGNORE, HeadingsError, Problem
from tasks.crm.headings.table import COMPANY_FLAG, FIELDS, LAST_NAME_FIRST, SECOND_OF_TWO, heading_table, key
from tasks.crm.headings.text import clean_heading, column_letter, is_known, quoted, shown_headings

# A sheet needs one of them, or those of _REACHABLE. A column is external_id only if its system is known.
IDENTIFYING = frozenset({"organization", "last_name", "full_name", "email", "external_id"})
_REACHABLE = frozenset({"first_name", "phone"})  # with a telephone number a first name is enough
REASON_HEADING = "Import: reason"  # the column that rejects.py adds; dropped when the workbook is imported
_REASON_KEY = key(REASON_HEADING)
_PEOPLE = frozenset({"first_name", "last_name", "full_name", "email"})
_CLEARLY_CONTACTS = 3  # fields; a list of something else may share one heading with contacts
_PAIR = 2  # columns with a heading of which the second one takes the field
_LISTED = 10  # columns in one problem


@dataclass(frozen=True)
class Mapping:
    """The mapping of the columns of one sheet. Columns are counted from 0 (column A)."""

    fields: dict[int, str]  # column -> contact field; no field twice
    extra: dict[int, str]  # column -> its name in the contact's extra; no name twice
    headings: tuple[str, ...]  # all headings, a blank one as "Column F"; some may be equal
    dropped: frozenset[int]  # ignored columns: in no field, not in extra, and not stored with a reject
    company_flag: int | None = None  # a column (of Odoo) that is true in rows where full_name is a company
    last_first: bool = False  # whether full_name is written with the last name first
    system: str | None = None  # the system that exported the file: "hubspot"; None if it is not known
    unused_ids: tuple[str, ...] = ()  # names in extra of the columns that are called an id, if none is external_id

    @property
    def shown_columns(self) -> list[int]:
        """The columns of a reject's row, in its order."""
        return [column for column in range(len(self.headings)) if column not in self.dropped]

    def name_beside(self, field: str) -> str:
        """The name in extra for the rest of the cells of a field: the time of a date, further e-mail addresses."""
        column = next(column for column, name in self.fields.items() if name == field)
        return self._names.unused(self.headings[column])

    def extra_name(self, column: int) -> str:
        """The name in extra of a column without a heading of its own, such as one to the right of all headings."""
        return self.extra.get(column) or self._names.unused(f"Column {column_letter(column)}")

    @cached_property
    def keys(self) -> Counter[str]:
        """The keys of the headings, without those of columns that have none."""
        return Counter(key(text) for column, text in enumerate(self.headings) if not _is_blank(text, column))

    @cached_property
    def _names(self) -> "_Names":
        return _Names(self.extra.values())


class _Names:
    """Makes names unique. It takes linear time, even if many names are equal."""

    def __init__(self, taken: abc.Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._numbers = defaultdict[str, int](int)  # name -> the last number tried

    def unused(self, name: str) -> str:
        """The name, or the name with the first free number: "Notes", "Notes (2)"."""
        number = max(self._numbers[name], 1)
        candidate = name if number == 1 else f"{name} ({number})"
        while candidate in self._taken:
            number += 1
            candidate = f"{name} ({number})"
        self._numbers[name] = number
        return candidate

    def take(self, name: str) -> str:
        """An unused name; it counts as used afterwards."""
        candidate = self.unused(name)
        self._taken.add(candidate)
        return candidate


def map_columns(
    headings: Sequence[object], overrides: abc.Mapping[str, str] | None = None, *, system: str | None = None
) -> Mapping:
    """Decide where each column goes.

    Args:
        headings: the cells of the heading row, from column A on; a blank one is None or "".
        overrides: heading (or "Column C") -> field, "extra" or "ignore"; compared as headings are.
        system: that exported the file; None to detect it from the headings.

    Raises:
        HeadingsError: lists all problems: an override without a heading or a field, two columns for one field, a
            "Name" with two meanings, an id without a system, no column that can identify a row.
    """
    texts = [clean_heading(cell) for cell in headings]
    shown = shown_headings(texts)
    problems: list[Problem] = []
    claims = find_claims(texts, overrides or {}, system, problems)
    fields = _fields(claims, shown, problems)
    if "external_id" in claims.fields and claims.system is None:
        named = next(quoted(shown[column]) for column, name in fields.items() if name == "external_id")
        problems.append(
            Problem(
                "unknown_system",
                f"{named} is an id, but its system is not known: give ",
                "system",
                ", for example hubspot",
            )
        )
    if not identifies(claims.fields):
        clause = "none of them identifies a row (an e-mail address, a last or full name, or an organization)"
        problems.append(Problem("nothing_identifies", clause))
    if problems:
        raise HeadingsError(problems, shown)
    return _mapping(claims, fields, shown)


def identifies(fields: abc.Set[str]) -> bool:
    """Whether these fields identify a row."""
    return bool(IDENTIFYING & fields) or fields >= _REACHABLE


def _fields(claims: Claims, shown: Sequence[str], problems: list[Problem]) -> dict[int, str]:
    """Column -> field: of several columns that claim a field, the one with the best rank."""
    claimed = defaultdict[str, list[int]](list)
    for column in sorted(claims.columns):
        claimed[claims.columns[column].alias.field].append(column)
    fields: dict[int, str] = {}
    for name in (name for name in FIELDS if name in claimed):
        first = min(claims.columns[column].order for column in claimed[name])
        best = [column for column in claimed[name] if claims.columns[column].order == first]
        if len(best) == _PAIR and all(SECOND_OF_TWO in claims.columns[column].alias.rules for column in best):
            best = best[1:]
        if len(best) > 1 and not all(claims.columns[column].yields for column in best):
            named = [f"{quoted(shown[column])} (column {column_letter(column)})" for column in best[:_LISTED]]
            more = f" and {len(best) - _LISTED} more" if len(best) > _LISTED else ""
            clause = f"two columns for one field: {name} is in {' and '.join(named)}{more}"
            last = f"{shown[best[-1]]} ({column_letter(best[-1])})"
            clause += f": map one of them, for example {quoted(last)}, to {EXTRA} with "
            problems.append(Problem("two_columns", clause, "columns"))
        fields[best[0]] = name
    return fields


def _mapping(claims: Claims, fields: dict[int, str], shown: tuple[str, ...]) -> Mapping:
    given, keys = claims.given, [heading.exact for heading in claims.headings]
    ignored = {column for column, name in given.items() if name == IGNORE}
    dropped = ignored | {column for column, found in enumerate(keys) if found == _REASON_KEY and column not in given}
    names = _Names()
    extra = {i: names.take(shown[i]) for i in range(len(shown)) if i not in fields and i not in dropped}
    flags_of_companies = heading_table().groups[COMPANY_FLAG]
    flags = [column for column in extra if keys[column] in flags_of_companies and column not in given]
    last_first = any(name == "full_name" and _is_last_first(claims, column) for column, name in fields.items())
    return Mapping(
        dict(sorted(fields.items())),
        extra,
        shown,
        frozenset(dropped),
        flags[0] if flags else None,
        last_first,
        claims.system,
        tuple(extra[column] for column in claims.unused_ids if column in extra),
    )


def _is_last_first(claims: Claims, column: int) -> bool:
    """Whether whole names under this heading begin with the last name, also if the user gave the field."""
    alias = heading_table().aliases.get(claims.headings[column].key)
    return alias is not None and LAST_NAME_FIRST in alias.rules


# --- comparisons of sheets and rows with a mapping


def score(mapping: Mapping) -> tuple[int, ...]:
    """How clearly a sheet is a list of contacts. The sheet with the greatest score is read.

    It compares: three fields or more; people before companies; the number of identifying fields; the number of all
    fields; the number of columns without a field, fewest first.
    """
    names = set(mapping.fields.values())
    return (
        min(len(names), _CLEARLY_CONTACTS),
        int(bool(names & _PEOPLE)),
        len(names & IDENTIFYING),
        len(names),
        -len(mapping.extra),
    )


def same_headings(one: Mapping, other: Mapping) -> bool:
    """Whether two sheets have the same headings, in any order. Columns without a heading do not count."""
    return one.keys == other.keys


def is_same_list(one: Mapping, other: Mapping) -> bool:
    """Whether the other sheet is part of the same list, or lists the people of the companies of the first one.

    It is part of the same list if it has the same fields, or if the headings of one sheet are among those of the other
    and it has two fields at least.
    """
    first, second = set(one.fields.values()), set(other.fields.values())
    has_people = bool(second & _PEOPLE) and not first & _PEOPLE
    part = one.keys <= other.keys or other.keys <= one.keys
    return has_people or first == second or (part and len(second) > 1)


def _is_blank(shown: str, column: int) -> bool:
    return shown == f"Column {column_letter(column)}"


def repeats_headings(cells: Sequence[object], mapping: Mapping) -> bool:
    """Whether a row repeats the headings: each filled cell is the heading of its column, and there are two or all."""
    filled = [(column, text) for column, cell in enumerate(cells) if (text := clean_heading(cell))]
    if not filled or filled[-1][0] >= len(mapping.headings):
        return False
    if any(key(text) != key(mapping.headings[column]) or not key(text) for column, text in filled):
        return False
    return len(filled) > 1 or len(mapping.keys) == 1


def names_fields(cells: Sequence[object]) -> bool:
    """Whether all filled cells of a row, two at least, are known headings: it is the heading row of another list."""
    texts = [text for cell in cells if (text := clean_heading(cell))]
    return len(set(map(key, texts))) > 1 and all(is_known(text, heading_table()) for text in texts)
