"""A long sheet of an .xlsx cut into short ones: two processes read them, and neither holds the whole sheet.

calamine reads a sheet only as a whole, on one core, and keeps it: a full one of twelve columns takes nearly a gigabyte.
So the sheet's XML is copied, unpacked, into a workbook of its own in which so many row numbers at a time are a sheet;
rows keep their numbers. Only a sheet that says clearly where each row belongs is cut: every row with its number, each
higher than the one before.
"""

import re
import shutil
import zipfile
import zlib
from bisect import bisect_left, bisect_right
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tasks.crm.readers.xlsx_package import DIMENSION, Package

_WINDOW = 1 << 20  # bytes read at once
_MERGED = re.compile(rb"ref\s*=\s*[\"'][A-Z]{1,3}([0-9]{1,7}):[A-Z]{1,3}([0-9]{1,7})")
_LONGEST_ROW = 64 << 20  # bytes; also of what stands behind the rows
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_RELS = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of the sheet."""

    name: str  # of the sheet that holds them in the cut workbook
    first: int  # row as Excel shows it
    last: int


class _NotCut(Exception):  # noqa: N818 - control flow inside this module
    """The sheet does not say clearly where its rows belong, or is short."""


def cut(archive: zipfile.ZipFile, package: Package, sheet: str, rows: int, into: Path) -> list[Piece]:
    """Write the cut workbook to `into`; its pieces of at most `rows` rows, none if the sheet had better be read whole.

    Raises OSError when `into` cannot be written.
    """
    # What is wrong with a damaged sheet is told by whoever reads it whole.
    with suppress(_NotCut, zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError):
        with _opened(archive, package.parts[sheet]) as stream, zipfile.ZipFile(into, "w") as target:
            with _Cutter(stream, target, rows) as cutter:
                pieces = cutter.pieces()
            _write_the_rest(archive, package, target, pieces)
        return pieces
    into.unlink(missing_ok=True)
    return []


def _opened(archive: zipfile.ZipFile, member: str) -> IO[bytes]:
    try:
        return archive.open(member)
    except OSError as error:  # it lies where no file has a place
        raise _NotCut from error


class _Cutter:
    """Goes through the XML of a sheet window by window."""

    def __init__(self, stream: IO[bytes], target: zipfile.ZipFile, rows: int) -> None:
        self._stream, self._target, self._most = stream, target, rows
        self._firsts: list[int] = []
        self._beyond = 0  # the first row that the piece may not have
        self._last = 0  # row that was written
        self._top: list[bytes] = []  # the first piece waits for what stands behind the rows: the merged cells
        self._piece: IO[bytes] | None = None  # a later one is written as it comes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._piece:
            self._piece.close()

    def pieces(self) -> list[Piece]:
        """Write all pieces."""
        window = self._stream.read(_WINDOW)
        start = re.search(rb"<((?:\w+:)?)sheetData(?:\s[^<>]*)?(?<!/)>", window)
        if not start:
            raise _NotCut
        self._head, self._prefix = window[: start.end()], start[1]
        self._size = DIMENSION.search(self._head)
        self._tag, self._row = b"<%srow" % start[1], re.compile(rb'<%srow r="([0-9]{1,7})"[\s/>]' % start[1])
        rest, end = window[start.end() :], b"</%ssheetData" % start[1]
        while (at := rest.find(end)) < 0:
            whole = max(rest.rfind(self._tag), 0)
            self._add(rest[:whole])
            window = self._stream.read(_WINDOW)
            if not window or len(rest) - whole > _LONGEST_ROW:
                raise _NotCut
            rest = rest[whole:] + window
        self._add(rest[:at])
        if self._piece is None:
            raise _NotCut
        self._end_piece()
        self._write_top(rest[at:] + self._stream.read(_LONGEST_ROW))
        lasts = [first - 1 for first in self._firsts[1:]] + [self._last]
        return [Piece(str(n), *span) for n, span in enumerate(zip(self._firsts, lasts, strict=True), 1)]

    def _add(self, xml: bytes) -> None:
        """Write whole rows, each to its piece."""
        rows = list(self._row.finditer(xml))
        if len(rows) != xml.count(self._tag) or (b"!" in xml and b"<!" in xml):
            raise _NotCut
        starts = [row.start() for row in rows] + [len(xml)]
        numbers = [int(row[1]) for row in rows]
        if any(one >= next_ for one, next_ in pairwise([self._last, *numbers])):
            raise _NotCut
        done = 0
        while done < len(numbers):
            if numbers[done] >= self._beyond:
                self._begin_piece(numbers[done])
            upto = bisect_left(numbers, self._beyond, done)
            self._write(xml[starts[done] : starts[upto]])
            done, self._last = upto, numbers[upto - 1]

    def _write(self, xml: bytes) -> None:
        if self._piece is None:
            self._top.append(xml)
        else:
            self._piece.write(xml)

    def _begin_piece(self, first: int) -> None:
        self._end_piece()
        self._firsts.append(first)
        self._beyond = first + self._most
        if len(self._firsts) > 1:
            self._piece = self._target.open(f"xl/worksheets/{len(self._firsts)}.xml", "w", force_zip64=True)
            self._piece.write(self._head_of(first))

    def _head_of(self, first: int) -> bytes:
        """What stands before the rows; a size of the whole sheet, if it says one, becomes that of the piece."""
        if not self._size:
            return self._head
        last_column = self._size[1].rpartition(b":")[2].strip(b"$").rstrip(b"0123456789$")
        size = b"A%d:%s%d" % (first, last_column, first + self._most - 1)
        return self._head[: self._size.start(1)] + size + self._head[self._size.end(1) :]

    def _foot(self, merged: bytes = b"") -> bytes:
        return b"</%ssheetData>%s</%sworksheet>" % (self._prefix, merged, self._prefix)

    def _end_piece(self) -> None:
        if self._piece:
            self._piece.write(self._foot())
            self._piece.close()

    def _write_top(self, behind: bytes) -> None:
        merged = re.search(rb"<%(p)smergeCells.*?</%(p)smergeCells\s*>" % {b"p": self._prefix}, behind, re.DOTALL)
        for span in _MERGED.finditer(merged[0] if merged else b""):
            if bisect_right(self._firsts, int(span[1])) != bisect_right(self._firsts, int(span[2])):
                raise _NotCut  # what is merged belongs together
        xml = [self._head_of(self._firsts[0]), *self._top, self._foot(merged[0] if merged else b"")]
        self._target.writestr("xl/worksheets/1.xml", b"".join(xml))


def _write_the_rest(archive: zipfile.ZipFile, package: Package, target: zipfile.ZipFile, pieces: list[Piece]) -> None:
    """What a workbook has beside its sheets."""
    kinds = {"sharedStrings": package.strings, "styles": package.styles}
    for kind, member in kinds.items():
        if member:
            with _opened(archive, member) as source, target.open(f"xl/{kind}.xml", "w", force_zip64=True) as copy:
                shutil.copyfileobj(source, copy, _WINDOW)
    parts = {f"worksheets/{piece.name}.xml": "worksheet" for piece in pieces}
    parts |= {f"{kind}.xml": kind for kind, member in kinds.items() if member}
    related = [_relation(n, kind, part) for n, (part, kind) in enumerate(parts.items(), 1)]
    typed = [_typed("workbook", "sheet.main"), *(_typed(part[:-4], kind) for part, kind in parts.items())]
    sheets = "".join(f'<sheet name="{n}" sheetId="{n}" r:id="r{n}"/>' for n in range(1, len(pieces) + 1))
    epoch = '<workbookPr date1904="1"/>' * package.since_1904
    workbook = f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATED}">{epoch}<sheets>{sheets}</sheets></workbook>'
    target.writestr("[Content_Types].xml", f'<Types xmlns="{_PACKAGE}/content-types">{_RELS}{"".join(typed)}</Types>')
    target.writestr("_rels/.rels", _relations([_relation(1, "officeDocument", "xl/workbook.xml")]))
    target.writestr("xl/_rels/workbook.xml.rels", _relations(related))
    target.writestr("xl/workbook.xml", workbook)


def _relation(number: int, kind: str, target: str) -> str:
    return f'<Relationship Id="r{number}" Type="{_RELATED}/{kind}" Target="{target}"/>'


def _relations(relations: list[str]) -> str:
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{"".join(relations)}</Relationships>'


def _typed(part: str, kind: str) -> str:
    return f'<Override PartName="/xl/{part}.xml" ContentType="{_KIND}.{kind}+xml"/>'
