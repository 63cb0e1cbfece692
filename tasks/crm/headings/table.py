"""The table of headings: the meaning of each heading that products and people write, read from `headings.csv`.

A person can read and extend `headings.csv`; its first lines explain the columns. This module checks it and makes the
look-up tables that the other modules use.
"""

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tasks.crm.contact import Contact

# The fields of a contact, and "full_name", which names.py splits into first and last name.
FIELDS = tuple(
    name for field in Contact.model_fields for name in ((field, "full_name") if field == "last_name" else (field,))
)
NO_FIELD = "-"  # in the column "field" of the table
PATH = Path(__file__).with_name("headings.csv")
_RANKS = ["", *"123456789"]
COLUMNS = ["field", "rank", "rule", "source", "headings"]

LAST_NAME_FIRST = "last name first"
LAST_BESIDE_FIRST = "last beside first"
FIRST_BESIDE_LAST = "first beside last"
UNCLEAR_BESIDE_FIRST = "unclear beside first"
MAKES_NAME_LAST = "makes Name the last name"
PERSON_OR_COMPANY = "person or company"
SECOND_OF_TWO = "second of two"
ONLY_IN_ITS_LANGUAGE = "only in its language"
WITHOUT_PERSON = "where no person is listed"
WITH_NAME = "where a name is listed"
_WHOLE_NAME_RULES = {
    LAST_NAME_FIRST, LAST_BESIDE_FIRST, FIRST_BESIDE_LAST, UNCLEAR_BESIDE_FIRST, PERSON_OR_COMPANY,
}  # fmt: skip
_FIELD_RULES = {MAKES_NAME_LAST, SECOND_OF_TWO, ONLY_IN_ITS_LANGUAGE}
NUMBERED_BY_KIND = "numbered by kind"
_CONDITIONS = {WITHOUT_PERSON, WITH_NAME}
_ID_RULES = {*_CONDITIONS, NUMBERED_BY_KIND}
ANY_SYSTEM = "any system"

COMPANY_LIST = "list of companies"
DEAL_LIST = "list of deals"
COMPANY_FLAG = "company flag"
DECORATION = "decoration"
FIRST_CHOICE = "first choice"
ANOTHER_THING = "another thing"
NOT_A_FIELD = "extra"
_GROUPS = (COMPANY_LIST, DEAL_LIST, COMPANY_FLAG, DECORATION, FIRST_CHOICE, ANOTHER_THING, NOT_A_FIELD)
_WORDS = {DECORATION, FIRST_CHOICE, ANOTHER_THING}  # no headings

_OF = "of "
_EXPORT_OF = "export of "
_TOGETHER_IN = "together in "
_LANGUAGES = re.compile(r"((?:\w+(?:, | and ))*\w+) lists")
_LETTERS = str.maketrans(
    {"ı": "i", "ł": "l", "đ": "d", "ø": "o", "æ": "ae", "œ": "oe", "ي": "ی", "ك": "ک"}
)  # letters that NFKD does not decompose; Persian is also typed with Arabic letters
# Letters, digits, and the vowel signs of India and Thailand, which Unicode does not count as letters.
WORD = r"(?:[^\W_]|[\u0900-\u0eff])+"
_WORDS_OF = re.compile(WORD)
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")


class TableRow(NamedTuple):
    """One row of headings.csv."""

    line: int  # of the file, from 1
    field: str  # one of FIELDS, or NO_FIELD
    rank: int  # 0 without a field
    rules: frozenset[str]
    source: str  # the products or languages that use these headings
    headings: tuple[str, ...]


class Alias(NamedTuple):
    """What one heading means."""

    field: str  # one of FIELDS
    rank: int  # 1: the exact word of a product, 2: the plain word, 3 and more: secondary columns, best first
    source: str  # the products or languages that use this heading
    rules: frozenset[str] = frozenset()


class IdAlias(NamedTuple):
    """When a heading is the unique id in the exports of a system."""

    rank: int
    condition: str | None  # one of _CONDITIONS


@dataclass
class HeadingTable:
    """The look-up tables, by key (see `key`)."""

    rows: tuple[TableRow, ...]
    aliases: dict[str, Alias] = field(default_factory=dict)
    in_language: dict[str, list[Alias]] = field(default_factory=lambda: defaultdict(list))  # only in its language
    ids: dict[str, dict[str, IdAlias]] = field(default_factory=lambda: defaultdict(dict))  # key -> system -> id
    exports: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # system -> keys
    together: list[tuple[str, frozenset[str]]] = field(default_factory=list)  # system, keys that together identify it
    by_kind: set[str] = field(default_factory=set)  # systems where a person and a company can have the same id
    groups: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in _GROUPS})

    def knows(self, found: str) -> bool:
        """Whether the key is that of a heading in the table."""
        return (
            found in self.aliases
            or found in self.in_language
            or found in self.ids
            or found in self.groups[NOT_A_FIELD]
            or found in self.groups[COMPANY_FLAG]
            or any(found in keys for keys in self.exports.values())
        )


class HeadingTableError(ValueError):
    """headings.csv cannot be used. The message has the line and the reason."""


def key(heading: str) -> str:
    """The heading for comparisons: letters and digits only, in lower case and without accents."""
    if heading.isascii():
        return _NOT_ALNUM.sub("", heading.lower())
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", heading).casefold())
    # Latin accents and the hamza of Arabic are dropped; the Japanese voicing marks (U+3099) make another letter.
    bare = "".join(c for c in plain if not ("\u0300" <= c <= "\u036f" or "\u0653" <= c <= "\u0655"))
    return "".join(_WORDS_OF.findall(unicodedata.normalize("NFC", bare.translate(_LETTERS))))


@cache
def languages(source: str) -> frozenset[str]:
    """The languages whose lists a source names: German and Dutch of "Outlook (Dutch), German and Dutch lists"."""
    return frozenset(language for found in _LANGUAGES.findall(source) for language in re.split(", | and ", found))


@cache
def heading_table() -> HeadingTable:
    """The table of `headings.csv`, read once. Raises HeadingTableError."""
    with PATH.open(encoding="utf-8-sig", newline="") as lines:
        return read_table(lines)


def read_table(lines: Iterable[str]) -> HeadingTable:
    """The table of the lines of a file. Raises HeadingTableError."""
    table = HeadingTable(tuple(_rows(lines)))
    lines_of: dict[str, int] = {}  # key of an alias -> its line
    for row in table.rows:
        for heading in row.headings:
            if not (found := key(heading)):
                raise HeadingTableError(f"line {row.line}: {heading!r} has neither letters nor digits")
            if row.field == NO_FIELD and not _together_in(row):
                _add_fact(table, row, found)
            elif row.field == "external_id":
                _add_id(table, row, found)
            elif row.field != NO_FIELD:
                _add_alias(table, row, found, heading, lines_of)
        if system := _together_in(row):
            table.together.append((system, frozenset(map(key, row.headings))))
    return table


def _rows(lines: Iterable[str]) -> Iterator[TableRow]:
    numbers: list[int] = []  # of the lines that were read
    rows = csv.reader(_without_comments(lines, numbers), strict=True)
    try:
        if next(rows, None) != COLUMNS:
            raise HeadingTableError(f"line {numbers[-1] if numbers else 1}: the columns are not {', '.join(COLUMNS)}")
        for cells in rows:
            if len(cells) != len(COLUMNS):
                raise HeadingTableError(f"line {numbers[-1]}: {len(cells)} cells instead of {len(COLUMNS)}")
            yield _row(numbers[-1], *map(str.strip, cells))
    except csv.Error as error:
        raise HeadingTableError(f"line {numbers[-1]}: {error}") from error


def _without_comments(lines: Iterable[str], numbers: list[int]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        # A spreadsheet program puts quotation marks around comments and writes blank rows as commas.
        if not line.startswith(("#", '"#')) and line.strip(", \r\n"):
            numbers.append(number)
            yield line


def _row(line: int, field_name: str, rank: str, rule: str, source: str, headings: str) -> TableRow:
    rules = frozenset(map(str.strip, rule.split(";"))) if rule else frozenset[str]()
    if field_name not in FIELDS and field_name != NO_FIELD:
        raise HeadingTableError(
            f"line {line}: {field_name!r} is not a field: use one of {', '.join(FIELDS)}, or {NO_FIELD}"
        )
    if (field_name == NO_FIELD) != (rank == "") or rank not in _RANKS:
        raise HeadingTableError(
            f"line {line}: the rank is {rank!r}: use 1 to 9 for a field, and leave it blank without one"
        )
    if not source:
        raise HeadingTableError(f"line {line}: the source is missing")
    row = TableRow(line, field_name, _RANKS.index(rank), rules, source, tuple(h.strip() for h in headings.split("|")))
    if wrong := _wrong_rules(row):
        raise HeadingTableError(f"line {line}: {wrong}")
    return row


def _wrong_rules(row: TableRow) -> str | None:
    """What is wrong with the rules of a row; None if nothing is."""
    if row.field == NO_FIELD:
        of_system = (_EXPORT_OF, _TOGETHER_IN)
        good = len(row.rules) == 1 and all(rule in _GROUPS or rule.startswith(of_system) for rule in row.rules)
        known = ", ".join([*_GROUPS, *(f"{rule}SYSTEM" for rule in of_system)])
        return None if good else f"a row without a field needs one rule: {known}"
    if row.field == "external_id":
        systems = [rule for rule in row.rules if rule.startswith(_OF)]
        good = len(systems) == 1 and _ID_RULES.issuperset(row.rules - set(systems))
        return None if good else f"an id needs the rule {_OF}SYSTEM"
    unknown = row.rules - _FIELD_RULES - (_WHOLE_NAME_RULES if row.field == "full_name" else set())
    if unknown:
        return f"{row.field} has no rule {', '.join(sorted(unknown))}"
    if ONLY_IN_ITS_LANGUAGE in row.rules and not languages(row.source):
        return f'"{ONLY_IN_ITS_LANGUAGE}" needs a source such as "Danish lists"'
    return None


def _add_alias(table: HeadingTable, row: TableRow, found: str, heading: str, lines_of: dict[str, int]) -> None:
    alias = Alias(row.field, row.rank, row.source, row.rules)
    if ONLY_IN_ITS_LANGUAGE in row.rules:
        table.in_language[found].append(alias)
        return
    before = table.aliases.get(found)
    if before is None:
        table.aliases[found], lines_of[found] = alias, row.line
        return
    if (before.field, before.rank, before.rules) != (row.field, row.rank, row.rules):
        raise HeadingTableError(
            f"line {row.line}: {heading!r} has another field, rank or rule in line {lines_of[found]}"
        )
    if row.source != before.source:
        table.aliases[found] = Alias(row.field, row.rank, f"{before.source}, {row.source}", row.rules)


def _add_id(table: HeadingTable, row: TableRow, found: str) -> None:
    system = next(rule for rule in row.rules if rule.startswith(_OF)).removeprefix(_OF)
    condition = next((rule for rule in row.rules if rule in _CONDITIONS), None)
    table.ids[found].setdefault(system, IdAlias(row.rank, condition))
    if NUMBERED_BY_KIND in row.rules:
        table.by_kind.add(system)


def _together_in(row: TableRow) -> str | None:
    """The system that the headings of a row together identify; None if it has no such rule."""
    (rule,) = row.rules if row.field == NO_FIELD else ("",)
    return rule.removeprefix(_TOGETHER_IN) if rule.startswith(_TOGETHER_IN) else None


def _add_fact(table: HeadingTable, row: TableRow, found: str) -> None:
    (rule,) = row.rules
    if rule.startswith(_EXPORT_OF):
        table.exports[rule.removeprefix(_EXPORT_OF)].add(found)
    else:
        table.groups[rule].add(found)
