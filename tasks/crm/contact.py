"""What a row of a workbook has to be to become a contact, and who it is.

Each cell is normalised (Unicode NFC, blanks, case where it does not matter) and checked; a row that fails is rejected
with every faulty cell and its reason, never repaired by guessing. The two hashes say who the contact is: version 1 of
the rule. Raising RULES_VERSION needs a migration that hashes the stored contacts again.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from hashlib import sha256
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError

from tasks.crm.readers.cell import ErrorCell

RULES_VERSION = 1
LINE_LENGTH = 1_000  # characters of a name, an address line, tags: more is a cell that slipped
NOTE_LENGTH = 1_000_000  # characters of notes
EMAIL_LENGTH = 254  # RFC 5321: a path has 256 octets with its brackets
REMEMBERED = 1 << 15  # different values of a column
_EXACT = 2**53  # from here on a workbook's numbers leave out integers
PHONE_DIGITS = 3  # the shortest number that anyone dials

# Unquoted local part and a domain with a dot, letters of any script (RFC 6531); one address, no display name.
_EMAIL = re.compile(
    r"[^\s@<>()\[\],;:\\\"]{1,64}@(?:[^\s@<>()\[\],;:\\\"._-][^\s@<>()\[\],;:\\\"._]*\.)+"
    r"(?:xn--[a-z0-9-]+|[^\s\x00-@\[-`{-\x7f]{2,})"
)
# Marks that nobody sees, of Unicode's category Cf: they come along when text is copied from a page or a message. Not
# the two joiners (U+200C, U+200D), which make other letters in some scripts.
_INVISIBLE = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
_UNSEEN = re.compile(f"[{_INVISIBLE}]")
_RARE = re.compile(f"[{_INVISIBLE}\ud800-\udfff]")
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

    Raises ValueError for a cell that shows an error, or a number that is not what was typed.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return _number_as_text(value)
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
    if isinstance(value, dt.timedelta):  # more than a day, as Excel's [h]:mm:ss
        minutes, seconds = divmod(round(abs(value).total_seconds()), 60)
        return f"{'-' if value < dt.timedelta() else ''}{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, ErrorCell):
        raise ValueError(f"shows {value.text}")  # noqa: TRY004 - pydantic reports ValueErrors
    return "" if value is None else str(value)


def _number_as_text(value: float) -> str:
    if not value.is_integer():
        return f"{value:.15g}"  # Excel knows 15 digits
    if abs(value) >= _EXACT:
        raise ValueError("has more digits than a number keeps: format the cell as text and type it again")
    return str(int(value))


def shown(value: Any) -> str:
    """A cell as it can be stored and shown: errors as their text, what no database holds replaced visibly."""
    try:
        text = value.text if isinstance(value, ErrorCell) else as_text(value)
    except ValueError:
        text = f"{value:.15g}"
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
    """One line of text: blanks of every kind are one blank, none at the ends, nothing unseen. None for a blank cell."""
    if value is None:
        return None
    text = value if type(value) is str else as_text(value)
    if not text.isascii():
        text = _UNSEEN.sub("", text)
    return _clean(" ".join(text.split()), LINE_LENGTH)


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
    text = _lowered(text)
    if not _is_address(text):
        raise ValueError("is not an e-mail address")
    return text


def _lowered(address: str) -> str:
    return address.lower().removeprefix("mailto:")


def _is_address(text: str) -> bool:
    found = _EMAIL.fullmatch(text) and len(text) <= EMAIL_LENGTH and ".." not in text and ".@" not in text
    return bool(found) and text[0] != "."


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


def split_name(name: str | None, *, last_first: bool = False) -> tuple[str | None, str | None]:
    """First and last name of a whole one: "Last, First" says it; else the last word, or the first, is the last name."""
    if name is None:
        return None, None
    if name.count(",") == 1:
        last, _, first = name.partition(",")
        if first.strip() and last.strip():
            return first.strip(), last.strip()
    if last_first:
        last, _, first = name.partition(" ")
    else:
        first, _, last = name.rpartition(" ")
    return first or None, last


# ---------------------------------------------------------------------- rows

Line = Annotated[str | None, PlainValidator(line)]
Email = Annotated[str | None, PlainValidator(email)]
Phone = Annotated[str | None, PlainValidator(phone)]
Note = Annotated[str | None, PlainValidator(note)]
LastDay = Annotated[Day | None, PlainValidator(day)]


class Contact(BaseModel):
    """A person or an organisation as a row gives it. The fields stand in the order of the table's columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    organization: Line = None
    first_name: Line = None
    last_name: Line = None
    title: Line = None  # how the person is addressed, or the post held
    email: Email = None
    phone: Phone = None
    street: Line = None
    city: Line = None
    country: Line = None
    tags: Line = None
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
        nobody = _nobody(contact.first_name, contact.email, contact.organization, whole_last_name=whole_last_name)
        if nobody:
            raise Unfit([nobody])
    return contact


def _nobody(
    first_name: str | None, email: str | None, organization: str | None, *, whole_last_name: bool
) -> Problem | None:
    """Why nobody can be told from a row without a last name."""
    if first_name is not None and whole_last_name:
        return Problem("last_name", "is blank although there is a first name")
    if first_name is None and email is None and organization is None:
        return Problem(None, "has no name, no e-mail and no organisation: nobody can be told from it")
    return None


@lru_cache(maxsize=REMEMBERED)
def _folded(text: str | None) -> str:
    return "" if text is None else unicodedata.normalize("NFC", text.casefold())


def _name_hash(organization: str, full_name: str) -> str:
    return sha256(f"1\x1fname\x1f{organization}\x1f{full_name}".encode()).hexdigest()


def _mail_hash(email: str, full_name: str) -> str:
    return sha256(f"1\x1fmail\x1f{email}\x1f{full_name}".encode()).hexdigest()


def hashes(contact: Contact) -> tuple[str, str]:
    """identity_hash and name_hash, 64 hexadecimal digits each (SHA-256): rule version 1.

    identity: e-mail and full name, or, without an e-mail, organisation and full name; name: always the latter.
    Case does not matter, and a whole name is the same as its two parts.
    """
    full_name = f"{_folded(contact.first_name)} {_folded(contact.last_name)}".strip()
    name = _name_hash(_folded(contact.organization), full_name)
    return name if contact.email is None else _mail_hash(contact.email, full_name), name


# ---------------------------------------------------------------------- many rows at once

_TEXTS = frozenset({str, type(None)})
Column = Sequence[Any]


class Contacts(NamedTuple):
    """Rows of a batch, field by field."""

    fields: list[list[str | None]]  # in the order of Contact, without last_contacted
    days: list[Day | None]  # last_contacted
    identities: list[str]  # identity_hash of each row
    names: list[str]  # name_hash of each row


def read_contacts(cells: Mapping[str, Column], *, whole_last_name: bool) -> tuple[Contacts, set[int]]:
    """The contacts that rows describe, by the same rules as `read_contact`, for half the time.

    Args:
        cells: field -> its column; at least one. Fields that the workbook lacks may be missing.
        whole_last_name: as in `read_contact`.

    Returns:
        The contacts, and the rows (from 0) that are no contact: of those only `read_contact` says what is wrong.
    """
    apart: set[int] = set()
    count = len(next(iter(cells.values())))
    read: dict[str, list[Any]] = {
        field: rule(cells[field], apart) if field in cells else [None] * count for field, rule in _COLUMN_RULES.items()
    }
    organizations, firsts, lasts, emails = (read[f] for f in ("organization", "first_name", "last_name", "email"))
    for n, last in enumerate(lasts):
        if last is None and _nobody(firsts[n], emails[n], organizations[n], whole_last_name=whole_last_name):
            apart.add(n)
    both = zip(map(_folded, firsts), map(_folded, lasts), strict=True)
    full_names = [f"{first} {last}".strip() for first, last in both]
    names = list(map(_name_hash, map(_folded, organizations), full_names))
    identities = [
        name if email is None else _mail_hash(email, full_name)
        for email, full_name, name in zip(emails, full_names, names, strict=True)
    ]
    days = read.pop("last_contacted")
    return Contacts(list(read.values()), days, identities, names), apart


class _Remembered(dict[Any, Any]):
    """What a rule made of a cell, for columns in which few values stand often."""

    def __init__(self, rule: Callable[[Any], Any]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, cell: Any) -> Any:
        if len(self) >= REMEMBERED:
            self.clear()
        made = self[cell] = self._rule(cell)
        return made


def _each(rule: Callable[[Any], Any], cells: Column, apart: set[int]) -> list[Any]:
    """What `rule` makes of each cell; the rows of those that it refuses are put apart."""
    try:
        return list(map(rule, cells))
    except ValueError:
        made = []
        for n, cell in enumerate(cells):
            try:
                made.append(rule(cell))
            except ValueError:
                apart.add(n)
                made.append(None)
        return made


def _texts(cells: Column, apart: set[int]) -> Column:
    """Cells of which each is text or None."""
    if _TEXTS.issuperset(map(type, cells)):
        return cells
    return _each(lambda cell: cell if type(cell) is str else as_text(cell), cells, apart)


def _cleaned(rule: Callable[[Any], str | None], texts: list[str], limit: int, apart: set[int]) -> list[str | None]:
    """What `rule` makes of each text: nearly always all of them are in order, which their whole tells at once."""
    whole = "".join(texts)
    if (
        "\0" not in whole
        and max(map(len, texts)) <= limit
        and (whole.isascii() or (unicodedata.is_normalized("NFC", whole) and not _RARE.search(whole)))
    ):
        return [text or None for text in texts]
    return _each(rule, texts, apart)


def lines(cells: Column, apart: set[int]) -> list[str | None]:
    """`line` of each cell of a column."""
    texts = [" ".join(cell.split()) if cell else "" for cell in _texts(cells, apart)]
    return _cleaned(line, texts, LINE_LENGTH, apart)


def repeated_lines(remembered: _Remembered, cells: Column, apart: set[int]) -> list[str | None]:
    """The same for a column in which few values stand often."""
    return _each(remembered.__getitem__, _texts(cells, apart), apart)


def notes(cells: Column, apart: set[int]) -> list[str | None]:
    """`note` of each cell of a column."""
    texts = [
        (cell if "\r" not in cell else cell.replace("\r\n", "\n").replace("\r", "\n")).strip() if cell else ""
        for cell in _texts(cells, apart)
    ]
    return _cleaned(note, texts, NOTE_LENGTH, apart)


def _emails(cells: Column, apart: set[int]) -> list[str | None]:
    addresses = [text and _lowered(text) for text in lines(cells, apart)]
    apart.update(n for n, text in enumerate(addresses) if text is not None and not _is_address(text))
    return addresses


def _phones(cells: Column, apart: set[int]) -> list[str | None]:
    numbers = lines(cells, apart)
    apart.update(n for n, text in enumerate(numbers) if text is not None and not _DIALLED.match(text))
    return numbers


_COLUMN_RULES: dict[str, Callable[[Column, set[int]], list[Any]]] = {
    "organization": partial(repeated_lines, _Remembered(line)),
    "first_name": partial(repeated_lines, _Remembered(line)),
    "last_name": partial(repeated_lines, _Remembered(line)),
    "title": partial(repeated_lines, _Remembered(line)),
    "email": _emails,
    "phone": _phones,
    "street": lines,
    "city": partial(repeated_lines, _Remembered(line)),
    "country": partial(repeated_lines, _Remembered(line)),
    "tags": partial(repeated_lines, _Remembered(line)),
    "notes": notes,
    "last_contacted": partial(_each, _Remembered(day).__getitem__),
}
