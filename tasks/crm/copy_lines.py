"""Rows of a sheet as lines of PostgreSQL's COPY text format, with the columns that `db.contacts.stage` takes.

A batch is made column by column, which costs half as much as row by row. What is not plainly in order (a faulty cell, a
date with two readings, cells beyond the headings) is then made again by itself: `copy_line` is the rule.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from tasks.crm.readers.cell import Cell, ErrorCell, Row
from tasks.crm.headings import Mapping as ColumnMapping
from tasks.crm.headings import column_letter
from tasks.crm.contact import (
    Contact,
    Day,
    Unfit,
    as_text,
    has_clock,
    hashes,
    line,
    note,
    notes,
    read_contact,
    read_contacts,
    shown,
    split_name,
)

TRUE = frozenset({"true", "1", "yes", "wahr", "vrai"})  # what a flag column says; as_text makes TRUE of a boolean
_SPECIAL = re.compile(r'[",\n\r]')
_NAMES = ("organization", "first_name", "last_name")  # what a whole name may be


class Sheet:
    """Rows of one sheet, made into lines of COPY text."""

    def __init__(self, name: str, mapping: ColumnMapping, import_id: int, before: int) -> None:
        """`before`: the positions that earlier sheets took; a row's position is its number beyond them."""
        self.mapping = mapping
        self.orders: set[str] = set()
        self._start = ""
        self._before = before
        self._sheet = _escaped(shown(name))
        self._whole_last_name = "last_name" in mapping.fields.values()
        self._columns = [(field, column) for column, field in mapping.fields.items() if field != "full_name"]
        by_field = {field: column for column, field in mapping.fields.items()}
        self._full_name = by_field.get("full_name")
        self._day = by_field.get("last_contacted")
        self._by_field = by_field
        self._clock = mapping.clock_name

    def copy_lines(self, rows: Sequence[Row]) -> tuple[list[str], int]:
        """The lines of a batch, and how many of its rows are rejected.

        Args:
            rows: numbers and cells, each row with at least as many cells as there are headings.
        """
        if not rows:
            return [], 0
        columns = list(zip(*[cells for _, cells in rows], strict=False))  # as many as the shortest row has
        contacts, apart = read_contacts(self._field_columns(columns, rows), whole_last_name=self._whole_last_name)
        width = len(self.mapping.headings)
        longer = (n for n, (_, cells) in enumerate(rows) if len(cells) > width)
        apart.update(n for n in longer if any(cell is not None for cell in rows[n][1][width:]))
        apart.update(n for n, when in enumerate(contacts.days) if when and when.month_first)
        extras = self._extras(columns, apart)
        self.orders.update(w.order for n, w in enumerate(contacts.days) if w and w.order and n not in apart)
        lines = [
            f"{self._start}{self._before + number},{self._sheet},{number},\\x{identity},\\x{name},"
            f"{text},{date},,{extra},,\n"
            for (number, _), identity, name, text, date, extra in zip(
                rows,
                contacts.identities,
                contacts.names,
                map(",".join, zip(*map(_copied, contacts.fields), strict=True)),
                [when.date.isoformat() if when else "" for when in contacts.days],
                extras,
                strict=True,
            )
        ]
        rejected = 0
        for n in apart:
            number, cells = rows[n]
            lines[n], refused = self.copy_line(number, cells)
            rejected += refused
        return lines, rejected

    def _field_columns(self, columns: Sequence[Sequence[Cell]], rows: Sequence[Row]) -> dict[str, Sequence[Any]]:
        given: dict[str, Sequence[Any]] = {field: columns[column] for field, column in self._columns}
        if self._full_name is not None:
            named = [self._names(cells) for _, cells in rows]
            for field in _NAMES:
                if field in given:
                    beside = zip(named, given[field], strict=True)
                    given[field] = [names.get(field, cell) for names, cell in beside]
                else:
                    given[field] = [names.get(field) for names in named]
        return given

    def _extras(self, columns: Sequence[Sequence[Cell]], apart: set[int]) -> list[str]:
        kept = [(heading, notes(columns[column], apart)) for column, heading in self.mapping.extra.items()]
        if self._day is not None:
            clocks = [as_text(cell) if has_clock(cell) else None for cell in columns[self._day]]
            if any(clocks):
                kept.append((self._clock, clocks))
        if not kept:
            return ["{}"] * len(columns[0])
        headings = [heading for heading, _ in kept]
        return [
            _escaped(_json({heading: text for heading, text in zip(headings, texts, strict=True) if text is not None}))
            for texts in zip(*[texts for _, texts in kept], strict=True)
        ]

    def copy_line(self, number: int, cells: Sequence[Cell]) -> tuple[str, bool]:
        """One line of the batch, and whether the row is rejected.

        Args:
            number: the row as Excel shows it.
            cells: from column A on; at least as many as there are headings.
        """
        try:
            contact = read_contact(self._fields(cells), whole_last_name=self._whole_last_name)
            extra = self._extra(cells, number) if self.mapping.extra or len(cells) > len(self.mapping.headings) else {}
            if self._day is not None and has_clock(cells[self._day]):
                extra[self._clock] = as_text(cells[self._day])
        except Unfit as unfit:
            problems = [self._problem(problem.field, problem.reason, number, cells) for problem in unfit.problems]
            problems += self._extra_problems(cells, number)
            return self._rejected(number, cells, problems), True
        except _UnfitExtra as unfit:
            return self._rejected(number, cells, unfit.problems), True
        return self._accepted(number, contact, extra, cells), False

    def _fields(self, cells: Sequence[Cell]) -> dict[str, Any]:
        values: dict[str, Any] = {field: cells[column] for field, column in self._columns}
        return values if self._full_name is None else values | self._names(cells)

    def _names(self, cells: Sequence[Cell]) -> dict[str, Any]:
        """What the column of whole names says."""
        assert self._full_name is not None  # noqa: S101 - there is one
        whole = cells[self._full_name]
        if isinstance(whole, ErrorCell):
            return {"last_name": whole}
        if self.mapping.company_flag is not None and _flagged(cells[self.mapping.company_flag]):
            return {"organization": whole}
        try:
            names = split_name(line(whole), last_first=self.mapping.last_first)
        except ValueError:
            return {"last_name": whole}  # read_contact says what is wrong with it
        return dict(zip(("first_name", "last_name"), names, strict=True))

    def _extra(self, cells: Sequence[Cell], number: int) -> dict[str, str]:
        kept: dict[str, str] = {}
        problems: list[list[str | None]] = []
        columns = chain(self.mapping.extra.items(), self._beyond(cells))
        for column, heading in columns:
            try:
                text = note(cells[column])
            except ValueError as error:
                problems.append([heading, shown(cells[column]), _at(cells[column], column, number, str(error))])
                continue
            if text is not None:
                kept[heading] = text
        if problems:
            raise _UnfitExtra(problems)
        return kept

    def _extra_problems(self, cells: Sequence[Cell], number: int) -> list[list[str | None]]:
        try:
            self._extra(cells, number)
        except _UnfitExtra as unfit:
            return unfit.problems
        return []

    def _beyond(self, cells: Sequence[Cell]) -> Iterator[tuple[int, str]]:
        """Cells to the right of all headings are kept like any other."""
        for column in range(len(self.mapping.headings), len(cells)):
            if cells[column] is not None:
                yield column, self.mapping.extra_name(column)

    def _problem(self, field: str | None, reason: str, number: int, cells: Sequence[Cell]) -> list[str | None]:
        column = self._by_field.get(field, self._full_name) if field else None
        if column is None:
            return [None, None, reason]
        return [self.mapping.headings[column], shown(cells[column]), _at(cells[column], column, number, reason)]

    def _raw(self, cells: Sequence[Cell]) -> str:
        pairs = [[self.mapping.headings[i], shown(cells[i])] for i in self.mapping.shown_columns]
        return _json(pairs + [[heading, shown(cells[column])] for column, heading in self._beyond(cells)])

    def _accepted(self, number: int, contact: Contact, extra: dict[str, str], cells: Sequence[Cell]) -> str:
        identity, name = hashes(contact)
        *values, when = contact.__dict__.values()
        text = ",".join(["" if value is None else _escaped(value) for value in values])
        date, month_first, raw = "", "", ""
        if when is not None:
            date, month_first, raw = self._dates(when, cells)
        return (
            f"{self._placed(number)}\\x{identity},\\x{name},{text}"
            f",{date},{month_first},{_escaped(_json(extra)) if extra else '{}'},,{raw}\n"
        )

    def _placed(self, number: int) -> str:
        return f"{self._start}{self._before + number},{self._sheet},{number},"

    def _dates(self, when: Day, cells: Sequence[Cell]) -> tuple[str, str, str]:
        if when.order:
            self.orders.add(when.order)
        if when.month_first is None:
            return when.date.isoformat(), "", ""
        return when.date.isoformat(), when.month_first.isoformat(), _escaped(self._raw(cells))

    def _rejected(self, number: int, cells: Sequence[Cell], problems: list[list[str | None]]) -> str:
        blanks = "," * (2 + len(Contact.model_fields) + 2)
        return f"{self._placed(number)}{blanks}{_escaped(_json(problems))},{_escaped(self._raw(cells))}\n"


class _UnfitExtra(Exception):  # noqa: N818 - as contact.Unfit
    def __init__(self, problems: list[list[str | None]]) -> None:
        super().__init__()
        self.problems = problems


def _at(cell: Cell, column: int, number: int, reason: str) -> str:
    """Errors are named with their address: they are mended in the workbook."""
    return f"{column_letter(column)}{number} {reason}" if isinstance(cell, ErrorCell) else reason


def _flagged(cell: Cell) -> bool:
    return not isinstance(cell, ErrorCell) and shown(cell).strip().casefold() in TRUE


def _copied(column: Sequence[str | None]) -> list[str]:
    return ["" if text is None else _escaped(text) for text in column]


def _escaped(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
