"""Detects the dialect of a delimited text: its delimiter, and how cells are quoted.

All dialects are converted to the one of RFC 4180, with quotation marks around a cell and doubled inside it: a line of
another dialect is rewritten before it is parsed.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from tasks.crm.readers.encoding import pieces

DELIMITERS = "\t;,|"  # of two that fit equally well the first: a tab is rarely part of a text
_SAMPLE = 1 << 16  # characters that decide the delimiter
_SAMPLE_ROWS = 200
_STATED_DELIMITER = re.compile(r'\ufeff*"?sep=([^\w"])"?[\r\n]')  # Excel obeys such a first line and does not show it
_TYPOGRAPHIC = str.maketrans(dict.fromkeys("“”„‟", '"'))
_OPENS_TYPOGRAPHIC = re.compile(r"\ufeff*[“„]")
_BACKSLASH = re.compile(r'\\(["\\])')
_PIECE = 1 << 20
# Name -> one byte of a pattern, and the pattern. The byte is searched for first, which is forty times faster.
_LOOKED_FOR = {
    name: (rare, re.compile(pattern))
    for name, rare, pattern in (
        ("quotes", b'"', b'"'),
        ("marks", b"\xef", codecs.BOM_UTF8),
        ("end", b"\x1a", b"\x1a"),
        ("nul", b"\0", b"\0"),
        # patterns of the conventions of csv_conventions.py
        ("null", b"\\", rb"\\N"),
        ("NULL", b"U", b"NULL"),
        ("formula", b"=", b"="),
        ("call", b"(", rb"(?i)[+@-][A-Z][A-Z0-9_.]{0,30}\("),
        ("command", b"|", rb"(?i)[+@-]\s{0,9}cmd\s{0,9}\|"),
        ("apostrophe", b"'", b"'"),
        ("entity", b"&", b"&"),
        ("typographic", b"\xe2", b"\xe2\x80"),
        ("guillemets", b"\xc2", b"\xc2\xab"),
    )
}
_LONGEST = 64  # bytes of a pattern; it may begin in one piece and end in the next


@dataclass(frozen=True)
class Traits:
    """Special characters that occur anywhere in a text. Most texts have none, and are read faster."""

    quotes: bool  # quotation marks
    marks: bool  # byte order marks behind the first
    end: bool  # Ctrl-Z or zeros, as DOS ended a text
    triggers: frozenset[str]  # which conventions of writers may be in use


Rewrite = Callable[[str], str]  # a line of the text -> the line as RFC 4180 has it


@dataclass(frozen=True)
class Dialect:
    """How the cells of a line are delimited and quoted."""

    delimiter: str
    quote: str = '"'
    rewrite: Rewrite | None = None
    assumption: str | None = None  # for the report
    doubtful: bool = False  # other dialects are tried, even if this one fits
    stated: bool = False  # the first line states the delimiter and is not a row

    def lines(self, path: Path, codec: str, traits: Traits) -> Iterator[str]:
        """The lines with their ends, rewritten."""
        file = path.open(encoding=codec, newline="")
        if self.stated:
            file.readline()
        lines: Iterator[str] = file  # not closed here: a generator that closes it would take a tenth of the time
        if traits.marks or traits.end:
            lines = _cleaned(lines)
        return map(self.rewrite, lines) if self.rewrite else lines


def _cleaned(lines: Iterator[str]) -> Iterator[str]:
    """The lines without byte order marks, which concatenated files have, and without the end mark of DOS."""
    for line in lines:
        text = line.lstrip("\ufeff")
        if "\x1a" in text:
            text = text.rstrip("\x1a\r\n")
        if text.strip("\0\r\n") or not line.strip("\r\n"):
            yield text


def traits_of(path: Path, codec: str) -> Traits:
    """The traits of a text, after one pass through it as UTF-8."""
    found, before = set[str](), b""
    for piece in _utf8(path, codec):
        text = before + piece
        missing = [(name, rare, pattern) for name, (rare, pattern) in _LOOKED_FOR.items() if name not in found]
        found |= {name for name, rare, pattern in missing if rare in text and pattern.search(text)}
        before = text[-_LONGEST:]
    return Traits(
        quotes="quotes" in found,
        marks="marks" in found,
        end=bool(found & {"end", "nul"}),
        triggers=frozenset(found - {"quotes", "marks", "end", "nul"}),
    )


def _utf8(path: Path, codec: str) -> Iterator[bytes]:
    """The text as UTF-8, without its byte order mark."""
    if codec in {"utf-8", "utf-8-sig"}:
        with path.open("rb") as file:
            file.seek(beginning_of(codec))
            yield from iter(lambda: file.read(_PIECE), b"")
    else:
        yield from (piece.encode() for piece in pieces(path, codec))


def beginning_of(codec: str) -> int:
    """Where the text begins in a file that is UTF-8."""
    return len(codecs.BOM_UTF8) if codec == "utf-8-sig" else 0


def dialects(path: Path, codec: str, traits: Traits) -> Iterator[Dialect]:
    """The possible dialects, in the order in which they are tried.

    The first can always be used. Another one can be used only if all records are well-formed in it.
    """
    with path.open(encoding=codec, newline="") as file:
        sample = file.read(_SAMPLE)
    stated = _STATED_DELIMITER.match(sample)
    if stated:
        sample = sample[stated.end() :]
    sample = sample.lstrip("\ufeff\r\n")

    def dialect(assumption: str | None = None, rewrite: Rewrite | None = None, quote: str = '"') -> Dialect:
        text = "".join(map(rewrite, sample.splitlines(keepends=True))) if rewrite else sample
        delimiter = stated[1] if stated else delimiter_of(text, quote)
        return Dialect(delimiter, quote, rewrite, assumption, stated=bool(stated))

    if not traits.quotes and _OPENS_TYPOGRAPHIC.match(sample):
        yield dialect("typographic quotation marks taken for the quotation marks of cells", _from_typographic)
        return
    plain = dialect()
    in_single_quotes = sample.startswith("'")
    yield replace(plain, doubtful=in_single_quotes)
    if in_single_quotes:
        yield dialect("single quotation marks taken for the quotation marks of cells", quote="'")
    if traits.quotes:
        yield dialect("blanks around quotation marks left out", _from_blanks(DELIMITERS))
        yield dialect('\\" taken for a quotation mark inside a cell', _from_backslash)


def _from_typographic(line: str) -> str:
    return line.translate(_TYPOGRAPHIC)


def _from_backslash(line: str) -> str:
    return _BACKSLASH.sub(lambda found: '""' if found[1] == '"' else "\\", line) if "\\" in line else line


def _from_blanks(delimiters: str) -> Rewrite:
    kind = f"[{re.escape(delimiters)}]"
    before = re.compile(rf'(\A|{kind}) +"(?!")')
    after = re.compile(rf'" +({kind}|[\r\n]|\Z)')

    def rewritten(line: str) -> str:
        return after.sub(r'"\1', before.sub(r'\1"', line)) if '"' in line else line

    return rewritten


def delimiter_of(sample: str, quote: str = '"') -> str:
    """The delimiter with which most records have the same number of cells.

    If none fits, the text has one column, and the delimiter is a comma.
    """
    scores = dict[str, tuple[float, int]]()
    lines = sample.splitlines(keepends=True)
    for delimiter in DELIMITERS:
        records = islice(csv.reader(lines, delimiter=delimiter, quotechar=quote), _SAMPLE_ROWS)
        counts = Counter(len(record) for record in records if any(record))
        if several := [(number, cells) for cells, number in counts.items() if cells > 1]:
            number, cells = max(several)
            scores[delimiter] = (round(number / counts.total(), 2), cells)
    return max(scores, key=lambda each: scores[each], default=",")
