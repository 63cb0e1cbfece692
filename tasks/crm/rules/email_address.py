"""The rule for e-mail addresses.

A cell may hold several: the first is the e-mail address of the contact, the others are kept in `extra`.
"""

import re

from tasks.crm.rules.several_values import lines_of
from tasks.crm.rules.texts import clean_line

EMAIL_LENGTH = 254  # RFC 5321: a path has 256 octets with its brackets
# Unquoted local part and a domain with a dot, letters of any script (RFC 6531).
_EMAIL = re.compile(
    r"[^\s@<>()\[\],;:\\\"]{1,64}@(?:[^\s@<>()\[\],;:\\\"._-][^\s@<>()\[\],;:\\\"._]*\.)+"
    r"(?:xn--[a-z0-9-]+|[^\s\x00-@\[-`{-\x7f]{2,})"
)
_EMAIL_COMMAS = re.compile(r"\s*[,，、]\s*|\s+/\s+")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3002: ".", 0xFF61: "."}
_MAILBOX = re.compile(r"([^<>\[\]]*)[<\[]\s*([^<>\[\]\s]+)\s*[>\]]")  # Ann Lee <ann@x.org>
_WITH_REMARK = re.compile(r"([^\s@]+@[^\s@]+)\s*\([^()@]*\)")  # ann@x.org (work)
_MAIL_SCHEME = re.compile(r"^(?:mailto|smtp|e-?mail)\s*:\s*")
_QUOTES = "\"'\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a`\u00b4"


def clean_email(text: str | None) -> str | None:
    """The e-mail address, or the first of several, in lower case: mailboxes that differ only in case are the same."""
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
    for part in lines_of(text):
        address = _mailbox(part)
        found += [address] if address else map(_mailbox, _EMAIL_COMMAS.split(part))
    addresses = [address for address in found if address]
    if not addresses or len(addresses) < len(found):
        raise ValueError("is not an e-mail address")
    return list(dict.fromkeys(addresses))


def _mailbox(text: str) -> str | None:
    """The address of a text such as "Ann Lee <ann@x.org>"; None if it holds none, or two different ones."""
    if found := _MAILBOX.fullmatch(text):
        name, address = found[1], _address(found[2])
        return address if "@" not in name or _address(name) == address else None
    remark = _WITH_REMARK.fullmatch(text)
    return _address(remark[1] if remark else text)


def _address(text: str) -> str | None:
    """The text as an address; None if it is not one."""
    # A capital İ is an i in an address; its own lower case would be two characters.
    text = text.translate(_FULL_WIDTH).strip(f"{_QUOTES} ").rstrip(f"{_QUOTES} .")
    address = _MAIL_SCHEME.sub("", text.replace("\u0130", "i").replace("\u2019", "'").lower())
    well_formed = _EMAIL.fullmatch(address) and ".." not in address and ".@" not in address and address[0] not in "./"
    return address if well_formed and len(address) <= EMAIL_LENGTH else None
