"""The exact wording of the import's messages, each once. Other tests assert codes, fields and values."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.reading import ADA, HEADINGS, csv, read, sheets, workbook
from support.staged import problems

from tasks.crm.download import fetch
from tasks.crm.evaluation import find_refusal
from tasks.crm.headings.column_mapping import map_columns
from tasks.crm.headings.error import HeadingsError
from tasks.crm.headings.heading_row import find_headings
from tasks.crm.headings.not_found import headings_not_found
from tasks.crm.import_report import ImportReport
from tasks.crm.overmerging import find_overmerging
from tasks.crm.readers.table import INVALID_CHARACTER
from tasks.crm.readers.workbook import WorkbookError
from tasks.crm.worker_protocol import Interface

FIELDS = (
    "organization, first_name, last_name, full_name, title, email, phone, street, city, country, tags, notes, "
    "external_id, last_contacted"
)
SEARCHED = "headings are searched for in rows 1 to 30: if they are in another row, give its number with heading_row"

# --- headings


def test_the_message_about_headings_has_the_problems_the_headings_and_the_next_action() -> None:
    with pytest.raises(HeadingsError) as error:
        map_columns(["Email", "E-mail", "Score"], {"Firma": "organization"})
    assert error.value.message("ui") == (
        'The headings cannot be used: columns: there is no heading "Firma"; two columns for one field: email is in '
        '"Email" (column A) and "E-mail" (column B): map one of them, for example "E-mail (B)", to extra with columns. '
        'Headings found: A "Email", B "E-mail", C "Score". Map the columns to fields with '
        f'columns={{"heading": "field"}}. Fields: {FIELDS}; "extra" keeps a column out of all fields, "ignore" leaves '
        "it out entirely."
    )
    assert error.value.message("command line") == (
        'The headings cannot be used: --column: there is no heading "Firma"; two columns for one field: email is in '
        '"Email" (column A) and "E-mail" (column B): map one of them, for example "E-mail (B)", to extra with '
        '--column. Headings found: A "Email", B "E-mail", C "Score". Map the columns to fields with '
        f'--column HEADING=FIELD. Fields: {FIELDS}; "extra" keeps a column out of all fields, "ignore" leaves it out '
        "entirely."
    )


def error_of(headings: list[str], columns: dict[str, str] | None = None) -> HeadingsError:
    with pytest.raises(HeadingsError) as error:
        map_columns(headings, columns)
    return error.value


def not_found(*rows: list[str]) -> HeadingsError:
    return headings_not_found(list(enumerate(rows, 1)))


def wrong_row(row: list[str]) -> HeadingsError:
    with pytest.raises(HeadingsError) as error:
        find_headings([(1, row)], heading_row=1)
    return error.value


CLAUSES: list[tuple[HeadingsError, list[str]]] = [
    (error_of(["Email"], {"Email": "town"}), ['columns: "town" (for "Email") is not a field']),
    (
        error_of(["A1", "Email"], {"A1": "organization", "a1": "notes"}),
        ['columns: "A1" is mapped to two fields, organization and notes'],
    ),
    (
        error_of(["Name", "First Name"]),
        ['"Name" beside a first name can be the full or the last name: map it to one of them'],
    ),
    (
        error_of(["Nr", "Email"], {"Nr": "external_id"}),
        ['"Nr" is an id, but its system is not known: give system, for example hubspot'],
    ),
    (
        error_of(["City", "Phone"]),
        ["none of them identifies a row (an e-mail address, a last or full name, or an organization)"],
    ),
    (not_found(), ["the first 30 rows are blank", SEARCHED]),
    (
        not_found(["Vorname;Nachname"], ["Mia;Maro"]),
        [
            (
                'the sheet is not split into columns: column A holds whole rows, separated by ";": use Data > Text to '
                "Columns in Excel, or save the sheet as .csv"
            )
        ],
    ),
    (
        not_found(["Company", "Acme"], ["Contact", "Ann Lee"], ["City", "Bonn"]),
        [
            (
                "the headings are below each other in the first column, but each record needs a row of its own: "
                "turn the table with Paste Special > Transpose in Excel"
            )
        ],
    ),
    (wrong_row([]), ["heading_row: row 1 is blank, or the sheet has no such row"]),
    (
        wrong_row(["Ann", "ann@x.org"]),
        ["heading_row: row 1 holds an e-mail address or a telephone number, so it is not a row of headings"],
    ),
]


@pytest.mark.parametrize(("error", "clauses"), CLAUSES, ids=lambda value: getattr(value, "codes", [""])[0])
def test_the_clauses_about_headings(error: HeadingsError, clauses: list[str]) -> None:
    assert [problem.text("ui") for problem in error.problems] == clauses


def test_a_row_that_may_be_data_is_described_and_not_shown() -> None:
    assert "Headings found: none; the row looks like data of a person: write a row of headings above it. Map" in str(
        error_of(["Ann Lee", "ann@example.org"])
    )
    assert "Headings found: none that are known; the row is not shown because it may be data of a person. Map" in str(
        error_of(["Mia Maro", "Paris"])
    )


# --- the whole workbook


def test_the_messages_about_sheets(tmp_path: Path) -> None:
    two = sheets(tmp_path / "two.xlsx", {"A": [HEADINGS, ADA], "B": [["Name", "Mail"], ["Ann Lee", "a@x.org"]]})
    assert read(two, sheet="*").refused == (
        "two.xlsx: the headings of sheet 'B' differ from those of 'A': it has no 'Company', 'First Name', 'Last Name', "
        "'Email' and only it has 'Name', 'Mail'; give them the same headings, hide the sheet, or import each sheet "
        "separately"
    )
    assert read(two, sheet="C").refused == "two.xlsx has no sheet 'C'; its sheets: A, B"
    assert read(workbook(tmp_path / "empty.xlsx", [HEADINGS])).refused == (
        "empty.xlsx has headings but no rows on sheet 'Contacts': check that you exported the right file"
    )
    assert read(workbook(tmp_path / "blank.xlsx", [])).refused == (
        "blank.xlsx has no rows: check that you exported the right file"
    )


SAVE_AS = "open it in Excel or LibreOffice, save it as .xlsx and import that"
LOCKED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 1024 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 512


def archive(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name in names:
            made.writestr(name, "a,b")
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty: export it again"),
        ("a.xlsx", LOCKED, "is password-protected: save it without a password and import it again"),
        ("a.xlsx", b"PK\x05\x06" + b"\0" * 18, f"is damaged or incomplete: fetch it again, or {SAVE_AS}"),
        (
            "a.docx",
            archive("word/document.xml"),
            "is a document, not a workbook: copy its table into a workbook and import that",
        ),
        (
            "a.zip",
            archive("one.csv", "two.csv"),
            "is a compressed file that holds 2 files (one.csv, two.csv): unpack it and import the right one",
        ),
        (
            "a.html",
            b"<html><body><p>Ann Lee</p></body></html>",
            f"is a web page without a table of data, not a workbook: if it shows your table in a browser, {SAVE_AS}",
        ),
        (
            "a.bin",
            bytes(range(256)) * 40,
            "is neither a workbook nor a table of text: export it as .xlsx or .csv and import that",
        ),
    ],
)
def test_the_messages_about_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name).refused == f"{name} {message}"


def test_the_message_about_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WorkbookError) as error:
        fetch(f"{tmp_path}/a.csv", tmp_path / "copies")
    assert str(error.value) == f"There is no file {tmp_path}/a.csv on this machine: check the path"


def test_the_message_about_an_uncertain_encoding(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes("Name;x\nAndré;y\n".encode("cp850"))
    assert read(path).refused == (
        "list.csv is text in DOS 850 or Windows-1252; nothing in it shows which one: give the right one "
        '(encoding=cp850, on the command line --encoding cp850), or save it as "CSV UTF-8" and import that'
    )


@pytest.mark.parametrize(
    ("interface", "ids", "names"),
    [
        (
            "ui",
            (
                '"Record ID", which has no field: if it is an id, map it and name its system: '
                'columns={"Record ID": "external_id"} system="name"'
            ),
            '"Kvasir", which has no field: map it, for example columns={"Kvasir": "full_name"}',
        ),
        (
            "command line",
            (
                '"Record ID", which has no field: if it is an id, map it and name its system: --column \'Record '
                "ID=external_id' --system NAME"
            ),
            '"Kvasir", which has no field: map it, for example --column Kvasir=full_name',
        ),
    ],
)
def test_the_messages_about_overmerging(interface: Interface, ids: str, names: str) -> None:
    begin = "20 of 20 rows would be merged with other rows although they differ in "
    people = [
        f"{first} {last}" for first in ("Ann", "Bob", "Cid", "Dee") for last in ("Lee", "Ray", "Fox", "Poe", "Day")
    ]
    numbers = [str(number) for number in range(20)]
    assert find_overmerging([("Record ID", 20, numbers)], 20, 10, (), interface) == f"{begin}the column {ids}"
    assert find_overmerging([("Kvasir", 20, people)], 20, 10, (), interface) == f"{begin}the column {names}"
    assert find_overmerging([("Number", 20, numbers)], 20, 10, (), interface) == (
        f'{begin}columns without a field: "Number"; none of them identifies a person: add a column with names, e-mail '
        "addresses or ids"
    )


def test_the_message_about_too_many_rejects() -> None:
    counts = {"rows": 20, "inserted": 5, "updated": 0, "unchanged": 0, "duplicate": 0, "rejected": 15}
    given: dict[str, Any] = {"filled": {}, "duplicates": [], "shared_emails": [], "fields": {}, "extra": ["Score"]}
    report = ImportReport(
        import_id=1, workbook="a.csv", sha256="", sheet="a", heading_row=1, preview=False, **counts, **given,
        reject_reasons=[("Score", "shows #REF!", 15)],
    )  # fmt: skip
    assert find_refusal(report, [], 0.2, "command line") == (
        "15 of 20 rows are rejected, more than REJECT_LIMIT (20%) allows; most frequent reason: Score shows #REF!; "
        "or leave that column out: --column Score=ignore"
    )


# --- rejected rows


@pytest.mark.parametrize(
    ("cells", "messages"),
    [
        ({"email": "nobody"}, {"email": "is not an e-mail address"}),
        ({"email": "a@x.org", "phone": "2024-01-02"}, {
            "phone": "is a date, not a telephone number: format the cell as text and type it again",
        }),
        ({"email": "a@x.org", "phone": "n"}, {"phone": "is not a telephone number"}),
        ({"email": "a@x.org", "phone": "110\n112"}, {
            "phone": "holds several lines, and not each is a telephone number: write one number",
        }),
        ({"email": "a@x.org", "last_contacted": 45351.0}, {
            "last_contacted": "is a number, not a date: format the cell as a date",
        }),
        ({"email": "a@x.org", "city": "a\0b"}, {"city": "holds a NUL character: type it again"}),
        ({"email": "a@x.org", "city": "a\ud800"}, {"city": INVALID_CHARACTER}),
        ({"email": "a@x.org", "last_contacted": "soon"}, {"last_contacted": "is not a date: write it as YYYY-MM-DD"}),
        ({"email": "a@x.org", "city": "x" * 1_001}, {
            "city": "has 1,001 characters, at most 1,000 fit: check that it is in the right column",
        }),
        ({"city": "Bonn"}, {None: "has no name, no e-mail address and no organisation: the row identifies nobody"}),
        ({"first_name": "Ann"}, {"last_name": "is blank although there is a first name"}),
    ],
)  # fmt: skip
def test_the_reasons_of_faulty_cells(cells: dict[str, str], messages: dict[str | None, str]) -> None:
    assert problems(cells) == messages


def test_the_reasons_of_rows_that_are_not_records(tmp_path: Path) -> None:
    lines = [
        "Company,Last Name,Email,City",
        "ACME,Lee,lee@x.org,Bonn",
        "Company,Last Name,Email,City",
        "-----,-----,-----,-----",
        "Printed by Bob on 2 May,,,",
        "Name,E-mail,Phone,City",
        "Lee,l@x.org,030123456,Ulm",
    ]
    assert [row["problems"][0][2] for row in read(csv(tmp_path / "a.csv", "\n".join(lines))).rows[1:]] == [
        "repeats the headings",
        "is a line of dashes or control characters",
        "is a remark of the report, not a record",
        "is a row of other headings: import the list below it separately",
        "is below other headings in row 6: import that list separately",
    ]
