"""The embedded server, with real processes: started by many at once, abandoned, killed in every way, and started again.

As root the server runs as a user of its own, so each test has a data directory that others may enter, as `make up` has.
"""

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from support.project import ROOT
from support.users import NOBODY, as_nobody, as_root_only

from db import embedded, embedded_location
from db.embedded_location import EmbeddedError, Location

others_may_run_it = pytest.mark.skipif(
    not embedded_location.open_to_others(embedded_location.shipped_programs()),
    reason="another user may not enter the environment of this checkout",
)
Start = Callable[..., str]


def processes(data_dir: Path) -> list[psutil.Process]:
    """Every PostgreSQL process of this data directory."""
    found = []
    for process in embedded._Server(Location(data_dir))._processes():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended while we looked
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def postmaster(data_dir: Path) -> psutil.Process:
    """The one server of this data directory."""
    servers = [process for process in processes(data_dir) if embedded._is_postmaster(process)]
    pids = {server.pid for server in servers}
    found = []
    for server in servers:
        with contextlib.suppress(psutil.NoSuchProcess):  # a child that was just born still has its parent's name
            if server.ppid() not in pids:
                found.append(server)
    (only,) = found
    return only


def until(true: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@contextlib.contextmanager
def made_and_removed(mode: int = 0o755, parent: Path | None = None) -> Iterator[Path]:
    """A data directory of which nothing is left afterwards, neither processes nor files."""
    path = Path(tempfile.mkdtemp(prefix="crm-embedded-", dir=parent))
    path.chmod(mode)
    try:
        yield path
    finally:
        for data_dir in [path, *(home.parent for home in path.rglob("postgres"))]:
            place = embedded._Server(Location(data_dir))
            kill_all(data_dir)
            for directory in (place.directory, place.socket_dir):
                shutil.rmtree(directory, ignore_errors=True)
            if place.directory.is_relative_to(embedded_location.SYSTEM_DIRECTORY):
                shutil.rmtree(place.directory.parent, ignore_errors=True)
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with made_and_removed() as path:
        yield path


def python(code: str, *arguments: Path | str, **options: Any) -> subprocess.Popen[str]:
    """Another process that runs `code`; it has `data_dir`, `embedded` and `psycopg`."""
    head = (
        "import sys, time, psycopg\nfrom pathlib import Path\nfrom db import embedded\ndata_dir = Path(sys.argv[1])\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def output_of(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    return out.strip()


def query(url: str, statement: str) -> Any:
    with psycopg.connect(url, connect_timeout=10) as connection:
        row = connection.execute(statement).fetchone()  # type: ignore[arg-type]
        return row[0] if row else None


def remember(url: str) -> None:
    """Something committed, that every start must find again."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")


def innocent(data_dir: Path) -> subprocess.Popen[bytes]:
    """A process that is not PostgreSQL, of the user that PostgreSQL runs as: the one a reused pid can belong to."""
    owner = Location(data_dir).owner()
    become: dict[str, Any] = {"user": owner[0], "group": owner[1], "extra_groups": []} if owner else {}
    return subprocess.Popen(["sleep", "120"], **become)


def leave_locks_of(pid: int, place: embedded._Server) -> None:
    """The lock files as a killed server leaves them, with the pid of somebody else."""
    owner = place.location.owner()
    for file in (place.directory / "postmaster.pid", place.socket_dir / f"{embedded_location.SOCKET}.lock"):
        lines = file.read_text().splitlines()
        file.write_text("\n".join([str(pid), *lines[1:]]) + "\n")
        if owner:
            os.chown(file, *owner)


def kill_all(data_dir: Path) -> None:
    """SIGKILL to the server and all its children, whoever else may be starting it again meanwhile."""
    for process in processes(data_dir):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


# ---------------------------------------------------------------------- many at once


@pytest.mark.slow
def test_several_processes_that_start_it_at_once_get_one_server(data_dir: Path) -> None:
    code = """
        url = embedded.start(data_dir)
        print(url, psycopg.connect(url).execute("SELECT pg_postmaster_start_time()").fetchone()[0])
    """
    starting = [python(code, data_dir) for _ in range(6)]
    assert len({output_of(process) for process in starting}) == 1
    assert postmaster(data_dir).is_running()


@pytest.mark.slow
def test_a_starter_that_is_killed_at_any_moment_is_no_harm(data_dir: Path) -> None:
    for moment in ("postgres.unfinished-*/*", "postgres/PG_VERSION"):  # inside initdb, inside pg_ctl start
        starter = python("embedded.start(data_dir)", data_dir)
        until(lambda moment=moment: any(data_dir.glob(moment)))
        starter.kill()
        starter.communicate()
    url = embedded.start(data_dir)
    assert query(url, "SELECT 1") == 1
    assert postmaster(data_dir).is_running()
    embedded.stop(data_dir)
    embedded.start(data_dir)  # by now no initdb that was left alone writes any more
    assert not list(data_dir.glob("postgres.unfinished-*"))


@pytest.mark.parametrize(
    ("memory", "free_disk", "expected"),
    [
        (64 << 30, 1 << 40, ("512MB", "64MB", "2048MB")),
        (4 << 30, 24 << 30, ("256MB", "32MB", "1536MB")),
        (1 << 28, 1 << 30, ("128MB", "4MB", "1024MB")),  # never less than PostgreSQL's own
    ],
)
def test_the_settings_fit_the_machine(memory: int, free_disk: int, expected: tuple[str, ...]) -> None:
    assert tuple(embedded.settings_for(memory, free_disk).values()) == expected


@pytest.mark.slow
def test_a_container_has_no_more_memory_than_its_limit(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = data_dir / "memory.max"
    monkeypatch.setattr(embedded, "MEMORY_LIMIT", limit)
    whole = embedded._memory()
    limit.write_text("max\n")
    assert embedded._memory() == whole
    limit.write_text(f"{4 << 30}\n")
    assert embedded._memory() == min(whole, 4 << 30)
    url = embedded.start(data_dir)
    assert query(url, "SHOW shared_buffers") == "256MB"
    assert query(url, "SHOW wal_buffers") == "32MB"


@pytest.mark.slow
def test_16_processes_can_connect_at_once_and_a_full_server_counts_as_running(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert int(embedded.SETTINGS["max_connections"]) >= 16 * 10
    monkeypatch.setitem(embedded.SETTINGS, "max_connections", "5")
    url = embedded.start(data_dir)
    with contextlib.ExitStack() as taken:
        with contextlib.suppress(psycopg.OperationalError):
            for _ in range(10):
                taken.enter_context(psycopg.connect(url))
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            psycopg.connect(url)
        assert embedded.is_running(data_dir)
        assert embedded.start(data_dir) == url
        embedded.stop(data_dir)
    assert not processes(data_dir)


# ---------------------------------------------------------------------- killed


@pytest.mark.slow
def test_a_server_whose_owner_was_killed_runs_on_and_is_found(data_dir: Path) -> None:
    owner = python("print(embedded.start(data_dir), flush=True); time.sleep(120)", data_dir)
    assert owner.stdout is not None
    url = owner.stdout.readline().strip()
    before = postmaster(data_dir)
    remember(url)
    owner.kill()
    owner.communicate()
    assert embedded.start(data_dir) == url
    assert postmaster(data_dir) == before
    assert query(url, "SELECT value FROM kept") == 42


def test_it_starts_again_at_once_after_sigkill_of_everything(data_dir: Path) -> None:
    url = embedded.start(data_dir)
    remember(url)
    for _ in range(3):
        with contextlib.closing(psycopg.connect(url)) as busy:
            busy.execute("CREATE TABLE lost AS SELECT generate_series(1, 10000)")
            kill_all(data_dir)
            assert embedded.start(data_dir) == url
        assert query(url, "SELECT value FROM kept") == 42
        assert query(url, "SELECT to_regclass('lost')") is None


@pytest.mark.slow
def test_a_start_on_a_full_disk_has_the_space_that_was_reserved_for_it(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = embedded.directory_of(data_dir) / "reserve"
    embedded.start(data_dir)
    assert reserve.stat().st_size == embedded.RESERVE
    kill_all(data_dir)
    full = shutil.disk_usage(data_dir)._replace(free=embedded.RESERVE)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    embedded.start(data_dir)
    assert not reserve.exists(), "its space is what the start had"
    kill_all(data_dir)
    monkeypatch.undo()
    embedded.start(data_dir)
    assert reserve.exists()


@pytest.mark.slow
def test_several_start_it_again_at_once_after_sigkill_of_everything(data_dir: Path) -> None:
    remember(embedded.start(data_dir))
    waiting = "sys.stdin.readline(); print(psycopg.connect(embedded.start(data_dir)).execute('TABLE kept').fetchone())"
    starting = [python(waiting, data_dir, stdin=subprocess.PIPE) for _ in range(4)]
    kill_all(data_dir)
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert {output_of(process) for process in starting} == {"(42,)"}
    assert postmaster(data_dir).is_running()


@pytest.mark.slow
def test_a_backend_that_outlives_its_killed_server_is_ended(data_dir: Path) -> None:
    url = embedded.start(data_dir)
    # Computes without ever waiting, so that it does not notice that its server is gone.
    endless = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
    busy = python(f"psycopg.connect(sys.argv[2]).execute({endless!r})", data_dir, url)
    active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT count%%series%%'"
    until(lambda: query(url, active.replace("%%", "%")) > 1)  # it and this query, which contains the pattern
    postmaster(data_dir).kill()
    assert embedded.start(data_dir) == url
    assert query(url, "SELECT 1") == 1
    assert busy.wait(10) != 0
    busy.communicate()


@pytest.mark.slow
def test_locks_with_the_pid_of_another_program_are_recognised_and_the_program_is_left_alone(data_dir: Path) -> None:
    url = embedded.start(data_dir)
    remember(url)
    place = embedded._Server(Location(data_dir))
    other = innocent(data_dir)
    try:
        kill_all(data_dir)
        leave_locks_of(other.pid, place)
        assert not embedded.is_running(data_dir)
        embedded.stop(data_dir)  # nothing to stop, least of all the other program
        assert embedded.start(data_dir) == url
        assert query(url, "SELECT value FROM kept") == 42
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.slow
def test_the_pid_file_of_a_living_server_is_never_removed(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.start(data_dir)
    place = embedded._Server(Location(data_dir))
    monkeypatch.setattr(embedded, "SERVER_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(embedded._Server, "answers", lambda *_: False)
    postmaster(data_dir).suspend()
    try:
        with pytest.raises(EmbeddedError, match=r"does not answer \(pids .*see .*server.log"):
            place.wait_for_killed_server()
    finally:
        postmaster(data_dir).resume()
    assert (place.directory / "postmaster.pid").exists()


# ---------------------------------------------------------------------- stopping


@pytest.mark.slow
def test_stop_waits_until_nothing_is_left_and_cuts_who_is_connected(data_dir: Path) -> None:
    url = embedded.start(data_dir)
    remember(url)
    with psycopg.connect(url) as connected:
        embedded.stop(data_dir)
        assert not processes(data_dir)
        assert not embedded.is_running(data_dir)
        with pytest.raises(psycopg.OperationalError):
            connected.execute("SELECT 1")
    embedded.stop(data_dir)  # again is no error
    assert query(embedded.start(data_dir), "SELECT value FROM kept") == 42


def test_stop_where_nothing_ever_was_makes_nothing(data_dir: Path) -> None:
    embedded.stop(data_dir / "never")
    assert not embedded.is_running(data_dir / "never")
    assert list(data_dir.iterdir()) == []


def test_a_foreground_run_stops_the_server_that_it_started(data_dir: Path) -> None:
    with embedded.temporary_server(data_dir) as url:
        assert query(url, "SELECT 1") == 1
    assert not processes(data_dir)


@pytest.mark.slow
def test_a_foreground_run_leaves_the_server_that_it_found(data_dir: Path) -> None:
    embedded.start(data_dir)
    with embedded.temporary_server(data_dir):
        pass
    assert embedded.is_running(data_dir)


@pytest.mark.slow
def test_a_foreground_run_leaves_the_server_to_who_is_still_connected(data_dir: Path) -> None:
    with contextlib.ExitStack() as other:
        with embedded.temporary_server(data_dir) as url:
            other.enter_context(psycopg.connect(url))
        assert embedded.is_running(data_dir)


@pytest.mark.slow
def test_a_foreground_run_leaves_the_server_to_another_that_is_not_connected_yet(data_dir: Path) -> None:
    with contextlib.ExitStack() as other:
        with embedded.temporary_server(data_dir):
            other.enter_context(embedded.temporary_server(data_dir))
        assert embedded.is_running(data_dir)


# ---------------------------------------------------------------------- where it lives


def test_nothing_that_keeps_data_safe_is_switched_off(data_dir: Path) -> None:
    url = embedded.start(data_dir)
    for setting in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
        assert query(url, f"SHOW {setting}") == "on"
    assert query(url, "SHOW listen_addresses") == ""
    assert query(url, "SELECT current_user || '/' || current_database()") == "postgres/crm"
    assert query(url, "SHOW server_encoding") == "UTF8"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("x" * 100, id="long"),
        pytest.param("a,b", id="comma", marks=pytest.mark.slow),
        pytest.param("a b %41 ü'é", id="odd", marks=pytest.mark.slow),
    ],
)
def test_a_path_that_no_socket_can_have_gets_its_socket_in_a_private_place(
    data_dir: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = data_dir / name
    url = embedded.start(home)
    place = embedded._Server(Location(home))
    found = place.socket_dir.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, place.directory.stat().st_uid)
    monkeypatch.setenv("TMPDIR", str(data_dir))  # another process may have another one
    monkeypatch.setenv("PGPORT", "6000")
    assert output_of(python("print(embedded.start(data_dir))", home)) == url
    assert query(url, "SELECT 1") == 1


@pytest.mark.slow
@as_root_only
@pytest.mark.parametrize("taken", ["directory", pytest.param("link to one of ours", marks=pytest.mark.slow)])
def test_a_socket_directory_that_another_user_has_made_first_is_not_used(data_dir: Path, taken: str) -> None:
    home = data_dir / ("y" * 100)
    place = embedded._Server(Location(home))
    usual = place.socket_dir
    as_nobody(lambda: usual.mkdir(mode=0o777) if taken == "directory" else usual.symlink_to(data_dir))
    try:
        url = embedded.start(home)
        assert query(url, "SELECT 1") == 1
        assert place.socket_dir != usual
        found = place.socket_dir.lstat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, place.directory.stat().st_uid)
        assert output_of(python("print(embedded.start(data_dir))", home)) == url
        kill_all(home)
        assert embedded.start(home) == url
    finally:
        usual.unlink() if usual.is_symlink() else usual.rmdir()


@pytest.mark.slow
def test_a_socket_directory_that_anybody_can_write_to_is_not_used(data_dir: Path) -> None:
    home = data_dir / ("y" * 100)
    place = embedded._Server(Location(home))
    usual = place.socket_dir
    usual.mkdir()
    usual.chmod(0o777)
    try:
        assert query(embedded.start(home), "SELECT 1") == 1
        assert place.socket_dir != usual
    finally:
        usual.rmdir()


@as_root_only
def test_no_other_user_can_hold_the_locks_or_read_the_data(data_dir: Path) -> None:
    embedded.start(data_dir)
    assert {each.name for each in data_dir.iterdir()} == {"postgres", "locks"}
    assert as_nobody(lambda: [each for each in data_dir.iterdir() if os.access(each, os.R_OK)]) == "[]"
    assert as_nobody(lambda: [each for each in data_dir.rglob("*/*") if os.access(each, os.F_OK)]) == "[]"


@pytest.mark.slow
@as_root_only
def test_a_link_of_another_user_leads_root_to_no_database_and_no_socket(data_dir: Path) -> None:
    other = data_dir / "other"
    embedded.start(other)
    home = data_dir / "theirs"
    home.mkdir(mode=0o755)
    os.chown(home, NOBODY, NOBODY)
    as_nobody(lambda: (home / "postgres").symlink_to(other / "postgres"))
    before = postmaster(other)
    assert not embedded.is_running(home)
    with pytest.raises(EmbeddedError, match="belongs to another user"):
        embedded.start(home)
    assert postmaster(other) == before
    (home / "postgres").unlink()
    as_nobody(lambda: (home / "socket").symlink_to(data_dir / "anywhere"))
    assert Location(home / ("y" * 100)).socket_dir.parent == embedded_location.SOCKETS


@pytest.mark.slow
@as_root_only
@others_may_run_it
def test_a_server_that_another_user_has_prepared_is_not_used(data_dir: Path) -> None:
    home = data_dir / "var"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)
    as_nobody(lambda: embedded.start(home))
    os.chown(home, 0, 0)  # as if it had been made in a DATA_DIR of root, to which everybody could write
    try:
        assert not embedded.is_running(home)
        with pytest.raises(EmbeddedError, match="belongs to another user"):
            embedded.start(home)
    finally:
        os.chown(home, NOBODY, NOBODY)


@as_root_only
def test_no_file_of_others_is_given_away_by_a_link(data_dir: Path) -> None:
    (data_dir / "victim").mkdir()
    (data_dir / "link").symlink_to(data_dir / "victim")
    Location(data_dir).give_to_owner(data_dir / "link")
    assert (data_dir / "victim").stat().st_uid == 0


@pytest.mark.slow
def test_settings_of_other_databases_in_the_environment_change_nothing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPORT": "6000", "PGDATA": "/nowhere", "PGDATABASE": "other", "PGUSER": "other"}.items():
        monkeypatch.setenv(name, value)
    url = embedded.start(data_dir)
    monkeypatch.undo()
    assert output_of(python("print(embedded.start(data_dir))", data_dir)) == url
    assert query(url, "SELECT current_user || '/' || current_database()") == "postgres/crm"


def test_a_directory_that_holds_something_else_is_refused(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "letter.txt").write_text("dear")
    with pytest.raises(EmbeddedError, match="is not empty"):
        embedded.start(data_dir)
    assert (data_dir / "postgres" / "letter.txt").read_text() == "dear"


@pytest.mark.slow
def test_data_of_another_major_version_are_refused_in_plain_words(data_dir: Path) -> None:
    embedded.start(data_dir)
    embedded.stop(data_dir)
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 16, this is 18"):
        embedded.start(data_dir)


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    embedded.start(data_dir)
    embedded.stop(data_dir)
    with (data_dir / "postgres" / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = nonsense\n")
    with pytest.raises(EmbeddedError, match=r"pg_ctl failed .*shared_buffers.*server\.log"):
        embedded.start(data_dir)


@pytest.mark.slow
@as_root_only
def test_as_root_no_directory_above_is_opened_and_the_database_goes_where_its_user_may() -> None:
    with made_and_removed(mode=0o700) as closed:
        home = closed / "clone" / "var"
        home.mkdir(parents=True)
        before = {path: path.stat().st_mode for path in (closed, home.parent, home)}
        starting = python("print(embedded.start(data_dir))", home)
        out, err = starting.communicate(timeout=60)
        try:
            assert starting.returncode == 0, err
            directory = embedded.directory_of(home)
            assert f"{home} is closed" in err
            assert f" {directory}" in err
            assert directory.is_relative_to("/var/lib/embassy-jobs")
            assert query(out.strip(), "SELECT 1") == 1
            assert {path: path.stat().st_mode for path in before} == before
            for opened in (closed, home.parent, home):  # the database is not looked for elsewhere from now on
                opened.chmod(0o755)
            assert embedded.start(home) == out.strip()
        finally:
            embedded.stop(home)
            shutil.rmtree(embedded.directory_of(home).parent)


@pytest.mark.slow
@as_root_only
@pytest.mark.parametrize("name", ["there", "not yet there"])
def test_as_root_a_strict_umask_does_not_split_the_database_in_two(data_dir: Path, name: str) -> None:
    home = data_dir / "var"
    if name == "there":
        home.mkdir(mode=0o755)
    urls = [output_of(python("print(embedded.start(data_dir))", home, umask=0o077)) for _ in range(2)]
    try:
        assert urls[0] == urls[1]
        assert query(urls[0], "SELECT 1") == 1
    finally:
        embedded.stop(home)
        if not embedded.directory_of(home).is_relative_to(data_dir):
            shutil.rmtree(embedded.directory_of(home).parent)


@pytest.mark.slow
@as_root_only
def test_as_root_the_programs_of_a_closed_environment_are_copied(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with made_and_removed(mode=0o700) as closed:
        package = embedded_location.shipped_programs().parents[1]
        for part in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, closed / part.name, symlinks=True)
        programs = closed / package.name / f"pginstall{embedded_location.MAJOR}" / "bin"
        monkeypatch.setattr(embedded_location, "shipped_programs", lambda: programs)
        monkeypatch.setattr(embedded_location, "SYSTEM_DIRECTORY", data_dir / "state")
        assert query(embedded.start(data_dir / "var"), "SELECT 1") == 1
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert Path(postmaster(data_dir / "var").exe()).is_relative_to(data_dir / "state")
        embedded.stop(data_dir / "var")


@as_root_only
def test_several_processes_that_create_the_system_user_at_once_create_one() -> None:
    name = f"embassy-test-{os.getpid()}"
    create = "import sys; from db import embedded_location; print(embedded_location._system_user(sys.argv[1]).pw_uid)"
    try:
        started = [
            subprocess.Popen([sys.executable, "-c", create, name], stdout=subprocess.PIPE, text=True) for _ in range(6)
        ]
        numbers = {each.communicate(timeout=60)[0].strip() for each in started}
        assert numbers == {str(pwd.getpwnam(name).pw_uid)}
    finally:
        subprocess.run(["userdel", name], check=False)


@as_root_only
@others_may_run_it
def test_without_root_it_is_the_users_own_server_and_root_may_start_it_too() -> None:
    with made_and_removed(mode=0o777) as parent:
        home = parent / "var"
        url = as_nobody(lambda: embedded.start(home))
        assert query(url, "SELECT 1") == 1
        assert (home / "postgres").stat().st_uid == 65534
        assert as_nobody(lambda: str(embedded.is_running(home))) == "True"
        assert as_nobody(lambda: str(embedded.stop(home))) == "None"
        assert not processes(home)
        assert embedded.start(home) == url  # sudo make up
        assert postmaster(home).uids().real == 65534
        assert as_nobody(lambda: embedded.start(home)) == url


@pytest.mark.slow
@as_root_only
@others_may_run_it
def test_in_the_data_dir_of_a_user_root_makes_the_database_of_that_user() -> None:
    with made_and_removed() as parent:
        home = parent / "var"
        home.mkdir(mode=0o700)
        os.chown(home, NOBODY, NOBODY)
        url = embedded.start(home)
        assert postmaster(home).uids().real == NOBODY
        assert as_nobody(lambda: embedded.start(home)) == url
        assert as_nobody(lambda: embedded.stop(home)) == "None"
        assert as_nobody(lambda: embedded.start(home)) == url


@pytest.mark.slow
@as_root_only
@others_may_run_it
def test_a_user_gets_an_error_if_the_database_belongs_to_root(data_dir: Path) -> None:
    embedded.start(data_dir)
    assert as_nobody(lambda: str(embedded.is_running(data_dir))) == "False"
    assert "may not be written by this user" in as_nobody(lambda: embedded.start(data_dir))


@pytest.mark.slow
def test_a_server_that_is_just_being_stopped_by_hand_is_waited_for(data_dir: Path) -> None:
    url = embedded.start(data_dir)
    remember(url)
    postmaster(data_dir).send_signal(signal.SIGINT)  # fast shutdown, not waited for
    assert query(embedded.start(data_dir), "SELECT value FROM kept") == 42
