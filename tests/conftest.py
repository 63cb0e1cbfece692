"""What tests share: a real PostgreSQL built by the real migrations, a database of its own for each test, a Prefect."""

# ruff: noqa: E402 - what is to be rewritten must not be imported before

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

pytest.register_assert_rewrite("support")  # before any of it is imported

from hypothesis import HealthCheck, settings
from support.databases import clone
from support.memory_disk import use_memory
from support.owners import ORDERS_OF_A_SEED
from support.project import ROOT
from support.roles import separate_roles
from support.settings import forget_settings

from db import embedded, schema

SETTINGS = (
    *("DATABASE_", "MIGRATION_", "POSTGRES_", "DATA_DIR", "CRM_WORKBOOK", "REJECT_LIMIT", "IMPORT_", "WORKBOOK_"),
    *("TASK_", "MOFA_", "NOTIFY_", "KEEP_DAYS", "UI_PORT", "PREFECT_", "WORK_POOL", "JOB_IMAGE"),
    *("LOG_FORMAT", "METRICS_PORT"),
)
# Under a name that stays: pytest-xdist's workers are started after DATABASE_URL was put aside below.
GIVEN = os.environ.setdefault("SERVER_FOR_TESTS", os.environ.get("DATABASE_URL", "")) or None

# Where `make up` of this checkout keeps what it has: nothing for tests to touch.
DEVELOPERS_OWN = ROOT / "var"

LONGEST = ("e2e", "integration")  # the directories whose files take longest
UP = {"test_up", "test_ui", "test_shared_machine"}  # half of e2e, by time

# Tests begin where a fresh machine begins: whatever the developer's shell has set is put aside.
for name in [name for name in os.environ if name.startswith(SETTINGS)]:
    del os.environ[name]
os.environ["SETTINGS_FILE"] = os.devnull  # in place of .env
os.environ["WORKBOOK_SETTLE_SECONDS"] = "0"  # tests import what they have just written
# The same examples in every run, so that a run tells something about the change under test: few of them in `make test`,
# all in `make test-all`. `pytest --hypothesis-profile=search` looks for new ones. No test measures speed: no deadline.
settings.register_profile("all", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("few", settings.get_profile("all"), max_examples=30)
settings.register_profile("search", settings.get_profile("all"), derandomize=False)
settings.load_profile("few")
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a server where databases may be made: the one of DATABASE_URL, else an embedded one."""
    if GIVEN:
        yield GIVEN
        return
    # Not below pytest's own directory: each session of pytest that begins closes it to the user who runs the server.
    with tempfile.TemporaryDirectory(prefix="test-server-") as name:
        home = Path(name)
        home.chmod(0o755)
        url = embedded.start(home)
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # nobody needs these data after a crash
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
        yield url
        embedded.stop(home)


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """The name of a migrated database that tests clone."""
    with clone(server_url, "template1") as made:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATABASE_URL", made.url)
            forget_settings()
            schema.upgrade()
            forget_settings()
        yield made.name


@pytest.fixture
def database(
    server_url: str, template: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A fresh migrated database, which DATABASE_URL names while the test runs; yields its URL, of a superuser."""
    with clone(server_url, template) as made, ExitStack() as stack:
        monkeypatch.setenv("DATABASE_URL", made.url)
        monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
        forget_settings()
        if request.config.getoption("--as-jobs"):
            stack.enter_context(separate_roles(made.url, monkeypatch))
        yield made.url
        forget_settings()


@pytest.fixture(scope="session")
def migrated_prefect(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of Prefect's server with all of its migrations, which take six seconds; made once, for copying."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # by all workers of this session
    migrated = shared / "migrated" / "prefect.db"
    with (shared / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not migrated.exists():
            migrated.parent.mkdir()
            made_by = {
                "PREFECT_HOME": str(migrated.parent),
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{migrated}",
            }
            upgrade = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
            subprocess.run(upgrade, env={**os.environ, **made_by}, check=True, capture_output=True, timeout=120)
    return migrated


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, migrated_prefect: Path) -> Iterator[None]:
    """A Prefect server on SQLite and a Prefect home for this session.

    The server uses the plugin of `make up`. Without it SQLite refuses some calls of runs that start together, and
    Prefect's client repeats them only after up to a minute.
    """
    import certifi
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import (
        PREFECT_API_SSL_CERT_FILE,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_HOME,
        PREFECT_SERVER_DATABASE_CONNECTION_URL,
        temporary_settings,
    )

    from deployments import sqlite_immediate

    home = tmp_path_factory.mktemp("prefect")
    [database] = sqlite_immediate.settings(home, given=()).values()
    with temporary_settings({PREFECT_HOME: home, PREFECT_SERVER_DATABASE_CONNECTION_URL: database}):
        server = SubprocessASGIServer()
        shutil.copy(migrated_prefect, home / "prefect.db")
        server.start(timeout=120)
        # At the end of each run Prefect waits up to a second for the thread that sends heartbeats, and each client
        # loads all certificates of certifi: no heartbeats, and one certificate, which nothing on loopback needs.
        certificates = home / "certificates.pem"
        certificates.write_text(
            Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")[0]
            + "-----END CERTIFICATE-----\n"
        )
        quicker = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_API_SSL_CERT_FILE: str(certificates)}
        with temporary_settings({PREFECT_API_URL: server.api_url, **quicker}):
            yield
            # While the server is there: at its exit Python would try for 70 seconds to send what is still to be sent.
            for worker in (APILogWorker, EventsWorker):
                worker.drain_all(timeout=10)
        server.stop()


@pytest.fixture(scope="session")
def prefect_api(prefect_server: None) -> str:
    """The address of this session's Prefect server."""
    from prefect.settings import PREFECT_API_URL

    address = PREFECT_API_URL.value()
    assert address
    return address


@pytest.fixture(autouse=True)
def nobodys_database() -> Iterator[None]:
    """No test reaches the database of the developer: it would import into it, and leave a server running."""
    before = DEVELOPERS_OWN.exists()
    yield
    assert before or not DEVELOPERS_OWN.exists(), f"this test, or one beside it, made {DEVELOPERS_OWN}: set DATA_DIR"


def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(use_memory())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=40, help="SIGKILLs at random moments: half of them of imports")
    parser.addoption("--as-jobs", action="store_true", help="connect as the role of the jobs, not as a superuser")
    parser.addoption("--orders", type=int, default=300, help="orders in which the steps of several owners are tried")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat the tests that kill at random moments, or try random orders, as often as was asked for."""
    for seed, kills in (("seed_of_two_kills", 2), ("seed_of_a_kill", 1)):
        if seed in metafunc.fixturenames:
            metafunc.parametrize(seed, range(metafunc.config.getoption("--kills") // 2 // kills))
    if "seed_of_orders" in metafunc.fixturenames:
        metafunc.parametrize("seed_of_orders", range(-(-metafunc.config.getoption("--orders") // ORDERS_OF_A_SEED)))


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keeps what a test has measured; printed at the end of the session, for the table of docs/guarantees.md."""
    return lambda text: record_property("figure", text)


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use the database server, keep each file on one worker, and put the long files first.

    The files of e2e share two workers: each of their tests starts a Prefect server, a worker and a database, and more
    of them at once would take longer than the tests wait.
    """
    for item in items:
        if "server_url" in getattr(item, "fixturenames", ()):
            item.add_marker("database")
        group = ("up" if item.path.stem in UP else "e2e") if "e2e" in item.path.parts else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: next((n for n, name in enumerate(LONGEST) if name in item.path.parts), len(LONGEST)))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Keep the names of tests short: workers send them to each other, and a text of megabytes takes seconds."""
    return argname if isinstance(val, str | bytes) and len(val) > 60 else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures."""
    for report in terminalreporter.getreports("passed"):
        for name, text in getattr(report, "user_properties", ()):
            if name == "figure" and report.when == "call":
                terminalreporter.write_line(f"figure: {report.nodeid.rpartition('::')[2]}: {text}")
