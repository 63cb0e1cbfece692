"""The text of a page, from its bytes: as browsers read them, but a false declaration is found out.

What is guessed is reported. A character that cannot be read becomes U+FFFD, and a mission that contains one is
unreadable: it is never stored.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass

import chardet
from chardet import EncodingEra

_DECLARED = re.compile(
    rb"""<(?:meta\b[^>]{0,300}?\bcharset|\?xml\b[^>]{0,100}?\bencoding)\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE
)
_IN_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_DECLARED_WITHIN = 4096  # bytes; browsers look at 1024
_BOMS = [(codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")]
_WIDER = {  # what pages contain when they name the narrower charset, as browsers take it (WHATWG Encoding)
    "shift_jis": "cp932",
    "euc_jp": "euc-jp-ms",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
}
_SINGLE_BYTES = ("cp125", "iso8859", "koi8", "mac", "cp874", "cp866")  # they decode almost anything
_GUESSED = {  # charsets of pages that name none; the others are older than the web, or nobody's
    *("cp932", "euc-jp-ms", "cp949", "gb18030", "big5hkscs", "koi8-r", "koi8-u", "cp866", "cp874", "mac-cyrillic"),
    *(f"cp125{number}" for number in range(9)),
    *(f"iso8859-{number}" for number in (2, 5, 6, 7, 8, 15)),
}
_FAULTS = 20  # one broken character in so many beyond ASCII is the page's fault and not the charset's
_MOSTLY = 4  # so many valid sequences of UTF-8 for each invalid byte: it is UTF-8 all the same
_TAGS = re.compile(
    rb"<(?:script|style)\b[^<]*+(?:<(?!/?(?:script|style)\b)[^<]*+)*+</(?:script|style)|<[^<>]{0,2000}>|&[#\w]{1,10};",
    re.IGNORECASE,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
# A word of Cyrillic, Greek, Japanese, … read as Windows-1252; no language of that charset writes four in a row.
_GARBLED = re.compile(r"[\u00a1-\u00ff]{4,}")
_GARBLED_SHARE = 0.2  # of the characters that are not ASCII
# UTF-8 that was read as Windows-1252 and stored so: an accented letter becomes two characters, as does a Cyrillic one.
# Closing quotes and dashes are left out as the second character: they follow capitals of real words.
_SECOND = (
    "\u00a1-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018\u201c\u2022\u02dc"
    "\u2122\u0161\u203a\u0153\u017e\u0178"
)
_TWICE = re.compile(f"[\u00c2\u00c3][{_SECOND}]|\u00e2\u20ac|(?:[\u00d0\u00d1][{_SECOND}]){{2}}")
_FOREIGN = re.compile("[^\x00-\x7f]{2,}")
_EUC_JP = re.compile(rb"[\x00-\x8d\x90-\xa0\xff]+|\x8e[\xa1-\xdf]|\x8f[\xa1-\xfe]{2}|[\xa1-\xfe]{2}|.", re.DOTALL)


@dataclass(frozen=True)
class Decoded:
    """A page's text."""

    text: str
    charset: str
    assumed: str | None = None  # why this charset is a guess, as the end of a sentence; None: it was declared


def decode(body: bytes, content_type: str | None) -> Decoded | None:
    """The text by byte order mark, valid UTF-8, declared charset and at last by its bytes; None: it is no text.

    Valid UTF-8 goes before what is declared: servers declare ISO-8859-1 for everything, and text in another charset
    is practically never valid UTF-8. So does text that is UTF-8 but for a few bytes.
    """
    declared = _declared(body, content_type)
    if mark := next((charset for start, charset in _BOMS if body.startswith(start)), None):
        return Decoded(_replacing(body, mark), mark)
    if wide := _without_mark(body):
        return Decoded(_replacing(body, wide), wide, f"read as {wide}, guessed from its bytes")
    if body.isascii():  # ISO-2022-JP is ASCII to look at
        charset = next((each for each in declared if each.startswith("iso2022")), "ascii")
        return Decoded(_replacing(body, charset), charset)
    if (text := _strict(body, "utf-8")) is not None:
        repaired = decode_again(text)
        assumed = "read as UTF-8 twice where it is encoded twice" if repaired != text else None
        return Decoded(repaired, "utf-8", assumed)
    if _is_mostly_utf8(body):
        return Decoded(_replacing(body, "utf-8"), "utf-8", "read as UTF-8, though some of its bytes are not")
    return _as_declared(body, declared) or _guessed(body)


def _without_mark(body: bytes) -> str | None:
    """UTF-16 without a byte order mark: every second byte of "<html" is zero."""
    start = body.lstrip()[:8]
    return {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}.get(start[:2]) if start.count(0) == len(start) // 2 > 1 else None


def _as_declared(body: bytes, declared: list[str]) -> Decoded | None:
    """The text in a charset that was declared, if it can be that.

    A charset of single bytes decodes anything; of two declared ones the other is the one that can be wrong.
    """
    for charset in sorted(declared, key=lambda each: each.startswith(_SINGLE_BYTES)):
        text = _strict(body, charset)
        if text is not None and not _is_garbled(text, charset):
            return Decoded(text, charset)
    for charset in declared:
        if charset == "utf-8":
            continue
        text = _replacing(body, charset)
        if _has_few_faults(text) and not _is_garbled(text, charset):
            return Decoded(text, charset, f"read as {charset}, though some of its bytes are not")
    return None


def decode_again(text: str) -> str:
    """The text, each part of it decoded again that is UTF-8 read as Windows-1252: it was encoded twice."""
    return _FOREIGN.sub(_decode_part, text) if _TWICE.search(text) else text


def _decode_part(part: re.Match[str]) -> str:
    encoded = [_byte(each) for each in part[0]] if _TWICE.search(part[0]) else [None]
    read = None if None in encoded else _strict(b"".join(filter(None, encoded)), "utf-8")
    return part[0] if read is None else read


def _byte(character: str) -> bytes | None:
    """The byte of a character in Windows-1252 as browsers read it: its gaps are control characters."""
    try:
        return character.encode("cp1252")
    except UnicodeError:
        return bytes([ord(character)]) if ord(character) <= 0xFF else None  # noqa: PLR2004


def find_garbled(text: str) -> str | None:
    """What in a decoded text is no text: U+FFFD, or characters that were decoded twice; None: nothing."""
    if "\ufffd" in text:
        return "a character that could not be decoded"
    twice = _TWICE.search(text)
    return f"{twice[0]!r}, a character that was decoded twice" if twice else None


def _declared(body: bytes, content_type: str | None) -> list[str]:
    """The charsets that header and meta element declare, as Python names them."""
    header = _IN_HEADER.search(content_type or "")
    meta = _DECLARED.search(body[:_DECLARED_WITHIN])
    labels = [header[1] if header else "", meta[1].decode("ascii", "replace") if meta else ""]
    return list(dict.fromkeys(charset for charset in map(_charset, labels) if charset))


def _charset(label: str) -> str | None:
    """Python's name for the charset that a page declares, or None for one that no page can be in."""
    try:
        name = codecs.lookup(label.lower().removeprefix("x-")).name
        "a".encode(name)
    except (LookupError, UnicodeError, TypeError, ValueError):
        return None
    if name.startswith(("utf-16", "utf-32", "utf-7", "idna", "punycode", "unicode", "raw", "mbcs", "oem")):
        return None  # no byte order mark, so it is not UTF-16; the rest are Python's own
    return _WIDER.get(name, name)


def _strict(body: bytes, charset: str) -> str | None:
    """The text, or None if the bytes are not in this charset."""
    try:
        text = _decoder(charset)(body, "strict")
    except UnicodeError:
        return None
    return text.replace("\0", "\ufffd")


def _replacing(body: bytes, charset: str) -> str:
    return _decoder(charset)(body, "replace").replace("\0", "\ufffd")


def _decoder(charset: str) -> Callable[[bytes, str], str]:
    return _euc_jp if charset == "euc-jp-ms" else lambda body, errors: body.decode(charset, errors)


def _euc_jp(body: bytes, errors: str) -> str:
    """EUC-JP with the characters of NEC and IBM (①, ㈱, 髙), which Python's codec does not know.

    They are those of Windows-31J, whose bytes are the same two numbers, row and cell, written in another way.
    """
    return "".join(_euc_jp_part(part, errors) for part in _EUC_JP.findall(body))


def _euc_jp_part(part: bytes, errors: str) -> str:
    if part[0] < 0x8E or part[0] in range(0x90, 0xA1) or part[0] == 0xFF:  # noqa: PLR2004 - see _EUC_JP
        return part.decode("ascii", errors)
    if len(part) == 2 and part[0] != 0x8E:  # noqa: PLR2004 - row and cell of JIS X 0208
        row, cell = part[0] - 0xA0, part[1] - 0xA0
        lead = (row + 1) // 2 + (0x80 if row <= 62 else 0xC0)  # noqa: PLR2004 - Shift JIS leaves out A0 to DF
        trail = cell + (0x9E if row % 2 == 0 else 0x3F if cell <= 63 else 0x40)  # noqa: PLR2004 - and 7F
        return bytes([lead, trail]).decode("cp932", errors)
    return part.decode("euc_jp", errors)


def _is_mostly_utf8(body: bytes) -> bool:
    text = body.decode("utf-8", "replace")
    faults = text.count("\ufffd")
    return sum(not each.isascii() for each in text) - faults >= _MOSTLY * faults


def _is_garbled(text: str, charset: str) -> bool:
    """Whether a charset of single bytes was declared falsely: control characters, or words that no language has."""
    if not charset.startswith(_SINGLE_BYTES):
        return False
    if _CONTROLS.search(text):
        return True
    if charset not in {"cp1252", "cp1254", "cp1250", "iso8859-15", "iso8859-2"}:
        return False
    foreign = sum(not each.isascii() for each in text)
    return sum(len(word) for word in _GARBLED.findall(text)) >= _GARBLED_SHARE * foreign


def _has_few_faults(text: str) -> bool:
    return text.count("\ufffd") * _FAULTS <= sum(not each.isascii() for each in text)


def _guessed(body: bytes) -> Decoded | None:
    """What the bytes look like, if the whole body can be read so."""
    text = b" ".join(line for line in _TAGS.sub(b"\n", body).splitlines() if not line.isascii())
    found = chardet.detect_all(text, encoding_era=EncodingEra.ALL)
    for each in found:
        charset = _charset(str(each["encoding"] or ""))
        if charset in _GUESSED and (read := _strict(body, charset)) is not None and not _is_garbled(read, charset):
            return Decoded(read, charset, f"read as {charset}, guessed from its bytes: no charset that it names fits")
    return None
