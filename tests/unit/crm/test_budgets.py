"""What a small workbook may become: each limit is a setting, which the refusal names."""

import gzip
import signal
from pathlib import Path

import pytest
from support import ods
from support.cells import text_file
from support.reading import read, request
from xlsxwriter import Workbook

from tasks.crm.readers.workbook import WorkbookError
from tasks.crm.worker_client import reading_process

_SPREADSHEET = "urn:schemas-microsoft-com:office:spreadsheet"


def _merged_xlsx(path: Path, rows: int) -> Path:
    with Workbook(path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["E-mail", "Last name", "Company"])
        sheet.merge_range(1, 2, rows, 2, "ACME")
        for row in range(1, rows + 1):
            sheet.write_row(row, 0, [f"a{row}@x.org", "Bell"])
    return path / "a.xlsx"


def _spanned_ods(path: Path, rows: int) -> Path:
    def line(*cells: str, times: int = 1) -> str:
        return ods.row(*(ods.cell("string", each) for each in cells), times=times)

    first = ods.row(
        ods.cell("string", "a@x.org"),
        ods.cell("string", "Bell"),
        ods.cell("string", "ACME", table__number_rows_spanned=str(rows)),
    )
    others = "".join(line(f"a{row}@x.org", "Bell") for row in range(rows - 1))
    return ods.document(path / "a.ods", ods.table(line("E-mail", "Last name", "Company") + first + others))


def _repeated_ods(path: Path, rows: int) -> Path:
    head, one = (
        ods.row(*(ods.cell("string", each) for each in cells), times=times)
        for cells, times in ((("E-mail",), 1), (("a@x.org",), rows))
    )
    return ods.document(path / "a.ods", ods.table(head + one))


def _spanned_html(path: Path, rows: int) -> Path:
    row = f"<tr><td>a@x.org<td colspan={rows + 1}>x<td>y</tr>"
    return text_file(path / "a.html", f"<html><body><table><tr><th>E-mail<th>Company</tr>{row}</table></body></html>")


def _spanned_xml(path: Path, rows: int) -> Path:
    def cell(text: str, merged: str = "") -> str:
        return f'<Cell {merged}><Data ss:Type="String">{text}</Data></Cell>'

    head = f"<Row>{cell('E-mail')}{cell('Company')}</Row>"
    row = f"<Row>{cell('a@x.org')}{cell('x', f'ss:MergeAcross={chr(34)}{rows}{chr(34)}')}{cell('y')}</Row>"
    sheet = f'<Worksheet ss:Name="S"><Table>{head}{row}</Table></Worksheet>'
    space = f'xmlns="{_SPREADSHEET}" xmlns:ss="{_SPREADSHEET}"'
    return text_file(path / "a.xml", f'<?xml version="1.0"?><Workbook {space}>{sheet}</Workbook>')


@pytest.mark.parametrize("make", [_merged_xlsx, _spanned_ods, _repeated_ods, _spanned_html, _spanned_xml])
def test_cells_that_others_make_are_counted_in_every_format(make, tmp_path):
    path = make(tmp_path, 300)
    assert "(IMPORT_FILLED_CELLS)" in read(path, filled_cells=250).refused
    assert read(path, filled_cells=300).refused == ""


def test_bytes_that_are_written_for_a_workbook_are_counted(tmp_path):
    rows = "".join(f"a{row}@x.org,{'x' * 100}\n" for row in range(8000))
    path = text_file(tmp_path / "a.csv", f"E-mail,{'h' * 150}\n{rows}")
    assert "raise IMPORT_WRITTEN_MB" in read(path, written_mb=1).refused
    assert read(path, written_mb=10).end["rows"] == 8000


def test_bytes_that_are_unpacked_count_too(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"E-mail,Last name\n" + b"a@x.org,Bell\n" * 100_000))
    assert "raise IMPORT_WRITTEN_MB" in read(path, written_mb=1).refused


def test_the_reasons_of_a_row_are_bounded_and_the_rest_is_counted(tmp_path):
    with Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["E-mail", *(f"h{n}" for n in range(30))])
        for row in range(1, 3):
            sheet.write_row(row, 0, [f"a{row}@x.org"])
        for column in range(1, 31):
            sheet.write_formula(1, column, "=X!A1", value="#REF!")
        sheet.write_formula(2, 1, "=X!A1", value="#REF!")
    many, one = read(tmp_path / "a.xlsx").problems
    assert [column for column, _, _ in many] == [*(f"h{n}" for n in range(20)), None]
    assert many[-1][2] == "has 10 more faults (IMPORT_REASONS)"
    assert len(one) == 1
    assert len(read(tmp_path / "a.xlsx", reasons=30).problems[0]) == 30


def test_reading_for_too_long_is_stopped(tmp_path):
    path = text_file(tmp_path / "a.csv", "E-mail\na@x.org\n")
    with reading_process() as process:
        process._process.send_signal(signal.SIGSTOP)
        with pytest.raises(WorkbookError, match=r"longer than 0\.05 seconds: .*IMPORT_READ_SECONDS"):
            list(process.read(request(path, seconds=0.05)))


def test_the_time_of_the_processor_is_limited(tmp_path):
    path = text_file(tmp_path / "a.csv", "E-mail,Notes\n" + "a@x.org,Ada Lovelace\n" * 400_000)
    with reading_process() as process, pytest.raises(WorkbookError, match=r"CPU seconds: .*IMPORT_CPU_SECONDS"):
        list(process.read(request(path, cpu_seconds=1)))
