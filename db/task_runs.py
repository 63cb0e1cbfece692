"""Once: decides whether a unit of work is still to be done, who does it, and remembers its result.

The row in `task_runs` is the memory. A session-level advisory lock on a connection of its own says who is alive: it is
gone the moment its holder is. `attempts` is the fencing token: every transaction of the work first checks that it still
owns the row, so that a holder whose lock connection was cut cannot commit beside its successor.

    with idempotent_once("my_job", "my_job_v1") as once:
        if once.done:
            return once.result
        once.result = work()

What the work does outside the database happens at least once: keep it behind the outbox.

    OnceError
    ├── AlreadyRunningError    somebody else holds the unit
    ├── RunCancelledError      a person stopped it; only a person starts it again
    ├── KeyReusedError         the key stands for another input
    └── SupersededError        we lost the unit while working; nothing of ours may be committed
"""

import asyncio
import json
import logging
import os
import socket
import threading
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from db.engine import DatabaseError, engine, explain, lock_engine, unlock
from db.errors import UserError
from db.tables import task_runs

logger = logging.getLogger(__name__)

LOCK_CLASS = 0x6A6F6273  # "jobs": the first half of every lock of ours, the second is task_runs.id
NAME_LENGTH = 128
KEY_LENGTH = 255
DONE = ("completed", "held")


class OnceError(DatabaseError):
    """A unit of work cannot be done here and now."""


class AlreadyRunningError(OnceError):
    """The unit is being worked on by somebody who is alive."""


class RunCancelledError(OnceError, UserError):
    """The unit was cancelled by a person."""


class KeyReusedError(OnceError, UserError):
    """The key was used for another input."""


class SupersededError(OnceError):
    """Another attempt owns the unit now."""


@dataclass(frozen=True)
class Claim:
    """One attempt at one unit of work: plain data that a step can take."""

    id: int  # task_runs.id
    attempts: int  # the fencing token
    token: UUID  # of the row in this database: part of every cache key


def _owned(claim: Claim) -> ColumnElement[bool]:
    return and_(task_runs.c.id == claim.id, task_runs.c.attempts == claim.attempts, task_runs.c.status == "processing")


def check_owner(connection: Connection, claim: Claim) -> None:
    """The first statement of every transaction of the work; the row stays locked against a take-over until its end.

    Raises:
        SupersededError: another attempt took over.
    """
    if connection.execute(select(task_runs.c.id).where(_owned(claim)).with_for_update(read=True)).first() is None:
        raise _superseded(claim)


def complete(connection: Connection, claim: Claim, result: Any, status: str = "completed") -> None:
    """Mark the unit completed in the caller's transaction, so that the work and its completion commit together.

    `status` is "held" for a unit that was judged and waits for a person: it is done as well.

    Raises:
        SupersededError: another attempt took over.
        TypeError: `result` is not something that JSON can hold.
    """
    try:
        json.dumps(result, allow_nan=False)  # before the statement, so that the message is about the result
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the result of unit {claim.id} is not JSON ({error}): give numbers, texts, lists, dicts"
        ) from error
    values = {"status": status, "result": result, "last_error": None, "updated_at": func.now()}
    if connection.execute(update(task_runs).where(_owned(claim)).values(values)).rowcount != 1:
        raise _superseded(claim)


def committed(connection: Connection, claim: Claim) -> RowMapping | None:
    """The row, if this attempt's completion is in the database.

    For work that is tried again after a commit whose answer was lost: it may have arrived all the same.
    """
    ours = and_(task_runs.c.id == claim.id, task_runs.c.attempts == claim.attempts, task_runs.c.status.in_(DONE))
    return connection.execute(select(task_runs).where(ours)).mappings().one_or_none()


def failed_in(connection: Connection, name: str, subject: str, flow_run_id: UUID | str) -> bool:
    """Whether a unit stands as failed by this flow run: not one that another run does, or has done."""
    ours = and_(
        task_runs.c.name == name, task_runs.c.subject == subject, task_runs.c.flow_run_id == UUID(str(flow_run_id))
    )
    failed = select(task_runs.c.id).where(ours, task_runs.c.status == "failed").limit(1)
    return connection.execute(failed).first() is not None


def record_decision(
    connection: Connection, name: str, flow_run_id: UUID | str, *, status: str, subject: str | None, why: str
) -> None:
    """Remember that a run did not start: its own row, whose key is the run. `status` is "missed" or "skipped"."""
    decision = {"status": status, "last_error": _storable(why), "updated_at": func.now()}
    about = {"subject": None if subject is None else _storable(subject), "flow_run_id": UUID(str(flow_run_id))}
    row = insert(task_runs).values(name=name, idempotency_key=str(flow_run_id), **about, **decision)
    earlier = task_runs.c.status.in_(("missed", "skipped"))  # of the same run, which a person started again
    connection.execute(
        row.on_conflict_do_update(index_elements=["name", "idempotency_key"], set_=decision, where=earlier)
    )


def cancel(connection: Connection, flow_run_id: UUID | str) -> int:
    """Mark what this flow run was working on as cancelled: only a person goes on with it. How many units these are."""
    working = and_(task_runs.c.flow_run_id == UUID(str(flow_run_id)), task_runs.c.status == "processing")
    cancelled = {"status": "cancelled", "last_error": "the run was cancelled", "updated_at": func.now()}
    return connection.execute(update(task_runs).where(working).values(cancelled)).rowcount


# Of task_runs r: no process that lives has claimed it.
NOBODY_HOLDS = f"""NOT EXISTS (
    SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = {LOCK_CLASS} AND l.objid = r.id
    AND l.objsubid = 2 AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""


def abandoned(connection: Connection, name: str, seconds: float = 60) -> list[RowMapping]:
    """Units of a job that nobody works on although nobody finished them: id, subject, flow_run_id.

    Args:
        connection: of the caller.
        name: the job.
        seconds: a unit that was begun so recently is left out: its lock may be on its way.
    """
    found = connection.execute(
        text(f"""
            SELECT r.id, r.subject, r.flow_run_id FROM task_runs r
            WHERE r.name = :name AND r.status = 'processing' AND r.updated_at < now() - :seconds * interval '1 second'
            AND {NOBODY_HOLDS} ORDER BY r.id"""),
        {"name": name, "seconds": seconds},
    )
    return list(found.mappings())


def fail_overtaken(connection: Connection, unit: int) -> bool:
    """Mark an abandoned unit as failed if another of its subject was finished since; whether that was so."""
    failed = connection.execute(
        text(f"""
            UPDATE task_runs r SET status = 'failed', last_error = 'another version was done since', updated_at = now()
            WHERE r.id = :unit AND r.status = 'processing' AND {NOBODY_HOLDS}
            AND EXISTS (SELECT FROM task_runs other WHERE other.name = r.name AND other.subject = r.subject
                        AND other.status = ANY(:done) AND other.updated_at > r.updated_at)"""),
        {"unit": unit, "done": list(DONE)},
    )
    return failed.rowcount == 1


def made_good(connection: Connection, name: str, subject: str, flow_run_id: UUID | str, since: datetime) -> bool:
    """Whether this flow run finished a unit of this subject, however it ended afterwards, or another has since then."""
    who = or_(task_runs.c.flow_run_id == UUID(str(flow_run_id)), task_runs.c.updated_at >= since)
    ours = and_(task_runs.c.name == name, task_runs.c.subject == subject, who)
    done = select(task_runs.c.id).where(ours, task_runs.c.status.in_(DONE)).limit(1)
    return connection.execute(done).first() is not None


def done_since(connection: Connection, name: str, subject: str, since: datetime) -> list[tuple[datetime, UUID | None]]:
    """When the units of this subject that were done since then were done, and by which flow run; the last one first."""
    ours = and_(task_runs.c.name == name, task_runs.c.subject == subject, task_runs.c.updated_at >= since)
    done = select(task_runs.c.updated_at, task_runs.c.flow_run_id).where(ours, task_runs.c.status.in_(DONE))
    return [(at, run) for at, run in connection.execute(done.order_by(task_runs.c.updated_at.desc()))]


def forget_not_run(connection: Connection, before: datetime) -> int:
    """Remove the rows of slots that were missed or skipped before then; returns how many."""
    old = and_(task_runs.c.status.in_(("missed", "skipped")), task_runs.c.updated_at < before)
    return connection.execute(task_runs.delete().where(old)).rowcount


def _superseded(claim: Claim) -> SupersededError:
    return SupersededError(
        f"attempt {claim.attempts} at unit {claim.id} lost its lock and another took over: nothing of this one was "
        "kept, the other one finishes the work"
    )


class idempotent_once:  # noqa: N801 - reads as the verb it is: with idempotent_once(...)
    """One unit of work, done once for each `name` and `idempotency_key`, in `with` or `async with`.

    Args:
        name: the job, at most 128 characters.
        idempotency_key: the unit, at most 255 characters.
        subject: what the unit is about, for people: a workbook, a source.
        fingerprint: digest of the input. A key that was used for another one is refused: it is done, or in work.
        flow_run_id: the Prefect run that does the work.
        resume_cancelled: True when a person asks for it; otherwise a cancelled unit is left alone.

    Attributes:
        done: True if it was completed before; then `result` is the first result and nothing is to be done.
        result: what the work sets, anything that JSON can hold; stored when the block ends without an exception.
        id, token, attempts: of the row; `attempts` is 1 for the first.

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
            if not value or len(value) > limit or value != _storable(value):
                raise ValueError(
                    f"the {what} {value[:40]!r} has {len(value)} characters: give 1 to {limit}, all of them text"
                )
        self.name = name
        self.idempotency_key = idempotency_key
        self.done = False
        self.result: Any = None
        self.id = 0
        self.token = UUID(int=0)
        self.attempts = 0
        self._described = {
            "subject": None if subject is None else _storable(subject),
            "flow_run_id": UUID(str(flow_run_id)) if flow_run_id else None,
        }
        self._fingerprint = fingerprint
        self._resume_cancelled = resume_cancelled
        self._lock: Connection | None = None
        self._entering = threading.Lock()  # guards the two below
        self._entered = False
        self._abandoned = False

    # ------------------------------------------------------------------ entering

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
            return await asyncio.to_thread(self._enter_unless_abandoned)
        except asyncio.CancelledError:
            # The thread cannot be cancelled: what it still acquires must not outlive us.
            with self._entering:
                self._abandoned = True
                if self._entered:
                    self._release()
            raise

    def _enter_unless_abandoned(self) -> Self:
        self.__enter__()
        with self._entering:
            self._entered = True
            if self._abandoned:
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
        if self._settled(self._row(connection)):
            return
        holder = f"{socket.gethostname()[:30]}:{os.getpid()} {self.name}"  # PostgreSQL keeps 63 bytes of it
        connection.execute(select(func.set_config("application_name", holder[:63], False)))
        if not connection.scalar(select(func.pg_try_advisory_lock(LOCK_CLASS, self.id))):
            self._refuse_other_input(self._row(connection))
            raise AlreadyRunningError(self._who_holds(connection))
        while True:
            # Somebody may have finished or cancelled since the look above. A holder that lost its lock still may while
            # we wait for its row, so that only the row that was looked at is taken.
            row = self._row(connection)
            if self._settled(row):
                return
            # An attempt that came to nothing binds nobody to its input: a repaired workbook may use its key. The new
            # token parts it from whatever was cached for the other one.
            other = bool(self._fingerprint) and row["fingerprint"] not in (None, self._fingerprint)
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
            if owned is not None:
                self.attempts, self.token = owned
                return

    def _row(self, connection: Connection) -> RowMapping:
        row = connection.execute(
            select(task_runs).where(task_runs.c.name == self.name, task_runs.c.idempotency_key == self.idempotency_key)
        )
        return row.mappings().one()

    def _settled(self, row: RowMapping) -> bool:
        """Whether nothing is to be done; refuses what must not be done."""
        self.id, self.token = row["id"], row["token"]
        if row["status"] in DONE:
            self._refuse_other_input(row)
            self.done, self.result, self.attempts = True, row["result"], row["attempts"]
        elif row["status"] == "cancelled" and not self._resume_cancelled:
            about = row["subject"] or repr(self.idempotency_key)
            raise RunCancelledError(
                f"{self.name} {about} was cancelled on {row['updated_at']:%Y-%m-%d %H:%M}: "
                "start it by hand to go on with it"
            )
        return self.done

    def _refuse_other_input(self, row: RowMapping) -> None:
        if self._fingerprint and row["fingerprint"] not in (None, self._fingerprint):
            raise KeyReusedError(
                f"the key {self.idempotency_key!r} of {self.name} was used for {row['subject'] or 'another input'} on "
                f"{row['created_at']:%Y-%m-%d %H:%M}: give another key, or none, for this one"
            )

    def _who_holds(self, connection: Connection) -> str:
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
            f"since {holder.updated_at:%Y-%m-%d %H:%M:%S}{run}: wait for it to end, or cancel it"
        )

    # ------------------------------------------------------------------ working

    @property
    def claim(self) -> Claim:
        """This attempt, as plain data."""
        return Claim(self.id, self.attempts, self.token)

    def check_owner(self, connection: Connection) -> None:
        """See the function `check_owner`."""
        check_owner(connection, self.claim)

    def complete(self, connection: Connection) -> None:
        """Mark the unit completed with `result` in the caller's transaction: see the function `complete`."""
        complete(connection, self.claim, self.result)

    # ------------------------------------------------------------------ leaving

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
        """Remember why it failed. A stop by the system (SIGTERM) stays `processing`: whoever comes next takes over."""
        if isinstance(error, KeyboardInterrupt):  # a CancelledError may be no more than a time-out
            status = "cancelled"
        elif isinstance(error, Exception):
            status = "failed"
        else:
            status = "processing"
        sentence = (_storable(str(error)).strip() or type(error).__name__).splitlines()[0][:2000]
        try:
            with engine().begin() as connection:
                connection.execute(
                    update(task_runs)
                    .where(_owned(self.claim))
                    .values(status=status, last_error=sentence, updated_at=func.now())
                )
        except DBAPIError as failure:
            # The reason of the failure matters more than that it could not be written down.
            logger.warning("%s: the failure could not be recorded: %s", self.name, explain(failure))

    def _release(self) -> None:
        if self._lock is not None:
            lock, self._lock = self._lock, None
            unlock(lock)


def _storable(value: str) -> str:
    """The text without what PostgreSQL cannot hold: NUL, and halves of pairs as file names may have them."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()
