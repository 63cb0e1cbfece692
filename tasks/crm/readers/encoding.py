"""Finds the encoding of a text: the one that the user gave, a byte order mark, UTF-8, or the best candidate.

The whole file is decoded, not only the first lines: a file that is UTF-8 for ninety thousand rows may have another
encoding after them. A text that has lost letters, or mixes encodings, is refused. If several encodings are possible,
the message lists them.
"""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tasks.crm.readers.encoding_guess import (
    SAMPLE,
    Candidate,
    candidates,
    is_plausible,
    knows_headings,
    odd_places,
    words_beyond_ascii,
)
from tasks.crm.readers.languages import FREQUENT
from tasks.crm.readers.refused import UnreadableError
from tasks.crm.rules.garbled import garbled_places


class Encoding(NamedTuple):
    """The encoding of a text."""

    codec: str  # Python's name
    label: str | None = None  # its common name, if the bytes do not prove it


_BOMS = {  # UTF-32 first: its little-endian mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SAVE_AS = 'save it as "CSV UTF-8" and import that'
_GIVE_ENCODING = f"give the right one (encoding={{0}}, on the command line --encoding {{0}}), or {_SAVE_AS}"
_BEGINNING = 1 << 16  # bytes that decide whether the file is binary
_PIECE = 1 << 20
_MAX_TOKENS = 500_000  # different words beyond ASCII that are checked
_SPARSE = 0.6  # of bytes that are 0: UTF-16 of Latin letters has half, UTF-32 three quarters
_NEARLY = 0.9
_BINARY_SHARE = 0.05  # of control characters; random bytes have 0.11, text with a stray NUL far less
_SHIFTED = (b"\x1b$B", b"\x1b$@", b"\x1b(J")  # ISO-2022-JP changes to Japanese and back
# A fast search in the UTF-8 bytes for what rules/garbled.py may recognise.
_MAY_BE_TWICE = re.compile(rb"\xc3[\x82-\xb4](?:\xc2[\x80-\xbf]|[\xc5\xc6\xcb][\x80-\xbf]|\xe2[\x80\x82\x84])")
_MAY_BE_TWICE_CYRILLIC = re.compile(rb"\xd0[\xa0\xa1](?:[\xc2\xd0-\xd2][\x80-\xbf]|\xe2[\x80-\xbf]{2})\xd0[\xa0\xa1]")
_SEPARATED = bytes.maketrans(b';,"\0', b"    ")  # delimiters that are not the second byte of a letter in any encoding
_ENOUGH_LETTERS = 3  # beyond ASCII; fewer may look like UTF-8 by chance
_LOST = "\ufffd".encode()
_MOSTLY = 0.5


def find_encoding(path: Path, given: str | None = None) -> Encoding:
    """The encoding that decodes the whole file; `given` is the one that the user named.

    Raises:
        UnreadableError: the file is binary, has lost letters, has no, several or an uncertain encoding, or cannot be
            decoded in `given`.
    """
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    if given:
        return _checked(path, _given(path, given))
    for mark, codec in _BOMS.items():
        if beginning.startswith(mark):
            doubled = codec == "utf-16" and beginning.count(0) > _SPARSE * len(beginning)  # UTF-32 with a wrong mark
            if doubled or _undecodable(path, codec) is not None:
                raise UnreadableError(
                    f"begins as {codec.removesuffix('-sig').upper()} text but continues differently: {_SAVE_AS}"
                )
            return _checked(path, Encoding(codec))
    nul = beginning.count(0)
    if nul > len(beginning) // 5:
        codec = "utf-16-le" if beginning[1::2].count(0) > nul / 2 else "utf-16-be"
        beside = beginning[codec == "utf-16-le" :: 2].count(0)  # every other byte is where the letters' zeros are
        if beside > nul * _NEARLY and len(beginning) % 2 == 0 and _undecodable(path, codec) is None:
            return _checked(path, Encoding(codec))
    control = sum(beginning.rstrip(b"\0").count(code) for code in range(32) if code not in b"\t\n\v\f\r\x1a\x1b")
    if control > max(_BINARY_SHARE * len(beginning), 8):
        raise UnreadableError("is neither a workbook nor a table of text: export it as .xlsx or .csv and import that")
    if any(mark in beginning for mark in _SHIFTED) and _undecodable(path, "iso2022_jp") is None:
        return Encoding("iso2022_jp", "ISO-2022-JP")
    try:
        return _checked(path, Encoding("utf-8"))
    except UnicodeDecodeError:
        return _guessed(path)


def _given(path: Path, given: str) -> Encoding:
    name = given.strip()
    try:
        codec = codecs.lookup(name)
        "".encode(codec.name)  # LookupError for what is no encoding of text: "hex"
    except (LookupError, ValueError):
        raise UnreadableError(
            f"cannot be read as {name!r}, which is not an encoding: give one that Python knows, such as utf-8 or cp1250"
        ) from None
    if (line := _undecodable(path, codec.name)) is not None:
        raise UnreadableError(
            f"is not text in {name}: line {line:,} cannot be decoded; give another encoding, or leave it out"
        )
    return Encoding(codec.name)


def pieces(path: Path, codec: str, errors: str = "strict") -> Iterator[str]:
    """The text of the file, piece by piece."""
    decoder = codecs.getincrementaldecoder(codec)(errors)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _undecodable(path: Path, codec: str) -> int | None:
    """The line in which decoding fails; None if the whole file can be decoded."""
    line = 1
    try:
        for piece in pieces(path, codec):
            line += piece.count("\n")
    except UnicodeError as error:
        good = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
        return line + good.count(b"\n")
    return None


def _checked(path: Path, encoding: Encoding) -> Encoding:
    """The encoding. Raises UnreadableError if letters were lost, or most of them were decoded in a wrong encoding."""
    lost = twice = cyrillic = beyond = 0
    for piece in pieces(path, encoding.codec):
        if piece.isascii():
            continue
        raw = piece.encode()
        if b"\xef" in raw and _LOST in raw:
            lost += raw.count(_LOST)
        if b"\xc3" in raw and _MAY_BE_TWICE.search(raw):
            twice += garbled_places(piece, "cp1252")
            beyond += len(words_beyond_ascii(piece))
        elif _MAY_BE_TWICE_CYRILLIC.search(raw):
            cyrillic += garbled_places(piece, "cp1251")
    if lost:
        line = _line_of_loss(path, encoding.codec)
        raise UnreadableError(
            f"lost {lost:,} letters before it was written (U+FFFD, the first in line {line:,}): "
            "export it again as UTF-8"
        )
    if cyrillic:
        raise UnreadableError(
            'is UTF-8 text that was decoded as Windows-1251 ("Рџ" instead of "П"): export it again as UTF-8; if '
            "you gave an encoding, leave it out"
        )
    if twice > _MOSTLY * beyond:
        raise UnreadableError(
            'is UTF-8 text that was decoded as Windows-1252 ("Ã¼" instead of "ü"): export it again as UTF-8; if '
            "you gave an encoding, leave it out"
        )
    return encoding


def _line_of_loss(path: Path, codec: str) -> int:
    with path.open(encoding=codec) as file:
        return next(number for number, line in enumerate(file, 1) if "\ufffd" in line)


def _guessed(path: Path) -> Encoding:
    lines, heading = _lines_beyond_ascii(path)
    tokens = _tokens(path)
    found = candidates(lines, heading, [token for token in tokens if not _is_utf8(token)])
    if len(found) > 1:
        raise UnreadableError(_undecided(found, heading))
    broken, whole, first = _broken_characters(path)
    is_other = (
        whole <= broken or found[0].codec in FREQUENT if found else False
    )  # two letters of these encodings may look like UTF-8
    if is_other and not _mixed(tokens, found[0].codec):
        return Encoding(found[0].codec, found[0].label)
    if whole > broken:
        raise UnreadableError(
            f"is UTF-8 text with {broken:,} broken characters, the first in line {first:,}: {_SAVE_AS}"
        )
    if whole:
        raise UnreadableError(
            f"mixes UTF-8 with another encoding, first in line {first:,}: if it was put together from several files, "
            "import each of them separately"
        )
    raise UnreadableError(f"is text in an unknown encoding: {_SAVE_AS}")


def _tokens(path: Path) -> list[bytes]:
    """The different words with bytes beyond ASCII, as bytes."""
    tokens = set[bytes]()
    with path.open("rb") as file:
        while (lines := file.readlines(_PIECE)) and len(tokens) < _MAX_TOKENS:
            found = set(b"".join(lines).translate(_SEPARATED).split())
            tokens.update(token for token in found if not token.isascii())
    return sorted(tokens)


def _lines_beyond_ascii(path: Path) -> tuple[list[bytes], bytes]:
    """Lines with bytes beyond ASCII, up to SAMPLE bytes, and the first line that is not blank."""
    lines, heading, size = list[bytes](), b"", 0
    with path.open("rb") as file:
        while size < SAMPLE and (line := file.readline(_PIECE)):
            heading = heading or line.strip()
            if not line.isascii():
                size += len(line)
                lines.append(line.rstrip(b"\r\n")[:SAMPLE])
    return lines, heading


def _broken_characters(path: Path) -> tuple[int, int, int]:
    """How many characters are not UTF-8, how many beyond ASCII are, and the first line with one that is not."""
    broken = whole = first = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if line.isascii():
                continue
            bad = line.count("\ufffd")
            first = first or (number if bad else 0)
            broken, whole = broken + bad, whole + sum(character > "\x7f" for character in line) - bad
    return broken, whole, first


def _mixed(tokens: list[bytes], codec: str) -> bool:
    """Whether part of the text does not fit this encoding."""
    if codec not in FREQUENT and any(map(_is_utf8, tokens)):
        return True
    try:
        texts = b"\n".join(tokens).decode(codec).split("\n")
    except UnicodeDecodeError:
        return True
    return not is_plausible(odd_places(texts), len(texts))


def _is_utf8(token: bytes) -> bool:
    """Whether the bytes are UTF-8 and not by chance: "Úš" in Windows-1250 has the bytes of an Arabic letter."""
    try:
        beyond = [letter for letter in token.decode() if letter > "\x7f"]
    except UnicodeDecodeError:
        return False
    return len(beyond) >= _ENOUGH_LETTERS or all(letter.isalpha() and letter < "\u0250" for letter in beyond)


def _undecided(found: list[Candidate], heading: bytes) -> str:
    """The message with the candidates and the headings in each of them; never another line, which may have data."""
    names = [candidate.label for candidate in found]
    listed = f"{', '.join(names[:-1])} or {names[-1]}"
    read = {candidate.label: _heading_words(heading, candidate.codec) for candidate in found}
    shown = "; ".join(f"the headings in {label}: {words}" for label, words in read.items() if words)
    clause = f"is text in {listed}; nothing in it shows which one"
    return f"{clause}{f' ({shown})' if shown else ''}: {_GIVE_ENCODING.format(found[0].codec)}"


def _heading_words(heading: bytes, codec: str) -> str:
    text = heading.decode(codec, "replace")
    return ", ".join(repr(word) for word in words_beyond_ascii(text)[:5]) if knows_headings(text) else ""
