"""Workbooks written here, by hand where no library would write such a thing, and fetched over real sockets."""

import datetime as dt
import hashlib
import os
import resource
import ssl
import subprocess
import sys
import threading
import traceback
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import openpyxl
import pytest
import xlsxwriter
from openpyxl.utils.escape import unescape
from test_binary_cells import binary_workbook
from test_binary_cells import cell as binary_cell
from test_binary_cells import row as binary_row
from test_old_excel import old_workbook
from test_opendocument import cell as ods_cell
from test_opendocument import document, table
from test_opendocument import row as ods_row

from db.errors import JobError
from tasks.crm import download
from tasks.crm.download import WorkbookUnreachableError, addresses, fetch, fetching_settings, redacted
from tasks.crm.readers import workbook
from tasks.crm.readers.cell import NOT_CALCULATED, ErrorCell
from tasks.crm.readers.number_formats import as_shown
from tasks.crm.readers.table import Block, cell_text
from tasks.crm.readers.workbook import WorkbookError, open_workbook

REAL = Path(__file__).parents[2] / "shared" / "data" / "workbooks"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
DAY = dt.date(2024, 2, 29)
HALF_PAST_ONE = dt.datetime.combine(DAY, dt.time(13, 30))
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def by_hand(path: Path, rows: str, *, before: str = "", prefix: str = "", encoding: str = "utf-8") -> Path:
    """An .xlsx with one sheet "S" whose XML is exactly this."""
    p = f"{prefix}:" if prefix else ""
    sheet = (
        f'<?xml version="1.0" encoding="{encoding}"?><{p}worksheet xmlns{p and ":" + prefix}="{MAIN}">'
        f"{before}<{p}sheetData>{rows}</{p}sheetData></{p}worksheet>"
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-xlsx_package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="a" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">'
        '<sheets><sheet name="S" sheetId="1" r:id="b"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="b" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
        archive.writestr("xl/worksheets/sheet1.xml", sheet.encode(encoding))
    return path


def rows_of(path: Path, sheet: str | None = None) -> list[tuple[int, list[object]]]:
    """What a person sees in the cells; ErrorCell for what cannot be taken."""
    with open_workbook(path, path.name) as book:
        if path.suffix in {".csv", ".txt"}:
            return list(book.rows(book.sheets[0].name))
        return shown_rows(book.blocks(sheet or book.sheets[0].name))


def shown_rows(blocks: Iterable[Block]) -> list[tuple[int, list[object]]]:
    """The rows of blocks, up to the last cell that holds something."""
    found: list[tuple[int, list[object]]] = []
    for block in blocks:
        rows = [(number, list[object](cells)) for number, cells in block.rows()]
        for row, column, reason in block.faults:
            cells = rows[row][1]
            if reason == f"shows {cells[column]}":
                cells[column] = ErrorCell(str(cells[column]))
        found += rows
    return found


def text_file(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(WorkbookError) as refused:
        rows_of(path)
    sentence = str(refused.value)
    assert sentence.startswith(path.name)
    assert "\n" not in sentence
    return sentence


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
        with pytest.raises(WorkbookError, match=r"book.xlsx has no sheet 'Nowhere': Contacts, Old"):
            list(book.blocks("Nowhere"))


def test_error_cells_and_formulas_never_calculated_are_told_with_their_place(tmp_path: Path) -> None:
    rows = (
        '<row r="2"><c r="B2"><v>1</v></c><c r="C2" t="e"><v>#REF!</v></c><c r="D2" t="str"><f>""</f><v></v></c></row>'
        '<row r="4"><c r="B4"><f>A1+1</f></c><c r="C4"><f>1&lt;2</f><v/></c><c r="D4"><f>2*3</f><v>6</v></c></row>'
        "<row r=\"6\"><c r='A6' t='e'><f>NA()</f><v>#N/A</v></c><c r='B6'><f t='shared' si='0'/><v>7</v></c></row>"
        '<row r="9"><c r="F9"><f t="shared" si="0"/></c><c r="G9" t="e"/></row>'
    )
    missing = ErrorCell(NOT_CALCULATED)
    assert rows_of(by_hand(tmp_path / "x.xlsx", rows)) == [
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
    path = by_hand(tmp_path / "x.xlsx", rows, prefix=prefix, encoding=encoding)
    assert rows_of(path) == [(3, ["1", ErrorCell("#DIV/0!"), ErrorCell(NOT_CALCULATED)])]


def test_cells_without_references_follow_one_another(tmp_path: Path) -> None:
    rows = '<row><c><v>1</v></c><c t="e"><v>#N/A</v></c></row><row><c/><c><f>1</f></c><c><v>2</v></c></row>'
    assert rows_of(by_hand(tmp_path / "x.xlsx", rows)) == [
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
    by_hand(tmp_path / "x.xlsx", rows)
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


def test_a_cell_of_a_type_that_nobody_knows_is_read_as_text(tmp_path: Path) -> None:
    rows = (
        '<row r="2"><c r="B2" t="unheard"><v>5</v></c><c r="C2" t="inlineStr"><is><t>a_x000D_b</t></is></c></row>'
        '<row r="4"><c r="A4" t="e"><v>#NAME?</v></c><c r="B4"><f>1</f></c></row>'
    )
    assert rows_of(by_hand(tmp_path / "x.xlsx", rows)) == [
        (2, [None, "5", "a\rb"]),
        (4, [ErrorCell("#NAME?"), ErrorCell(NOT_CALCULATED)]),
    ]


def test_a_stray_cell_in_the_last_corner_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "stray.xlsx"
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "Name", "stray"
    book.save(path)
    code = (
        "import sys; from pathlib import Path; from tasks.crm.readers.workbook import open_workbook\n"
        "with open_workbook(Path(sys.argv[1]), 'x') as b:\n"
        "    print([(n, len(c), c[-1]) for block in b.blocks('Sheet') for n, c in block.rows()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        check=True, capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)),
    )  # fmt: skip
    assert done.stdout.strip() == "[(1, 1, 'Name'), (1048576, 16384, 'stray')]"


def test_the_reader_starts_without_heavy_imports() -> None:
    heavy = {"openpyxl", "pydantic", "fsspec", "pandas", "python_calamine"}
    code = f"import sys, tasks.crm.readers.workbook; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_reading_process_imports_no_pandas() -> None:
    """Arrow does so by itself when it first converts a list: that would take 0.2 s and 40 MB."""
    code = "import sys, tasks.crm.worker as w; w._start_arrow(); print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False"


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
        (b"\x09\x04\x06\x00\x00\x00\x10\x00", "is damaged or incomplete"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "is password-protected"),
        (OLE + "Workbook".encode("utf-16-le"), "is damaged or incomplete"),
        (bytes(range(256)) * 40, "is neither a workbook nor a table of text"),
        (b"\xff\xfea\x00,\x00b", "begins as UTF-16 text but does not go on so"),
        (b"\xfe\xff" + "a,b\n1,2\n".encode("utf-32-le"), "begins as UTF-16 text but does not go on so"),
        (b"PK\x05\x06" + b"\0" * 18, "is damaged or incomplete"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_no_workbook_is_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    sentence = refusal(text_file(tmp_path / "book.xlsx", content))
    assert sentence.startswith(f"book.xlsx {says}")
    assert ": " in sentence  # what to do


def test_a_truncated_or_damaged_workbook_is_refused(tmp_path: Path) -> None:
    whole = by_hand(
        tmp_path / "x.xlsx", "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in range(1, 999))
    )
    content = whole.read_bytes()
    for length in (10, len(content) // 2, len(content) - 30):
        assert "is damaged or incomplete" in refusal(text_file(tmp_path / "cut.xlsx", content[:length]))
    at = content.index(b"sheet1.xml") + 100
    flipped = content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]
    assert "is damaged or incomplete" in refusal(text_file(tmp_path / "flipped.xlsx", flipped))


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

    with pytest.raises(WorkbookError, match="x is damaged"), workbook._in_our_words("x is damaged"):
        raise PanicException
    with pytest.raises(MemoryError), workbook._in_our_words("x is damaged"):
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
        return by_hand(path, f'<row r="1">{cells}</row><row r="2"><c r="A2"><v>1</v></c></row>')
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


@pytest.fixture(autouse=True)
def _settings_read_anew() -> Iterator[None]:
    fetching_settings.cache_clear()
    yield
    fetching_settings.cache_clear()


def test_a_glob_is_its_files_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.xlsx", "a.xlsx", "~$a.xlsx", "c.csv", "[x].csv"):
        (tmp_path / name).touch()
    (tmp_path / "d.xlsx").mkdir()
    assert addresses(f"{tmp_path}/*.xlsx") == [f"{tmp_path}/a.xlsx", f"{tmp_path}/b.xlsx"]
    assert addresses(f"{tmp_path}/[x].csv") == [f"{tmp_path}/[x].csv"]
    assert addresses("https://example.org/a*?b=[c]") == ["https://example.org/a*?b=[c]"]
    with pytest.raises(WorkbookError, match=r"No file matches .*/\*\.ods"):
        addresses(f"{tmp_path}/*.ods")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert addresses("~/c.csv") == addresses("c.csv") == [f"{tmp_path}/c.csv"]
    assert addresses("~/nowhere.csv") == [f"{tmp_path}/nowhere.csv"]


def test_the_digest_is_of_the_bytes_kept(tmp_path: Path) -> None:
    source = text_file(tmp_path / "book.csv", b"a,b\n" * 500_000)
    copy = fetch(str(source), tmp_path / "copies")
    source.write_bytes(b"changed")
    assert copy.path.parent == tmp_path / "copies"
    assert (copy.name, copy.size, copy.address) == ("book.csv", 2_000_000, str(source))
    assert copy.sha256 == hashlib.sha256(copy.path.read_bytes()).hexdigest()
    assert copy.path.read_bytes() == b"a,b\n" * 500_000


def test_a_file_still_being_written_is_worth_another_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = text_file(tmp_path / "book.csv", b"a,b\n" * 1000)
    write = download._Kept.write

    def write_and_grow(kept: download._Kept, piece: bytes) -> int:
        with source.open("ab") as file:
            file.write(b"more\n")
        monkeypatch.setattr(download._Kept, "write", write)
        return write(kept, piece)

    monkeypatch.setattr(download._Kept, "write", write_and_grow)
    kind, sentence = refused(str(source), tmp_path / "copies")
    assert (kind, "was being written while it was copied" in sentence) == (WorkbookUnreachableError, True)
    assert fetch(str(source), tmp_path / "copies").size == 4005


def refused(address: str, into: Path) -> tuple[type[Exception], str]:
    with pytest.raises(JobError) as caught:
        fetch(address, into)
    assert not list(into.glob("workbook-*"))
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in shown
    assert "\n" not in str(caught.value)
    return type(caught.value), str(caught.value)


def test_what_is_no_file_is_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = tmp_path / "copies"
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("WORKBOOK_MAX_BYTES", str(2**20))
    text_file(tmp_path / "large.csv", b"x" * (2**20 + 1))
    assert refused(f"{tmp_path}/no.xlsx", into) == (
        WorkbookError,
        f"There is no file {tmp_path}/no.xlsx on this machine: check the path",
    )
    assert "is a folder: give a file in it" in refused(str(tmp_path), into)[1]
    assert "is not a file" in refused(f"{tmp_path}/pipe", into)[1]
    assert "has more than 1 MB" in refused(f"{tmp_path}/large.csv", into)[1]
    assert "is no address of a workbook" in refused("ftp://ada:s3cret@example.org/a.xlsx", into)[1]
    assert "cannot be copied into /dev/null/x: Not a directory" in _refused_into(f"{tmp_path}/large.csv")


def _refused_into(address: str) -> str:
    with pytest.raises(JobError) as caught:
        fetch(address, Path("/dev/null/x"))
    return str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    text_file(tmp_path / "book.csv", "a,b").chmod(0)
    assert "may not be read by this user" in refused(f"{tmp_path}/book.csv", tmp_path / "copies")[1]


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    source = text_file(tmp_path / "book.csv", b"a,b\n" * 300_000)
    code = (
        "import resource, signal, sys; from pathlib import Path; from tasks.crm.download import fetch\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "try: fetch(sys.argv[1], Path(sys.argv[2]))\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, source, tmp_path / "copies"],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == f"{source} cannot be copied into {tmp_path / 'copies'}: File too large"
    assert not list((tmp_path / "copies").iterdir())


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("/home/a@b/x?y=1.csv", "/home/a@b/x?y=1.csv"),
        ("https://ada:s3cret@example.org:8443/a/b.xlsx", "https://example.org:8443/a/b.xlsx"),
        ("https://ada:s3@cret@example.org/b.xlsx#s3cret", "https://example.org/b.xlsx"),
        ("https://e.org/b.xlsx?id=7&X-Amz-Signature=s3cret&x", "https://e.org/b.xlsx?id=***&X-Amz-Signature=***&***"),
        ("https://e.org/b.xlsx?s3cret", "https://e.org/b.xlsx?***"),
        ("s3://key:s3cret@bucket/b.xlsx", "s3://bucket/b.xlsx"),
        ("http://[s3cret", "http://..."),
        ("https://ada:s3c/ret@e.org/b.xlsx", "https://e.org/b.xlsx"),
        ("https://ada:s3c#ret@e.org/b.xlsx", "https://e.org/b.xlsx"),
        ("https://ada:s3c?ret@e.org:80/b.xlsx", "https://e.org:80/b.xlsx"),
        ("https://e.org:8443/people/@ada/b.xlsx", "https://e.org:8443/people/@ada/b.xlsx"),
        ("http://[::1]:80/@ada.xlsx", "http://[::1]:80/@ada.xlsx"),
        ("webdav+https://ada:s3cret@e.org/b.xlsx", "webdav+https://e.org/b.xlsx"),
        ("simplecache::https://ada:s3cret@e.org/b.xlsx", "simplecache::https://e.org/b.xlsx"),
        ("/data/ada/b\udcfc.csv", "/data/ada/b?.csv"),
    ],
)
def test_secrets_in_addresses_are_never_shown(address: str, shown: str) -> None:
    assert redacted(address) == shown


CONTENT = b"Name,Mail\nAda,a@b.c\n" * 1000


class Loopback(BaseHTTPRequestHandler):
    """Answers by the path's first part; below /bucket/ it is a small S3."""

    released = threading.Event()

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:  # noqa: PLR0911 - a table of answers
        path, _, query = self.path.partition("?")
        if path.startswith("/bucket/"):
            return self.s3(path)
        if path.startswith("/bucket"):
            return self.answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        if path.startswith("/status/"):
            return self.answer(int(path.split("/")[2]))
        if path.startswith("/token/"):
            allowed = query == "token=s3cret" or self.headers.get("Authorization") == "Basic YWRhOnMzY3JldA=="
            return self.answer(200 if allowed else 403, CONTENT)
        if path.startswith("/chunked/"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT)
            return None
        if path.startswith("/short/"):
            self.answer(200, CONTENT[:99], Content_Length=str(len(CONTENT)))
            return None
        if path.startswith("/silent/"):
            self.released.wait(30)
            return None
        if path.startswith("/moved/"):
            return self.answer(302, Location="/files/b%C3%BCcher.csv")
        return self.answer(200, CONTENT) if path.startswith("/files/") else self.answer(404)

    def do_HEAD(self) -> None:
        if self.path.startswith("/bucket/"):
            self.s3(self.path)
        else:
            self.answer(405)  # as presigned addresses do: only GET is signed

    def s3(self, path: str) -> None:
        if "denied" in path:
            return self.answer(403, b"<Error><Code>AccessDenied</Code><Message>s3cret</Message></Error>")
        if "book.csv" not in path:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        common = {"ETag": '"v1"', "Last_Modified": "Mon, 02 Nov 2026 10:00:00 GMT", "Accept_Ranges": "bytes"}
        if "changing" in path and self.command == "GET":
            return self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        wanted = self.headers.get("Range")
        if not wanted:
            return self.answer(200, CONTENT, **common)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        piece = CONTENT[int(first) : int(last or len(CONTENT)) + 1]
        end = int(first) + len(piece) - 1
        return self.answer(206, piece, Content_Range=f"bytes {first}-{end}/{len(CONTENT)}", **common)


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Loopback)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    Loopback.released.clear()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        Loopback.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with serving() as host:
        yield host


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/files/b%C3%BCcher.csv", "bücher.csv"),
        ("/chunked/book.csv", "book.csv"),
        ("/moved/book.csv", "book.csv"),
        ("/token/book.csv?token=s3cret", "book.csv"),
        ("/files/..%2F..%2Fetc%2Fpasswd.csv", "passwd.csv"),
    ],
)
def test_a_workbook_comes_over_http(host: str, tmp_path: Path, path: str, name: str) -> None:
    copy = fetch(f"http://{host}{path}", tmp_path)
    assert copy.path.parent == tmp_path
    assert copy.path.read_bytes() == CONTENT
    assert (copy.name, copy.sha256) == (name, hashlib.sha256(CONTENT).hexdigest())
    assert "s3cret" not in repr(copy)
    assert rows_of(copy.path)[1] == (2, ["Ada", "a@b.c"])


def test_user_and_password_in_an_address_are_sent_and_not_shown(host: str, tmp_path: Path) -> None:
    copy = fetch(f"http://ada:s3cret@{host}/token/book.csv", tmp_path)
    assert copy.address == f"http://{host}/token/book.csv"


@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [
        ("/nowhere.csv?token=s3cret", WorkbookError, "/nowhere.csv?token=*** does not exist (404): check the address"),
        ("/token/book.csv?token=not-s3cret", WorkbookError, "may not be read (403): check the user, password or token"),
        ("/status/410/b?x=s3cret", WorkbookError, "the server answers 410: check the address"),
        ("/status/503/b", WorkbookUnreachableError, "the server answers 503: try again later"),
        ("/status/429/b", WorkbookUnreachableError, "the server answers 429: try again later"),
        ("/short/book.csv?k=s3cret", WorkbookUnreachableError, "the transfer broke off after"),
        ("/silent/book.csv?k=s3cret", WorkbookUnreachableError, "the server does not answer in time"),
    ],
)
def test_http_failures_are_told_in_plain_words(
    host: str, tmp_path: Path, path: str, kind: type, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "silent" in path:
        monkeypatch.setenv("WORKBOOK_READ_TIMEOUT", "0.5")
    found, sentence = refused(f"http://{host}{path}", tmp_path)
    assert (found, says in sentence) == (kind, True), sentence


def test_too_much_over_http_is_cut_off(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_MAX_BYTES", "10000")
    assert "raise WORKBOOK_MAX_BYTES" in refused(f"http://{host}/chunked/book.csv", tmp_path)[1]


def test_a_server_that_is_not_there_is_worth_another_try(tmp_path: Path) -> None:
    with serving() as host:
        pass
    assert refused(f"http://ada:s3cret@{host}/b.csv", tmp_path) == (
        WorkbookUnreachableError,
        f"http://{host}/b.csv: the server does not take the connection: is it running?",
    )


def test_wrong_tls_is_final(host: str, tmp_path: Path) -> None:
    kind, sentence = refused(f"https://{host}/files/b.csv?k=s3cret", tmp_path)
    assert (kind, "speaks no TLS" in sentence) == (WorkbookError, True), sentence
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with serving(context) as self_signed:
        kind, sentence = refused(f"https://{self_signed}/files/b.csv?k=s3cret", tmp_path)
    assert (kind, "certificate cannot be trusted" in sentence) == (WorkbookError, True), sentence


@pytest.fixture
def s3(host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("s3")
def test_a_workbook_comes_from_s3(tmp_path: Path) -> None:
    copy = fetch("s3://bucket/in/book.csv", tmp_path)
    assert copy.path.read_bytes() == CONTENT
    assert (copy.name, copy.address) == ("book.csv", "s3://bucket/in/book.csv")


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("address", "kind", "says"),
    [
        ("s3://bucket/no.csv", WorkbookError, "does not exist: check bucket and key"),
        ("s3://bucket/denied.csv", WorkbookError, "may not be read: check AWS_ACCESS_KEY_ID"),
        ("s3://bucket/changing/book.csv", WorkbookUnreachableError, "try again"),
        ("s3://a:s3cret@bucket/book.csv", WorkbookError, "s3://bucket/book.csv is not a valid address"),
    ],
)
def test_s3_failures_are_told_in_plain_words(tmp_path: Path, address: str, kind: type, says: str) -> None:
    found, sentence = refused(address, tmp_path)
    assert (found, says in sentence) == (kind, True), sentence


@pytest.mark.usefixtures("s3")
def test_s3_without_keys_is_told_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    kind, sentence = refused("s3://bucket/book.csv", tmp_path)
    assert (kind, "check AWS_ACCESS_KEY_ID" in sentence) == (WorkbookError, True), sentence


def test_s3_without_its_extra_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert refused("s3://bucket/book.csv", tmp_path)[1] == (
        's3://bucket/book.csv needs the extra "s3": pip install "embassy-jobs[s3]"'
    )
