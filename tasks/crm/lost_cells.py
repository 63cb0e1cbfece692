"""What calamine would lose of an .xlsx without a word: error cells, formulas never calculated, whole UTF-16 sheets.

An error cell (#REF!, #N/A) comes out of calamine as "", a formula without a stored value does not come out at all.
Both would be silent loss, so the sheet's XML is searched for them while calamine parses it. Searching bytes costs a
fifth of calamine's time and another thread does it; only a window of bytes that holds a candidate is looked at closely.
What the search cannot place (cells without a reference, UTF-16) is read again with a real XML parser, which is exact
and twenty times slower.
"""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import join, normpath
from typing import IO
from xml.etree import ElementTree as ET  # expat 2.4.1 and later stop XML bombs

# row number (1-based) -> column index (0-based) -> what the cell shows
LostCells = dict[int, dict[int, str]]

NOT_CALCULATED = "formula without a stored value"
_WINDOW = 1 << 20  # bytes read at once; a larger window is not faster
_LONGEST_ROW = 64 << 20  # bytes without the end of a row before the search gives up


class _NotPlaced(Exception):  # noqa: N818 - control flow inside this module
    """The search met something that only an XML parser can place."""


def sheet_parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """Sheet names -> names of the zip's members that hold their cells.

    Raises KeyError, ValueError, ET.ParseError or zipfile.BadZipFile when the workbook's own index cannot be read.
    """
    members = {member.lower(): member for member in archive.namelist()}

    def read(part: str) -> ET.Element:
        return ET.fromstring(archive.read(members[part.lower()]))  # noqa: S314 - see the import

    def relations(of: str) -> dict[str, tuple[str, str]]:
        folder, _, file = of.rpartition("/")
        found = {}
        for relation in read(join(folder, "_rels", f"{file}.rels")):
            target = relation.get("Target", "").replace("\\", "/")
            target = target[1:] if target.startswith("/") else normpath(join(folder, target))
            found[relation.get("Id", "")] = (relation.get("Type", ""), target)
        return found

    try:
        workbook = next(target for kind, target in relations("").values() if kind.endswith("/officeDocument"))
    except (KeyError, StopIteration, ET.ParseError):
        workbook = "xl/workbook.xml"  # where every writer puts it
    targets = relations(workbook)
    parts = {}
    for element in read(workbook).iter():
        if _local(element.tag) == "sheet":
            relation = next((value for key, value in element.items() if _local(key) == "id"), "")
            if relation in targets and targets[relation][1].lower() in members:
                parts[element.get("name", "")] = members[targets[relation][1].lower()]
    return parts


def fits_calamine(archive: zipfile.ZipFile, part: str, most_cells: int) -> bool:
    """Whether calamine can be trusted with a sheet: it takes UTF-16 for an empty one, and allocates the rectangle.

    The rectangle is what the sheet says of itself, often too large, seldom too small.
    """
    for member in archive.namelist():
        if member == part or member.lower().endswith("sharedstrings.xml"):
            with archive.open(member) as stream:
                head = stream.read(4096)
            if head.startswith(_UTF_16):
                return False
            if member == part and (stated := _DIMENSION.search(head)):
                last = _reference(stated[1].rpartition(b":")[2].decode("ascii", "replace"))
                if last and last[0] * (last[1] + 1) > most_cells:
                    return False
    return True


def find_lost_cells(archive: zipfile.ZipFile, part: str) -> LostCells:
    """Every error cell and every formula without a stored value of the sheet in `part`.

    Raises zipfile.BadZipFile when the bytes do not match their checksum, ET.ParseError when they are no XML.
    """
    lost: LostCells = {}
    try:
        with archive.open(part) as stream:
            for row, column, text in _searched(stream):
                lost.setdefault(row, {})[column] = text
    except _NotPlaced:
        lost.clear()
        with archive.open(part) as stream:
            for row, column, text in _parsed(stream):
                lost.setdefault(row, {})[column] = text
    return lost


@dataclass(frozen=True)
class _Patterns:
    """What cells look like in this sheet: some writers prefix every tag (<x:c>)."""

    formula: bytes
    end_of_row: bytes
    cell: re.Pattern[bytes]
    cell_start: bytes
    value: re.Pattern[bytes]
    formula_then_end: re.Pattern[bytes]


def _patterns(prefix: bytes) -> _Patterns:
    tag, end = b"<" + prefix, b"</" + prefix
    return _Patterns(
        formula=tag + b"f",
        end_of_row=end + b"row>",
        cell=re.compile(rb"%sc(\s[^<>]*?)?\s*(?:/>|>(.*?)%sc\s*>)" % (tag, end), re.DOTALL),
        cell_start=tag + b"c",
        value=re.compile(rb"%s(?:v|is)(?:\s[^<>]*)?(?<!/)>\s*(?!%s)([^<]*)" % (tag, end)),
        # the end of a formula, perhaps an empty value, the end of the cell
        formula_then_end=re.compile(
            rb"<(?:/%(p)sf\s*|%(p)sf(?:\s[^<>]*)?/)>\s*(?:<%(p)sv\s*(?:/>|>\s*</%(p)sv\s*>)\s*)?</%(p)sc\s*>"
            % {b"p": prefix},
        ),
    )


_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DIMENSION = re.compile(rb"<(?:\w+:)?dimension\s[^<>]*?ref\s*=\s*[\"']([^\"']+)")
_ATTRIBUTE = re.compile(rb"([\w:]+)\s*=\s*[\"']([^\"']*)[\"']")
_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})")


def _searched(stream: IO[bytes]) -> Iterator[tuple[int, int, str]]:
    window = stream.read(_WINDOW)
    if window.startswith(_UTF_16):
        raise _NotPlaced
    data = re.search(rb"<((?:\w+:)?)sheetData[\s/>]", window)
    if not data:
        raise _NotPlaced
    patterns = _patterns(data[1])
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
        window = stream.read(_WINDOW)


def _suspicious(window: bytes, formula: bytes) -> bool:
    """Whether t="e" or a formula may be there. One byte is looked for first: that is ten times faster than three."""
    return (
        (b"f" in window and formula in window)
        or (b"e" in window and b'"e"' in window)
        or (b"'" in window and b"'e'" in window)
    )


def _in_rows(rows: bytes, patterns: _Patterns) -> Iterator[tuple[int, int, str]]:
    """The lost cells of whole rows of XML."""
    for needle in (b'"e"', b"'e'"):
        position = rows.find(needle)
        while position >= 0:
            found = patterns.cell.match(rows, rows.rfind(b"<", 0, position))
            if found:
                attributes = dict(_ATTRIBUTE.findall(found[1] or b""))
                if attributes.get(b"t") == b"e":
                    value = patterns.value.search(found[2] or b"")
                    yield *_place(attributes), value[1].decode("utf-8", "replace").strip() if value else "#ERROR"
            position = rows.find(needle, position + 1)
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


def _place(attributes: dict[bytes, bytes]) -> tuple[int, int]:
    placed = _reference(attributes.get(b"r", b"").decode("ascii", "replace"))
    if not placed:
        raise _NotPlaced
    return placed


def _reference(text: str) -> tuple[int, int] | None:
    """("B7") -> (7, 1): row number from one, column index from nought."""
    found = _REFERENCE.fullmatch(text)
    if not found:
        return None
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - 64
    return int(found[2]), column - 1


def _parsed(stream: IO[bytes]) -> Iterator[tuple[int, int, str]]:
    """The same with an XML parser; a row or a cell without a reference follows the one before it."""
    row, column = 0, -1
    data: ET.Element | None = None
    for event, element in ET.iterparse(stream, events=("start", "end")):  # noqa: S314 - see the import
        tag = _local(element.tag)
        if event == "start":
            if tag == "sheetData":
                data = element
            elif tag == "row":
                row, column = int(element.get("r") or row + 1), -1
        elif tag == "c":
            placed = _reference(element.get("r", ""))
            row, column = placed or (row, column + 1)
            kind = element.get("t")
            children = {_local(child.tag): child for child in element}
            value = "".join(children["v"].itertext()).strip() if "v" in children else ""
            if kind == "e":
                yield row, column, value or "#ERROR"
            elif "f" in children and not value and "is" not in children and kind != "str":
                yield row, column, NOT_CALCULATED
        elif tag == "row" and data is not None:
            data.clear()


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
