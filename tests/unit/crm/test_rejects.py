"""The workbook of rejects, read again by both readers, and its command line."""

import zipfile
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from sqlalchemy.exc import SQLAlchemyError

from db.engine import DatabaseError
from tasks.crm import rejects, rejects_workbook
from tasks.crm.headings.column_mapping import REASON_HEADING, map_columns
from tasks.crm.rejects_workbook import write


@dataclass(frozen=True)
class Reject:
    row_number: int = 7
    column_name: str | None = "E-mail"
    value: str | None = "x@@y"
    reason: str = "not an e-mail address"
    row: list[list[str]] = field(default_factory=lambda: [["Organisation", "ACME"], ["E-mail", "x@@y"], ["Zip", "01"]])
    sheet: str = "Contacts"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "rejects.xlsx"


def calamine(path, sheet=0):
    return CalamineWorkbook.from_path(path).get_sheet_by_index(sheet).to_python(skip_empty_area=False)


def with_cell(text):
    return Reject(column_name=None, row=[["E-mail", "a@b.org"], ["Notes", text]])


def test_both_readers_see_the_original_columns_in_their_order_and_the_reason(out):
    assert write(out, [Reject(), Reject(row_number=9)]) == 2
    expected = [
        ["Organisation", "E-mail", "Zip", REASON_HEADING],
        ["ACME", "x@@y", "01", "row 7 · E-mail: not an e-mail address"],
        ["ACME", "x@@y", "01", "row 9 · E-mail: not an e-mail address"],
    ]
    assert calamine(out) == expected
    assert [[cell.value for cell in row] for row in openpyxl.load_workbook(out).active] == expected


def test_imported_again_the_columns_are_the_same_as_before(out):
    before = map_columns(["Organisation", "E-mail", "Zip"])
    write(out, [Reject()])
    again = map_columns(calamine(out)[0])
    assert (again.fields, again.extra) == (before.fields, before.extra)
    assert again.dropped == {3}


def test_faulty_cells_are_marked_with_a_fill_and_the_reason_and_others_are_not(out):
    write(out, [Reject()])
    sheet = openpyxl.load_workbook(out).active
    assert sheet["B2"].fill.fgColor.rgb.endswith("FFC7CE")
    assert sheet["B2"].comment.text == "not an e-mail address"
    assert sheet["A2"].fill.fill_type is None
    assert sheet["A2"].comment is None
    assert sheet.freeze_panes == "A2"
    assert sheet.column_dimensions["A"].width > len("Organisation")
    assert sheet["D2"].alignment.wrap_text


def test_several_reasons_of_a_row_make_one_row(out):
    other = Reject(column_name="Zip", value="01", reason="too short")
    assert write(out, [Reject(), other, Reject(), Reject(column_name=None, reason="nobody is named")]) == 1
    assert calamine(out)[1][-1] == "row 7 · E-mail: not an e-mail address · Zip: too short · nobody is named"
    sheet = openpyxl.load_workbook(out).active
    assert sheet["B2"].comment
    assert sheet["C2"].comment


def test_of_two_columns_with_one_heading_the_faulty_one_is_marked(out):
    write(out, [Reject(row=[["E-mail", "good@b.org"], ["E-mail", "x@@y"]])])
    assert calamine(out)[0] == ["E-mail", "E-mail", REASON_HEADING]
    sheet = openpyxl.load_workbook(out).active
    assert sheet["A2"].comment is None
    assert sheet["B2"].comment


@pytest.mark.parametrize("text", ["=1+1", "+44 1", "-1", "@SUM(A1)", "\t=1", "#REF!", "=cmd|' /C calc'!A0"])
def test_nothing_runs_as_a_formula(out, text):
    write(out, [with_cell(text), Reject(row_number=8, column_name="Notes", value=text, row=[["Notes", text]])])
    sheet = openpyxl.load_workbook(out).active
    for cell in (sheet["B2"], sheet["B3"]):
        assert (cell.value, cell.data_type, cell.quotePrefix) == (text, "s", True)
    assert calamine(out)[1][1] == text
    assert b"<f>" not in zipfile.ZipFile(out).read("xl/worksheets/sheet1.xml")


def test_headings_reasons_and_sheet_names_run_no_formula_either(out):
    write(out, [Reject(sheet="=1+1", column_name=None, reason="=2+2", row=[["=3+3", "x"]])])
    sheet = openpyxl.load_workbook(out).active
    assert sheet.title == "=1+1"
    assert {cell.data_type for row in sheet for cell in row} == {"s"}


def test_a_leading_carriage_return_becomes_a_line_break_in_a_text_cell(out):
    write(out, [with_cell("\r=1+1")])
    cell = openpyxl.load_workbook(out).active["B2"]
    assert (cell.value, cell.data_type, cell.quotePrefix) == ("\n=1+1", "s", True)


def test_what_xml_cannot_hold_is_shown(out):
    write(out, [with_cell("a\x00b\x1fc\ud800d\uffffe")])
    assert calamine(out)[1][1] == "a␀b␟c\ufffdd\ufffde"


def test_a_lone_surrogate_may_stand_anywhere(out):
    found = Reject(
        sheet="S\ud800", column_name="H\ud800", reason="R\ud800", value="V\ud800", row=[["H\ud800", "V\ud800"]]
    )
    assert write(out, [found, found]) == 1
    assert calamine(out) == [["H\ufffd", REASON_HEADING], ["V\ufffd", "row 7 · H\ufffd: R\ufffd"]]
    assert openpyxl.load_workbook(out).sheetnames == ["S\ufffd"]


def test_rows_of_several_sheets_stay_in_the_order_in_which_they_are_seen(out):
    found = [("B", 9), ("A", 9), ("B", 2), ("A", 1), ("B", 9)]
    assert write(out, [Reject(sheet=sheet, row_number=n, reason=f"r{i}") for i, (sheet, n) in enumerate(found)]) == 4
    assert openpyxl.load_workbook(out).sheetnames == ["B", "A"]
    assert [row[-1] for row in calamine(out, 0)[1:]] == ["row 9 · E-mail: r0 · E-mail: r4", "row 2 · E-mail: r2"]
    assert [row[-1] for row in calamine(out, 1)[1:]] == ["row 9 · E-mail: r1", "row 1 · E-mail: r3"]


def test_text_that_looks_like_an_escape_of_the_format_stays_as_it_is(out):
    write(out, [with_cell("_x0041_ and _x_")])
    assert calamine(out)[1][1] == "_x0041_ and _x_"


def test_a_cell_too_long_for_excel_is_cut_and_the_reason_says_so(out):
    write(out, [with_cell("x" * 40_000)])
    _, text, why = calamine(out)[1]
    assert len(text) == 32_767
    assert "Notes: CUT here to 32,767 of 40,000 characters" in why


def test_excels_length_counts_utf16_units_and_nothing_else_is_called_cut(out):
    write(out, [with_cell("😀" * 20_000), Reject(row_number=8, row=[["Notes", "a\r\n" * 6000]])])
    rows = calamine(out)
    assert rows[1][1] == "😀" * 16_383
    assert "CUT" in rows[1][-1]
    assert "CUT" not in rows[2][-1]


def test_each_source_sheet_is_a_sheet_whatever_its_name(out):
    names = ["Contacts", "contacts", "a/b[c]:*?", "x" * 40, "x" * 31, "", "'q'"]
    write(out, [Reject(sheet=name) for name in names])
    titles = openpyxl.load_workbook(out).sheetnames
    assert titles == ["Contacts", "contacts (2)", "a_b_c____", "x" * 31, "x" * 27 + " (2)", "Rejects", "q"]
    assert CalamineWorkbook.from_path(out).sheet_names == titles


def test_rows_with_other_columns_keep_them(out):
    write(out, [Reject(), Reject(row_number=8, row=[["E-mail", "q"], ["Column D", "stray"]])])
    assert calamine(out)[0] == ["Organisation", "E-mail", "Zip", "Column D", REASON_HEADING]
    assert calamine(out)[2][:4] == ["", "q", "", "stray"]


def test_more_rows_than_excel_has_go_on_another_sheet(out, monkeypatch):
    monkeypatch.setattr(rejects_workbook, "_ROWS_OF_A_SHEET", 2)
    assert write(out, [Reject(row_number=i) for i in range(5)]) == 5
    assert openpyxl.load_workbook(out).sheetnames == ["Contacts", "Contacts (2)", "Contacts (3)"]


def test_too_many_comments_leave_the_fill(out, monkeypatch):
    monkeypatch.setattr(rejects_workbook, "_MAX_COMMENTS", 1)
    write(out, [Reject(), Reject(row_number=8)])
    sheet = openpyxl.load_workbook(out).active
    assert sheet["B2"].comment
    assert not sheet["B3"].comment
    assert sheet["B3"].fill.fgColor.rgb.endswith("FFC7CE")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(out, monkeypatch):
    out.write_text("old")
    monkeypatch.setattr(openpyxl.Workbook, "save", lambda _book, path: (path.write_text("half"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        write(out, [Reject()])
    assert [(path.name, path.read_text()) for path in out.parent.iterdir()] == [("rejects.xlsx", "old")]


def test_no_rejects_write_nothing(out):
    with pytest.raises(ValueError, match="no rejected row"):
        write(out, [])
    assert not out.exists()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=4), st.text(), st.text())
def test_any_text_makes_a_workbook_that_both_readers_open(tmp_path_factory, row, sheet, reason):
    path = tmp_path_factory.mktemp("any") / "r.xlsx"
    assert write(path, [Reject(row=[list(pair) for pair in row], sheet=sheet, reason=reason)]) == 1
    assert len(calamine(path)[0]) == len(row) + 1
    assert {cell.data_type for cells in openpyxl.load_workbook(path).active for cell in cells} <= {"s", "n"}


# --- the command


class NoDatabase:
    """Stands in for the engine: `rejects_of` below does not use its connection."""

    def connect(self):
        return nullcontext()


@pytest.fixture
def database(monkeypatch):
    """What the command reads, so that it runs without a server; the tests of the import use a real one."""
    stored = SimpleNamespace(rejects=[Reject()], error=None)

    def rejects_of(_connection, import_id):
        if stored.error:
            raise stored.error
        return stored.rejects if import_id == 3 else []

    monkeypatch.setattr(rejects, "engine", NoDatabase)
    monkeypatch.setattr(rejects, "rejects_of", rejects_of)
    monkeypatch.setattr(rejects, "explain", lambda error: DatabaseError(f"In plain words: {error}."))
    return stored


def test_the_command_prints_one_line_about_what_it_wrote(database, out, capsys):
    assert rejects.main(["3", str(out)]) == 0
    assert capsys.readouterr().out == f"1 row written to {out}\n"
    assert calamine(out)[1][0] == "ACME"


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ([], "Usage"),
        (["3"], "Usage"),
        (["three", "{}/r.xlsx"], "'three' is not the number"),
        (["-3", "{}/r.xlsx"], "'-3' is not the number"),
        (["99999999999", "{}/r.xlsx"], "is not the number"),
        (["4", "{}/r.xlsx"], "Import 4 has no rejected rows, or there is no such import"),
        (["3", "{}/r.csv"], "does not end in .xlsx"),
        (["3", "{}/missing/r.xlsx"], "There is no directory"),
        (["3", "{}/old.xlsx"], "exists: give another name"),
    ],
)
def test_the_command_refuses_in_one_sentence(database, tmp_path, capsys, arguments, fragment):
    (tmp_path / "old.xlsx").write_text("old")
    assert rejects.main([argument.format(tmp_path) for argument in arguments]) == 1
    captured = capsys.readouterr()
    assert fragment in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["old.xlsx"]


def test_the_command_prints_the_error_of_the_database(database, out, capsys):
    database.error = DatabaseError("The database does not answer.")
    assert rejects.main(["3", str(out)]) == 1
    assert capsys.readouterr().err == "The database does not answer.\n"
    database.error = SQLAlchemyError("a driver's words")
    assert rejects.main(["3", str(out)]) == 1
    assert capsys.readouterr().err == "In plain words: a driver's words.\n"


def test_the_command_prints_the_error_of_the_disk(database, out, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(openpyxl.Workbook, "save", full)
    assert rejects.main(["3", str(out)]) == 1
    assert capsys.readouterr().err == f"{out} cannot be written: No space left on device.\n"
