"""Recognises UTF-8 text that was decoded in another encoding before it was written: "MÃ¼ller" for "Müller".

Only sequences of letters that no name and no sentence contains count. A capital with an accent before a quotation mark,
a dash or a sign looks similar and is correct; so do some words in Cyrillic capitals.
"""

import re

GARBLED = (
    "holds letters that were saved in the wrong encoding (“Ã¼” for “ü”): export it again as UTF-8, or type it again"
)


def _upper_half(codec: str) -> str:
    """The characters of the bytes 80 to BF, the second and further bytes of a letter in UTF-8."""
    return re.escape("".join(_character(byte, codec) for byte in range(0x80, 0xC0)))


def _character(byte: int, codec: str) -> str:
    try:
        return bytes([byte]).decode(codec)
    except UnicodeDecodeError:
        return chr(byte)  # as Windows does


_ENDS = "\u00a0’”»‘“«–—…™®"  # characters that can follow a capital at the end of a word
_WEST = _upper_half("cp1252")
_CENTRAL = _upper_half("cp1250")
_SMALL = "[a-zß-ÿ]"
_PATTERNS = {
    "cp1252": re.compile(
        f"[ÂÃÄÅ](?![{_ENDS}])[{_WEST}]"
        f"|(?<={_SMALL})[ÂÃÄÅÈ][{_ENDS}]|[ÂÃÄÅÈ][{_ENDS}](?={_SMALL})|È[š˜›]"
        f"|(?:[\u00c6-\u00df][{_WEST}]){{2,}}"  # alphabets of two bytes a letter
        f"|â(?:€[{_WEST}]|‚¬|„¢)|á[º»][{_WEST}]{_SMALL}|ðŸ[{_WEST}]{{2}}"
        f"|(?:[à-ï][{_WEST}]{{2}}){{2,}}"  # three bytes a letter
    ),
    "cp1250": re.compile(f"(?<=[A-Za-z])[ĂÄĹ][{_CENTRAL}](?=[a-z])|(?<=[a-z])[ĂÄĹ][{_CENTRAL}]|â€[{_CENTRAL}]"),
    "cp1251": re.compile(f"(?:[РС][{_upper_half('cp1251')}]){{2,}}"),
}
# A first and a second byte, in any of them: most texts have none.
_MAY_BE = re.compile(f"[Â-ðĂĹРС][{_WEST}{_CENTRAL}{_upper_half('cp1251')}]")
# What the decoded letters must be: Latin, Greek, Cyrillic, Hebrew, Arabic, East Asian; typographic characters; emoji.
_MEANT = {
    "cp1252": re.compile("[\u00a0-\u024f\u0370-\u06ff\u0e00-\uffef\U0001f000-\U0001faff]+[a-zß-ÿ]?"),
    "cp1250": re.compile("[\u00a0-\u024f\u2010-\u2122]+"),
    "cp1251": re.compile("[А-яЁёІіЇїЄєҐґ]+"),
}


def is_garbled(text: str) -> bool:
    """Whether the text holds letters in the wrong encoding."""
    return not text.isascii() and bool(_MAY_BE.search(text)) and any(garbled_places(text, codec) for codec in _PATTERNS)


def garbled_places(text: str, codec: str) -> int:
    """How many places of the text are UTF-8 that was decoded in this encoding."""
    return sum(_is_meant(found[0], codec) for found in _PATTERNS[codec].finditer(text))


def _is_meant(run: str, codec: str) -> bool:
    try:
        meant = b"".join(_bytes(character, codec) for character in run).decode()
    except UnicodeError:
        return False
    return bool(_MEANT[codec].fullmatch(meant))


def _bytes(character: str, codec: str) -> bytes:
    try:
        return character.encode(codec)
    except UnicodeEncodeError:
        return character.encode("latin-1")  # as `_character` decoded it
