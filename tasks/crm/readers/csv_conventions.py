r"""Removes what programs add to the cells of a .csv, if a whole column follows the convention.

="0049" keeps leading zeros in Excel, an apostrophe marks a text that is not a formula, MySQL writes \N and tools of
Microsoft NULL for no value, pandas writes 1067.0 for an integer in a column with blanks, web applications leave HTML
entities. Each convention that is removed is an assumption in the report, with its columns. A cell that only Excel could
calculate is a fault.
"""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from html.entities import entitydefs
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tasks.crm.readers.arrow_columns import number_column, text_column
from tasks.crm.readers.table import Block, Fault

_FORMULA_TEXT = re.compile(r'=\s*"((?:[^"]|"")*)"', re.DOTALL)
_FORMULA = re.compile(
    r"=\s*+[A-Z][A-Z0-9_.]*+\s*+\(|[+@-][A-Z][A-Z0-9_.]*+\(|[=+@-]\s*+cmd\s*+\|"  # =HYPERLINK( … ); =cmd|' /C …
    r"|=\s*+\(?\s*+(?:'?[^'!=]{1,64}'?!)?\$?[A-Z]{1,3}\$?[0-9]{1,7}(?!\w)"  # =A1+B2, =Sheet1!A1
    r"|=\s*+[-+(]*+\s*+[0-9][0-9.,]*+\s*+(?:[-+*/^&%()]|$)"  # =1+1, =30
    r'|=\s*+"(?:[^"]|"")*"\s*+[-+*/^&=<>]',  # ="030" & "1234"
    re.IGNORECASE,
)
_FORMULA_FAULT = "holds a formula that only Excel can calculate: replace it by its value"
# Only names that HTML knows: in "R&DX; Ulm" the ampersand is not part of an entity.
_ENTITIES = f"&(?:#[0-9]{{1,7}}|#[xX][0-9A-Fa-f]{{1,6}}|apos|{'|'.join(sorted(entitydefs))});"
_ENTITY = re.compile(_ENTITIES)
_FLOAT = re.compile(r"(-?[0-9]{1,15})\.0")
_GUARDED = re.compile(r"'(?=[=+@-]|[0-9(][0-9 ()/.,:+-]*\Z|[^\s']+@[^\s']+\Z)")
_ELISION = re.compile(r"'[a-z]{1,2}[ -]|'[0-9]")  # 't Hooft, 's-Hertogenbosch, '90s
_QUOTED = (("“", "”"), ("„", "“"), ("„", "”"), ("«", "»"), ("‘", "’"), ("'", "'"))
_LETTERS = 26
_LISTED = 6


class _Column(NamedTuple):
    """Counts of the patterns in the cells of a column."""

    cells: int  # not blank
    counts: Counter[str]  # name of a pattern -> cells that have it

    def all(self, name: str) -> bool:
        return bool(self.cells) and self.counts[name] == self.cells

    def some(self, name: str) -> bool:
        return bool(self.counts[name])


# Patterns that are counted in every column, in the syntax of RE2.
_COUNTED = {
    "null": r"^\\N$",
    "NULL": r"^NULL$",
    "formula": r"^=",
    "text": r'(?s)^=\s*"(?:[^"]|"")*"$',
    "call": r"^[+@-]\s*[A-Za-z]",
    "apostrophe": r"^'",
    "guarded": r"^'(?:[=+@-]|[0-9(][0-9 ()/.,:+-]*$|[^\s']+@[^\s']+$)",
    "entity": _ENTITIES,
    "float": r"^-?[0-9]{1,15}\.0$",
    "elision": r"^'(?:[a-z]{1,2}[ -]|[0-9])",
} | {f"{begin}{end}": f"(?s)^{begin}[^{begin}{end}]+{end}$" for begin, end in _QUOTED}
_TRIGGERED = {
    "null": ("null",),
    "NULL": ("NULL",),
    "formula": ("formula", "text"),
    "apostrophe": ("apostrophe", "elision", "guarded", "''"),
    "entity": ("entity",),
    "typographic": ("“”", "„“", "„”", "‘’"),
    "guillemets": ("«»",),
}

Undo = Callable[[str], str | None]


@dataclass(frozen=True)
class Conventions:
    """The conventions to undo in each column."""

    undo: dict[int, list[Undo]] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)  # one clause each
    formulas: bool = False  # some cells may be formulas

    def undone(self, block: Block) -> Block:
        """The block without what the conventions add."""
        if not self.undo and not self.formulas:
            return block
        columns, faults = list(block.columns), list(block.faults)
        for at, column in enumerate(columns):
            if self.formulas:
                faults += [Fault(row, at, _FORMULA_FAULT) for row in _formulas(column)]
            if at in self.undo:
                columns[at] = _mapped(column, self.undo[at])
        faults.sort(key=lambda fault: fault.row)
        return Block(block.numbers, columns, faults)


def find_conventions(blocks: Callable[[], Iterator[Block]], triggers: Iterable[str], first: int) -> Conventions:
    """The conventions that the columns follow in all rows.

    Args:
        blocks: returns all rows.
        triggers: the names of patterns that occur anywhere in the text.
        first: row of the headings; rows above are not data.
    """
    wanted = {"float", "call"} | {name for trigger in triggers for name in _TRIGGERED.get(trigger, ())}
    columns = _counted(blocks(), wanted, first)
    nulls = sum(column.counts["NULL"] for column in columns)
    undo, columns_of = dict[int, list[Undo]](), dict[str, list[int]]()
    for at, column in enumerate(columns):
        for does, what in _followed(column, is_null=nulls > 1):
            undo.setdefault(at, []).append(does)
            columns_of.setdefault(what, []).append(at)
    formulas = any(column.some("formula") or column.some("call") for column in columns)
    assumptions = [f"{what} in {listed_columns(places)}" for what, places in columns_of.items()]
    return Conventions(undo, assumptions, formulas)


def _followed(column: _Column, *, is_null: bool) -> Iterator[tuple[Undo, str]]:
    if column.some("null"):
        yield lambda cell: None if cell == r"\N" else cell, r"\N taken for a blank cell"
    if is_null and column.some("NULL"):
        yield lambda cell: None if cell == "NULL" else cell, "NULL taken for a blank cell"
    if column.some("text"):
        yield _without_formula, '="text" taken for its text'
    whole = column.all("apostrophe") and column.cells > 1 and not column.some("elision") and not column.all("''")
    if whole or column.some("guarded"):
        yield (
            (lambda cell: cell.removeprefix("'")) if whole else _without_guard,
            "an apostrophe at the beginning left out",
        )
    for begin, end in _QUOTED:
        if column.all(begin + end) and (column.cells > 1 or begin != "'"):
            yield _without_quotes(begin, end), "quotation marks around the cells left out"
    if column.some("entity"):
        yield _without_entities, "HTML entities replaced by their characters"
    if column.all("float"):
        yield lambda cell: _FLOAT.sub(r"\1", cell), "numbers such as 12.0 taken for integers"


def _without_formula(cell: str) -> str | None:
    found = _FORMULA_TEXT.fullmatch(cell)
    return (found[1].replace('""', '"') or None) if found else cell


def _without_quotes(begin: str, end: str) -> Undo:
    """A function that removes these quotation marks from a cell that has them. The heading may have none."""
    return lambda cell: (cell[1:-1] or cell) if cell.startswith(begin) and cell.endswith(end) else cell


def _without_guard(cell: str) -> str:
    return cell[1:] if _GUARDED.match(cell) else cell


def _without_entities(cell: str) -> str:
    return _ENTITY.sub(lambda found: html.unescape(found[0]), cell) if "&" in cell else cell


def _formulas(column: pa.StringArray) -> list[int]:
    """Rows whose cell is a formula and not a text that looks like one."""
    begins = pc.match_substring_regex(column, pattern=r"^[=+@-]\s*['\"$(A-Za-z0-9+@-]")
    cells = {row: column[row].as_py() for row in pc.indices_nonzero(begins).to_pylist()}
    return [row for row, cell in cells.items() if _FORMULA.match(cell) and not _FORMULA_TEXT.fullmatch(cell)]


def _mapped(column: pa.StringArray, undo: Sequence[Undo]) -> pa.StringArray:
    @cache
    def undone(cell: str) -> str | None:
        now: str | None = cell
        for each in undo:
            now = each(now) if now is not None else None
        return now or None

    return text_column([None if cell is None else undone(cell) for cell in column.to_pylist()])


def _counted(blocks: Iterator[Block], wanted: Iterable[str], first: int) -> list[_Column]:
    columns: list[_Column] = []
    names = sorted(wanted)
    for block in blocks:
        data = _data(block, first)
        for at, column in enumerate(data):
            if at == len(columns):
                columns.append(_Column(0, Counter()))
            counts = columns[at].counts
            for name in names:
                if name == "float" and counts[name] < columns[at].cells:
                    continue  # one cell that is not such a number is enough
                counts[name] += _matches(column, _COUNTED[name])
            columns[at] = columns[at]._replace(cells=columns[at].cells + len(column) - column.null_count)
    return columns


def _data(block: Block, first: int) -> list[pa.StringArray]:
    """The columns without the headings and without rows with a fault as a whole."""
    out = {fault.row for fault in block.faults if fault.column is None}
    if not out and block.numbers[0].as_py() > first:
        return block.columns
    rows = [row for row, number in enumerate(block.numbers.to_pylist()) if number > first and row not in out]
    return [column.take(number_column(rows)) for column in block.columns]


def may_hold_floats(block: Block, first: int) -> bool:
    """Whether a column of the first block may have numbers such as 12.0."""
    return any(_FLOAT.fullmatch(next(map(str, column.drop_null()), "")) for column in _data(block, first))


def _matches(column: pa.StringArray, pattern: str) -> int:
    return pc.sum(pc.match_substring_regex(column, pattern=pattern)).as_py() or 0


def listed_columns(places: Sequence[int]) -> str:
    """The letters of columns that are counted from 0: "columns A, C"."""
    letters = [_letter(at) for at in places]
    more = f" and {len(letters) - _LISTED:,} more" if len(letters) > _LISTED else ""
    return f"column{'s' * (len(letters) > 1)} {', '.join(letters[:_LISTED])}{more}"


def _letter(column: int) -> str:
    letters, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, _LETTERS)
        letters = chr(ord("A") + rest) + letters
    return letters
