"""The child process that reads a workbook: its memory, its death, what it imports and what it is given."""

import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import openpyxl
import psutil
import pytest
import xlsxwriter
from support.reading import ADA, COMMAND, HEADINGS, csv, read, read_in_child, request, workbook
from support.real_workbooks import REAL, where_they_are
from support.waiting import until
from support.xlsx import MAIN, workbook_with_sheet_xml

from tasks.crm.readers.workbook import WorkbookError


def test_the_process_answers_what_reading_in_the_same_process_returns(tmp_path: Path) -> None:
    """The other tests of what is read need no process of their own."""
    rows = [HEADINGS, ADA, ["ACME", "Bob", None, "at example.org"], ["ACME", "Cyd", "語\u2028 \U0001f600", None]]
    for path in (
        workbook(tmp_path / "a.xlsx", rows),
        csv(tmp_path / "b.csv", "Email,Since\na@x.org,1/2/2024\nb@x.org,(null)\n"),
        csv(tmp_path / "c.csv", "nothing,known\n1,2\n"),
        csv(tmp_path / "d.xlsx", "%PDF-1.7"),
    ):
        answered = read_in_child(path)
        assert answered == read(path)
        assert bool(answered.refused) != bool(answered.end)


@pytest.mark.slow
@where_they_are
@pytest.mark.parametrize("path", sorted(REAL.rglob("*.xlsb")), ids=lambda path: path.name)
def test_the_process_survives_every_file_that_is_read_by_compiled_code(tmp_path: Path, path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path))
    assert read_in_child(copy) == read(copy)


def test_a_workbook_that_needs_too_much_memory_is_one_sentence(tmp_path: Path) -> None:
    """One cell of 5 million characters, under a limit that lets the interpreter start."""
    path = csv(tmp_path / "big.csv", f"Email,Notes\na@x.org,{'語' * 5_000_000}\n")
    refused = read_in_child(path, memory_mb=80).refused
    assert refused.startswith("big.csv needs more than 80 MB")
    assert "IMPORT_MEMORY_MB" in refused
    assert read_in_child(path).end == {"rows": 1, "rejected": 1, "day_first": None}


def memory(path: Path) -> list[int]:
    """Megabytes that the child takes whenever it has written a batch; its batches are taken away as they come."""
    samples = []
    child = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin
    assert child.stdout
    with child.stdin, child.stdout:
        child.stdin.write(json.dumps(asdict(request(path, batch_rows=10_000))))
        child.stdin.close()
        for line in child.stdout:
            answer = json.loads(line)
            if "batch" in answer:
                Path(answer["batch"]["path"]).unlink()
                samples.append(psutil.Process(child.pid).memory_info().rss >> 20)  # 0 if it has ended already
    assert answer["end"]["rejected"] == 0
    assert child.wait(60) == 0
    return samples


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "enough"), [("csv", 60_000), ("xlsx", 120_000)])
def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, suffix: str, enough: int, figure: Callable[[str], None]
) -> None:
    """The last fifth of the rows is compared with the second fifth, by the median: single samples vary by 10 MB.

    `enough` rows, the first fifth, are read before that, so that all buffers have their size.
    """

    def table_of(rows: int) -> Path:
        table = [[*HEADINGS, "Zip"], *([f"ACME {n}", f"Ada{n}", f"Lee{n}", f"ada{n}@x.org", n] for n in range(rows))]
        path = tmp_path / f"{rows}.{suffix}"
        if suffix == "csv":
            return csv(path, "".join(",".join(map(str, row)) + "\n" for row in table))
        with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:  # which writes no shared strings
            sheet = book.add_worksheet()
            for number, row in enumerate(table):
                sheet.write_row(number, 0, row)
        return path

    samples = memory(table_of(5 * enough))
    fifth = len(samples) // 5
    few, many = median(samples[fifth : 2 * fifth]), median(samples[4 * fifth :])
    measured = f"{few:.0f} MB for {2 * enough:,} rows, {many:.0f} MB for {5 * enough:,}"
    figure(measured)
    assert many < few + 6, measured


def test_a_child_without_its_parent_ends_quietly(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "Email\n" + "".join(f"a{n}@x.org\n" for n in range(20_000)))
    child = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdin
    assert child.stdout
    assert child.stderr
    child.stdin.write(json.dumps(asdict(request(path, batch_rows=10))))
    child.stdin.close()
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(timeout=30) == 0
    assert "Traceback" not in child.stderr.read()
    child.stderr.close()


def refusal(path: Path, **how: Any) -> str:
    """The sentence with which the parent ends, whatever became of the child."""
    from tasks.crm.worker_client import ReadingProcess

    with pytest.raises(WorkbookError) as refused, ReadingProcess(str(path.parent)) as process:
        list(process.read(request(path, **how)))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_an_xml_bomb_is_a_sentence(tmp_path: Path) -> None:
    names = "abcdefghijk"
    entities = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in itertools.pairwise(names))
    sheet = f"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{entities}]><worksheet xmlns="{MAIN}"><sheetData>
        <row r="1"><c r="A1" t="inlineStr"><is><t>&k;</t></is></c><c r="B1" t="e"><v>&k;</v></c></row>
        </sheetData></worksheet>"""
    assert refusal(workbook_with_sheet_xml(tmp_path / "bomb.xlsx", sheet)).startswith("bomb.xlsx")


@pytest.mark.slow
def test_a_zip_bomb_is_a_sentence(tmp_path: Path) -> None:
    """A few megabytes that unpack to two gigabytes of blanks within a sheet."""
    path = workbook_with_sheet_xml(tmp_path / "bomb.xlsx", "")
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "big", "w", zipfile.ZIP_DEFLATED) as made:
        for name in whole.namelist():
            if "sheet1" not in name:
                made.writestr(name, whole.read(name))
        with made.open("xl/worksheets/sheet1.xml", "w") as member:
            member.write(f'<worksheet xmlns="{MAIN}"><sheetData><row r="1"><c r="A1"><v>'.encode())
            for _ in range(2000):
                member.write(b" " * 1_000_000)
            member.write(b"1</v></c></row></sheetData></worksheet>")
    assert refusal((tmp_path / "big").rename(path)).startswith("bomb.xlsx")


def test_what_would_unpack_to_more_than_any_sheet_has_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = workbook_with_sheet_xml(tmp_path / "bomb.xlsx", "x" * 99)
    content = path.read_bytes()
    entry = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1) + 24  # its unpacked size, as it is listed
    path.write_bytes(content[:entry] + (4_294_900_000).to_bytes(4, "little") + content[entry + 4 :])
    assert refusal(path).startswith("bomb.xlsx would unpack to 4 GB")


def test_no_space_for_the_batches_is_one_sentence(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "Email\na@x.org\n")
    asked = asdict(request(path)) | {"into": str(tmp_path / "gone")}
    child = subprocess.run(COMMAND, input=json.dumps(asked), capture_output=True, text=True, timeout=60, check=False)
    refused = json.loads(child.stdout.splitlines()[-1])["refused"]
    assert refused == f"the rows of a.csv cannot be written to {tmp_path / 'gone'}: No such file or directory"


@pytest.mark.parametrize("kilobytes", [1, 30, 100])
def test_a_full_disk_is_one_sentence(tmp_path: Path, kilobytes: int) -> None:
    path = workbook(
        tmp_path / "a.xlsx", [HEADINGS, *([f"ACME {n}", "Ada", "Lee", f"a{n}@x.org"] for n in range(3_000))]
    )
    child = subprocess.run(
        COMMAND, input=json.dumps(asdict(request(path))), capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, kilobytes << 10)),
    )  # fmt: skip
    refused = json.loads(child.stdout.splitlines()[-1])["refused"]
    assert refused == f"the rows of a.xlsx cannot be written to {tmp_path / 'into'}: File too large"
    assert not child.stderr


def test_a_killed_child_leaves_no_process_and_its_parent_says_so_in_one_sentence(tmp_path: Path) -> None:
    from tasks.crm.worker_client import ReadingProcess

    path = csv(tmp_path / "a.csv", "Email\n" + "".join(f"a{n}@x.org\n" for n in range(50_000)))

    def killed() -> None:
        with ReadingProcess(str(tmp_path)) as process:
            events = process.read(request(path, batch_rows=10))
            next(events)
            [child] = [each for each in psutil.Process().children() if "tasks.crm.worker" in each.cmdline()]
            assert child.cmdline()[1:] == COMMAND[1:]  # where the workbook lies is nothing for the list of processes
            os.kill(child.pid, signal.SIGKILL)
            for _ in events:
                pass

    with pytest.raises(WorkbookError, match=r"a.csv cannot be read: .* was stopped \(signal 9\).* 2048 MB") as stopped:
        killed()
    assert "\n" not in str(stopped.value)
    assert not [each for each in psutil.Process().children() if "tasks.crm.worker" in each.cmdline()]


def test_the_child_gets_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.crm.worker_client import ReadingProcess

    for name in (
        "DATABASE_URL",
        "POSTGRES_PASSWORD",
        "NOTIFY_URLS",
        "PREFECT_API_AUTH_STRING",
        "AWS_SECRET_ACCESS_KEY",
    ):
        monkeypatch.setenv(name, "s3cr3t")
    with ReadingProcess(str(tmp_path)):
        children = psutil.Process().children
        [child] = until(  # for a moment it is a copy of this process
            lambda: [each for each in children() if "tasks.crm.worker" in each.cmdline()], "its own program runs"
        )
        assert "s3cr3t" not in child.environ().values()


def test_the_child_knows_neither_prefect_nor_the_database() -> None:
    code = "import sys, tasks.crm.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert not {"prefect", "sqlalchemy", "psycopg"} & loaded
    assert {name for name in loaded if name.split(".")[0] == "db"} <= {"db", "db.display", "db.errors"}


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


def test_a_csv_needs_neither_pandas_nor_what_other_formats_need(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("""a,b\n1,2\nO'Brien,M&amp;M\n3,4,5\n6,"7\n8"\n""")
    code = (
        "import sys; from pathlib import Path\n"
        "from tasks.crm.readers.workbook import open_workbook\n"
        "with open_workbook(Path(sys.argv[1]), 'x.csv') as b: list(b.blocks('x'))\n"
        "print(sorted({'pandas', 'chardet', 'vobject', 'lxml', 'openpyxl'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("corner", ["every row", "a diagonal"])
def test_stray_cells_far_to_the_right_cost_no_memory(tmp_path: Path, corner: str) -> None:
    """As rectangles they would be gigabytes."""
    path = tmp_path / "x.xlsx"
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet("S")
        for row in range(16_384):
            sheet.write(row, 16_383 if corner == "every row" else row, row)
    code = (
        "import sys; from pathlib import Path; from tasks.crm.readers.workbook import open_workbook\n"
        "with open_workbook(Path(sys.argv[1]), 'x') as b: print(sum(len(block) for block in b.blocks('S')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        check=True, capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)),
    )  # fmt: skip
    assert done.stdout.strip() == "16384"
