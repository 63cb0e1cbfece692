"""Killed at any moment, run again: the tables are those of an undisturbed run.

Real processes run the real import and are killed with SIGKILL where it hurts; databases are restarted, recreated and
filled up. What is compared: contacts, rejects and results, clocks and ids apart.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pytest
import xlsxwriter
from openpyxl import load_workbook
from support.databases import Database, Tables, clone
from support.machines import ImportMachine, refused, succeeded
from support.processes import Outcome, Stop
from support.waiting import until

from db import embedded

pytestmark = [pytest.mark.timeout(300)]

BATCH = 50  # rows
BATCHES = 6  # of the workbook
SHOWN = "tasks.crm.run_page:ProgressBar.show"  # called when a batch is staged and its result is cached: between two
EVALUATED = "db.matching:evaluate"
MERGED = "db.contacts:merge"  # in the transaction that applies
DROPPED = "db.staging:drop_staging"  # the first thing after its commit
HEADINGS = ["Company", "First Name", "Last Name", "Email", "Phone", "City", "Notes", "Last Contacted", "Badge"]


# ---------------------------------------------------------------------- workbooks


def person(n: int, round_: int = 0) -> list[Any]:
    """A row: now and then without an e-mail, faulty, of a person who came before, or with a date of two readings."""
    email: str | None = f"p{n}@example.org" if n % 5 else None
    if n % 23 == 7:
        email = "at example.org"
    if n % 31 == 11:
        n -= 3  # the person of another row, written differently
    when = f"{1 + n % 12:02}/{1 + n % 27:02}/2024" if n % 4 == 0 else date(2023, 1 + n % 12, 1 + n % 28)
    city = ["Paris", "Tokyo", None, "Nairobi"][(n + round_) % 4]
    note = f"note {round_} of {n}" if n % 3 == 0 else None
    return [f"Embassy {n // 10}", f"Ann{n}", f"Lee{n}", email, f"+33 1 {n:08}", city, note, when, f"B-{n}"]


def write(path: Path, rows: list[list[Any]]) -> Path:
    with xlsxwriter.Workbook(str(path), {"default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet("People")
        for number, row in enumerate([HEADINGS, *rows]):
            sheet.write_row(number, 0, ["" if cell is None else cell for cell in row])
    return path


# ---------------------------------------------------------------------- databases and machines


@dataclass(frozen=True)
class Workbooks:
    """The workbooks that most tests import: the earlier one is in every database already."""

    earlier: Path
    workbook: Path


@pytest.fixture(scope="session")
def workbooks(tmp_path_factory: pytest.TempPathFactory) -> Workbooks:
    directory = tmp_path_factory.mktemp("workbooks")
    return Workbooks(
        write(directory / "earlier.xlsx", [person(n) for n in range(200, 280)]),
        write(directory / "people.xlsx", [person(n, 1) for n in range(BATCH * BATCHES)]),
    )


@pytest.fixture(scope="session")
def filled_database(
    server_url: str, template: str, prefect_api: str, workbooks: Workbooks, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The name of a database that holds the earlier workbook, to be cloned."""
    with (
        clone(server_url, template) as database,
        ImportMachine(database, prefect_api, tmp_path_factory.mktemp("filled")).running() as machine,
    ):
        succeeded(machine.run(workbooks.earlier))
        yield database.name


@pytest.fixture
def machine(server_url: str, filled_database: str, prefect_api: str, tmp_path: Path) -> Iterator[ImportMachine]:
    with (
        clone(server_url, filled_database) as database,
        ImportMachine(database, prefect_api, tmp_path).running() as machine,
    ):
        yield machine


Undisturbed = Callable[..., Tables]


@pytest.fixture(scope="session")
def undisturbed(
    server_url: str,
    filled_database: str,
    prefect_api: str,
    workbooks: Workbooks,
    tmp_path_factory: pytest.TempPathFactory,
) -> Undisturbed:
    """The tables after nothing but one import of the workbook, made once for each set of parameters."""
    made: dict[str, Tables] = {}

    def tables(**parameters: Any) -> Tables:
        key = repr(sorted(parameters.items()))
        if key not in made:
            with (
                clone(server_url, filled_database) as database,
                ImportMachine(database, prefect_api, tmp_path_factory.mktemp("undisturbed")).running() as machine,
            ):
                succeeded(machine.run(workbooks.workbook, **parameters))
                made[key] = database.tables_of_imports()
        return made[key]

    return tables


def test_the_undisturbed_run_has_something_of_everything(undisturbed: Undisturbed) -> None:
    """Else equal tables would prove little."""
    by_workbook = {Path(run["subject"]).name: run["result"] for run in undisturbed()["runs"]}
    report = by_workbook["people.xlsx"]
    assert report["rows"] == BATCH * BATCHES
    for verdict in ("inserted", "updated", "duplicate", "rejected"):
        assert report[verdict] > 2, report
    assert len(undisturbed()["rejects"]) >= report["rejected"]


# ---------------------------------------------------------------------- killed

READING = Stop("tasks.crm.steps:_expect")  # the headings are known, no batch is staged
IN_A_BATCH = Stop("db.staging:stage", 3, after=True)  # copied, not committed
BETWEEN = Stop(SHOWN, 2)
NOT_MERGED = Stop(MERGED)
MERGING = Stop(MERGED, after=True)
COMMITTED = Stop(DROPPED)
REPORTING = Stop("tasks.crm.reporting:report_import")


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(READING, marks=pytest.mark.slow),
        pytest.param(Stop("db.staging:prepare_staging", after=True), marks=pytest.mark.slow),
        pytest.param(IN_A_BATCH, marks=pytest.mark.slow),
        BETWEEN,
        pytest.param(Stop("db.staging:unstaged"), marks=pytest.mark.slow),
        pytest.param(NOT_MERGED, marks=pytest.mark.slow),
        MERGING,
        pytest.param(Stop("db.contacts:keep_rejects", after=True), marks=pytest.mark.slow),
        pytest.param(COMMITTED, marks=pytest.mark.slow),
        pytest.param(REPORTING, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_killed_there_and_run_again_the_tables_are_those_of_an_undisturbed_run(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed, stop: Stop
) -> None:
    before = machine.database.tables_of_imports()
    machine.kill_at(stop, workbooks.workbook)
    until(lambda: not machine.readers(), "the reading process ends when the import is gone")
    after = machine.database.tables_of_imports()
    if stop in (COMMITTED, REPORTING):
        assert after == undisturbed(), "everything was committed"
    else:
        assert after["contacts"] == before["contacts"], "nothing may be seen of it"
        assert after["rejects"] == before["rejects"]
    again = succeeded(machine.run(workbooks.workbook))
    assert machine.database.tables_of_imports() == undisturbed()
    if stop in (COMMITTED, REPORTING):
        assert "already imported" in again.message
        assert again.staged == 0
    if stop == BETWEEN:
        assert again.staged == BATCHES - 2, "what is staged and known to be is not staged again"


@pytest.mark.slow
def test_killed_at_a_random_moment(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed, seed_of_two_kills: int
) -> None:
    """Twice in a row: also the run that takes over is killed."""
    expected = undisturbed()
    moments = random.Random(seed_of_two_kills)
    for _ in range(2):
        process = machine.start(workbooks.workbook, Stop("tasks.crm.steps:find_workbooks"))
        process.reach()
        process.release()
        time.sleep(moments.uniform(0, 1.2))  # an undisturbed run takes about as long
        process.kill()
    succeeded(machine.run(workbooks.workbook))
    assert machine.database.tables_of_imports() == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "stop",
    [
        Stop("tasks.crm.rejects_workbook:_RejectsWorkbook.add", after=True),
        Stop("openpyxl.writer.excel:ExcelWriter.write_data", after=True),
        Stop("pathlib:Path.replace"),
    ],
    ids=str,
)
def test_killed_while_the_workbook_of_rejects_is_written_no_half_file_has_its_name(
    machine: ImportMachine, workbooks: Workbooks, stop: Stop
) -> None:
    succeeded(machine.run(workbooks.workbook))
    number = machine.database.query("SELECT max(import_id) AS n FROM import_rejects")[0]["n"]
    faulty = machine.database.query(
        "SELECT count(DISTINCT row_number) AS n FROM import_rejects WHERE import_id = %s", number
    )
    out = machine.directory / "out" / "rejects.xlsx"
    out.parent.mkdir()
    writing = machine.process("tasks.crm.rejects:main", {"argv": [str(number), str(out)]}, stops=(stop,))
    writing.reach()
    writing.kill()
    assert not out.exists()
    assert [path.name for path in out.parent.iterdir() if not path.name.startswith(".")] == []
    command = [sys.executable, "-m", "tasks.crm.rejects", str(number), str(out)]
    environment = os.environ | {"DATABASE_URL": machine.database.url}
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert load_workbook(out).worksheets[0].max_row == 1 + faulty[0]["n"]


# ---------------------------------------------------------------------- the cache must not lie


@pytest.mark.slow
def test_prefects_home_lost_between_the_runs(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed
) -> None:
    machine.kill_at(BETWEEN, workbooks.workbook)
    shutil.rmtree(machine.home)
    assert succeeded(machine.run(workbooks.workbook)).staged == BATCHES
    assert machine.database.tables_of_imports() == undisturbed()


@pytest.mark.slow
def test_database_recreated_while_prefects_home_stays(
    machine: ImportMachine, server_url: str, filled_database: str, workbooks: Workbooks, undisturbed: Undisturbed
) -> None:
    machine.kill_at(Stop("db.staging:unstaged"), workbooks.workbook)
    name = machine.database.name
    admin = Database(server_url)
    admin.query(f'DROP DATABASE "{name}" WITH (FORCE)')
    admin.query(f'CREATE DATABASE "{name}" TEMPLATE "{filled_database}"')
    again = succeeded(machine.run(workbooks.workbook))
    assert machine.database.tables_of_imports() == undisturbed()
    assert again.staged == BATCHES
    assert "Cached" not in again.log, "results of another database were met"


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["TRUNCATE {}", "DELETE FROM {} WHERE position IN (7, 300)", "DROP TABLE {}"])
def test_staged_rows_lost_while_the_cache_says_done(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed, lost: str
) -> None:
    machine.kill_at(Stop("db.staging:unstaged"), workbooks.workbook)
    [table] = machine.database.staging()
    machine.database.query(lost.format(table))
    again = succeeded(machine.run(workbooks.workbook))
    assert machine.database.tables_of_imports() == undisturbed()
    assert "Cached" in again.log, "the cache was not even asked"


@pytest.mark.slow
def test_rows_staged_by_other_rules_are_not_used(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed
) -> None:
    machine.kill_at(Stop("db.staging:unstaged"), workbooks.workbook, change={"tasks.crm.steps:RULES_VERSION": -1})
    again = succeeded(machine.run(workbooks.workbook))
    assert again.staged == BATCHES
    assert machine.database.tables_of_imports() == undisturbed()


@pytest.mark.slow
@pytest.mark.parametrize("rows", [20, 70, 1000])
def test_another_batch_size_on_resume(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed, rows: int
) -> None:
    machine.kill_at(
        Stop(SHOWN, 1 if rows > 300 else 3), workbooks.workbook, environment={"IMPORT_BATCH_ROWS": str(rows)}
    )
    succeeded(machine.run(workbooks.workbook))
    assert machine.database.tables_of_imports() == undisturbed()


@pytest.mark.slow
def test_other_columns_on_resume_and_back_again(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed
) -> None:
    """With a key of one's own it is the same unit: rows that were staged as other columns must not be used."""
    key = {"idempotency_key": "import_crm_data_v1"}
    machine.kill_at(Stop("db.staging:unstaged"), workbooks.workbook, **key)
    machine.kill_at(BETWEEN, workbooks.workbook, **key, columns={"City": "country", "Badge": "tags"})
    succeeded(machine.run(workbooks.workbook, **key))
    assert machine.database.tables_of_imports() == undisturbed(**key)


# ---------------------------------------------------------------------- the lock is lost


def cut(machine: ImportMachine) -> None:
    """Terminate the connection that holds the lock of the running import."""
    [holder] = machine.database.lock_holders()
    machine.database.query("SELECT pg_terminate_backend(%s)", holder)
    until(lambda: not machine.database.lock_holders(), "the lock is free")


def test_an_import_that_lost_its_lock_is_fenced_once_another_took_over(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed
) -> None:
    first = machine.start(workbooks.workbook, BETWEEN)
    first.reach()
    cut(machine)
    second = machine.start(workbooks.workbook, Stop(SHOWN, 1))
    second.reach()
    first.release()
    fenced = first.outcome()
    assert "another took over" in refused(fenced)
    assert fenced.staged == 2, "it staged rows beside the one that took over"
    second.release()
    succeeded(second.outcome())
    assert machine.database.tables_of_imports() == undisturbed()


@pytest.mark.slow
def test_an_import_that_lost_its_lock_cannot_apply_beside_the_one_that_finished(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed
) -> None:
    first = machine.start(workbooks.workbook, Stop("db.contacts:lock_imports"))
    first.reach()
    cut(machine)
    succeeded(machine.run(workbooks.workbook))
    first.release()
    assert "another took over" in refused(first.outcome())
    assert machine.database.tables_of_imports() == undisturbed()


@pytest.mark.slow
def test_an_import_that_lost_its_lock_while_it_commits_is_not_done_twice(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed
) -> None:
    """The other one waits for the row; when the commit arrives there is nothing left to do."""
    first = machine.start(workbooks.workbook, MERGING)
    first.reach()
    cut(machine)
    second = machine.start(workbooks.workbook)
    until(machine.database.waiting, "the second waits for the row of the first")
    assert not second.ended()
    first.release()
    succeeded(first.outcome())
    assert "already imported" in succeeded(second.outcome()).message
    assert machine.database.tables_of_imports() == undisturbed()


# ---------------------------------------------------------------------- many at once


def at_once(machine: ImportMachine, workbooks: list[Path]) -> list[Outcome]:
    """All of them at the same instant, each in a process of its own."""
    processes = [machine.start(workbook, Stop("tasks.crm.steps:unit_of_work")) for workbook in workbooks]
    for process in processes:
        process.reach(240)
    for process in processes:
        process.release()
    return [process.outcome(180) for process in processes]


@pytest.mark.slow
def test_16_processes_import_the_same_workbook_at_the_same_instant(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed
) -> None:
    outcomes = at_once(machine, [workbooks.workbook] * 16)
    imported = [outcome for outcome in outcomes if outcome.staged]
    assert len(imported) == 1
    succeeded(imported[0])
    for outcome in outcomes:
        if outcome.state == "COMPLETED":
            succeeded(outcome)
        else:
            assert "already running" in refused(outcome)
    assert machine.database.tables_of_imports() == undisturbed()


@pytest.mark.slow
def test_16_processes_import_overlapping_workbooks_at_the_same_instant(
    machine: ImportMachine, server_url: str, filled_database: str, prefect_api: str, tmp_path: Path
) -> None:
    """The tables are those of the same imports one after the other, in the order in which they were applied."""
    workbooks = [
        write(tmp_path / f"part-{n}.xlsx", [person(at, n) for at in range(n * 20, n * 20 + 100)]) for n in range(16)
    ]
    for outcome in at_once(machine, workbooks):
        succeeded(outcome)
    # Imports are serialised when they apply, so that the transaction that completes the row tells the order.
    order = machine.database.query(
        "SELECT subject FROM task_runs WHERE subject LIKE '%%part-%%' ORDER BY xmin::text::bigint"
    )
    assert len(order) == 16
    (tmp_path / "serial").mkdir()
    with (
        clone(server_url, filled_database) as database,
        ImportMachine(database, prefect_api, tmp_path / "serial").running() as serial,
    ):
        for row in order:
            succeeded(serial.run(row["subject"]))
        assert machine.database.tables_of_imports() == database.tables_of_imports()
    succeeded(machine.run(workbooks[0].parent / "part-*.xlsx"))
    assert len(machine.database.staging()) <= 1, "what was staged is cleared away"


# ---------------------------------------------------------------------- a server of one's own: restarts, a full disk


@dataclass
class OwnServer:
    """An embedded PostgreSQL that a test may stop."""

    data_dir: Path
    url: str

    def restart(self, mode: str) -> None:
        """Fast: connections are cut, as by `systemctl restart`. Immediate: as after a crash, staged rows are lost."""
        if mode == "fast":
            embedded.stop(self.data_dir)
        else:
            directory = embedded.directory_of(self.data_dir)
            postmaster = int((directory / "postmaster.pid").read_text().split()[0])
            os.kill(postmaster, signal.SIGQUIT)
            until(lambda: not psutil.pid_exists(postmaster), "the server is gone")
        embedded.start(self.data_dir)


@pytest.fixture(scope="module")
def own_server() -> Iterator[OwnServer]:
    with tempfile.TemporaryDirectory(prefix="own-server-") as home:  # short: its socket's path has a limit
        Path(home).chmod(0o755)
        url = embedded.start(Path(home))
        yield OwnServer(Path(home), url)
        embedded.stop(Path(home))


@pytest.fixture
def own_machine(
    own_server: OwnServer, prefect_api: str, workbooks: Workbooks, tmp_path: Path
) -> Iterator[ImportMachine]:
    """A machine like the others, on the server that may be stopped."""
    with (
        clone(own_server.url, "template1") as database,
        ImportMachine(database, prefect_api, tmp_path).running() as machine,
    ):
        migrated = machine.process("db.schema:upgrade", {}).outcome()
        assert migrated.state == "RETURNED", migrated.log
        succeeded(machine.run(workbooks.earlier))
        yield machine


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fast", "immediate"])
@pytest.mark.parametrize(
    "stop",
    [
        BETWEEN,
        Stop("db.staging:stage", 3),
        Stop("tasks.crm.steps:_blocks", 3, after=True),
        Stop("db.contacts:lock_imports"),
        MERGING,
        COMMITTED,
    ],
    ids=str,
)
def test_database_restarted_while_the_import_lives(
    own_machine: ImportMachine,
    own_server: OwnServer,
    workbooks: Workbooks,
    undisturbed: Undisturbed,
    stop: Stop,
    mode: str,
) -> None:
    """The import goes on by itself."""
    process = own_machine.start(workbooks.workbook, stop)
    process.reach()
    own_server.restart(mode)
    process.release()
    outcome = process.outcome()
    assert outcome.state == "COMPLETED", f"{outcome.message}\n{outcome.log}"
    assert own_machine.database.tables_of_imports() == undisturbed()


@contextmanager
def small_disk(at: Path, kilobytes: int, uid: int | None = None) -> Iterator[Path]:
    at.mkdir(parents=True, exist_ok=True)
    options = f"size={kilobytes}k,mode=700" + (f",uid={uid}" if uid is not None else "")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True, timeout=20)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [8, 48], ids=["no space for the copy", "no space for the batches"])
def test_full_disk_where_the_workbook_is_copied_is_one_sentence(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed, kilobytes: int
) -> None:
    before = machine.database.tables_of_imports()
    disk = {"TMPDIR": str(machine.directory / "disk")}
    with small_disk(machine.directory / "disk", kilobytes):
        message = refused(machine.run(workbooks.workbook, environment=disk))
    assert "No space left on device" in message
    after = machine.database.tables_of_imports()
    assert (after["contacts"], after["rejects"]) == (before["contacts"], before["rejects"])
    succeeded(machine.run(workbooks.workbook))
    assert machine.database.tables_of_imports() == undisturbed()


@pytest.mark.slow
def test_no_file_may_grow_where_the_workbook_is_copied_is_one_sentence(
    machine: ImportMachine, workbooks: Workbooks, undisturbed: Undisturbed
) -> None:
    """The same without a disk of one's own: also for those who may not mount one."""
    assert "File too large" in refused(machine.run(workbooks.workbook, largest_file=8192))
    succeeded(machine.run(workbooks.workbook))
    assert machine.database.tables_of_imports() == undisturbed()


@pytest.mark.slow
@pytest.mark.parametrize("full", ["staging", "contacts"])
def test_full_disk_of_the_database_is_one_sentence(
    own_machine: ImportMachine, own_server: OwnServer, workbooks: Workbooks, undisturbed: Undisturbed, full: str
) -> None:
    before = own_machine.database.tables_of_imports()
    directory = embedded.directory_of(own_server.data_dir)
    name = f"small_{full}"
    database = own_machine.database.name
    with small_disk(own_server.data_dir / name, 300, uid=directory.stat().st_uid) as disk:
        own_machine.database.query(f"CREATE TABLESPACE {name} LOCATION '{disk}'")
        try:
            if full == "staging":
                Database(own_server.url).query(f'ALTER DATABASE "{database}" SET default_tablespace = {name}')
            else:
                own_machine.database.query(f"ALTER TABLE contacts SET TABLESPACE {name}")
            free_bytes = 32_768 if full == "staging" else 8192
            (disk / "filler").write_bytes(b"\0" * (shutil.disk_usage(disk).free - free_bytes))
            message = refused(own_machine.run(workbooks.workbook))
            assert "no space left" in message
            after = own_machine.database.tables_of_imports()
            assert (after["contacts"], after["rejects"]) == (before["contacts"], before["rejects"])
            # There is space again: the same command goes on.
            Database(own_server.url).query(f'ALTER DATABASE "{database}" RESET default_tablespace')
            own_machine.database.query("ALTER TABLE contacts SET TABLESPACE pg_default")
            for table in own_machine.database.staging():
                own_machine.database.query(f"ALTER TABLE {table} SET TABLESPACE pg_default")
                own_machine.database.query(f"ALTER INDEX {table}_pkey SET TABLESPACE pg_default")
            succeeded(own_machine.run(workbooks.workbook))
            assert own_machine.database.tables_of_imports() == undisturbed()
        finally:
            Database(own_server.url).query(f'DROP DATABASE "{database}" WITH (FORCE)')
            Database(own_server.url).query(f"DROP TABLESPACE {name}")
