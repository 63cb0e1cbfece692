"""The rule for telephone numbers.

Numbers are stored as they are written. A cell may hold several: the first is the number of the contact, the others are
kept in `extra`. Other kinds of values that programs write into such columns (dates, times, amounts) are faults.
"""

import re

from tasks.crm.rules.dates import MONTHS, date_of
from tasks.crm.rules.several_values import AT_ENDS, lines_of
from tasks.crm.rules.texts import ISO_DATE, clean_line

PHONE_DIGITS = 3  # the shortest number that anyone dials
_SHORT = 5  # digits; a shorter number has no separators: 8-17 and 01.05. are not numbers
_WHOLE = 7  # digits that make a number of its own; fewer may be an area code or an extension
_WHOLE_LINE = 6  # the same on a line of its own
_DIGIT = re.compile(r"\d")
_LINE_BREAK = re.compile(r"[\n\r]")
_TIME = re.compile(r"-?\d{1,4}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?", re.IGNORECASE)
_SCIENTIFIC = re.compile(r"-?\d+(?:[.,]\d+)? ?(?:e ?[+-]?|[x×*·] ?10 ?\^ ?)\d+", re.IGNORECASE)
_NEGATIVE = re.compile(r"[-\u2212\u2013]\d+(?:[.,]\d+)?|\d+(?:[.,]\d+)?[-\u2212]")  # SAP writes the sign behind
_FRACTION = re.compile(
    r"0[.,]\d+|[1-9]\d*[.,]\d{1,2}|[1-9]\d{4,}[.,]\d+|\d+\.\d{9,}|\d{1,3}(?:[.,' ]\d{3})+[.,]\d{1,2}|"
    r"(?:[1-9]\d{0,2} )?[1-9]\d?/[1-9]\d?"
)
_AMOUNT = re.compile(r"[^%€$£¥]*[%€$£¥][^%€$£¥]*")
# How Excel and others write a date in CSV. With a two-digit year only if it cannot be pairs of digits of a number.
_SHORT_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/\d{2}")
_MONTH_BEGINS = (
    "(?:jan|ene|gen|f[eé]b|f[eé]v|mar|mär|mrz|apr|avr|abr|ma[iyjg]|jun|jui|giu|jul|lug|aug|ago|aoû|sep|set|o[ck]t|out|ott|"
    r"nov|de[czs]|d[éi]c)[^\W\d]{0,8}\.?"
)
_NAMED_DATE = re.compile(
    rf"\d{{1,2}}(?:\. ?|[ /-])(?:de )?{_MONTH_BEGINS},?(?: de)?[ /-](?:(?:19|20)\d{{2}}|\d{{2}})|"
    rf"{_MONTH_BEGINS} \d{{1,2}},? (?:19|20)\d{{2}}|{_MONTH_BEGINS}[ ./-](?:19|20)\d{{2}}|"
    r"(?:0?[1-9]|1[0-2])[./-](?:19|20)\d{2}|(?:19|20)\d{2}[./-](?:0?[1-9]|1[0-2])",
    re.IGNORECASE,
)
_PERIOD = re.compile(
    r"(?:\d\.? ?)?(?:q|h|kw|cw|fy|gj|quarter|quartal|trimestre|semester|halbjahr|week|woche)\.? ?\d{0,2}[ ./-]*"
    r"(?:19|20)\d{2}(?:[/-]\d{2,4})?|(?:19|20)\d{2}[ ./-]*(?:q|h|kw|cw|w)\.? ?\d{1,2}|(?:19|20)\d{2}/\d{2}",
    re.IGNORECASE,
)
_WEEKDAY = (
    "(?:mo|di|mi|do|fr|sa|so|mon|tue|wed|thu|fri|sat|sun|lun|mar|mer|jeu|ven|sam|dim|mi[eé]|jue|vie|s[aá]b|dom|gio|lu|ma|"
    "me|je|ve|(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|"
    r"(?:lun|mar|mercre|jeu|vendre|same)di|dimanche)\b"
)
_HOURS = re.compile(
    rf"{_WEEKDAY}(?:{_WEEKDAY}|\b\d{{1,2}}(?:[:.h]\d{{2}})?(?!\d)|uhr|h\b|[ap]\.?m\b|bis|to|und|and|[-–—+&,;/.: ])+",
    re.IGNORECASE,
)
_OCLOCK = re.compile(r"\D*\d{1,2}(?:[:. ]?\d{2})? ?(?:uhr|h|[ap]\.?m)\b\W*", re.IGNORECASE)
# Dates and times: the text without them must still be a number.
_WHEN = re.compile(
    r"(?<![\d.:])(?:[01]?\d|2[0-4])[:.h][0-5]\d(?![.:]?\d)|"
    r"(?<!\d)(?<!\d[./-])(?:\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d{2}|(?:19|20)\d{2}-\d{2}-\d{2})(?![./-]?\d)",
    re.IGNORECASE,
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_NETWORK_ADDRESS = re.compile(
    rf"(?!\d\d(?:\.\d\d){{3}}$){_OCTET}(?:\.{_OCTET}){{3}}(?:[:/]\d+)?|"  # 22.11.33.44 are pairs of digits
    r"[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){4,7}|[0-9a-f:]*::[0-9a-f:]*|(?=.*[a-f])[0-9a-f]{2}(?:-[0-9a-f]{2}){5}",
    re.IGNORECASE,
)
_POSITION = re.compile(r"-?\d{1,3}\.\d{3,}°?[,; ]+-?\d{1,3}\.\d{3,}°?")
_ONE_RUN = re.compile(r"\D*\d[\d ]*\D*")  # all digits together
_LETTERS_FOR_DIGITS = re.compile(r"\d-[A-Z][A-Z-]{2,}$")  # 1-800-FLOWERS
_DAYS = 31  # of a month
_YEARS = range(1900, 2100)  # in which a date must be to count as one here
_WHOLE_FLOAT = re.compile(r"(\d+)\.0+")
_PHONE_COMMAS = re.compile(r"\s*[,，、]\s*|\s+/\s+|\s*/\s*(?=\+)")  # between whole numbers alone
_QUOTES = "\"'\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a`\u00b4"
_OTHER_KINDS = (
    (ISO_DATE, "a date"),
    (_TIME, "a time"),
    (_SCIENTIFIC, "in scientific notation"),
    (_NEGATIVE, "a negative number"),
    (_FRACTION, "a fraction"),
    (_AMOUNT, "an amount or a percentage"),
    (_PERIOD, "a period of time"),
    (_HOURS, "a time"),
    (_OCLOCK, "a time"),
    (_NETWORK_ADDRESS, "an address of a computer"),
    (_POSITION, "a position on the map"),
)


def clean_phone(text: str | None) -> str | None:
    """The telephone number, or the first of several, as it is written."""
    numbers = _phones(text)
    return numbers[0] if numbers else None


def other_phones(text: str | None) -> str | None:
    """The further telephone numbers of a cell that holds several, separated by "; "."""
    return "; ".join(_phones(text)[1:]) or None


def _phones(text: str | None) -> list[str]:
    if text is None or (line := clean_line(text)) is None:
        return []
    parts = [number for part in lines_of(text) for number in _separated(part, _PHONE_COMMAS, _WHOLE)]
    if len(parts) == 1 or not all(_digits(part) >= _WHOLE_LINE for part in parts):
        if _LINE_BREAK.search(text.strip()) and sum(_digits(part) >= PHONE_DIGITS for part in parts) > 1:
            raise ValueError("holds several lines, and not each is a telephone number: write one number")
        parts = [line.strip(AT_ENDS)]
    return list(dict.fromkeys(map(_phone, parts)))


def _separated(text: str, separator: re.Pattern[str], digits: int) -> list[str]:
    """The parts of the text if each has at least so many digits, otherwise the text."""
    parts = separator.split(text)
    return parts if all(_digits(part) >= digits for part in parts) else [text]


def _digits(text: str) -> int:
    return len(_DIGIT.findall(text))


def _phone(number: str) -> str:
    number = number.strip(f"{_QUOTES} ")
    if whole := _WHOLE_FLOAT.fullmatch(number):
        number = whole[1]
    for pattern, kind in _OTHER_KINDS:
        if pattern.fullmatch(number):
            raise ValueError(f"is {kind}, not a telephone number: format the cell as text and type it again")
    if _is_date(number):
        raise ValueError("is a date, not a telephone number: format the cell as text and type it again")
    without_times = _WHEN.sub(" ", number)
    if number.startswith("=") or not (_can_be_dialled(number) and _can_be_dialled(without_times)):
        raise ValueError("is not a telephone number")
    return number


def _can_be_dialled(number: str) -> bool:
    digits = _digits(number)
    if digits >= _SHORT or _LETTERS_FOR_DIGITS.search(number):
        return digits >= PHONE_DIGITS
    return digits >= PHONE_DIGITS and bool(_ONE_RUN.fullmatch(number))


def _is_date(number: str) -> bool:
    """Whether the text is a date."""
    if _NAMED_DATE.fullmatch(number):
        return True
    if found := _SHORT_DATE.fullmatch(number):
        first, second = sorted((int(found[1]), int(found[2])))
        return 1 <= first <= MONTHS and second <= _DAYS
    try:
        return date_of(number).date.year in _YEARS
    except ValueError:
        return False
