"""The missions of a page before their fields are read, whatever its format, and the numbers on it.

A row answers where the rules of a source file look for a value. It returns None where nothing is found, and raises
ValueError, with the end of a sentence, where it is not clear which value is meant.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tasks.mofa.json_rows import json_content, search
from tasks.mofa.labels import normal
from tasks.mofa.page import Page, PageError, html, lines
from tasks.mofa.source_file import FieldRule, SourceFile, Where
from tasks.mofa.table_file import rows_of


class Row(Protocol):
    """One mission of a page."""

    def value(self, rule: FieldRule) -> str | None:
        """What the rule finds; None: nothing."""
        ...

    def problems(self) -> list[str]:
        """What the mission has that no rule reads."""
        ...

    def text(self) -> str:
        """Its beginning, by which a person finds it on the page."""
        ...


@dataclass
class TableRow:
    """A row of a CSV file or a workbook, by its headings."""

    number: int
    cells: Mapping[str, str]

    def value(self, rule: FieldRule) -> str | None:  # noqa: D102 - see Row
        return next((self.cells[normal(each)] for each in rule.column if normal(each) in self.cells), None)

    def problems(self) -> list[str]:  # noqa: D102 - see Row
        return []

    def text(self) -> str:  # noqa: D102 - see Row
        return f"row {self.number}"


def table_rows(page: Page, file: SourceFile) -> list[TableRow]:
    """The rows below the row with the headings that the fields name. Raises PageError."""
    wanted = {name: {normal(each) for each in rule.column} for name, rule in file.fields.items() if rule.column}
    needed = {name for name, rule in file.fields.items() if rule.column and not rule.optional}
    rows = rows_of(page, file.missions.sheet)
    heads = ([normal(each) for each in cells] for _, cells in rows)
    found = ((place, names) for place, names in enumerate(heads) if all(wanted[name] & {*names} for name in needed))
    place, names = next(found, (None, []))
    if place is None:
        missing = ", ".join(" or ".join(file.fields[name].column) for name in sorted(needed))
        raise PageError(page.url, f"a row with the headings {missing} was expected, no row has them all")
    return [
        TableRow(number, dict(zip(names, cells, strict=False)))
        for number, cells in rows[place + 1 :]
        if any(cell.strip() for cell in cells)
    ]


def numbers(page: Page, where: Where, file: SourceFile) -> list[int]:
    """All whole numbers in a place of the page; separators of thousands are ignored."""
    return [int(re.sub(r"\D", "", each)) for each in _texts(page, where, file) if re.search(r"\d", each)]


def _texts(page: Page, where: Where, file: SourceFile) -> list[str]:
    if where.json_:
        found = search(where.json_, json_content(page, file))
        return [str(each) for each in (found if isinstance(found, list) else [found]) if each is not None]
    content = html(page)
    nodes = content.select(where.css) if where.css else [content]
    if where.pattern is None:
        return [lines(each) for each in nodes]
    texts = [str(each) if where.css else lines(each) for each in nodes]  # numbers of pages are often in attributes
    return [hit[hit.re.groups and 1] for text in texts for hit in re.finditer(where.pattern, text)]


def count(page: Page, where: Where, file: SourceFile) -> int:
    """How many missions the page has by this rule: a number in its JSON, or how often something is found."""
    found = _texts(page, where, file)
    if where.json_ and len(found) == 1 and found[0].isdigit():
        return int(found[0])
    return len(found)
