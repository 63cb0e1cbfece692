"""The rule for ids of other systems."""

import re

from tasks.crm.rules.texts import clean_line

# Placeholders: no letter and no digit but 0 ("-", "0", "00000000-0000-0000-0000-000000000000"), and words.
_PLACEHOLDER = re.compile(
    r"[\W_0]*|n[./ ]?a\.?|null|nil|none|nan|undefined|unknown|tb[acd]|k\.? ?a\.?|keine?|leer|missing"
)
_SCIENTIFIC = re.compile(r"\d+(?:[.,]\d+)?e\+\d+|\d+[.,]\d+e-?\d+")
_GUID = re.compile(r"\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?")
_SHORT_SALESFORCE = re.compile(r"[A-Za-z0-9]{15}", re.ASCII)
_CHECKSUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def clean_external_id(text: str | None) -> str | None:
    """The id of a row in another system; a GUID in lower case without braces; None for a blank cell or a placeholder.

    Raises:
        ValueError: the id lost digits.
    """
    line = clean_line(text)
    if line is None:
        return None
    folded = line.casefold()
    if _PLACEHOLDER.fullmatch(folded):
        return None
    if _SCIENTIFIC.fullmatch(folded):
        raise ValueError("is in scientific notation and lost digits: format the cell as text and type it again")
    guid = _GUID.fullmatch(folded)
    return guid[1] if guid else line


def whole_salesforce_id(text: str | None) -> str | None:
    """The 18 characters of a Salesforce id of 15 characters, in which case matters; any other text unchanged.

    Each of the three added characters encodes which of five letters are capitals:
    https://help.salesforce.com/s/articleView?id=000386984
    """
    if text is None or not _SHORT_SALESFORCE.fullmatch(text):
        return text
    fives = (text[:5], text[5:10], text[10:])
    return text + "".join(_CHECKSUM[sum(1 << n for n, c in enumerate(five) if c.isupper())] for five in fives)
