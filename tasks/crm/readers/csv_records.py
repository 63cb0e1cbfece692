"""Parses a delimited text with broken quotation marks: each broken line is a row with a fault.

A quotation mark that opens a cell and is not closed as in RFC 4180 would include the following rows. So only the first
line of a malformed record is rejected, and parsing continues with the next line.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple

_MAX_LINES = 1_000  # of a cell in such a text; a longer one counts as never closed
NEVER_CLOSES = "has a quotation mark that opens a cell and does not close it: close it, or double those inside a cell"
STRAY = "has a quotation mark inside a cell that is not in quotation marks: put the cell in them and double it"


class Record(NamedTuple):
    """One row."""

    cells: list[str]
    stray: bool = False  # there is a quotation mark inside an unquoted cell
    fault: str | None = None


class _Patterns(NamedTuple):
    cell: re.Pattern[str]
    closed: re.Pattern[str]
    rest: re.Pattern[str]
    well_formed: re.Pattern[str]
    quoted: re.Pattern[str]


@cache
def patterns(delimiter: str, quote: str) -> _Patterns:
    """The patterns of a cell in this dialect. Matching takes linear time."""
    d, q = re.escape(delimiter), re.escape(quote)
    inside = f"[^{q}]*+(?:{q}{q}[^{q}]*+)*+"
    one = rf"(?:{q}{inside}{q}|[^{d}{q}\r\n]*+)"
    return _Patterns(
        cell=re.compile(rf"(?:{q}({inside}){q}|(?!{q})([^{d}\r\n]*+))({d}|[\r\n]*+\Z)"),
        closed=re.compile(rf"{q}{inside}{q}"),
        rest=re.compile(rf"{inside}{q}"),
        well_formed=re.compile(rf"{one}(?:{d}{one})*+[\r\n]*+"),
        quoted=re.compile(rf"(?:\A|{d}){q}{inside}{q}(?=[{d}\r\n]|\Z)"),
    )


def is_formula_text(cell: str) -> bool:
    """Whether an unquoted cell is ="text", which keeps leading zeros in Excel."""
    return cell.startswith('="') and cell.endswith('"')


def recovered(
    lines: Iterable[str], delimiter: str, quote: str, contains_rows: Callable[[list[str]], bool]
) -> Iterator[Record]:
    """The records. `contains_rows` returns whether the cells of a record contain whole rows: then it is broken."""
    waiting, source = deque[str](), iter(lines)

    def line(number: int) -> str | None:
        while len(waiting) <= number:
            if (one := next(source, None)) is None:
                return None
            waiting.append(one)
        return waiting[number]

    while (first := line(0)) is not None:
        found = _record(line, delimiter, quote)
        if found is None or (found[1] > 1 and contains_rows(found[0].cells)):
            waiting.popleft()
            yield Record(first.rstrip("\r\n").split(delimiter), fault=NEVER_CLOSES)
        else:
            record, used = found
            for _ in range(used):
                waiting.popleft()
            yield record


def _record(line: Callable[[int], str | None], delimiter: str, quote: str) -> tuple[Record, int] | None:
    """The record that begins with the first line, and how many lines it has; None if it is malformed."""
    pattern, cells, stray, number, at = patterns(delimiter, quote), list[str](), False, 0, 0
    text = line(0) or ""
    if not text.strip("\r\n"):
        return Record([]), 1
    while True:
        if found := pattern.cell.match(text, at):
            cell = found[2] if found[1] is None else found[1].replace(quote * 2, quote)
            stray = stray or (found[1] is None and quote in cell and not is_formula_text(cell))
            end, at = found[3], found.end()
        elif pattern.closed.match(text, at) or (several := _over_lines(line, number, at + 1, pattern)) is None:
            return None
        else:
            cell, number, at = several
            cell, text = cell.replace(quote * 2, quote), line(number) or ""
            end = delimiter if text.startswith(delimiter, at) else ""
            if not end and text[at:].strip("\r\n"):
                return None
            at += len(end)
        cells.append(cell)
        if end != delimiter:
            return Record(cells, stray), number + 1


def _over_lines(
    line: Callable[[int], str | None], number: int, at: int, pattern: _Patterns
) -> tuple[str, int, int] | None:
    """A cell of several lines, the line in which it closes, and the place after it; None if it does not close."""
    parts = [(line(number) or "")[at:]]
    for further in range(number + 1, number + _MAX_LINES):
        if (text := line(further)) is None:
            return None
        if found := pattern.rest.match(text):
            return "".join([*parts, text[: found.end() - 1]]), further, found.end()
        parts.append(text)
    return None
