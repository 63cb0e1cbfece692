"""Rows of a .csv, .tsv or other delimited text, whoever wrote it: nothing is lost, nothing slips into another cell.

The text is read twice. The first time (`csv_survey.py`) finds out in which dialect every record is well-formed, and
how wide the rows are. The second time gives blocks: by pyarrow where the lines are plain, by the csv module where a
record may be several lines or of another width, record by record where quotation marks are not in order. Memory does
not grow with the file, but for four bytes a row. It is not pandas, which wants to know the longest row beforehand
(pandas 3.1 refuses a longer row, and where reading begins drops its surplus cells with a mere warning).
"""

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from tasks.crm.readers.arrow_columns import number_column, text_column
from tasks.crm.readers.cell import Merge, SheetInfo
from tasks.crm.readers.csv_conventions import Conventions, find_conventions, may_hold_floats
from tasks.crm.readers.csv_dialect import Dialect, Traits, beginning_of, dialects, traits_of
from tasks.crm.readers.csv_records import STRAY
from tasks.crm.readers.csv_survey import LINES, Part, Survey, records, survey, survey_broken
from tasks.crm.readers.encoding import find_encoding
from tasks.crm.readers.refused import UnreadableError
from tasks.crm.readers.table import Block, Fault

_MOST_CELLS = 500_000  # held as Python's objects at once
_Row = tuple[int, list[str], str | None]  # number, cells, what is wrong with it


class DelimitedText:
    """A delimited text: one sheet, named like the file as Excel does."""

    merged: tuple[Merge, ...] = ()
    hidden_rows = 0
    hidden_columns: frozenset[int] = frozenset()

    def __init__(self, path: Path, name: str, encoding: str | None = None) -> None:
        """Go through the text once; `encoding` is the one that the user names.

        Raises UnreadableError: binary, of no or an undecided encoding, or with headings whose quotation marks are not
        in order.
        """
        self._path = path
        found = find_encoding(path, encoding)
        self._codec, self.encoding = found.codec, found.label
        self.sheets = [SheetInfo(PurePosixPath(name).stem, visible=True)]
        self._traits = traits_of(path, self._codec)
        self._dialect, self._survey = _understood(path, self._codec, self._traits)
        self._check_headings()
        self.assumptions = [f"read as {self.encoding}"] if self.encoding else []
        self.assumptions += [self._dialect.told] if self._dialect.told else []
        self._conventions = Conventions()
        top = next(self._blocks(), None)
        if self._traits.triggers or (top and may_hold_floats(top, self._survey.shape.first)):
            self._conventions = find_conventions(self._blocks, self._traits.triggers, self._survey.shape.first)
            self.assumptions += self._conventions.told

    def blocks(self, sheet: str) -> Iterator[Block]:  # noqa: ARG002 - there is one
        """Blocks of the rows; a quoted line break is part of its row, as Excel numbers them."""
        return map(self._conventions.undone, self._blocks())

    def width_of(self, row: int) -> int | None:
        """How many cells a row has in the text, blank ones at the end included."""
        return self._survey.widths[row - 1] if 0 < row <= len(self._survey.widths) else None

    def _blocks(self) -> Iterator[Block]:
        if self._survey.broken:
            yield from self._recovered(self._lines())
            return
        number = 0
        for part, text in zip(self._survey.parts, self._texts(), strict=True):
            block = self._by_arrow(text, part, number) if part.uniform else None
            if block is None:
                block = self._block(self._by_csv(text.decode(), number))
            number += part.rows
            if len(block):
                yield block

    def _lines(self) -> Iterator[str]:
        return self._dialect.lines(self._path, self._codec, self._traits)

    def _texts(self) -> Iterator[bytes]:
        """The text of each part as UTF-8."""
        codec, dialect = self._codec, self._dialect
        as_it_is = codec in {"utf-8", "utf-8-sig"} and not (dialect.rewrite or self._traits.marks or self._traits.end)
        if not as_it_is:
            lines = self._lines()
            for part in self._survey.parts:
                yield "".join(islice(lines, part.lines)).encode()
            return
        with self._path.open("rb") as file:
            file.seek(beginning_of(codec))
            if dialect.stated:
                file.readline()
            for part in self._survey.parts:
                yield file.read(part.size)

    def _check_headings(self) -> None:
        found = self._survey
        broken = min((number for number in found.faults if number <= max(found.shape.first, 1)), default=0)
        if broken:
            raise UnreadableError(
                f"has a quotation mark in row {broken:,} that never closes: correct it and import again"
            )

    def _by_arrow(self, text: bytes, part: Part, before: int) -> Block | None:
        """The block of lines each of which is a whole record of the table's width."""
        width, quote = self._survey.widths[before], self._dialect.quote if self._survey.quoted else False
        if width != self._survey.shape.width or (before < self._survey.shape.first and self._survey.shape.first > 1):
            return None
        names = [str(column) for column in range(width)]
        table = arrow_csv.read_csv(
            pa.BufferReader(text),
            read_options=arrow_csv.ReadOptions(column_names=names, block_size=len(text) + 1, use_threads=False),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._dialect.delimiter, quote_char=quote, newlines_in_values=True
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        )
        if table.num_rows != part.rows:
            return None
        numbers = number_column(range(before + 1, before + 1 + part.rows))
        columns = [_one(column) for column in table.columns]
        if all(column.null_count for column in columns):
            filled = columns[0].is_valid()
            for column in columns[1:]:
                filled = pc.or_(filled, column.is_valid())
            numbers, columns = numbers.filter(filled), [column.filter(filled) for column in columns]
        return Block(numbers, columns)

    def _by_csv(self, text: str, before: int) -> Iterator[_Row]:
        found = self._survey
        lines = io.StringIO(text, newline="")
        reader = csv.reader(lines, delimiter=self._dialect.delimiter, quotechar=self._dialect.quote, strict=True)
        for number, cells in enumerate(reader, before + 1):
            if any(cells):
                stray = STRAY if found.quoted and number in found.stray else None
                yield number, cells, stray or found.shape.fault(number, cells)

    def _recovered(self, lines: Iterator[str]) -> Iterator[Block]:
        found = self._survey
        read = records(lines, self._dialect.delimiter, self._dialect.quote, found)
        numbered = enumerate(read, 1)
        at_once = min(LINES, max(_MOST_CELLS // max(found.shape.width, 1), 100))
        while some := list(islice(numbered, at_once)):
            rows: list[_Row] = []
            for number, record in some:
                stray = STRAY if record.stray and found.quoted else None
                fault = record.fault or stray or found.shape.fault(number, record.cells)
                if any(record.cells):
                    rows.append((number, record.cells, fault))
            if rows:
                yield self._block(iter(rows))

    def _block(self, rows: Iterator[_Row]) -> Block:
        numbers, cells, faults = list[int](), list[list[str]](), list[Fault]()
        for number, row, fault in rows:
            if fault:
                faults.append(Fault(len(numbers), None, fault))
            numbers.append(number)
            cells.append(row)
        width = max(map(len, cells), default=0)
        for row in cells:
            if len(row) < width:
                row.extend([""] * (width - len(row)))
        columns = [text_column(column) for column in zip(*cells, strict=True)]
        return Block(number_column(numbers), columns, faults)


def _understood(path: Path, codec: str, traits: Traits) -> tuple[Dialect, Survey]:
    """The first dialect to which all of the text keeps; the first of all, where quotation marks are in no order."""
    first: tuple[Dialect, Survey] | None = None
    for dialect in dialects(path, codec, traits):
        found = survey(dialect.lines(path, codec, traits), dialect.delimiter, dialect.quote)
        if found.is_plain and not dialect.doubtful and not (first and found.surplus):
            return dialect, found
        first = first or (dialect, found)
    if first is None:
        raise UnreadableError("has no rows: was the right file exported?")
    dialect, found = first
    if found.broken:
        found = survey_broken(dialect.lines(path, codec, traits), dialect.delimiter, dialect.quote, found)
    return dialect, found


def _one(column: pa.ChunkedArray) -> pa.StringArray:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
