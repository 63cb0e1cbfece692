"""Instances: limits how many runs of a job work on one subject, counting only runs that are alive.

Each working run holds one of `limit` numbered advisory locks, on a connection of its own. The lock ends with its
session. A run that exists only in Prefect, such as one that is stuck in PENDING, holds none. A restart of the database
releases all of them: `db.task_runs`, and not this module, guarantees that a unit of work is completed once.
"""

import hashlib

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from db.engine import explain, lock_engine, unlock


class Instance:
    """One of the runs that may work on `subject` at the same time.

    Args:
        name: the job.
        subject: what the run works on; None counts all runs of the job without a subject.
        holder: the name of this run, which `holders` returns in other runs; at most 63 bytes.
    """

    def __init__(self, name: str, subject: str | None, holder: str) -> None:
        self._name, self._subject, self._holder = name, subject, holder
        self._lock: Connection | None = None

    def acquire(self, limit: int) -> bool:
        """Acquire one of `limit` locks; False if others hold all of them. Connects again if the connection was lost.

        Raises:
            DatabaseError: the database does not answer; the call may be repeated.
        """
        try:
            if self._lock is None:
                self._lock = lock_engine().connect()
                self._lock.execute(select(func.set_config("application_name", self._holder, False)))
            lock = self._lock
            return any(lock.scalar(select(func.pg_try_advisory_lock(key))) for key in self._keys(limit))
        except DBAPIError as error:
            self.release()
            raise explain(error) from error

    def holders(self, limit: int) -> list[str]:
        """The names of the runs that hold the locks now."""
        if self._lock is None:
            return []
        try:
            found = self._lock.execute(
                text("""
                    SELECT DISTINCT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                    WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
                      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                      AND (l.classid::bigint << 32) | l.objid::bigint = ANY(:keys) ORDER BY 1"""),
                {"keys": self._keys(limit)},
            )
            return [holder for (holder,) in found]
        except DBAPIError as error:
            self.release()
            raise explain(error) from error

    def release(self) -> None:
        """Release the lock."""
        lock, self._lock = self._lock, None
        if lock is not None:
            unlock(lock)

    def _keys(self, limit: int) -> list[int]:
        """The keys of the locks: one 64-bit number each, so that subjects do not collide; db.task_runs uses pairs."""
        about = f"{self._name}\0{self._subject or ''}".encode("utf-8", "surrogatepass")
        return [_digest(about, number) for number in range(limit)]


def _digest(about: bytes, number: int) -> int:
    return int.from_bytes(hashlib.sha256(about + b"\0%d" % number).digest()[:8], "big", signed=True)
