"""XML Spreadsheet 2003, under the names .xml and .xls."""

from pathlib import Path

import pytest
from support.reading import read as read_staged

from tasks.crm.readers.cell import NOT_CALCULATED
from tasks.crm.readers.table import Fault
from tasks.crm.readers.workbook import WorkbookError, open_workbook

HEAD = (
    '<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n'
    '<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:x="urn:schemas-microsoft-com:office:excel" '
    'xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet" xmlns:html="http://www.w3.org/TR/REC-html40">'
    '<Styles><Style ss:ID="zip"><NumberFormat ss:Format="00000"/></Style>'
    '<Style ss:ID="part"><NumberFormat ss:Format="Percent"/></Style></Styles>'
)


def text(value: str) -> str:
    return f'<Cell><Data ss:Type="String">{value}</Data></Cell>'


def sheet(rows: str, name: str = "People", options: str = "", columns: str = "") -> str:
    return f'<Worksheet ss:Name="{name}"><Table>{columns}{rows}</Table>{options}</Worksheet>'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "book.xls"


def rows_of(
    path: Path, content: str, name: str = "People", encoding: str = "utf-8"
) -> list[tuple[int, list[str | None]]]:
    path.write_bytes((HEAD + content + "</Workbook>").encode(encoding))
    with open_workbook(path, path.name) as book:
        return [row for block in book.blocks(name) for row in block.rows()]


def test_cells_are_where_their_indexes_say(file: Path) -> None:
    rows = (
        f'<Row>{text("Name")}{text("City")}<Cell ss:Index="5"><Data ss:Type="String">Zip</Data></Cell></Row>'
        f'<Row ss:Index="4">{text("Ann &amp; Bob")}<Cell/>{text("x")}</Row>'
        f"<Row>{text('Cid')}</Row>"
    )
    assert rows_of(file, sheet(rows)) == [
        (1, ["Name", "City", None, None, "Zip"]), (4, ["Ann & Bob", None, "x"]),
        (5, ["Cid"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ('<Cell><Data ss:Type="Number">94523</Data></Cell>', "94523"),
        ('<Cell><Data ss:Type="Number">9.4523E4</Data></Cell>', "94523"),
        ('<Cell ss:StyleID="zip"><Data ss:Type="Number">1067</Data></Cell>', "01067"),
        ('<Cell ss:StyleID="part"><Data ss:Type="Number">0.5</Data></Cell>', "50%"),
        ('<Cell><Data ss:Type="String">007</Data></Cell>', "007"),
        ('<Cell><Data ss:Type="DateTime">2024-02-29T00:00:00.000</Data></Cell>', "2024-02-29"),
        ('<Cell><Data ss:Type="DateTime">2024-02-29T12:30:00.000</Data></Cell>', "2024-02-29 12:30:00"),
        ('<Cell><Data ss:Type="DateTime">1899-12-31T12:30:00.000</Data></Cell>', "12:30:00"),
        ('<Cell><Data ss:Type="Boolean">1</Data></Cell>', "TRUE"),
        (
            '<Cell><ss:Data ss:Type="String" xmlns="http://www.w3.org/TR/REC-html40"><B>Bo</B>ld</ss:Data></Cell>',
            "Bold",
        ),
        ('<Cell ss:Formula="=RC[-1]"><Data ss:Type="String">done</Data></Cell>', "done"),
        ("<Cell/>", None),
    ],
)
def test_a_cell_is_the_text_that_excel_shows(file: Path, cell: str, shown: str | None) -> None:
    assert rows_of(file, sheet(f"<Row>{text('a')}{cell}</Row>"))[0][1] == ["a", *filter(None, [shown])]


def test_errors_and_formulas_without_a_value_are_faults(file: Path) -> None:
    rows = f'<Row>{text("a")}<Cell><Data ss:Type="Error">#REF!</Data></Cell><Cell ss:Formula="=R1C1"/></Row>'
    file.write_text(HEAD + sheet(rows) + "</Workbook>")
    with open_workbook(file, "book.xls") as book:
        [block] = book.blocks("People")
    assert block.faults == [Fault(0, 1, "shows #REF!"), Fault(0, 2, f"shows {NOT_CALCULATED}")]


def test_merged_and_hidden_are_reported(file: Path) -> None:
    rows = (
        '<Row><Cell ss:MergeAcross="1"><Data ss:Type="String">Person</Data></Cell>' + text("City") + "</Row>"
        '<Row ss:Hidden="1"><Cell ss:MergeDown="2"><Data ss:Type="String">Ann</Data></Cell>' + text("x") + "</Row>"
    )
    columns = '<Column ss:Width="9"/><Column ss:Index="3" ss:Hidden="1" ss:Span="1"/>'
    hidden = "<x:WorksheetOptions><x:Visible>SheetHidden</x:Visible></x:WorksheetOptions>"
    file.write_text(HEAD + sheet("<Row/>", "Old", hidden) + sheet(rows, columns=columns) + "</Workbook>")
    with open_workbook(file, "book.xls") as book:
        assert [(info.name, info.visible) for info in book.sheets] == [("Old", False), ("People", True)]
        read = [row for block in book.blocks("People") for row in block.rows()]
        assert read == [(1, ["Person", None, "City"]), (2, ["Ann", "x"])]
        assert list(book.merged) == [(1, 1, 0, 1), (2, 4, 0, 0)]
        assert (book.hidden_rows, book.hidden_columns) == (1, frozenset({2, 3}))


def test_utf_16_and_blanks_before_the_xml_are_read(file: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        assert rows_of(file, sheet(f"<Row>{text('Größe')}</Row>"), encoding=encoding) == [(1, ["Größe"])]
    file.write_text("\n  " + HEAD + sheet(f"<Row>{text('Ann')}</Row>") + "</Workbook>")
    with open_workbook(file, "book.xls") as book:
        assert [info.name for info in book.sheets] == ["People"]


def test_damaged_and_hostile_xml_is_refused(file: Path) -> None:
    whole = HEAD + sheet(f"<Row>{text('Ann')}</Row>" * 50)
    file.write_text(whole[:-60])
    with pytest.raises(WorkbookError, match=r"book.xls is damaged"):
        open_workbook(file, "book.xls")
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b SYSTEM "file:///etc/hostname">]>'
    file.write_text(
        HEAD.replace("<Workbook", f"{bomb}<Workbook") + sheet(f"<Row>{text('&a;&b;')}{text('x')}</Row>") + "</Workbook>"
    )
    with open_workbook(file, "book.xls") as book:
        assert [cells for block in book.blocks("People") for _, cells in block.rows()] == [["&a;&b;", "x"]]
    with pytest.raises(WorkbookError, match="damaged"):
        rows_of(file, sheet('<Row><Cell ss:Index="99999999"><Data ss:Type="String">x</Data></Cell></Row>'))
    file.write_text('<?xml version="1.0"?><contacts><contact name="Ann"/></contacts>')
    with pytest.raises(WorkbookError, match=r"book.xls is XML"):
        open_workbook(file, "book.xls")


def test_the_rows_of_a_sheet_that_is_not_read_are_counted(file: Path) -> None:
    heads = f"<Row>{text('Name')}{text('Email')}</Row>"
    people = [f"<Row>{text(f'Ann Lee{number}')}{text(f'a{number}@x.org')}</Row>" for number in range(5)]
    sheets = sheet(heads + people[0]) + sheet(heads + "".join(people), "Others")
    file.write_text(f"{HEAD}{sheets}</Workbook>")
    result = read_staged(file)
    assert result.headings["not_read"] == [{"sheet": "Others", "rows": 5, "same_headings": True}]
    assert [row["email"] for row in result.rows] == ["a0@x.org"]
