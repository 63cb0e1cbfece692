"""Four times the input takes about four times the work, in whatever direction the input is large."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support import ods
from support.cells import text_file
from support.growth import growth
from support.reading import read, sheets

from tasks.crm.readers.budget import Budget
from tasks.crm.readers.merged import filled_down
from tasks.crm.readers.number_formats import as_shown, is_date, makes_text
from tasks.crm.readers.ods import OpenDocument
from tasks.crm.readers.table import Block
from tasks.crm.readers.vcard_fields import values_of
from tasks.crm.readers.vcard_text import Property, divided
from tasks.crm.readers.workbook import WorkbookError, open_workbook
from tasks.crm.readers.xml_spreadsheet import XmlSpreadsheet
from tasks.crm.rejects_workbook import _title

pytestmark = pytest.mark.slow

_LINEAR = 9  # times for the fourfold input; 16 is quadratic


def _same_headings(path: Path, size: int) -> Path:
    return text_file(path / "a.csv", "E-mail," + ",".join(["x"] * size) + "\na@b.example," + "1," * size + "\n")


def _beyond_headings(path: Path, size: int) -> Path:
    row = "{}a@b.example" + ",1" * 2 * size + "\n"
    headings = "E-mail" + "".join(f",h{n}" for n in range(size)) + "\n"
    return text_file(path / "a.csv", headings + "".join(row.format(n) for n in range(5)))


def _sheets_of_xlsx(path: Path, size: int) -> Path:
    return sheets(path / "a.xlsx", {f"S{n}": [["Foo", "Bar"]] for n in range(size)})


def _sheets_of_ods(path: Path, size: int) -> Path:
    one = ods.row(ods.cell("string", "Foo"), ods.cell("string", "Bar"))
    return ods.document(path / "a.ods", "".join(ods.table(one, f"S{n}") for n in range(size)))


def _sheets_of_xml(path: Path, size: int) -> Path:
    row = '<Row><Cell><Data ss:Type="String">Foo</Data></Cell><Cell><Data ss:Type="String">Bar</Data></Cell></Row>'
    sheets = "".join(f'<Worksheet ss:Name="S{n}"><Table>{row}</Table></Worksheet>' for n in range(size))
    name = "urn:schemas-microsoft-com:office:spreadsheet"
    return text_file(
        path / "a.xml", f'<?xml version="1.0"?><Workbook xmlns="{name}" xmlns:ss="{name}">{sheets}</Workbook>'
    )


def _hidden_columns_of_xml(path: Path, size: int) -> Path:
    columns = '<Column ss:Hidden="1"/>' * size
    row = '<Row><Cell><Data ss:Type="String">Foo</Data></Cell><Cell><Data ss:Type="String">Bar</Data></Cell></Row>'
    name = "urn:schemas-microsoft-com:office:spreadsheet"
    sheet = f'<Worksheet ss:Name="S"><Table>{columns}{row}</Table></Worksheet>'
    return text_file(
        path / "a.xml", f'<?xml version="1.0"?><Workbook xmlns="{name}" xmlns:ss="{name}">{sheet}</Workbook>'
    )


def _style_sheet_of_html(path: Path, size: int) -> Path:
    table = "<table><tr><td>Foo</td><td>Bar</td></tr></table>"
    return text_file(path / "a.html", f"<html><style>{'a' * size}{'@media ' * size}</style><body>{table}</body></html>")


def _folded_lines_of_a_card(path: Path, size: int) -> Path:
    return _card(path, f"PHOTO{';X=' + 'y' * size};ENCODING=b:" + "abc\n" * size)


def _card(path: Path, properties: str) -> Path:
    return text_file(path / "a.vcf", f"BEGIN:VCARD\nVERSION:3.0\nFN:Ada Lovelace\n{properties}END:VCARD\n")


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (_same_headings, 200),
        (_sheets_of_xml, 100),
        (_hidden_columns_of_xml, 4000),
        (_style_sheet_of_html, 3000),
        (_folded_lines_of_a_card, 10_000),
        (_beyond_headings, 100),
    ],
)
def test_the_work_grows_with_the_file(make: Callable[[Path, int], Path], size: int, tmp_path: Path) -> None:
    def prepared(size: int) -> Callable[[], object]:
        directory = tmp_path / str(size)
        directory.mkdir()
        path = make(directory, size)
        return lambda: read(path)

    assert growth(prepared, size) < _LINEAR


def test_the_work_grows_with_a_sheet_above_the_heading_row(tmp_path: Path) -> None:
    def prepared(size: int) -> Callable[[], object]:
        text = "x,y\n" * (size - 1) + "E-mail,Last name\na@b.example,Lovelace\n"
        path = text_file(tmp_path / f"{size}.csv", text)
        return lambda: read(path, heading_row=size)

    assert growth(prepared, 1000) < _LINEAR


def test_the_work_grows_with_the_headings_in_which_sheets_differ(tmp_path: Path) -> None:
    def prepared(size: int) -> Callable[[], object]:
        path = tmp_path / f"{size}.ods"
        one, other = (
            ods.row(ods.cell("string", "E-mail"), *(ods.cell("string", f"{letter}{n}") for n in range(size)))
            for letter in "ab"
        )
        ods.document(path, ods.table(one, "A") + ods.table(other, "B"))
        return lambda: read(path, sheet="*")

    assert growth(prepared, 300) < _LINEAR


def test_the_work_grows_with_merged_cells_that_overlap() -> None:
    class Sheet:
        def __init__(self, size: int) -> None:
            self.merged = [(row, size + 1, 0, 0) for row in range(2, size + 2)]

    def prepared(size: int) -> Callable[[], object]:
        texts = pa.array(["x" if row % 2 else None for row in range(size)])
        block = Block(pa.array(range(2, size + 2), pa.int32()), [texts])
        return lambda: list(filled_down([block], Sheet(size), 1, Budget("x")))

    assert growth(prepared, 2000) < _LINEAR


def test_a_number_format_that_excel_refuses_changes_nothing() -> None:
    for code in ("0" * 256, "[" * 256, "a" * 256, '"' * 255 + "0"):
        assert not makes_text(code)
        assert not is_date(code)
        assert as_shown(7, code) is None
    assert as_shown(7, "0" * 255) == "7".zfill(255)


def test_sheets_in_any_order_are_read_whole(tmp_path: Path) -> None:
    tables = "".join(
        ods.table("".join(ods.row(ods.cell("string", f"{name}{n}")) for n in range(3)), name) for name in "ABC"
    )
    with open_workbook(ods.document(tmp_path / "a.ods", tables), "a.ods") as workbook:
        for name in "ABCAACBB":
            begun = next(workbook.rows("B"))
            assert begun == (1, ["B0"])
            assert [cells for _, cells in workbook.rows(name)] == [[f"{name}{n}"] for n in range(3)]
        first = workbook.rows("A")
        next(first)
        next(workbook.rows("C"))
        with pytest.raises(WorkbookError):  # never a part of a sheet
            next(first)


def test_the_work_grows_with_the_hidden_cells_of_a_web_page(tmp_path: Path) -> None:
    def prepared(size: int) -> Callable[[], object]:
        row = "<tr>" + "<td hidden>x</td>" * size + "</tr>"
        path = text_file(tmp_path / f"{size}.html", f"<html><body><table>{row}</table></body></html>")
        workbook = open_workbook(path, "a")
        return lambda: list(workbook.blocks("a"))

    assert growth(prepared, 4000) < _LINEAR


def test_the_work_grows_with_the_numbers_of_a_card() -> None:
    def prepared(size: int) -> Callable[[], object]:
        card = [Property("tel", f"{number:08}", None, {}) for number in range(size)]
        return lambda: values_of(card, is_old=False)

    assert growth(prepared, 500) < _LINEAR


def test_the_work_grows_with_a_value_of_a_card() -> None:
    assert growth(lambda size: lambda: divided("x" * size, ";"), 50_000) < _LINEAR
    assert divided(r"a\;b;;c", ";") == [r"a\;b", "", "c"]


@pytest.mark.parametrize(("make", "reader"), [(_sheets_of_ods, OpenDocument), (_sheets_of_xml, XmlSpreadsheet)])
def test_a_file_is_passed_through_as_often_for_many_sheets_as_for_few(
    make: Callable[[Path, int], Path], reader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    elements = reader._elements
    monkeypatch.setattr(reader, "_elements", lambda *args, **how: begun.append("") or elements(*args, **how))
    passes = []
    for size in (3, 12):
        begun.clear()
        assert read(make(tmp_path, size)).refused
        passes.append(len(begun))
    assert passes[0] == passes[1] <= 3


def test_the_list_of_members_is_made_as_often_for_many_sheets_as_for_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    members = zipfile.ZipFile.namelist
    monkeypatch.setattr(zipfile.ZipFile, "namelist", lambda archive: made.append("") or members(archive))
    times = []
    for size in (3, 12):
        path = _sheets_of_xlsx(tmp_path, size)
        made.clear()
        assert read(path).refused
        times.append(len(made))
    assert times[0] == times[1]


def test_the_work_grows_with_the_sheets_of_rejects_whose_names_begin_alike() -> None:
    def titles(size: int) -> list[str]:
        taken: dict[str, int] = {}
        return [_title(f"{'x' * 31}{number}", taken) for number in range(size)]

    assert titles(3) == ["x" * 31, f"{'x' * 27} (2)", f"{'x' * 27} (3)"]
    assert growth(lambda size: lambda: titles(size), 500) < _LINEAR
