"""What calamine would lose of a binary workbook (.xlsb): error cells and number formats.

A sheet is a sequence of records, each with its type and length ([MS-XLSB] 2.1.4), so the search steps from one to the
next and looks into the few that matter. Formulas need no search: in this format they always carry their value.
"""

import io
import struct
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, cast

from tasks.crm.readers.cell import SheetInfo
from tasks.crm.readers.lost_cells import Lost
from tasks.crm.readers.number_formats import text_styles
from tasks.crm.readers.xlsx_package import Package, relations

WORKBOOK = "xl/workbook.bin"  # the member of the archive by which this format is known
_SHEET, _FORMAT, _CELL_STYLES, _CELL_STYLES_END, _STYLE = 156, 44, 617, 618, 47
_ROW, _BLANK, _SMALL_NUMBER, _ERROR, _NUMBER, _FORMULA_NUMBER, _FORMULA_ERROR = 0, 1, 2, 3, 5, 9, 11
_VISIBLE = 0
_SHORT_CELLS = range(12, 19)  # cells without a column of their own, which calamine does not read and Excel never wrote
_ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_LAST_ROW = 1_048_576
_LONGEST_RECORD = 1 << 24  # bytes


class BinaryCellsError(ValueError):
    """The records of a sheet cannot be followed."""


def package_of(archive: zipfile.ZipFile) -> Package:
    """Look up the parts of a workbook. Raises KeyError, struct.error or zipfile.BadZipFile when they cannot be read."""
    targets = relations(archive, WORKBOOK)
    sheets, parts = [], {}
    with archive.open(WORKBOOK) as stream:
        for record, content in _records(stream):
            if record == _SHEET:
                relation, after = _text(content, 8)
                kind, part = targets.get(relation, ("worksheet", ""))  # one that is not there is told when it is read
                if kind == "worksheet":
                    name = _text(content, after)[0]
                    sheets.append(SheetInfo(name, struct.unpack_from("<I", content)[0] == _VISIBLE))
                    parts[name] = part
    styles = next((target for kind, target in targets.values() if kind == "styles"), None)
    return Package(sheets, parts, _text_styles(archive, styles) if styles else {})


def _text_styles(archive: zipfile.ZipFile, part: str) -> dict[int, str]:
    codes: dict[int, str] = {}
    styles: list[int] = []
    inside = False
    with archive.open(part) as stream:
        for kind, content in _records(stream):
            if kind == _FORMAT:
                codes[struct.unpack_from("<H", content)[0]] = _text(content, 2)[0]
            elif kind in (_CELL_STYLES, _CELL_STYLES_END):
                inside = kind == _CELL_STYLES
            elif kind == _STYLE and inside:
                styles.append(struct.unpack_from("<H", content, 2)[0])
    return text_styles(codes, styles)


def find_lost_cells(archive: zipfile.ZipFile, part: str, styles: Mapping[int, str]) -> Lost:
    """What calamine would lose of the sheet in `part`; `styles` are those of the `Package`.

    Raises BinaryCellsError, struct.error, zipfile.BadZipFile or EOFError when the sheet is damaged.
    """
    lost = Lost()
    row = 0
    with archive.open(part) as stream:
        for kind, content in _records(stream):
            if kind == _ROW:
                row = struct.unpack_from("<I", content)[0] + 1
                if row > _LAST_ROW:
                    raise BinaryCellsError(row)
            elif kind in (_ERROR, _FORMULA_ERROR):
                lost.add_error(row, _column(content), _ERRORS.get(content[8], "#ERROR"))
            elif kind in (_BLANK, _SMALL_NUMBER, _NUMBER, _FORMULA_NUMBER):
                code = styles.get(int.from_bytes(content[4:7], "little")) if styles else None
                if code:
                    lost.add_format(row, _column(content), code)
            elif kind in _SHORT_CELLS:
                raise BinaryCellsError(kind)
    return lost


def _column(content: bytes) -> int:
    return int(struct.unpack_from("<I", content)[0])


def _records(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Types and contents, one after the other; both numbers are written in groups of seven bits, lowest first."""
    stream = io.BufferedReader(cast("io.RawIOBase", stream), 1 << 20)  # nearly all reads are of one byte
    while first := stream.read(1):
        kind = first[0]
        if kind & 0x80:
            kind = kind & 0x7F | (_byte(stream) & 0x7F) << 7
        length = 0
        for shift in (0, 7, 14, 21):
            byte = _byte(stream)
            length |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the highest bit says that another group follows
                break
        if length > _LONGEST_RECORD:
            raise BinaryCellsError(length)
        content = stream.read(length)
        if len(content) < length:
            raise EOFError
        yield kind, content


def _byte(stream: IO[bytes]) -> int:
    byte = stream.read(1)
    if not byte:
        raise EOFError
    return byte[0]


def _text(content: bytes, at: int) -> tuple[str, int]:
    """A string with its length before it, and where it ends."""
    length = struct.unpack_from("<I", content, at)[0]
    end = at + 4 + 2 * length
    return content[at + 4 : end].decode("utf-16-le"), end
