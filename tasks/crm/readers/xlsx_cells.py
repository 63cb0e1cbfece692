"""Finds the rows of a sheet of an .xlsx in its bytes, ten times as fast as an XML parser.

All cells of a window are processed together, as arrays. Cells in an unusual form are parsed one by one. If a cell
cannot be assigned to a row, `UnusualXmlError` is raised, and `xlsx_parser` reads the sheet.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET  # expat 2.4.1 and later stop XML bombs

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.crm.readers.table import Block
from tasks.crm.readers.xlsx_blocks import LAST_COLUMN, LAST_ROW, Cells, blocks_of_cells, shown_in
from tasks.crm.readers.xlsx_bytes import Mask, Positions, Tags, UnusualXmlError
from tasks.crm.readers.xlsx_package import reference
from tasks.crm.readers.xlsx_strings import SharedStrings
from tasks.crm.readers.xlsx_values import Values, raw_cell, unescaped

_ALPHABET = 26  # letters
_DIGITS = 15  # that a number can store
_KINDS = ("n", "s", "b", "e", "d", "str", "inlineStr")  # as the attribute t has them
_N, _S, _E, _STR, _INLINE = 0, 1, 3, 5, 6
_ROW = re.compile(rb"<row(?=\s)[^<>]*?\sr\s*=\s*[\"']([0-9]{1,7})[\"']")
_HIDDEN = re.compile(rb"\shidden=\"(?:1|true)\"")


class Search:
    """Finds the cells of a sheet in its bytes, window by window."""

    def __init__(self, values: Values, strings: SharedStrings) -> None:
        self._values, self._strings = values, strings
        self._plain = np.array([*values.plain, True])  # also for a style that does not exist
        self.count = 0  # of the elements `row` that were read
        self.last = 0  # number of the last of them
        self.hidden = 0  # hidden rows that are not blank

    def blocks(self, window: bytes) -> Iterator[Block]:
        """The blocks of whole rows of XML. Raises UnusualXmlError before the first one."""
        tags = Tags(window)
        rows = tags.named(b"row")
        numbers = self._row_numbers(tags, rows)
        cells = self._cells(tags, rows, numbers)
        self.count += len(numbers)
        self.last = int(numbers[-1]) if len(numbers) else self.last
        hidden = self._hidden(tags, rows, numbers)
        for block in blocks_of_cells(cells, self._strings):
            self.hidden += int(np.isin(hidden, np.asarray(block.numbers)).sum()) if len(hidden) else 0
            yield block

    def _row_numbers(self, tags: Tags, rows: Positions) -> Positions:
        at = tags.at[rows] + 4
        numbers, ends = tags.number(at + 4, 7)
        usual = tags.follows(at, b' r="') & (tags.bytes[ends] == ord('"')) & (ends > at + 4)
        for index in np.flatnonzero(~usual).tolist():
            if not (found := _ROW.match(tags.window, int(at[index]) - 4)):
                raise UnusualXmlError
            numbers[index] = int(found[1])
        if len(numbers) and (numbers[0] <= self.last or numbers[-1] > LAST_ROW or (np.diff(numbers) <= 0).any()):
            raise UnusualXmlError
        return numbers

    def _hidden(self, tags: Tags, rows: Positions, numbers: Positions) -> Positions:
        if b"hidden" not in tags.window:
            return np.zeros(0, np.int64)
        at = np.array([found.start() for found in _HIDDEN.finditer(tags.window)], np.int64)
        tag = np.searchsorted(tags.at, at) - 1
        return numbers[np.isin(rows, tag)]

    def _cells(self, tags: Tags, rows: Positions, numbers: Positions) -> Cells:
        cells = tags.named(b"c")
        owner = np.searchsorted(rows, cells) - 1
        if len(owner) and owner[0] < 0:
            raise UnusualXmlError
        number = numbers[owner]
        usual, column, style, kind, ends, closed = _attributes(tags, cells, number)
        value, formula, blank = _children(tags, cells, ends, closed)
        inline, text_starts, kept = tags.text_element(cells + 2)
        inline &= (tags.first[cells + 1] == ord("i")) & (kind == _INLINE) & (value < 0)
        for offset, letter in ((3, "t"), (4, "i"), (5, "c")):
            inline &= tags.closes(cells + offset, letter)
        usual &= (blank & (kind != _E)) | (value >= 0) | inline
        has_value = usual & (value >= 0)
        of_usual = np.where(has_value, value - cells + 3, np.where(inline, 6, 2 - closed))
        self._account(tags, len(rows), cells, usual, of_usual)
        starts = np.where(has_value, tags.at[value] + 3, text_starts)
        ends = np.where(has_value, tags.at[value + 1], tags.at[cells + 3])
        is_text = usual & (inline | (has_value & (kind == _STR)))
        is_shared = has_value & (kind == _S) & (starts < ends)
        is_slow = has_value & ~is_text & ~is_shared
        parts = [
            self._shared(tags, np.flatnonzero(is_shared), starts, ends),
            self._texts(tags, np.flatnonzero(is_text), starts, ends, kept | has_value),
            *self._numbers(tags, np.flatnonzero(is_slow), starts, ends, kind, style, formula),
            self._unusual(tags, np.flatnonzero(~usual), cells, number, column),
        ]
        return _joined(parts, number, column)

    def _account(self, tags: Tags, rows: int, cells: Positions, usual: Mask, of_usual: Positions) -> None:
        """Raise UnusualXmlError if a tag belongs neither to a row nor to a cell."""
        ends = np.flatnonzero((tags.first == ord("/")) & (tags.second == ord("r")))
        known = rows + np.count_nonzero(tags.follows(tags.at[ends] + 3, b"ow")) + of_usual[usual].sum()
        for begin, end in self._spans(tags, cells, np.flatnonzero(~usual)):
            known += tags.window.count(b"<", begin, end)
        if known != tags.count:
            raise UnusualXmlError

    def _shared(self, tags: Tags, cells: Positions, starts: Positions, ends: Positions) -> "_Part":
        try:
            index = tags.slices(starts[cells], ends[cells]).cast(pa.int32())
        except pa.ArrowInvalid as error:
            raise UnusualXmlError from error
        found = np.asarray(index).astype(np.int64)
        if len(found) and not 0 <= found.min() <= found.max() < len(self._strings.texts):
            raise UnusualXmlError
        return _Part(cells, found)

    def _texts(self, tags: Tags, cells: Positions, starts: Positions, ends: Positions, kept: Mask) -> "_Part":
        texts, faults = tags.strings(starts[cells], ends[cells], kept[cells])
        return _Part(cells, None, texts, {int(cells[at]): fault for at, fault in faults.items()})

    def _numbers(
        self,
        tags: Tags,
        cells: Positions,
        starts: Positions,
        ends: Positions,
        kind: Positions,
        style: Positions,
        formula: Mask,
    ) -> list["_Part"]:
        """The cells that are not texts. Integers are used as they are; other values are converted once for each."""
        raw = tags.slices(starts[cells], ends[cells])
        length = (ends - starts)[cells]
        plain = (kind[cells] == _N) & self._plain[np.minimum(style[cells], len(self._plain) - 1)] & (length <= _DIGITS)
        plain &= (tags.bytes[starts[cells]] != ord("0")) | (length == 1)
        if plain.any():
            plain &= np.asarray(pc.ascii_is_decimal(raw))
        integers = _Part(cells[plain], None, raw.filter(pa.array(plain)))
        rest = np.flatnonzero(~plain)
        cells, encoded = cells[rest], raw.take(pa.array(rest)).dictionary_encode()
        asked = (np.asarray(encoded.indices).astype(np.int64) << 32) | (style[cells] << 4) | (kind[cells] << 1)
        _, first, which = np.unique(asked | formula[cells], return_index=True, return_inverse=True)
        values = encoded.dictionary.take(encoded.indices.take(pa.array(first))).to_pylist()
        of = cells[first]
        distinct = zip(kind[of].tolist(), style[of].tolist(), values, formula[of].tolist(), strict=True)
        shown = [
            self._values.shown(_KINDS[k], s, unescaped(value) if "&" in value else value, f)
            for k, s, value, f in distinct
        ]
        faulty = np.array([fault is not None for _, fault in shown], np.bool_)
        faults = {}
        if faulty.any():
            faults = {int(cells[at]): shown[which[at]].fault for at in np.flatnonzero(faulty[which]).tolist()}
        texts = pa.array([text for text, _ in shown], pa.string()).take(pa.array(which))
        return [integers, _Part(cells, None, texts, faults)]

    def _spans(self, tags: Tags, cells: Positions, some: Positions) -> list[tuple[int, int]]:
        """Where these cells begin and end."""
        borders, spans = np.append(tags.at[cells], tags.length), []
        for begin, limit in zip(borders[some].tolist(), borders[some + 1].tolist(), strict=True):
            end = tags.window.find(b">", begin, limit)
            if tags.window[end - 1] != ord("/"):
                end = tags.window.find(b"</c>", begin, limit) + 3
            if end < begin:
                raise UnusualXmlError
            spans.append((begin, end + 1))
        return spans

    def _unusual(self, tags: Tags, odd: Positions, cells: Positions, number: Positions, column: Positions) -> "_Part":
        """The cells in an unusual form, parsed one by one."""
        texts, faults = list[str | None](), dict[int, str]()
        for at, (begin, end) in zip(odd.tolist(), self._spans(tags, cells, odd), strict=True):
            try:
                cell = raw_cell(ET.fromstring(tags.window[begin:end]))  # noqa: S314 - see the import
            except ET.ParseError as error:
                raise UnusualXmlError from error
            placed = reference(cell.reference)
            if not placed or placed[0] != number[at] or placed[1] > LAST_COLUMN:
                raise UnusualXmlError
            column[at] = placed[1]
            text, fault = shown_in(cell, self._values, self._strings)
            texts.append(text)
            if fault:
                faults[at] = fault
        return _Part(odd, None, pa.array(texts, pa.string()), faults)


def _attributes(
    tags: Tags, cells: Positions, number: Positions
) -> tuple[Mask, Positions, Positions, Positions, Positions, Mask]:
    """For each tag `<c>`: whether it is usual, column, style, kind, last character, whether it has no content."""
    at = tags.at[cells] + 2
    usual = tags.follows(at, b' r="')
    at = at + 4
    column = np.zeros(len(at), np.int64)
    letter = np.ones(len(at), np.bool_)
    for _ in range(3):
        place = tags.bytes[at] - np.uint8(ord("A"))
        letter &= place < _ALPHABET
        column = np.where(letter, column * 26 + place + 1, column)
        at += letter
    row, at = tags.number(at, 7)
    usual &= (tags.bytes[at] == ord('"')) & (row == number) & (column > 0) & (column <= LAST_COLUMN + 1)
    at += 1
    style, at = _style(tags, at)
    kind, at = _kind(tags, at)
    if (late := tags.bytes[at] == ord(" ")).any():  # some write the type before the style
        style[late], at[late] = _style(tags, at[late])
    closed = tags.bytes[at] == ord("/")
    at += closed
    return usual & (tags.bytes[at] == ord(">")), column - 1, style, kind, at, closed


def _style(tags: Tags, at: Positions) -> tuple[Positions, Positions]:
    there = tags.follows(at, b' s="')
    style, end = np.zeros(len(at), np.int64), at.copy()
    value, ends = tags.number(at[there] + 4, 5)
    style[there], end[there] = value, ends + 1
    end[there] -= 2 * (tags.bytes[ends] != ord('"'))  # then the check of what follows fails, too
    return style, end


def _kind(tags: Tags, at: Positions) -> tuple[Positions, Positions]:
    there = np.flatnonzero(tags.follows(at, b' t="'))
    kind, end = np.zeros(len(at), np.int64), at.copy()
    first = tags.bytes[at[there] + 4]
    for number, name in enumerate(_KINDS):
        found = there[first == ord(name[0])]
        found = found[tags.follows(at[found] + 5, name[1:].encode() + b'"')]
        kind[found] = number
        end[found] += len(name) + 5
    return kind, end


def _children(tags: Tags, cells: Positions, ends: Positions, closed: Mask) -> tuple[Positions, Mask, Mask]:
    """For each cell: the index of its tag `<v>`, or -1; whether it has a formula; whether it is blank."""
    after = cells + 1
    formula = (tags.first[after] == ord("f")) & (
        (tags.second[after] == ord(">")) | (tags.second[after] == ord(" ")) | (tags.second[after] == ord("/"))
    )
    value = after + formula + (formula & tags.closes(after + 1, "f"))
    there = tags.opens(value, "v") & tags.closes(value + 1, "v") & tags.closes(value + 2, "c")
    there &= ~closed & (formula | (tags.at[after] == ends + 1))
    blank = closed | (tags.closes(after, "c") & (tags.at[after] == ends + 1))
    return np.where(there, value, -1), formula & there, blank


@dataclass
class _Part:
    """Some of the cells of a window."""

    cells: Positions
    shared: Positions | None
    texts: pa.StringArray | None = None
    faults: dict[int, str] = field(default_factory=dict)


def _joined(parts: list[_Part], number: Positions, column: Positions) -> Cells:
    """All cells of the parts, in the order of their places."""
    shared, own = np.full(len(number), -1), np.full(len(number), -1)
    texts, before = [pa.array([], pa.string())], 0
    faults: dict[int, str] = {}
    for part in parts:
        if part.texts is None:
            shared[part.cells] = part.shared
        else:
            own[part.cells] = np.arange(before, before + len(part.cells))
            texts.append(part.texts)
            before += len(part.cells)
        faults.update(part.faults)
    there = (shared >= 0) | (own >= 0)
    if faults:
        places = np.cumsum(there) - 1
        faults = {int(places[at]): fault for at, fault in faults.items()}
    return Cells(number[there], column[there], shared[there], own[there], pa.concat_arrays(texts), faults)
