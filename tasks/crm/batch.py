"""Turns a block of rows into the rows that `db.staging.stage` copies, column by column.

A row without a fault gets the fields of a contact, its hashes, and its other cells (`extra`). A row with a faulty cell
is rejected: it keeps every problem and all its cells, and no field.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from tasks.crm.columns import RULES, clean, evaluate
from tasks.crm.contact import Contact
from tasks.crm.headings.column_mapping import Mapping as ColumnMapping
from tasks.crm.headings.text import column_letter
from tasks.crm.identity import identities
from tasks.crm.non_records import MIN_COLUMNS, NonRecords
from tasks.crm.readers.budget import REASONS
from tasks.crm.readers.table import Block
from tasks.crm.rules.dates import Day
from tasks.crm.rules.email_address import other_emails
from tasks.crm.rules.external_ids import whole_salesforce_id
from tasks.crm.rules.names import split_name
from tasks.crm.rules.null_words import ditto_marks, without_null_words
from tasks.crm.rules.phone_number import other_phones
from tasks.crm.rules.several_values import MAY_BE_SEVERAL
from tasks.crm.rules.texts import clean_full_name, clean_note

TRUE = frozenset({"true", "1", "yes", "wahr", "vrai"})  # in a column of flags
DATE = "last_contacted"
TEXT_FIELDS = tuple(name for name in Contact.model_fields if name != DATE)

Texts: TypeAlias = pa.StringArray  # the cells of a column


@dataclass
class Problems:
    """The faults of the rows of a block."""

    # row (index) -> columns (None: the row as a whole) and reasons
    by_row: dict[int, list[tuple[int | None, str]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, column: int | None, faults: Iterable[tuple[int, str]]) -> None:
        """Add the faults of one column: row and reason."""
        for row, reason in faults:
            self.by_row[row].append((column, reason))

    def mask(self, count: int) -> np.ndarray[Any, Any]:
        """For each row, whether it is rejected."""
        rejected = np.zeros(count, dtype=bool)
        rejected[list(self.by_row)] = True
        return rejected


@dataclass(frozen=True)
class StagedRows:
    """The rows of a block as they are staged."""

    table: pa.Table  # the columns of db.staging.STAGED_COLUMNS
    rejected: int
    name_only_rows: int  # accepted rows with a name in one cell and nothing else
    organizations: int  # accepted rows with an organisation and no person
    organization_only_rows: int  # those of them that fill no other cell, in a table with columns for names
    date_orders: frozenset[str]  # "day", "month": what comes first in the dates that show it
    filled: dict[str, int]  # field -> accepted rows that fill it
    filled_extra: dict[str, int]  # heading in extra -> the same
    null_words: dict[int, int]  # column -> cells with a word for nothing, such as "(null)"

    def write(self, path: Path) -> None:
        """Write the rows as CSV: nulls are empty, all other texts quoted. Raises OSError."""
        with path.open("wb") as file:
            csv.write_csv(self.table, file, csv.WriteOptions(include_header=False, quoting_style="all_valid"))


@dataclass(frozen=True)
class SheetBatches:
    """Makes staged rows of the blocks of one sheet, which it has to get in order."""

    name: str  # of the sheet
    mapping: ColumnMapping
    before: int  # positions used by earlier sheets, added to the number of each row
    totals: frozenset[int] = frozenset()  # rows that sum up a table
    line_of: Callable[[int], int | None] = lambda _row: None  # see Workbook.line_of
    reasons: int = REASONS  # of a rejected row that are kept; the others are counted

    @cached_property
    def non_records(self) -> NonRecords:
        """Finds rows that are not records; it remembers the rows above."""
        return NonRecords(self.mapping, self.totals)

    def staged(self, block: Block) -> StagedRows:
        """Clean and hash the rows of a block that has at least as many columns as there are headings."""
        return _BlockCleaner(self, block).staged()


class _BlockCleaner:
    """Cleans and hashes the rows of one block."""

    def __init__(self, sheet: SheetBatches, block: Block) -> None:
        self._sheet, self._mapping, self._original = sheet, sheet.mapping, block
        columns, self._null_words = without_null_words(block.columns, sheet.mapping.fields)
        self._block = replace(block, columns=columns)
        self._problems = Problems()
        self._faults: dict[int | None, list[tuple[int, str]]] = defaultdict(list)  # found by the reader, by column
        for row, column, reason in block.faults:
            self._faults[column].append((row, reason))
        for column in sheet.mapping.fields:
            self._faults[column] += ditto_marks(columns[column])
        self._column_of = {name: column for column, name in self._mapping.fields.items()}

    def staged(self) -> StagedRows:
        """The rows of the block as they are staged."""
        no_records = dict(self._sheet.non_records.reasons(self._original))
        faults = self._faults.pop(None, ())
        self._problems.add(None, [fault for fault in faults if fault[0] not in no_records])
        self._problems.add(None, no_records.items())
        fields = self._fields()
        days = self._days()
        self._reject_nameless(fields)
        kept = self._extra()
        rejected = self._problems.mask(len(self._block))
        ambiguous = np.fromiter((day is not None and day.month_first is not None for day in days), bool, len(days))
        hashes = identities(fields, self._mapping.system)
        accepted = {
            "identity_hash": hashes.identity,
            "name_hash": hashes.name,
            "mail_hash": hashes.mail,
            **fields,
            DATE: pa.array([day.date if day else None for day in days], pa.date32()),
            "source_system": pc.if_else(
                pc.is_valid(fields["external_id"]), pa.scalar(self._mapping.system, pa.string()), None
            ),
            "month_first": pa.array([day.month_first if day else None for day in days], pa.date32()),
            "extra": _as_json(kept, len(self._block)),
        }
        if rejected.any():
            accept = pa.array(~rejected)
            accepted = {name: pc.if_else(accept, column, None) for name, column in accepted.items()}
            kept = {name: pc.if_else(accept, column, None) for name, column in kept.items()}
        name_only_rows, organization_only_rows = self._name_only_rows(accepted), self._organization_only_rows(accepted)
        one_cell = name_only_rows | organization_only_rows
        table = pa.table({**self._placed(), **accepted, **self._rejects(rejected, rejected | ambiguous | one_cell)})
        orders = {day.order for day, refused in zip(days, rejected, strict=True) if day and day.order and not refused}
        return StagedRows(
            table,
            int(rejected.sum()),
            int(name_only_rows.sum()),
            int(_organizations(accepted).sum()),
            int(organization_only_rows.sum()),
            frozenset(orders),
            filled=_filled({name: accepted[name] for name in (*TEXT_FIELDS, DATE)}),
            filled_extra=_filled(kept),
            null_words={n: count for n, count in self._null_words.items() if n not in self._mapping.dropped},
        )

    def _name_only_rows(self, accepted: Mapping[str, pa.Array]) -> np.ndarray[Any, Any]:
        """For each row, whether it has nothing but a name in one cell, in a table of several columns."""
        if len(self._mapping.headings) < MIN_COLUMNS:
            return np.zeros(len(self._block), dtype=bool)
        rest = [name for name in (*TEXT_FIELDS, DATE) if name not in ("first_name", "last_name")]
        blank = [pc.is_null(accepted[name]) for name in rest]
        nothing_else = np.logical_and.reduce([np.asarray(each) for each in blank])
        found: np.ndarray[Any, Any] = (
            nothing_else & (self._cell_counts == 1) & np.asarray(pc.is_valid(accepted["identity_hash"]))
        )
        return found

    def _organization_only_rows(self, accepted: Mapping[str, pa.Array]) -> np.ndarray[Any, Any]:
        """For each row, whether it has nothing but an organisation, in a table of people with several columns."""
        if len(self._mapping.headings) < MIN_COLUMNS or self._column_of.keys().isdisjoint(_NAMES):
            return np.zeros(len(self._block), dtype=bool)
        found: np.ndarray[Any, Any] = (self._cell_counts == 1) & np.asarray(pc.is_valid(accepted["organization"]))
        return found

    @cached_property
    def _cell_counts(self) -> np.ndarray[Any, Any]:
        """How many cells each row fills."""
        counts: np.ndarray[Any, Any] = np.sum(
            [np.asarray(pc.is_valid(column)) for column in self._block.columns], axis=0
        )
        return counts

    def _placed(self) -> dict[str, pa.Array]:
        numbers = self._block.numbers
        return {
            "position": pc.add(numbers, pa.scalar(self._sheet.before, pa.int32())),
            "sheet": pa.repeat(self._sheet.name, len(numbers)),
            "row_number": numbers,
        }

    def _cells(self, column: int) -> tuple[Texts, list[tuple[int, str]]]:
        """A column without the cells in which the reader found a fault, and these faults with their cell addresses."""
        found = self._faults.get(column)
        cells = self._block.columns[column]
        if not found:
            return cells, []
        keep = np.ones(len(cells), dtype=bool)
        keep[[row for row, _ in found]] = False
        numbers = self._block.numbers
        letter = column_letter(column)
        return pc.if_else(pa.array(keep), cells, None), [
            (row, f"{letter}{numbers[row].as_py()} {reason}") for row, reason in found
        ]

    def _cleaned(self, rule: Callable[[str | None], Any], column: int) -> Texts:
        cells, faults = self._cells(column)
        self._problems.add(column, faults)
        values, faults = clean(rule, cells)
        self._problems.add(column, faults)
        return values

    def _fields(self) -> dict[str, Texts]:
        """Field -> column, of the fields that are texts, in the order of the model."""
        blank = pa.nulls(len(self._block), pa.string())
        fields = {}
        for name in TEXT_FIELDS:
            column = self._column_of.get(name)
            fields[name] = blank if column is None else self._cleaned(RULES[name], column)
            if name == "last_name" and "full_name" in self._column_of:
                fields |= self._split_names(fields)
        if (self._mapping.system or "").startswith("salesforce"):
            fields["external_id"] = clean(whole_salesforce_id, fields["external_id"]).values
        return fields

    def _split_names(self, fields: Mapping[str, Texts]) -> dict[str, Texts]:
        """The column of full names as first and last names or, where a flag column says so, as organisations."""
        full_names = self._cleaned(clean_full_name, self._column_of["full_name"])
        parts, faults = evaluate(lambda text: split_name(text, last_first=self._mapping.last_first), full_names)
        names = {
            "first_name": pa.array([part and part[0] for part in parts], pa.string()),
            "last_name": pa.array([part and part[1] for part in parts], pa.string()),
        }
        flag = self._mapping.company_flag
        if flag is None:
            self._problems.add(self._column_of["full_name"], faults)
            return names
        flags, _ = evaluate(lambda text: (text or "").strip().casefold() in TRUE, self._cells(flag)[0])
        company = pa.array([each is True for each in flags])
        persons = [(row, reason) for row, reason in faults if flags[row] is not True]
        self._problems.add(self._column_of["full_name"], persons)
        return {
            "organization": pc.if_else(company, full_names, fields["organization"]),
            "first_name": pc.if_else(company, fields["first_name"], names["first_name"]),
            "last_name": pc.if_else(company, fields["last_name"], names["last_name"]),
        }

    def _days(self) -> list[Day | None]:
        column = self._column_of.get(DATE)
        if column is None:
            return [None] * len(self._block)
        cells, faults = self._cells(column)
        self._problems.add(column, faults)
        days, faults = evaluate(RULES[DATE], cells)
        self._problems.add(column, faults)
        return list(days)

    def _reject_nameless(self, fields: Mapping[str, Texts]) -> None:
        """Reject rows that identify nobody, unless a faulty cell is the reason."""
        known_by = ("organization", "first_name", "last_name", "email", "phone")
        blank = {name: np.asarray(pc.is_null(fields[name])) for name in known_by}
        nameless = blank["last_name"] & ~self._problems.mask(len(self._block))
        reachable = ~(blank["email"] & blank["phone"])  # with an e-mail or a phone a first name is enough
        half = nameless & ~blank["first_name"] & ~reachable
        nobody = nameless & blank["first_name"] & blank["email"] & blank["organization"]
        column = self._column_of.get("last_name")
        if column is None:
            half &= blank["organization"]
        reason = _FIRST_NAME_ALONE if column is None else _HALF_A_NAME
        self._problems.add(column, ((int(row), reason) for row in np.flatnonzero(half)))
        self._problems.add(None, ((int(row), _NOBODY) for row in np.flatnonzero(nobody)))

    def _extra(self) -> dict[str, Texts]:
        """Heading -> column, of the columns that are kept in `extra`; also cells to the right of all headings."""
        columns = dict(self._mapping.extra)
        for column in range(len(self._mapping.headings), len(self._block.columns)):
            if self._block.columns[column].null_count < len(self._block):
                columns[column] = self._mapping.extra_name(column)
        kept = {heading: self._cleaned(clean_note, column) for column, heading in columns.items()}
        for name, (pattern, beside) in _BESIDE.items():
            if name in self._column_of:
                cells = self._block.columns[self._column_of[name]]
                texts, _ = evaluate(beside, pc.if_else(pc.match_substring_regex(cells, pattern), cells, None))
                if any(texts):
                    kept[self._mapping.name_beside(name)] = pa.array(texts, pa.string())
        return kept

    def _rejects(self, rejected: np.ndarray[Any, Any], keep: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
        """The columns `problems`, of rejected rows, and `raw`, of the rows in `keep`: some may be rejected later."""
        problems: list[str | None] = [None] * len(self._block)
        raw: list[str | None] = [None] * len(self._block)
        rows = np.flatnonzero(keep)
        for row, cells in zip(rows.tolist(), self._shown(rows), strict=True):
            raw[row] = _json(self._pairs(cells))
            if rejected[row]:
                problems[row] = _json(self._problems_of(row, cells))
        return {"problems": pa.array(problems, pa.string()), "raw": pa.array(raw, pa.string())}

    def _problems_of(self, row: int, cells: tuple[str | None, ...]) -> list[list[str | None]]:
        """The problems of a row as they are stored with a reject; the last one counts those that are left out."""
        found, limit = self._problems.by_row[row], self._sheet.reasons
        kept = [self._problem(row, problem, cells) for problem in found[:limit]]
        if (more := len(found) - limit) > 0:
            kept.append([None, None, f"has {more:,} more faults (IMPORT_REASONS)"])
        return kept

    def _shown(self, rows: np.ndarray[Any, Any]) -> Iterator[tuple[str | None, ...]]:
        """The cells of these rows as they were read."""
        wanted = pa.array(rows)
        columns = [column.take(wanted).to_pylist() for column in self._original.columns]
        return zip(*columns, strict=True) if columns else iter([()] * len(rows))

    def _pairs(self, cells: tuple[str | None, ...]) -> list[list[str]]:
        """The cells of a row as they are stored with a reject: heading and text."""
        mapping = self._mapping
        pairs = [[mapping.headings[column], _shown(cells[column])] for column in mapping.shown_columns]
        beyond = range(len(mapping.headings), len(cells))
        return pairs + [[mapping.extra_name(n), _shown(cells[n])] for n in beyond if cells[n] is not None]

    def _problem(self, row: int, problem: tuple[int | None, str], cells: tuple[str | None, ...]) -> list[str | None]:
        """A problem as it is stored with a reject: heading, text and reason."""
        column, reason = problem
        if line := self._sheet.line_of(self._block.numbers[row].as_py()):
            advice = ": format the cell"  # left out: a file with lines has no cells
            reason = f"{reason.partition(advice)[0]} (from line {line:,} on)"
        if column is None:
            return [None, None, reason]
        headings = self._mapping.headings
        heading = headings[column] if column < len(headings) else self._mapping.extra_name(column)
        return [heading, _shown(cells[column]), reason]


# Field -> what of its cell is kept in `extra`, under the heading with a number; only cells that match the pattern can
# have such a rest.
_BESIDE: dict[str, tuple[str, Callable[[str | None], str | None]]] = {
    DATE: (":", lambda text: text),  # the time of day
    "email": (MAY_BE_SEVERAL, other_emails),
    "phone": (MAY_BE_SEVERAL, other_phones),
}
_NAMES = ("first_name", "last_name", "full_name")
_HALF_A_NAME = "is blank although there is a first name"
_FIRST_NAME_ALONE = "has a first name and neither an e-mail address nor a telephone number: add one, or the last name"
_NOBODY = "has no name, no e-mail address and no organisation: the row identifies nobody"


def _as_json(columns: Mapping[str, Texts], count: int) -> Texts:
    """A JSON object of heading and text for each row, without blank cells."""
    if not columns:
        return pa.repeat("{}", count)
    parts = []
    for heading, column in columns.items():
        members, _ = evaluate(lambda text: text and _json(text), column)
        parts.append(pc.binary_join_element_wise(f",{_json(heading)}", pa.array(members, pa.string()), ":"))
    # "" comes first because Arrow 26.0 drops rows in which all joined values are null.
    members = pc.utf8_slice_codeunits(pc.binary_join_element_wise("", *parts, "", null_handling="skip"), 1)
    return pc.binary_join_element_wise("{", members, "}", "")


def _organizations(accepted: Mapping[str, pa.Array]) -> np.ndarray[Any, Any]:
    """For each row, whether it has an organisation and no person."""
    found = np.asarray(pc.is_valid(accepted["organization"]))
    for name in ("first_name", "last_name", "email"):
        found &= np.asarray(pc.is_null(accepted[name]))
    return found


def _filled(columns: Mapping[str, pa.Array]) -> dict[str, int]:
    counts = {name: len(column) - column.null_count for name, column in columns.items()}
    return {name: count for name, count in counts.items() if count}


def _shown(text: str | None) -> str:
    """The text of a cell as the database can store it: NUL is replaced by a visible symbol."""
    return (text or "").replace("\0", "\N{SYMBOL FOR NULL}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
