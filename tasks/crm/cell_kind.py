"""Classifies the text of a cell: a word, as in headings, or a kind of value, as in data."""

import re
from typing import Literal

Kind = Literal["blank", "word", "number", "date", "time", "error", "email", "url", "phone"]

_ERROR = re.compile(r"#\S{1,14}[!?]|#[A-Z](?:/?[A-Z]){1,2}|#{2,}")
_NUMBER = re.compile(r"[-+(]?\d[\d.,'\u00a0\u202f ]*(?:[eE][-+]?\d+)?\)?")
_SIGNS = " \u00a0%€$£¥₽₴₺zł"
_DATE = re.compile(
    r"\d{1,4}[-/.]\s?\d{1,2}[-/.]\s?\d{1,4}\.?(?:[T ,]+\d{1,2}:\d{2}\S*(?: ?[AaPp]\.?[Mm]\.?)?)?"
    r"|\d{1,2}(?:st|nd|rd|th|\.)?[ -][^\W\d_]{3,12}\.?,?[ -]\d{2,4}"
    r"|[^\W\d_]{3,12}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}"
    r"|\d{4}年\d{1,2}月(?:\d{1,2}日)?|\d{4}년 ?\d{1,2}월(?: ?\d{1,2}일)?"
)
_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?")
_EMAIL = re.compile(r"[^\s@]@[^\s@]")
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_PHONE = re.compile(r"(?:tel\.?:? ?)?\(?\+?[\d\s()/.–-]{5,30}(?: ?(?:x|ext\.?) ?\d{1,6})?", re.IGNORECASE)
_PHONE_DIGITS = 5
_CERTAIN_DIGITS = 9  # of a telephone number that begins with neither + nor 0: a date or a range of years has eight
_MAX_LENGTH = 100  # characters; a longer text counts as words


def cell_kind(text: str) -> Kind:
    """The kind of a cell, from the text that it shows. TRUE and FALSE count as numbers."""
    text = text.strip()
    kind: Kind = "word"
    if not text:
        kind = "blank"
    elif text.isalpha():
        kind = "number" if text in {"TRUE", "FALSE"} else "word"
    elif "@" in text and _EMAIL.search(text):
        kind = "email"
    elif text[0] == "#" and _ERROR.fullmatch(text):
        kind = "error"
    elif _URL.match(text):
        kind = "url"
    elif len(text) <= _MAX_LENGTH and any(map(str.isdigit, text)):
        kind = _kind_of_digits(text)
    return kind


def _kind_of_digits(text: str) -> Kind:
    if _DATE.fullmatch(text):
        return "date"
    if _TIME.fullmatch(text):
        return "time"
    is_international = text[0] == "+" and " " in text
    if _NUMBER.fullmatch(text.strip(_SIGNS)) and not is_international:
        return "number"
    if _PHONE.fullmatch(text) and sum(map(str.isdigit, text)) >= _PHONE_DIGITS:
        return "phone"
    return "word"


def looks_like_data(text: str) -> bool:
    """Whether the cell can be data of a person: an e-mail address, a telephone number, a date, or mostly digits."""
    if cell_kind(text) not in {"blank", "word"} or "@" in text:
        return True
    digits = sum(map(str.isdigit, text))
    return digits * 2 > sum(map(str.isalnum, text))


def is_address_or_number(text: str) -> bool:
    """Whether the cell is certainly data of a person: only e-mail addresses, or a telephone number."""
    text = text.strip()
    kind = cell_kind(text)
    if kind == "email":
        return all("@" in word for word in re.split(r"[\s;,]+", text)) or text.endswith(">")
    digits = sum(map(str.isdigit, text))
    return kind in {"number", "phone"} and (
        digits >= _CERTAIN_DIGITS or (digits > _PHONE_DIGITS and text.startswith(("+", "0", "(0")))
    )
