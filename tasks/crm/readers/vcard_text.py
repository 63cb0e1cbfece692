"""Parses a file of vCards (2.1 to 4.0) into cards, and a card into properties.

Lines are unfolded before they are decoded, because some programs fold inside a letter. A line has the encoding that it
states (CHARSET, in 2.1), else the one of the file. vobject 0.9 is not used because it cuts values at commas that are
not escaped, and takes exponential time for lines that are not properties. Sources: vCard 2.1 (versit), RFC 2426 (3.0),
RFC 6350 (4.0).
"""

import quopri
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

_BEGIN = re.compile(rb"(agent\b[^:]*:)?[ \t]*begin[ \t]*:[ \t]*vcard\s*", re.IGNORECASE)
_END = re.compile(rb"end[ \t]*:[ \t]*vcard\s*", re.IGNORECASE)
_OLD = re.compile(rb"version[^:]*:[ \t]*2\.1\s*", re.IGNORECASE)
_QUOTED = re.compile(rb"[^:]*;\s*(?:encoding\s*=\s*)?quoted-printable\s*[;:]", re.IGNORECASE)
_BASE64 = re.compile(rb"[^:]*;\s*(?:encoding\s*=\s*)?(?:b|base64)\s*[;:]", re.IGNORECASE)
_CHARSET = re.compile(rb"[^:]*;\s*charset\s*=\s*\"?([\w.-]+)", re.IGNORECASE)
_LINE = re.compile(rb'(?:([\w-]+)\.)?([\w-]+)((?:;(?:[^":]|"[^"]*")*)?):(.*)', re.DOTALL)
_PARAMETER = re.compile(r'(?:[^";]|"[^"]*")+')
_CODECS: dict[str | None, str] = {"iso-8859-1": "cp1252"}  # stated -> meant
_FOLDED_BY_WIDTH = 72  # bytes; 3.0 and 4.0 fold at 75, also inside a word
_MAX_HEADER_LENGTH = 1 << 12  # bytes before the colon that are looked at again for each line of a folded value
_CHARACTER = re.compile(r"\\?.", re.DOTALL)
_ESCAPE = re.compile(r"\\([\\;,:nN])")
_OLD_ESCAPE = re.compile(r"\\([;,:])")  # in 2.1 a backslash is an ordinary character otherwise

CUT = "is a card (vCard) without an end: check that the file is complete"
OUTSIDE = "is text between cards"


class Card(NamedTuple):
    """A card in the file, or text between cards."""

    line: int  # of the file, from 1, in which it begins
    lines: list[bytes]
    fault: str | None  # CUT, OUTSIDE or None

    @property
    def is_old(self) -> bool:
        """Whether it is of version 2.1."""
        return any(map(_OLD.fullmatch, self.lines))


class Property(NamedTuple):
    """A property of a card. Its value is decoded, but still has its escapes."""

    name: str  # in lower case
    value: str
    group: str | None  # the prefix of the name, "item1", also in lower case
    parameters: dict[str, list[str]]  # by name in upper case; in 2.1 a type needs no name


def cards(content: bytes) -> Iterator[Card]:
    """The cards of a file, and the texts between them."""
    card, depth, before = list[bytes](), 0, b""
    for number, line in enumerate(content.splitlines(), 1):
        begins = _BEGIN.fullmatch(line if depth else line.lstrip())
        is_nested = depth and begins and (begins[1] or before.lower().startswith(b"agent"))
        if begins and not is_nested and card:
            yield Card(number - len(card), card, CUT if depth else OUTSIDE)
            card, depth = [], 0
        if card or line.strip(b" \t\0\x1a"):
            card.append(line)
        if begins or (depth and _END.fullmatch(line)):
            depth += 1 if begins else -1
            if not depth:
                yield Card(number - len(card) + 1, card, None)
                card = []
        before = line
    if card:
        yield Card(number - len(card) + 1, card, CUT if depth else OUTSIDE)


def properties(card: Card, codec: str) -> list[Property]:
    """The properties of a complete card. Raises ValueError with the number of a line that is not a property."""
    found = []
    for number, line in _unfolded(card):
        try:
            found.append(_property(line, codec))
        except ValueError:
            raise ValueError(number) from None
    return found


def letters_of_unknown_encoding(content: bytes) -> bytes:
    """The lines whose encoding is not stated, for detecting it; the others, and pictures, are blank lines."""
    lines = [b""] * len(content.splitlines())
    for card in cards(content):
        for number, line in _unfolded(card):
            plain = line
            if _QUOTED.match(line):
                plain = quopri.decodestring(line).replace(b"\r", b" ").replace(b"\n", b" ")
            if not _CHARSET.match(plain) and not _BASE64.match(plain):
                lines[number - 1] = plain
    return b"\n".join(lines)


def divided(value: str, separator: str) -> list[str]:
    """The parts of a value between separators that are not escaped. The parts still have their escapes."""
    parts, begin = list[str](), 0
    for found in _CHARACTER.finditer(value):
        if found[0] == separator:
            parts.append(value[begin : found.start()])
            begin = found.end()
    return [*parts, value[begin:]]


def unescaped(value: str, *, is_old: bool) -> str:
    """The text of a value or a part."""
    text = (_OLD_ESCAPE if is_old else _ESCAPE).sub(lambda found: "\n" if found[1] in "nN" else found[1], value)
    return text.replace("\r\n", "\n").strip()


def _unfolded(card: Card) -> list[tuple[int, bytes]]:
    """The lines of a card without BEGIN and END, each with the number of its first one in the file."""
    lines, depth, is_old = list[tuple[int, list[bytes]]](), 0, card.is_old
    for number, line in enumerate(card.lines[1 : None if card.fault else -1], card.line + 1):
        parts = lines[-1][1] if lines else []
        depth += bool(nested := _BEGIN.fullmatch(line))
        more = b"\n" + line if depth and not (nested and nested[1]) else _continuation(parts, line, is_old=is_old)
        depth -= bool(_END.fullmatch(line))
        if parts and more is not None:
            parts.append(more)
        elif line.strip():
            lines.append((number, [line]))
    return [(number, b"".join(parts)) for number, parts in lines]


def _continuation(parts: list[bytes], line: bytes, *, is_old: bool) -> bytes | None:
    """The text that the next line adds to a folded line; None if it is not a continuation."""
    if not parts:
        return None
    if not line.strip():
        return b""
    before = parts[-1]
    if before.endswith(b"=") and _QUOTED.match(parts[0][:_MAX_HEADER_LENGTH]):
        return b"\n" + line
    if line[:1] in b" \t":
        # 2.1 folds at a blank, which is part of the text; but many programs write 2.1 and fold as in 3.0.
        stays = is_old and not before.endswith(b" ") and not line.startswith(b"  ") and len(before) <= _FOLDED_BY_WIDTH
        return line[0 if stays else 1 :]
    return line if b":" not in line and _BASE64.match(parts[0][:_MAX_HEADER_LENGTH]) else None


def _property(line: bytes, codec: str) -> Property:
    found = _LINE.fullmatch(line)
    if not found:
        raise ValueError(line)
    group, name, header, value = found.groups()
    if _QUOTED.match(line):
        value = quopri.decodestring(value)
    elif _BASE64.match(line):
        with suppress(ValueError):  # incomplete, or a picture: not decoded
            value = b64decode(value).decode().encode(codec)
    parameters = dict[str, list[str]]()
    for each in _PARAMETER.findall(_decoded(header, None, codec)):
        key, _, words = each.partition("=") if "=" in each else ("TYPE", "=", each)
        parts = [word.strip() for word in words.replace('"', "").split(",")]
        parameters.setdefault(key.strip().upper(), []).extend(filter(None, parts))
    stated = _CHARSET.match(line)
    text = _decoded(value, stated[1].decode().lower() if stated else None, codec)
    return Property(name.decode().lower(), text, group.decode().lower() if group else None, parameters)


def _decoded(value: bytes, stated: str | None, codec: str) -> str:
    for each in filter(None, (_CODECS.get(stated, stated), codec)):
        with suppress(LookupError, UnicodeError):
            return value.decode(each)
    raise ValueError(value)
