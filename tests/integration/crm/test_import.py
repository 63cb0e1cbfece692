"""import_crm_data from end to end: real workbooks, a real Prefect server, a real database, and what goes wrong."""

import http.server
import io
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest
import xlsxwriter
from support.contacts import verdicts
from support.databases import renamed
from support.imports import (
    ADA,
    BOB,
    CYD,
    HEADINGS,
    done,
    page,
    partitions,
    people,
    query,
    refused,
    run,
    steps_taken,
    workbook,
)
from support.loopback import listening
from support.real_workbooks import FIELDS, IMPORTED, REAL, where_they_are
from support.settings import forget_settings

from db import contacts, staging
from db.engine import DatabaseUnavailableError, engine
from tasks.crm.rejects_workbook import write as write_rejects
from tasks.crm.settings import import_settings

CELL = "Xyzzy-Plugh"  # a cell that must not be seen in the log

pytestmark = pytest.mark.usefixtures("prefect_server", "database")


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    def set_it(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        forget_settings()

    return set_it


@pytest.fixture(autouse=True)
def _no_traceback_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever the end of an import, it is one sentence."""
    yield
    logged = [record for record in caplog.get_records("call") if record.name.startswith("prefect")]
    assert any("Finished in state" in record.getMessage() for record in logged), "the log of the runs is not seen here"
    assert not [record for record in logged if record.exc_info or "Traceback" in record.getMessage()]


# --- once


def test_a_workbook_is_imported_and_the_second_time_no_row_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book = workbook(tmp_path / "crm.xlsx", ADA, BOB, CYD)
    first = run(book)
    assert first.message == "crm.xlsx: 3 rows: 3 inserted, 0 updated, 0 unchanged, 0 duplicate, 0 rejected"
    assert people() == [
        ("ACME", "Ada", "Lovelace", None, "ada@x.org", "111", *[None] * 7, '{"Zip": "1"}'),
        ("ACME", "Bob", "Bell", None, "bob@x.org", "222", *[None] * 7, '{"Zip": "2"}'),
        ("Born", "Cyd", "Cole", None, None, "333", *[None] * 7, '{"Zip": "3"}'),
    ]
    before = query("SELECT xmin, * FROM contacts")
    caplog.clear()
    second = run(book)
    assert second.is_completed()
    assert "crm.xlsx was already imported (import 1): 3 rows: 3 inserted" in second.message
    assert second.result() == first.result()
    assert "headings in row" not in caplog.text
    assert steps_taken(caplog) == {"fetch-workbook"}
    assert query("SELECT xmin, * FROM contacts") == before
    assert query("SELECT name, status, attempts, subject, result->>'inserted' FROM task_runs") == [
        ("import_crm_data", "completed", 1, book, "3")
    ]
    assert partitions() == []


def test_a_changed_cell_is_one_update(tmp_path: Path) -> None:
    done(workbook(tmp_path / "crm.xlsx", ADA, BOB, CYD))
    again = workbook(tmp_path / "crm.xlsx", ADA, [*BOB[:4], "999", "2"], CYD)
    assert verdicts(done(again)) == {"updated": 1, "unchanged": 2}
    assert query("SELECT email, source_row FROM contacts WHERE phone = '999'") == [("bob@x.org", 3)]


@pytest.mark.slow
def test_the_same_bytes_read_in_another_way_are_another_unit(tmp_path: Path) -> None:
    book = workbook(tmp_path / "crm.xlsx", ADA)
    done(book)
    report = done(book, columns={"Zip": "notes"})
    assert verdicts(report) == {"updated": 1}
    assert report["fields"]["notes"] == "Zip"
    assert "already imported" in (run(book, columns={"Zip": "notes"}).message or "")
    assert "already imported" in (run(book, sheet="").message or ""), "no sheet and an empty one are the same"


def test_a_date_that_can_be_read_in_two_ways_is_named_as_its_own_sheet_writes_it(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for name, heading in (("one", "Last Contacted"), ("two", "last contacted")):
        sheet = book.create_sheet(name)
        sheet.append(["Email", heading])
        sheet.append([f"{name}@x.org", "03/04/2024"])
        for n in range(9):
            sheet.append([f"{name}{n}@x.org", None])
    del book["Sheet"]
    book.save(tmp_path / "dates.xlsx")
    assert verdicts(done(str(tmp_path / "dates.xlsx"), sheet="*")) == {"inserted": 18, "rejected": 2}
    assert query("SELECT column_name, value FROM import_rejects ORDER BY id") == [
        ("Last Contacted", "03/04/2024"),
        ("last contacted", "03/04/2024"),
    ]


@pytest.mark.slow
def test_a_renamed_workbook_is_the_same_workbook(tmp_path: Path) -> None:
    done(workbook(tmp_path / "crm.xlsx", ADA))
    moved = (tmp_path / "crm.xlsx").rename(tmp_path / "copy of crm.xlsx")
    assert "already imported" in (run(str(moved)).message or "")


# --- keys


@pytest.mark.slow
def test_a_key_identifies_one_workbook_permanently(tmp_path: Path) -> None:
    book, other = workbook(tmp_path / "crm.xlsx", ADA), workbook(tmp_path / "other.xlsx", BOB)
    done(book, idempotency_key="import_crm_data_v1")
    assert "already imported" in (run(book, idempotency_key="import_crm_data_v1").message or "")
    state = run(other, idempotency_key="import_crm_data_v1")
    assert state.is_failed()
    assert "'import_crm_data_v1' of import_crm_data was used for" in state.message
    assert book in state.message
    assert len(people()) == 1
    assert verdicts(done(book)) == {"unchanged": 1}  # without the key it is a unit of its own


def test_a_key_for_several_files_is_refused_and_for_one_is_taken(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx", ADA)
    workbook(tmp_path / "b.xlsx", BOB)
    sentence = refused(run(str(tmp_path / "*.xlsx"), idempotency_key="v1"))
    assert "'v1'" in sentence
    assert "matches 2" in sentence
    assert verdicts(done(str(tmp_path / "a*.xlsx"), idempotency_key="v1")) == {"inserted": 1}


def test_an_endless_key_is_refused(tmp_path: Path) -> None:
    assert "300 characters" in refused(run(workbook(tmp_path / "a.xlsx", ADA), idempotency_key="k" * 300))


# --- which workbook


@pytest.mark.slow
def test_a_file_name_that_is_no_utf_8_is_imported_like_any_other(tmp_path: Path) -> None:
    for name in (b"a.csv", b"b\xfc.csv", b"c.csv", b"d\xfc.csv"):
        person = "nobody" if name.startswith(b"d") else f"Email\n{name[:1].decode()}@x.org\n"
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text(person)
    state = run(f"{tmp_path}/*.csv")
    assert state.is_failed()
    assert "d?.csv: " in state.message
    assert query("SELECT email FROM contacts ORDER BY email") == [("a@x.org",), ("b@x.org",), ("c@x.org",)]
    assert (f"{tmp_path}/b?.csv", "completed") in query("SELECT subject, status FROM task_runs")


@pytest.mark.slow
def test_each_file_of_a_glob_is_a_unit_of_its_own(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx", ADA)
    (tmp_path / "b.xlsx").write_bytes(b"")
    workbook(tmp_path / "c.xlsx", BOB, CYD)
    state = run(str(tmp_path / "*.xlsx"))
    assert state.is_failed()
    assert "a.xlsx: 1 rows: 1 inserted" in state.message
    assert "b.xlsx is empty" in state.message
    assert "c.xlsx: 2 rows: 2 inserted" in state.message
    assert query("SELECT status FROM task_runs ORDER BY subject") == [("completed",), ("failed",), ("completed",)]
    workbook(tmp_path / "b.xlsx", [*ADA[:4], "999", "1"])
    state = run(str(tmp_path / "*.xlsx"))
    assert state.is_completed()
    assert [verdicts(report) for report in state.result()] == [{"inserted": 1}, {"updated": 1}, {"inserted": 2}]


def test_the_workbook_of_the_environment_is_taken_at_run_time(
    tmp_path: Path, setting: Callable[[str, str], None]
) -> None:
    sentence = refused(run(None))
    assert "workbook" in sentence
    assert "CRM_WORKBOOK" in sentence
    setting("CRM_WORKBOOK", workbook(tmp_path / "crm.xlsx", ADA))
    assert verdicts(done("")) == {"inserted": 1}


def test_a_workbook_is_fetched_over_http(tmp_path: Path) -> None:
    workbook(tmp_path / "crm.xlsx", ADA, BOB)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with listening(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as host:
        address = f"http://{host}"
        assert verdicts(done(f"{address}/crm.xlsx")) == {"inserted": 2}
        missing = run(f"{address}/gone.xlsx")
    assert missing.is_failed()
    assert "(404)" in missing.message
    assert query("SELECT subject FROM task_runs") == [(f"{address}/crm.xlsx",)]


def test_the_sheet_that_is_asked_for_is_read(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "crm.xlsx") as book:
        for name, row in (("First", ADA), ("Second", BOB)):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, HEADINGS)
            sheet.write_row(1, 0, row)
    report = done(str(tmp_path / "crm.xlsx"), sheet="Second")
    assert (report["sheet"], query("SELECT email FROM contacts")) == ("Second", [("bob@x.org",)])
    state = run(str(tmp_path / "crm.xlsx"), sheet="Third")
    assert state.message == "crm.xlsx has no sheet 'Third'; its sheets: First, Second"


# --- preview, limit, rejects


def test_a_preview_writes_nobody_and_shows_the_report_of_the_import(tmp_path: Path) -> None:
    done(workbook(tmp_path / "before.xlsx", ADA))
    before = query("SELECT xmin, * FROM contacts")
    book = workbook(
        tmp_path / "crm.xlsx", [*ADA[:4], "999", "1"], ["ACME", "Ada", "Lovelace", "", "", ""], BOB, [""] * 5 + ["5"]
    )
    state = run(book, preview=True)
    assert state.message.startswith("preview of crm.xlsx: ")
    assert state.message.endswith("python -m tasks.crm.rejects 2 rejects.xlsx")
    assert query("SELECT xmin, * FROM contacts") == before
    assert partitions() == []
    [preview] = state.result()
    shown = page(state)
    assert "Preview of" in shown
    assert "No contact was changed" in shown
    report = done(book)  # a preview is no import: nothing is "already done"
    differing = {"import_id", "preview"}
    assert {k: v for k, v in preview.items() if k not in differing} == {
        k: v for k, v in report.items() if k not in differing
    }
    assert [
        query(f"SELECT count(*) FROM import_rejects WHERE import_id = {each['import_id']}")
        for each in (preview, report)
    ] == [[(1,)]] * 2


def bad(number: int) -> list[str]:
    return ["ACME", "Bad", f"Mail{number}", f"nobody{number}", "", ""]


def good(number: int) -> list[str]:
    return ["ACME", "Good", f"Mail{number}", f"p{number}@x.org", "", ""]


def test_too_many_rejects_refuse_the_workbook_and_are_kept(tmp_path: Path, setting: Callable[[str, str], None]) -> None:
    book = workbook(tmp_path / "crm.xlsx", *[bad(n) if n % 10 < 3 else good(n) for n in range(40)])
    for _ in range(2):  # also when it is tried again
        sentence = refused(run(book), rejects=12)
        assert "12 of 40 rows are rejected" in sentence
        assert "REJECT_LIMIT (20%)" in sentence
        assert "Email " in sentence
        assert "python -m tasks.crm.rejects 1 rejects.xlsx" in sentence
    setting("REJECT_LIMIT", "0.4")
    assert verdicts(done(book)) == {"inserted": 28, "rejected": 12}
    assert query("SELECT status, attempts FROM task_runs") == [("completed", 3)]
    assert query("SELECT count(*) FROM import_rejects") == [(12,)]


def test_a_rejected_row_is_kept_once_and_rejects_beyond_the_limit_are_counted(
    tmp_path: Path, setting: Callable[[str, str], None]
) -> None:
    setting("IMPORT_REJECTS", "2")
    two_faults = ["ACME", "", "Bob", "no mail", "0.5", ""]
    state = run(workbook(tmp_path / "crm.xlsx", *[two_faults] * 3, *map(good, range(40))))
    report = state.result()[0]
    assert (report["rejected"], report["not_kept"]) == (3, 1)
    assert "(IMPORT_REJECTS)" in page(state)
    stored = query('SELECT row_number, column_name, jsonb_array_length("row") FROM import_rejects ORDER BY id')
    assert [(number, bool(cells)) for number, _, cells in stored] == [(2, True), (2, False), (3, True), (3, False)]
    with engine().connect() as connection:
        kept = contacts.rejects_of(connection, report["import_id"])
    assert {tuple(map(tuple, each.row)) for each in kept} == {tuple(map(tuple, kept[0].row))}
    assert kept[0].row[2][1] == "Bob"


def test_a_refused_workbook_is_refused_in_the_same_words_if_the_answer_to_the_clearing_up_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop, asked = staging.drop_staging, []

    def dropped_and_gone(_connection: Any, import_id: int) -> None:
        with engine().begin() as other:
            drop(other, import_id)
        asked.append(import_id)
        raise DatabaseUnavailableError("the connection was lost")

    monkeypatch.setattr(staging, "drop_staging", dropped_and_gone)
    sentence = refused(run(workbook(tmp_path / "crm.xlsx", *map(bad, range(11)), ADA)), rejects=11)
    assert "11 of 12 rows are rejected" in sentence
    assert len(asked) == 1


@pytest.mark.slow
def test_ten_rejects_are_always_taken_and_eleven_are_not(tmp_path: Path) -> None:
    refused(run(workbook(tmp_path / "eleven.xlsx", *map(bad, range(11)), ADA)), rejects=11)
    assert verdicts(done(workbook(tmp_path / "ten.xlsx", *map(bad, range(10)), ADA))) == {"inserted": 1, "rejected": 10}


@pytest.mark.slow
def test_a_preview_of_too_many_rejects_shows_them(tmp_path: Path) -> None:
    state = run(workbook(tmp_path / "crm.xlsx", *map(bad, range(12))), preview=True)
    assert state.is_completed()
    assert "12 rejected" in state.message
    assert all(each in state.message for each in ("refused: 12 of 12 rows", "REJECT_LIMIT (20%)", "Email "))
    assert "would be refused now" in page(state)
    assert query("SELECT count(*) FROM import_rejects") == [(12,)]
    assert people() == []


@pytest.mark.slow
def test_rejects_come_back_corrected(tmp_path: Path) -> None:
    report = done(workbook(tmp_path / "crm.xlsx", ADA, ["=1+1", "Bob", "Bell", "bob at x", "222", "007"]))
    with engine().connect() as connection:
        kept = contacts.rejects_of(connection, report["import_id"])
    assert [(each.row_number, each.column_name, each.value) for each in kept] == [(3, "Email", "bob at x")]
    write_rejects(tmp_path / "rejects.xlsx", kept)
    again = openpyxl.load_workbook(tmp_path / "rejects.xlsx")
    sheet = again.active
    assert sheet
    sheet["D2"] = "bob@x.org"
    again.save(tmp_path / "corrected.xlsx")
    assert verdicts(done(str(tmp_path / "corrected.xlsx"))) == {"inserted": 1}
    assert query("SELECT organization, extra::text FROM contacts WHERE email = 'bob@x.org'")[0][1] == '{"Zip": "007"}'


@pytest.mark.slow
@pytest.mark.parametrize("sheet", [None, pytest.param("*", marks=pytest.mark.slow)])
def test_of_a_workbook_of_rejects_only_the_corrected_rows_change(tmp_path: Path, sheet: str | None) -> None:
    """Two of three faulty cells are corrected: one row is new, one brings a known contact up to date."""
    done(workbook(tmp_path / "known.xlsx", ADA, CYD))
    lists = {"Berlin": [ADA, ["ACME", "Bob", "Bell", "bob at x", "222", "007"]], "Paris": [CYD, ADA]}
    lists["Paris"][1] = [*ADA[:4], "ask her", "1"]
    if sheet is None:
        lists = {"Berlin": [*lists["Berlin"], *lists["Paris"]]}
    lists["Berlin"].append(["ACME", "Eve", "Lee", "eve at x", "", ""])
    with xlsxwriter.Workbook(tmp_path / "crm.xlsx") as book:
        for name, rows in lists.items():
            table = book.add_worksheet(name)
            for number, row in enumerate([HEADINGS, *rows]):
                table.write_row(number, 0, row)
    report = done(str(tmp_path / "crm.xlsx"), sheet=sheet)
    assert verdicts(report) == {"unchanged": 2, "rejected": 3}
    before = dict(query("SELECT email, xmin::text FROM contacts"))
    with engine().connect() as connection:
        write_rejects(tmp_path / "rejects.xlsx", contacts.rejects_of(connection, report["import_id"]))
    again = openpyxl.load_workbook(tmp_path / "rejects.xlsx")
    assert again.sheetnames == list(lists)
    again["Berlin"]["D2"] = "bob@x.org"
    last = again[again.sheetnames[-1]]
    last[f"E{2 if sheet else 3}"] = "+44 20 1"
    again.save(tmp_path / "corrected.xlsx")
    second = done(str(tmp_path / "corrected.xlsx"), sheet=sheet)
    assert verdicts(second) == {"inserted": 1, "updated": 1, "rejected": 1}
    assert query("SELECT sheet, column_name, value FROM import_rejects ORDER BY id DESC LIMIT 1") == [
        ("Berlin", "Email", "eve at x")
    ]
    assert query("SELECT phone, extra->>'Zip' FROM contacts WHERE email IN ('ada@x.org', 'bob@x.org') ORDER BY 1") == [
        ("+44 20 1", "1"),
        ("222", "007"),
    ]
    assert dict(query("SELECT email, xmin::text FROM contacts"))[None] == before[None]


def test_the_report_is_on_the_runs_page(tmp_path: Path) -> None:
    rows = [
        ADA,
        [*ADA[:4], "999", "1"],
        ["ACME", "Eve", "Lee", "ada@x.org", "", ""],
        bad(1),
        ["#", "<b>", "|x|", "y", "", "1"],
    ]
    state = run(workbook(tmp_path / "crm.xlsx", *rows))
    shown = page(state)
    assert "| 5 | 2 | 0 | 0 | 1 | 2 |" in shown
    assert re.search(r"\| Email \| [^|]+ \| 2 \|", shown)
    assert f"python -m tasks.crm.rejects {state.result()[0]['import_id']} rejects.xlsx" in shown
    assert "| Contacts 3 | Contacts 2 | phone |" in shown or "| Contacts 2 | Contacts 3 | phone |" in shown
    assert "| ada@x.org | 2 |" in shown
    assert "| Zip | extra | 67 % |" in shown
    assert '{"Zip": "notes"}' in shown


def test_the_log_names_the_import_and_shows_no_cell(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    report = done(workbook(tmp_path / "crm.xlsx", [CELL, *ADA[1:]], [CELL, "Bob", CELL, CELL, "", CELL]))
    assert verdicts(report) == {"inserted": 1, "rejected": 1}
    ours = [record.getMessage() for record in caplog.records if record.pathname.endswith("steps.py")]
    assert ours
    assert all(message.startswith(f"import {report['import_id']}: ") for message in ours)
    assert CELL not in caplog.text


# --- the counts, through the flow


@pytest.mark.parametrize("size", ["3", "1000"])
def test_the_size_of_batches_does_not_matter(
    tmp_path: Path, size: str, setting: Callable[[str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    setting("IMPORT_BATCH_ROWS", size)
    rows = [ADA, BOB, bad(1), CYD, ["ACME", "Ada", "Lovelace", "", "", ""], bad(2), [*CYD[:3], "cyd@x.org"]]
    report = done(workbook(tmp_path / "crm.xlsx", *rows))
    assert verdicts(report) == {"inserted": 3, "duplicate": 2, "rejected": 2}
    assert [row[4] for row in people()] == ["ada@x.org", "bob@x.org", "cyd@x.org"]
    assert ("stage-rows-5-7" in steps_taken(caplog)) == (size == "3")
    assert query("SELECT row_number FROM import_rejects ORDER BY id") == [(4,), (7,)]


@pytest.mark.slow
def test_one_workbook_after_the_other_equals_both_in_one(tmp_path: Path, database: str) -> None:
    first = [ADA, ["ACME", "Eve", "Lee", "", "", "9"], ["ACME", "Dan", "Day", "info@x.org", "", ""]]
    second = [
        ["ACME", "Dee", "Day", "info@x.org", "", ""],
        ["ACME", "Eve", "Lee", "eve@x.org", "555", ""],
        ["ACME", "Ada", "Lovelace", "", "", ""],
    ]
    assert verdicts(done(workbook(tmp_path / "a.xlsx", *first))) == {"inserted": 3}
    assert verdicts(done(workbook(tmp_path / "b.xlsx", *second))) == {"inserted": 1, "updated": 1, "unchanged": 1}
    one_after_the_other = people()
    with psycopg.connect(database) as connection:
        connection.execute("TRUNCATE contacts")
    columns = [5, 3, 0, 4, 2, 1]
    mixed = [[row[column] for column in columns] for row in (second + first)[::-1]]
    both = workbook(tmp_path / "both.xlsx", *mixed, headings=[HEADINGS[column] for column in columns])
    assert verdicts(done(both)) == {"inserted": 4, "duplicate": 2}
    assert people() == one_after_the_other
    assert [row[4] for row in people()] == ["ada@x.org", "info@x.org", "info@x.org", "eve@x.org"]


# --- bad input


def xlsx(*rows: Sequence[Any]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet
    for row in rows:
        sheet.append(list(row))
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


WHOLE = xlsx(HEADINGS, *[[f"Company {n}", "", f"P{n}", f"p{n}@x.org", "", ""] for n in range(200)])
PROTECTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 1024 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 512


REFUSED = [
    ("empty.xlsx", b"", "empty.xlsx is empty"),
    ("header.xlsx", xlsx(HEADINGS), "header.xlsx has headings but no rows"),
    ("who.xlsx", xlsx(["City", "Zip"], ["Rome", 1]), "none of them identifies"),
    ("twice.csv", b"Email,E-mail\na@x.org,b@x.org\n", '"Email" (column A) and "E-mail" (column B)'),
    ("secret.xlsx", PROTECTED, "secret.xlsx is password-protected"),
    ("cut.xlsx", WHOLE[: len(WHOLE) // 2], "cut.xlsx is damaged"),
]
ALSO_REFUSED = [
    ("blank.csv", b" \r\n\r\n", "blank.csv is empty"),
    ("no rows.xlsx", xlsx(), "no rows.xlsx has no rows"),
    ("header.csv", b"Company,Email\n", "header.csv has headings but no rows"),
    ("page.xlsx", b"<!DOCTYPE html><html>Sign in</html>", "page.xlsx is a web page"),
]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        *(pytest.param(*each, id=each[0]) for each in REFUSED),  # the bytes hold the second in which they were made
        *(pytest.param(*each, id=each[0], marks=pytest.mark.slow) for each in ALSO_REFUSED),
    ],
)
def test_what_cannot_be_imported_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert says in refused(run(str(tmp_path / name)))


@pytest.mark.parametrize("where", ["gone.xlsx", "no\0path.xlsx", "folder"])
def test_a_workbook_that_is_not_there_is_refused_in_one_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "folder").mkdir()
    assert where.replace("\0", "\\x00") in refused(run(str(tmp_path / where)))


@pytest.mark.slow
def test_a_workbook_damaged_far_below_leaves_nothing(tmp_path: Path, setting: Callable[[str, str], None]) -> None:
    """Batches are staged before the end is seen."""
    setting("IMPORT_BATCH_ROWS", "1000")
    whole = tmp_path / "whole.xlsx"
    with xlsxwriter.Workbook(whole, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([["Email", "Notes"], *([f"p{n}@x.org", "x" * 200] for n in range(30_000))]):
            sheet.write_row(number, 0, row)
    path = tmp_path / "crm.xlsx"
    with zipfile.ZipFile(whole) as given, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as cut:
        for name in given.namelist():
            content = given.read(name)
            cut.writestr(name, content[: len(content) * 9 // 10] if "sheet1" in name else content)
    assert "crm.xlsx: sheet 'Sheet1' is damaged" in refused(run(str(path)))
    assert query("SELECT count(*) FROM pg_inherits WHERE inhparent = 'import_staging'::regclass") == [(0,)]


@pytest.mark.slow
def test_a_workbook_whose_xml_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.xlsx"
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as whole, zipfile.ZipFile(path, "w") as cut:
        for name in whole.namelist():
            content = whole.read(name)
            cut.writestr(name, content[: len(content) // 2] if "sheet1" in name else content)
    assert "cut.xlsx" in refused(run(str(path)))


def test_odd_cells_are_imported_as_text_or_rejected_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    rows = [
        "'; DROP TABLE contacts; --,a@x.org,-1+1",
        "Sum,h@x.org,=1+1",
        "\\N,b@x.org,\\.",
        f"Long,c@x.org,{'x' * 40_000}",
        f"{'y' * 40_000},d@x.org,",
        "N\0UL,e@x.org,",
        "Nul,f@x.org,n\0ul",
        "=cmd|' /C calc'!A0,g@x.org,💥",
    ]
    path.write_text("Name,Email,Zip\n" + "\n".join(rows) + "\n", encoding="utf-8")
    report = done(str(path))
    assert verdicts(report) == {"inserted": 2, "rejected": 6}
    assert query("SELECT coalesce(first_name || ' ', '') || last_name, extra->>'Zip' FROM contacts ORDER BY email") == [
        (None, "\\."),
        ("Long", "x" * 40_000),
    ]
    assert any(r"\N" in each and "column A" in each for each in report["assumptions"])
    assert query("SELECT row_number, column_name, length(value) > 0 FROM import_rejects ORDER BY id") == [
        (2, "Name", True),  # a semicolon stands between names
        (3, "Zip", True),
        (6, "Name", True),
        (7, "Name", True),
        (8, "Zip", True),
        (9, "Name", True),
    ]


SQL = ["'); DROP TABLE contacts; --", "%s", ":param_1", "\\", "{}", '"', "extra", "__proto__", "<b>x</b>"]


def test_headings_like_sql_are_names_and_nothing_else(tmp_path: Path) -> None:
    book = workbook(tmp_path / "sql.xlsx", ["ada@x.org", *SQL], ["b", *SQL], headings=["Email", *SQL])
    state = run(book, columns={SQL[1]: "notes"})
    assert state.message.startswith("sql.xlsx: 2 rows: 1 inserted, 0 updated, 0 unchanged, 0 duplicate, 1 rejected")
    assert query("SELECT notes FROM contacts") == [("%s",)]
    assert set(query("SELECT key, value FROM contacts, jsonb_each_text(extra)")) == {
        (each, each) for each in SQL if each != "%s"
    }
    shown = page(state)
    assert "<b>" not in shown
    assert "&lt;b&gt;x&lt;/b&gt;" in shown


# Rows of one person, by organisation and name alone, that say different things: a list of sales, not of people.
CONTRADICTING = {"crm-public/CRM Data.xlsx": 69}


@pytest.mark.slow
@where_they_are
@pytest.mark.parametrize("name", FIELDS)
def test_a_real_export_is_imported_whole_with_its_columns_recognised(
    name: str, setting: Callable[[str, str], None]
) -> None:
    setting("REJECT_LIMIT", "1")
    sheet, heading_row, rows, rejected = IMPORTED[name]
    rejected += CONTRADICTING.get(name, 0)
    report = done(str(REAL / name))
    assert (report["sheet"], report["heading_row"], report["fields"]) == (sheet, heading_row, FIELDS[name])
    assert (report["rows"], report["rejected"]) == (rows, rejected)
    assert query("SELECT count(*) FROM contacts") == [(report["inserted"],)]
    assert query("SELECT count(DISTINCT (sheet, row_number)) FROM import_rejects") == [(rejected,)]


def test_error_cells_are_rejected_with_their_address(tmp_path: Path) -> None:
    path = tmp_path / "errors.xlsx"
    path.write_bytes(xlsx(HEADINGS, ADA, [*BOB[:3], "#REF!", *BOB[4:]], [*CYD[:5], "#N/A"]))
    assert verdicts(done(str(path))) == {"inserted": 1, "rejected": 2}
    assert query("SELECT column_name, value, reason FROM import_rejects ORDER BY id") == [
        ("Email", "#REF!", "D3 shows #REF!"),
        ("Zip", "#N/A", "F4 shows #N/A"),
    ]


def test_a_lone_surrogate_is_no_traceback(tmp_path: Path) -> None:
    workbook(tmp_path / "half.xlsx", ["A_xD83D_B", "", "Half", "h@x.org", "", "_xDE00_"], ADA)
    report = done(str(tmp_path / "half.xlsx"))
    assert report["rows"] == 2
    assert ("ada@x.org",) in query("SELECT email FROM contacts")


@pytest.mark.slow
def test_a_workbook_that_needs_too_much_memory_is_refused(tmp_path: Path, setting: Callable[[str, str], None]) -> None:
    """One character beyond the others makes Python keep a text with four bytes a character."""
    setting("IMPORT_MEMORY_MB", "256")
    path = tmp_path / "big.csv"
    path.write_text("Email\na@x.org" + f",{'x' * (15 << 20)}💥" * 5 + "\n", encoding="utf-8")
    assert refused(run(str(path))).startswith("big.csv needs more than 256 MB")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://crm:hunter2@127.0.0.1:9/crm", "does not answer"),
        ("mysql://crm:hunter2@127.0.0.1/crm", "only PostgreSQL works"),
        ("postgresql://crm:hunter2@/", "DATABASE_URL names no"),
    ],
)
def test_without_a_database_one_sentence_says_so_and_no_password(
    tmp_path: Path, url: str, says: str, setting: Callable[[str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    setting("DATABASE_URL", url)
    state = run(workbook(tmp_path / "crm.xlsx", ADA))
    assert state.is_failed()
    assert says in state.message
    assert "\n" not in state.message
    assert "hunter2" not in caplog.text + state.message


def test_a_database_that_lacks_itself_or_its_tables_is_reported(
    tmp_path: Path, database: str, server_url: str, setting: Callable[[str, str], None]
) -> None:
    book = workbook(tmp_path / "crm.xlsx", ADA)
    setting("DATABASE_URL", renamed(database, "nowhere_at_all"))
    assert "'nowhere_at_all'" in (run(book).message or "")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    setting("DATABASE_URL", database)
    state = run(book)
    assert state.is_failed()
    assert "deployments.migrate" in state.message


def test_an_import_with_a_wrong_setting_fails_in_one_sentence(
    database: str, prefect_server: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from flows.import_crm_data import import_crm_data

    monkeypatch.setenv("IMPORT_BATCH_ROWS", "many")
    import_settings.cache_clear()
    state: Any = import_crm_data(return_state=True)
    assert state.is_failed()
    assert state.message.startswith("IMPORT_BATCH_ROWS: ")
    assert "Traceback" not in caplog.text
    import_settings.cache_clear()
