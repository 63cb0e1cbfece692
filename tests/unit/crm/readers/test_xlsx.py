"""Sheets of .xlsx whose XML is written here: what is found in the bytes is what an XML parser finds."""

import datetime as dt
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
import xlsxwriter
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.table import Table, TableColumn
from support.cells import refusal, rows_of, shown_rows
from support.xlsx import MAIN, OFFICE, workbook_with_rows_xml

from tasks.crm.readers import xlsx, xlsx_bytes, xlsx_parser, xlsx_strings
from tasks.crm.readers.cell import NOT_CALCULATED, ErrorCell
from tasks.crm.readers.table import INVALID_CHARACTER, Block
from tasks.crm.readers.workbook import WorkbookError, open_workbook
from tasks.crm.readers.xlsx_bytes import UnusualXmlError, windows
from tasks.crm.readers.xlsx_cells import Search
from tasks.crm.readers.xlsx_parser import Parser
from tasks.crm.readers.xlsx_strings import SharedStrings, shared_strings
from tasks.crm.readers.xlsx_values import Values

FORMATS = ["", "yyyy-mm-dd", "00000", "0%", "[h]:mm", "hh:mm"]
STRINGS = SharedStrings(pa.array(["Zoë", None, "b\ufffdd"]), {2: INVALID_CHARACTER})
CELL_FORMS = [
    "<c r='{}'/>",
    "<c r='{}' t='e'><v>#N/A</v></c>",
    '<c r="{}"><v>1</v></c>',
    '<c r="{}"></c>',
    '<c r="{}" s="3" />',
    '<c r="{}" t="s"><v>0</v></c>',
    '<c r="{}" s="1" t="s"><v>1</v></c>',
    '<c r="{}" t="s" s="1"><v>2</v></c>',
    '<c r="{}" t="s"><v></v></c>',
    '<c r="{}" t="e"><v>#REF!</v></c>',
    '<c r="{}" t="e" vm="1"><v>#VALUE!</v></c>',
    '<c r="{}" t="e" vm="2"><v>#VALUE!</v></c>',
    '<c r="{}" t="e"/>',
    '<c r="{}"><f>"e"</f></c>',
    '<c r="{}" s="1"><f>1</f><v>45351</v></c>',
    '<c r="{}" s="2"><f aca="false">A1&lt;2</f><v>7</v></c>',
    '<c r="{}"><f t="shared" si="0"/><v>7</v></c>',
    '<c r="{}"><f/> <v/></c>',
    '<c r="{}" t="str"><f>1</f><v/></c>',
    '<c r="{}" t="str"><f>1</f><v> a_x000D_&amp;b </v></c>',
    '<c r="{}" t="str"><v>_xD83D_</v></c>',
    '<c r="{}" t="str"><v>_xD83D__xDE00_ _x005F_x0041_</v></c>',
    '<c r="{}" t="inlineStr"><is><t>t="e" &lt;f></t></is></c>',
    '<c r="{}" t="inlineStr"><is><t xml:space="preserve"> a&#10;\r\nb\t</t></is></c>',
    '<c r="{}" t="inlineStr"><is><t> Größe </t></is></c>',
    '<c r="{}" t="inlineStr"><is><t> </t></is></c>',
    '<c r="{}" t="inlineStr"><is><t/></is></c>',
    '<c r="{}" t="inlineStr"><is><r><rPr><b/></rPr><t>a</t></r><r><t>b</t></r><rPh sb="0"><t>X</t></rPh></is></c>',
    '<c r="{}" t="inlineStr"><f>1</f><is><t>x</t></is></c>',
    '<c r="{}" t="inlineStr"><v>plain</v></c>',
    '<c r="{}" t="unheard"><v>5</v></c>',
    '<c r="{}" t="b"><v>1</v></c>',
    '<c r="{}" t="b"><f>1</f><v>0</v></c>',
    '<c r="{}" t="d"><v>2024-02-29T13:30:00</v></c>',
    '<c s="2" r="{}"/>',
    "<c r='{}' s='2'><v>7</v></c>",
    '<c r="{}" s="2" t="n"><f>1</f></c>',
    '<c r="{}" s="2" t="n"><v>7</v></c>',
    '<c r="{}" s="3"><v>0.25</v></c>',
    '<c r="{}" s="1"><v>60</v></c>',
    '<c r="{}" s="1"><v>-3</v></c>',
    '<c r="{}" s="4"><v>1.5</v></c>',
    '<c r="{}" s="5"><v>0.75</v></c>',
    '<c r="{}" s="99"><v>007</v></c>',
    '<c r="{}" s=""><v>5</v></c>',
    '<c r="{}" s="123456"><v>5</v></c>',
    '<c r="{}"><v>0</v></c>',
    '<c r="{}"><v>-12</v></c>',
    '<c r="{}"><v>1.50</v></c>',
    '<c r="{}"><v>1E3</v></c>',
    '<c r="{}"><v>0.1000000000000001</v></c>',
    '<c r="{}"><v>123456789012345</v></c>',
    '<c r="{}"><v>12345678901234567</v></c>',
    '<c r="{}"><v>abc &amp; d</v></c>',
    '<c r="{}"><v> 5 </v></c>',
    '<c r="{}"><v xml:space="preserve">5</v></c>',
    '<c r="{}" cm="1"><f t="array" ref="A1">1</f><v>2</v></c>',
    '<c r="{}">\n  <v>6</v>\n</c>',
    '<c r="{}"><extLst><ext/></extLst><v>6</v></c>',
]
ROW_FORMS = ['<row r="{}">', '<row r="{}" spans="1:3" hidden="1">', "<row spans='1:3' r='{}'>", '<row ht="1" r="{}" >']


def sheet_xml(rows: str) -> bytes:
    return f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'.encode()


def values() -> Values:
    from tasks.crm.readers.xlsx_values import Shown

    return Values(FORMATS, since_1904=False, rich={2: Shown("France")})


def flat(blocks: Iterable[Block]) -> tuple[list[object], list[object]]:
    """All rows, and all faults by the number of their row."""
    blocks = list(blocks)
    rows = [row for block in blocks for row in block.rows()]
    return rows, [(block.numbers[at].as_py(), *rest) for block in blocks for at, *rest in block.faults]


def searched(xml: bytes) -> tuple[object, int]:
    search = Search(values(), STRINGS)

    def blocks() -> Iterator[Block]:
        for window in windows(io.BytesIO(xml), b"sheetData", b"row", 10_000):
            yield from search.blocks(window)

    return flat(blocks()), search.hidden


def parsed(xml: bytes) -> tuple[object, int]:
    parser = Parser(values(), STRINGS)
    return flat(parser.blocks(io.BytesIO(xml))), parser.hidden


def rows_xml(rows: list[tuple[str, list[str]]]) -> str:
    return "".join(
        start.format(number)
        + "".join(cell.format(f"{get_column_letter(n)}{number}") for n, cell in enumerate(cells, 1))
        + "</row>"
        for number, (start, cells) in enumerate(rows, 1)
    )


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(ROW_FORMS), st.lists(st.sampled_from(CELL_FORMS), max_size=9)), max_size=9),
    st.integers(120, 900),
)
@example([(ROW_FORMS[0], CELL_FORMS)], 1 << 20)
@example([(ROW_FORMS[0], [form]) for form in CELL_FORMS], 120)
def test_what_is_found_in_the_bytes_is_what_a_parser_finds(rows: list[tuple[str, list[str]]], window: int) -> None:
    xml = sheet_xml(rows_xml(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xlsx_bytes, "WINDOW", window)
        patch.setattr(xlsx_bytes, "_LARGEST_WINDOW", window)
        found = searched(xml)
    assert found == parsed(xml)


def test_each_form_of_a_cell_is_what_a_person_sees() -> None:
    """The values themselves, of forms in which the two readers could be wrong together."""
    expected = {
        '<c r="{}" t="e" vm="1"><v>#VALUE!</v></c>': None,
        '<c r="{}" t="e" vm="2"><v>#VALUE!</v></c>': "France",
        '<c r="{}" t="str"><v>_xD83D__xDE00_ _x005F_x0041_</v></c>': "😀 _x0041_",
        '<c r="{}" t="inlineStr"><is><t xml:space="preserve"> a&#10;\r\nb\t</t></is></c>': " a\n\nb\t",
        '<c r="{}" t="inlineStr"><is><t> Größe </t></is></c>': "Größe",
        '<c r="{}" s="1"><v>60</v></c>': "1900-02-28",
        '<c r="{}" s="1"><f>1</f><v>45351</v></c>': "2024-02-29",
        '<c r="{}" s="4"><v>1.5</v></c>': "36:00:00",
        '<c r="{}" s="5"><v>0.75</v></c>': "18:00:00",
        '<c r="{}" s="3"><v>0.25</v></c>': "25%",
        '<c r="{}" s="2" t="n"><v>7</v></c>': "00007",
        '<c r="{}"><v>0.1000000000000001</v></c>': "0.1",
        '<c r="{}"><v>1E3</v></c>': "1000",
        '<c r="{}" t="b"><v>1</v></c>': "TRUE",
        '<c r="{}" t="d"><v>2024-02-29T13:30:00</v></c>': "2024-02-29 13:30:00",
    }
    assert expected.keys() <= set(CELL_FORMS)
    xml = rows_xml([(ROW_FORMS[0], [*expected, '<c r="{}"><v>9</v></c>'])])
    ((rows, faults), _) = searched(sheet_xml(xml))
    assert rows == [(1, [*expected.values(), "9"])]
    assert faults == []


def test_faults_have_their_place_and_the_text_stays() -> None:
    cells = [
        '<c r="{}"><v>12345678901234567</v></c>',
        '<c r="{}" t="str"><v>_xD83D_</v></c>',
        '<c r="{}" t="s"><v>2</v></c>',
        '<c r="{}" t="e"><v>#VALUE!</v></c>',
        '<c r="{}"><f>1</f></c>',
    ]
    (rows, faults), _ = searched(sheet_xml(rows_xml([(ROW_FORMS[0], []), (ROW_FORMS[0], cells)])))
    assert rows == [(2, ["1.23456789012346e+16", "?", "b\ufffdd", "#VALUE!", NOT_CALCULATED])]
    assert faults[0][:2] == (2, 0)
    assert "digits" in faults[0][2]
    assert faults[1:] == [
        (2, 1, INVALID_CHARACTER),
        (2, 2, INVALID_CHARACTER),
        (2, 3, "shows #VALUE!"),
        (2, 4, f"shows {NOT_CALCULATED}"),
    ]


def test_hidden_rows_are_counted_where_they_hold_something(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("S")
        for row in range(6):
            sheet.write_row(row, 0, ["hidden", row])
        for row in (2, 4, 9):
            sheet.set_row(row, None, None, {"hidden": True})
        sheet.set_column(1, 2, None, None, {"hidden": True})
    with open_workbook(path, "x") as opened:
        list(opened.blocks("S"))
        assert (opened.hidden_rows, opened.hidden_columns, opened.height) == (2, {1, 2}, 6)


# --- sheets that are written in another way


def cell(reference: str, text: str = "x") -> str:
    return f'<c r="{reference}" t="inlineStr"><is><t>{text}</t></is></c>'


OTHERWISE = {
    "no numbers": f"<row>{cell('A1')}</row><row>{cell('A2')}</row><row>{cell('A4')}</row>",
    "twice the same": f'<row r="1">{cell("A1")}</row><row r="2">{cell("A2")}</row><row r="2">{cell("A4")}</row>',
    "backwards": f'<row r="4">{cell("A4")}</row><row r="2">{cell("A2")}</row><row r="1">{cell("A1")}</row>',
    "a comment": f'<row r="1">{cell("A1")}</row><!-- <row r="2"/> --><row r="2">{cell("A2")}{cell("A4")}</row>',
    "no references": f"<row>{cell('')}</row><row>{cell('')}</row><row/><row>{cell('')}</row>".replace(' r=""', ""),
    "cells of other rows": f'<row r="1">{cell("A1")}{cell("A4")}</row><row r="2">{cell("A2")}</row>',
    "CDATA": f'<row r="1">{cell("A1", "<![CDATA[x]]>")}</row><row r="2">{cell("A2")}{cell("A4")}</row>',
    "a tag more": f'<row r="1">{cell("A1")}<ext/></row><row r="2">{cell("A2")}{cell("A4")}</row>',
}


@pytest.mark.parametrize("rows", OTHERWISE.values(), ids=OTHERWISE)
def test_what_only_a_parser_can_place_is_read_by_one(tmp_path: Path, rows: str) -> None:
    with pytest.raises(UnusualXmlError):
        searched(sheet_xml(rows))
    assert rows_of(workbook_with_rows_xml(tmp_path / "a.xlsx", rows)) == [(1, ["x"]), (2, ["x"]), (4, ["x"])]


@pytest.mark.parametrize("pretty", ["", "\n  "])
@pytest.mark.parametrize("prefix", ["", "x"])
def test_however_its_tags_are_written_it_is_read(tmp_path: Path, prefix: str, pretty: str) -> None:
    p = f"{prefix}:" if prefix else ""
    rows = [f'<{p}row r="{n}" spans="1:1">{pretty}{cell(f"A{n}", f"n{n}")}</{p}row>' for n in (3, 4, 9)]
    rows.insert(2, f'<{p}row r="7"/>')
    xml = "\n".join(rows).replace("<c", f"<{p}c").replace("</c", f"</{p}c")
    xml = xml.replace("<is><t>", f"<{p}is><{p}t>").replace("</t></is>", f"</{p}t></{p}is>")
    path = workbook_with_rows_xml(tmp_path / "a.xlsx", xml, prefix=prefix, before="<!-- here -->" if pretty else "")
    assert rows_of(path) == [(3, ["n3"]), (4, ["n4"]), (9, ["n9"])]


def numbered(numbers: Iterable[int]) -> str:
    return "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in numbers)


def test_rows_in_no_order_are_sorted_where_they_are_near(tmp_path: Path) -> None:
    """Excel repairs such a sheet."""
    path = workbook_with_rows_xml(tmp_path / "a.xlsx", numbered([1, 2, 5, 4, 3, *range(6, 20_001)]))
    assert rows_of(path) == [(n, [str(n)]) for n in range(1, 20_001)]


def test_a_window_that_begins_with_a_row_that_was_read_is_no_usual_one() -> None:
    search = Search(values(), STRINGS)
    assert [len(block) for block in search.blocks(numbered([1, 2, 5]).encode())] == [3]
    for late in (3, 5):
        with pytest.raises(UnusualXmlError):
            list(search.blocks(numbered([late, 6]).encode()))
    stream = io.BytesIO(sheet_xml(numbered([1, 2, 5, 3, 6])))
    with pytest.raises(ValueError, match="not in order"):
        list(Parser(values(), STRINGS).blocks(stream, search.count, search.last))


@pytest.mark.parametrize("window", [2000, 1 << 20])
@pytest.mark.parametrize("late", [[5_000], [10_999, 11_001], [11_000]])
def test_a_row_that_comes_too_late_is_refused_and_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: list[int], window: int
) -> None:
    monkeypatch.setattr(xlsx_bytes, "WINDOW", window)
    monkeypatch.setattr(xlsx_bytes, "_LARGEST_WINDOW", window)
    path = workbook_with_rows_xml(
        tmp_path / "a.xlsx", numbered([n for n in range(1, 11_001) if n not in late]) + numbered(late)
    )
    try:
        assert [number for number, _ in rows_of(path)] == sorted({*range(1, 11_001), *late})
    except WorkbookError as refused:
        assert "sheet 'S' is damaged" in str(refused)  # noqa: PT017 - in a single block they are sorted


def test_where_the_search_gives_up_half_way_the_parser_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_bytes, "WINDOW", 4096)
    monkeypatch.setattr(xlsx_bytes, "_LARGEST_WINDOW", 4096)
    monkeypatch.setattr(xlsx_parser, "ROWS_IN_BLOCK", 50)
    rows = "".join(f'<row r="{n}" hidden="1"><c r="A{n}"><v>{n}</v></c></row>' for n in range(1, 1001))
    odd = '<row r="1001" hidden="1"><!-- --><c><v>1001</v></c></row>'
    path = workbook_with_rows_xml(tmp_path / "a.xlsx", rows + odd + '<row r="1002"><c r="A1002"><v>1002</v></c></row>')
    assert rows_of(path) == [(n, [str(n)]) for n in range(1, 1003)]
    with open_workbook(path, "a") as book:
        assert sum(map(len, book.blocks("S"))) == 1002
        assert book.hidden_rows == 1001


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="1048577"><c r="A1048577"><v>1</v></c></row>',
        '<row r="1"><c r="XFE1"><v>1</v></c></row>',
        '<row r="1"><c r="A1" t="s"><v>0</v></c></row>',
        '<row r="1"><c r="A1" t="s"><v>-1</v></c></row>',
        '<row r="1"><c r="A1"><v>1</v></row>',
        '<row r="1"><c r="A1"><v>1</v></c></row></oops>',
    ],
)
def test_a_cell_that_cannot_be_is_refused(tmp_path: Path, rows: str) -> None:
    assert "sheet 'S' is damaged or incomplete" in refusal(workbook_with_rows_xml(tmp_path / "a.xlsx", rows))


def test_two_rows_with_one_number_are_refused_and_none_is_lost(tmp_path: Path) -> None:
    twice = f'<row r="1">{cell("A1")}</row><row r="2">{cell("A2")}</row><row r="2">{cell("B2")}</row>'
    assert "sheet 'S' is damaged" in refusal(workbook_with_rows_xml(tmp_path / "a.xlsx", twice))


@pytest.mark.parametrize(
    ("value", "since_1904", "shown"),
    [
        ("-5", False, "########"),
        ("-5", True, "########"),
        ("2958466", False, "########"),
        ("2957004", True, "########"),
        ("2958465", False, "9999-12-31"),
        ("0", True, "1904-01-01"),
        ("0.5", True, "12:00:00"),
        ("0.5", False, "12:00:00"),
    ],
)
def test_a_day_that_is_none_is_a_fault_and_the_first_one_is_a_day(value: str, since_1904: bool, shown: str) -> None:
    text, fault = Values(["yyyy-mm-dd"], since_1904).shown("n", 0, value)
    assert text == shown
    assert fault == ("shows ########" if "#" in shown else None)


def test_numbers_in_a_built_in_format_of_days_or_times_are_shown_as_such(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for number in range(50):  # of a format
            sheet.write_number(number, 0, 45351.5, book.add_format({"num_format": number}))
    shown = {row - 1: str(cells[0]) for row, cells in rows_of(path)}
    assert {number for number, text in shown.items() if text == "2024-02-29 12:00:00"} == {
        *(14, 15, 16, 17, 18, 19, 20, 21, 22, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 45, 47)
    }
    assert (shown[44], shown[46], shown[48]) == ("45351.5", "1088436:00:00", "45351.5")


# --- what is known before the first row


@pytest.fixture
def every_kind(tmp_path: Path) -> Path:
    """Rows of every kind of cell, of the epoch of 1904, below a merged title."""
    path = tmp_path / "book.xlsx"
    book = xlsxwriter.Workbook(path, {"date_1904": True})
    sheet = book.add_worksheet("Contacts")
    day, noughts = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "00000"})
    sheet.merge_range("A1:C1", "Our people", book.add_format())
    for row in (*range(1, 9), *range(12, 22)):  # rows 10 to 12 are blank
        sheet.write_string(row, 0, f"shared {row % 3}")
        sheet.write_datetime(row, 1, dt.datetime(2024, 2, row), day)
        sheet.write_number(row, 2, row, noughts)
        sheet.write_formula(row, 3, "=1/0", None, "#DIV/0!")
        sheet.write_boolean(row, 4, row % 2 == 0)
        sheet.write_formula(row, 5, "=A1", None, "stored" if row % 2 else "")
    book.close()
    return path


def test_every_kind_of_cell_arrives(every_kind: Path) -> None:
    rows = dict(rows_of(every_kind))
    assert list(rows) == [1, *range(2, 10), *range(13, 23)]
    assert rows[1] == ["Our people"]
    assert rows[2] == ["shared 1", "2024-02-01", "00001", ErrorCell("#DIV/0!"), "FALSE", "stored"]
    missing = ErrorCell(NOT_CALCULATED)  # "" is no value
    assert rows[3] == ["shared 2", "2024-02-02", "00002", ErrorCell("#DIV/0!"), "TRUE", missing]


def test_merged_cells_and_height_are_known_with_the_first_block(every_kind: Path) -> None:
    with open_workbook(every_kind, "book.xlsx") as book:
        next(book.blocks("Contacts"))
        assert book.merged == [(1, 1, 0, 2)]
        assert book.height == 22


def test_a_damaged_sheet_is_refused_before_its_first_row(every_kind: Path, tmp_path: Path) -> None:
    content = bytearray(every_kind.read_bytes())
    at = content.find(b"xl/worksheets/sheet1.xml") + 200
    content[at : at + 20] = bytes(20)
    (tmp_path / "bad.xlsx").write_bytes(content)
    with (
        pytest.raises(WorkbookError, match=r"^bad\.xlsx: sheet 'Contacts' is damaged"),
        open_workbook(tmp_path / "bad.xlsx", "bad.xlsx") as book,
    ):
        next(book.blocks("Contacts"))


def test_the_totals_row_of_a_table_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for name, total in (("With", True), ("Without", False)):
            sheet = book.add_worksheet(name)
            sheet.add_table(
                "B3:C6",
                {
                    "total_row": total,
                    "columns": [
                        {"header": "Name", "total_string": "Summe"},
                        {"header": "Sum", "total_function": "sum"},
                    ],
                    "data": [["a", 1], ["b", 2]],
                },
            )
    with open_workbook(path, "x") as book:
        next(book.blocks("With"))
        assert book.totals == {6}
        next(book.blocks("Without"))
        assert book.totals == frozenset()


# --- shared strings

TEXTS = {
    "<t>plain</t>": "plain",
    "<t>M&amp;M &lt;GmbH&gt; &#246;&#xF6;&quot;&apos;</t>": "M&M <GmbH> öö\"'",
    "<t>&amp;lt;</t>": "&lt;",
    '<t xml:space="preserve"> kept </t>': " kept ",
    "<t> not kept\n</t>": "not kept",
    "<t>a_x000D_b_x005F_x0041_</t>": "a\rb_x0041_",
    "<t>max_xavier@x.org</t>": "max_xavier@x.org",
    "<t/>": None,
    "<t></t>": None,
    "": None,
    "<r><rPr><b/></rPr><t>山</t></r><r><t xml:space='preserve'> 田</t></r><rPh sb='0'><t>ヤマ</t></rPh>": "山 田",
    "<t>山田</t><rPh sb='0' eb='2'><t>ヤマダ</t></rPh><phoneticPr fontId='1'/>": "山田",
    "<t>two\r\nlines</t>": "two\nlines",
    "<t>Zoë &amp; 😀</t>": "Zoë & 😀",
}


def strings_of(tmp_path: Path, xml: str, encoding: str = "utf-8") -> SharedStrings:
    path = tmp_path / "strings.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("s.xml", xml.encode(encoding))
    with zipfile.ZipFile(path) as archive:
        return shared_strings(archive, "s.xml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("window", [200, 1 << 20])
@pytest.mark.parametrize("comment", ["", "<!-- x -->"])
def test_shared_strings_are_what_a_person_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int, comment: str, encoding: str
) -> None:
    monkeypatch.setattr(xlsx_bytes, "WINDOW", window)
    monkeypatch.setattr(xlsx_bytes, "_LARGEST_WINDOW", window)
    items = "".join(f"<si>{xml}</si>" for xml in TEXTS).replace("<si></si>", "<si/>") + comment
    xml = f'<?xml version="1.0" encoding="{encoding}"?><sst xmlns="{MAIN}" count="9">{items}</sst>'
    assert strings_of(tmp_path, xml, encoding).texts.to_pylist() == list(TEXTS.values())
    prefixed = xml.replace("<", "<x:").replace("<x:/", "</x:").replace("<x:?", "<?").replace("<x:!", "<!")
    assert strings_of(tmp_path, prefixed.replace("xmlns=", "xmlns:x="), encoding).texts.to_pylist() == [*TEXTS.values()]


def test_a_string_with_runs_at_the_end_needs_no_parser_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx_strings, "_parsed", None)
    xml = f'<sst xmlns="{MAIN}"><si><t>a</t></si><si><r><t>b</t></r><r><t>c</t></r></si></sst>'
    assert strings_of(tmp_path, xml).texts.to_pylist() == ["a", "bc"]


def test_two_threads_do_not_read_one_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ZipFile of Python 3.13 is not safe for that: it seeks relative to where the other one has read."""
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        book.add_worksheet().write(0, 0, "a")
    read_by: dict[str, zipfile.ZipFile] = {}

    def recorded(name: str) -> None:
        function = getattr(xlsx, name)
        monkeypatch.setattr(
            xlsx, name, lambda archive, *rest: read_by.update({name: archive}) or function(archive, *rest)
        )

    recorded("survey")
    recorded("shared_strings")
    with open_workbook(path, path.name) as opened:
        assert len(list(opened.blocks("Sheet1"))) == 1
    assert read_by["survey"] is not read_by["shared_strings"]


def test_half_a_character_among_shared_strings_is_a_fault_of_each_cell(tmp_path: Path) -> None:
    found = strings_of(tmp_path, f'<sst xmlns="{MAIN}"><si><t>a</t></si><si><t>_xDE00_</t></si></sst>')
    assert found == SharedStrings(pa.array(["a", "?"]), {1: INVALID_CHARACTER})


# --- rich values


def with_parts(path: Path, parts: dict[str, str]) -> Path:
    """A workbook with further parts of the kinds that rich values need."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name).decode() for name in archive.namelist()}
    rels = "xl/_rels/workbook.xml.rels"
    added = "".join(f'<Relationship Id="k{kind}" Type="{OFFICE}/{kind}" Target="{kind}.xml"/>' for kind in parts)
    members[rels] = members[rels].replace("</Relationships>", added + "</Relationships>")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {f"xl/{kind}.xml": xml for kind, xml in parts.items()}).items():
            archive.writestr(name, content)
    return path


def test_pictures_are_blank_places_are_their_text_and_errors_stay_errors(tmp_path: Path) -> None:
    cells = "".join(f'<c r="{chr(64 + n)}1" t="e" vm="{n}"><v>#VALUE!</v></c>' for n in range(1, 5))
    path = workbook_with_rows_xml(tmp_path / "x.xlsx", f'<row r="1">{cells}<c r="E1" t="e"><v>#VALUE!</v></c></row>')
    rich = "http://schemas.microsoft.com/office/spreadsheetml/2017/richdata"
    block = '<bk><extLst><ext uri="{{x}}"><r:rvb xmlns:r="{rich}" i="{n}"/></ext></extLst></bk>'
    parts = {
        "sheetMetadata": f'<metadata xmlns="{MAIN}"><metadataTypes count="2"><metadataType name="XLDAPR"/>'
        '<metadataType name="XLRICHVALUE"/></metadataTypes><futureMetadata name="XLRICHVALUE" count="3">'
        + "".join(block.format(rich=rich, n=n) for n in (2, 0, 1))
        + '</futureMetadata><valueMetadata count="3"><bk><rc t="2" v="1"/></bk><bk><rc t="2" v="2"/></bk>'
        '<bk><rc t="2" v="0"/></bk></valueMetadata></metadata>',
        "rdRichValueStructure": f'<rvStructures xmlns="{rich}" count="3">'
        '<s t="_localImage"><k n="_rvRel:LocalImageIdentifier" t="i"/><k n="CalcOrigin" t="i"/></s>'
        '<s t="_linkedentity2"><k n="%cvi" t="r"/><k n="_DisplayString" t="s"/><k n="Area" t="r"/></s>'
        '<s t="_error"><k n="errorType" t="i"/></s></rvStructures>',
        "rdRichValue": f'<rvData xmlns="{rich}" count="3"><rv s="0"><v>0</v><v>5</v></rv>'
        '<rv s="1"><v>1</v><v>Côte d&apos;Ivoire</v><v>3</v></rv><rv s="2"><v>8</v></rv></rvData>',
    }
    assert rows_of(with_parts(path, parts)) == [
        (1, [None, "Côte d'Ivoire", ErrorCell("#SPILL!"), None, ErrorCell("#VALUE!")])
    ]


# --- malicious ones

STYLED = ' s="2"'
QUOTED = '"e"'


@pytest.mark.timeout(60)  # searched again for each needle, each of them takes minutes or more
@pytest.mark.parametrize(
    "cells",
    [
        f'<c r="A2"{" " * 900_000}t="e"><v>1</v></c>',
        f'<c r="A2" t="e" {"a" * 900_000}="1"><v>1</v></c>',
        f'<c r="A2" t="inlineStr"><is><t>{STYLED * 1_500_000}</t></is></c>',
        f'<c r="A2" t="inlineStr"><is><t>{QUOTED * 3_000_000}</t></is></c>',
        f'<c r="A2" t="inlineStr"><is><t>{"&amp;_x0041_" * 300_000}</t></is></c>',
        f'<c r="A2" t="inlineStr"><is><t>{"&amp" * 900_000}</t></is></c>',
        f'<c r="A2" {QUOTED * 300_000}/>',
        '<c r="A2" t="e">' * 60_000,
        '<c r="A2" t="e">' * 60_000 + "</c>",
        f'<c r="A2"><v>{"1" * 3_000_000}</v></c>',
        f'<c r="A2"><v>{"1" * 3_000_000}.5</v></c>',
        '<c r="A2" t="e" vm="1"/>' * 100_000,
        f'<row r="2"{" r" * 500_000}/>',
        f"<row{' ' * 900_000}/>",
    ],
)
def test_a_sheet_made_to_keep_the_reader_busy_does_not(tmp_path: Path, cells: str) -> None:
    path = workbook_with_rows_xml(tmp_path / "a.xlsx", f'<row r="2">{cells}</row>')
    try:
        rows_of(path)
    except WorkbookError as refused:
        assert "sheet 'S' is damaged" in str(refused)  # noqa: PT017 - some of them are read


def test_a_workbook_of_another_library_is_read_the_same(tmp_path: Path) -> None:
    """openpyxl writes types of numbers and inline strings where others do not."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Name", "Since", "Share"])
    sheet.append([" Zoë ", dt.datetime(2024, 2, 29, 13, 30), 0.5])
    sheet["C2"].number_format = "0%"
    sheet.append(["=1+1", dt.time(13, 30), True])
    sheet.merge_cells("A4:A5")
    sheet.add_table(Table(ref="A1:C3", displayName="T", tableColumns=[TableColumn(id=1, name="Name")]))
    book.save(tmp_path / "x.xlsx")
    with open_workbook(tmp_path / "x.xlsx", "x") as opened:
        assert shown_rows(opened.blocks("Sheet")) == [
            (1, ["Name", "Since", "Share"]),
            (2, [" Zoë ", "2024-02-29 13:30:00", "50%"]),
            (3, [ErrorCell(NOT_CALCULATED), "13:30:00", "TRUE"]),
        ]
        assert opened.merged == [(4, 5, 0, 0)]
        assert opened.totals == frozenset()
