"""Reads the rich values of an .xlsx: pictures in cells, places, stocks. The cell itself has only a hidden #VALUE!.

The attribute vm of a cell is an index into the value metadata, which have an index into the future metadata, which have
one into the rich values. One key of their structure is the text that Excel shows ([MS-XLSX] 2.3.3 and 2.6.205 to
2.6.213).
"""

import zipfile
from collections.abc import Mapping
from xml.etree import ElementTree as ET  # expat 2.4.1 and later stop XML bombs

from tasks.crm.readers.xlsx_package import local_name
from tasks.crm.readers.xlsx_values import Shown

_DISPLAYED = "_DisplayString"
_ERROR = "_error"  # newer errors are rich values too
_ERRORS = {"8": "#SPILL!", "9": "#CONNECT!", "10": "#BLOCKED!", "11": "#UNKNOWN!", "12": "#FIELD!", "13": "#CALC!"}


def rich_values(archive: zipfile.ZipFile, members: Mapping[str, str]) -> dict[int, Shown]:
    """The texts of the rich values of a workbook by the vm of a cell, without those that have no text.

    Args:
        archive: the workbook.
        members: kind of a part -> the member of the archive that holds it.

    Raises ET.ParseError or zipfile.BadZipFile when a part is damaged.
    """
    kinds = ("sheetMetadata", "rdRichValue", "rdRichValueStructure")
    if not all(kind in members for kind in kinds):
        return {}
    metadata, values, structures = (
        ET.fromstring(archive.read(members[kind]))  # noqa: S314 - see the import
        for kind in kinds
    )
    shown = _shown(values, structures)
    types = [each.get("name") for each in _all(metadata, "metadataType")]
    futures = {
        each.get("name"): [[int(rich.get("i", -1)) for rich in _all(bk, "rvb")] for bk in _children(each, "bk")]
        for each in _all(metadata, "futureMetadata")
    }
    found = {}
    blocks = (bk for each in _all(metadata, "valueMetadata") for bk in _children(each, "bk"))
    for number, block in enumerate(blocks, 1):
        for record in _children(block, "rc"):
            kind, at = int(record.get("t", 0)) - 1, int(record.get("v", -1))
            future = futures.get(types[kind], []) if 0 <= kind < len(types) else []
            for index in future[at] if 0 <= at < len(future) else ():
                if index in shown:
                    found[number] = shown[index]
    return found


def _shown(values: ET.Element, structures: ET.Element) -> dict[int, Shown]:
    kinds = [(each.get("t"), [key.get("n") for key in _children(each, "k")]) for each in _children(structures, "s")]
    found = {}
    for index, value in enumerate(_children(values, "rv")):
        structure = int(value.get("s", -1))
        kind, keys = kinds[structure] if 0 <= structure < len(kinds) else (None, [])
        texts = dict(zip(keys, ((each.text or "").strip() for each in _children(value, "v")), strict=False))
        if kind == _ERROR:
            error = _ERRORS.get(texts.get("errorType", ""), "#VALUE!")
            found[index] = Shown(error, f"shows {error}")
        elif texts.get(_DISPLAYED):
            found[index] = Shown(texts[_DISPLAYED])
    return found


def _all(element: ET.Element, name: str) -> list[ET.Element]:
    return [each for each in element.iter() if local_name(each.tag) == name]


def _children(element: ET.Element, name: str) -> list[ET.Element]:
    return [each for each in element if local_name(each.tag) == name]
