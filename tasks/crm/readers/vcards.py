"""Reads vCards of people and organisations (.vcf, versions 2.1 to 4.0) as a table with known headings.

Each card is parsed separately: a broken one is a row with a fault and the text of the card. The first card is row 2,
below the headings.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import NamedTuple

from tasks.crm.readers.arrow_columns import number_column, text_column
from tasks.crm.readers.cell import Merge, SheetInfo
from tasks.crm.readers.encoding import Encoding, find_encoding
from tasks.crm.readers.refused import UnreadableError
from tasks.crm.readers.table import ROWS_IN_BLOCK, Block, Fault
from tasks.crm.readers.vcard_fields import LEFT_OUT, other_kind, values_of
from tasks.crm.readers.vcard_text import Card, cards, letters_of_unknown_encoding, properties

_FIRST = ("First Name", "Last Name", "Company", "Job Title", "Email", "Phone")
_MAX_COLUMNS = 16_384  # of a sheet of Excel
_TEXT = "Card"  # the heading of the text of a card that is rejected
_WIDE = (
    codecs.BOM_UTF16_LE,
    codecs.BOM_UTF16_BE,
    codecs.BOM_UTF32_BE,
)  # UTF-32 in little-endian order begins like UTF-16
# The advice in messages about encodings, for tables and for cards.
_OF_TABLES, _OF_CARDS = 'save it as "CSV UTF-8" and import that', "export the cards again as UTF-8"


class _Row(NamedTuple):
    """A card as a row."""

    line: int  # of the file, in which the card begins
    values: dict[str, str]
    fault: str | None = None
    pictures: int = 0  # and other properties that are left out


class VCards:
    """A file of cards. It has one sheet."""

    merged: tuple[Merge, ...] = ()
    hidden_rows = 0
    hidden_columns: frozenset[int] = frozenset()

    def __init__(self, path: Path, name: str, encoding: str | None = None) -> None:
        """Read all cards. Raises UnreadableError: the encoding is unknown, or no card can be read."""
        content, found = _decodable(path, encoding)
        self.encoding = found.label
        self.sheets = [SheetInfo(PurePosixPath(name).stem, visible=True)]
        self._rows = [_row(card, found.codec) for card in cards(content)]
        if all(row.fault for row in self._rows):
            first = self._rows[0]
            raise UnreadableError(f"holds no card that can be read: the first, in line {first.line:,}, {first.fault}")
        named = dict.fromkeys(heading for row in self._rows for heading in row.values)
        self._headings = [heading for heading in dict.fromkeys(_FIRST) | named if heading in named]
        if len(self._headings) > _MAX_COLUMNS:
            raise UnreadableError(
                f"has {len(self._headings):,} kinds of properties, more than a sheet can have columns: split the file"
            )
        pictures = sum(row.pictures for row in self._rows)
        self.assumptions = [f"read as {self.encoding}"] if self.encoding else []
        self.assumptions += [f"pictures, sounds and keys left out: {pictures:,}"] * bool(pictures)

    def line_of(self, row: int) -> int:
        """The line of the file in which the card of a row begins."""
        return self._rows[row - 2].line

    def blocks(self, sheet: str) -> Iterator[Block]:  # noqa: ARG002 - there is one sheet
        """Blocks of the headings and the cards."""
        yield Block(number_column([1]), [text_column([heading]) for heading in self._headings])
        for first in range(0, len(self._rows), ROWS_IN_BLOCK):
            rows = self._rows[first : first + ROWS_IN_BLOCK]
            columns = [text_column([row.values.get(heading) for row in rows]) for heading in self._headings]
            faults = [Fault(at, None, row.fault) for at, row in enumerate(rows) if row.fault]
            yield Block(number_column(range(first + 2, first + 2 + len(rows))), columns, faults)


def _decodable(path: Path, given: str | None) -> tuple[bytes, Encoding]:
    """The bytes of the file, each line in its own encoding or that of the file, and the encoding of the file."""
    content = path.read_bytes()
    try:
        if content.startswith(_WIDE):
            found = find_encoding(path, given)
            return content.decode(found.codec).encode(), found._replace(codec="utf-8")
        content = content.removeprefix(codecs.BOM_UTF8)
        with NamedTemporaryFile(dir=path.parent) as letters:
            letters.write(letters_of_unknown_encoding(content))
            letters.flush()
            return content, find_encoding(Path(letters.name), given)
    except UnreadableError as error:
        raise UnreadableError(str(error).replace(_OF_TABLES, _OF_CARDS)) from error


def _row(card: Card, codec: str) -> _Row:
    fault = card.fault
    if not fault:
        try:
            found = properties(card, codec)
        except ValueError as error:
            fault = f"is a card (vCard) that cannot be read: line {error} of the file is not a property"
        else:
            kind, values = other_kind(found), values_of(found, is_old=card.is_old)
            if kind or not values:
                fault = f"is a card (vCard) {f'of a {kind}, not of a contact' if kind else 'without content'}"
    if fault:
        text = b"\n".join(card.lines).decode(codec, "replace").replace("\0", "\N{SYMBOL FOR NULL}")
        return _Row(card.line, {_TEXT: text}, fault)
    return _Row(card.line, values, pictures=sum(each.name in LEFT_OUT for each in found))
