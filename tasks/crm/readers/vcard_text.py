"""The text of a file of vCards (2.1 to 4.0) as cards, and a card as properties whose values are whole.

Lines are unfolded before they are decoded: some writers fold in the midst of a letter. A line is in the encoding that
it states (CHARSET, in 2.1), else in that of the file. Written for this import because vobject 0.9 cuts values at commas
that are not escaped and takes exponential time for lines that are no properties. Sources: vCard 2.1 (versit), RFC 2426
(3.0), RFC 6350 (4.0).
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
_CODECS = {"iso-8859-1": "cp1252"}  # what is said -> what is meant
_FOLDED_BY_WIDTH = 72  # bytes; 3.0 and 4.0 fold at 75, wherever that is
_CHARACTER = re.compile(r"\\?.", re.DOTALL)
_ESCAPE = re.compile(r"\\([\\;,:nN])")
_OLD_ESCAPE = re.compile(r"\\([;,:])")  # in 2.1 a backslash is an ordinary character otherwise

CUT = "is a card (vCard) without an end: is the file complete?"
OUTSIDE = "is text between cards"


class Card(NamedTuple):
    """A card as it stands in the file."""

    line: int  # of the file, from 1, in which it begins
    lines: list[bytes]
    fault: str | None  # CUT, OUTSIDE or None

    @property
    def is_old(self) -> bool:
        """Whether it is of version 2.1."""
        return any(map(_OLD.fullmatch, self.lines))


class Property(NamedTuple):
    """A line of a card, its value decoded but with its escapes."""

    name: str  # in small letters
    value: str
    group: str | None  # what stands before the name, "item1", also in small letters
    parameters: dict[str, list[str]]  # by name in capitals; in 2.1 a type needs no name


def cards(content: bytes) -> Iterator[Card]:
    """The cards of a file, and what is none."""
    card, begin, depth, before = list[bytes](), 0, 0, b""
    for number, line in enumerate(content.splitlines(), 1):
        begins = _BEGIN.fullmatch(line if depth else line.lstrip())
        is_nested = depth and begins and (begins[1] or before.lower().startswith(b"agent"))
        if begins and not is_nested and card:
            yield Card(begin, card, CUT if depth else OUTSIDE)
            card, depth = [], 0
        if card or line.strip(b" \t\0\x1a"):
            begin = begin if card else number
            card.append(line)
        if begins or (depth and _END.fullmatch(line)):
            depth += 1 if begins else -1
            if not depth:
                yield Card(begin, card, None)
                card = []
        before = line
    if card:
        yield Card(begin, card, CUT if depth else OUTSIDE)


def properties(card: Card, codec: str) -> list[Property]:
    """The properties of a whole card. Raises ValueError with the number of a line that is no property."""
    found = []
    for number, line in _unfolded(card):
        try:
            found.append(_property(line, codec))
        except ValueError:
            raise ValueError(number) from None
    return found


def letters_of_unknown_encoding(content: bytes) -> bytes:
    """What tells the encoding of the file: no line that states its own and no picture; as many lines as the file."""
    lines = [b""] * (content.count(b"\n") + content.count(b"\r") + 1)
    for card in cards(content):
        for number, line in _unfolded(card):
            if _QUOTED.match(line):
                line = quopri.decodestring(line).replace(b"\r", b" ").replace(b"\n", b" ")  # noqa: PLW2901
            if not _CHARSET.match(line) and not _BASE64.match(line):
                lines[number - 1] = line
    return b"\n".join(lines)


def divided(value: str, separator: str) -> list[str]:
    """The parts of a value, divided where no backslash stands before the separator; still with their escapes."""
    parts = [""]
    for character in _CHARACTER.findall(value):
        if character == separator:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def unescaped(value: str, *, is_old: bool) -> str:
    """The text of a value or a part."""
    text = (_OLD_ESCAPE if is_old else _ESCAPE).sub(lambda found: "\n" if found[1] in "nN" else found[1], value)
    return text.replace("\r\n", "\n").strip()


def _unfolded(card: Card) -> Iterator[tuple[int, bytes]]:
    """The lines of a card without BEGIN and END, each with the number of its first one in the file."""
    parts, begin, depth, is_old = list[bytes](), 0, 0, card.is_old
    for number, line in enumerate(card.lines[1 : None if card.fault else -1], card.line + 1):
        depth += bool(nested := _BEGIN.fullmatch(line))
        more = b"\n" + line if depth and not (nested and nested[1]) else _continuation(parts, line, is_old=is_old)
        depth -= bool(_END.fullmatch(line))
        if more is not None:
            parts.append(more)
            continue
        if parts:
            yield begin, b"".join(parts)
        parts, begin = [line] if line.strip() else [], number
    if parts:
        yield begin, b"".join(parts)


def _continuation(parts: list[bytes], line: bytes, *, is_old: bool) -> bytes | None:
    """What the next line adds to one; None if it is another one."""
    if not parts:
        return None
    if not line.strip():
        return b""
    before = parts[-1]
    if before.endswith(b"=") and _QUOTED.match(parts[0]):
        return b"\n" + line
    if line[:1] in b" \t":
        # 2.1 folds at a blank, which stays; but many write 2.1 and fold as 3.0 does.
        stays = is_old and not before.endswith(b" ") and line[1:2] != b" " and len(before) <= _FOLDED_BY_WIDTH
        return line[0 if stays else 1 :]
    return line if b":" not in line and _BASE64.match(parts[0]) else None


def _property(line: bytes, codec: str) -> Property:
    found = _LINE.fullmatch(line)
    if not found:
        raise ValueError(line)
    group, name, header, value = found.groups()
    if _QUOTED.match(line):
        value = quopri.decodestring(value)
    elif _BASE64.match(line):
        with suppress(ValueError):  # cut, or a picture: it stays as it is
            value = b64decode(value).decode().encode(codec)
    parameters = dict[str, list[str]]()
    for each in _PARAMETER.findall(_decoded(header, None, codec)):
        key, _, words = each.partition("=") if "=" in each else ("TYPE", "=", each)
        said = [word.strip() for word in words.replace('"', "").split(",")]
        parameters.setdefault(key.strip().upper(), []).extend(filter(None, said))
    stated = _CHARSET.match(line)
    text = _decoded(value, stated[1].decode().lower() if stated else None, codec)
    return Property(name.decode().lower(), text, group.decode().lower() if group else None, parameters)


def _decoded(value: bytes, stated: str | None, codec: str) -> str:
    for each in filter(None, (stated and _CODECS.get(stated, stated), codec)):
        with suppress(LookupError, UnicodeError):
            return value.decode(each)
    raise ValueError(value)
