"""Rules for texts: names, lines and notes. Each returns the value of a cell, or raises ValueError with the reason."""

import re
import unicodedata

from tasks.crm.rules.excel_errors import is_error
from tasks.crm.rules.garbled import GARBLED, is_garbled

LINE_LENGTH = 1_000  # characters of a name, an address line, tags: a longer text is in the wrong column
NOTE_LENGTH = 1_000_000  # characters of notes
# Format characters (Unicode category Cf) that are copied with text from a page or a message. The joiners U+200C and
# U+200D are not among them: they make other letters in some scripts.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_CONTROL = re.compile("[\x01-\x1f\x7f-\x9f]")  # whitespace among them was collapsed before
_LOST_LETTER = re.compile(
    r"[^\W\d_]\?[^\W\d_]|^[? ]*\?\?[? ]*$"
)  # a letter that an encoding did not have: J?rgen, ????
_ADDRESS_BESIDE = re.compile("<[^<>]*@")
# How dates, times and numbers of a workbook are written when they are read as text.
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?")


def clean_line(text: str | None) -> str | None:
    """One line: whitespace collapsed and trimmed, invisible characters removed. None for a blank cell."""
    if text is None:
        return None
    if not text.isascii():
        _check_letters(text)
        text = _INVISIBLE.sub("", text)
    return _checked(" ".join(text.split()), LINE_LENGTH)


def clean_name(text: str | None) -> str | None:
    """One line that names a person, an organisation or a place, without commas at its ends."""
    name = _named(text)
    return name and (name.strip(" ,") or None)


def clean_full_name(text: str | None) -> str | None:
    """The name of one person or organisation, with all of its parts."""
    name = _named(text)
    if name is not None and ";" in name:
        raise ValueError("holds several names: write one row for each")
    return name


def clean_note(text: str | None) -> str | None:
    """Text of many lines, as written but for the whitespace at its ends and the kind of line break."""
    if text is None:
        return None
    _check_letters(text)
    return _checked(text.replace("\r\n", "\n").replace("\r", "\n").strip(), NOTE_LENGTH)


def fold(text: str | None) -> str | None:
    """The text for comparisons that ignore case. The Turkish capital and dotless i are an i."""
    if text is None:
        return None
    folded = unicodedata.normalize("NFC", text.casefold())
    return folded if folded.isascii() else folded.replace("i\u0307", "i").replace("\u0131", "i")


def _named(text: str | None) -> str | None:
    line = clean_line(text)
    if line is None:
        return None
    if ISO_DATE.fullmatch(line):  # another value that Excel changed
        raise ValueError("is a date: format the cell as text and type it again")
    if "?" in line and _LOST_LETTER.search(line) and "://" not in line:
        raise ValueError("has a question mark in place of a letter: export the file again as UTF-8, or type it again")
    if "<" in line and _ADDRESS_BESIDE.search(line):
        raise ValueError("holds an e-mail address beside the name: write it in a column of its own")
    return line


def _check_letters(text: str) -> None:
    """Raise ValueError for text in the wrong encoding. Call it first: a blank may be a byte of a letter there."""
    if is_garbled(text):
        raise ValueError(GARBLED)


def _checked(text: str, longest: int) -> str | None:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if "\0" in text:
        raise ValueError("holds a NUL character: type it again")
    if longest == LINE_LENGTH and _CONTROL.search(text):
        raise ValueError("holds a control character: type it again")
    if len(text) > longest:
        raise ValueError(f"has {len(text):,} characters, at most {longest:,} fit: check that it is in the right column")
    if is_error(text):
        raise ValueError(f"shows {text}")
    return text or None
