"""The monitor in real processes that are killed at exact places, and real receivers of what it tells.

A process is one of importing.py; it watches testland (ministry.py) at a slot of the test's choosing.
"""

import os
import re
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import loads
from pathlib import Path
from typing import Any

import psycopg
from aiosmtpd.controller import Controller
from importing import Order, Outcome, Process, Stop
from ministry import Ministry, Rows, a_ministry, missions, serve
from psycopg.rows import dict_row

FIRST = datetime(2026, 1, 5, 3, tzinfo=UTC)  # the slot of the baseline
SECOND = FIRST + timedelta(days=1)
SECRET = "hunter2hunter2"  # noqa: S105 - it opens nothing
_RUN_PAGE = re.compile(r"flow-run/[0-9a-f-]{36}")


def watch(base_url: str, slot: datetime | None, accept: int | None = None, *, return_state: bool) -> Any:
    """In the process: one run of the flow, for a slot as Prefect's scheduler makes it, or by hand."""
    from prefect import get_client
    from prefect.flow_engine import run_flow
    from prefect.states import Scheduled

    from flows.mofa_monitoring import mofa_monitoring
    from tasks.mofa import steps

    assert return_state
    steps.source = lambda _name: a_ministry()
    parameters = {"source": "testland", "base_url": base_url, "accept": accept}
    if slot is None:
        return mofa_monitoring(**parameters, return_state=True)
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(
            mofa_monitoring, parameters=parameters, state=Scheduled(scheduled_time=slot), tags=["auto-scheduled"]
        )
    return run_flow(mofa_monitoring, flow_run=run, parameters=parameters, return_type="state")


# ---------------------------------------------------------------------- receivers


@dataclass
class Webhook:
    """Hears what is posted to it; `status` is its answer, which it keeps back while `answering` is not set."""

    port: int
    status: int = 200
    got: list[dict[str, Any]] = field(default_factory=list)
    heard: threading.Event = field(default_factory=threading.Event)
    answering: threading.Event = field(default_factory=threading.Event)
    refused: set[str] = field(default_factory=set)  # titles that it never takes

    @property
    def url(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}"

    def in_order(self) -> list[str]:
        return [each["title"] for each in self.got]

    def titles(self) -> Counter[str]:
        return Counter(self.in_order())

    def reset(self) -> None:
        self.status = 200
        self.got.clear()
        self.heard.clear()
        self.answering.set()
        self.refused.clear()


@dataclass
class Mailbox:
    """Hears mail; `reply` is what it answers."""

    port: int
    reply: str = "250 OK"
    subjects: list[str] = field(default_factory=list)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
        if self.reply.startswith("250"):
            self.subjects.append(str(message_from_bytes(envelope.content, policy=policy.default)["Subject"]))
        return self.reply

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.port}/?from=jobs@example.org&to=ops@example.org&mode=insecure"

    def titles(self) -> Counter[str]:
        return Counter(self.subjects)

    def reset(self) -> None:
        self.reply = "250 OK"
        self.subjects.clear()


@contextmanager
def a_webhook() -> Iterator[Webhook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.got.append(message)
            hook.heard.set()
            hook.answering.wait(60)
            try:
                self.send_response(413 if message["title"] in hook.refused else hook.status)
                self.end_headers()
            except OSError:  # the sender is gone
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hook = Webhook(server.server_port)
    hook.answering.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hook
    finally:
        hook.answering.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def a_mailbox() -> Iterator[Mailbox]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = Mailbox(port)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


# ---------------------------------------------------------------------- what is watched, and where


def later(rows: Rows) -> Rows:
    """The ministry's list a day on: three pages of four differ."""
    rows = {key: dict(row) for key, row in rows.items() if key != "m8"}
    rows["m1"]["phone"] = "+33 2 000001"
    rows["m4"]["address"] = "1 Avenue Foch"
    rows["m5"]["opening_hours"] = "10-16"
    rows["m42"] = {**rows["m1"], "name": "Embassy 42", "phone": "+42", "address": "42", "email": "m42@mofa.example"}
    return rows


@dataclass
class Database:
    """One of the tests' databases."""

    url: str

    def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row, connect_timeout=5) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def outbox(self) -> list[dict[str, Any]]:
        return self.query("SELECT * FROM notifications ORDER BY id")

    def expire_leases(self) -> None:
        """Time passes: whatever waits or is leased is due."""
        self.query("UPDATE notifications SET leased_until = now() - interval '1 second' WHERE status = 'pending'")

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """What must be equal, however a run was disturbed: all but ids, the server's clock, and how often was asked.

        Clocks of missions and changes are those of the slot, so that they must be equal too.
        """
        embassies = self.query("""
            SELECT e.*, p.url, p.sha256 FROM embassies e JOIN page_snapshots p ON p.id = e.snapshot_id
            ORDER BY e.key""")
        changes = self.query("""
            SELECT c.*, e.key, p.url, p.sha256, r.idempotency_key FROM embassy_changes c
            JOIN embassies e ON e.id = c.embassy_id JOIN task_runs r ON r.id = c.task_run_id
            LEFT JOIN page_snapshots p ON p.id = c.snapshot_id ORDER BY c.id""")
        pages = self.query("""
            SELECT source, url, sha256, etag, content_type, body, version, links, records FROM page_snapshots
            ORDER BY url, id""")
        runs = self.query("""
            SELECT name, idempotency_key, status, last_error, subject, result -> 'told' AS told,
                   result - '{run,snapshots,unchanged,retried,told}'::text[] AS result
            FROM task_runs ORDER BY idempotency_key""")
        told = self.query("""
            SELECT coalesce(r.idempotency_key, n.dedup_key) AS what, n.channel, n.title, n.body::text AS body, n.status,
                   n.last_error FROM notifications n
            LEFT JOIN task_runs r ON n.dedup_key = r.name || ':' || r.subject || ':set:' || r.id ORDER BY 1, 2""")
        for row in (*embassies, *changes):
            for id_ in ("id", "snapshot_id", "embassy_id", "task_run_id"):
                row.pop(id_, None)
        for row in (*runs, *told):
            for name in ("told", "body"):
                if row.get(name):
                    row[name] = _RUN_PAGE.sub("this run", row[name])
        return {"embassies": embassies, "changes": changes, "pages": pages, "runs": runs, "told": told}


@contextmanager
def clone(server: str, template: str) -> Iterator[Database]:
    from conftest import renamed  # not above: it puts the environment aside, which a process has just been given

    name = f"watch_{uuid.uuid4().hex[:12]}"
    admin = Database(server)
    admin.query(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield Database(renamed(server, name))
    finally:
        admin.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@dataclass
class World:
    """A ministry and two receivers."""

    ministry: Ministry
    webhook: Webhook
    mailbox: Mailbox

    def reset(self, rows: Rows) -> None:
        self.webhook.reset()
        self.mailbox.reset()
        self.ministry.answers.clear()
        self.ministry.show(rows)


@contextmanager
def a_world() -> Iterator[World]:
    ministry, stop = serve()
    try:
        with a_webhook() as webhook, a_mailbox() as mailbox:
            world = World(ministry, webhook, mailbox)
            world.reset(missions())
            yield world
    finally:
        stop()


@dataclass
class Watcher:
    """A machine that watches: its database, its Prefect and what runs there."""

    database: Database
    api: str
    room: Path
    world: World
    environment: dict[str, str] = field(default_factory=dict)
    started: list[Process] = field(default_factory=list)

    def start(self, slot: datetime | None, *stops: Stop, accept: int | None = None) -> Process:
        home = self.room / "prefect-home"
        ours = {
            "DATABASE_URL": self.database.url,
            "DATA_DIR": str(self.room),
            "NOTIFY_URLS": f"{self.world.webhook.url} {self.world.mailbox.url}",
            "TASK_MISFIRE_GRACE": "1000000000",  # the slots are of long ago
            "TASK_MAX_INSTANCES": "16",
        }
        process = Process(
            Order(
                function="monitoring:watch",
                arguments={"base_url": self.world.ministry.url, "slot": slot, "accept": accept},
                environment={**os.environ, **ours, **self.environment},
                log=self.room / f"process-{len(self.started)}.log",
                prefect={
                    "PREFECT_API_URL": self.api,
                    "PREFECT_HOME": str(home),
                    "PREFECT_LOCAL_STORAGE_PATH": str(home / "storage"),
                },
                stops=stops,
            )
        )
        self.started.append(process)
        return process

    def run(self, slot: datetime | None, accept: int | None = None) -> Outcome:
        """One run, to its end."""
        return self.start(slot, accept=accept).outcome()

    def kill_at(self, stop: Stop, slot: datetime | None) -> None:
        """Start a run and kill it where it stops."""
        process = self.start(slot, stop)
        process.reach()
        process.kill()


@contextmanager
def a_watcher(database: Database, api: str, room: Path, world: World) -> Iterator[Watcher]:
    watcher = Watcher(database, api, room, world)
    try:
        yield watcher
    finally:
        for process in watcher.started:
            process.kill()
