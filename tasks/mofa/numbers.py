"""Telephone numbers as they are compared: short notations stand for the numbers that they mean.

"700-3814/5/6" and "700-3814~6" are the same three numbers; separators, and the order of numbers, do not matter.
"""

import re

_SEPARATOR = re.compile(r"\s*([/,;、~〜])\s*")
_SHORT = re.compile(r"\d{1,4}")  # the last digits of a further number
_RANGE = "~〜"
_LONGEST_RANGE = 100  # numbers; more is no range of telephone numbers


def comparable_numbers(text: str) -> str:
    """All numbers of a normalised text (NFKC, lower case), in one order; their labels are a part of them."""
    found: set[str] = set()
    for line in text.splitlines():
        separator, before = "", ""
        for place, part in enumerate(_SEPARATOR.split(line.strip())):
            if place % 2:
                separator = part
            elif number := re.sub(r"[^\w+]|_", "", part):
                numbers = _meant(before, separator, part.strip()) or [number]
                found.update(numbers)
                before = numbers[-1]
    return " ".join(sorted(found))


def _meant(before: str, separator: str, part: str) -> list[str]:
    """The numbers that a short notation means after the number before it; none: it is a number of its own."""
    if not _SHORT.fullmatch(part) or len(part) >= len(before) or not before[-len(part) :].isdigit():
        return []
    stem, first, last = before[: -len(part)], int(before[-len(part) :]), int(part)
    if separator in _RANGE and first < last < first + _LONGEST_RANGE:
        return [f"{stem}{number:0{len(part)}}" for number in range(first, last + 1)]
    return [stem + part]
