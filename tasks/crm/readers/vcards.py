"""Cards of people (.vcf, vCard 2.1 to 4.0) as a table with headings that the import knows.

vobject parses a card: folded lines, quoted-printable, the character sets of 2.1. Each card is parsed by itself, so that
a broken one is a row with a fault and no more. Of several telephone numbers or addresses the preferred one, else the
first, is "Phone" or "Email"; the others get columns of their own. The first card is row 2, below the headings.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.crm.readers.arrow_columns import number_column, text_column
from tasks.crm.readers.cell import Merge, SheetInfo
from tasks.crm.readers.encoding import find_encoding
from tasks.crm.readers.table import ROWS_IN_BLOCK, Block, Fault, is_storable

_BROKEN = "is a card (vCard) that cannot be read: export it again"
_CUT = "is a card (vCard) without an end: is the file complete?"
_PLAIN = {
    "title": "Job Title", "role": "Role", "note": "Notes", "categories": "Tags", "bday": "Birthday", "uid": "UID",
    "url": "Website", "nickname": "Nickname", "anniversary": "Anniversary", "rev": "Last Modified", "gender": "Gender",
    "lang": "Language", "tz": "Time Zone", "impp": "IM", "tel": "Phone", "email": "Email",
}  # fmt: skip  # property -> heading; a second value gets "Email 2", with its type "Email 2 (work)"
_NAMES = {
    "given": "First Name",
    "family": "Last Name",
    "additional": "Middle Name",
    "prefix": "Prefix",
    "suffix": "Suffix",
}
_ADDRESS = {
    "street": "Street", "extended": "Street 2", "box": "PO Box", "city": "City", "region": "State", "code": "Zip",
    "country": "Country",
}  # fmt: skip
_IGNORED = frozenset({"version", "prodid", "photo", "logo", "sound", "key", "label", "sort-string", "kind", "class",
                      "profile", "mailer", "source", "name", "agent"})  # fmt: skip
_FIRST = ("First Name", "Last Name", "Company", "Job Title", "Email", "Phone")
_NO_TYPES = frozenset({"PREF", "VOICE", "INTERNET", "OTHER", "TEXT", "POSTAL", "PARCEL"})
_BOUNDARY = re.compile(r"\s*(begin|end)[ \t]*:[ \t]*vcard\s*", re.IGNORECASE)
_URI = re.compile(r"(?:tel|mailto):", re.IGNORECASE)


class VCards:
    """A file of cards: one sheet."""

    merged: tuple[Merge, ...] = ()
    hidden_rows = 0
    hidden_columns: frozenset[int] = frozenset()

    def __init__(self, path: Path, name: str, encoding: str | None = None) -> None:
        """Read all cards. Raises RefusedError for a text of no or an undecided encoding."""
        found = find_encoding(path, encoding)
        self.encoding = found.label
        self.sheets = [SheetInfo(PurePosixPath(name).stem, visible=True)]
        with path.open(encoding=found.codec, newline=None) as file:
            cards = [_contact(*card) for card in _cards(file)]
        self._faults = [fault for _, fault in cards]
        self._cards = [values for values, _ in cards]
        headings = dict.fromkeys(_FIRST) | dict.fromkeys(heading for values in self._cards for heading in values)
        self._headings = [heading for heading in headings if any(heading in values for values in self._cards)]
        self.assumptions = [f"read as {self.encoding}"] if self.encoding else []
        self.assumptions += filter(None, [found.told])

    def blocks(self, sheet: str) -> Iterator[Block]:  # noqa: ARG002 - there is one
        """Blocks of the headings and the cards."""
        yield Block(number_column([1]), [text_column([heading]) for heading in self._headings])
        for first in range(0, len(self._cards), ROWS_IN_BLOCK):
            some = range(first, min(first + ROWS_IN_BLOCK, len(self._cards)))
            columns = [text_column([self._cards[at].get(each) for at in some]) for each in self._headings]
            faults = [Fault(row, None, fault) for row, at in enumerate(some) if (fault := self._faults[at])]
            yield Block(number_column(at + 2 for at in some), columns, faults)


def _cards(lines: Iterator[str]) -> Iterator[tuple[str, bool]]:
    """The text of each card, and whether it is whole."""
    card, before, depth = list[str](), "", 0
    for line in lines:
        boundary = _BOUNDARY.fullmatch(line.lstrip("\ufeff"))
        begins = boundary is not None and boundary[1].lower() == "begin"
        if begins and card and not before.lower().startswith("agent"):
            yield "".join(card), False
            card, depth = [], 0
        if begins or card:
            card.append(line.lstrip("\ufeff"))
        depth += (1 if begins else -1) if boundary and card else 0
        if card and depth == 0:
            yield "".join(card), True
            card = []
        before = line
    if card:
        yield "".join(card), False


def _contact(text: str, whole: bool) -> tuple[dict[str, str], str | None]:
    """What a card says, by heading, and what is wrong with it."""
    import vobject  # noqa: PLC0415 - a tenth of a second, for these files alone

    if not whole:
        return {}, _CUT
    try:
        card = vobject.readOne(text, validate=False, allowQP=True)
        values, seen = dict[str, str](), Counter[str]()
        for line in sorted(card.lines(), key=lambda line: not _is_preferred(line)):
            _add(values, seen, line)
    except Exception:  # noqa: BLE001 - whatever a broken card makes of the parser
        return {}, _BROKEN
    _complete_name(values)
    values = {heading: value for heading, value in values.items() if value}
    if not all(map(is_storable, values.values())):
        return {}, _BROKEN
    return values, None if values else "is a card (vCard) that says nothing"


def _add(values: dict[str, str], seen: Counter[str], line: Any) -> None:
    name, value = line.name.lower(), line.value
    if name in _IGNORED or name.startswith("x-ab") or isinstance(value, bytes) or not value:
        return
    if name == "n":
        for part, heading in _NAMES.items():
            values.setdefault(heading, _text(getattr(value, part)))
    elif name == "adr":
        parts = {heading: _text(getattr(value, part), "\n") for part, heading in _ADDRESS.items()}
        if any(parts.values()):
            suffix = _suffix(seen, line)
            values.update({f"{heading}{suffix}": part for heading, part in parts.items() if part})
    elif name == "org":
        units = [_text(unit) for unit in value]
        values.setdefault("Company", units[0])
        values.setdefault("Department", ", ".join(filter(None, units[1:])))
    else:
        heading = "Full Name" if name == "fn" else _PLAIN.get(name, line.name.title())
        text = _URI.sub("", _text(value, ", ") if name != "categories" else _text(value, "; "), count=1)
        if text and text != values.get(heading):
            values[f"{heading}{_suffix(seen, line)}"] = text


def _suffix(seen: Counter[str], line: Any) -> str:
    """What is put behind the heading of a further value: " 2", with the type of the value " 2 (home)"."""
    seen[line.name] += 1
    if seen[line.name] == 1:
        return ""
    shown = ", ".join(dict.fromkeys(each.lower() for each in _types(line) if each.upper() not in _NO_TYPES))
    return f" {seen[line.name]} ({shown})" if shown else f" {seen[line.name]}"


def _is_preferred(line: Any) -> bool:
    return "PREF" in {each.upper() for each in _types(line)} or bool(line.params.get("PREF"))


def _types(line: Any) -> list[str]:
    said = [*line.params.get("TYPE", []), *getattr(line, "singletonparams", [])]
    return [each.strip() for type_ in said for each in str(type_).split(",") if each.strip()]


def _complete_name(values: dict[str, str]) -> None:
    """The full name stays where it says more; without first and last name it is divided, unless it is the company."""
    full, first, last = (values.get(heading, "") for heading in ("Full Name", "First Name", "Last Name"))
    if not full:
        return
    if not first and not last and full != values.get("Company"):
        values["First Name"], _, values["Last Name"] = full.rpartition(" ")
    said = {f"{first} {last}".strip(), f"{last} {first}".strip(), f"{last}, {first}", values.get("Company")}
    if full in said or not (first or last):
        del values["Full Name"]


def _text(value: Any, between: str = " ") -> str:
    if isinstance(value, list | tuple):
        return between.join(filter(None, (_text(each, between) for each in value)))
    return str(value).replace("\r\n", "\n").replace("\\:", ":").strip()  # Google escapes the colon
