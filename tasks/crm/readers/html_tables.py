"""Reads the tables of a web page, which Salesforce, SAP and many others export as .xls.

Each table is a sheet, except tables that only contain others for the layout. The text of a cell is the one that a
browser shows or, if the cell has it, the one that Excel shows. pandas.read_html is not used because it makes numbers
and blanks of texts ("007", "NA", "1e5").
"""

import re
from collections.abc import Container, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from lxml import etree, html

from tasks.crm.readers.budget import Budget
from tasks.crm.readers.cell import Cell, Merge, Row, SheetInfo
from tasks.crm.readers.encoding import Encoding, find_encoding
from tasks.crm.readers.file_kinds import SAVE_AS
from tasks.crm.readers.refused import UnreadableError
from tasks.crm.readers.table import Block, blocks_of

_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*+[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_BEGINNING = 1 << 14  # bytes in which a page can declare its encoding
_MAX_COLUMNS = 16_384  # of Excel
_BLANKS = re.compile(r"[ \t\r\n\f\u00a0]+")
_BREAKS = frozenset({"br", "p", "div", "li", "tr"})
_CELLS = ("td", "th")
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)", re.IGNORECASE)
_MEDIA = re.compile(r"@media[^{}@]*+\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")  # rules for print and small screens
_RULE = re.compile(r"(?:\A|(?<=[{}]))([^{}]*+)\{([^{}]*+)\}")
_CLASS = re.compile(r"\w*\.([\w-]+)")
_NO_TEXT_INPUTS = frozenset({"hidden", "password", "checkbox", "radio", "button", "submit", "reset", "image", "file"})
_SIGN_IN = "is a web page that asks to sign in, not a workbook: sign in, download the file and import that"
_NO_TABLE = f"is a web page without a table of data, not a workbook: if it shows your table in a browser, {SAVE_AS}"
_CUT = "is a web page that ends inside a table: export it again"


class HtmlTables:
    """A web page. It has a sheet for each table."""

    def __init__(self, path: Path, name: str, budget: Budget, encoding: str | None = None) -> None:
        """Parse the page. Raises UnreadableError: no table, a form to sign in, incomplete, or an unknown encoding."""
        self._budget = budget
        self._encoding = _encoding_of(path, encoding)
        self.encoding = self._encoding.label
        self.assumptions = [f"read as {self.encoding}"] if self.encoding else []
        self.merged: list[Merge] = []
        self.hidden_rows = 0
        self.hidden_columns: frozenset[int] = frozenset()
        text = path.read_bytes().decode(self._encoding.codec).lstrip("\ufeff")
        lower = text.lower()
        self._rows_of = _data_tables(text)
        if not self._rows_of:
            raise UnreadableError(_SIGN_IN if _asks_to_sign_in(lower) else _NO_TABLE)
        if lower.count("<table") > lower.count("</table"):
            raise UnreadableError(_CUT)
        stem, several = PurePosixPath(name).stem, len(self._rows_of) > 1
        names = [f"Table {number}" if several else stem for number in range(1, len(self._rows_of) + 1)]
        self._tables = dict(zip(names, self._rows_of, strict=True))
        self.sheets = [SheetInfo(each, visible=True) for each in names]

    def blocks(self, sheet: str) -> Iterator[Block]:
        """Blocks of the rows of a table."""
        self.merged, self.hidden_rows = [], 0
        table = self._tables[sheet]
        self.hidden_columns = frozenset(_hidden_columns(table))
        return blocks_of(self._rows(self._rows_of[table]))

    def _rows(self, rows: Sequence[Any]) -> Iterator[Row]:
        covered: dict[int, int] = {}  # column -> last row that a cell above covers
        hidden = set(self.hidden_columns)
        for number, row in enumerate(rows, 1):
            self.hidden_rows += _is_hidden(row) or _is_hidden(row.getparent())
            cells: list[Cell] = []
            for cell in row.iterchildren(*_CELLS):
                while covered.get(len(cells), 0) >= number:
                    cells.append(None)
                width, height = _span(cell, "colspan"), _span(cell, "rowspan")
                left = len(cells)
                if _is_hidden(cell):
                    hidden.add(left)
                cells.append(_text(cell) or None)
                spanned = max(min(width - 1, _MAX_COLUMNS - len(cells)), 0)
                self._budget.fill(spanned)
                cells.extend([None] * spanned)
                if width > 1 or height > 1:
                    self.merged.append((number, number + height - 1, left, left + width - 1))
                if height > 1:
                    covered.update(dict.fromkeys(range(left, min(left + width, _MAX_COLUMNS)), number + height - 1))
            if len(hidden) > len(self.hidden_columns):
                self.hidden_columns = frozenset(hidden)
            if any(cell is not None for cell in cells):
                yield number, cells


def _encoding_of(path: Path, given: str | None) -> Encoding:
    """The encoding that the user gave, of the byte order mark, or that the page declares; else as for any text."""
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    stated = _META.search(beginning)
    if not given and stated and not beginning.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        meant = {
            "iso-8859-1": "cp1252",
            "us-ascii": "utf-8",
            "utf-16": "utf-8",
            "unicode": "utf-8",
            "gb2312": "gb18030",
        }
        codec = stated[1].decode("ascii").lower()
        try:
            return find_encoding(path, meant.get(codec, codec))
        except UnreadableError:
            pass  # many pages declare a wrong encoding
    return find_encoding(path, given)


def _data_tables(text: str) -> dict[Any, list[Any]]:
    """The tables with data and their rows: with several cells, and no other table in the only cell of a row."""
    if not text.strip():
        return {}
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        page = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return {}
    _mark_hidden(page)
    etree.strip_elements(page, "script", "style", "noscript", "template", "datalist", with_tail=False)
    rows_of, around = _rows_of_tables(page)
    found = {table: rows for table, rows in rows_of.items() if _is_data(rows, around)}
    if _asks_to_sign_in(text.lower()) and not any(table.find(".//input") is None for table in found):
        return {}
    return found


def _rows_of_tables(page: Any) -> tuple[dict[Any, list[Any]], set[Any]]:
    """The tables, each with its rows but not those of the tables inside it, and the rows that hold a table."""
    rows_of: dict[Any, list[Any]] = {}
    around: set[Any] = set()
    open_tables, open_rows = list[Any](), list[Any]()
    for event, element in etree.iterwalk(page, events=("start", "end"), tag=("table", "tr")):
        opened = open_tables if element.tag == "table" else open_rows
        if event == "end":
            opened.pop()
            continue
        if element.tag == "table":
            rows_of[element] = []
            around.update(open_rows[-1:])
        elif open_tables:
            rows_of[open_tables[-1]].append(element)
        opened.append(element)
    return rows_of, around


def _is_data(rows: Sequence[Any], around: Container[Any]) -> bool:
    if any(row in around and sum(1 for _ in row.iterchildren(*_CELLS)) == 1 for row in rows):
        return False
    return any(_several_cells(row) for row in islice((row for row in rows if row not in around), 100))


def _several_cells(row: Any) -> bool:
    return sum(1 for cell in row.iterchildren(*_CELLS) if _text(cell)) > 1 or row.find("th") is not None


def _mark_hidden(page: Any) -> None:
    """Mark the elements that the style sheets of the page hide by their class."""
    sheets = _MEDIA.sub("", " ".join(style.text or "" for style in page.iter("style")))
    hiding = [selectors for selectors, rule in _RULE.findall(sheets) if _HIDDEN.search(rule)]
    selectors = [selector.strip() for each in hiding for selector in each.split(",")]
    classes = {found[1] for selector in selectors if (found := _CLASS.fullmatch(selector))}
    for element in page.iter(etree.Element) if classes else ():
        if classes & set(element.get("class", "").split()):
            element.set("hidden", "")


def _is_hidden(element: Any) -> bool:
    style = element.get("style")
    return element.get("hidden") is not None or bool(style and _HIDDEN.search(style))


def _hidden_columns(table: Any) -> Iterator[int]:
    """The columns that the table declares as hidden, as Excel writes it."""
    left = 0
    for column in table.iter("col"):
        width = _span(column, "span")
        yield from range(left, left + width) if _is_hidden(column) else ()
        left += width


def _asks_to_sign_in(lower: str) -> bool:
    return bool(re.search(r"<input[^>]{0,500}type\s*=\s*[\"']?password", lower))


def _span(cell: Any, name: str) -> int:
    stated = cell.get(name, "1").strip()
    is_number = stated.isascii() and stated.isdigit() and len(stated) <= len(str(_MAX_COLUMNS))
    return min(max(int(stated), 1), _MAX_COLUMNS) if is_number else 1


def _text(cell: Any) -> str:
    """The text of a cell, with the line breaks of its tags; other whitespace is collapsed."""
    if for_excel := cell.get("x:str"):  # the text that Excel shows, if a browser shows another one
        return str(for_excel).strip()
    if not len(cell):
        return _BLANKS.sub(" ", cell.text or "").strip()
    lines = (re.sub(" +", " ", line).strip() for line in "".join(_pieces(cell)).split("\n"))
    return "\n".join(lines).strip("\n")


def _pieces(element: Any) -> Iterator[str]:
    """The texts inside an element that a browser shows."""
    yield _BLANKS.sub(" ", element.text or "")
    for child in element.iterchildren(etree.Element):
        yield "\n" if child.tag in _BREAKS else " " if child.tag in _CELLS else ""
        if _is_hidden(child):
            pass
        elif child.tag == "select":
            options = list(child.iter("option"))
            chosen = [option for option in options if option.get("selected") is not None]
            yield "; ".join(map(_text, chosen or options[:1]))
        elif child.tag == "input" and child.get("type", "").lower() not in _NO_TEXT_INPUTS:
            yield child.get("value", "")
        else:
            yield from _pieces(child)
        yield _BLANKS.sub(" ", child.tail or "")
