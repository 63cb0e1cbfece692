"""Reads a .csv, .tsv or other delimited text, of any program: no cell is lost or moved to another column.

The text is read twice. The first pass (`csv_survey.py`) finds the dialect in which all records are well-formed, and the
width of the rows. The second pass yields blocks: pyarrow parses plain lines, the csv module records of several lines or
of another width, and `csv_records.py` texts with broken quotation marks. Memory grows with the file by only four bytes
for each row. pandas is not used because it needs to know the longest row (pandas 3.1 refuses a longer row or, at the
beginning, drops its surplus cells with only a warning).
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

_MAX_CELLS = 500_000  # as Python objects at the same time
_Row = tuple[int, list[str], str | None]  # number, cells, fault


class DelimitedText:
    """A delimited text. It has one sheet with the name of the file, as in Excel."""

    merged: tuple[Merge, ...] = ()
    hidden_rows = 0
    hidden_columns: frozenset[int] = frozenset()

    def __init__(self, path: Path, name: str, encoding: str | None = None) -> None:
        """Do the first pass. `encoding`: given by the user.

        Raises:
            UnreadableError: the file is binary, its encoding is unknown, or a quotation mark in the headings does not
                close.
        """
        self._path = path
        found = find_encoding(path, encoding)
        self._codec, self.encoding = found.codec, found.label
        self.sheets = [SheetInfo(PurePosixPath(name).stem, visible=True)]
        self._traits = traits_of(path, self._codec)
        self._dialect, self._survey = _understood(path, self._codec, self._traits)
        self._check_headings()
        self.assumptions = [f"read as {self.encoding}"] if self.encoding else []
        self.assumptions += [self._dialect.assumption] if self._dialect.assumption else []
        self._conventions = Conventions()
        top = next(self._blocks(), None)
        if self._traits.triggers or (top and may_hold_floats(top, self._survey.shape.first)):
            self._conventions = find_conventions(self._blocks, self._traits.triggers, self._survey.shape.first)
            self.assumptions += self._conventions.assumptions

    def blocks(self, sheet: str) -> Iterator[Block]:  # noqa: ARG002 - there is one sheet
        """Blocks of the rows. A row with a quoted line break has one number, as in Excel."""
        return map(self._conventions.undone, self._blocks())

    def width_of(self, row: int) -> int | None:
        """How many cells a row has in the text, including blank ones at the end."""
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
                f"has a quotation mark in row {broken:,} that never closes: correct it and import the file again"
            )

    def _by_arrow(self, text: bytes, part: Part, before: int) -> Block | None:
        """The block of lines that are one record each, of the width of the table; None if they are not."""
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
        at_once = min(LINES, max(_MAX_CELLS // max(found.shape.width, 1), 100))
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
    """The first dialect in which all records are well-formed; if there is none, the first dialect."""
    first: tuple[Dialect, Survey] | None = None
    for dialect in dialects(path, codec, traits):
        found = survey(dialect.lines(path, codec, traits), dialect.delimiter, dialect.quote)
        if found.is_plain and not dialect.doubtful and not (first and found.surplus):
            return dialect, found
        first = first or (dialect, found)
    if first is None:
        raise UnreadableError("has no rows: check that you exported the right file")
    dialect, found = first
    if found.broken:
        found = survey_broken(dialect.lines(path, codec, traits), dialect.delimiter, dialect.quote, found)
    return dialect, found


def _one(column: pa.ChunkedArray) -> pa.StringArray:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
