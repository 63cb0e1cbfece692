"""The checks, and the order in which they depend on each other. A new check is one function and one line in CHECKS."""

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
from alembic.util import CommandError

from db import embedded, notifications
from db.display import redacted_in
from db.embedded_location import EmbeddedError
from db.engine import DatabaseError, database_url, engine, transaction
from db.errors import UserError
from db.schema import revisions
from db.settings import SettingsError
from deployments import automations
from deployments.doctor.findings import Finding, Verdict, unknown
from deployments.prefect_api import PasswordRequiredError, PrefectApi, api_in_use
from tasks.counts import counted
from tasks.notify.channels import Channels, channels
from tasks.prefect_server import PASSWORD_FILE
from tasks.private_network import is_loopback

WAITING_MINUTES = 60  # a message that waits for longer is reported
GIGABYTE = 1 << 30
WARN_SPACE, FAIL_SPACE = GIGABYTE, 200 << 20  # free bytes below which there is a warning, or a failure


@dataclass(frozen=True)
class Setup:
    """What is checked."""

    data_dir: Path
    server: PrefectApi | None  # None if none is known

    def known_server(self) -> PrefectApi:
        """The server, in a check that needs the check "server"."""
        if self.server is None:
            raise ValueError("no server is known")
        return self.server


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        names: of its findings.
        look: makes the check.
        needs: the name of a check that must have passed; otherwise the result is "unknown".
    """

    names: tuple[str, ...]
    look: Callable[[Setup], Iterable[Finding]]
    needs: str | None = None


def check_all(data_dir: Path, only: Collection[str]) -> list[Finding]:
    """The findings of all checks with one of the names `only`."""
    setup = Setup(data_dir, api_in_use(data_dir))
    findings: list[Finding] = []
    for check in CHECKS:
        if not set(check.names) & set(only):
            continue
        if missing := _missing(check.needs, findings):
            findings += [unknown(name, _REASONS[missing]) for name in check.names]
        else:
            findings += _findings(check, setup)
    return findings


def _missing(needs: str | None, findings: list[Finding]) -> str | None:
    """The first check in the chain of needs that did not pass; None if all passed."""
    if needs is None:
        return None
    needed = next(check for check in CHECKS if needs in check.names)
    passed = all(each.verdict == "ok" for each in findings if each.check == needs)
    return _missing(needed.needs, findings) or (None if passed else needs)


def _findings(check: Check, setup: Setup) -> list[Finding]:
    try:
        return list(check.look(setup))
    except (httpx.HTTPError, KeyError, ValueError) as error:
        text = f"the server did not answer as expected: {redacted_in(error)}"
        return [Finding(check.names[0], "failed", text, "see the server's log")]


# --- each check


def check_database(setup: Setup) -> Iterator[Finding]:
    """Whether the database answers. An embedded one that does not run is not started for the check."""
    try:
        if database_url() is None and not embedded.is_running(setup.data_dir):
            where = embedded.directory_of(setup.data_dir)
            text = f"the embedded database in {where} does not run"
            yield Finding("database", "failed", text, "make up starts it")
            return
        with transaction():
            pass
        url = engine().url
    except (DatabaseError, EmbeddedError) as error:
        yield Finding("database", "failed", str(error), "start it, or correct DATABASE_URL or POSTGRES_*")
        return
    yield Finding("database", "ok", f"{url.database} at {url.host or url.query.get('host')} answers")


def check_migrations(_setup: Setup) -> Iterator[Finding]:
    """Whether the tables are those of this version."""
    try:
        current, newest = revisions()
    except (DatabaseError, CommandError) as error:
        yield Finding("migrations", "failed", str(error), "see the database's log")
        return
    if current == newest:
        yield Finding("migrations", "ok", f"the tables have revision {current}")
        return
    text = f"the tables have {f'revision {current}' if current else 'no revision'}, this version needs {newest}"
    yield Finding("migrations", "failed", text, "python -m deployments.migrate, or start make up again")


def check_server(setup: Setup) -> Iterator[Finding]:
    """Whether Prefect's server is healthy."""
    server = setup.server
    if server is None:
        text = f"make up does not run for {setup.data_dir}, and PREFECT_API_URL is not set"
        yield Finding("server", "failed", text, "start make up, or set PREFECT_API_URL")
        return
    advice = f"start it; its log is {setup.data_dir / 'logs' / 'server.log'} if make up runs it"
    try:
        healthy = server.healthy()
    except PasswordRequiredError as error:
        advice = f"set PREFECT_API_AUTH_STRING; if make up generated the password, it is in DATA_DIR/{PASSWORD_FILE}"
        yield Finding("server", "failed", str(error), advice)
        return
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        yield Finding("server", "failed", f"{server.url} does not answer ({redacted_in(error)})", advice)
        return
    text = f"{server.url} is {'healthy' if healthy else 'not healthy'}"
    yield Finding("server", "ok" if healthy else "failed", text, advice)


def check_password(setup: Setup) -> Iterator[Finding]:
    """Whether a server that other machines may reach requires a password."""
    server = setup.known_server()
    if is_loopback(httpx.URL(server.url).host):
        yield Finding("password", "ok", f"{server.url} can only be reached from this machine")
    elif not server.answers_anybody():
        yield Finding("password", "ok", f"{server.url} requires a password")
    else:
        text = f"{server.url} answers without a password: whoever reaches it can run commands as the user of the worker"
        advice = "set PREFECT_SERVER_API_AUTH_STRING=user:password for that server and PREFECT_API_AUTH_STRING here"
        yield Finding("password", "warning", text, advice)


def check_worker(setup: Setup) -> Iterator[Finding]:
    """Whether a worker takes runs of the work pool."""
    server = setup.known_server()
    pool = server.work_pool()
    if pool is None:
        text, advice = f"the work pool {server.pool} does not exist", "python -m deployments.deploy"
        yield Finding("worker", "failed", text, advice)
        return
    if pool["is_paused"]:
        yield Finding(
            "worker", "failed", f"the work pool {server.pool} is paused", f"prefect work-pool resume {server.pool}"
        )
        return
    online = [each["name"] for each in server.workers() if each["status"] == "ONLINE"]
    if not online:
        text = f"no worker of {server.pool} has sent a heartbeat for over a minute: no run can start"
        yield Finding("worker", "failed", text, f"start make up, or prefect worker start --pool {server.pool}")
        return
    yield Finding("worker", "ok", f"online: {', '.join(sorted(online))}")


def check_automations(setup: Setup) -> Iterator[Finding]:
    """Whether the server marks runs without heartbeats as crashed."""
    if missing := automations.missing(setup.known_server()):
        text = f"missing or changed on the server: {', '.join(missing)}"
        yield Finding("automations", "failed", text, "python -m deployments.automations")
        return
    yield Finding("automations", "ok", "a run without heartbeats is marked as crashed")


def check_jobs(setup: Setup) -> Iterable[Finding]:
    """Whether the jobs are planned and succeed."""
    from deployments.doctor import job_checks  # noqa: PLC0415 - imports Prefect, which takes seconds

    return job_checks.check_jobs(setup.known_server())


def check_source(_setup: Setup) -> Iterator[Finding]:
    """Whether each source of the daily monitoring exists, and how old its fixture is."""
    from tasks.mofa import sources  # noqa: PLC0415 - the parsers of pages are only needed here
    from tasks.mofa.settings import monitor_settings  # noqa: PLC0415

    advice = "correct MOFA_SOURCE, or the file of the source"
    try:
        names = sources.matching(monitor_settings().source)
    except (SettingsError, UserError) as error:
        yield Finding("source", "failed", str(error), advice, alert=False)
        return
    for name in names:
        try:
            sources.source(name)
        except UserError as error:
            yield Finding("source", "failed", str(error), advice, alert=False)
        else:
            yield _age_of_fixture(name, sources.fixture_date(name))


def _age_of_fixture(name: str, seen: date | None) -> Finding:
    if seen is None:
        text = f"{name}: it was not tested with recorded pages"
        return Finding("source", "warning", text, f"python -m tasks.mofa.try {name} --record DIRECTORY", alert=False)
    days = (datetime.now(UTC).date() - seen).days
    return Finding("source", "ok", f"{name}: its layout was last seen on {seen}, {counted(days, 'day')} ago")


def check_outbox(_setup: Setup) -> Iterator[Finding]:
    """Whether messages are delivered."""
    try:
        configured = channels()
    except SettingsError:
        configured = Channels()  # `check_channels` reports it
    ours = [channel.id for channel in configured.usable]
    try:
        with transaction() as connection:
            waiting = notifications.count_undelivered(connection, ours, WAITING_MINUTES)
            # With a mistyped URL, or none here, the removed channels are not known.
            removed = 0
            if ours and not configured.problems:
                removed = notifications.of_removed_channels(connection, ours)
    except DatabaseError as error:
        yield Finding("messages", "failed", str(error), "see the database's log", alert=False)
        return
    if waiting:
        text = f"{waiting} have waited for over an hour, or have failed"
        advice = "see the reason in last_error of the table notifications, and check NOTIFY_URLS"
        yield Finding("messages", "warning", text, advice, alert=False)
    if removed:
        text = f"{removed} wait for a channel that did not accept them and is not in NOTIFY_URLS any more"
        advice = (
            "python -m tasks.notify.redirect POSITION sends them to the channel at that position of NOTIFY_URLS (1 is "
            "the first), such as the corrected one; with none in place of POSITION they are discarded"
        )
        yield Finding("messages", "warning", text, advice, alert=False)
    if not waiting and not removed:
        yield Finding("messages", "ok", "none is waiting")


def check_channels(_setup: Setup) -> Iterator[Finding]:
    """Whether there is a channel, and all are usable."""
    try:
        configured = channels()
    except SettingsError as error:
        yield Finding("channels", "failed", str(error), "correct it", alert=False)
        return
    if configured.problems:
        yield Finding("channels", "failed", " ".join(configured.problems), "correct NOTIFY_URLS", alert=False)
    elif not configured.usable:
        advice = "set NOTIFY_URLS, such as mailtos://user:password@example.org"
        yield Finding("channels", "warning", "none: nobody gets notifications", advice, alert=False)
    else:
        yield Finding("channels", "ok", ", ".join(channel.name for channel in configured.usable))


def check_disk(setup: Setup) -> Iterator[Finding]:
    """Whether there is space on the disk of DATA_DIR."""
    existing = next(each for each in (setup.data_dir, *setup.data_dir.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    verdict: Verdict = "failed" if free < FAIL_SPACE else "warning" if free < WARN_SPACE else "ok"
    text = f"{free / GIGABYTE:.1f} GB free for {setup.data_dir}"
    yield Finding("disk", verdict, text, "" if verdict == "ok" else "free some space on that disk")


CHECKS = (
    Check(("database",), check_database),
    Check(("migrations",), check_migrations, needs="database"),
    Check(("server",), check_server),
    Check(("password",), check_password, needs="server"),
    Check(("worker",), check_worker, needs="server"),
    Check(("automations",), check_automations, needs="server"),
    Check(("schedules", "jobs"), check_jobs, needs="server"),
    Check(("source",), check_source),
    Check(("messages",), check_outbox, needs="migrations"),
    Check(("channels",), check_channels),
    Check(("disk",), check_disk),
)
NAMES = tuple(name for check in CHECKS for name in check.names)
_REASONS = {  # check that did not pass -> why another cannot be made
    "database": "the database does not answer",
    "migrations": "the tables are not those of this version",
    "server": "the server does not answer",
}
