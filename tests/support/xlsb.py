"""Binary workbooks (.xlsb), written record by record as [MS-XLSB] specifies them: no library writes any."""

import struct
import zipfile
from pathlib import Path

from support.xlsx import OFFICE, PACKAGE

FORMATS = ("General", "00000", "yyyy-mm-dd", "0%")
ROW, BLANK, SMALL_NUMBER, ERROR, BOOLEAN, NUMBER, TEXT, FORMULA_NUMBER, FORMULA_ERROR = 0, 1, 2, 3, 4, 5, 6, 9, 11


def record(kind: int, content: bytes = b"") -> bytes:
    length, groups = len(content), b""
    while length >= 0x80:
        groups, length = groups + bytes([length & 0x7F | 0x80]), length >> 7
    head = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    return head + groups + bytes([length]) + content


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode("utf-16-le")


def row(number: int) -> bytes:
    return record(ROW, struct.pack("<IIHBBBI", number - 1, 0, 0, 0, 0, 0, 0))


def cell(kind: int, column: int, value: bytes = b"", style: int = 0) -> bytes:
    return record(kind, struct.pack("<II", column, style) + value)


def formula(kind: int, column: int, value: bytes, style: int = 0) -> bytes:
    return cell(kind, column, value + struct.pack("<HII", 0, 0, 0), style)


def number(value: float) -> bytes:
    return struct.pack("<d", value)


def binary_workbook(path: Path, cells: bytes, *, of_1904: bool = False) -> Path:
    relations = (
        f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="s" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.bin"/>'
        f'<Relationship Id="t" Type="{OFFICE}/styles" Target="styles.bin"/></Relationships>'
    )
    own = list(enumerate(FORMATS[1:], 164))
    styles = (
        record(278)
        + record(615, struct.pack("<I", len(own)))
        + b"".join(record(44, struct.pack("<H", number) + text(code)) for number, code in own)
        + record(616)
        + record(617, struct.pack("<I", len(FORMATS)))
        + b"".join(
            record(47, struct.pack("<HHHHHBBHH", 0, number, 0, 0, 0, 0, 0, 0, 0))
            for number in (0, *(number for number, _ in own))
        )
        + record(618)
        + record(279)
    )
    workbook = (
        record(131)
        + record(153, struct.pack("<II", int(of_1904), 0) + text(""))
        + record(143)
        + record(156, struct.pack("<II", 0, 1) + text("s") + text("S"))
        + record(144)
        + record(132)
    )
    sheet = (
        record(129) + record(148, struct.pack("<IIII", 0, 99, 0, 9)) + record(145) + cells + record(146) + record(130)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types"/>')
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships">'
            f'<Relationship Id="a" Type="{OFFICE}/officeDocument" Target="xl/workbook.bin"/></Relationships>',
        )
        archive.writestr("xl/workbook.bin", workbook)
        archive.writestr("xl/_rels/workbook.bin.rels", relations)
        archive.writestr("xl/styles.bin", styles)
        archive.writestr("xl/worksheets/sheet1.bin", sheet)
    return path
