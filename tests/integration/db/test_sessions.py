"""Sessions whose role, database or pooler sets them otherwise than this project needs, and databases of others."""

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, text
from support.databases import Database, renamed
from support.imports import done, query, workbook
from support.settings import forget_settings
from support.waiting import until

from db.engine import DatabaseConfigError, engine, lock_engine, transaction
from db.schema import revisions, upgrade
from db.session import VERSION_TABLE

HOSTILE = {
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "timezone": "Asia/Tokyo",
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "transform_null_equals": "on",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "100ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "2s",
    "idle_session_timeout": "2s",
    "quote_all_identifiers": "on",
    "extra_float_digits": "-15",
    "client_encoding": "LATIN1",
}
HEADINGS = ["Email", "Last Name", "Last contacted"]
ROWS = [["a@x.org", "Ä", "2024-02-03"], ["b@x.org", "Żółć", "13/02/2024"], ["c@x.org", "名", "03/02/2024"]]


@contextmanager
def another_database(server_url: str, options: str = "") -> Iterator[Database]:
    name = f"other_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" {options}')  # type: ignore[arg-type]
        try:
            yield Database(renamed(server_url, name))
        finally:
            forget_settings()
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def use(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("DATABASE_URL", database.url)
    forget_settings()
    return database


# ---------------------------------------------------------------------- settings


@pytest.mark.usefixtures("prefect_server")
def test_an_import_stores_the_same_whatever_the_database_sets_for_sessions(database: str, tmp_path: Path) -> None:
    settings = dict(HOSTILE)
    with psycopg.connect(database, autocommit=True) as connection:
        if connection.info.server_version >= 170000:
            settings["transaction_timeout"] = "2s"
        name = sql.Identifier(Database(database).name)
        for setting, value in settings.items():
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(name, sql.Identifier(setting), sql.Literal(value))
            )
    for each in (engine(), lock_engine()):
        with each.connect() as connection:
            timeouts = [setting for setting in settings if setting.endswith("_timeout")]
            assert {connection.scalar(text(f"SHOW {setting}")) for setting in timeouts} == {"0"}
    report = done(workbook(tmp_path / "dates.xlsx", *ROWS, headings=HEADINGS))
    assert report["inserted"] == 3
    stored = query(
        "SELECT email, last_name, last_contacted::text, octet_length(identity_hash) FROM contacts ORDER BY 1"
    )
    assert stored == [
        ("a@x.org", "Ä", "2024-02-03", 32), ("b@x.org", "Żółć", "2024-02-13", 32), ("c@x.org", "名", "2024-02-03", 32)
    ]  # fmt: skip


def test_tables_are_those_of_this_project_although_another_schema_has_precedence(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA app")
        connection.execute("CREATE TABLE app.contacts (id int, email text)")
        connection.execute("CREATE TABLE app.task_runs (id int)")
        name = sql.Identifier(Database(database).name)
        connection.execute(sql.SQL("ALTER DATABASE {} SET search_path = app, public").format(name))
    for each in (engine(), lock_engine()):
        with each.connect() as connection:
            assert connection.scalar(text("SELECT 'contacts'::regclass::text")) == "contacts"
            assert connection.scalar(text("SHOW search_path")) == "public"
            assert connection.scalar(text("SELECT count(*) FROM contacts WHERE import_id IS NULL")) == 0
    assert len(set(revisions())) == 1


def test_new_tables_are_created_in_the_schema_that_the_role_has(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with another_database(server_url) as other:
        other.query('CREATE SCHEMA "My App"')
        other.query(f"ALTER DATABASE \"{other.name}\" SET search_path = 'My App', public")
        use(other, monkeypatch)
        upgrade()
        schemas = other.query("SELECT DISTINCT schemaname AS name FROM pg_tables WHERE tablename = 'contacts'")
        assert schemas == [{"name": "My App"}]
        upgrade()


# ---------------------------------------------------------------------- databases of others


@pytest.mark.parametrize(
    "options",
    ["ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'", "ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'"],
)
def test_a_database_that_cannot_hold_all_names_is_refused(
    server_url: str, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    if "libc" not in options and "LATIN1" in options:
        options += " LOCALE_PROVIDER libc"
    with another_database(server_url, options) as other:
        use(other, monkeypatch)
        with pytest.raises(DatabaseConfigError, match="UTF8"):
            upgrade()
        assert other.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []


def test_another_application_in_the_same_schema_keeps_its_version_table(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with another_database(server_url) as other:
        other.query("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        other.query("INSERT INTO alembic_version VALUES ('0001')")
        use(other, monkeypatch)
        upgrade()
        assert other.query("SELECT version_num AS of_others FROM alembic_version") == [{"of_others": "0001"}]
        [current] = {row["version_num"] for row in other.query(f"SELECT * FROM {VERSION_TABLE}")}
        assert revisions() == (current, current)


def test_the_version_table_of_an_older_release_is_taken_over(database: str) -> None:
    here = Database(database)
    before = here.query(f"SELECT * FROM {VERSION_TABLE}")
    here.query(f"ALTER TABLE {VERSION_TABLE} RENAME TO alembic_version")
    upgrade()
    assert here.query(f"SELECT * FROM {VERSION_TABLE}") == before
    assert here.query("SELECT to_regclass('alembic_version') AS old") == [{"old": None}]


def test_a_table_of_another_application_is_left_alone_and_the_migration_refused(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with another_database(server_url) as other:
        other.query("CREATE TABLE contacts (id int, email text)")
        other.query("INSERT INTO contacts VALUES (1, 'theirs@x.example')")
        use(other, monkeypatch)
        with pytest.raises(DatabaseConfigError, match="another application"):
            upgrade()
        assert other.query("SELECT * FROM contacts") == [{"id": 1, "email": "theirs@x.example"}]
        assert other.query("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'") == [
            {"name": "contacts"}
        ]


# ---------------------------------------------------------------------- poolers


@contextmanager
def pgbouncer(database: str, mode: str, pool_size: int) -> Iterator[str]:
    """The URL of the database behind PgBouncer."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if not program:
        pytest.skip("needs Debian's pgbouncer")
    url = make_url(database)
    host = str(url.host or url.query["host"])
    if not host.startswith("/"):
        pytest.skip("needs the socket of the server")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
        settings = Path(name, "pgbouncer.ini")
        settings.write_text(f"""
[databases]
{url.database} = host={host} port={url.port or url.query.get("port", 5432)} dbname={url.database} user={url.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {pool_size}
ignore_startup_parameters = extra_float_digits
""")
        owner = next(Path(host).glob(".s.PGSQL.*[0-9]")).stat().st_uid
        Path(name).chmod(0o755)
        # PgBouncer refuses to run as root, and only its owner may use the socket of an embedded server.
        as_owner = {"user": owner, "extra_groups": []} if os.geteuid() == 0 else {}
        process = subprocess.Popen([program, "--quiet", settings], stderr=subprocess.DEVNULL, **as_owner)  # type: ignore[call-overload]
        try:
            bounced = f"postgresql://{url.username}@127.0.0.1:{port}/{url.database}"
            until(lambda: _listens(port), "PgBouncer listens", 10)
            yield bounced
        finally:
            process.terminate()
            process.wait(10)


def _listens(port: int) -> bool:
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("pool_size", [1, 5])
def test_a_pooler_of_transactions_is_refused_by_the_first_connection(
    database: str, monkeypatch: pytest.MonkeyPatch, pool_size: int
) -> None:
    with pgbouncer(database, "transaction", pool_size) as bounced:
        use(Database(bounced), monkeypatch)
        for connect in (engine().connect, lock_engine().connect, transaction().__enter__, upgrade):
            with pytest.raises(DatabaseConfigError, match="pooler"):
                connect()


@pytest.mark.usefixtures("prefect_server")
def test_a_pooler_of_sessions_imports(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pgbouncer(database, "session", 5) as bounced:
        use(Database(bounced), monkeypatch)
        assert done(workbook(tmp_path / "dates.xlsx", *ROWS, headings=HEADINGS))["inserted"] == 3
        with lock_engine().connect() as connection:
            assert connection.scalar(text("SHOW tcp_keepalives_idle")) == "0", "a socket has none"
            assert connection.scalar(text("SHOW datestyle")) == "ISO, YMD"
