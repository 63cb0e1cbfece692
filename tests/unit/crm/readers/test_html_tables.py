"""Web pages under the name .xls: the cells as a browser shows them; what is no table is refused for what it is."""

from pathlib import Path

import openpyxl
import pytest
from support.reading import read as read_staged

from tasks.crm.readers.workbook import WorkbookError, open_workbook


def read(path: Path, content: bytes | str) -> dict[str, list[list[str | None]]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with open_workbook(path, path.name) as book:
        return {
            info.name: [
                [*cells, *[None] * (len(block.columns) - len(cells))]
                for block in book.blocks(info.name)
                for _, cells in block.rows()
            ]
            for info in book.sheets
        }


def refusal(path: Path, content: bytes | str) -> str:
    with pytest.raises(WorkbookError) as refused:
        read(path, content)
    return str(refused.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "report.xls"


def table(*rows: list[str], cell: str = "td") -> str:
    lines = ("".join(f"<{cell}>{text}</{cell}>" for text in row) for row in rows)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def test_no_text_is_changed_and_nothing_is_guessed(file: Path) -> None:
    odd = ["007", "NA", "1,000", "1e5", "null", "TRUE", "2024-01-02", "+49 30", "1.50", "n/a"]
    assert read(file, f"<html><body>{table(['Name'] * 10, odd)}</body></html>") == {"report": [["Name"] * 10, odd]}


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("O&#39;Brien &amp; S&ouml;hne", "O'Brien & Söhne"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("  many \n   blanks&nbsp; here ", "many blanks here"),
        ("<b>a<i>b</i>c</b>d <span>e</span>", "abcd e"),
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("x<script>alert(1)</script><style>p {}</style>y", "xy"),
        ('<a href="mailto:a@x.org">a@x.org</a>', "a@x.org"),
        ("&nbsp;", None),
        ("<!-- no -->", None),
        ('<span style="display:none">99</span>030 123', "030 123"),
        ('<b style="Visibility: Hidden">99</b>030 <i hidden>4</i>123', "030 123"),
        ('<style>.key, b.k { color: red; display: none }</style><b class="a key">99</b><b class=k>7</b>030', "030"),
        ("<style>@media print { .key { display: none } }</style><b class=key>030</b>", "030"),
        ("<select><option>A<option selected>B</select> C", "B C"),
        ("<select><option>A</option><option>B</option></select>", "A"),
        ('<input value="abc"> <input type=hidden value=1><input type=checkbox value=2>d', "abc d"),
    ],
)
def test_a_cell_is_what_a_browser_shows(file: Path, html: str, shown: str | None) -> None:
    rows = read(file, table(["Name", "X"], ["Ann", html]))["report"]
    assert rows[1] == ["Ann", shown]


@pytest.mark.parametrize(
    ("page", "encoding"),
    [
        ('<html><meta charset="utf-8">{}', "utf-8"),
        ("<html>{}", "utf-8-sig"),
        ("<html>{}", "utf-16"),
        ('<html><meta http-equiv="Content-Type" content="text/html; charset=windows-1250">{}', "cp1250"),
        ('<html><meta http-equiv=Content-Type content="text/html; charset=iso-8859-2">{}', "iso8859-2"),
        ('<html><meta charset="iso-8859-1">{}', "cp1252"),
        ('<html><meta charset="utf-8">{}', "cp1252"),  # a page that is not what it says
    ],
)
def test_the_encoding_is_what_the_page_says_or_is(file: Path, page: str, encoding: str) -> None:
    name = "Kovačič" if "1250" in encoding or "8859-2" in encoding else "Größe – é"
    name = name if encoding != "cp1252" else "Größe Müller"
    assert read(file, page.format(table(["Name", "X"], [name, "1"])).encode(encoding))["report"][1] == [name, "1"]


def test_each_table_that_holds_no_other_is_a_sheet(file: Path) -> None:
    one, two = table(["Name", "Email"], ["Ann", "a@x.org"]), table(["No", "Amount"], ["1", "2"], cell="th")
    page = f"<div><table><tr><td>{one}</td><td>{two}</td></tr></table><table><tr><td>&nbsp;</td></tr></table></div>"
    assert read(file, page) == {
        "Table 1": [["Name", "Email"], ["Ann", "a@x.org"]], "Table 2": [["No", "Amount"], ["1", "2"]]
    }  # fmt: skip


def test_spanned_cells_are_where_they_are_and_are_reported(file: Path) -> None:
    file.write_text(
        "<table><tr><th colspan=2>Person</th><th rowspan=2>City</th></tr><tr><th>First</th><th>Last</th></tr>"
        '<tr><td rowspan="2">Ann</td><td>Lee</td><td>Bonn</td></tr>'
        '<tr style="display:none"><td>Ray</td><td>Ulm</td></tr>'
        "</table>"
    )
    with open_workbook(file, "report.xls") as book:
        rows = [row for block in book.blocks("report") for row in block.rows()]
        assert rows == [
            (1, ["Person", None, "City"]), (2, ["First", "Last"]),
            (3, ["Ann", "Lee", "Bonn"]), (4, [None, "Ray", "Ulm"]),
        ]  # fmt: skip
        assert list(book.merged) == [(1, 1, 0, 1), (1, 2, 2, 2), (3, 4, 0, 0)]
        assert book.hidden_rows == 1


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("<!DOCTYPE html><form><input type='password'></form>", "is a web page that asks to sign in"),
        (
            "<html><form><table><tr><td>User</td><td><input></td></tr><tr><td>Key<td><input type=password></table>",
            "is a web page that asks to sign in",
        ),
        ("<html><body><div>Ann Lee</div><div>a@x.org</div></body></html>", "is a web page without a table"),
        ("\r\n<div><p>Ann Lee</p></div>", "is a web page without a table"),
        (
            "<html><table><tr><td>Name</td><td>X</td></tr><tr><td>Ann Lee</td><td",
            "is a web page that ends inside",
        ),
    ],
)
def test_a_page_without_a_whole_table_is_refused_for_what_it_is(file: Path, page: str, says: str) -> None:
    message = refusal(file, page)
    assert message.startswith(f"report.xls {says}")
    assert "Ann" not in message


def test_spans_that_lie_take_no_memory(file: Path) -> None:
    rows = read(file, '<table><tr><td colspan="9999999" rowspan=99999999999>a</td><td>b</td></tr></table>')["report"]
    assert rows[0][:2] == ["a", "b"]
    assert len(read(file, '<table><tr><td colspan="99999">a</td><td>b</td></tr></table>')["report"][0]) < 20_000


def test_a_cell_is_what_it_says_excel_shows(file: Path) -> None:
    page = (
        '<table><tr><td>Name</td><td>X</td></tr><tr><td x:str>Ann</td><td x:str="0049301234">4930123</td></tr></table>'
    )
    assert read(file, page)["report"][1] == ["Ann", "0049301234"]


def test_hidden_rows_cells_and_columns_are_read_and_reported(file: Path) -> None:
    row = "<tr><td>Ann</td><td>Lee</td><td {}>Bonn</td></tr>"
    for page, rows, columns in (
        (f"<table>{row.format('hidden')}</table>", 0, {2}),
        (f"<table><col><col style='display:none' span=2>{row.format('')}</table>", 0, {1, 2}),
        (f"<table>{row.format('')}<tbody style='display: none'>{row.format('')}</tbody></table>", 1, set()),
    ):
        file.write_text(page)
        with open_workbook(file, file.name) as book:
            assert [cells for block in book.blocks("report") for _, cells in block.rows()][-1] == ["Ann", "Lee", "Bonn"]
            assert (book.hidden_rows, book.hidden_columns) == (rows, columns)


PEOPLE = ["Name", "Email", "Notes"]


def test_a_table_inside_a_cell_is_text_of_the_cell(file: Path) -> None:
    inner = table(["a", "b"], ["c"])
    file.write_text(table(PEOPLE, ["Ann Lee", "ann@x.org", inner], ["Bob Ray", "bob@x.org", "ok"]))
    result = read_staged(file)
    assert [(row["last_name"], row["email"], row["notes"]) for row in result.rows] == [
        ("Lee", "ann@x.org", "a b\nc"), ("Ray", "bob@x.org", "ok")
    ]  # fmt: skip


def test_a_table_that_lays_out_the_list_is_not_the_list(file: Path) -> None:
    people = table(PEOPLE, ["Ann Lee", "ann@x.org", "ok"])
    file.write_text(table(["Logo", "Contacts of 2024"], ["Home", people], ["Help", "Imprint"]))
    assert [(row["last_name"], row["email"]) for row in read_staged(file).rows] == [("Lee", "ann@x.org")]
    body = table(["Ann Lee", "ann@x.org", "ok"], ["Bob Ray", "bob@x.org", "ok"])
    file.write_text(f"<table><tr><th>Name<th>Email<th>Notes</tr><tr><td colspan=3>{body}</td></tr></table>")
    assert read_staged(file).refused  # headings and rows in two tables


def test_the_rows_of_a_table_that_is_not_read_are_counted(file: Path) -> None:
    rows = [[f"Ann Lee{number}", f"a{number}@x.org", "ok"] for number in range(5)]
    file.write_text(table(PEOPLE, *rows[:2]) + table(PEOPLE, *rows))
    result = read_staged(file)
    assert result.headings["not_read"] == [{"sheet": "Table 2", "rows": 5, "same_headings": True}]
    assert len(result.rows) == 2


@pytest.mark.parametrize("kind", ["xls", "xlsx"])
def test_one_heading_of_a_name_over_two_filled_columns_is_asked_about(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"report.{kind}"

    def write(first: str, second: str | None) -> Path:
        if kind == "xls":
            rows = f"<tr><td>{first}<td>{second or ''}<td>ann@x.org</tr>"
            path.write_text(f"<table><tr><th colspan=2>Name<th>Email</tr>{rows}</table>")
            return path
        book = openpyxl.Workbook()
        assert book.active
        for line in (["Name", None, "Email"], [first, second, "ann@x.org"]):
            book.active.append(line)
        book.active.merge_cells("A1:B1")
        book.save(path)
        return path

    refused = read_staged(write("Ann", "Lee"), interface="command line").refused
    assert '"Name" is merged over several columns' in refused
    assert 'map with --column this heading (column A), and "Column B"' in refused
    assert "Ann" not in refused
    mapped = read_staged(path, columns={"Name": "first_name", "Column B": "last_name"}).row()
    assert (mapped["first_name"], mapped["last_name"], mapped["extra"]) == ("Ann", "Lee", {})
    whole = read_staged(write("Ann Lee", None)).row()
    assert (whole["first_name"], whole["last_name"]) == ("Ann", "Lee")
