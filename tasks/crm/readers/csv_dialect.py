"""How a delimited text is written: its delimiter, its quotation marks, and what stands in their place.

Every dialect is brought to one form, that of RFC 4180: quotation marks around a cell, doubled inside it. A line of
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

DELIMITERS = "\t;,|"  # of two that fit equally well the first: a tab is hardly ever part of a text
_SAMPLE = 1 << 16  # characters in which the delimiter is looked for
_SAMPLE_ROWS = 200
_STATED_DELIMITER = re.compile(r'\ufeff*"?sep=([^\w"])"?[\r\n]')  # Excel obeys such a first line and does not show it
_TYPOGRAPHIC = str.maketrans(dict.fromkeys("“”„‟", '"'))
_OPENS_TYPOGRAPHIC = re.compile(r"\ufeff*[“„]")
_BACKSLASH = re.compile(r'\\(["\\])')
_PIECE = 1 << 20
# What is looked for, behind a byte without which it cannot be there: a single byte is found forty times faster.
_LOOKED_FOR = {
    "quotes": (b'"', b'"'),
    "marks": (b"\xef", codecs.BOM_UTF8),
    "end": (b"\x1a", b"\x1a"),
    # what conventions of writers begin with
    "null": (b"\\", b"\\N"),
    "NULL": (b"U", b"NULL"),
    "formula": (b"=", b"="),
    "apostrophe": (b"'", b"'"),
    "entity": (b"&", b"&"),
    "typographic": (b"\xe2", b"\xe2\x80"),
    "guillemets": (b"\xc2", b"\xc2\xab"),
}


@dataclass(frozen=True)
class Traits:
    """What stands anywhere in a text; most texts have none of it, and are read faster for that."""

    quotes: bool  # quotation marks
    marks: bool  # byte order marks behind the first
    end: bool  # Ctrl-Z, as DOS ended a text
    triggers: frozenset[str]  # which conventions of writers may be in use


Rewrite = Callable[[str], str]  # a line of the text -> the line as RFC 4180 has it


@dataclass(frozen=True)
class Dialect:
    """How the cells of a line are told apart."""

    delimiter: str
    quote: str = '"'
    rewrite: Rewrite | None = None
    told: str | None = None  # what was assumed
    doubtful: bool = False  # another one is to be tried, even if this fits
    stated: bool = False  # the first line states the delimiter, and is no row

    def lines(self, path: Path, codec: str, traits: Traits) -> Iterator[str]:
        """The lines with their ends, rewritten."""
        file = path.open(encoding=codec, newline="")
        if self.stated:
            file.readline()
        lines: Iterator[str] = file  # closed when nobody reads it any more: a generator here costs a tenth of the time
        if traits.marks or traits.end:
            lines = _cleaned(lines)
        return map(self.rewrite, lines) if self.rewrite else lines


def _cleaned(lines: Iterator[str]) -> Iterator[str]:
    """Lines without the marks that files had before they were put together, and without Ctrl-Z."""
    for line in lines:
        text = line.lstrip("\ufeff")
        if "\x1a" in text:
            text = text.rstrip("\x1a\r\n")
        if text or not line:
            yield text


def traits_of(path: Path, codec: str) -> Traits:
    """Look through the text once, as UTF-8."""
    found, before = set[str](), b""
    for piece in _utf8(path, codec):
        text = before + piece
        found |= {
            name for name, (rare, mark) in _LOOKED_FOR.items() if name not in found and rare in text and mark in text
        }
        before = piece[-3:]
    traits = {"quotes", "marks", "end"}
    return Traits(**{name: name in found for name in traits}, triggers=frozenset(found - traits))


def _utf8(path: Path, codec: str) -> Iterator[bytes]:
    """The text as UTF-8, without the mark at its beginning."""
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
    """The dialects that the text may be written in, in the order in which they are to be tried.

    The first may always be taken; of the others it has to be proven that all of the text keeps to them.
    """
    with path.open(encoding=codec, newline="") as file:
        sample = file.read(_SAMPLE)
    stated = _STATED_DELIMITER.match(sample)
    if stated:
        sample = sample[stated.end() :]
    sample = sample.lstrip("\ufeff\r\n")

    def dialect(told: str | None = None, rewrite: Rewrite | None = None, quote: str = '"') -> Dialect:
        text = "".join(map(rewrite, sample.splitlines(keepends=True))) if rewrite else sample
        delimiter = stated[1] if stated else delimiter_of(text, quote)
        return Dialect(delimiter, quote, rewrite, told, stated=bool(stated))

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

    A sample in which none of comma, semicolon, tab and bar fits has one column, with a comma as good as any.
    """
    best, best_score = ",", (0.0, 0)
    lines = sample.splitlines(keepends=True)
    for delimiter in DELIMITERS:
        records = islice(csv.reader(lines, delimiter=delimiter, quotechar=quote), _SAMPLE_ROWS)
        counts = Counter(len(record) for record in records if any(record))
        several = [(number, cells) for cells, number in counts.items() if cells > 1]
        if not several:
            continue
        number, cells = max(several)
        score = (round(number / counts.total(), 2), cells)
        if score > best_score:
            best, best_score = delimiter, score
    return best
