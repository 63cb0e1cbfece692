"""From the environment to an engine, and from a driver's error to a plain sentence, on real servers."""

# ruff: noqa: PT012 - what is raised must pass through the transaction

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from support.databases import renamed
from support.settings import forget_settings

from db import embedded
from db.engine import (
    ROOT,
    DatabaseConfigError,
    DatabaseConflictError,
    DatabaseError,
    DatabaseUnavailableError,
    database_settings,
    database_url,
    engine,
    explain,
    lock_engine,
    transaction,
)
from db.schema import upgrade
from db.session import VERSION_TABLE

SECRET = "s3cr3t"  # noqa: S105 - what must never be shown


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """An environment without settings; what a test sets is what is read."""
    monkeypatch.setenv("SETTINGS_FILE", str(tmp_path / ".env"))
    forget_settings()
    yield monkeypatch
    monkeypatch.undo()
    forget_settings()


def parts() -> tuple[Any, ...]:
    url = database_url()
    assert url is not None
    assert url.drivername == "postgresql+psycopg"
    assert SECRET not in str(url)
    assert SECRET not in repr(url)
    return url.username, url.password, url.host or url.query.get("host"), url.port, url.database


# ---------------------------------------------------------------------- spellings


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgres://u:s3cr3t@h:5433/d", ("u", SECRET, "h", 5433, "d")),
        ("postgresql://u:s3cr3t@h/d", ("u", SECRET, "h", None, "d")),
        ("postgresql+psycopg://u:s3cr3t@h/d", ("u", SECRET, "h", None, "d")),
        ("  postgresql://u:s3cr3t@h/d\n", ("u", SECRET, "h", None, "d")),
        ("postgresql://u@h/d", ("u", None, "h", None, "d")),
        ("postgresql://u:p%40s%2Fs%3Aw%23%25%20%C3%A9@h/d", ("u", "p@s/s:w#% é", "h", None, "d")),
        ("postgresql://a%40b:p+w@h/d", ("a@b", "p+w", "h", None, "d")),
        ("postgresql://u@[::1]:5433/d", ("u", None, "::1", 5433, "d")),
        ("postgresql:///d?host=/var/run/postgresql", (None, None, "/var/run/postgresql", None, "d")),
        ("postgresql://u@/d?host=/var/run/postgresql", ("u", None, "/var/run/postgresql", None, "d")),
        ("postgresql://u:s3cr3t@/d?host=%2Fa%20b", ("u", SECRET, "/a b", None, "d")),
        ("postgresql://u:s3cr3t@%2Frun%2Fpg/d", ("u", SECRET, "/run/pg", None, "d")),
        ("postgresql://h/d?user=u&password=s3cr3t", ("u", SECRET, "h", None, "d")),
        ("postgresql://u:s3cr3t@h/d?sslmode=require", ("u", SECRET, "h", None, "d")),
    ],
)
def test_every_spelling_of_database_url_is_understood(
    environment: pytest.MonkeyPatch, given: str, expected: tuple[Any, ...]
) -> None:
    environment.setenv("DATABASE_URL", given)
    assert parts() == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("postgres", None, "db", 5432, "postgres")),
        ({"USER": "u"}, ("u", None, "db", 5432, "u")),
        ({"USER": "u", "PASSWORD": "s3cr3t@/:%", "PORT": "5433", "DB": "d"}, ("u", "s3cr3t@/:%", "db", 5433, "d")),
        ({"SERVER": "::1"}, ("postgres", None, "::1", 5432, "postgres")),
        ({"SERVER": "[::1]"}, ("postgres", None, "::1", 5432, "postgres")),
        ({"SERVER": "/run/pg", "PORT": "", "DB": ""}, ("postgres", None, "/run/pg", 5432, "postgres")),
    ],
)
def test_every_spelling_of_postgres_variables_is_understood(
    environment: pytest.MonkeyPatch, given: dict[str, str], expected: tuple[Any, ...]
) -> None:
    for name, value in {"SERVER": "db", **given}.items():
        environment.setenv(f"POSTGRES_{name}", value)
    assert parts() == expected


def test_database_url_wins_over_postgres_variables(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", "postgresql://u@first/d")
    environment.setenv("POSTGRES_SERVER", "second")
    assert parts()[2] == "first"


def test_empty_variables_count_as_not_set(environment: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "POSTGRES_SERVER", "POSTGRES_PORT", "POSTGRES_PASSWORD", "POSTGRES_DB", "DATA_DIR"):
        environment.setenv(name, "")
    assert database_url() is None
    assert database_settings().data_dir == ROOT / "var"


def test_the_file_env_is_read_and_the_environment_wins(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTGRES_SERVER=file\nPOSTGRES_DB=d\n")
    environment.setenv("POSTGRES_SERVER", "environment")
    assert parts() == ("postgres", None, "environment", 5432, "d")


@pytest.mark.parametrize(
    ("given", "expected"), [("data", ROOT / "data"), ("/data", Path("/data")), ("~/d", Path.home() / "d")]
)
def test_a_relative_data_dir_starts_at_the_project_from_any_directory(
    environment: pytest.MonkeyPatch, tmp_path: Path, given: str, expected: Path
) -> None:
    environment.chdir(tmp_path)
    environment.setenv("DATA_DIR", given)
    assert database_settings().data_dir == expected


# ---------------------------------------------------------------------- garbage


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"DATABASE_URL": "s3cr3t"}, "DATABASE_URL is not"),
        ({"DATABASE_URL": "u:s3cr3t@h/d"}, "DATABASE_URL is not"),
        ({"DATABASE_URL": "postgresql://u:s3cr3t@h:port/d"}, "DATABASE_URL is not"),
        ({"DATABASE_URL": "postgresql://u:s3cr3t@h:70000/d"}, "DATABASE_URL names the port 70000"),
        ({"DATABASE_URL": "mysql://u:s3cr3t@h/d"}, "DATABASE_URL begins with mysql://"),
        ({"DATABASE_URL": "postgresql://u:s3cr3t@/d"}, "DATABASE_URL names no host"),
        ({"DATABASE_URL": "postgresql://u:s3cr3t@h"}, "DATABASE_URL names no database"),
        ({"DATABASE_URL": "postgresql://u:x@s3cr3t@h/d"}, "DATABASE_URL has an @"),
        ({"DATABASE_URL": "postgresql://u:s3cr3t@h/d?ssl=require"}, "DATABASE_URL: invalid connection option"),
        ({"DATABASE_URL": "postgresql://u:p@h/d?s3cr3t=1"}, "DATABASE_URL: invalid connection option:"),
        ({"DATABASE_URL": "postgresql://u:p@h/s3cr3t@x/d"}, "DATABASE_URL has an @"),
        ({"DATABASE_URL": "s3cr3t://x/y"}, "DATABASE_URL begins with something else"),
        ({"POSTGRES_SERVER": "h", "POSTGRES_PORT": "s3cr3t"}, "POSTGRES_PORT: "),
        ({"POSTGRES_SERVER": "h", "POSTGRES_PORT": "0"}, "POSTGRES_PORT: "),
        ({"POSTGRES_SERVER": "h:5432"}, "POSTGRES_SERVER is not a"),
        ({"POSTGRES_SERVER": "postgresql://u:s3cr3t@h/d"}, "POSTGRES_SERVER is not a"),
        ({"POSTGRES_DB": "d", "POSTGRES_PASSWORD": SECRET}, "POSTGRES_SERVER is not set"),
    ],
)
def test_garbage_is_refused_naming_the_variable_and_never_the_password(
    environment: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    with pytest.raises(DatabaseConfigError) as refused:
        engine()
    assert str(refused.value).startswith(says)
    seen: BaseException | None = refused.value
    while seen is not None:
        assert SECRET not in f"{seen!s}{seen!r}"
        seen = None if seen.__suppress_context__ else seen.__context__


@pytest.mark.parametrize("option", ["sslmode=s3cr3t", "options=-c%20pw%3Ds3cr3t"])
def test_no_word_of_an_option_is_in_a_message_of_the_driver(
    environment: pytest.MonkeyPatch, option: str, database: str
) -> None:
    environment.setenv("DATABASE_URL", f"{database}{'&' if '?' in database else '?'}{option}")
    with pytest.raises(DatabaseError) as refused, transaction():
        pass
    assert SECRET not in str(refused.value)


def test_the_password_is_in_no_text_form_of_settings_and_engines(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", "postgresql://u@h/d?password=s3cr3t")
    environment.setenv("POSTGRES_PASSWORD", SECRET)
    for thing in (database_settings(), database_url(), engine(), lock_engine()):
        assert SECRET not in f"{thing!s}{thing!r}"


# ---------------------------------------------------------------------- real errors


def explained(url: str, environment: pytest.MonkeyPatch, *statements: str) -> DatabaseError:
    """The error when `statements` are tried at `url`."""
    environment.setenv("DATABASE_URL", url)
    forget_settings()
    with pytest.raises(DBAPIError) as failed, engine().begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    error = explain(failed.value)
    assert SECRET not in f"{error!s}{error!r}"
    assert len(str(error).splitlines()) == 1
    return error


def test_a_refused_connection_says_where_and_why(environment: pytest.MonkeyPatch) -> None:
    error = explained("postgresql://u:s3cr3t@127.0.0.1:1/d", environment)
    assert isinstance(error, DatabaseUnavailableError)
    assert "'d' at 127.0.0.1:1 does not answer" in str(error)
    assert "Connection refused" in str(error)


def test_a_socket_that_is_not_there_says_where_and_why(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    error = explained(f"postgresql://u:s3cr3t@/d?host={tmp_path}", environment)
    assert isinstance(error, DatabaseUnavailableError)
    assert "No such file or directory" in str(error)


def test_a_host_that_is_not_there_says_so(environment: pytest.MonkeyPatch) -> None:
    error = explained("postgresql://u:s3cr3t@nowhere.invalid/d", environment)
    assert isinstance(error, DatabaseUnavailableError)
    assert "nowhere.invalid" in str(error)


def test_a_missing_database_is_named(environment: pytest.MonkeyPatch, server_url: str) -> None:
    error = explained(renamed(server_url, "nosuch"), environment)
    assert isinstance(error, DatabaseConfigError)
    assert "'nosuch'" in str(error)


@pytest.mark.parametrize(
    ("statements", "kind", "says"),
    [
        (["SELECT * FROM nosuch"], DatabaseConfigError, "lacks the tables"),
        (["SELECT nosuch FROM task_runs"], DatabaseConfigError, "tables of another version"),
        (["SELECT pg_terminate_backend(pg_backend_pid())"], DatabaseUnavailableError, "was stopped or restarted"),
        (["SET TRANSACTION READ ONLY", "DELETE FROM task_runs"], DatabaseConfigError, "is read-only"),
        (
            ["INSERT INTO task_runs (name, idempotency_key) VALUES ('a', 'b'), ('a', 'b')"],
            DatabaseConflictError,
            "task_runs_name_idempotency_key_key",
        ),
        (
            ["INSERT INTO task_runs (name, idempotency_key, status) VALUES ('a', 'b', 'c')"],
            DatabaseError,
            "constraint task_runs_status_check",
        ),
        (["SELECT 1/0"], DatabaseError, "division by zero [22012]"),
        (["SET LOCAL statement_timeout = 1", "SELECT pg_sleep(5)"], DatabaseError, "statement timeout [57014]"),
    ],
)
def test_what_a_server_refuses_is_said_in_plain_words(
    database: str, monkeypatch: pytest.MonkeyPatch, statements: list[str], kind: type, says: str
) -> None:
    error = explained(database, monkeypatch, *statements)
    assert type(error) is kind
    assert says in str(error)


def test_a_value_that_the_driver_refuses_is_no_reason_to_try_again(database: str) -> None:
    with pytest.raises(DBAPIError) as failed, engine().connect() as connection:
        connection.execute(text("SELECT :value"), {"value": "a\0b"})
    assert type(explain(failed.value)) is DatabaseError


def test_two_transactions_on_one_row_are_a_conflict(database: str) -> None:
    with engine().begin() as connection:
        connection.execute(text("INSERT INTO task_runs (name, idempotency_key) VALUES ('a', 'b')"))
    change = text("UPDATE task_runs SET attempts = attempts + 1")
    with (
        pytest.raises(DatabaseConflictError, match="another transaction"),
        transaction() as late,
        engine().connect() as early,
    ):
        late.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        late.execute(text("SELECT count(*) FROM task_runs"))
        early.execute(change)
        early.commit()
        late.execute(change)


def test_a_pooled_connection_that_died_meanwhile_is_replaced(database: str) -> None:
    with engine().connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with transaction() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


# ---------------------------------------------------------------------- a server of TCP and passwords


@pytest.fixture(scope="module")
def asking_server() -> Iterator[str]:
    """host:port of a server that asks for passwords (scram), as Debian installs it; the user u has one."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("needs Debian's PostgreSQL")
    owner: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    home = Path(tempfile.mkdtemp())
    data, bin_ = home / "data", programs[-1]
    if owner:
        shutil.chown(home, "postgres", "postgres")
    (home / "password").write_text(SECRET)
    (home / "password").chmod(0o644)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [bin_ / program, *arguments], check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=60, **owner
        )

    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        run("initdb", "-N", "-D", str(data), "-U", "u", "--auth=scram-sha-256", f"--pwfile={home / 'password'}")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={home} -c fsync=off"
        run("pg_ctl", "-w", "-D", str(data), "-l", str(home / "log"), "-o", options, "start")
        yield f"127.0.0.1:{port}"
    finally:
        if (data / "postmaster.pid").exists():
            run("pg_ctl", "-w", "-m", "immediate", "-D", str(data), "stop")
        shutil.rmtree(home)


@pytest.fixture
def strict_server() -> Iterator[str]:
    """The URL of an embedded server whose users `full` and `locked_out` get no connection."""
    with tempfile.TemporaryDirectory(prefix="strict-server-") as name:
        home = Path(name)
        home.chmod(0o755)
        url = embedded.start(home)
        rules = home / "postgres" / "pg_hba.conf"
        rules.write_text("local all locked_out reject\n" + rules.read_text())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE ROLE full LOGIN CONNECTION LIMIT 0")
            connection.execute("CREATE ROLE locked_out LOGIN")
            connection.execute("SELECT pg_reload_conf()")
        yield url
        embedded.stop(home)


@pytest.mark.parametrize("who", ["u:s3cr3t2", "nobody:s3cr3t", "u"], ids=["wrong", "unknown", "none"])
def test_a_wrong_password_says_what_to_check(asking_server: str, environment: pytest.MonkeyPatch, who: str) -> None:
    error = explained(f"postgresql://{who}@{asking_server}/postgres", environment)
    assert isinstance(error, DatabaseConfigError)
    assert "refuses this user" in str(error)


def test_a_user_with_too_many_connections_and_one_who_is_locked_out_are_distinguished(
    strict_server: str, environment: pytest.MonkeyPatch
) -> None:
    full = explained(strict_server.replace("postgres@", "full@"), environment)
    assert isinstance(full, DatabaseUnavailableError)
    assert "has no free connection" in str(full)
    locked_out = explained(strict_server.replace("postgres@", "locked_out@"), environment)
    assert isinstance(locked_out, DatabaseConfigError)
    assert "refuses this user" in str(locked_out)


def test_a_user_whom_the_server_does_not_know_is_not_called_a_missing_database(
    database: str, environment: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database) as connection:
        shown = connection.execute("SELECT current_user").fetchone()
    assert shown is not None
    if f"{shown[0]}@" not in database:
        pytest.skip("the server's URL names no user")
    error = explained(database.replace(f"{shown[0]}@", "nosuch@", 1), environment)
    assert "refuses this user" in str(error)


def test_text_is_sent_as_utf_8_whatever_the_environment_says(database: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", database)
    environment.setenv("PGCLIENTENCODING", "LATIN1")
    for each in (engine(), lock_engine()):
        with each.connect() as connection:
            assert connection.scalar(text("SHOW client_encoding")) == "UTF8"


def test_the_right_password_lets_in_and_lock_connections_have_keepalives(
    asking_server: str, environment: pytest.MonkeyPatch
) -> None:
    host, port = asking_server.split(":")
    environment.setenv("POSTGRES_SERVER", host)
    environment.setenv("POSTGRES_PORT", port)
    environment.setenv("POSTGRES_USER", "u")
    environment.setenv("POSTGRES_PASSWORD", SECRET)
    environment.setenv("POSTGRES_DB", "postgres")
    privileges = {
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
        "idle_session_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
    }
    with lock_engine().connect() as connection:
        assert {name: connection.scalar(text(f"SHOW {name}")) for name in privileges} == privileges


# ---------------------------------------------------------------------- migrations


def test_several_processes_upgrade_at_once_and_again(server_url: str, environment: pytest.MonkeyPatch) -> None:
    name = f"upgrade_{getpass.getuser()}_{os.getpid()}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    code = """
import os, sys
from db.schema import upgrade
start, starter = os.pipe()
children = []
for _ in range(6):
    if not (child := os.fork()):
        os.close(starter)
        os.read(start, 1)  # returns when the parent closes its end: all begin together
        upgrade()
        os._exit(0)
    children.append(child)
os.close(starter)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""
    url = renamed(server_url, name)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        environment.setenv("DATABASE_URL", url)
        environment.chdir("/")
        upgrade()
        with psycopg.connect(url) as connection:
            assert connection.execute(f"SELECT count(*) FROM {VERSION_TABLE}").fetchone() == (1,)
            ours = "SELECT oid FROM pg_database WHERE datname = current_database()"
            left = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = ({ours})"
            assert connection.execute(left).fetchone() == (0,)
    finally:
        forget_settings()
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_tables_of_a_newer_version_are_left_alone_and_said(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(DatabaseError, match="another version"):
        upgrade()


def test_an_upgrade_without_a_database_says_so(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", "postgresql://u:s3cr3t@127.0.0.1:1/d")
    with pytest.raises(DatabaseUnavailableError, match="does not answer"):
        upgrade()
