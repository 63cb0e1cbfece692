"""Reads the sheets of an .xlsx: their properties, and their rows as blocks.

A sheet is unpacked twice. The first pass finds properties that are stored after the rows but needed before them, such
as merged cells, and verifies the checksum. It takes a tenth of the time of the second, on another core if there is one.
"""

import re
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from xml.etree import ElementTree as ET  # expat 2.4.1 and later stop XML bombs

import numpy as np

from tasks.crm.readers.cell import Merge
from tasks.crm.readers.table import ROWS_IN_BLOCK, Block
from tasks.crm.readers.xlsx_blocks import LAST_COLUMN
from tasks.crm.readers.xlsx_bytes import WINDOW, UnusualXmlError, windows
from tasks.crm.readers.xlsx_cells import Search
from tasks.crm.readers.xlsx_package import Package, column_index, reference, relations
from tasks.crm.readers.xlsx_parser import Parser
from tasks.crm.readers.xlsx_rich import rich_values
from tasks.crm.readers.xlsx_strings import SharedStrings, shared_strings
from tasks.crm.readers.xlsx_values import Values

_MERGED = re.compile(rb"mergeCell\s+ref\s*=\s*[\"']([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})[\"']")
_ROW = re.compile(rb"row\s(?:[^<>]*?\s)?r=\"([0-9]{1,7})\"")
_COLUMN = re.compile(rb"<(?:\w+:)?col\s[^<>]*>")
_ATTRIBUTE = re.compile(rb"(?<!\w)(\w+)=\"([^\"]*)\"")
_MAX_TAG_LENGTH = 1 << 16


@dataclass
class Survey:
    """The properties of a sheet."""

    height: int = 0  # last row that is not blank, as Excel shows it; 0: unknown
    merged: list[Merge] = field(default_factory=list)
    hidden_columns: frozenset[int] = frozenset()  # from 0


def survey(archive: zipfile.ZipFile, part: str) -> Survey:
    """The properties of a sheet. Raises zipfile.BadZipFile: the bytes do not match their checksum."""
    found, rest, at_top = Survey(), b"", True
    with archive.open(part) as stream:
        while read := stream.read(WINDOW):
            window = rest + read
            if at_top:
                found.hidden_columns = _hidden_columns(window.partition(b"sheetData")[0])
                at_top = False
            value = max(window.rfind(b"v></"), window.rfind(b"is></"))  # the last </v></c> or </is></c>
            if value >= 0 and (row := _ROW.match(window, max(window.rfind(b"row ", 0, value), 0))):
                found.height = int(row[1])
            if b"mergeCell" in window:
                found.merged += map(_merge, _MERGED.finditer(window))
            last = window.rfind(b"<")
            rest = window[last:] if last >= 0 and len(window) - last < _MAX_TAG_LENGTH else b""
    return found


def _merge(found: re.Match[bytes]) -> Merge:
    return int(found[2]), int(found[4]), column_index(found[1]), column_index(found[3])


def _hidden_columns(head: bytes) -> frozenset[int]:
    hidden = np.zeros(LAST_COLUMN + 1, np.bool_)
    for tag in _COLUMN.findall(head):
        attributes = dict(_ATTRIBUTE.findall(tag))
        first, last = attributes.get(b"min", b""), attributes.get(b"max", b"")
        if attributes.get(b"hidden") in {b"1", b"true"} and first.isdigit() and last.isdigit():
            hidden[max(int(first) - 1, 0) : int(last)] = True
    return frozenset(np.flatnonzero(hidden).tolist())


def totals(archive: zipfile.ZipFile, part: str) -> frozenset[int]:
    """The totals rows of the tables of a sheet. Raises ET.ParseError: a table is damaged."""
    try:
        tables = [target for kind, target in relations(archive, part).values() if kind == "table"]
    except KeyError:  # the sheet has no list of relations
        return frozenset()
    found: set[int] = set()
    for table in tables:
        root = ET.fromstring(archive.read(table))  # noqa: S314 - see the import
        count = root.get("totalsRowCount", "")
        last = reference(root.get("ref", "").rpartition(":")[2])
        if count.isdigit() and last:
            found.update(range(max(last[0] - min(int(count), 9), 0) + 1, last[0] + 1))
    return frozenset(found)


class Sheets:
    """The cells of an open .xlsx."""

    def __init__(self, archive: zipfile.ZipFile, package: Package) -> None:
        self._archive, self._package = archive, package
        self.hidden_rows = 0  # of the current sheet, among the rows that `blocks` has yielded so far

    @cached_property
    def _strings(self) -> SharedStrings:
        return shared_strings(self._archive, self._package.strings)

    @cached_property
    def _values(self) -> Values:
        rich = rich_values(self._archive, self._package.members)
        return Values(self._package.formats, self._package.since_1904, rich)

    def survey(self, sheet: str) -> Survey:
        """The properties of a sheet. Also reads the shared strings if this was not done yet.

        Each thread has a ZipFile of its own: `ZipFile.open` of Python 3.13 skips the extra field of a member relative
        to where another thread has just read, so that an intact member seems damaged.
        """
        with zipfile.ZipFile(str(self._archive.filename)) as own, ThreadPoolExecutor(1) as other_core:
            surveyed = other_core.submit(survey, own, self._package.parts[sheet])
            _ = self._strings
            return surveyed.result()

    def totals(self, sheet: str) -> frozenset[int]:
        """The totals rows of the tables of a sheet."""
        return totals(self._archive, self._package.parts[sheet])

    def blocks(self, sheet: str) -> Iterator[Block]:
        """The rows of a sheet.

        Raises:
            SheetError, ET.ParseError, pa.ArrowInvalid, zipfile.BadZipFile, EOFError: the sheet is damaged.
        """
        self.hidden_rows = 0
        part = self._package.parts[sheet]
        search, parser = Search(self._values, self._strings), Parser(self._values, self._strings)
        try:
            with self._archive.open(part) as stream:
                for window in windows(stream, b"sheetData", b"row", ROWS_IN_BLOCK):
                    for block in search.blocks(window):
                        self.hidden_rows = search.hidden
                        yield block
        except UnusualXmlError:
            with self._archive.open(part) as stream:
                for block in parser.blocks(stream, search.count, search.last):
                    self.hidden_rows = search.hidden + parser.hidden
                    yield block
