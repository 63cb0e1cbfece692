"""When two values of a field say the same: the rules of what is no change.

A difference that a reader cannot see, or that only another editor of the page would make, is no change: invisible
characters, case, punctuation, dashes, full width, digits of other scripts, notations of telephone numbers and of e-mail
addresses. RULES_VERSION in embassy.py is the version of these rules.
"""

import re
import unicodedata
from urllib.parse import urlsplit

from tasks.mofa.hidden_email import shown_addresses
from tasks.mofa.numbers import comparable_numbers

_BLANKS_AND_SIGNS = re.compile(r"[\W_]+")
_CJK = "[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # Japanese, Chinese, Korean: blanks beside them say nothing
_BLANKS_BESIDE_CJK = re.compile(rf"(?<={_CJK}) | (?={_CJK})")
DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−﹘﹣－ー", "-"))
# Written in two ways by different keyboards and editors: kashida, the Arabic kaf and yeh of Persian, Romanian cedillas,
# the i of Turkish once its case is gone.
_SAME_LETTERS = str.maketrans(
    {"ـ": "", "ك": "ک", "ي": "ی", "ş": "ș", "ţ": "ț", "ı": "i", "\u0307": "", "\u200c": "", "\u200d": ""}
)
# No shape of their own, or a shape that says nothing: format characters, variation selectors, fillers.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
# Joiners are part of the spelling between letters of Arabic, Indian and other scripts, and invisible elsewhere.
_JOINERS = re.compile("(?<![\u0600-\u1fff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\u1fff])")
_INITIALS = re.compile(r"(?<!\w)([^\W\d_])\.\s*(?=[^\W\d_](?:\.|\b))")
_GENERIC = {*("e-mail", "email", "mail", "e-mails", "emails", "and", "or", "und", "et", "y", "и", "или"), "-", "|"}


def without_invisible(text: str) -> str:
    """The text without characters that no reader sees."""
    return _JOINERS.sub("", _INVISIBLE.sub("", text))


def folded(text: str) -> str:
    """The text for a comparison: one form of each character, its case, width and script of digits aside."""
    text = unicodedata.normalize("NFKC", without_invisible(text)).casefold()
    text = "".join(str(unicodedata.decimal(each, each)) for each in text)
    return text.translate(DASHES).translate(_SAME_LETTERS)


def comparable(field: str, value: str | None) -> str:
    """The value of a field as it is compared: two values that give the same text say the same. "" for a blank."""
    if value is None:
        return ""
    text = folded(value)
    if field == "email":
        return _emails(text)
    if field == "website":
        parts = urlsplit(text.strip() if "//" in text else f"//{text.strip()}")
        return f"{parts.netloc.removeprefix('www.')}{parts.path.rstrip('/')}" + (parts.query and f"?{parts.query}")
    if field in {"phone", "fax"}:
        return comparable_numbers(text)
    return _BLANKS_BESIDE_CJK.sub("", _BLANKS_AND_SIGNS.sub(" ", _INITIALS.sub(r"\1", text)).strip())


def _emails(text: str) -> str:
    """The addresses, and the words beside them that say whose they are, in one order."""
    words = (word.removeprefix("mailto:").partition("?")[0].strip(".:()<>") for word in _words(shown_addresses(text)))
    return " ".join(sorted({word for word in words if word and word not in _GENERIC}))


def _words(text: str) -> list[str]:
    return re.split(r"[\s;,/]+", text)
