"""A sheet in pieces is the sheet: the same rows, whoever reads which piece, or it stays whole."""

import datetime as dt
import os
import random
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from test_workbook import by_hand, formatted

from tasks.crm.readers import cutting, workbook
from tasks.crm.readers.cell import NOT_CALCULATED, ErrorCell, Row
from tasks.crm.readers.workbook import WorkbookError, open_workbook


def trimmed(rows: Iterable[Row]) -> list[Row]:
    """Rows without the blank cells at their ends: a piece is as wide as its own widest row."""
    for _, cells in (rows := list(rows)):
        while cells and cells[-1] is None:
            cells.pop()
    return rows


def whole_and_pieces(path: Path, most: int, room: Path) -> tuple[list[Row], list[list[Row]]]:
    """The rows of the first sheet, and those of each piece."""
    with open_workbook(path, path.name) as book:
        name = book.sheets[0].name
        whole = trimmed(book.rows(name))
        height = book.height
        pieces = [trimmed(piece) for piece in book.pieces(name, most, room)]
        assert book.height == height
        return whole, pieces


def cell(reference: str, text: str = "x") -> str:
    return f'<c r="{reference}" t="inlineStr"><is><t>{text}</t></is></c>'


@pytest.fixture
def every_kind(tmp_path: Path) -> Path:
    """Twenty rows of every kind of cell, of the epoch of 1904, below a merged title."""
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


@pytest.mark.parametrize("most", [1, 2, 3, 10, 20])
def test_the_pieces_together_are_the_sheet(every_kind: Path, tmp_path: Path, most: int) -> None:
    whole, pieces = whole_and_pieces(every_kind, most, tmp_path)
    assert list(chain(*pieces)) == whole
    assert len(pieces) > 1
    assert all(len(piece) <= most for piece in pieces)
    rows = dict(whole)
    assert rows[2][:4] == ["shared 1", dt.date(2024, 2, 1), "00001", ErrorCell("#DIV/0!")]


def test_a_sheet_as_long_as_a_piece_stays_whole_and_is_not_written(every_kind: Path, tmp_path: Path) -> None:
    _, pieces = whole_and_pieces(every_kind, 22, tmp_path)
    assert len(pieces) == 1
    assert not list(tmp_path.rglob("sheet-*"))


def test_a_fork_reads_its_pieces_beside_its_parent(every_kind: Path, tmp_path: Path) -> None:
    _, expected = whole_and_pieces(every_kind, 2, tmp_path)
    with open_workbook(every_kind, "book.xlsx") as book:
        pieces = book.pieces("Contacts", 2, tmp_path)
        first = next(pieces[0])
        pid = os.fork()
        if pid == 0:
            book.reopen()
            read = trimmed(chain(*pieces[1::2]))
            os._exit(0 if read == list(chain(*expected[1::2])) else 1)
        assert trimmed([first, *chain(*pieces[::2])]) == list(chain(*expected[::2]))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_merged_headings_are_known_from_the_first_piece_on(every_kind: Path, tmp_path: Path) -> None:
    with open_workbook(every_kind, "book.xlsx") as book:
        pieces = book.pieces("Contacts", 2, tmp_path)
        list(chain(*pieces))
        assert book.merged == [(1, 1, 0, 2)]


@pytest.mark.parametrize("prefix", ["", "x"])
def test_however_its_tags_are_written_it_is_cut(tmp_path: Path, prefix: str) -> None:
    p = f"{prefix}:" if prefix else ""
    rows = [f'<{p}row r="{n}" spans="1:1">{cell(f"A{n}", f"n{n}")}</{p}row>' for n in (3, 4, 9)]
    rows.insert(2, f'<{p}row r="7"/>')
    xml = "\n".join(rows).replace("<c", f"<{p}c").replace("</c", f"</{p}c")
    xml = xml.replace("<is><t>", f"<{p}is><{p}t>").replace("</t></is>", f"</{p}t></{p}is>")
    whole, pieces = whole_and_pieces(by_hand(tmp_path / "a.xlsx", xml, prefix=prefix), 2, tmp_path)
    assert [[number for number, _ in piece] for piece in pieces] == [[3, 4], [], [9]]
    assert list(chain(*pieces)) == whole


UNCLEAR = {
    "no numbers": f"<row>{cell('A1')}</row><row>{cell('A2')}</row><row>{cell('A3')}</row>",
    "twice the same": f'<row r="1">{cell("A1")}</row><row r="2">{cell("A2")}</row><row r="2">{cell("B2")}</row>',
    "backwards": f'<row r="3">{cell("A3")}</row><row r="2">{cell("A2")}</row><row r="1">{cell("A1")}</row>',
    "backwards later": "".join(f'<row r="{n}">{cell(f"A{n}")}</row>' for n in (1, 2, 3, 4, 3)),
    "a comment": f'<row r="1">{cell("A1")}</row><!-- <row r="2"/> --><row r="3">{cell("A3")}</row>',
}


@pytest.mark.parametrize("rows", UNCLEAR.values(), ids=UNCLEAR)
def test_where_it_is_unclear_which_row_is_which_the_sheet_stays_whole(
    tmp_path: Path, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "_WINDOW", 200)  # it shows when pieces are written already
    whole, pieces = whole_and_pieces(by_hand(tmp_path / "a.xlsx", rows), 1, tmp_path)
    assert pieces == [whole]
    assert whole


def test_a_sheet_that_calamine_cannot_hold_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """openpyxl would read all shared texts and count all rows from the top for each piece."""
    monkeypatch.setattr(workbook, "MOST_CELLS", 3)
    rows = "".join(f'<row r="{n}">{cell(f"A{n}")}{cell(f"D{n}")}</row>' for n in range(1, 5))
    whole, pieces = whole_and_pieces(by_hand(tmp_path / "a.xlsx", rows, before='<dimension ref="A1:D4"/>'), 1, tmp_path)
    assert pieces == [whole]
    assert len(whole) == 4


def test_a_cell_that_says_it_is_of_another_piece_is_refused(tmp_path: Path) -> None:
    """Else two pieces would have a row of one number."""
    rows = f'<row r="1">{cell("A1")}</row><row r="2">{cell("A7")}</row><row r="7">{cell("B7")}</row>'
    with (
        pytest.raises(WorkbookError, match=r"^a\.xlsx: sheet 'S' is damaged or incomplete"),
        open_workbook(by_hand(tmp_path / "a.xlsx", rows), "a.xlsx") as book,
    ):
        list(chain(*book.pieces("S", 2, tmp_path)))


def test_a_formula_never_calculated_and_a_format_are_told_in_every_piece(tmp_path: Path) -> None:
    path = formatted(tmp_path / "formatted.xlsx")
    whole, pieces = whole_and_pieces(path, 1, tmp_path)
    assert list(chain(*pieces)) == whole
    book = openpyxl.Workbook()
    for n in range(1, 6):
        book.active.append([f"=A{n}", n])
    book.save(tmp_path / "formulas.xlsx")
    _, pieces = whole_and_pieces(tmp_path / "formulas.xlsx", 2, tmp_path)
    assert [row for piece in pieces for row in piece] == [
        (n, [ErrorCell(NOT_CALCULATED), float(n)]) for n in range(1, 6)
    ]


def test_a_damaged_sheet_is_refused_as_a_whole_one_is(every_kind: Path, tmp_path: Path) -> None:
    content = bytearray(every_kind.read_bytes())
    at = content.find(b"xl/worksheets/sheet1.xml") + 200
    content[at : at + 20] = bytes(20)
    (tmp_path / "bad.xlsx").write_bytes(content)
    with (
        pytest.raises(WorkbookError, match=r"^bad\.xlsx: sheet 'Contacts' is damaged"),
        open_workbook(tmp_path / "bad.xlsx", "bad.xlsx") as book,
    ):
        list(chain(*book.pieces("Contacts", 2, tmp_path)))


@settings(max_examples=50, deadline=None)
@given(
    numbers=st.sets(st.integers(1, 60), min_size=1),
    most=st.integers(1, 30),
    window=st.integers(120, 400),
    seed=st.integers(0, 99),
)
def test_wherever_the_windows_end_the_pieces_are_the_sheet(
    numbers: set[int], most: int, window: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    room = tmp_path_factory.mktemp("room")
    chance = random.Random(seed)
    rows = "".join(f'<row r="{n}">{cell(f"A{n}", "y" * chance.randrange(90))}</row>' for n in sorted(numbers))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_WINDOW", window)
        whole, pieces = whole_and_pieces(by_hand(room / "a.xlsx", rows), most, room)
    assert list(chain(*pieces)) == whole
