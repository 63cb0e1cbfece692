"""What a row of a workbook has to be to become a contact, and who it is.

Each cell is normalised (Unicode NFC, blanks, case where it does not matter) and checked; a row that fails is rejected
with every faulty cell and its reason, never repaired by guessing. The two hashes say who the contact is: version 1 of
the rule. Raising RULES_VERSION needs a migration that hashes the stored contacts again.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError

from tasks.crm.cell import ErrorCell

RULES_VERSION = 1
LINE_LENGTH = 1_000  # characters of a name, an address line, tags: more is a cell that slipped
NOTE_LENGTH = 1_000_000  # characters of notes
EMAIL_LENGTH = 254  # RFC 5321: a path has 256 octets with its brackets
PHONE_DIGITS = 3  # the shortest number that anyone dials

# Unquoted local part and a domain with a dot, letters of any script (RFC 6531); one address, no display name.
_EMAIL = re.compile(
    r"[^\s@<>()\[\],;:\\\"]{1,64}@(?:[^\s@<>()\[\],;:\\\"._-][^\s@<>()\[\],;:\\\"._]*\.)+[^\s@.\d,;>]{2,}"
)
_DIALLED = re.compile(rf"(?:\D*\d){{{PHONE_DIGITS}}}")
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
    """A day as a cell gives it."""

    date: dt.date  # day first where both readings are possible
    month_first: dt.date | None = None  # the other reading, where there is one
    order: Literal["day", "month"] | None = None  # what this cell proves of the way its column is written


class Problem(NamedTuple):
    """Why a row is rejected."""

    field: str | None  # the contact's field; None when the row as a whole is at fault
    reason: str


class Unfit(Exception):  # noqa: N818 - a row that is not fit to be a contact is no error of the program
    """The row cannot become a contact; `problems` says all that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.reason for problem in problems))
        self.problems = problems


# ---------------------------------------------------------------------- cells


def as_text(value: Any) -> str:
    """A cell as text, as a person reads it: 94523.0 is "94523", a day without a time is a day.

    Raises ValueError for a cell that shows an error.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.15g}"  # Excel knows 15 digits
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
    if isinstance(value, dt.timedelta):  # more than a day, as Excel's [h]:mm:ss
        minutes, seconds = divmod(round(abs(value).total_seconds()), 60)
        return f"{'-' if value < dt.timedelta() else ''}{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, ErrorCell):
        raise ValueError(f"shows {value.text}")  # noqa: TRY004 - pydantic reports ValueErrors
    return "" if value is None else str(value)


def shown(value: Any) -> str:
    """A cell as it can be stored and shown: errors as their text, what no database holds replaced visibly."""
    text = value.text if isinstance(value, ErrorCell) else as_text(value)
    return text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()


def _clean(text: str, limit: int) -> str | None:
    if text.isascii():
        if len(text) <= limit and "\0" not in text:  # nearly all cells
            return text or None
    else:
        text = unicodedata.normalize("NFC", text)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half a character (a lone surrogate): type it again") from None
    if "\0" in text:
        raise ValueError("holds a NUL character: type it again")
    if len(text) > limit:
        raise ValueError(f"has {len(text):,} characters, at most {limit:,} fit: is it in the right column?")
    return text or None


def line(value: Any) -> str | None:
    """One line of text: blanks of every kind are one blank, none at the ends. None for a blank cell."""
    if value is None:
        return None
    return _clean(" ".join((value if type(value) is str else as_text(value)).split()), LINE_LENGTH)


# For columns in which few values stand often. Typed, because 1, 1.0 and True are equal and read differently.
_repeated_line = lru_cache(maxsize=1 << 15, typed=True)(line)


def note(value: Any) -> str | None:
    """Text of many lines, as written but for the blanks at its ends."""
    if value is None:
        return None
    return _clean(as_text(value).replace("\r\n", "\n").replace("\r", "\n").strip(), NOTE_LENGTH)


def email(value: Any) -> str | None:
    """One e-mail address, in lower case: nobody tells mailboxes apart by case."""
    text = line(value)
    if text is None:
        return None
    text = text.lower().removeprefix("mailto:")
    if not _EMAIL.fullmatch(text) or len(text) > EMAIL_LENGTH or ".." in text or text[0] == "." or ".@" in text:
        raise ValueError("is not an e-mail address")
    return text


def phone(value: Any) -> str | None:
    """A telephone number as written; it has to hold a few digits."""
    text = line(value)
    if text is not None and not _DIALLED.match(text):
        raise ValueError("is not a telephone number")
    return text


def day(value: Any) -> Day | None:
    """A day. Text is read where it can be read in one way, or in two that other cells of the column may decide."""
    if value is None:
        return None
    if isinstance(value, dt.datetime):
        return Day(value.date())
    if isinstance(value, dt.date):
        return Day(value)
    text = line(value)
    if text is None:
        return None
    if not isinstance(value, str):
        raise ValueError("is a number, not a date: format the cell as a date")  # noqa: TRY004 - see as_text
    try:
        return _day_of_text(text)
    except ValueError:
        raise ValueError("is not a date: write it as YYYY-MM-DD") from None


def _day_of_text(text: str) -> Day:  # noqa: PLR0911 - one for each way to write a day
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


def has_clock(value: Any) -> bool:
    """Whether the cell of a day also holds a time of day, which the day drops."""
    if isinstance(value, str):
        return ":" in value
    return isinstance(value, dt.datetime) and value.time() != dt.time()


def split_name(name: str | None) -> tuple[str | None, str | None]:
    """First and last name of a whole one: "Last, First" says it; else the last word is the last name."""
    if name is None:
        return None, None
    if name.count(",") == 1:
        last, _, first = name.partition(",")
        if first.strip() and last.strip():
            return first.strip(), last.strip()
    first, _, last = name.rpartition(" ")
    return first or None, last


# ---------------------------------------------------------------------- rows

RepeatedLine = Annotated[str | None, PlainValidator(_repeated_line)]
Line = Annotated[str | None, PlainValidator(line)]
Email = Annotated[str | None, PlainValidator(email)]
Phone = Annotated[str | None, PlainValidator(phone)]
Note = Annotated[str | None, PlainValidator(note)]
LastDay = Annotated[Day | None, PlainValidator(day)]


class Contact(BaseModel):
    """A person or an organisation as a row gives it. The fields stand in the order of the table's columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    organization: RepeatedLine = None
    first_name: RepeatedLine = None
    last_name: RepeatedLine = None
    title: RepeatedLine = None  # how the person is addressed, or the post held
    email: Email = None
    phone: Phone = None
    street: Line = None
    city: RepeatedLine = None
    country: RepeatedLine = None
    tags: RepeatedLine = None
    notes: Note = None
    last_contacted: LastDay = None


def read_contact(cells: Mapping[str, Any], *, whole_last_name: bool) -> Contact:
    """The contact that the cells of a row describe.

    Args:
        cells: field -> cell; fields that the workbook lacks may be missing.
        whole_last_name: the workbook has a column for last names, so that a first name alone is half a name.

    Raises:
        Unfit: with all problems of the row.
    """
    try:
        contact = Contact.model_validate(cells)
    except ValidationError as error:
        raise Unfit(
            [Problem(str(each["loc"][0]), str(each["ctx"]["error"])) for each in error.errors(include_url=False)]
        ) from None
    if contact.last_name is None:
        if contact.first_name is not None and whole_last_name:
            raise Unfit([Problem("last_name", "is blank although there is a first name")])
        if contact.first_name is None and contact.email is None and contact.organization is None:
            raise Unfit([Problem(None, "has no name, no e-mail and no organisation: nobody can be told from it")])
    return contact


@lru_cache(maxsize=1 << 15)
def _folded(text: str | None) -> str:
    return "" if text is None else unicodedata.normalize("NFC", text.casefold())


def hashes(contact: Contact) -> tuple[str, str]:
    """identity_hash and name_hash, 64 hexadecimal digits each (SHA-256): rule version 1.

    identity: e-mail and full name, or, without an e-mail, organisation and full name; name: always the latter.
    Case does not matter, and a whole name is the same as its two parts.
    """
    full_name = f"{_folded(contact.first_name)} {_folded(contact.last_name)}".strip()
    name = sha256(f"1\x1fname\x1f{_folded(contact.organization)}\x1f{full_name}".encode()).hexdigest()
    if contact.email is None:
        return name, name
    return sha256(f"1\x1fmail\x1f{contact.email}\x1f{full_name}".encode()).hexdigest(), name
