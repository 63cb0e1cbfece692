"""Databases of the tests, and what tests read from them."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import make_url

from db.task_runs import LOCK_CLASS

_RUN_PAGE = re.compile(r"flow-run/[0-9a-f-]{36}")
Tables = dict[str, list[dict[str, Any]]]


def renamed(url: str, database: str) -> str:
    """The URL of another database of the same server, as libpq takes it."""
    return make_url(url).set(drivername="postgresql", database=database).render_as_string(hide_password=False)


@dataclass
class Database:
    """One of the tests' databases."""

    url: str

    @property
    def name(self) -> str:
        return str(make_url(self.url).database)

    def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row, connect_timeout=5) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    # --- the outbox

    def outbox(self) -> list[dict[str, Any]]:
        return self.query("SELECT * FROM notifications ORDER BY id")

    def expire_leases(self) -> None:
        """Time passes: whatever waits or is leased is due."""
        self.query("UPDATE notifications SET leased_until = now() - interval '1 second' WHERE status = 'pending'")

    # --- what runs

    def staging(self) -> list[str]:
        """The partitions of imports that are not complete."""
        found = self.query("SELECT inhrelid::regclass::text AS name FROM pg_inherits ORDER BY 1")
        return [row["name"] for row in found if row["name"].startswith("import_staging_")]

    def lock_holders(self) -> list[int]:
        """Backends that hold the lock of a unit of work."""
        found = self.query(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid <> 0 AND objsubid = 2"
            " AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            LOCK_CLASS,
        )
        return [row["pid"] for row in found]

    def waiting(self) -> bool:
        """Whether somebody waits for another's row or transaction."""
        return bool(self.query("SELECT 1 AS one FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"))

    # --- what must be equal, however a run was disturbed

    def tables_of_imports(self) -> Tables:
        """Contacts, rejects and units of work, without clocks, ids, tokens and the number of attempts."""
        contacts = self.query("""
            SELECT c.*, r.idempotency_key AS import FROM contacts c LEFT JOIN task_runs r ON r.id = c.import_id
            ORDER BY c.identity_hash""")
        rejects = self.query("""
            SELECT j.*, r.idempotency_key AS import FROM import_rejects j JOIN task_runs r ON r.id = j.import_id
            ORDER BY r.idempotency_key, j.id""")
        runs = self.query("""
            SELECT name, idempotency_key, status, last_error, subject, fingerprint, result - 'import_id' AS result
            FROM task_runs ORDER BY idempotency_key""")
        for row in (*contacts, *rejects):
            for clock_or_id in ("id", "import_id", "created_at", "updated_at"):
                row.pop(clock_or_id, None)
        return {"contacts": contacts, "rejects": rejects, "runs": runs}

    def tables_of_monitor(self) -> Tables:
        """Missions, changes, pages, units of work and messages, without ids, the server's clock and retries.

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
            SELECT name, idempotency_key, status, last_error, subject, result -> 'told' AS body,
                   result - '{run,snapshots,unchanged,retried,told}'::text[] AS result
            FROM task_runs ORDER BY idempotency_key""")
        messages = self.query("""
            SELECT coalesce(r.idempotency_key, n.dedup_key) AS what, n.channel, n.title, n.body::text AS body, n.status,
                   n.last_error FROM notifications n
            LEFT JOIN task_runs r ON n.dedup_key = r.name || ':' || r.subject || ':set:' || r.id ORDER BY 1, 2""")
        for row in (*embassies, *changes):
            for id_ in ("id", "snapshot_id", "embassy_id", "task_run_id"):
                row.pop(id_, None)
        for row in (*runs, *messages):
            if row.get("body"):
                row["body"] = _RUN_PAGE.sub("this run", row["body"])
        return {"embassies": embassies, "changes": changes, "pages": pages, "runs": runs, "messages": messages}


@contextmanager
def clone(server: str, template: str) -> Iterator[Database]:
    """A database of its own, made from a template and dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = Database(renamed(server, make_url(server).database or "postgres"))
    admin.query(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')  # quicker without fsync
    try:
        yield Database(renamed(server, name))
    finally:
        admin.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
