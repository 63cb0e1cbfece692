"""The rule for dates. The order of day and month is decided for a whole column, by the dates that show it."""

import datetime as dt
import re
from typing import Literal, NamedTuple

from tasks.crm.rules.texts import clean_line

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
MONTHS = 12
_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_CLOCK = r"(?:[T, ]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[ap]\.?m\.?)?\s*(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_CLOCK}", re.IGNORECASE)
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){_CLOCK}", re.IGNORECASE)
_DAY_MONTH = re.compile(rf"(\d{{1,2}})(?:st|nd|rd|th)?[ .-]+([a-z]{{3,9}})[ .,-]+(\d{{4}}){_CLOCK}", re.IGNORECASE)
_MONTH_DAY = re.compile(rf"([a-z]{{3,9}})[ .]+(\d{{1,2}})(?:st|nd|rd|th)?,? +(\d{{4}}){_CLOCK}", re.IGNORECASE)


class Day(NamedTuple):
    """The date of a cell, in one or two readings."""

    date: dt.date  # with the day first if both readings are possible
    month_first: dt.date | None = None  # the other reading, if there is one
    order: Literal["day", "month"] | None = None  # which of the two comes first in this cell, if it shows that


def parse_date(text: str | None) -> Day | None:
    """The date, in two readings if day and month are both possible in each place."""
    line = clean_line(text)
    if line is None:
        return None
    if _NUMBER.fullmatch(line):
        raise ValueError("is a number, not a date: format the cell as a date")
    try:
        return date_of(line)
    except ValueError:
        raise ValueError("is not a date: write it as YYYY-MM-DD") from None


def date_of(text: str) -> Day:
    """The date of a text without blanks at its ends. Raises ValueError: it is not a date."""
    if found := _YEAR_FIRST.fullmatch(text):
        return Day(dt.date(int(found[1]), int(found[3]), int(found[4])))
    if found := _YEAR_LAST.fullmatch(text):
        return _day_and_month(int(found[1]), int(found[3]), int(found[4]), separator=found[2])
    if found := _DAY_MONTH.fullmatch(text):
        return Day(dt.date(int(found[3]), _month(found[2]), int(found[1])))
    if found := _MONTH_DAY.fullmatch(text):
        return Day(dt.date(int(found[3]), _month(found[1]), int(found[2])))
    raise ValueError(text)


def _day_and_month(first: int, second: int, year: int, *, separator: str) -> Day:
    """The date of two numbers of which one is the day and one the month."""
    if separator == ".":  # with dots the day is always first
        return Day(dt.date(year, second, first))
    if second > MONTHS:
        return Day(dt.date(year, first, second), order="month")
    if first > MONTHS:
        return Day(dt.date(year, second, first), order="day")
    other = dt.date(year, first, second)
    return Day(dt.date(year, second, first), month_first=None if first == second else other)


def _month(name: str) -> int:
    name = "sep" if name.lower() == "sept" else name.lower()
    for number, month in enumerate(_MONTH_NAMES, 1):
        if month.startswith(name):
            return number
    raise ValueError(name)
