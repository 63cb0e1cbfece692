"""What calamine would lose of an .xlsx without a word: error cells, formulas never calculated, leading noughts.

An error cell (#REF!, #N/A) comes out of calamine as "", a formula without a stored value does not come out at all, and
of a number whose format makes text of it (see `number_formats.py`) only the number does. All would be silent loss, so
the sheet's XML is searched for them while calamine parses it; for the formats only if the workbook has such a one.
Searching bytes costs a fifth of calamine's time and another thread does it; only a window of bytes that holds a
candidate is looked at closely. What the search cannot place (cells without a reference, UTF-16) is read again with a
real XML parser, which is exact and twenty times slower.
"""

import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO
from xml.etree import ElementTree as ET  # expat 2.4.1 and later stop XML bombs

from tasks.crm.readers.cell import NOT_CALCULATED
from tasks.crm.readers.xlsx_package import UTF_16, column_index, local_name, reference

_WINDOW = 1 << 20  # bytes read at once; a larger window is not faster
_LONGEST_ROW = 64 << 20  # bytes without the end of a row before the search gives up


@dataclass
class Run:
    """Cells of one column, below one another, that share a format."""

    first: int
    last: int
    code: str


@dataclass
class Lost:
    """What has to be put back into the rows. Row numbers are Excel's, column indices count from 0."""

    cells: dict[int, dict[int, str]] = field(default_factory=dict)  # row -> column -> the error that it shows
    formats: dict[int, list[Run]] = field(default_factory=dict)  # column -> its runs from the top

    def add_error(self, row: int, column: int, text: str) -> None:
        """A cell that shows an error, or NOT_CALCULATED."""
        self.cells.setdefault(row, {})[column] = text

    def add_format(self, row: int, column: int, code: str) -> None:
        """A cell whose format makes text of a number; cells of a column come from the top."""
        runs = self.formats.setdefault(column, [])
        if runs and runs[-1].last == row - 1 and runs[-1].code == code:
            runs[-1].last = row
        else:
            runs.append(Run(row, row, code))


class _NotPlaced(Exception):  # noqa: N818 - control flow inside this module
    """The search met something that only an XML parser can place."""


def find_lost_cells(archive: zipfile.ZipFile, part: str, styles: Mapping[int, str]) -> Lost:
    """What calamine would lose of the sheet in `part`; `styles` are those of the `Package`.

    Raises zipfile.BadZipFile when the bytes do not match their checksum, ET.ParseError when they are no XML.
    """
    try:
        with archive.open(part) as stream:
            return _found(_searched(stream, styles), styles)
    except _NotPlaced:
        with archive.open(part) as stream:
            return _found(_parsed(stream, styles), styles)


def _found(marks: Iterator["_Mark"], styles: Mapping[int, str]) -> Lost:
    lost = Lost()
    for row, column, what in marks:
        if isinstance(what, str):
            lost.add_error(row, column, what)
        else:
            lost.add_format(row, column, styles[what])
    return lost


_Mark = tuple[int, int, str | int]  # row, column, the error that the cell shows or the index of its style


@dataclass(frozen=True)
class _Patterns:
    """What cells look like in this sheet: some writers prefix every tag (<x:c>)."""

    formula: bytes
    end_of_row: bytes
    cell: re.Pattern[bytes]
    cell_start: bytes
    cell_tag: re.Pattern[bytes]
    value: re.Pattern[bytes]
    formula_then_end: re.Pattern[bytes]


def _patterns(prefix: bytes) -> _Patterns:
    tag, end = b"<" + prefix, b"</" + prefix
    return _Patterns(
        formula=tag + b"f",
        end_of_row=end + b"row>",
        cell=re.compile(rb"%sc(\s[^<>]*?)?(?:/>|>(.*?)%sc\s*>)" % (tag, end), re.DOTALL),
        cell_start=tag + b"c",
        cell_tag=re.compile(rb"%sc(\s[^<>]*?)/?>" % tag),
        value=re.compile(rb"%s(?:v|is)(?:\s[^<>]*)?(?<!/)>\s*(?!%s)([^<]*)" % (tag, end)),
        # the end of a formula, perhaps an empty value, the end of the cell
        formula_then_end=re.compile(
            rb"<(?:/%(p)sf\s*|%(p)sf(?:\s[^<>]*)?/)>\s*(?:<%(p)sv\s*(?:/>|>\s*</%(p)sv\s*>)\s*)?</%(p)sc\s*>"
            % {b"p": prefix},
        ),
    )


_ATTRIBUTE = re.compile(rb"(?<![\w:])([\w:]+)\s*=\s*[\"']([^\"']*)[\"']")
_USUAL_CELL = re.compile(rb'<c r="([A-Z]{1,3})([0-9]{1,7})" s="([0-9]+)"(?: t="n")?/?>')  # a number, as Excel writes it


def _searched(stream: IO[bytes], styles: Collection[int] = ()) -> Iterator[_Mark]:
    window = stream.read(_WINDOW)
    if window.startswith(UTF_16):
        raise _NotPlaced
    data = re.search(rb"<((?:\w+:)?)sheetData[\s/>]", window)
    if not data:
        raise _NotPlaced
    patterns = _patterns(data[1])
    styled = (
        re.compile(rb"\ss\s*=\s*[\"'](?:%s)[\"']" % b"|".join(b"%d" % style for style in styles)) if styles else None
    )
    rest = b""
    while window:
        window = rest + window
        cut = window.rfind(patterns.end_of_row) + len(patterns.end_of_row)
        if cut < len(patterns.end_of_row):
            if len(window) > _LONGEST_ROW:
                raise _NotPlaced
            cut = 0
        rest = window[cut:]
        if _suspicious(window, patterns.formula):
            yield from _in_rows(window[:cut], patterns)
        if styled:
            yield from _formatted(window[:cut], patterns, styled)
        window = stream.read(_WINDOW)
    if patterns.cell_start in rest:  # the ends of its rows are written in another way
        raise _NotPlaced


def _suspicious(window: bytes, formula: bytes) -> bool:
    """Whether t="e" or a formula may be there. One byte is looked for first: that is ten times faster than three."""
    return (
        (b"f" in window and formula in window)
        or (b"e" in window and b'"e"' in window)
        or (b"'" in window and b"'e'" in window)
    )


def _in_rows(rows: bytes, patterns: _Patterns) -> Iterator[_Mark]:
    """The lost cells of whole rows of XML."""
    for needle in (b'"e"', b"'e'"):
        done = 0  # so far nothing is looked at twice: a hostile sheet may be full of needles
        while (position := rows.find(needle, done)) >= 0:
            start = rows.rfind(b"<", done, position)
            done = position + 1
            if start < 0 or not patterns.cell_tag.match(rows, start):
                continue
            if not (found := patterns.cell.match(rows, start)):
                raise _NotPlaced
            attributes = dict(_ATTRIBUTE.findall(found[1] or b""))
            if attributes.get(b"t") == b"e":
                value = patterns.value.search(found[2] or b"")
                yield *_place(attributes), value[1].decode("utf-8", "replace").strip() if value else "#ERROR"
            done = max(done, found.end())
    if patterns.formula not in rows:
        return
    for end in patterns.formula_then_end.finditer(rows):
        found = patterns.cell.match(rows, rows.rfind(patterns.cell_start, 0, end.start()))
        if not found or found.end() != end.end():
            raise _NotPlaced
        attributes = dict(_ATTRIBUTE.findall(found[1] or b""))
        value = patterns.value.search(found[2] or b"")
        if attributes.get(b"t") not in (b"e", b"str") and not (value and value[1].strip()):
            yield *_place(attributes), NOT_CALCULATED


def _formatted(rows: bytes, patterns: _Patterns, styled: re.Pattern[bytes]) -> Iterator[_Mark]:
    """The cells of whole rows of XML that have one of the styles."""
    done = 0
    for style in styled.finditer(rows):
        start = rows.rfind(b"<", done, style.start())
        done = style.end()
        if start < 0:  # in a text, or a tag that was looked at
            continue
        if usual := _USUAL_CELL.match(rows, start):
            yield int(usual[2]), column_index(usual[1]), int(usual[3])
        elif found := patterns.cell_tag.match(rows, start):
            attributes = dict(_ATTRIBUTE.findall(found[1]))
            if attributes.get(b"t", b"n") == b"n":
                yield *_place(attributes), int(attributes[b"s"])


def _place(attributes: dict[bytes, bytes]) -> tuple[int, int]:
    placed = reference(attributes.get(b"r", b"").decode("ascii", "replace"))
    if not placed:
        raise _NotPlaced
    return placed


def _parsed(stream: IO[bytes], styles: Collection[int] = ()) -> Iterator[_Mark]:
    """The same with an XML parser; a row or a cell without a reference follows the one before it."""
    row, column = 0, -1
    data: ET.Element | None = None
    for event, element in ET.iterparse(stream, events=("start", "end")):  # noqa: S314 - see the import
        tag = local_name(element.tag)
        if event == "start":
            if tag == "sheetData":
                data = element
            elif tag == "row":
                row, column = int(element.get("r") or row + 1), -1
        elif tag == "c":
            placed = reference(element.get("r", ""))
            row, column = placed or (row, column + 1)
            kind = element.get("t")
            children = {local_name(child.tag): child for child in element}
            value = "".join(children["v"].itertext()).strip() if "v" in children else ""
            if kind == "e":
                yield row, column, value or "#ERROR"
            elif "f" in children and not value and "is" not in children and kind != "str":
                yield row, column, NOT_CALCULATED
            if kind in (None, "n") and (style := element.get("s", "")).isdigit() and int(style) in styles:
                yield row, column, int(style)
        elif tag == "row" and data is not None:
            data.clear()
