"""`idempotent_once`: does a unit of work at most once, and remembers its result.

The row in `task_runs` stores the state. A session-level advisory lock on a connection of its own shows whether the
owner is alive: the lock ends with its session. `attempts` is the fencing token: every transaction of the work first
checks that its attempt still owns the row, so an owner that has lost its lock cannot commit beside its successor.

    with idempotent_once("my_job", "my_job_v1") as once:
        if once.done:
            return once.result
        once.result = work()

Effects outside the database may happen more than once: send them through the outbox.

    OnceError
    ├── AlreadyRunningError    another process works on the unit
    ├── RunCancelledError      a person cancelled it; only a person resumes it
    ├── KeyReusedError         the key belongs to another input
    └── SupersededError        another attempt has taken over; this one must not commit
"""

import asyncio
import json
import logging
import os
import socket
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from db.display import redacted_in
from db.engine import DatabaseError, engine, explain, lock_engine, unlock
from db.errors import JobError, UserError
from db.tables import task_runs
from db.times import time_text

logger = logging.getLogger(__name__)

LOCK_CLASS = 0x6A6F6273  # "jobs": the first half of the key of each lock; the second is task_runs.id
NAME_LENGTH = 128
KEY_LENGTH = 255
DONE = ("completed", "held")


class OnceError(DatabaseError):
    """A unit of work cannot be done here and now."""


class AlreadyRunningError(OnceError):
    """Another process, which is alive, works on the unit."""


AlreadyRunning = AlreadyRunningError  # the name in the project's design, which other code may use


class RunCancelledError(OnceError, UserError):
    """A person has cancelled the unit."""


class KeyReusedError(OnceError, UserError):
    """The key belongs to another input."""


class SupersededError(OnceError):
    """Another attempt owns the unit now."""


@dataclass(frozen=True)
class Claim:
    """One attempt at one unit of work, as plain data that can be passed to a task."""

    id: int  # task_runs.id
    attempts: int  # the fencing token
    token: UUID  # of the row in this database; part of every cache key


def _owned(claim: Claim) -> ColumnElement[bool]:
    return and_(task_runs.c.id == claim.id, task_runs.c.attempts == claim.attempts, task_runs.c.status == "processing")


def check_owner(connection: Connection, claim: Claim) -> None:
    """Check that this attempt still owns its unit; the first statement of every transaction of the work.

    The row stays locked until the transaction ends, so that no other attempt can take over meanwhile.

    Raises:
        SupersededError: another attempt has taken over.
    """
    if connection.execute(select(task_runs.c.id).where(_owned(claim)).with_for_update(read=True)).first() is None:
        raise _superseded(claim)


def complete(connection: Connection, claim: Claim, result: Any, status: str = "completed") -> None:
    """Mark the unit completed in the caller's transaction, so that the work and its completion commit together.

    `status` is "held" for a unit whose outcome waits for a person; it counts as completed.

    Raises:
        SupersededError: another attempt has taken over.
        TypeError: JSON cannot represent `result`.
    """
    try:
        json.dumps(result, allow_nan=False)  # before the statement, for a message about the result
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the result of unit {claim.id} is not JSON ({error}): return numbers, texts, lists, dicts"
        ) from error
    values = {"status": status, "result": result, "last_error": None, "updated_at": func.now()}
    if connection.execute(update(task_runs).where(_owned(claim)).values(values)).rowcount != 1:
        raise _superseded(claim)


def committed(connection: Connection, claim: Claim) -> RowMapping | None:
    """The row, if this attempt has completed its unit; else None.

    For a retry after a commit whose answer was lost: the commit may have succeeded.
    """
    ours = and_(task_runs.c.id == claim.id, task_runs.c.attempts == claim.attempts, task_runs.c.status.in_(DONE))
    return connection.execute(select(task_runs).where(ours)).mappings().one_or_none()


def _superseded(claim: Claim) -> SupersededError:
    return SupersededError(
        f"attempt {claim.attempts} at unit {claim.id} lost its lock and another took over: nothing of this attempt was "
        "stored, the other one finishes the work"
    )


class idempotent_once:  # noqa: N801 - it is used like a function: with idempotent_once(...)
    """One unit of work, completed at most once for each `name` and `idempotency_key`; for `with` and `async with`.

    Args:
        name: the job, at most 128 characters.
        idempotency_key: the unit, at most 255 characters.
        subject: what the unit is about, for people: a workbook, a source.
        fingerprint: digest of the input. A key that is completed, or in progress, for another input is refused.
        flow_run_id: the Prefect run that does the work.
        resume_cancelled: True if a person asks for it; otherwise a cancelled unit raises RunCancelledError.

    Attributes:
        done: True if the unit was completed before; then `result` is the first result, and there is nothing to do.
        result: set it to any JSON value; it is stored when the block ends without an exception.
        id, token, attempts: of the row; `attempts` is 1 for the first attempt.

    Raises:
        AlreadyRunningError, RunCancelledError, KeyReusedError: on entry.
        SupersededError: from `check_owner`, `complete` or the end of the block.
    """

    def __init__(
        self,
        name: str,
        idempotency_key: str,
        *,
        subject: str | None = None,
        fingerprint: str | None = None,
        flow_run_id: UUID | str | None = None,
        resume_cancelled: bool = False,
    ) -> None:
        for what, value, limit in (("name", name, NAME_LENGTH), ("idempotency key", idempotency_key, KEY_LENGTH)):
            if not value or len(value) > limit or value != storable(value):
                raise ValueError(
                    f"the {what} {value[:40]!r} has {len(value)} characters: give 1 to {limit} characters of text"
                )
        self.name = name
        self.idempotency_key = idempotency_key
        self.done = False
        self.result: Any = None
        self.id = 0
        self.token = UUID(int=0)
        self.attempts = 0
        self._described = {
            "subject": None if subject is None else storable(subject),
            "flow_run_id": UUID(str(flow_run_id)) if flow_run_id else None,
        }
        self._fingerprint = fingerprint
        self._resume_cancelled = resume_cancelled
        self._lock: Connection | None = None
        self._entering = threading.Lock()  # protects the next two
        self._entered = False
        self._left = False

    # --- entering the block

    def __enter__(self) -> Self:
        try:
            self._lock = lock_engine().connect()
            self._claim(self._lock)
        except DBAPIError as error:
            self._release()
            raise explain(error) from error
        except BaseException:
            self._release()
            raise
        if self.done:
            self._release()
        return self

    async def __aenter__(self) -> Self:
        try:
            return await asyncio.to_thread(self._enter_unless_left)
        except asyncio.CancelledError:
            # The thread cannot be cancelled: release what it still acquires.
            with self._entering:
                self._left = True
                if self._entered:
                    self._release()
            raise

    def _enter_unless_left(self) -> Self:
        self.__enter__()
        with self._entering:
            self._entered = True
            if self._left:
                self._release()
        return self

    def _claim(self, connection: Connection) -> None:
        connection.execute(
            insert(task_runs)
            .values(
                name=self.name,
                idempotency_key=self.idempotency_key,
                fingerprint=self._fingerprint,
                subject=self._described["subject"],
            )
            .on_conflict_do_nothing()
        )
        if self._check_completed(self._row(connection)):
            return
        holder = f"{socket.gethostname()[:30]}:{os.getpid()} {self.name}"  # PostgreSQL keeps 63 bytes of it
        connection.execute(select(func.set_config("application_name", holder[:63], False)))
        if not connection.scalar(select(func.pg_try_advisory_lock(LOCK_CLASS, self.id))):
            self._refuse_other_input(self._row(connection))
            raise AlreadyRunningError(self._holder(connection))
        while True:
            # Another process may have completed or cancelled the unit since the check above. An owner that lost its
            # lock can do so while this statement waits for the row. So the update applies only to the row as it was
            # read.
            row = self._row(connection)
            if self._check_completed(row) or self._take_over(connection, row):
                return

    def _take_over(self, connection: Connection, row: RowMapping) -> bool:
        """Start the next attempt, if the row is still as it was read; returns whether it was."""
        # After an attempt that did not complete, the key may be used for another input, such as a corrected workbook.
        # The new token separates it from what was cached for the previous input.
        other = self._is_of_other_input(row)
        owned = connection.execute(
            update(task_runs)
            .where(
                task_runs.c.id == row["id"],
                task_runs.c.status == row["status"],
                task_runs.c.attempts == row["attempts"],
            )
            .values(
                status="processing",
                attempts=task_runs.c.attempts + 1,
                last_error=None,
                fingerprint=self._fingerprint or row["fingerprint"],
                token=func.gen_random_uuid() if other else row["token"],
                updated_at=func.now(),
                **self._described,
            )
            .returning(task_runs.c.attempts, task_runs.c.token)
        ).one_or_none()
        if owned is None:
            return False
        self.attempts, self.token = owned
        return True

    def _row(self, connection: Connection) -> RowMapping:
        row = connection.execute(
            select(task_runs).where(task_runs.c.name == self.name, task_runs.c.idempotency_key == self.idempotency_key)
        )
        return row.mappings().one()

    def _check_completed(self, row: RowMapping) -> bool:
        """Whether the unit is completed; raises if it must not be done."""
        self.id, self.token = row["id"], row["token"]
        if row["status"] in DONE:
            self._refuse_other_input(row)
            self.done, self.result, self.attempts = True, row["result"], row["attempts"]
        elif row["status"] == "cancelled" and not self._resume_cancelled:
            about = row["subject"] or repr(self.idempotency_key)
            raise RunCancelledError(
                f"{self.name} {about} was cancelled on {time_text(row['updated_at'])}: start it by hand to resume it"
            )
        return self.done

    def _is_of_other_input(self, row: RowMapping) -> bool:
        return bool(self._fingerprint) and row["fingerprint"] not in (None, self._fingerprint)

    def _refuse_other_input(self, row: RowMapping) -> None:
        if self._is_of_other_input(row):
            raise KeyReusedError(
                f"the key {self.idempotency_key!r} of {self.name} was used for {row['subject'] or 'another input'} on "
                f"{time_text(row['created_at'])}: give another key, or none, for this input"
            )

    def _holder(self, connection: Connection) -> str:
        """Who holds the unit, as a sentence."""
        holder = connection.execute(
            text("""
                SELECT a.application_name, a.pid, coalesce(host(a.client_addr), 'this machine') AS host, r.updated_at,
                       r.flow_run_id
                FROM task_runs r LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.classid = :lock_class
                     AND l.objid = r.id AND l.objsubid = 2 AND l.granted
                     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                LEFT JOIN pg_stat_activity a USING (pid) WHERE r.id = :id"""),
            {"lock_class": LOCK_CLASS, "id": self.id},
        ).one()
        by = f"by {holder.application_name} on {holder.host}" if holder.application_name else "by another process"
        run = f", flow run {holder.flow_run_id}" if holder.flow_run_id else ""
        return (
            f"{self.name} {self.idempotency_key[:60]!r} is already running {by} "
            f"since {time_text(holder.updated_at)}{run}: wait for it to end, or cancel it"
        )

    # --- in the block

    @property
    def claim(self) -> Claim:
        """This attempt as plain data."""
        return Claim(self.id, self.attempts, self.token)

    def check_owner(self, connection: Connection) -> None:
        """See the function `check_owner`."""
        check_owner(connection, self.claim)

    def complete(self, connection: Connection) -> None:
        """Mark the unit completed with `result` in the caller's transaction: see the function `complete`."""
        complete(connection, self.claim, self.result)

    # --- leaving the block

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.done:
            return
        try:
            if error is not None:
                self._record(error)
            else:
                self._finish()
        except DBAPIError as failure:
            raise explain(failure) from failure
        finally:
            self._release()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(asyncio.to_thread(self.__exit__, kind, error, trace))

    def _finish(self) -> None:
        try:
            with engine().begin() as connection:
                if committed(connection, self.claim) is None:
                    self.complete(connection)
        except BaseException as failure:  # such as a result that is not JSON
            self._record(failure)
            raise

    def _record(self, error: BaseException) -> None:
        """Store why the attempt ended. After a stop by the system (SIGTERM) the unit stays `processing`."""
        if isinstance(error, KeyboardInterrupt):  # not a CancelledError, which a time-out raises as well
            status = "cancelled"
        elif isinstance(error, Exception):
            status = "failed"
        else:
            status = "processing"
        line = (storable(str(error)).strip() or type(error).__name__).splitlines()[0][:2000]
        sentence = line if isinstance(error, JobError) else redacted_in(line)
        try:
            with engine().begin() as connection:
                connection.execute(
                    update(task_runs)
                    .where(_owned(self.claim))
                    .values(status=status, last_error=sentence, updated_at=func.now())
                )
        except DBAPIError as failure:
            # The original error matters more than this one.
            logger.warning("%s: the failure could not be recorded: %s", self.name, explain(failure))

    def _release(self) -> None:
        if self._lock is not None:
            lock, self._lock = self._lock, None
            unlock(lock)


def storable(value: str) -> str:
    """The text without what PostgreSQL cannot store: NUL and lone surrogates, which file names may contain."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()
