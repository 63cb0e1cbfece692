"""Forgetting one person leaves no trace of them in any table, and everybody else as they were."""

from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from support.databases import Database

from db import forget

HEADINGS = ["Company", "First Name", "Last Name", "Email", "Phone", "Notes", "Badge"]
ROWS = [
    ["Embassy", "Ann", "Lee", "Ann@Example.org", "", "likes tea", "7"],
    ["Embassy", "Joann", "Lee", "joann@example.org", "", "", "8"],
    ["Embassy", "Ann", "Lee", "ann@example.org.uk", "", "", "9"],
    ["Consulate", "Bob", "Ray", "bob@example.org", "", "ask ANN@example.org, not me", "10"],
    ["Desk", "Kim", "Kay", "desk@example.org", "", "", ""],
    ["Desk", "Pat", "Kay", "desk@example.org", "", "", ""],
    ["Embassy", "Ann", "Lee", "ann@example.org <no>", "0.5", "", "11"],  # rejected for two cells
    ["Embassy", "Tom", "Lee", "tom at example", "", "", "12"],  # rejected
    ["Embassy", "Tim", "Lee", "tim at example", "", "ask her:\nann@example.org", "13"],  # rejected
    ["Embassy", "Zoe", "Lee", "zoe@example.org", "", "", "with\tann@example.org"],
]


@pytest.fixture
def imported(database: str, prefect_server: None, tmp_path: Path) -> Database:
    from flows.import_crm_data import import_crm_data

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [HEADINGS, *ROWS]:
        sheet.append(row)
    book.save(tmp_path / "people.xlsx")
    state: Any = import_crm_data(str(tmp_path / "people.xlsx"), return_state=True)
    assert state.is_completed(), state.message
    return Database(database)


def traces(database: Database, word: str) -> list[str]:
    """In which tables it stands, wherever in a row."""
    tables = ("contacts", "contact_changes", "import_rejects", "import_staging", "task_runs")
    return [name for name in tables if database.query(f"SELECT 1 FROM {name} t WHERE t::text ILIKE %s", f"%{word}%")]


def test_a_person_is_forgotten_everywhere_and_nobody_else(
    imported: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    imported.query("CREATE TABLE import_staging_9 PARTITION OF import_staging FOR VALUES IN (9)")
    for address in ("ann@example.org", "joann@example.org"):
        imported.query(
            "INSERT INTO import_staging (import_id, position, sheet, row_number, email) VALUES (9, 1, 's', 2, %s)",
            address,
        )
    for person, old, new in (
        ("Ann", "likes coffee", "likes tea"),
        ("Bob", "x Ann@example.org y", "no"),
        ("Bob", "1", "2"),
    ):
        imported.query(
            """INSERT INTO contact_changes (contact_id, import_id, field, old, new, basis)
            SELECT id, 1, 'notes', %s, %s, 'e-mail and name' FROM contacts
            WHERE first_name = %s AND email NOT LIKE '%%uk'""",
            old,
            new,
            person,
        )
    imported.query("UPDATE task_runs SET last_error = 'row of Ann@example.org is wrong'")
    imported.query(
        """INSERT INTO notifications (dedup_key, channel, title, body)
        VALUES ('k', 'c', 't', '{"plain": "people:\\nann@example.org", "markdown": "none"}')"""
    )
    assert len(imported.query("SELECT 1 AS one FROM import_rejects")) == 4
    assert forget.main(["ann@EXAMPLE.org"]) == 0
    output = capsys.readouterr().out
    assert "removed: 1 contacts, 2 rejected rows, 1 staged rows" in output
    mention = imported.query("SELECT id FROM contacts WHERE first_name IN ('Bob', 'Zoe') ORDER BY id")
    assert f"contacts {', '.join(str(each['id']) for each in mention)}\n" in output
    assert traces(imported, "likes tea") == traces(imported, "likes coffee") == []
    assert imported.query("SELECT old, new FROM contact_changes") == [{"old": "1", "new": "2"}]
    assert [row["last_error"] for row in imported.query("SELECT last_error FROM task_runs")] == ["row of … is wrong"]
    assert imported.query("SELECT body FROM notifications")[0]["body"] == {"plain": "people:\n…", "markdown": "none"}
    left = [row["email"] for row in imported.query("SELECT email FROM contacts ORDER BY email")]
    assert left == [
        "ann@example.org.uk",
        "bob@example.org",
        "desk@example.org",
        "desk@example.org",
        "joann@example.org",
        "zoe@example.org",
    ]
    assert [row["email"] for row in imported.query("SELECT email FROM import_staging")] == ["joann@example.org"]
    assert len(imported.query("SELECT 1 AS one FROM import_rejects")) == 1


def test_an_address_of_several_people_leaves_the_lists_of_shared_addresses_too(imported: Database) -> None:
    assert traces(imported, "desk@example.org") == ["contacts", "task_runs"]
    assert forget.main(["desk@example.org"]) == 0
    assert traces(imported, "desk@example.org") == []


@pytest.mark.parametrize("arguments", [[], ["ann"], ["a@b.c", "d@e.f"]])
def test_what_is_no_address_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert forget.main(arguments) == 2
    assert "Usage" in capsys.readouterr().err


def test_without_a_database_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from support.settings import forget_settings

    monkeypatch.setenv("DATABASE_URL", "postgresql://a:hunter2@127.0.0.1:9/crm")
    forget_settings()
    assert forget.main(["a@b.c"]) == 1
    output = capsys.readouterr().err
    assert "does not answer" in output
    assert "hunter2" not in output
    forget_settings()
