"""Searches the XML of a sheet, or of the shared strings, as windows of bytes and arrays of positions in them.

Excel, LibreOffice and the libraries that write .xlsx use the same few forms of tags. numpy finds them in the bytes ten
times as fast as an XML parser. Any other form raises `UnusualXmlError`; then an XML parser reads the sheet, with the
same result.
"""

import re
from collections.abc import Iterator
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.crm.readers.xlsx_values import BLANKS, decoded, unescaped

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

WINDOW = 1 << 20  # bytes, the first time
_LARGEST_WINDOW = 1 << 24
_MAX_ITEM_LENGTH = 64 << 20  # bytes of a row, or of a string
_TAGS_BEHIND = 8
_NINE = 9
_PADDING = b"<" * _TAGS_BEHIND + bytes(64)  # so that arrays can be read beyond the last tag
_ENCODING = re.compile(rb"<\?xml[^<>]*?encoding\s*=\s*[\"'](?!utf-8|us-ascii)", re.IGNORECASE)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")
_PRESERVED = b' xml:space="preserve">'


class UnusualXmlError(Exception):
    """The XML has a form that only an XML parser can read."""


def windows(stream: IO[bytes], container: bytes, item: bytes, items_at_once: int) -> Iterator[bytes]:
    """Windows of complete items (`row`) of the container (`sheetData`), without namespace prefixes.

    A window has about `items_at_once` items; the first one is smaller. Raises UnusualXmlError.
    """
    rest = stream.read(WINDOW)
    start = _start(rest, container)
    if start[2]:
        return
    prefix, size = start[1], 0
    end, end_of_item = b"</%s%s" % (prefix, container), b"</%s%s>" % (prefix, item)
    rest = rest[start.end() :]
    while True:
        at = rest.find(end)
        cut = at if at >= 0 else rest.rfind(end_of_item) + len(end_of_item)
        if at < 0 and cut < len(end_of_item):
            cut = 0
        window = rest[:cut]
        if window:
            yield window.replace(b"<" + prefix, b"<").replace(b"</" + prefix, b"</") if prefix else window
        if at >= 0:
            return
        if window and not size:
            size = len(window) * items_at_once // window.count(end_of_item)
        more = stream.read(min(max(size, WINDOW), _LARGEST_WINDOW))
        if not more or len(rest) - cut > _MAX_ITEM_LENGTH:
            raise UnusualXmlError
        rest = rest[cut:] + more


def _start(head: bytes, container: bytes) -> re.Match[bytes]:
    """The start tag of the container."""
    start = re.search(rb"<((?:\w+:)?)%s(?:\s[^<>]*?)?(/?)>" % container, head)
    if not start or head.startswith(_UTF_16) or _ENCODING.match(head.removeprefix(b"\xef\xbb\xbf")):
        raise UnusualXmlError
    if b"<!" in head[: start.start()]:
        raise UnusualXmlError
    return start


class Tags:
    """The tags of a window in their order, with some padding after the last one.

    Raises UnusualXmlError if there is a comment or the like, which can contain tags.
    """

    def __init__(self, window: bytes) -> None:
        self.length = len(window)
        self.window = window + _PADDING
        self.bytes: Bytes = np.frombuffer(self.window, np.uint8)
        self.at: Positions = np.flatnonzero(self.bytes == ord("<"))
        self.count = len(self.at) - _TAGS_BEHIND
        self.first: Bytes = self.bytes[self.at + 1]  # character of the name
        self.second: Bytes = self.bytes[self.at + 2]
        if ((self.first == ord("!")) | (self.first == ord("?"))).any():
            raise UnusualXmlError

    def named(self, name: bytes) -> Positions:
        """Indexes of the opening tags with a name of one or more letters."""
        found: Positions = np.flatnonzero(self.first == name[0])
        found = found[self.follows(self.at[found] + 2, name[1:])]
        after = self.bytes[self.at[found] + 1 + len(name)]
        whole: Mask = (after == ord(" ")) | (after == ord(">")) | (after == ord("/"))
        return found[whole]

    def opens(self, tags: Positions, letter: str) -> Mask:
        """For each of these tags, whether it is the start tag with this letter as its name, without attributes."""
        found: Mask = (self.first[tags] == ord(letter)) & (self.second[tags] == ord(">"))
        return found

    def closes(self, tags: Positions, letter: str) -> Mask:
        """For each of these tags, whether it is an end tag whose name begins with this letter."""
        found: Mask = (self.first[tags] == ord("/")) & (self.second[tags] == ord(letter))
        return found

    def follows(self, where: Positions, text: bytes) -> Mask:
        """For each position, whether the text is there."""
        found = np.ones(len(where), np.bool_)
        for offset, byte in enumerate(text):
            found &= self.bytes[where + offset] == byte
        return found

    def number(self, where: Positions, digits: int) -> tuple[Positions, Positions]:
        """The numbers of at most so many digits that begin at these positions, and where they end."""
        value, end = np.zeros(len(where), np.int64), where.copy()
        going = np.ones(len(where), np.bool_)
        for offset in range(digits):
            digit = self.bytes[where + offset] - np.uint8(ord("0"))  # a smaller byte wraps around to a large one
            going &= digit <= _NINE
            if not going.any():
                break
            value = np.where(going, value * 10 + digit, value)
            end += going
        return value, end

    def text_element(self, tags: Positions) -> tuple[Mask, Positions, Mask]:
        """For each tag, whether it is a usual `<t>`; where its text begins; whether its blanks are kept."""
        at = self.at[tags]
        plain = self.opens(tags, "t")
        kept = (self.first[tags] == ord("t")) & (self.second[tags] == ord(" "))
        if kept.any():
            kept[kept] = self.follows(at[kept] + 2, _PRESERVED)
        return plain | kept, at + np.where(kept, 2 + len(_PRESERVED), 3), kept

    def slices(self, starts: Positions, ends: Positions) -> pa.StringArray:
        """The texts between these positions, which ascend. They are not checked for valid UTF-8."""
        if not len(starts):
            return pa.array([], pa.string())
        offsets = np.empty(2 * len(starts), np.int32)
        offsets[::2], offsets[1::2] = starts, ends
        array = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(self.window))
        return array.take(pa.array(np.arange(0, len(offsets), 2, dtype=np.int32)))

    def strings(self, starts: Positions, ends: Positions, keep_blanks: Mask) -> tuple[pa.StringArray, dict[int, str]]:
        """The same as texts of cells, without entities and escapes ("" is null), and index -> reason of the faults."""
        found = self.slices(starts, ends)
        if not self.window.isascii():
            found.validate(full=True)
        odd = self._odd(starts, ends, keep_blanks) if len(starts) else starts
        if not len(odd):
            return found, {}
        shown = [
            decoded(unescaped(text) if keep else unescaped(text).strip(BLANKS))
            for text, keep in zip(found.take(pa.array(odd)).to_pylist(), keep_blanks[odd].tolist(), strict=True)
        ]
        mask = np.zeros(len(found), np.bool_)
        mask[odd] = True
        found = pc.replace_with_mask(found, pa.array(mask), pa.array([text for text, _ in shown], pa.string()))
        return found, {at: fault for at, (_, fault) in zip(odd.tolist(), shown, strict=True) if fault}

    def _odd(self, starts: Positions, ends: Positions, keep_blanks: Mask) -> Positions:
        """The indexes of the texts that must be converted."""
        blank = (self.bytes[starts] <= ord(" ")) | (self.bytes[ends - 1] <= ord(" "))
        odd = (starts == ends) | (blank & ~keep_blanks)
        for needle in (b"&", b"\r", b"_x"):
            if needle in self.window:
                where = np.flatnonzero(self.bytes == needle[0])
                where = where[self.follows(where, needle)]
                text = np.searchsorted(starts, where, "right") - 1
                odd[text[(text >= 0) & (where < ends[text])]] = True
        return np.flatnonzero(odd)
