"""deployments/backup/: what backup.sh has written, restore.sh brings back; what fails changes nothing."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from support.contacts import ADA, imported
from support.databases import Database
from support.project import ROOT

from db.engine import engine, lock_engine

pytestmark = pytest.mark.slow
BACKUP, RESTORE = (f"deployments/backup/{name}.sh" for name in ("backup", "restore"))


def run(script: str, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    for each in (engine, lock_engine):
        each().dispose()  # a database that is in use is not replaced
    env = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)} | settings
    command = ["sh", str(ROOT / script), *map(str, arguments)]
    return subprocess.run(command, cwd="/", env=env, capture_output=True, text=True, timeout=120, check=False)


def content(url: str) -> dict[str, Any]:
    """All rows of all tables, and the last value of each sequence."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        tables = connection.execute(
            "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        rows: dict[str, Any] = {
            table["name"]: sorted(
                map(str, connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table["name"])))),
            )
            for table in tables
        }
        sequences = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"
        return rows | {"sequences": connection.execute(sequences).fetchall()}


def backups(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def backup(database: str, tmp_path: Path) -> Path:
    """The backup of a database with contacts, rejects and units of work."""
    imported([ADA, {**ADA, "first_name": "Bea", "email": "bea@example.org"}, {**ADA, "email": "not an address"}])
    directory = tmp_path / "backups"
    directory.mkdir()
    done = run(BACKUP, directory)
    assert done.returncode == 0, done.stderr
    [name] = backups(directory)
    return directory / name


def test_a_restored_backup_has_all_rows_and_numbers_of_then(database: str, backup: Path) -> None:
    then = content(database)
    assert {name for name, rows in then.items() if rows} >= {
        "contacts",
        "task_runs",
        "embassy_jobs_version",
        "sequences",
    }
    imported([{**ADA, "first_name": "Cyd"}])
    Database(database).query("DELETE FROM contacts WHERE first_name = 'Ada'")
    assert content(database) != then
    done = run(RESTORE, backup)
    assert done.returncode == 0, done.stderr
    assert content(database) == then
    assert imported([ADA])["unchanged"] == 1


def test_a_broken_backup_or_a_database_in_use_changes_nothing(database: str, backup: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.dump"
    broken.write_bytes(backup.read_bytes()[: backup.stat().st_size * 2 // 3])
    imported([{**ADA, "first_name": "Cyd"}])
    now = content(database)
    assert run(RESTORE, broken).returncode != 0
    assert content(database) == now
    with psycopg.connect(database):
        assert run(RESTORE, backup).returncode != 0
    assert content(database) == now
    beside = f"{Database(database).name}_restored"
    assert Database(database).query("SELECT 1 AS one FROM pg_database WHERE datname = %s", beside) == []
    assert run(RESTORE, backup).returncode == 0


def test_a_backup_that_fails_leaves_nothing_and_only_the_newest_are_kept(backup: Path) -> None:
    directory = backup.parent
    for day in range(1, 5):
        (directory / f"embassy-jobs-2026010{day}T000000Z.dump").write_bytes(b"")
    (directory / "mine.dump").write_bytes(b"")
    before = backups(directory)
    assert run(BACKUP, directory, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none").returncode != 0
    assert backups(directory) == before
    assert run(BACKUP, directory, BACKUPS_KEPT="3").returncode == 0
    *ours, mine = backups(directory)
    assert (len(ours), mine) == (3, "mine.dump")
    assert ours[0] == "embassy-jobs-20260104T000000Z.dump" or backup.name in ours
    assert all((directory / name).stat().st_mode & 0o077 == 0 for name in ours if "2026010" not in name)
