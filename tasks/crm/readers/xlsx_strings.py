"""Reads the shared strings of an .xlsx."""

import zipfile
from dataclasses import dataclass, field
from typing import IO
from xml.etree import ElementTree as ET  # expat 2.4.1 and later stop XML bombs

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.crm.readers.xlsx_bytes import Mask, Positions, Tags, UnusualXmlError, windows
from tasks.crm.readers.xlsx_package import local_name
from tasks.crm.readers.xlsx_values import decoded, string

_AT_ONCE = 50_000


@dataclass(frozen=True)
class SharedStrings:
    """All shared strings in their order."""

    texts: pa.StringArray  # "" is null
    faults: dict[int, str] = field(default_factory=dict)  # index -> reason


def shared_strings(archive: zipfile.ZipFile, member: str | None) -> SharedStrings:
    """The shared strings in this member of the archive; none if it is None.

    Raises:
        ET.ParseError, pa.ArrowInvalid, zipfile.BadZipFile: the member is damaged.
    """
    if member is None:
        return SharedStrings(pa.array([], pa.string()))
    try:
        with archive.open(member) as stream:
            return _joined([_searched(window) for window in windows(stream, b"sst", b"si", _AT_ONCE)])
    except UnusualXmlError:
        with archive.open(member) as stream:
            return _joined(_parsed(stream))


def _joined(parts: list[tuple[pa.StringArray, dict[int, str]]]) -> SharedStrings:
    faults, before = {}, 0
    for texts, faulty in parts:
        faults.update({before + index: fault for index, fault in faulty.items()})
        before += len(texts)
    return SharedStrings(pa.concat_arrays([texts for texts, _ in parts] or [pa.array([], pa.string())]), faults)


def _searched(window: bytes) -> tuple[pa.StringArray, dict[int, str]]:
    tags = Tags(window)
    items = tags.named(b"si")
    usual, starts, kept = tags.text_element(items + 1)
    usual &= tags.bytes[tags.at[items] + 3] == ord(">")
    usual &= tags.closes(items + 2, "t") & tags.closes(items + 3, "s")
    ends = np.where(usual, tags.at[items + 2], starts)
    texts, faults = tags.strings(starts, ends, kept)
    return (texts, faults) if usual.all() else _with_the_rest(tags, items, usual, texts, faults)


def _with_the_rest(
    tags: Tags, items: Positions, usual: Mask, texts: pa.StringArray, faults: dict[int, str]
) -> tuple[pa.StringArray, dict[int, str]]:
    """Add the strings that have runs or attributes, parsed one by one."""
    borders = [*tags.at[items].tolist(), tags.length]
    shown = {}
    for index in np.flatnonzero(~usual).tolist():
        try:
            shown[index] = decoded(string(ET.fromstring(tags.window[borders[index] : borders[index + 1]])))  # noqa: S314
        except ET.ParseError as error:
            raise UnusualXmlError from error
    found = pc.replace_with_mask(texts, pa.array(~usual), pa.array([text for text, _ in shown.values()], pa.string()))
    return found, faults | {index: fault for index, (_, fault) in shown.items() if fault}


def _parsed(stream: IO[bytes]) -> list[tuple[pa.StringArray, dict[int, str]]]:
    parts, texts, faults = [], list[str | None](), dict[int, str]()
    root: ET.Element | None = None
    for event, element in ET.iterparse(stream, events=("start", "end")):  # noqa: S314 - see the import
        if root is None:
            root = element
        if event == "end" and local_name(element.tag) == "si":
            text, fault = decoded(string(element))
            if fault:
                faults[len(texts)] = fault
            texts.append(text)
            root.clear()
            if len(texts) == _AT_ONCE:
                parts.append((pa.array(texts, pa.string()), faults))
                texts, faults = [], {}
    return [*parts, (pa.array(texts, pa.string()), faults)]
