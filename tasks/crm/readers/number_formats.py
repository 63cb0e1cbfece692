r"""Number formats that change the text of a number: "00000" makes 01067 of 1067, "0%" makes 25% of 0.25.

Only these formats are applied: those with nothing but zeros, # and literal text that begin with a zero ("00000",
"00000\-0000", '"D-"00000', '0#" "##" "##') or with literal text that adds a plus or digits ('"+"0', '"00"#', '"(0)"0',
'"+"General'); and percentages. Formats for decimals, thousands and currencies are ignored: the number is more exact.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple

# The formats that every workbook has, as far as they matter here. All date formats count as one.
BUILT_IN = {9: "0%", 10: "0.00%"}
BUILT_IN_DATES = dict.fromkeys((*range(14, 23), *range(27, 37), 45, 47), "yyyy-mm-dd") | {46: "[h]:mm:ss"}
_DIGITS = 15  # that Excel stores of a number
_MAX_LENGTH = 255  # characters of a format that Excel accepts; a longer one changes nothing
_ZERO = 2  # index of the part of a format for zero
_TOKEN = re.compile(
    r'"([^"]*)"|\\(.)|_.|\*.|\[([^\]]*)\]|([0#]|General)|(%)|([?.,])|([-+ ():!^&\'~{}<>=$1-9])|(.)',
    re.DOTALL | re.IGNORECASE,
)
_LITERAL = re.compile(r'"[^"]*"?|[\\_*].|\[(?!(?:h+|m+|s+)\])[^\]]*\]?|General', re.DOTALL | re.IGNORECASE)
_DATE = re.compile(r"\[(?:h+|m+|s+)\]|[dmhys]|a[^;]*?[pm/]", re.IGNORECASE)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?\d+(?:\.\d+)?)")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


class _Section(NamedTuple):
    """One of the parts between semicolons."""

    condition: tuple[str, float] | None
    pieces: tuple[str, ...] | None  # "0" and "#" for digits, others are literal; None: the text does not change
    percent: bool
    text: str | None  # words that replace the number: "none"


def makes_text(code: str) -> bool:
    """Whether the format changes the text of some number."""
    return any(section.pieces or section.percent or section.text for section in _sections(code))


@lru_cache(maxsize=1 << 15)  # postcodes and percentages are often repeated
def as_shown(number: float, code: str) -> str | None:
    """The text of the number in this format, with all its digits; None if the format does not change it."""
    section = _section_of(number, _sections(code))
    if section is None:
        return None
    if section.percent:
        return _percentage(number)
    if section.pieces and number >= 0 and float(number).is_integer() and number < 10**_DIGITS:
        return _filled(int(number), section.pieces)
    return section.text


def _section_of(number: float, sections: Sequence[_Section]) -> _Section | None:
    """The section of a format for this number: by its condition, else the one for zero or for all numbers."""
    if number == 0 and len(sections) > _ZERO and not any(section.condition for section in sections):
        return sections[_ZERO]
    for section in sections[: _ZERO + any(section.condition for section in sections)]:
        if section.condition is None or _COMPARE[section.condition[0]](number, section.condition[1]):
            return section
    return None


@lru_cache(maxsize=1024)
def is_date(code: str) -> bool:
    """Whether a number with this format is a date, a time or both."""
    return not is_duration(code) and bool(_DATE.search(_bare(code)))


@lru_cache(maxsize=1024)
def is_duration(code: str) -> bool:
    """Whether a number with this format is a duration: [h]:mm:ss."""
    found = _DATE.search(_bare(code))
    return found is not None and found[0].startswith("[")


def _bare(code: str) -> str:
    """The first section of a format without literal text."""
    return _LITERAL.sub("", code).partition(";")[0] if len(code) <= _MAX_LENGTH else ""


def text_styles(codes: Mapping[int, str], styles: list[int]) -> dict[int, str]:
    """Index -> format, of the styles of a workbook that change the text of a number.

    Args:
        codes: the workbook's own formats, by number.
        styles: the number of the format of each style.
    """
    wanted = {number: code for number, code in {**BUILT_IN, **codes}.items() if makes_text(code)}
    return {index: wanted[number] for index, number in enumerate(styles) if number in wanted}


@lru_cache(maxsize=1024)
def _sections(code: str) -> tuple[_Section, ...]:
    if len(code) > _MAX_LENGTH:
        return ()
    parts = re.findall(r'(?:^|;)((?:"[^"]*"|\\.|\[[^\]]*\]|[^;])*)', code, re.DOTALL)
    return tuple(_section(part) for part in parts[:3])  # the fourth is for texts


def _section(text: str) -> _Section:
    condition, pieces, percent, plain = None, list[str](), False, True
    for quoted, escaped, bracket, digit, per_cent, other, literal, rest in _TOKEN.findall(text):
        if bracket:
            found = _CONDITION.fullmatch(bracket)
            condition = (found[1], float(found[2])) if found else condition
            plain = plain and (bracket[0] != "$" or bracket[:2] == "$-")  # a currency; a language
        elif digit:
            pieces.append("#" if digit == "#" else "0")
        elif quoted or escaped or literal:
            pieces.append(f"\0{quoted or escaped or literal}")
        percent = percent or bool(per_cent)
        plain = plain and not (other or rest or per_cent)
    digits = [piece for piece in pieces if piece in "0#"]
    before = "".join(takewhile(lambda piece: piece not in "0#", pieces))
    adds = any(character == "+" or character.isdigit() for character in before)
    is_text = plain and bool(digits) and (adds or (len(digits) > 1 and digits[0] == "0"))
    words = "".join(piece[1:] for piece in pieces) if plain and not digits else ""
    return _Section(
        condition, tuple(pieces) if is_text else None, percent, words if re.search(r"[^\W\d_]", words) else None
    )


def _percentage(number: float) -> str:
    hundredfold = Decimal(f"{number:.{_DIGITS}g}") * 100
    return f"{hundredfold.normalize():f}%"


def _filled(number: int, pieces: tuple[str, ...]) -> str:
    """The digits in their places, filled from the right; further digits before the first place."""
    places = sum(piece in "0#" for piece in pieces)
    digits = str(number) if number else ""
    before, digits = digits[: max(len(digits) - places, 0)], digits[-places:].rjust(places)
    written, first = [], True
    for piece in pieces:
        if piece not in "0#":
            written.append(piece[1:])
            continue
        digit, digits = digits[0], digits[1:]
        written.append((before if first else "") + (digit.strip() or piece.strip("#")))
        first = False
    return "".join(written)
