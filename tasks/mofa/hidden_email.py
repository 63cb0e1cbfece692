"""E-mail addresses that a page hides from robots, as a reader sees them.

Cloudflare puts the address, XORed with its first byte, into an attribute and shows "[email protected]"; scripts of the
page show it to a reader. Other pages write "info [at] example.org".
"""

import re

from bs4 import BeautifulSoup
from bs4.element import NavigableString

_ATTRIBUTE = "data-cfemail"
_LINK = "/cdn-cgi/l/email-protection"  # with # and the code, unless the code is in the attribute
_AT = re.compile(r"[\[({<]\s*+(?:at|ät|arroba|arobase|собака|@)\s*+[\])}>]", re.IGNORECASE)
_DOT = re.compile(r"[\[({<]\s*+(?:dot|punkt|punto|point|\.)\s*+[\])}>]", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s@<>;,:()\[\]]@[^\s@<>;,:()\[\]]+\.[^\s@<>;,:()\[\]]")  # a part of one


def may_hide(text: str) -> bool:
    """Whether the text of a page has an address that `reveal` may find."""
    return _ATTRIBUTE in text or _LINK in text


def reveal(tree: BeautifulSoup) -> None:
    """Replace each address that Cloudflare hides in the tree by the address itself, in its text and in its links."""
    for tag in tree.select(f"[{_ATTRIBUTE}]"):
        if address := decoded(str(tag[_ATTRIBUTE])):
            tag.clear()
            tag.append(NavigableString(address))
            del tag[_ATTRIBUTE]
            if _LINK in str(tag.get("href", "")):
                tag["href"] = f"mailto:{address}"
    for tag in tree.select(f'a[href*="{_LINK}"]'):
        if address := decoded(str(tag["href"]).partition("#")[2]):
            tag["href"] = f"mailto:{address}"


def decoded(code: str) -> str | None:
    """The address in Cloudflare's code, or None if it is no such code."""
    try:
        key, *rest = bytes.fromhex(code)
        address = bytes(each ^ key for each in rest).decode()
    except ValueError:
        return None
    return address if _ADDRESS.search(address) else None


def shown_addresses(text: str) -> str:
    """The text with @ for [at] and . for [dot]."""
    return _replaced(_DOT, ".", _replaced(_AT, "@", text))


def _replaced(pattern: re.Pattern[str], sign: str, text: str) -> str:
    """The text with the sign for each match and the blanks around it."""
    first, *rest = pattern.split(text)
    if not rest:
        return text
    return sign.join([first.rstrip(), *(part.strip() for part in rest[:-1]), rest[-1].lstrip()])


def as_email(text: str) -> str:
    """The e-mail addresses of a cell as written, with @ for [at] and without mailto:.

    Raises ValueError if there is text but no address in it: then it is hidden in a way that is not known, or it stands
    somewhere else.
    """
    shown = "\n".join(_without_scheme(line) for line in shown_addresses(text).splitlines())
    if shown.strip() and not _ADDRESS.search(shown):
        raise ValueError("no e-mail address is in the text, perhaps it is hidden")
    return shown


def _without_scheme(line: str) -> str:
    if not line.strip().casefold().startswith("mailto:"):
        return line
    return line.strip()[len("mailto:") :].partition("?")[0]
