"""Turns the properties of a card into values with known headings. Other properties get a heading of their own.

Of several telephone numbers, addresses and so on, the preferred one, or the first, has the plain heading ("Phone"); the
others have a number, their types and their label ("Phone 2 (work)"). A fax number has the heading "Fax". Pictures are
left out.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import inf

from tasks.crm.headings.table import heading_table
from tasks.crm.headings.text import is_known
from tasks.crm.readers.vcard_text import Property, divided, unescaped
from tasks.crm.rules.names import split_name

LEFT_OUT = frozenset({"photo", "logo", "sound", "key"})
_IGNORED = LEFT_OUT | {"version", "prodid", "profile", "kind", "x-addressbookserver-kind", "x-abshowas", "x-ablabel",
                       "x-abadr", "x-abuid"}  # fmt: skip
_HEADINGS = {
    "fn": "Full Name", "title": "Job Title", "role": "Role", "note": "Notes", "categories": "Tags", "bday": "Birthday",
    "uid": "UID", "url": "Website", "nickname": "Nickname", "anniversary": "Anniversary", "rev": "Last Modified",
    "gender": "Gender", "lang": "Language", "tz": "Time Zone", "impp": "IM", "tel": "Phone", "email": "Email",
    "label": "Address Text",
}  # fmt: skip
_LABELLED = {"x-abdate": "Date", "x-abrelatednames": "Related Name"}  # their labels become headings
# Property -> heading of further ones, and the headings of its parts in their order.
_STRUCTURES = {
    "n": ("Name", ("Last Name", "First Name", "Middle Name", "Prefix", "Suffix")),
    "adr": ("Address", ("PO Box", "Street 2", "Street", "City", "State", "Zip", "Country")),
    "org": ("Organization", ("Company", "Department")),
}
_NO_PHONES = {
    "Fax": re.compile("fax|faks|факс|φαξ|传真|傳真|팩스|פקס|فاكس"),
    "Pager": re.compile("pager"),
    "Modem": re.compile("modem|bbs"),
}
_NO_TYPES = frozenset({"pref", "voice", "internet", "other", "text", "postal", "parcel", "quoted-printable", "base64"})
_TYPES = _NO_TYPES | {"home", "work", "cell", "mobile", "iphone", "main", "msg", "car", "isdn", "video", "pcs", "dom",
                      "textphone", "intl", "x400", "homepage", "fax", "pager", "modem"}  # fmt: skip
_BUILT_IN = re.compile(r"_\$!<(.*)>!\$_")  # a label that Apple translates
_LIST = re.compile(r"(?<!\\),(?=\S)")  # separates values of a part (from 3.0 on); in a text a blank follows
_KINDS = frozenset({"kind", "x-addressbookserver-kind"})
_AS_SPOKEN = ("Prefix", "First Name", "Middle Name", "Last Name", "Suffix")
_SCHEME = re.compile(r"\A(?:tel|mailto):", re.IGNORECASE)
_OMITTED_YEAR = "X-APPLE-OMIT-YEAR"
_NO_CONTACTS = frozenset({"group", "location", "application", "device", "thing"})


class _Values(dict[str, str]):
    """The values of a card by heading."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = defaultdict[tuple[str, str], int](int)  # heading and remark -> the last number in use


def other_kind(card: Iterable[Property]) -> str | None:
    """The kind of a card that is neither of a person nor of an organisation: "group"; None for others."""
    if any(each.name in {"member", "x-addressbookserver-member"} for each in card):
        return "group"
    return _kind(card) if _kind(card) in _NO_CONTACTS else None


def values_of(card: Sequence[Property], *, is_old: bool) -> dict[str, str]:
    """The values of a card by heading. `is_old`: by the rules of version 2.1."""
    labels = {each.group: unescaped(each.value, is_old=is_old) for each in card if each.name == "x-ablabel"}
    values = _Values()
    for each in sorted(card, key=_preference):
        if each.name in _IGNORED:
            continue
        words = _words(each, labels.get(each.group, "") if each.group else "")
        if each.name in _STRUCTURES:
            _add_parts(values, each, words, is_old=is_old)
        elif text := _text(each, is_old=is_old):
            _add(values, each, words, text)
    _normalize_names(values, is_company=_is_company(card))
    return {heading: text for heading, text in values.items() if text}


def _add(values: "_Values", each: Property, words: list[str], text: str) -> None:
    """Add a property of one text."""
    heading = _heading(each, words)
    words = [] if each.name in _LABELLED else [word for word in words if word.casefold() != heading.casefold()]
    if values.get(heading) == text:
        return
    if heading not in values and (each.name in _HEADINGS or not words):
        values[heading] = text
        _add_label(values, heading, words)
    else:
        values[_further(values, heading, words)] = text


def _add_parts(values: "_Values", each: Property, words: list[str], *, is_old: bool) -> None:
    """Add the parts of a name, an address or an organisation; a further one as one value."""
    name, headings = _STRUCTURES[each.name]
    value = _LIST.sub(" ", each.value) if each.name == "n" and not is_old else each.value
    parts = [unescaped(part, is_old=is_old) for part in divided(value, ";")]
    if each.name == "org":
        parts = [parts[0], ", ".join(filter(None, parts[1:]))]
    headings += tuple(f"{name} Part {number}" for number, _ in enumerate(parts[len(headings) :], len(headings) + 1))
    found = {heading: part for heading, part in zip(headings, parts, strict=False) if part}
    if all(values.get(heading) == part for heading, part in found.items()):
        return
    if values.keys().isdisjoint(headings):
        values |= found
        _add_label(values, name, words)
    else:
        values[_further(values, name, words, first=2)] = ", ".join(found.values())


def _add_label(values: dict[str, str], heading: str, words: list[str]) -> None:
    """Add the user's label of the first number or address, which its heading does not have."""
    if own := [word for word in words if word.casefold() not in _TYPES]:
        values[f"{heading} Label"] = ", ".join(own)


def _further(values: "_Values", heading: str, words: list[str], first: int = 1) -> str:
    """An unused heading with a number: "Phone 2 (work)"."""
    remark = f" ({', '.join(words)})" if words else ""
    number = max(first, values.numbers[heading, remark])
    while (shown := f"{heading}{f' {number}' if number > 1 else ''}{remark}") in values or (
        number == 1 and heading in values
    ):
        number += 1
    values.numbers[heading, remark] = number
    return shown


def _heading(each: Property, words: list[str]) -> str:
    if each.name in _LABELLED:
        return _of_its_own(words[-1] if words else _LABELLED[each.name])
    if each.name == "tel":
        types = " ".join(words).casefold()
        return next((heading for heading, pattern in _NO_PHONES.items() if pattern.search(types)), "Phone")
    return _HEADINGS.get(each.name) or _of_its_own(each.name.title())


def _of_its_own(heading: str) -> str:
    """The heading, changed if the table of headings gives it another meaning."""
    return f"vCard {heading}" if is_known(heading, heading_table()) else heading


def _words(each: Property, label: str) -> list[str]:
    """The types in lower case and, at the end, the label."""
    built_in = _BUILT_IN.fullmatch(label)
    words = [*map(str.lower, each.parameters.get("TYPE", ())), built_in[1].lower() if built_in else label]
    if each.name in _LABELLED:
        return [built_in[1] if built_in else label] if label else []
    unique = {word.casefold(): word for word in reversed(words) if word and word.casefold() not in _NO_TYPES}
    return list(reversed(unique.values()))


def _text(each: Property, *, is_old: bool) -> str:
    value = each.value
    if each.name == "categories" and not is_old:
        return "; ".join(filter(None, (unescaped(part, is_old=False) for part in divided(value, ","))))
    text = unescaped(value, is_old=is_old)
    for year in each.parameters.get(_OMITTED_YEAR, ()):
        text = text.replace(f"{year}-", "--")
    return _SCHEME.sub("", text) if each.name in {"tel", "email"} else text


def _preference(each: Property) -> float:
    """The preference: 1 is preferred (4.0). TYPE=PREF (3.0) and PREF (2.1) mean the same."""
    numbers = [word for word in each.parameters.get("PREF", ()) if word.isdecimal()]
    if numbers:
        return float(numbers[0])
    preferred = "pref" in map(str.lower, each.parameters.get("TYPE", ()))
    return 1 if preferred or "PREF" in each.parameters else inf


def _kind(card: Iterable[Property]) -> str:
    return next((each.value.strip().lower() for each in card if each.name in _KINDS), "")


def _is_company(card: Iterable[Property]) -> bool:
    shown_as = [each.value.strip().lower() for each in card if each.name == "x-abshowas"]
    return "company" in shown_as or _kind(card) in {"org", "organization"}


def _normalize_names(values: dict[str, str], *, is_company: bool) -> None:
    """Move the name of a company to "Company", split a full name without parts, and remove one that repeats them."""
    full, first, last = (values.get(heading, "") for heading in ("Full Name", "First Name", "Last Name"))
    if is_company:
        named = " ".join(filter(None, (values.pop(heading, "") for heading in _AS_SPOKEN)))
        company = values.setdefault("Company", values.pop("Full Name", "") or named)
        shown = {"Person": named, "Shown As": values.pop("Full Name", "")}
        values |= {heading: text for heading, text in shown.items() if sorted(text.split()) != sorted(company.split())}
        return
    company = values.get("Company", "")
    if company and company == f"{first}{last}" and not (first and last):
        values |= {"First Name": "", "Last Name": ""}
        first = last = ""
    if not first and not last and full != company:
        values["First Name"], values["Last Name"] = (name or "" for name in split_name(full or None))
        first = last = full
    if full in {"", f"{first} {last}".strip(), f"{last} {first}".strip(), f"{last}, {first}", first, company}:
        values.pop("Full Name", None)
