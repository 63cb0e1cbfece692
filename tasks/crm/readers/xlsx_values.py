"""Turns the stored value, type and style of a cell of an .xlsx into the text that the cell shows."""

import datetime as dt
import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import floor, isfinite
from typing import NamedTuple
from xml.etree import ElementTree as ET  # expat 2.4.1 and later stop XML bombs

from tasks.crm.readers.cell import NOT_CALCULATED, Cell, ErrorCell
from tasks.crm.readers.number_formats import as_shown, is_date, is_duration, makes_text
from tasks.crm.readers.table import INVALID_CHARACTER, cell_text, is_storable
from tasks.crm.readers.xlsx_package import local_name

BLANKS = " \t\r\n"
_PRESERVE = "{http://www.w3.org/XML/1998/namespace}space"
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_ENTITY = re.compile("&(?:#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|(amp|lt|gt|quot|apos));")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_TEXTS = {"str", "inlineStr"}
_EPOCH = dt.datetime.fromisoformat("1899-12-30")  # of serials from 1900-03-01 on
_MILLISECONDS = 86_400_000  # of a day
_LEAP_DAY = 60  # the serial number of 1900-02-29, a day that did not exist
_DAYS_TO_1904 = 1462
_NO_DATE = ErrorCell("########")


class Shown(NamedTuple):
    """A cell as a person sees it."""

    text: str | None  # None: blank
    fault: str | None = None  # the reason if it cannot be used


class RawCell(NamedTuple):
    """A cell as it is stored in the XML."""

    reference: str  # "" if it has none
    kind: str  # attribute t; "n" if it has none
    style: int
    value: str | None  # None: the cell has no element for a value
    formula: bool
    rich: int | None  # index of its rich value, from 1


def unescaped(text: str) -> str:
    """The text of an XML document without entities, with line ends as XML defines them."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(found: re.Match[str]) -> str:
    if found[3]:
        return _ENTITIES[found[3]]
    code = int(found[1], 16) if found[1] else int(found[2])
    return chr(code) if code <= sys.maxunicode else found[0]


def decoded(text: str) -> Shown:
    """The text of a string cell, with the characters of escapes such as `_x000D_`."""
    if "_x" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")  # joins two halves
    if is_storable(text):
        return Shown(text or None)
    return Shown(text.encode("utf-8", "replace").decode(), INVALID_CHARACTER)


def raw_cell(element: ET.Element) -> RawCell:
    """The content of the element `c`."""
    children = {local_name(child.tag): child for child in element}
    value = None
    if "is" in children:
        value = string(children["is"])
    elif "v" in children:
        value = "".join(children["v"].itertext())
    style, rich = element.get("s", ""), element.get("vm", "")
    return RawCell(
        element.get("r", ""),
        element.get("t", "n"),
        int(style) if style.isascii() and style.isdigit() else 0,
        value,
        "f" in children,
        int(rich) if rich.isascii() and rich.isdigit() else None,
    )


def string(element: ET.Element) -> str:
    """The text of an `si` or `is`: of all its runs except phonetic ones."""
    runs = (run for child in element for run in (child if local_name(child.tag) == "r" else (child,)))
    texts = []
    for run in runs:
        if local_name(run.tag) == "t":
            text = "".join(run.itertext())
            texts.append(text if run.get(_PRESERVE) == "preserve" else text.strip(BLANKS))
    return "".join(texts)


class Values:
    """Turns stored values into texts, for one workbook."""

    def __init__(self, formats: Sequence[str], since_1904: bool, rich: Mapping[int, Shown] | None = None) -> None:
        """`formats`: the format code of each style; `rich`: rich values by their index."""
        self._formats, self._since_1904, self._rich = formats, since_1904, rich or {}
        self.plain = [not (is_date(code) or is_duration(code) or makes_text(code)) for code in formats]
        self._remembered = lru_cache(maxsize=1 << 16)(self._shown)  # dates and percentages are often repeated

    def shown(self, kind: str, style: int, value: str | None, formula: bool = False, rich: int | None = None) -> Shown:
        """The text of a cell that is not a shared string. For the arguments see `RawCell`."""
        if kind in _TEXTS:
            return decoded(value or "")
        return self._remembered(kind, style, value, formula, rich)

    def _shown(self, kind: str, style: int, value: str | None, formula: bool, rich: int | None) -> Shown:
        stripped = (value or "").strip(BLANKS)
        if kind == "e":
            text = stripped or "#ERROR"
            return Shown(text, f"shows {text}") if rich is None else self._rich.get(rich, Shown(None))
        if not stripped:
            return Shown(NOT_CALCULATED, f"shows {NOT_CALCULATED}") if formula else Shown(None)
        if kind == "n":
            return self._number(stripped, style)
        if kind in {"b", "d"}:
            return Shown(_iso(stripped) if kind == "d" else cell_text(stripped not in {"0", "false"}))
        return decoded(value or "")

    def _number(self, text: str, style: int) -> Shown:
        try:
            number = float(text)
        except ValueError:
            return decoded(text)
        code = self._formats[style] if style < len(self._formats) else ""
        if not isfinite(number):
            return Shown(text)
        if is_date(code) or is_duration(code):
            cell = moment(number, since_1904=self._since_1904, duration=is_duration(code))
            if isinstance(cell, ErrorCell):
                return Shown(cell.text, f"shows {cell.text}")
        else:
            cell = as_shown(number, code) or number
        try:
            return Shown(cell_text(cell))
        except ValueError as error:
            return Shown(f"{number:.15g}", str(error))


def moment(number: float, *, since_1904: bool, duration: bool) -> Cell:
    """The date, date and time, time or duration of a serial number; an error cell if there is none."""
    try:
        if duration:
            return dt.timedelta(milliseconds=floor(number * _MILLISECONDS + 0.5))
        serial = number + _DAYS_TO_1904 if since_1904 else number if number >= _LEAP_DAY else number + 1
        found = _EPOCH + dt.timedelta(milliseconds=floor(serial * _MILLISECONDS + 0.5))
    except OverflowError:
        return _NO_DATE
    if number < 0:
        return _NO_DATE
    return found.time() if number < 1 and (number or not since_1904) else found


def _iso(text: str) -> str:
    """The text of a date, a time or both as strict workbooks store them."""
    for kind in (dt.datetime, dt.time):
        try:
            return cell_text(kind.fromisoformat(text))
        except ValueError:
            continue
    return text
