"""What an id of another system has to be to tell anybody, and how the same id that is written in two ways is one."""

import re

# No letter and no digit but 0: "-", "0", "00000000-0000-0000-0000-000000000000"; and words.
_NO_ID = re.compile(r"[\W_0]*|n[./ ]?a\.?|null|nil|none|nan|undefined|unknown|tb[acd]|k\.? ?a\.?|keine?|leer|missing")
_SCIENTIFIC = re.compile(r"\d+(?:[.,]\d+)?e\+\d+|\d+[.,]\d+e-?\d+")
_GUID = re.compile(r"\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?")
_SHORT_SALESFORCE = re.compile(r"[A-Za-z0-9]{15}", re.ASCII)
_CHECKSUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def cleaned_id(text: str) -> str | None:
    """The id as it is compared: None for a placeholder, a GUID in lower case and without braces.

    Raises:
        ValueError: it lost digits.
    """
    folded = text.casefold()
    if _NO_ID.fullmatch(folded):
        return None
    if _SCIENTIFIC.fullmatch(folded):
        raise ValueError("is in scientific notation and lost digits: format the cell as text and type it again")
    guid = _GUID.fullmatch(folded)
    return guid[1] if guid else text


def whole_salesforce_id(text: str | None) -> str | None:
    """The 18 characters of a Salesforce id that is written with 15, where case counts; any other text as it is.

    Each of the three further characters says which of five letters are capitals:
    https://help.salesforce.com/s/articleView?id=000386984
    """
    if text is None or not _SHORT_SALESFORCE.fullmatch(text):
        return text
    fives = (text[:5], text[5:10], text[10:])
    return text + "".join(_CHECKSUM[sum(1 << n for n, c in enumerate(five) if c.isupper())] for five in fives)
