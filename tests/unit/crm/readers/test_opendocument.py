"""OpenDocument spreadsheets: the XML that LibreOffice writes, and what it does not write but others may."""

import datetime as dt
import zipfile
from pathlib import Path

import pytest
from support.ods import cell, document, row, table

from tasks.crm.readers.cell import NOT_CALCULATED, ErrorCell, SheetInfo
from tasks.crm.readers.workbook import WorkbookError, open_workbook


def rows_of(path: Path, sheet: str = "S") -> list[tuple[int, list[object]]]:
    with open_workbook(path, path.name) as book:
        return list(book.rows(sheet))


def only(tmp_path: Path, *cells: str) -> list[object]:
    [(_, found)] = rows_of(document(tmp_path / "a.ods", table(row(*cells))))
    return found


def test_cells_arrive_as_they_are_shown(tmp_path: Path) -> None:
    assert only(
        tmp_path,
        cell("string", "Zoë"),
        cell("float", "94523", "94523"),
        cell("float", "01067", "1067"),
        cell("float", "D-01067", "1067"),
        cell("float", "12345-6789", "123456789"),
        cell("float", "1,234,567.50", "1234567.5"),
        cell("float", "0.50", "0.5"),
        cell("currency", "€ 5.00", "5"),
        cell("percentage", "46%", "0.4567"),
        cell("boolean", "WAHR", "true"),
        cell("float", "FALSE", "0"),
        cell("date", "29.02.24", "2024-02-29"),
        cell("date", "29.02.24", "2024-02-29T13:30:00"),
        cell("time", "12:00", "PT12H00M00S"),
        cell("time", "36:00", "PT36H00M00.5S"),
    ) == [
        "Zoë",
        94523.0,
        "01067",
        "D-01067",
        "12345-6789",
        1234567.5,
        0.5,
        5.0,
        "45.67%",
        True,
        False,
        dt.date(2024, 2, 29),
        dt.datetime(2024, 2, 29, 13, 30),
        dt.time(12),
        dt.timedelta(hours=36, milliseconds=500),
    ]


def test_errors_and_formulas_never_calculated_are_reported_and_not_blank(tmp_path: Path) -> None:
    assert only(
        tmp_path,
        cell("string", "#DIV/0!", table__formula="of:=1/0", calcext__value_type="error"),
        cell("string", "Err:502", table__formula="of:=SQRT(-1)", calcext__value_type="error"),
        cell("float", "#N/A", "0", table__formula="of:=NA()"),  # OpenOffice
        cell("string", "#REF!", table__formula="of:=#REF!"),
        cell(table__formula="of:=A1"),
        cell(shown="", table__formula="of:=&quot;&quot;"),
        cell("string", "#REF!"),
        cell("float", "6", "6", table__formula="of:=2*3"),
    ) == [
        ErrorCell("#DIV/0!"),
        ErrorCell("Err:502"),
        ErrorCell("#N/A"),
        ErrorCell("#REF!"),
        ErrorCell(NOT_CALCULATED),
        None,
        "#REF!",  # somebody typed it
        6.0,
    ]


def test_text_keeps_its_lines_and_blanks_and_not_the_remarks(tmp_path: Path) -> None:
    remark = "<office:annotation><text:p>a remark</text:p></office:annotation>"
    drawing = "<draw:frame><draw:text-box><text:p>a box</text:p></draw:text-box></draw:frame>"
    lines = '<text:p>a<text:s text:c="2"/>b<text:tab/><text:span>c<text:line-break/>d</text:span></text:p>'
    cells = (
        f'<table:table-cell office:value-type="string">{remark}{drawing}{lines}<text:p>e</text:p></table:table-cell>'
    )
    assert only(tmp_path, cells) == ["a  b\tc\nd\ne"]


def test_repeated_rows_and_cells_have_their_numbers_and_columns(tmp_path: Path) -> None:
    blank = '<table:table-cell table:number-columns-repeated="2"/>'
    group = f"<table:table-header-rows>{row(blank, cell('string', 'a'))}</table:table-header-rows>"
    twice = cell("string", "b", table__number_columns_repeated="2")
    rest = row('<table:table-cell table:number-columns-repeated="16384"/>', times=1048576)
    path = document(tmp_path / "a.ods", table(row(times=3) + group + row(twice, times=2) + rest + row(blank)))
    assert rows_of(path) == [(4, [None, None, "a"]), (5, ["b", "b"]), (6, ["b", "b"])]


def test_cells_under_a_merged_one_are_kept_and_the_merge_is_known(tmp_path: Path) -> None:
    merged = cell("string", "a", table__number_rows_spanned="2", table__number_columns_spanned="2")
    covered = cell("string", "under").replace("table-cell", "covered-table-cell")
    path = document(tmp_path / "a.ods", table(row(cell("string", "x"), merged) + row(cell(), covered)))
    with open_workbook(path, "a.ods") as book:
        assert list(book.rows("S")) == [(1, ["x", "a"]), (2, [None, "under"])]
        assert book.merged == [(1, 2, 1, 2)]


def test_hidden_sheets_are_known_and_copies_of_other_files_are_no_sheets(tmp_path: Path) -> None:
    a = table(row(cell("string", "a")), "A")
    copy = table("<table:table-source/>" + row(cell("string", "x")), "'file:///b.ods'#$B")
    hidden = table(row(cell("string", "b")), "B", "gone")
    path = document(tmp_path / "a.ods", a + copy + hidden)
    with open_workbook(path, "a.ods") as book:
        assert book.sheets == [SheetInfo("A", visible=True), SheetInfo("B", visible=False)]
        assert list(book.rows("B")) == [(1, ["b"])]
        assert list(book.rows("A")) == [(1, ["a"])]


@pytest.mark.parametrize(
    ("rows", "columns"), [(1048576, 16384), (1, 99), (10**12, 10**12)], ids=["full", "some", "absurd"]
)
def test_a_cell_repeated_without_end_is_refused(tmp_path: Path, rows: int, columns: int) -> None:
    bomb = cell("string", "x", table__number_columns_repeated=str(columns))
    path = document(tmp_path / "a.ods", table(row(bomb, times=rows)))
    if rows == 1:
        assert rows_of(path) == [(1, ["x"] * 99)]
        return
    with pytest.raises(WorkbookError, match="IMPORT_FILLED_CELLS"):
        rows_of(path)


ENTITIES = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    + "]>"
)


@pytest.mark.parametrize(
    ("before", "text"), [(ENTITIES, "&k;"), ('<!DOCTYPE x [<!ENTITY k SYSTEM "file:///etc/passwd">]>', "&k;")]
)
def test_entities_are_not_followed(tmp_path: Path, before: str, text: str) -> None:
    path = document(tmp_path / "a.ods", table(row(cell("string", text), cell("string", "x"))), before=before)
    try:
        [(_, found)] = rows_of(path)
    except WorkbookError as error:
        assert str(error).startswith("a.ods")  # noqa: PT017 - either is right
    else:
        assert found in ([None, "x"], ["", "x"])


@pytest.mark.parametrize(
    ("body", "tables", "says"),
    [
        ("text", "<text:p>a letter</text:p>", "is a document"),
        ("spreadsheet", "<table:table", "is damaged"),
        ("spreadsheet", table(row(cell("float", "x", "x"))), "is damaged"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path, body: str, tables: str, says: str) -> None:
    with pytest.raises(WorkbookError, match=says) as refused:
        rows_of(document(tmp_path / "a.ods", tables, body=body))
    assert "\n" not in str(refused.value)


def test_an_encrypted_one_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "a.ods"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("content.xml", b"\x8a\x91\x03")
        archive.writestr("META-INF/manifest.xml", "<manifest:file-entry><manifest:encryption-data/>")
    with pytest.raises(WorkbookError, match=r"a.ods is password-protected"):
        open_workbook(path, "a.ods")
