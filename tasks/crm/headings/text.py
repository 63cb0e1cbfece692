"""Parses the text of a heading: removes the remarks and marks that forms and exports add to it.

"First Name (required)", "* First name" and "[First Name]" become "First Name". A heading that is in the table in full
("Telefono (uff.)") is not changed, and neither is one with a remark that changes its meaning ("Email (opt out)").
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from tasks.crm.headings.table import ANOTHER_THING, DECORATION, FIRST_CHOICE, NOT_A_FIELD, WORD, HeadingTable, key

MAX_LENGTH = 200  # characters of a heading that are kept
_SHOWN = 60  # characters of a heading in a list
_MARKS = " *＊∗:：?？!！†‡#•·-–—_>\"'“”„«»"
_OPENING, _CLOSING = "([{<【〔〈《「『", ")]}>】〕〉》」』"
_IN_BRACKETS = re.compile(
    "|".join(
        f"{re.escape(opening)}([^{re.escape(opening + closing)}]*){re.escape(closing)}"
        for opening, closing in zip(_OPENING, _CLOSING, strict=True)
    )
)
_WORD = re.compile(WORD)


class Heading(NamedTuple):
    """A heading for the look-up in the table."""

    key: str
    exact: str  # the key of the heading with all remarks
    remark: bool = False  # whether a remark was removed that may distinguish columns: "Phone (private)"
    marks: bool = False  # whether it has marks or remarks without a meaning: "Email*", "Email (required)"
    second_choice: bool = True  # False for a remark such as "work"


def clean_heading(cell: object) -> str:
    """A heading as one line, up to MAX_LENGTH characters that PostgreSQL, JSON and XML accept; "" for a blank cell."""
    if cell is None or cell == "":
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # a heading 2024 is read as 2024.0
    text = str(getattr(cell, "text", cell))[: 4 * MAX_LENGTH]
    if not (text.isascii() and text.isprintable()):
        safe = "".join("\ufffd" if unicodedata.category(c) == "Cs" else max(c, " ") for c in text)
        text = unicodedata.normalize("NFC", safe).removeprefix("\ufeff")
    line = " ".join(text.split())
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 1] + "…"


def column_letter(column: int) -> str:
    """Excel's name of a column, counted from 0: 0 is A, 26 is AA."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def shown_headings(texts: Iterable[str]) -> tuple[str, ...]:
    """Headings for messages: a blank one is "Column F"."""
    return tuple(text or f"Column {column_letter(i)}" for i, text in enumerate(texts))


def quoted(text: str) -> str:
    """The text in quotation marks, shortened for a list."""
    return '"' + (text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…") + '"'


def parse_heading(text: str, table: HeadingTable) -> Heading:
    """A cleaned heading for the look-up in the table."""
    exact = key(text)
    bare = text.rstrip(_MARKS).lstrip(_MARKS + ".")
    whole = _IN_BRACKETS.fullmatch(bare)
    marks = bare != text or whole is not None
    if not exact or table.knows(exact):
        return Heading(exact, exact, marks=marks)
    if whole:
        bare = bare[1:-1]
    normal = unicodedata.normalize("NFKC", bare)
    remarks = ["".join(groups).strip() for groups in _IN_BRACKETS.findall(normal)]
    words = [word for word in _WORD.findall(_IN_BRACKETS.sub(" ", normal)) if key(word)]
    decorations = table.groups[DECORATION]
    while words and key(words[-1]) in decorations:
        words.pop()
    while words and key(words[0]) in decorations:
        words.pop(0)
    found = key("".join(words))
    if not table.knows(found):
        first = _in_two_languages(normal, table)
        return Heading(first, exact, marks=True) if first else Heading(exact, exact)
    return _without_remarks(found, exact, remarks, table)


def _without_remarks(found: str, exact: str, remarks: list[str], table: HeadingTable) -> Heading:
    groups = table.groups
    remark, second_choice = False, True
    for text in remarks:
        whole, words = key(text), set(map(key, _WORD.findall(text)))
        if not whole or whole in groups[DECORATION] or words.issubset(groups[DECORATION]):
            continue
        keys = words | {whole}
        if _is_another_thing(found, text, keys, table):
            return Heading(exact, exact)
        remark = True
        second_choice = second_choice and not keys & groups[FIRST_CHOICE]
    return Heading(found, exact, remark, marks=True, second_choice=second_choice)


def _is_another_thing(found: str, remark: str, keys: set[str], table: HeadingTable) -> bool:
    """Whether a remark changes the meaning of a heading: "Email (opt out)", "Address (City)", "Notes (2)"."""
    whole = key(remark)
    if keys & table.groups[ANOTHER_THING] or whole in table.groups[NOT_A_FIELD]:
        return True
    if whole.isdigit() and not remark.startswith("+"):
        return True
    means, remark_means = table.aliases.get(found), table.aliases.get(whole)
    return bool(means and remark_means and means.field != remark_means.field)


def _in_two_languages(text: str, table: HeadingTable) -> str | None:
    """The key of the first part of a heading such as "Vorname / First name"; None if its parts have other meanings."""
    parts = [key(part) for part in re.split(r"[/|]", text)]
    fields = {table.aliases[part].field if part in table.aliases else None for part in parts}
    return parts[0] if len(fields) == 1 and None not in fields else None


def is_known(text: str, table: HeadingTable) -> bool:
    """Whether the table has this heading."""
    return table.knows(parse_heading(text, table).key)
