"""Finds the members of an .xlsx, which is an archive with an index of its parts."""

import re
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from posixpath import join, normpath
from xml.etree import ElementTree as ET  # expat 2.4.1 and later stop XML bombs

from tasks.crm.readers.cell import SheetInfo
from tasks.crm.readers.number_formats import BUILT_IN, BUILT_IN_DATES

_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})")


def relations(archive: zipfile.ZipFile, of: str) -> dict[str, tuple[str, str]]:
    """The relations of a part: id -> (kind, member of the archive), of members that exist.

    Raises:
        KeyError, ET.ParseError: the list of relations cannot be read.
    """
    members = _members(archive)
    folder, _, file = of.rpartition("/")
    listed = archive.read(members[join(folder, "_rels", f"{file}.rels").lower()])
    found = {}
    for relation in ET.fromstring(listed):  # noqa: S314 - see the import
        target = relation.get("Target", "").replace("\\", "/")
        target = target[1:] if target.startswith("/") else normpath(join(folder, target))
        if target.lower() in members:
            kind = relation.get("Type", "").rpartition("/")[2]
            found[relation.get("Id", "")] = (kind, members[target.lower()])
    return found


@lru_cache(maxsize=1)
def _members(archive: zipfile.ZipFile) -> dict[str, str]:
    """The members of an archive by their names in lower case; once for all of its sheets."""
    return {member.lower(): member for member in archive.namelist()}


@dataclass(frozen=True)
class Package:
    """The members of an .xlsx that matter here."""

    sheets: list[SheetInfo]  # in the workbook's order
    parts: dict[str, str]  # name of the sheet -> the member that holds its cells
    formats: list[str]  # of numbers: the code of each style
    strings: str | None  # the member that holds the shared strings
    since_1904: bool  # whether dates are counted from 1904
    members: dict[str, str]  # the other parts: kind -> member


def package_of(archive: zipfile.ZipFile) -> Package:
    """The members of a workbook.

    Raises:
        KeyError, ValueError, ET.ParseError, zipfile.BadZipFile: the index of the workbook cannot be read.
    """
    try:
        workbook = next(target for kind, target in relations(archive, "").values() if kind == "officeDocument")
    except (KeyError, StopIteration, ET.ParseError):
        workbook = next(name for name in archive.namelist() if name.lower() == "xl/workbook.xml")  # the usual place
    targets = relations(archive, workbook)
    sheets, parts, since_1904 = [], {}, False
    for element in ET.fromstring(archive.read(workbook)).iter():  # noqa: S314 - see the import
        if local_name(element.tag) == "sheet":
            relation = next((value for key, value in element.items() if local_name(key) == "id"), "")
            kind, part = targets.get(relation, ("worksheet", ""))  # a missing one is an error when it is read
            if kind == "worksheet":
                name = element.get("name", "")
                sheets.append(SheetInfo(name, element.get("state", "visible") == "visible"))
                parts[name] = part
        elif local_name(element.tag) == "workbookPr":
            since_1904 = element.get("date1904") in {"1", "true", "on"}
    members = dict(targets.values())
    styles = members.get("styles")
    formats = _formats(archive.read(styles)) if styles else []
    strings = next((name for name in archive.namelist() if name.lower() == "xl/sharedstrings.xml"), None)
    return Package(sheets, parts, formats, members.get("sharedStrings", strings), since_1904, members)


def _formats(xml: bytes) -> list[str]:
    root = ET.fromstring(xml)  # noqa: S314 - see the import
    parts = {local_name(part.tag): part for part in root}
    codes = {_format(each): each.get("formatCode", "") for each in parts.get("numFmts", ())}
    codes = {**BUILT_IN, **BUILT_IN_DATES, **codes}
    return [codes.get(_format(each), "") for each in parts.get("cellXfs", ())]


def _format(element: ET.Element) -> int:
    number = element.get("numFmtId", "")
    return int(number) if number.isascii() and number.isdigit() else 0


def reference(text: str) -> tuple[int, int] | None:
    """The row, from 1, and the column, from 0, of a reference: (7, 1) for "B7"; None if it is not one."""
    found = _REFERENCE.fullmatch(text)
    if not found:
        return None
    return int(found[2]), column_index(found[1].encode())


@lru_cache(maxsize=1024)
def column_index(letters: bytes) -> int:
    """The index of a column, from 0: 1 for b"B"."""
    column = 0
    for letter in letters:
        column = column * 26 + letter - 64
    return column - 1


def local_name(tag: str) -> str:
    """A tag or an attribute without its namespace."""
    return tag.rpartition("}")[2]
