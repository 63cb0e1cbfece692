"""Workbooks written here, by hand where no library would write such a thing, and fetched over real sockets."""

import datetime as dt
import zipfile
from collections import Counter
from pathlib import Path
from random import Random

import openpyxl
import pytest
import xlsxwriter
from openpyxl.utils.escape import unescape
from support.cells import refusal, rows_of, shown_rows, text_file
from support.ods import cell as ods_cell
from support.ods import document, table
from support.ods import row as ods_row
from support.real_workbooks import REAL
from support.xls import old_workbook
from support.xlsb import binary_workbook
from support.xlsb import cell as binary_cell
from support.xlsb import row as binary_row
from support.xlsx import MAIN, OFFICE, workbook_with_rows_xml

from tasks.crm.readers import workbook
from tasks.crm.readers.cell import NOT_CALCULATED, ErrorCell
from tasks.crm.readers.number_formats import as_shown
from tasks.crm.readers.table import cell_text
from tasks.crm.readers.workbook import WorkbookError, open_workbook

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504
DAY = dt.date(2024, 2, 29)
HALF_PAST_ONE = dt.datetime.combine(DAY, dt.time(13, 30))


# --- what is in the cells


def test_cells_come_as_they_are_with_excels_row_numbers_from_column_a(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Contacts")
        day, time = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.write_row(2, 1, ["Name", "Postcode", "Active", "Since", "Seen"])
        sheet.write_string(4, 1, "  Zoë ")
        sheet.write_number(4, 2, 94523)
        sheet.write_boolean(4, 3, False)
        sheet.write_datetime(4, 4, dt.datetime.combine(DAY, dt.time()), day)
        sheet.write_datetime(4, 5, HALF_PAST_ONE, time)
        sheet.write_row(5, 1, ["Nought", 0, "007"])
        hidden = book.add_worksheet("Old")
        hidden.write(0, 0, "x")
        hidden.hide()
        book.add_chartsheet("Chart")
    with open_workbook(path, "book.xlsx") as book:
        assert [(s.name, s.visible) for s in book.sheets] == [("Contacts", True), ("Old", False)]
        assert shown_rows(book.blocks("Old")) == [(1, ["x"])]
        assert shown_rows(book.blocks("Contacts")) == [
            (3, [None, "Name", "Postcode", "Active", "Since", "Seen"]),
            (5, [None, "  Zoë ", "94523", "FALSE", "2024-02-29", "2024-02-29 13:30:00"]),
            (6, [None, "Nought", "0", "007"]),
        ]
        with pytest.raises(WorkbookError, match=r"book.xlsx has no sheet 'Nowhere'; its sheets: Contacts, Old"):
            list(book.blocks("Nowhere"))


def test_error_cells_and_formulas_never_calculated_are_reported_with_their_place(tmp_path: Path) -> None:
    rows = (
        '<row r="2"><c r="B2"><v>1</v></c><c r="C2" t="e"><v>#REF!</v></c><c r="D2" t="str"><f>""</f><v></v></c></row>'
        '<row r="4"><c r="B4"><f>A1+1</f></c><c r="C4"><f>1&lt;2</f><v/></c><c r="D4"><f>2*3</f><v>6</v></c></row>'
        "<row r=\"6\"><c r='A6' t='e'><f>NA()</f><v>#N/A</v></c><c r='B6'><f t='shared' si='0'/><v>7</v></c></row>"
        '<row r="9"><c r="F9"><f t="shared" si="0"/></c><c r="G9" t="e"/></row>'
    )
    missing = ErrorCell(NOT_CALCULATED)
    assert rows_of(workbook_with_rows_xml(tmp_path / "x.xlsx", rows)) == [
        (2, [None, "1", ErrorCell("#REF!")]),
        (4, [None, missing, missing, "6"]),
        (6, [ErrorCell("#N/A"), "7"]),
        (9, [None, None, None, None, None, missing, ErrorCell("#ERROR")]),
    ]


@pytest.mark.parametrize(
    ("prefix", "encoding", "blank"),
    [("", "utf-8", ""), ("x", "utf-8", ""), ("", "utf-16", ""), ("", "utf-8", " ")],
)
def test_lost_cells_are_found_however_the_xml_is_written(
    tmp_path: Path, prefix: str, encoding: str, blank: str
) -> None:
    p = f"{prefix}:" if prefix else ""
    rows = (
        f'<{p}row r="3"><{p}c r="A3" ><{p}v>1</{p}v></{p}c>\n<{p}c s="1" t = "e" r="B3">\n<{p}v>#DIV/0!</{p}v></{p}c>'
        f'<{p}c r="C3"><{p}f>1</{p}f>\n</{p}c></{p}row{blank}>'
    )
    path = workbook_with_rows_xml(tmp_path / "x.xlsx", rows, prefix=prefix, encoding=encoding)
    assert rows_of(path) == [(3, ["1", ErrorCell("#DIV/0!"), ErrorCell(NOT_CALCULATED)])]


def test_cells_without_references_follow_one_another(tmp_path: Path) -> None:
    rows = '<row><c><v>1</v></c><c t="e"><v>#N/A</v></c></row><row><c/><c><f>1</f></c><c><v>2</v></c></row>'
    assert rows_of(workbook_with_rows_xml(tmp_path / "x.xlsx", rows)) == [
        (1, ["1", ErrorCell("#N/A")]),
        (2, [None, ErrorCell(NOT_CALCULATED), "2"]),
    ]


def test_noughts_and_percent_signs_of_a_number_format_arrive(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "x.xlsx") as book:
        sheet = book.add_worksheet("S")
        zip_code, share = book.add_format({"num_format": "00000"}), book.add_format({"num_format": "0.0%"})
        price = book.add_format({"num_format": "#,##0.00"})
        sheet.write_row(0, 0, ["Zip", "Share", "Price"])
        for row in range(1, 5):
            sheet.write_number(row, 0, 1066 + row, zip_code)
            sheet.write_number(row, 1, row / 100, share if row != 3 else None)
            sheet.write_number(row, 2, 1000 * row, price)
        sheet.write_string(5, 0, "007", zip_code)
        sheet.write_boolean(5, 1, True, share)
        sheet.write_blank(6, 0, None, zip_code)
        sheet.write_formula(6, 1, "=1/8", share, 0.125)
        sheet.write_formula(6, 2, "=1/0", share, "#DIV/0!")
    assert rows_of(tmp_path / "x.xlsx") == [
        (1, ["Zip", "Share", "Price"]),
        (2, ["01067", "1%", "1000"]),
        (3, ["01068", "2%", "2000"]),
        (4, ["01069", "0.03", "3000"]),
        (5, ["01070", "4%", "4000"]),
        (6, ["007", "TRUE"]),
        (7, [None, "12.5%", ErrorCell("#DIV/0!")]),
    ]


def test_strict_ooxml_is_read(tmp_path: Path) -> None:
    """Other namespaces than all else, and days as ISO 8601."""
    rows = (
        '<row r="1"><c r="A1" t="d"><v>2024-02-29</v></c><c r="B1" t="d"><v>2024-02-29T13:30:00</v></c>'
        '<c r="C1" t="e"><v>#REF!</v></c><c r="D1"><f>1</f></c><c r="E1" t="inlineStr"><is><t>Zoë</t></is></c></row>'
    )
    workbook_with_rows_xml(tmp_path / "x.xlsx", rows)
    with zipfile.ZipFile(tmp_path / "x.xlsx") as usual, zipfile.ZipFile(tmp_path / "strict.xlsx", "w") as strict:
        for name in usual.namelist():
            content = usual.read(name).decode()
            for theirs, ours in (
                (MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main"),
                (OFFICE, "http://purl.oclc.org/ooxml/officeDocument/relationships"),
            ):
                content = content.replace(theirs, ours)
            strict.writestr(name, content)
    missing = ErrorCell(NOT_CALCULATED)
    assert rows_of(tmp_path / "strict.xlsx") == [
        (1, ["2024-02-29", "2024-02-29 13:30:00", ErrorCell("#REF!"), missing, "Zoë"])
    ]


def test_a_cell_of_an_unknown_type_is_read_as_text(tmp_path: Path) -> None:
    rows = (
        '<row r="2"><c r="B2" t="unheard"><v>5</v></c><c r="C2" t="inlineStr"><is><t>a_x000D_b</t></is></c></row>'
        '<row r="4"><c r="A4" t="e"><v>#NAME?</v></c><c r="B4"><f>1</f></c></row>'
    )
    assert rows_of(workbook_with_rows_xml(tmp_path / "x.xlsx", rows)) == [
        (2, [None, "5", "a\rb"]),
        (4, [ErrorCell("#NAME?"), ErrorCell(NOT_CALCULATED)]),
    ]


# --- what is no workbook


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \r\n", "is empty"),
        (b"%PDF-1.7 ...", "is a PDF"),
        (b"MZ\x90\x00\x03\x00", "is a program"),
        (b"\x7fELF\x02\x01", "is a program"),
        (b"\xef\xbb\xbf \r\n<!DOCTYPE html><p>Sign in", "is a web page"),
        (b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>', "is XML"),
        (b"\x09\x04\x06\x00\x00\x00\x10\x00", "is damaged"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "is password-protected"),
        (OLE + "Workbook".encode("utf-16-le"), "is damaged"),
        (bytes(range(256)) * 40, "is neither"),
        (b"\xff\xfea\x00,\x00b", "begins as UTF-16"),
        (b"\xfe\xff" + "a,b\n1,2\n".encode("utf-32-le"), "begins as UTF-16"),
        (b"PK\x05\x06" + b"\0" * 18, "is damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_no_workbook_is_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    sentence = refusal(text_file(tmp_path / "book.xlsx", content))
    assert sentence.startswith(f"book.xlsx {says}")
    assert ": " in sentence  # what to do


def test_a_truncated_or_damaged_workbook_is_refused(tmp_path: Path) -> None:
    whole = workbook_with_rows_xml(
        tmp_path / "x.xlsx", "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in range(1, 999))
    )
    content = whole.read_bytes()
    for length in (10, len(content) // 2, len(content) - 30):
        assert "is damaged" in refusal(text_file(tmp_path / "cut.xlsx", content[:length]))
    at = content.index(b"sheet1.xml") + 100
    flipped = content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]
    assert "is damaged" in refusal(text_file(tmp_path / "flipped.xlsx", flipped))


@pytest.mark.parametrize(
    ("member", "says"),
    [
        ("xl/workbook.bin", "is damaged"),
        ("content.xml", "is damaged"),
        ("encrypted-package", "is password-protected"),
        ("word/document.xml", "is a document"),
        ("Index/Document.iwa", "is an Apple Numbers document"),
    ],
)
def test_other_zips_are_named(tmp_path: Path, member: str, says: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as archive:
        archive.writestr(member, "x")
    assert says in refusal(tmp_path / "x.xlsx")


def test_a_panic_of_the_reader_is_a_sentence() -> None:
    class PanicException(BaseException):
        pass

    with pytest.raises(WorkbookError, match="x is damaged"), workbook._as_workbook_error("x is damaged"):
        raise PanicException
    with pytest.raises(MemoryError), workbook._as_workbook_error("x is damaged"):
        raise MemoryError


def damaged(path: Path, seed: int) -> None:
    """A few bytes are others: of a zip those within one member, whose checksum is right again."""
    random = Random(seed)

    def bent(content: bytes) -> bytes:
        changed = bytearray(content)
        for _ in range(random.choice((1, 1, 3, 12)) if content else 0):
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        return bytes(changed)

    if not zipfile.is_zipfile(path):
        path.write_bytes(bent(path.read_bytes()))
        return
    with zipfile.ZipFile(path) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    hit = random.choice(sorted(members))
    with zipfile.ZipFile(path, "w") as made:
        for name, content in members.items():
            made.writestr(name, bent(content) if name == hit else content)


def several_cells(path: Path) -> Path:
    if path.suffix == ".xlsx":
        cells = '<c r="A1" t="inlineStr"><is><t>Email</t></is></c><c r="B1" t="e"><v>#N/A</v></c><c r="C1"><f>1</f></c>'
        return workbook_with_rows_xml(path, f'<row r="1">{cells}</row><row r="2"><c r="A2"><v>1</v></c></row>')
    if path.suffix == ".ods":
        cells = [ods_cell("string", "Email"), ods_cell("float", "007", "7"), ods_cell("date", "x", "2024-02-29")]
        return document(path, table(ods_row(*cells, times=2)))
    if path.suffix == ".xlsb":
        return binary_workbook(path, binary_row(1) + binary_cell(5, 0, bytes(8)) + binary_cell(3, 1, b"\x17"))
    return old_workbook(path, {(0, 0): "Email", (1, 0): (7.0, "00000"), (1, 1): b"\x17", (2, 0): (45351.0, "hh:mm")})


@pytest.mark.parametrize("suffix", [".xlsx", ".xlsb", ".xls", ".ods"])
def test_a_damaged_file_is_rows_or_a_sentence(tmp_path: Path, suffix: str) -> None:
    whole = several_cells(tmp_path / f"whole{suffix}")
    assert rows_of(whole)
    outcomes = Counter[str]()
    for seed in range(150):
        path = tmp_path / f"{seed}{suffix}"
        path.write_bytes(whole.read_bytes())
        damaged(path, seed)
        try:
            rows_of(path)
        except WorkbookError as error:
            outcomes["refused" if str(error).startswith(path.name) and "\n" not in str(error) else str(error)] += 1
        except IndexError:  # of this test, which takes the first sheet
            outcomes["no sheet"] += 1
        else:
            outcomes["read"] += 1
    assert outcomes["refused"]
    assert outcomes["read"]
    assert set(outcomes) <= {"refused", "read", "no sheet"}


def plain(cell: object) -> object:
    """openpyxl leaves _x000D_ as it stands, and blanks at the ends that the file does not ask to preserve."""
    return unescape(cell).strip() if isinstance(cell, str) else cell_text(cell)


EXCEPTIONS = {  # read by hand in the XML: openpyxl cannot open these, or not all of them
    "tough-calamine/empty_s_attribute.xlsx": 10,
    "tough-calamine/minimal_package.xlsx": 5083,
    "tough-calamine/pivots.xlsx": 278,
    "tough-calamine/strict_iso_paths.xlsx": 1368,
    "tough-readxl/los-angeles-arrests-xlsx.xlsx": 5083,
}


@pytest.mark.skipif(not REAL.is_dir(), reason="the real workbooks are not here")
@pytest.mark.filterwarnings("ignore::UserWarning:openpyxl")
@pytest.mark.parametrize("path", sorted(REAL.rglob("*.xls[xm]")), ids=lambda p: p.name)
def test_every_real_workbook_is_read_as_openpyxl_reads_it_or_refused(path: Path) -> None:
    try:
        with open_workbook(path, path.name) as book:
            ours = {
                (sheet.name, number, column): cell
                for sheet in book.sheets
                for number, cells in shown_rows(book.blocks(sheet.name))
                for column, cell in enumerate(cells)
                if cell is not None
            }
    except WorkbookError as error:
        assert str(error).startswith(path.name)  # noqa: PT017 - most are read: pytest.raises does not fit
        with pytest.raises(Exception):  # noqa: B017 - openpyxl refuses it too, in words of its own
            openpyxl.load_workbook(path)
        return
    if (known := EXCEPTIONS.get(str(path.relative_to(REAL)))) is not None:
        assert len(ours) == known
        return
    with path.open("rb") as file:
        theirs = {
            (sheet.title, cell.row, cell.column - 1): cell
            for sheet in openpyxl.load_workbook(file, data_only=True, read_only=True).worksheets
            for row in sheet.iter_rows()
            for cell in row
            if cell.value is not None and cell.value != ""
        }
    never = {place for place, cell in ours.items() if cell == ErrorCell(NOT_CALCULATED)}
    assert set(ours) - never == set(theirs)
    for place, cell in theirs.items():
        if cell.data_type == "e":
            assert ours[place] == ErrorCell(cell.value)
        elif cell.data_type in "snb" and not cell.is_date and isinstance(cell.value, str | int | float):
            assert plain(ours[place]) in {plain(cell.value), as_shown(cell.value, cell.number_format)}


# --- fetching
