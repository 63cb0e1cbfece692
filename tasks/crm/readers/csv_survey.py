"""The first pass through a delimited text: whether all records are well-formed, and how wide the rows are."""

import csv
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from tasks.crm.readers.csv_records import Record, is_formula_text, patterns, recovered
from tasks.crm.readers.csv_shape import Shape, fits, kinds_of, shape_of
from tasks.crm.readers.refused import UnreadableError

LINES = 10_000  # of a chunk
_MAX_CHARACTERS = 8 << 20
_MAX_COLUMNS = 16_384  # of a sheet of Excel
_ADDRESS_WIDTH = 2  # columns; the last line of an address in the second column often has one comma
_SAMPLE = 200  # rows whose cells are stored
_MAX_CELL_LENGTH = 16 << 20  # characters; Excel allows 32,767, so a longer cell has a quotation mark that never closes


@dataclass(frozen=True)
class Part:
    """Lines that are whole records."""

    lines: int
    rows: int
    size: int  # bytes as UTF-8
    uniform: bool  # every record is one line, has the table's width, and no odd quotation mark


@dataclass
class Survey:
    """The result of the first pass in one dialect."""

    widths: "array[int]" = field(default_factory=lambda: array("I"))  # cells of each row; 0: blank or broken
    parts: list[Part] = field(default_factory=list)
    broken: bool = False  # a quotation mark does not close, or closes before the cell ends
    quoted: bool = False  # some cell is in quotation marks
    stray: set[int] = field(default_factory=set)  # rows with a quotation mark inside an unquoted cell
    faults: dict[int, str] = field(default_factory=dict)  # of broken rows
    sample: list[tuple[int, list[str]]] = field(default_factory=list)
    shape: Shape = field(default_factory=lambda: shape_of(array("I"), []))
    surplus: bool = False  # some row has more cells than the table
    kinds: list[str | None] = field(default_factory=list)  # of the columns, from the sample when it was last needed
    kinds_from: int = 0  # rows of the sample
    rows_with_embedded_rows: int = 0  # rows with a cell that holds whole rows
    several_lines: int = 0  # other rows with a line break in a cell

    @property
    def is_plain(self) -> bool:
        """Whether all records are well-formed, so that no other dialect must be tried."""
        return not self.broken and not self.stray

    @property
    def trusts_line_breaks(self) -> bool:
        """Whether a cell with line breaks that looks like whole rows is accepted as a cell."""
        return self.rows_with_embedded_rows <= self.several_lines


def survey(lines: Iterable[str], delimiter: str, quote: str) -> Survey:
    """The first pass through the lines; it stops at the first malformed record."""
    found, source = Survey(), iter(lines)
    csv.field_size_limit(_MAX_CELL_LENGTH)
    while chunk := _chunk(source):
        try:
            _add(found, chunk, source, delimiter, quote)
        except csv.Error:
            found.broken = True
            return found
    _check_widths(found)
    found.shape = shape_of(found.widths, found.sample)
    found.surplus = any(width > found.shape.width for width in set(found.widths[found.shape.first :]))
    found.broken = found.rows_with_embedded_rows > found.several_lines
    return found


def _chunk(source: Iterator[str]) -> list[str]:
    """The next lines, fewer if they are long: they are in memory together."""
    chunk, size = list[str](), 0
    while len(chunk) < LINES and size < _MAX_CHARACTERS and (some := list(islice(source, LINES // 20))):
        chunk += some
        size += sum(map(len, some))
    return chunk


def survey_broken(lines: Iterable[str], delimiter: str, quote: str, before: Survey) -> Survey:
    """The first pass through lines with broken quotation marks; `before` is the result up to the first of them."""
    found = Survey(broken=True, quoted=before.quoted, kinds=before.kinds)
    found.rows_with_embedded_rows, found.several_lines = before.rows_with_embedded_rows, before.several_lines
    for number, record in enumerate(records(lines, delimiter, quote, found), 1):
        found.widths.append(0 if record.fault else len(record.cells))
        if record.fault:
            found.faults[number] = record.fault
        elif len(found.sample) < _SAMPLE and record.cells:
            found.sample.append((number, record.cells))
        if record.stray:
            found.stray.add(number)
    _check_widths(found)
    found.shape = shape_of(found.widths, found.sample)
    return found


def _check_widths(found: Survey) -> None:
    for row, width in enumerate(found.widths, 1):
        if width > _MAX_COLUMNS:
            raise UnreadableError(
                f"has {width:,} cells in row {row:,}, more than a sheet can have: check that it is a table"
            )


def records(lines: Iterable[str], delimiter: str, quote: str, found: Survey) -> Iterator[Record]:
    """The records of a text with broken quotation marks, the same in both passes."""
    quoted, trusted = patterns(delimiter, quote).quoted, found.trusts_line_breaks

    def contains_rows(cells: list[str]) -> bool:
        return not trusted and _contains_rows(cells, delimiter, found.kinds)

    def watched() -> Iterator[str]:
        for line in lines:
            found.quoted = found.quoted or bool(quoted.search(line))
            yield line

    return recovered(watched(), delimiter, quote, contains_rows)


def _add(found: Survey, chunk: list[str], source: Iterator[str], delimiter: str, quote: str) -> None:
    text = "".join(chunk)
    bare = _without_quoted(text, delimiter, quote) if quote in text else text
    widths = set[int]()
    if bare is not None:
        lines = chunk if bare is text else bare.splitlines() if bare.isascii() else bare.split("\n")[: len(chunk)]
        widths = {line.count(delimiter) + 1 for line in lines}
    if len(widths) != 1 or widths == {1} or len(lines) != len(chunk):
        _add_by_records(found, chunk, source, delimiter, quote)
        return
    found.quoted = found.quoted or bare is not text
    rows = islice(csv.reader(chunk, delimiter=delimiter, quotechar=quote), _SAMPLE - len(found.sample))
    found.sample += list(enumerate(rows, len(found.widths) + 1))
    found.widths.extend(array("I", widths) * len(chunk))
    found.parts.append(Part(len(chunk), len(chunk), len(text.encode()), uniform=True))


def _without_quoted(text: str, delimiter: str, quote: str) -> str | None:
    """The text without its quoted cells; None if one is malformed or has several lines."""
    pieces = text.split(quote)
    outside, inside = pieces[::2], "".join(pieces[1::2])
    if not len(pieces) & 1 or "\n" in inside or "\r" in inside:
        return None
    ends = (delimiter, "\n", "\r")
    first, last = outside[0], outside[-1]
    if (first and not first.endswith(ends)) or (last and not last.startswith(ends)):
        return None
    between = set(outside[1:-1])  # "" is a doubled quotation mark
    between.discard("")
    if not all(piece.startswith(ends) and piece.endswith(ends) for piece in between):
        return None
    return "".join(outside)


def _add_by_records(found: Survey, chunk: list[str], source: Iterator[str], delimiter: str, quote: str) -> None:
    """Add the chunk record by record, which is slow: a record may have several lines, also beyond the chunk."""
    pattern, kept, size = patterns(delimiter, quote), list[str](), 0

    def watched() -> Iterator[str]:
        for line in chain(chunk, source):
            kept.append(line)
            yield line

    reader = csv.reader(watched(), delimiter=delimiter, quotechar=quote, strict=True)
    rows = 0
    while reader.line_num < len(chunk) and (row := next(reader, None)) is not None:
        rows += 1
        number = len(found.widths) + 1
        found.widths.append(len(row))
        if row and len(found.sample) < _SAMPLE:
            found.sample.append((number, row))
        text = "".join(kept)
        if quote in text:
            _look_at_record(found, number, row, text, delimiter, quote)
            found.quoted = found.quoted or bool(pattern.quoted.search(text))
        size += len(text.encode())
        kept.clear()
    found.parts.append(Part(reader.line_num, rows, size, uniform=False))


def _look_at_record(found: Survey, number: int, row: list[str], text: str, delimiter: str, quote: str) -> None:
    joined = "".join(row)
    if quote in joined and not patterns(delimiter, quote).well_formed.fullmatch(text):
        unquoted = [cell for cell in row if quote in cell]
        if not all(is_formula_text(cell) for cell in unquoted):
            found.stray.add(number)
    if "\n" in joined or "\r" in joined:
        if len(found.sample) >= 2 * found.kinds_from:
            found.kinds_from = len(found.sample)
            like_it = [cells for at, cells in found.sample[1:] if len(cells) == len(row) and at != number]
            found.kinds = kinds_of(like_it, len(row))
        if _contains_rows(row, delimiter, found.kinds):
            found.rows_with_embedded_rows += 1
        else:
            found.several_lines += 1


def _contains_rows(cells: list[str], delimiter: str, kinds: list[str | None]) -> bool:
    """Whether the first and the last line of a record are rows of their own."""
    lines, width = delimiter.join(cells).splitlines(), len(cells)
    if len(lines) == 1 or width <= 1:
        return False
    ends = [line.split(delimiter) for line in (lines[0], lines[-1])]
    if any(len(end) != width or any(cell.startswith(" ") for cell in end) for end in ends):
        return False  # people write a blank after a comma, programs do not
    if any(kinds) and len(kinds) == width:
        return all(fits(kinds, end) for end in ends)
    return width > _ADDRESS_WIDTH
