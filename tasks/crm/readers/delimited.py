"""Rows of a .csv, .tsv or other delimited text, whoever wrote it: encoding and delimiter are found, no cell is lost.

Nothing is guessed about bytes: the whole file is decoded before its first row is used, because a file that is UTF-8
for ninety thousand rows and something else after them is no UTF-8. The csv module reads record by record, so memory
does not grow with the file. It is not pandas, which wants to know the longest row beforehand (pandas 3.1
refuses a longer row, and where reading begins drops its surplus cells with a mere warning), gives every row as many
cells as that one, and takes twice as long after a second of import.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO


class DelimitedError(ValueError):
    """What is wrong with the text and what to do, as the rest of a sentence that begins with the file's name."""


_BOMS = {  # UTF-32 first: its little-endian mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SAVE_AS = 'save it as "CSV UTF-8" and import that'
_DELIMITERS = "\t;,|"  # of two that fit equally well the first: a tab is hardly ever part of a text
_SAMPLE = 1 << 16  # bytes looked at to tell binary from text, characters to find the delimiter
_SAMPLE_ROWS = 200
_LONGEST_CELL = 16 << 20  # characters; Excel's is 32,767, so a longer one is a quotation mark that never closes
_NEVER_CLOSES = "has a quotation mark in row {:,} that never closes: correct it and import again"
_STATED_DELIMITER = re.compile(r'"?sep=([^\w"])"?[\r\n]')  # Excel obeys such a first line and does not show it
_SPARSE = 0.6  # of bytes that are 0: UTF-16 of Latin letters has half, UTF-32 three quarters
_BINARY_SHARE = 0.05  # of control characters; random bytes have 0.11, text with a stray NUL far less


def encoding_of(path: Path) -> str:
    """The encoding that decodes all of the file: by its byte order mark, else UTF-8, UTF-16 without mark, cp1252.

    Raises DelimitedError for binary files and for text of no or several encodings.
    """
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
    for mark, encoding in _BOMS.items():
        if sample.startswith(mark):
            doubled = encoding == "utf-16" and sample.count(0) > _SPARSE * len(sample)  # UTF-32 with a wrong mark
            if not doubled and _decodes(path, encoding):
                return encoding
            raise DelimitedError(f"begins as {encoding[:6].upper()} text but does not go on so: {_SAVE_AS}")
    nul = sample.count(0)
    if nul > len(sample) // 5:
        encoding = "utf-16-le" if sample[1::2].count(0) > nul * 0.9 else "utf-16-be"
        if len(sample) % 2 == 0 and _decodes(path, encoding):
            return encoding
    control = sum(sample.count(code) for code in range(32) if code not in b"\t\n\v\f\r\x1a\x1b")
    if control > max(_BINARY_SHARE * len(sample), 8):
        raise DelimitedError("is neither a workbook nor a table of text: export it as .xlsx or .csv and import that")
    if _decodes(path, "utf-8"):
        return "utf-8"
    broken, whole = _broken_characters(path)
    if whole > broken:
        raise DelimitedError(f"is UTF-8 text with {broken:,} broken characters: {_SAVE_AS}")
    if _decodes(path, "cp1252"):
        return "cp1252"
    raise DelimitedError(f"is neither UTF-8 nor Windows-1252 text: {_SAVE_AS}")


def _pieces(path: Path, encoding: str, errors: str = "strict") -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _decodes(path: Path, encoding: str) -> bool:
    try:
        for _ in _pieces(path, encoding):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _broken_characters(path: Path) -> tuple[int, int]:
    """How many characters are not UTF-8, and how many beyond ASCII are."""
    broken = whole = 0
    for piece in _pieces(path, "utf-8", "replace"):
        bad = piece.count("\ufffd")
        broken, whole = broken + bad, whole + sum(not character.isascii() for character in piece) - bad
    return broken, whole


def delimiter_of(sample: str) -> str:
    """The delimiter with which most records have the same number of cells.

    A sample in which none of comma, semicolon, tab and bar fits has one column, with a comma as good as any.
    """
    best, best_score = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        records = islice(csv.reader(sample.splitlines(keepends=True), delimiter=delimiter), _SAMPLE_ROWS)
        counts = Counter(len(record) for record in records if any(record))
        several = [(number, cells) for cells, number in counts.items() if cells > 1]
        if not several:
            continue
        number, cells = max(several)
        score = (round(number / counts.total(), 2), cells)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def read_rows(path: Path, encoding: str) -> Iterator[tuple[int, list[str | None]]]:
    """Row numbers as Excel shows them (a quoted line break is part of its row) and cells; blank rows are left out.

    Raises DelimitedError, also half-way, for a quotation mark that never closes.
    """
    with path.open(encoding=encoding, newline="") as file:
        sample = file.read(_SAMPLE)
    stated = _STATED_DELIMITER.match(sample)
    delimiter = stated[1] if stated else delimiter_of(sample)
    csv.field_size_limit(_LONGEST_CELL)
    number = 0
    with path.open(encoding=encoding, newline="") as file:
        if stated:
            file.readline()
        lines = _Lines(file)
        try:
            for record in csv.reader(lines, delimiter=delimiter):
                number += 1
                if lines.ended:  # the reader asked for one more line to close a cell
                    raise DelimitedError(_NEVER_CLOSES.format(number))
                if any(record):
                    yield number, [cell or None for cell in record]
        except csv.Error as error:
            raise DelimitedError(_NEVER_CLOSES.format(number + 1)) from error


class _Lines:
    """Lines of a file, and whether one more was asked for than there are: only that tells an open quotation mark."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.ended = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        self.ended = not line
        if self.ended:
            raise StopIteration
        return line
