"""Yesterday's backup restored with the commands of docs/operate.md: nothing is imported twice that is in it."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from openpyxl import Workbook
from support.project import ROOT
from support.settings import forget_settings

from db import embedded
from db.engine import engine
from db.schema import upgrade

IN_BASH = f'set -euo pipefail; eval "$({sys.executable} -m db.shell)"; '
BACKUP = "pg_dump --format=custom --file={file}"
RESTORE = 'dropdb "$PGDATABASE" && createdb "$PGDATABASE" && pg_restore --exit-on-error --dbname="$PGDATABASE" {file}'


@pytest.fixture
def data_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of an embedded database, whose commands a user would run."""
    with tempfile.TemporaryDirectory(prefix="backup-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        monkeypatch.setenv("DATA_DIR", name)
        forget_settings()
        upgrade()
        yield directory
        forget_settings()
        embedded.stop(directory)


def shell(command: str) -> None:
    done = subprocess.run(["bash", "-c", IN_BASH + command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def write(path: Path, rows: int) -> str:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [["Company", "Email", "Last Name"], *[["Embassy", f"a{n}@example.org", "Lee"] for n in range(rows)]]:
        sheet.append(row)
    book.save(path)
    return str(path)


@pytest.mark.slow
def test_a_restored_backup_knows_what_was_imported_before_it_and_nothing_after(
    data_dir: Path, prefect_server: None, tmp_path: Path
) -> None:
    from flows.import_crm_data import import_crm_data

    def run(workbook: str) -> str:
        state: Any = import_crm_data(workbook, return_state=True)
        assert state.is_completed(), state.message
        engine().dispose()
        return str(state.message)

    def contacts() -> int:
        with psycopg.connect(embedded.start(data_dir)) as connection:
            return int(connection.execute("SELECT count(*) FROM contacts").fetchone()[0])  # type: ignore[index]

    monday, tuesday = write(tmp_path / "monday.xlsx", 20), write(tmp_path / "tuesday.xlsx", 30)
    run(monday)
    shell(BACKUP.format(file=tmp_path / "crm.dump"))
    assert (tmp_path / "crm.dump").stat().st_size
    run(tuesday)
    assert contacts() == 30

    shell(RESTORE.format(file=tmp_path / "crm.dump"))
    assert contacts() == 20
    assert "already imported" in run(monday)
    assert contacts() == 20
    assert "10 inserted" in run(tuesday)
    assert contacts() == 30


def test_the_docs_give_these_commands() -> None:
    page = (ROOT / "docs" / "operate.md").read_text()
    for command in (BACKUP, RESTORE):
        assert command.format(file="crm.dump") in page


def test_a_database_of_ones_own_is_named_by_its_parts(database: str) -> None:
    from db.shell import variables

    named = variables()
    assert named["PGDATABASE"] in database
    assert named["PGHOST"].startswith("/") or named["PGHOST"] in database
