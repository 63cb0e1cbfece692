"""What a cell has to be to become a field of a contact: one rule a field, and the model that lists the fields.

A rule takes the text of a cell and returns its value, normalised (Unicode NFC, blanks, case where it does not matter),
or raises ValueError with the reason why the row is rejected. Nothing is repaired by guessing. `columns.py` applies the
rules to whole columns.
"""

import datetime as dt
import re
import unicodedata
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, PlainValidator

from tasks.crm.excel_errors import is_error
from tasks.crm.external_ids import cleaned_id
from tasks.crm.garbled import GARBLED, is_garbled

RULES_VERSION = 2
LINE_LENGTH = 1_000  # characters of a name, an address line, tags: more is a cell that slipped
NOTE_LENGTH = 1_000_000  # characters of notes
EMAIL_LENGTH = 254  # RFC 5321: a path has 256 octets with its brackets
PHONE_DIGITS = 3  # the shortest number that anyone dials
_SHORT = 5  # digits; with fewer, a number has no separators: 8-17 and 01.05. are none
_WHOLE = 7  # digits that make a number of its own; fewer may be an area code or an extension
_WHOLE_LINE = 6  # the same on a line of its own

# Unquoted local part and a domain with a dot, letters of any script (RFC 6531).
_EMAIL = re.compile(
    r"[^\s@<>()\[\],;:\\\"]{1,64}@(?:[^\s@<>()\[\],;:\\\"._-][^\s@<>()\[\],;:\\\"._]*\.)+"
    r"(?:xn--[a-z0-9-]+|[^\s\x00-@\[-`{-\x7f]{2,})"
)
# Format characters (Unicode category Cf) that come along when text is copied from a page or a message. The joiners
# U+200C and U+200D are not among them: they make other letters in some scripts.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_CONTROL = re.compile("[\x01-\x1f\x7f-\x9f]")  # whitespace among them is collapsed before
_LOST_LETTER = re.compile(r"[^\W\d_]\?[^\W\d_]|^[? ]*\?\?[? ]*$")  # of an encoding without it: J?rgen, ????
_DIGIT = re.compile(r"\d")
_LINE_BREAK = re.compile(r"[\n\r]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
# How dates, times and numbers of a workbook are written when they are read as text.
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?")
_TIME = re.compile(r"-?\d{1,4}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?", re.IGNORECASE)
_SCIENTIFIC = re.compile(r"-?\d+(?:[.,]\d+)? ?(?:e ?[+-]?|[x×*·] ?10 ?\^ ?)\d+", re.IGNORECASE)
_NEGATIVE = re.compile(r"[-\u2212\u2013]\d+(?:[.,]\d+)?|\d+(?:[.,]\d+)?[-\u2212]")  # SAP writes the sign behind
_FRACTION = re.compile(
    r"0[.,]\d+|[1-9]\d*[.,]\d{1,2}|[1-9]\d{4,}[.,]\d+|\d+\.\d{9,}|\d{1,3}(?:[.,' ]\d{3})+[.,]\d{1,2}|"
    r"(?:[1-9]\d{0,2} )?[1-9]\d?/[1-9]\d?"
)
_AMOUNT = re.compile(r"[^%€$£¥]*[%€$£¥][^%€$£¥]*")
# How Excel and others write a day in CSV. Of two-digit years only what cannot be pairs of a number's digits.
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
# Days and times of day beside which little else is left.
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
_YEARS = range(1900, 2100)  # of dates that are taken for one where a number is due
_WHOLE_FLOAT = re.compile(r"(\d+)\.0+")
# Where several e-mail addresses or telephone numbers may stand in one cell, as Arrow reads it.
MAY_BE_SEVERAL = "[;,/|\n\r；，、]|:::"
_LINES = re.compile(r"[;|\n\r；]|\s:::\s")  # separate whatever stands between them
_EMAIL_COMMAS = re.compile(r"\s*[,，、]\s*|\s+/\s+")
_PHONE_COMMAS = re.compile(r"\s*[,，、]\s*|\s+/\s+|\s*/\s*(?=\+)")  # between whole numbers alone
_AT_ENDS = " ;,|；，、"
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3002: ".", 0xFF61: "."}
_MAILBOX = re.compile(r"([^<>\[\]]*)[<\[]\s*([^<>\[\]\s]+)\s*[>\]]")  # Ann Lee <ann@x.org>
_ADDRESS_BESIDE = re.compile("<[^<>]*@")
_WITH_REMARK = re.compile(r"([^\s@]+@[^\s@]+)\s*\([^()@]*\)")  # ann@x.org (work)
_MAIL_SCHEME = re.compile(r"(?:mailto|smtp|e-?mail)\s*:\s*")
_QUOTES = "\"'\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a`\u00b4"
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_CLOCK = r"(?:[T, ]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[ap]\.?m\.?)?\s*(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_CLOCK}", re.IGNORECASE)
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){_CLOCK}", re.IGNORECASE)
_DAY_MONTH = re.compile(rf"(\d{{1,2}})(?:st|nd|rd|th)?[ .-]+([a-z]{{3,9}})[ .,-]+(\d{{4}}){_CLOCK}", re.IGNORECASE)
_MONTH_DAY = re.compile(rf"([a-z]{{3,9}})[ .]+(\d{{1,2}})(?:st|nd|rd|th)?,? +(\d{{4}}){_CLOCK}", re.IGNORECASE)


class Day(NamedTuple):
    """A date as a cell gives it."""

    date: dt.date  # day first where both readings are possible
    month_first: dt.date | None = None  # the other reading, where there is one
    order: Literal["day", "month"] | None = None  # what this cell proves of the way its column is written


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


def clean_whole_name(text: str | None) -> str | None:
    """The name of one person or organisation, with all of its parts."""
    name = _named(text)
    if name is not None and ";" in name:
        raise ValueError("holds several names: write one row for each")
    return name


def clean_external_id(text: str | None) -> str | None:
    """The id of a row in another system; None for a blank cell and for what stands there instead of an id."""
    line = clean_line(text)
    return line and cleaned_id(line)


def _named(text: str | None) -> str | None:
    line = clean_line(text)
    if line is None:
        return None
    if _ISO_DATE.fullmatch(line):  # another value that Excel changed
        raise ValueError("is a date: format the cell as text and type it again")
    if "?" in line and _LOST_LETTER.search(line) and "://" not in line:
        raise ValueError("has a question mark in place of a letter: export the file again as UTF-8, or type it again")
    if "<" in line and _ADDRESS_BESIDE.search(line):
        raise ValueError("holds an e-mail address beside the name: write it in a column of its own")
    return line


def clean_note(text: str | None) -> str | None:
    """Text of many lines, as written but for the whitespace at its ends and the kind of line break."""
    if text is None:
        return None
    _check_letters(text)
    return _checked(text.replace("\r\n", "\n").replace("\r", "\n").strip(), NOTE_LENGTH)


def _check_letters(text: str) -> None:
    """Look at the text as it is in the cell: a blank or an invisible character may be a byte of a letter."""
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
        raise ValueError(f"has {len(text):,} characters, at most {longest:,} fit: is it in the right column?")
    if is_error(text):
        raise ValueError(f"shows {text}")
    return text or None


def clean_email(text: str | None) -> str | None:
    """One e-mail address in lower case, the first of several: mailboxes that differ only in case are the same."""
    addresses = _addresses(text)
    return addresses[0] if addresses else None


def other_emails(text: str | None) -> str | None:
    """The further addresses of a cell that holds several, separated by "; "."""
    return "; ".join(_addresses(text)[1:]) or None


def _addresses(text: str | None) -> list[str]:
    if text is None or (line := clean_line(text)) is None:
        return []
    if address := _mailbox(line):
        return [address]
    found: list[str | None] = []
    for part in _parts(text):
        address = _mailbox(part)
        found += [address] if address else map(_mailbox, _EMAIL_COMMAS.split(part))
    addresses = [address for address in found if address]
    if not addresses or len(addresses) < len(found):
        raise ValueError("is not an e-mail address")
    return list(dict.fromkeys(addresses))


def _mailbox(text: str) -> str | None:
    """The address of a text that holds one, as mail programs write it; None if there is none, or another one."""
    if found := _MAILBOX.fullmatch(text):
        name, address = found[1], _address(found[2])
        return address if "@" not in name or _address(name) == address else None
    remark = _WITH_REMARK.fullmatch(text)
    return _address(remark[1] if remark else text)


def _address(text: str) -> str | None:
    """The text as an address, None if it is none."""
    # A capital İ is an i in an address; its own lower case would be two characters.
    text = text.translate(_FULL_WIDTH).strip(f"{_QUOTES} ").rstrip(f"{_QUOTES} .")
    address = _MAIL_SCHEME.sub("", text.replace("\u0130", "i").replace("\u2019", "'").lower(), count=1)
    well_formed = _EMAIL.fullmatch(address) and ".." not in address and ".@" not in address and address[0] not in "./"
    return address if well_formed and len(address) <= EMAIL_LENGTH else None


def clean_phone(text: str | None) -> str | None:
    """A telephone number as written, the first of several: it holds a few digits and is no other kind of value."""
    numbers = _phones(text)
    return numbers[0] if numbers else None


def other_phones(text: str | None) -> str | None:
    """The further telephone numbers of a cell that holds several, separated by "; "."""
    return "; ".join(_phones(text)[1:]) or None


def _phones(text: str | None) -> list[str]:
    if text is None or (line := clean_line(text)) is None:
        return []
    parts = [number for part in _parts(text) for number in _separated(part, _PHONE_COMMAS, _WHOLE)]
    if len(parts) == 1 or not all(_digits(part) >= _WHOLE_LINE for part in parts):
        if _LINE_BREAK.search(text.strip()) and sum(_digits(part) >= PHONE_DIGITS for part in parts) > 1:
            raise ValueError("holds several lines, and not each is a telephone number: write one number")
        parts = [line.strip(_AT_ENDS)]
    return list(dict.fromkeys(map(_phone, parts)))


def _parts(text: str) -> list[str]:
    """The lines of a cell, and what a semicolon divides like a line break."""
    lines = (clean_line(part) for part in _LINES.split(text))
    return [part for line in lines if line and (part := line.strip(_AT_ENDS))]


def _separated(text: str, separator: re.Pattern[str], digits: int) -> list[str]:
    """The parts, if each has so many digits, else the text as it is."""
    parts = separator.split(text)
    return parts if all(_digits(part) >= digits for part in parts) else [text]


def _digits(text: str) -> int:
    return len(_DIGIT.findall(text))


def _phone(number: str) -> str:
    number = number.strip(f"{_QUOTES} ")
    if whole := _WHOLE_FLOAT.fullmatch(number):
        number = whole[1]
    for pattern, kind in _NO_PHONES:
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
    """Whether what stands where a telephone number is due is a day."""
    if _NAMED_DATE.fullmatch(number):
        return True
    if found := _SHORT_DATE.fullmatch(number):
        first, second = sorted((int(found[1]), int(found[2])))
        return 1 <= first <= 12 and second <= 31  # noqa: PLR2004 - months, days
    try:
        return _date_of(number).date.year in _YEARS
    except ValueError:
        return False


_NO_PHONES = (
    (_ISO_DATE, "a date"),
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


def parse_date(text: str | None) -> Day | None:
    """A date that can be read in one way, or in two between which other cells of the column may decide."""
    line = clean_line(text)
    if line is None:
        return None
    if _NUMBER.fullmatch(line):
        raise ValueError("is a number, not a date: format the cell as a date")
    try:
        return _date_of(line)
    except ValueError:
        raise ValueError("is not a date: write it as YYYY-MM-DD") from None


def _date_of(text: str) -> Day:  # noqa: PLR0911 - one for each way to write a date
    if found := _YEAR_FIRST.fullmatch(text):
        return Day(dt.date(int(found[1]), int(found[3]), int(found[4])))
    if found := _YEAR_LAST.fullmatch(text):
        first, separator, second, year = int(found[1]), found[2], int(found[3]), int(found[4])
        if separator == ".":  # nobody writes the month first with dots
            return Day(dt.date(year, second, first))
        if second > 12:  # noqa: PLR2004 - months
            return Day(dt.date(year, first, second), order="month")
        if first > 12:  # noqa: PLR2004 - months
            return Day(dt.date(year, second, first), order="day")
        other = dt.date(year, first, second)
        return Day(dt.date(year, second, first), month_first=None if first == second else other)
    if found := _DAY_MONTH.fullmatch(text):
        return Day(dt.date(int(found[3]), _month(found[2]), int(found[1])))
    if found := _MONTH_DAY.fullmatch(text):
        return Day(dt.date(int(found[3]), _month(found[1]), int(found[2])))
    raise ValueError(text)


def _month(name: str) -> int:
    name = "sep" if name.lower() == "sept" else name.lower()
    for number, month in enumerate(_MONTHS, 1):
        if month.startswith(name):
            return number
    raise ValueError(name)


def fold(text: str | None) -> str | None:
    """What is compared where case does not matter. Turkish capital and dotless i are an i."""
    if text is None:
        return None
    folded = unicodedata.normalize("NFC", text.casefold())
    return folded if folded.isascii() else folded.replace("i\u0307", "i").replace("\u0131", "i")


Line = Annotated[str | None, PlainValidator(clean_line)]
Name = Annotated[str | None, PlainValidator(clean_name)]
Email = Annotated[str | None, PlainValidator(clean_email)]
Phone = Annotated[str | None, PlainValidator(clean_phone)]
Note = Annotated[str | None, PlainValidator(clean_note)]
ExternalId = Annotated[str | None, PlainValidator(clean_external_id)]
Date = Annotated[Day | None, PlainValidator(parse_date)]


class Contact(BaseModel):
    """A person or an organisation. The one list of the fields, in the order of the table's columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    organization: Name = None
    first_name: Name = None
    last_name: Name = None
    title: Line = None  # how the person is addressed, or the post held
    email: Email = None
    phone: Phone = None
    street: Name = None
    city: Name = None
    country: Name = None
    tags: Line = None
    notes: Note = None
    external_id: ExternalId = None  # within the system that the file comes from
    last_contacted: Date = None
