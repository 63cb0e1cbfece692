"""Finds the field that each column claims by its heading, before ranks decide between columns.

Applies the user's mapping, the table of headings, the rules for names that depend on the other headings, and the ids of
the system that exported the file.
"""

import re
from collections import Counter, abc, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.crm.headings.error import EXTRA, IGNORE, Problem
from tasks.crm.headings.table import (
    ANY_SYSTEM,
    COMPANY_LIST,
    DEAL_LIST,
    FIELDS,
    FIRST_BESIDE_LAST,
    LAST_BESIDE_FIRST,
    MAKES_NAME_LAST,
    PERSON_OR_COMPANY,
    UNCLEAR_BESIDE_FIRST,
    WITH_NAME,
    WITHOUT_PERSON,
    Alias,
    HeadingTable,
    heading_table,
    key,
    languages,
)
from tasks.crm.headings.text import Heading, clean_heading, column_letter, parse_heading, quoted, shown_headings

_TARGETS = {key(name): name for name in (*FIELDS, EXTRA, IGNORE)}
_NAMES = {"first_name", "last_name", "full_name"}
_PERSON = {*_NAMES, "email"}
_DISTINCT = 2  # headings that only one product has are enough to identify it
_HINTS = 3  # headings of a product are enough if no other product has one of them
_COMPANIES = " companies"  # added to the system of ids of companies if its persons have other ids


class Claim(NamedTuple):
    """The claim of a column on a field. Of two claims the one with the smaller `order` gets the field."""

    alias: Alias
    heading: Heading

    @property
    def order(self) -> tuple[int, ...]:
        """The user's mapping first, then headings without remarks, then by rank, then headings without marks."""
        heading = self.heading
        return (self.alias.rank > 0, heading.remark, self.alias.rank, heading.marks, heading.second_choice)

    @property
    def yields(self) -> bool:
        """Whether the column can go to extra without an error if another one has the same rank."""
        return self.alias.rank > 0 and self.heading.marks


@dataclass(frozen=True)
class Claims:
    """The claims of a row of headings."""

    columns: dict[int, Claim]
    given: dict[int, str]  # the user's mapping: column -> field, "extra" or "ignore"
    system: str | None  # that exported the file
    unused_ids: list[int]  # columns that are called an id; empty if one is external_id
    headings: list[Heading] = field(repr=False)

    @property
    def fields(self) -> set[str]:
        """The claimed fields."""
        return {claim.alias.field for claim in self.columns.values()}


def find_claims(
    texts: Sequence[str],
    overrides: abc.Mapping[str, str],
    system: str | None,
    problems: list[Problem],
    *,
    letters: bool = True,
) -> Claims:
    """The claims of cleaned headings.

    Args:
        texts: from column A on; "" for a blank one.
        overrides: heading (or "Column C") -> field, "extra" or "ignore".
        system: that the user named; None to detect it from the headings.
        problems: problems are added here.
        letters: whether "Column C" means a column.
    """
    table = heading_table()
    headings = [parse_heading(text, table) for text in texts]
    given = _given(texts, overrides, problems, letters=letters)
    columns = {
        column: Claim(alias, headings[column])
        for column, alias in _aliases(headings, table).items()
        if column not in given
    }
    for column, name in given.items():
        if name not in {EXTRA, IGNORE}:
            columns[column] = Claim(Alias(name, 0, "columns"), headings[column])
    keys = {heading.key for heading in headings}
    columns = _resolve_name_columns(columns, keys, texts, table, problems)
    named = known_system(system)
    system = named or _detected_system(headings, table)
    unused_ids: list[int] = []
    if not any(claim.alias.field == "external_id" for claim in columns.values()):
        free = [column for column in range(len(texts)) if column not in given]
        ids = _ids_of(ANY_SYSTEM, free, columns, headings, table)
        if not keys & table.groups[DEAL_LIST]:  # whose ids are those of deals
            columns |= _external_id(_ids_of(_family(system), free, columns, headings, table), ids if named else {})
        unused_ids = [] if any(claim.alias.field == "external_id" for claim in columns.values()) else sorted(ids)
    return Claims(columns, given, _system_of_kind(system, columns, table), unused_ids, headings)


def known_system(system: str | None) -> str | None:
    """A system as it is stored: "hubspot" for "HubSpot", "dynamics" for "Dynamics 365"; None for a blank name."""
    name = " ".join((system or "").split()).casefold()
    family = _family(name)
    return family if family and key(name) in {family, f"{family}crm", f"{family}365"} else name or None


def _family(system: str | None) -> str | None:
    """The product whose headings a system has: "hubspot" for "HubSpot Europe"; None if it is not known."""
    exports = heading_table().exports
    return next((product for product in exports if system and key(system).startswith(product)), None)


# --- the user's mapping


def _given(
    texts: Sequence[str], overrides: abc.Mapping[str, str], problems: list[Problem], *, letters: bool
) -> dict[int, str]:
    """Column -> field, "extra" or "ignore"."""
    given: dict[int, str] = {}
    if not overrides:
        return given
    shown = shown_headings(texts)
    exact, alike = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for column, text in enumerate(texts):
        exact[shown[column]].append(column)
        if found := key(text):
            alike[found].append(column)
    for heading, target in overrides.items():
        name = _TARGETS.get(key(str(target)))
        if name is None:
            problems.append(
                Problem(
                    "no_such_field", "", "columns", f": {quoted(str(target))} (for {quoted(heading)}) is not a field"
                )
            )
        wanted = clean_heading(heading)
        # The same heading, else one with the same key, else a letter ("Column D"), or both: "Phone (D)".
        columns = exact.get(wanted) or alike.get(key(wanted)) or _by_letter(wanted, texts, letters=letters)
        if not columns:
            problems.append(Problem("no_such_heading", "", "columns", f": there is no heading {quoted(heading)}"))
        for column in columns:
            if name and given.setdefault(column, name) != name:
                after = f": {quoted(shown[column])} is mapped to two fields, {given[column]} and {name}"
                problems.append(Problem("mapped_twice", "", "columns", after))
    return given


def _by_letter(wanted: str, texts: Sequence[str], *, letters: bool) -> list[int]:
    """The columns of an override with a letter: "Column C" or "Phone (C)"."""
    if letters and (letter := re.fullmatch(r"column ([a-z]{1,3})", wanted.lower())):
        return [column for column in range(len(texts)) if column_letter(column) == letter[1].upper()]
    if named := re.fullmatch(r"(.+) \(([A-Z]{1,3})\)", wanted):
        same = (column for column, text in enumerate(texts) if text and key(text) == key(named[1]))
        return [column for column in same if column_letter(column) == named[2]]
    return []


# --- the table of headings


def _aliases(headings: Sequence[Heading], table: HeadingTable) -> dict[int, Alias]:
    """Column -> meaning of its heading. Some headings count only if the other headings are in their language."""
    found = {i: table.aliases[heading.key] for i, heading in enumerate(headings) if heading.key in table.aliases}
    in_language = [i for i, heading in enumerate(headings) if heading.key in table.in_language]
    if not in_language:
        return found
    others = {headings[i].key: alias for i, alias in found.items() if headings[i].key not in table.in_language}
    count = Counter(language for alias in others.values() for language in languages(alias.source))
    for column in in_language:
        best = max(table.in_language[headings[column].key], key=lambda alias: _evidence(alias, count))
        default = found.get(column)
        if _evidence(best, count) > (_evidence(default, count) if default else 0):
            found[column] = best
    return found


def _evidence(alias: Alias, count: Counter[str]) -> int:
    """How many other headings are in a language of the alias."""
    return max([0, *(count[language] for language in languages(alias.source))])


def _resolve_name_columns(
    columns: dict[int, Claim],
    keys: set[str],
    texts: Sequence[str],
    table: HeadingTable,
    problems: list[Problem],
) -> dict[int, Claim]:
    """The claims after the rules for names that depend on the other headings."""
    present = Counter(claim.alias.field for claim in columns.values())
    makes_last = any(MAKES_NAME_LAST in claim.alias.rules for claim in columns.values())
    resolved: dict[int, Claim] = {}
    for column, claim in columns.items():
        name = _resolved_field(claim.alias, present, makes_last=makes_last, keys=keys, table=table)
        if name == "unclear":
            clause = (
                f"{quoted(texts[column])} beside a first name can be the full or the last name: map it to one of them"
            )
            problems.append(Problem("name_or_last_name", clause))
            name = claim.alias.field
        if name is not None:
            resolved[column] = claim._replace(alias=claim.alias._replace(field=name))
    fields = {claim.alias.field for claim in resolved.values()}
    if "full_name" in fields:
        # Two parts are better than a whole name that must be split; a first name alone is worse.
        spare = "full_name" if "last_name" in fields else "first_name"
        resolved = {i: claim for i, claim in resolved.items() if claim.alias.field != spare or claim.alias.rank == 0}
    return resolved


def _resolved_field(
    alias: Alias, present: Counter[str], *, makes_last: bool, keys: set[str], table: HeadingTable
) -> str | None:
    """The field of a heading beside these fields: "Name", "Nom" and "Nombre" depend on them, others do not."""
    rules = alias.rules
    first, last = present["first_name"] > 0, present["last_name"] > 0
    name: str | None = alias.field
    if LAST_BESIDE_FIRST in rules and first and not last:
        name = "last_name"
    elif FIRST_BESIDE_LAST in rules and last and not first:
        name = "first_name"
    elif UNCLEAR_BESIDE_FIRST in rules and first and not last:
        name = "last_name" if makes_last else "unclear"
    elif PERSON_OR_COMPANY in rules and not last and not present["organization"]:
        # No other heading shows whether people are listed.
        if keys & table.groups[DEAL_LIST]:
            name = None
        elif keys & table.groups[COMPANY_LIST]:
            name = "organization"
    return name


# --- the system and its ids


def _detected_system(headings: Iterable[Heading], table: HeadingTable) -> str | None:
    """The product whose export has these headings; None if there is none, or several."""
    keys = {key for heading in headings for key in (heading.key, heading.exact)}
    hints = {system: keys & export for system, export in table.exports.items()}
    of_several = Counter(found for export in table.exports.values() for found in export & keys)
    distinct = {system: sum(of_several[found] == 1 for found in found_keys) for system, found_keys in hints.items()}
    best = max(distinct, key=lambda system: (distinct[system], len(hints[system])))
    others = max(count for system, count in distinct.items() if system != best)
    if distinct[best] >= max(_DISTINCT, 2 * others):
        return best
    if distinct[best] and not others and len(hints[best]) >= _HINTS:
        return best
    together = {system for system, those in table.together if those <= keys}
    return together.pop() if len(together) == 1 else None


def _ids_of(
    product: str | None,
    free: Iterable[int],
    columns: abc.Mapping[int, Claim],
    headings: Sequence[Heading],
    table: HeadingTable,
) -> dict[int, Claim]:
    """The columns with the ids of rows in the exports of a product; of persons if persons are listed."""
    names = {column for column, claim in columns.items() if claim.alias.field in _NAMES}
    found = {}
    for column in free:
        alias = table.ids.get(headings[column].key, {}).get(product or "")
        if alias is None:
            continue
        if (alias.condition == WITHOUT_PERSON and names) or (
            alias.condition == WITH_NAME and len(names) == (column in names)
        ):
            continue
        found[column] = Claim(Alias("external_id", alias.rank, product or ""), headings[column])
    return found


def _external_id(of_product: abc.Mapping[int, Claim], of_any: abc.Mapping[int, Claim]) -> dict[int, Claim]:
    """The column of external_id: the best id of the product, else the best id of any system if there is only one."""
    if of_product:
        best = min(of_product, key=lambda column: (_id_order(of_product[column]), column))
        return {best: of_product[best]}
    first = min(map(_id_order, of_any.values()), default=None)
    best_ones = {column: claim for column, claim in of_any.items() if _id_order(claim) == first}
    return best_ones if len(best_ones) == 1 else {}


def _id_order(claim: Claim) -> tuple[int, bool]:
    return claim.alias.rank, claim.heading.marks


def _system_of_kind(system: str | None, columns: abc.Mapping[int, Claim], table: HeadingTable) -> str | None:
    """The system in which the ids are unique: "hubspot", or "hubspot companies" if companies are listed."""
    fields = {claim.alias.field: claim.alias.source for claim in columns.values()}
    by_kind = {_family(system), fields.get("external_id")} & table.by_kind
    if system is None or not by_kind or fields.keys() & _PERSON or "organization" not in fields:
        return system
    return system.removesuffix(_COMPANIES) + _COMPANIES
