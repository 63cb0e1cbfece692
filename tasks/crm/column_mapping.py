"""Where each column of a sheet goes: into which field of a contact, into extra, or nowhere.

Decides it from the headings alone, by the table of the headings that real products write (`headings.csv`), overridden
by what the user says. Nothing is guessed: a heading that is not in the table keeps its column in `extra`, and headings
that can be read in two ways are one error that lists them all. It exists so that an export is imported without
anybody renaming columns, and so that what was understood can be shown before anything is written.

Rules, in the order in which they are applied:

1. What the user says (`columns={"Firma": "organization"}`) beats everything.
2. The column that the workbook of rejects adds (`REASON_HEADING`), and those that the user ignores, are dropped.
3. Marks and remarks do not matter: "First Name (required)" is "First Name". A heading without a remark wins over one
   with a remark; of two with remarks the first one takes the field, or the one that says "work".
4. Aliases have a rank. The best rank present takes the field; columns of lower rank (a home address beside the
   business one) go to `extra`. Two columns of the same rank ("Email" and "E-mail") are an error.
5. A bare "Name" is the whole name of a person, unless the other headings say otherwise: beside "Vorname" it is the
   last name; in a list of companies (Salesforce accounts: no company column, but "Annual Revenue") it is the company;
   in a list of deals ("Stage Name") it is nobody. Beside "First name" and no last name it can be either: an error.
   In Odoo's exports it is the person's or, where "Is a company" is true, the company's: `Mapping.company_flag` says
   which column tells.
6. Where there is a last name, a column with the whole name goes to `extra`; where there is only a first name beside
   a whole name, the first name does.
7. An id is `external_id` only as the unique id of a known system: the one that the user says, or the product whose
   export the headings are. Otherwise it goes to `extra`.
"""

from collections import Counter, abc, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tasks.crm.heading_claims import Claims, find_claims
from tasks.crm.heading_table import (
    COMPANY_FLAG,
    FIELDS,
    LAST_NAME_FIRST,
    SECOND_OF_TWO,
    heading_table,
    key,
)
from tasks.crm.heading_text import clean_heading, column_letter, is_known, quoted, shown_headings
from tasks.crm.headings_error import IGNORE, HeadingsError, Problem

# Without one of them no row can be told. An external_id is claimed only where its system is known.
IDENTIFYING = frozenset({"organization", "last_name", "full_name", "email", "external_id"})
_REACHABLE = frozenset({"first_name", "phone"})  # a first name is enough of whoever can be reached
REASON_HEADING = "Import: reason"  # the column that rejects.py adds; dropped here when it comes back
_REASON_KEY = key(REASON_HEADING)
_PEOPLE = frozenset({"first_name", "last_name", "full_name", "email"})
_CLEARLY_CONTACTS = 3  # fields; a list of something else may have one heading that a contact has too
_NAMED = 10  # columns in one problem


@dataclass(frozen=True)
class Mapping:
    """Where each column of one sheet goes. Indices count columns from 0 (column A)."""

    fields: dict[int, str]  # column -> contact field; no field twice
    extra: dict[int, str]  # column -> its name in the contact's extra; no name twice
    headings: tuple[str, ...]  # every heading as people see it, a blank one as "Column F"; may hold repeats
    dropped: frozenset[int]  # ignored columns: neither field nor extra, nor part of a reject's row
    company_flag: int | None = None  # (Odoo; also in extra) true where full_name is the name of a company
    last_first: bool = False  # whether full_name is written with the last name first
    system: str | None = None  # that wrote the file: "hubspot"; None if neither user nor headings tell

    @property
    def shown_columns(self) -> list[int]:
        """The columns of a reject's row, in its order."""
        return [column for column in range(len(self.headings)) if column not in self.dropped]

    def name_beside(self, field: str) -> str:
        """The name in extra of what the column of a field holds beside it: the time of a date, further addresses."""
        column = next(column for column, name in self.fields.items() if name == field)
        return self._names.unused(self.headings[column])

    def extra_name(self, column: int) -> str:
        """The name in extra of a column without a heading of its own, such as one to the right of all headings."""
        return self.extra.get(column) or self._names.unused(f"Column {column_letter(column)}")

    @cached_property
    def _names(self) -> "_Names":
        return _Names(self.extra.values())


class _Names:
    """Names of which none is used twice. Takes as long as there are names, however many are equal."""

    def __init__(self, taken: abc.Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._numbers = defaultdict[str, int](int)  # name -> the last number that was tried

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
        """An unused name, which is then used."""
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
        system: that wrote the file; None to tell it from the headings.

    Raises:
        HeadingsError: one for everything that is wrong: an override that names no heading or no field, two columns
            on one field, a "Name" that can be read in two ways, an id without a system, nothing that can identify a
            row.
    """
    texts = [clean_heading(cell) for cell in headings]
    shown = shown_headings(texts)
    problems: list[str | Problem] = []
    claims = find_claims(texts, overrides or {}, system, problems)
    fields = _fields(claims, shown, problems)
    if "external_id" in claims.fields and claims.system is None:
        named = next(quoted(shown[column]) for column, name in fields.items() if name == "external_id")
        problems.append(
            Problem(f"{named} is an id of a system that is not known: give ", "system", ", such as hubspot")
        )
    if not identifies(claims.fields):
        problems.append("none of them can identify a row (an e-mail address, a last or full name, or an organization)")
    if problems:
        raise HeadingsError(problems, shown)
    return _mapping(claims, fields, shown)


def identifies(fields: abc.Set[str]) -> bool:
    """Whether rows with these fields can be told apart."""
    return bool(IDENTIFYING & fields) or fields >= _REACHABLE


def _fields(claims: Claims, shown: Sequence[str], problems: list[str | Problem]) -> dict[int, str]:
    """Column -> field, after ranks have decided."""
    claimed = defaultdict[str, list[int]](list)
    for column in sorted(claims.columns):
        claimed[claims.columns[column].alias.field].append(column)
    fields: dict[int, str] = {}
    for name in (name for name in FIELDS if name in claimed):
        first = min(claims.columns[column].order for column in claimed[name])
        best = [column for column in claimed[name] if claims.columns[column].order == first]
        if len(best) == 2 and all(SECOND_OF_TWO in claims.columns[column].alias.rules for column in best):  # noqa: PLR2004 - a pair
            best = best[1:]
        if len(best) > 1 and not claims.columns[best[0]].yields:
            named = [f"{quoted(shown[column])} (column {column_letter(column)})" for column in best[:_NAMED]]
            more = f" and {len(best) - _NAMED} more" if len(best) > _NAMED else ""
            problems.append(f"two columns on one field: {name} is in {' and '.join(named)}{more}")
        fields[best[0]] = name
    return fields


def _mapping(claims: Claims, fields: dict[int, str], shown: tuple[str, ...]) -> Mapping:
    told, keys = claims.told, [heading.exact for heading in claims.headings]
    ignored = {column for column, name in told.items() if name == IGNORE}
    dropped = ignored | {column for column, found in enumerate(keys) if found == _REASON_KEY and column not in told}
    names = _Names()
    extra = {i: names.take(shown[i]) for i in range(len(shown)) if i not in fields and i not in dropped}
    flags_of_companies = heading_table().groups[COMPANY_FLAG]
    flags = [column for column in extra if keys[column] in flags_of_companies and column not in told]
    last_first = any(name == "full_name" and _is_last_first(claims, column) for column, name in fields.items())
    return Mapping(
        dict(sorted(fields.items())),
        extra,
        shown,
        frozenset(dropped),
        flags[0] if flags else None,
        last_first,
        claims.system,
    )


def _is_last_first(claims: Claims, column: int) -> bool:
    """Whether the heading of a whole name says that the last name comes first, also where the user gave the field."""
    alias = heading_table().aliases.get(claims.headings[column].key)
    return alias is not None and LAST_NAME_FIRST in alias.rules


# --- sheets and rows compared with headings that were understood


def score(mapping: Mapping) -> tuple[int, ...]:
    """How good the headings of a sheet are; of several sheets the one with the greatest score is the list of contacts.

    Three fields and more, then people rather than companies, then the number of fields that identify, of all fields,
    and of the columns that were not understood, fewest first.
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
    """Whether two sheets have the same headings, in whatever order; columns without one do not count."""
    return _counted(one) == _counted(other)


def _counted(mapping: Mapping) -> Counter[str]:
    return Counter(key(text) for column, text in enumerate(mapping.headings) if not _is_blank(text, column))


def _is_blank(shown: str, column: int) -> bool:
    return shown == f"Column {column_letter(column)}"


def repeats_headings(cells: Sequence[object], mapping: Mapping) -> bool:
    """Whether a row repeats the headings above it: each filled cell is its column's heading, two at least or all."""
    filled = [(column, text) for column, cell in enumerate(cells) if (text := clean_heading(cell))]
    if not filled or filled[-1][0] >= len(mapping.headings):
        return False
    if any(key(text) != key(mapping.headings[column]) or not key(text) for column, text in filled):
        return False
    return len(filled) > 1 or len(_counted(mapping)) == 1


def names_fields(cells: Sequence[object]) -> bool:
    """Whether all filled cells of a row, two at least, are known headings: another list begins here."""
    texts = [text for cell in cells if (text := clean_heading(cell))]
    return len(set(map(key, texts))) > 1 and all(is_known(text, heading_table()) for text in texts)
