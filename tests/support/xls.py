"""Workbooks of Excel 4 (.xls): a bare sequence of records."""

import struct
from pathlib import Path

FORMATS = ("General", "00000", r"yyyy\-mm\-dd", "0%", "hh:mm", "[h]:mm")


def record(kind: int, content: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def old_workbook(path: Path, cells: dict[tuple[int, int], object], *, of_1904: bool = False) -> Path:
    """A number is given with its format, an error as the bytes of its code."""
    written = record(0x409, struct.pack("<HHH", 0x400, 0x10, 0)) + record(0x42, struct.pack("<H", 1252))
    written += record(0x22, struct.pack("<H", of_1904)) + record(0x231, struct.pack("<HHHB", 200, 0, 0x7FFF, 1) + b"A")
    for code in FORMATS:
        written += record(0x41E, struct.pack("<HB", 0, len(code)) + code.encode())
    for number in range(len(FORMATS)):
        written += record(0x443, struct.pack("<BBHHBBI", 0, number, 0, 0, 0, 0, 0))
    for (row, column), value in cells.items():
        place = struct.pack("<HH", row, column)
        if isinstance(value, str):
            written += record(0x204, place + struct.pack("<HH", 0, len(value)) + value.encode("cp1252"))
        elif isinstance(value, tuple):
            number, code = value
            written += record(0x203, place + struct.pack("<Hd", FORMATS.index(code), number))
        elif isinstance(value, bytes):
            written += record(0x205, place + b"\0\0" + value + b"\1")
        else:
            written += record(0x205, place + b"\0\0" + bytes([value is True]) + b"\0")
    path.write_bytes(written + record(0x0A))
    return path
