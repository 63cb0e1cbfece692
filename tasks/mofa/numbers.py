"""Telephone numbers as they are compared: notations of one number are the same, short notations mean several numbers.

"+44 20 7946 0011", "0044 20 7946 0011" and "Tel.: +44 (0)20 7946 0011" are the same number; "700-3814/5/6" and
"700-3814~6" are the same three. Separators, and the order of numbers, do not matter.
"""

import re

_SEPARATOR = re.compile(r" ?([/,;、~〜|]|\bor\b|\band\b) ?")
_SHORT = re.compile(r"\d{1,4}")  # the last digits of a further number
_RANGE = frozenset("~〜")
_BEFORE_SHORT = frozenset("/,、") | _RANGE
_MAX_RANGE_LENGTH = 100  # numbers; more is no range of telephone numbers
_AREA = re.compile(r"\+?\d{1,4}")  # too short for a number: a slash after it separates an area code
_LABEL = re.compile(  # says only that a number follows
    r"^\W*(?:tele?phones?|tel|phones?|ph|tlf|tfn|fon|telefax|tele?facsimile|fax|f|t|tél|téléphone|tel[eé]fono|telefon"
    r"|тел|телефон|факс|電話|電話番号|電話号碼|电话|전화|전화번호|팩스|팩스번호|fax番号|τηλ|هاتف|فاکس|فاكس)"
    r"\b\s*(?:no|nr|number)?\s*[.:)\]]*\s*(?=[(+\d])"
)
_TRUNK = re.compile(r"^(\W*(?:\+|00)?\d{1,3}\W*?)\(0\)")  # +44 (0)20: dialled inside the country only
_PREFIX = re.compile(r"^(?:\+|00(?=[1-9]\d{5}))")  # how an international number begins


def comparable_numbers(text: str) -> str:
    """All numbers of a folded text (comparison.folded), in one order; their labels are a part of them."""
    found: set[str] = set()
    for line in text.splitlines():
        separator, before = "", ""
        for place, part in enumerate(_SEPARATOR.split(" ".join(line.split()))):
            if place % 2:
                separator = part
            elif number := _digits(part):
                if separator == "/" and _AREA.fullmatch(before) and len(number) > len(before):
                    found.discard(before)
                    numbers = [_international(before + number)]
                elif _is_short(before, separator, part):
                    numbers = _meant(before, separator, part)
                else:
                    numbers = [_international(number)]
                found.update(numbers)
                before = numbers[-1]
    return " ".join(sorted(found))


def _digits(part: str) -> str:
    return re.sub(r"[^\w+]|_", "", _TRUNK.sub(r"\1", _LABEL.sub("", part)))


def _international(number: str) -> str:
    return _PREFIX.sub("", number)


def _is_short(before: str, separator: str, part: str) -> bool:
    """Whether only the last digits of a further number stand after the number before it."""
    if separator not in _BEFORE_SHORT or not _SHORT.fullmatch(part) or len(part) > len(before):
        return False
    return before[-len(part) :].isdigit()


def _meant(before: str, separator: str, part: str) -> list[str]:
    """The numbers that a short notation means."""
    stem, first, last = before[: -len(part)], int(before[-len(part) :]), int(part)
    if separator in _RANGE and last - first in range(_MAX_RANGE_LENGTH):
        return [f"{stem}{number:0{len(part)}}" for number in range(first, last + 1)]
    return [stem + part]
