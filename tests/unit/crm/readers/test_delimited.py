"""Delimited text: every row as a person would read it, or rejected with its number."""

import csv
import io
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.crm.readers.csv_conventions import listed_columns
from tasks.crm.readers.csv_dialect import delimiter_of
from tasks.crm.readers.workbook import WorkbookError, open_workbook

Rows = list[tuple[int, list[str | None]]]


def read(path: Path, content: bytes | str, encoding: str | None = None) -> tuple[Rows, dict[int, str], list[str]]:
    """The rows that are taken, the reasons of those that are not by their number, and what was assumed."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    rows: Rows = []
    faults: dict[int, str] = {}
    with open_workbook(path, path.name, encoding) as book:
        for block in book.blocks(book.sheets[0].name):
            wrong = {fault.row: fault.reason for fault in block.faults}
            for at, (number, filled) in enumerate(block.rows()):
                cells = [*filled, *[None] * (len(block.columns) - len(filled))]
                if at in wrong:
                    faults[number] = wrong[at]
                else:
                    rows.append((number, cells))
        return rows, faults, list(book.assumptions)


def rows_of_text(path: Path, content: bytes | str) -> list[list[str | None]]:
    """The cells of the rows that are taken, without blank ones at the end."""
    rows = [cells for _, cells in read(path, content)[0]]
    for cells in rows:
        while cells and cells[-1] is None:
            cells.pop()
    return rows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


# --- what is in order

TABLE = 'Name;Café\n"Zoë; ""Z""";"two\nlines"\n\nNA;n/a\n'
TABLE_ROWS = [(1, ["Name", "Café"]), (2, ['Zoë; "Z"', "two\nlines"]), (4, ["NA", "n/a"])]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_encoding_and_delimiter_are_found(file: Path, encoding: str, delimiter: str) -> None:
    rows, faults, _ = read(file, TABLE.replace(";", delimiter).encode(encoding))
    assert rows == [(n, [cell.replace(";", delimiter) for cell in cells]) for n, cells in TABLE_ROWS]
    assert not faults


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from(["a", "", "x\ny", 'q"r', "b,c", ' "s', "NA", "\r\n", "é", '""']), min_size=4, max_size=4
        ),
        max_size=40,
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
@example([["", "x\ny", "x\ny", "x\ny"]], "\n", False)
def test_what_was_written_is_read(rows: list[list[str]], end: str, every: bool) -> None:
    rows = [["Name", "Mail", "City", "Notes"], *rows]
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if every or end == "\r" else csv.QUOTE_MINIMAL  # else the writer leaves "x\ny" bare
    csv.writer(text, lineterminator=end, quoting=quoting).writerows(rows)
    with tempfile.TemporaryDirectory() as folder:
        found, faults, _ = read(Path(folder) / "t.csv", "sep=,\n" + text.getvalue())
    assert found == [(n, [cell or None for cell in row]) for n, row in enumerate(rows, 1) if any(row)]
    assert not faults


def test_a_long_text_reads_the_same_by_both_ways(file: Path) -> None:
    plain = [f'{n},Firm {n},"A, {n}",x' for n in range(25_000)]
    slow = [*plain[:12_000], '1,"two\nlines",y,z', *plain[12_000:]]
    head = "No,Firm,Place,Rest"
    rows, faults, _ = read(file, "\n".join([head, *slow]) + "\n")
    assert not faults
    assert [cells for n, cells in rows if n != 12_002] == [
        ["No", "Firm", "Place", "Rest"], *[[f"{n}", f"Firm {n}", f"A, {n}", "x"] for n in range(25_000)]
    ]  # fmt: skip
    assert rows[12_001] == (12_002, ["1", "two\nlines", "y", "z"])


def test_a_stated_delimiter_is_obeyed_and_not_a_row(file: Path) -> None:
    assert read(file, "sep=|\r\na,b|c\r\n1,2|3\r\n")[0] == [(1, ["a,b", "c"]), (2, ["1,2", "3"])]
    assert read(file, "\ufeffsep=;\na,b;c\n1,2;3\n")[0] == [(1, ["a,b", "c"]), (2, ["1,2", "3"])]


def test_the_first_rows_decide_the_delimiter(file: Path) -> None:
    assert delimiter_of("a\n" * 199 + "b;c\n") == ";"
    assert delimiter_of("a\n" * 200 + "b;c\n") == ","
    assert rows_of_text(file, "x" * 65_533 + "\nb;c" * 3)[1] == ["b", "c"]
    assert rows_of_text(file, "x" * 65_534 + "\nb;c" * 3)[1] == ["b;c"]
    # Less than a hundredth of the rows make no difference, but the number of cells does.
    assert delimiter_of("a;b,c,d\n" * 133 + "a;b\n" + "a\n" * 66) == ","


def test_one_column_titles_and_nul_are_kept(file: Path) -> None:
    assert read(file, "Name\nAda\nBob\n")[0] == [(1, ["Name"]), (2, ["Ada"]), (3, ["Bob"])]
    assert read(file, b"Name,Mail\nA\x00da,a@b.c\n")[0][1] == (2, ["A\x00da", "a@b.c"])
    rows, faults, _ = read(file, "Contacts, exported today\n\nName;Mail;City\nAda;a@b.c;Paris, France\n")
    assert rows[1:] == [(3, ["Name", "Mail", "City"]), (4, ["Ada", "a@b.c", "Paris, France"])]
    assert not faults  # what stands above the table is no row of it


# --- quotation marks

HEAD = "First Name,Last Name,Email,Company\n"


def test_a_quotation_mark_that_never_closes_costs_its_own_row(file: Path) -> None:
    text = HEAD + 'Ann,Lee,ann@x.org,"Acme\n' + "".join(f"B{n},Ray,b{n}@x.org,Beta\n" for n in range(500))
    rows, faults, _ = read(file, text)
    assert [n for n, _ in rows] == [1, *range(3, 503)]
    assert list(faults) == [2]
    assert "quotation mark" in faults[2]


def test_two_stray_quotation_marks_swallow_no_rows_between_them(file: Path) -> None:
    rows, faults, _ = read(file, HEAD + 'Ann,Lee,ann@x.org,"Acme\nBob,Ray,bob@x.org,Beta\nCid,Fox,cid@x.org,"Gamma\n')
    assert (list(faults), [n for n, _ in rows]) == ([2, 4], [1, 3])
    # The second one at the end of its cell: as RFC 4180 has it, it closes the first.
    rows, faults, _ = read(file, HEAD + 'Ann,Lee,ann@x.org,"5 inch\nBob,Ray,bob@x.org,Beta\nCid,Fox,c@x.org,pipe 5"\n')
    assert 2 in faults
    assert (3, ["Bob", "Ray", "bob@x.org", "Beta"]) in rows
    # In the middle of a row, so that the number of cells is right.
    _, faults, _ = read(file, 'Name,Firm,City,Land\nAnn,"Acme,Bonn,DE\nBob,Beta",Ulm,DE\nCid,Gamma,Kiel,DE\n')
    assert 2 in faults


def test_an_address_of_several_lines_is_no_row(file: Path) -> None:
    text = 'Name,Firm,Address\nAnn,Acme,"Main St 1\nBonn, NRW, Germany"\nBob,Beta,x\n'
    assert read(file, text)[0][1:] == [(2, ["Ann", "Acme", "Main St 1\nBonn, NRW, Germany"]), (3, ["Bob", "Beta", "x"])]


def test_quotation_marks_inside_quoted_cells_are_faults_of_their_rows(file: Path) -> None:
    rows, faults, _ = read(
        file, '"Name","Firm","City"\n"Ann","The "Big" Shop","Bonn"\n"Bob","5" Pipe, Inc","Ulm"\n"Cid","Ok","Kiel"\n'
    )
    assert (list(faults), rows[1:]) == ([2, 3], [(4, ["Cid", "Ok", "Kiel", None])])


def test_a_quotation_mark_is_a_letter_where_nobody_quotes(file: Path) -> None:
    assert rows_of_text(file, 'Name,Item\nAnn,5" pipe\nBob,The "Big" Shop\n') == [
        ["Name", "Item"], ["Ann", '5" pipe'], ["Bob", 'The "Big" Shop']
    ]  # fmt: skip
    # Whoever quotes cells would have quoted that one.
    assert list(read(file, 'Name,Item\n"Lee, Ann",x\nBob,5" pipe\n')[1]) == [3]
    assert list(read(file, 'Name,Item\nBob,5" pipe\nCid,"x\nDora,y\n')[1]) == [3]
    assert list(read(file, 'Name,Item\nBob,5" pipe\nCid,"x\n"Lee, Ann",y\n')[1]) == [2, 3]


def test_an_unquoted_formula_that_is_a_text_has_no_stray_quotation_mark(file: Path) -> None:
    text = 'Name,Phone\n"Lee, Ann",="0049 30"\n'
    for broken in ("", 'Bob,"x\n'):
        rows, faults, _ = read(file, text + broken)
        assert rows[1:] == [(2, ["Lee, Ann", "0049 30"])]
        assert list(faults) == [3] * bool(broken)


@pytest.mark.parametrize("name", ["", '"Acme', 'x"y'])
def test_headings_with_a_broken_quotation_mark_are_refused(file: Path, name: str) -> None:
    if name:
        with pytest.raises(WorkbookError, match=r"list.csv has a quotation mark in row 1 that never closes"):
            read(file, f'"First {name} Name,Mail\nAnn,a@x.org\nBob,b@x.org\n')


def test_backslashes_escape_quotation_marks_where_all_of_the_text_does_so(file: Path) -> None:
    rows, faults, assumed = read(file, '"Name","Firm"\n"Ann","The \\"Big\\" Shop, Ltd"\n"Bob","C:\\\\x"\n')
    assert [cells for _, cells in rows[1:]] == [["Ann", 'The "Big" Shop, Ltd'], ["Bob", "C:\\x"]]
    assert (faults, assumed) == ({}, ['\\" taken for a quotation mark inside a cell'])
    # A path that ends in a backslash is no escape.
    assert rows_of_text(file, '"Name","Path"\n"Ann","C:\\"\n') == [["Name", "Path"], ["Ann", "C:\\"]]
    assert 3 in read(file, '"Name","Firm"\n"Ann","The \\"Big\\" Shop"\n"Bob","x" y"\n"Cid","z"\n')[1]


def test_blanks_around_quoted_cells_are_left_out(file: Path) -> None:
    rows, faults, assumed = read(file, 'Name, Firm, City\nAnn, "Acme, Inc", Bonn\nBob, "Beta" , Ulm\n')
    assert [[cell.strip() for cell in cells if cell] for _, cells in rows[1:]] == [
        ["Ann", "Acme, Inc", "Bonn"], ["Bob", "Beta", "Ulm"]
    ]  # fmt: skip
    assert (faults, assumed) == ({}, ["blanks around quotation marks left out"])


@pytest.mark.parametrize(("begin", "end"), ["“”", "„“", "„”", "''"])
def test_other_quotation_marks_are_understood_where_the_headings_have_them(file: Path, begin: str, end: str) -> None:
    text = '"Name","Firm"\n"Ann","Acme, Inc"\n"Bob","Beta"\n'
    text = "".join(begin + part + end if at & 1 else part for at, part in enumerate(text.split('"')))
    rows, faults, assumed = read(file, text)
    assert [cells for _, cells in rows] == [["Name", "Firm"], ["Ann", "Acme, Inc"], ["Bob", "Beta"]]
    assert not faults
    assert len(assumed) == 1


# --- the number of cells


def test_a_row_with_more_cells_than_the_others_is_a_fault(file: Path) -> None:
    rows, faults, _ = read(file, "Company,City,Country\nAcme, Inc.,Bonn,DE\nBeta,Ulm,DE\nGamma,Kiel,DE,,\n")
    assert faults == {
        2: "has 4 cells, the other rows have 3: put quotation marks around a cell that holds the delimiter"
    }
    assert [n for n, _ in rows] == [1, 3, 4]  # blank cells at the end are none


@pytest.mark.parametrize(
    ("rows", "faulty"),
    [
        (["Acme,Bonn,123456,first line", "second line", "Beta,Ulm,234567,ok"], [3]),
        (["Acme,Bonn,123456,first line", "second, with a comma", "Beta,Ulm,234567,ok"], [3]),
        (["Acme,Bo", "nn,123456,ok", "Beta,Ulm,234567,ok"], [2, 3]),
        (["Acme,Bo", "", "nn,123456,ok", "Beta,Ulm,234567,ok"], [2, 4]),
        (["Acme,Bonn,123456,ok", "Beta,Ulm,234567"], []),  # a blank cell left out at the end
        (["Acme,Bonn", "Beta,Ulm", "Gamma,Kiel", "Delta,Ulm,1234,x", "Eps,Ulm,1234,x", "Zet,Ulm,1234"], []),
    ],
)
def test_the_tail_of_an_unquoted_line_break_is_a_fault(file: Path, rows: list[str], faulty: list[int]) -> None:
    assert list(read(file, "\n".join(["Company,City,Phone,Notes", *rows]) + "\n")[1]) == faulty


def test_rows_of_a_footer_are_faults_and_make_no_columns(file: Path) -> None:
    text = 'Name,Firm,Email\nAnn,Acme,a@x.org\nBob,Beta,b@x.org\n\nTotal: 2\n\n"Made by X"\n"Not for you"\nEnd\n'
    rows, faults, _ = read(file, text)
    assert ([n for n, _ in rows], list(faults)) == ([1, 2, 3], [5, 7, 8, 9])


@pytest.mark.parametrize(
    ("end", "faulty"),
    [
        ("Apt 2,Bonn,ann@x.org", True),
        ("030 2,,ann@x.org", True),
        ("ann@x.org", True),
        ("Apt 2,Bonn,ann at x.org", False),
        ("Ann,Bonn,call @ 5", False),
        ("Ann,Bonn,@ann", False),
        ("Ann,030 7,Bonn", False),
        ("ann@x.org,030 7,Bonn,ann@x.org", False),
    ],
)
def test_where_many_rows_are_short_one_with_an_address_in_another_column_is_the_rest_of_a_row(
    file: Path, end: str, faulty: bool
) -> None:
    full = "".join(f"P{n},030 {n},Bonn,p{n}@x.org,x\n" for n in range(20))
    short = "".join(f"P{n},030 {n}\n" for n in range(20, 26))
    _, faults, _ = read(file, f"Name,Phone,City,Email,Note\n{full}{short}Ann,Main St 1\n{end}\n")
    assert list(faults) == [29] * faulty


def test_ragged_rows_lose_no_cell(file: Path) -> None:
    wide = ",".join(map(str, range(3000)))
    file.write_text("a,b\n1\n" + "x,y\n" * 25_000 + "1,2,3,4,5\n" + wide + "\n,,\n8,,9,\n")
    with open_workbook(file, "list.csv") as book:
        blocks = list(book.blocks("list"))
    rows = [(number, [cell for cell in cells if cell]) for block in blocks for number, cells in block.rows()]
    assert rows[1] == (2, ["1"])
    assert [len(cells) for _, cells in rows[-3:]] == [5, 3000, 2]
    assert rows[-1] == (25_006, ["8", "9"])
    assert [number for number, _ in rows[:-1]] == list(range(1, 25_005))
    with pytest.raises(WorkbookError, match="has 20,001 cells in row 1, more than a sheet can have"):
        read(file, "," * 20_000 + "\n")


# --- marks that do not belong to the text


def test_marks_of_files_that_were_put_together_are_left_out(file: Path) -> None:
    mark = "\ufeff"
    assert rows_of_text(file, f'{mark}{mark}"Firm, legal","City"\n"Acme, Inc","Bonn"\n') == [
        ["Firm, legal", "City"], ["Acme, Inc", "Bonn"]
    ]  # fmt: skip
    assert rows_of_text(file, f"Name,City\nAnn,Bonn\n{mark}Name,City\nBob,Ulm\n")[2] == ["Name", "City"]


@pytest.mark.parametrize("end", ["\x1a", "Cid,Kiel\x1a", "\x1a\r\n", "\x1a\x1a\x1a", "\0" * 9])
def test_ctrl_z_at_the_end_is_no_row(file: Path, end: str) -> None:
    rows, faults, _ = read(file, f"Name,City\r\nAnn,Bonn\r\nBob,Ulm\r\n{end}")
    assert [cells for _, cells in rows][:3] == [["Name", "City"], ["Ann", "Bonn"], ["Bob", "Ulm"]]
    assert not any({"\x1a", "\0"} & set(cell or "") for _, cells in rows for cell in cells)
    assert not faults


# --- conventions of writers


def column(file: Path, cells: list[str], heading: str = "X") -> tuple[list[str | None], list[str], dict[int, str]]:
    """A column as it is read, what was assumed, and the faults."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["Name", heading], *[[f"n{n}", cell] for n, cell in enumerate(cells)]])
    rows, faults, assumed = read(file, text.getvalue())
    return [cells[1] for _, cells in rows[1:]], assumed, faults


@pytest.mark.parametrize(
    ("cells", "meant"),
    [
        (['="0049301"', '="01067"', ""], ["0049301", "01067", None]),
        (['="a ""b"""'], ['a "b"']),
        (["'+49 30 1", "'0049", "'(030) 12"], ["+49 30 1", "0049", "(030) 12"]),
        (["'=Equal GmbH", "Beta"], ["=Equal GmbH", "Beta"]),
        (["a@x.org", "'b@x.org"], ["a@x.org", "b@x.org"]),
        (["'Ann", "'Bob"], ["Ann", "Bob"]),
        (["'t Hooft", "Beta"], ["'t Hooft", "Beta"]),
        (["'t Hooft"], ["'t Hooft"]),
        (["'t Hooft", "'s Gravesande"], ["'t Hooft", "'s Gravesande"]),
        (["'90s Club", "O'Brien"], ["'90s Club", "O'Brien"]),
        ([r"\N", "x"], [None, "x"]),
        (["NULL", "NULL", "x"], [None, None, "x"]),
        (["NULL", "x"], ["NULL", "x"]),
        (["Null", "x"], ["Null", "x"]),
        (["O&#039;Brien", "M&amp;M", "J&uuml;rgen", "&lt;x&gt;"], ["O'Brien", "M&M", "Jürgen", "<x>"]),
        (["AT&T", "M&amp;M"], ["AT&T", "M&M"]),
        (["Gr&ouml;&szlig;e", "R&D Lab", "&#39;x&apos;"], ["Größe", "R&D Lab", "'x'"]),
        (["R&DX; Ulm", "y"], ["R&DX; Ulm", "y"]),
        (["R&D;x", "y"], ["R&D;x", "y"]),
        (["1067.0", "", "12.0"], ["1067", None, "12"]),
        (["", "1067.0"], [None, "1067"]),
        (["1067.0", "12.5"], ["1067.0", "12.5"]),
        (["1.0", "x"], ["1.0", "x"]),
        (["“Acme”", "“Beta”"], ["Acme", "Beta"]),
        (["‘Acme’", "‘Beta’"], ["Acme", "Beta"]),
        (["„Acme“"], ["Acme"]),
        (["'Acme'"], ["'Acme'"]),
        (["'Ann"], ["'Ann"]),
        (["„Acme“", "Beta"], ["„Acme“", "Beta"]),
        (["-", "+49 30 1", "@ann", "- none -"], ["-", "+49 30 1", "@ann", "- none -"]),
    ],
)
def test_conventions_are_undone_where_a_column_follows_them(
    file: Path, cells: list[str], meant: list[str | None]
) -> None:
    found, assumed, faults = column(file, cells)
    assert found == meant
    assert not faults
    assert bool(assumed) == (found != [cell or None for cell in cells])
    assert all(sentence.endswith("in column B") for sentence in assumed)


def test_of_the_columns_of_an_assumption_six_are_listed() -> None:
    assert listed_columns([0]) == "column A"
    assert listed_columns([0, 2]) == "columns A, C"
    assert listed_columns([25, 26, 51, 52, 701, 702]) == "columns Z, AA, AZ, BA, ZZ, AAA"
    assert listed_columns(range(7)) == "columns A, B, C, D, E, F and 1 more"


@pytest.mark.parametrize("cells", [["'Ann Lee'", "'Bob Ray'"], ["“Acme”", "“Beta”"], ["«Acme»", "«Beta»"]])
def test_a_heading_above_quoted_cells_loses_no_letter(file: Path, cells: list[str]) -> None:
    for heading in ("Name", cells[0][0], f"{cells[0][0]}Name"):
        text = f"City,{heading}\n" + "".join(f"Bonn,{cell}\n" for cell in cells)
        assert rows_of_text(file, text) == [["City", heading], *[["Bonn", cell[1:-1]] for cell in cells]]


@pytest.mark.parametrize(
    "formula",
    [
        '=HYPERLINK("http://x.org","Ann")',
        "=A2&B2",
        "=1+1",
        "=cmd|' /C calc'!A0",
        "@SUM(A1)",
        "+Sum(A1)",
        "-cmd|' /C calc'!A0",
        "=Sheet1!B2",
        '="030" & "1234"',
    ],
)
def test_a_formula_as_text_is_a_fault(file: Path, formula: str) -> None:
    for others in (["x=y", "+49 30 1", "- none -"], ["x y", "+49 30 1", "- none -"]):  # with and without a sign of one
        _, _, faults = column(file, [*others, formula])
        assert faults == {5: "holds a formula that only Excel can calculate: replace it by its value"}


def test_a_convention_that_begins_far_below_is_found(file: Path) -> None:
    text = "Name,Firm,Zip\n" + "Ann,Acme,1\n" * 15_000 + "Bob,\\N,2\n"
    rows, _, assumed = read(file, text)
    assert rows[-1] == (15_002, ["Bob", None, "2"])
    assert assumed == [r"\N taken for a blank cell in column B"]


def test_conventions_are_found_in_any_encoding(file: Path) -> None:
    text = "Name,City\nNULL,Bonn\nNULL,Ulm\n“Ann”,Kiel\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert [cells[0] for _, cells in read(file, text.encode(encoding))[0]] == ["Name", None, None, "“Ann”"]


def test_a_rejected_row_does_not_say_what_conventions_a_column_follows(file: Path) -> None:
    text = "Name,Zip,City\n" + "Ann,1067.0,Bonn\n" * 10_000 + "Acme, Inc,12,Ulm\n"
    rows, faults, _ = read(file, text)
    assert rows[-1] == (10_001, ["Ann", "1067", "Bonn", None])
    assert list(faults) == [10_002]


# --- limits


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "line",
    [
        'x,"y\n',
        *(
            pytest.param(line, marks=pytest.mark.slow)
            for line in (
                *('"""\n', '"x\\"y",z\n', 'x,"y""z\n', '""x,y\n', 'x,5" y\n', 'x,"y\nz",w\n', "x\n", 'x," y\n'),
            )
        ),
    ],
)
def test_malicious_quotation_marks_end(file: Path, line: str) -> None:
    """In time that grows with the square of the lines they would take several minutes."""
    with suppress(WorkbookError):
        rows, faults, _ = read(file, "a,b\n" + line * 100_000)
        assert len(rows) + len(faults) > 50_000
