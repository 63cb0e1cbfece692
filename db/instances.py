"""Instances: how many runs of a job are at work on one subject, counted by who is alive.

Whoever works holds one of `limit` numbered advisory locks, on a connection of its own: it is gone the moment its holder
is. A run that exists only in Prefect, such as one stuck in PENDING, holds nothing. A restart of the database frees all
of them; that a unit of work is done once does not depend on them (`db.task_runs`).
"""

import hashlib

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from db.engine import explain, lock_engine, unlock


class Instance:
    """A place among those at work on `subject`.

    Args:
        name: the job.
        subject: what it is about; None counts all runs of the job that name none.
        holder: how others learn who we are, at most 63 bytes.
    """

    def __init__(self, name: str, subject: str | None, holder: str) -> None:
        self._name, self._subject, self._holder = name, subject, holder
        self._lock: Connection | None = None

    def take(self, limit: int) -> bool:
        """Take one of `limit` places; False if all are taken. Connects again if the connection was lost.

        Raises:
            DatabaseError: the database does not answer; it may be tried again.
        """
        try:
            if self._lock is None:
                self._lock = lock_engine().connect()
                self._lock.execute(select(func.set_config("application_name", self._holder, False)))
            lock = self._lock
            return any(lock.scalar(select(func.pg_try_advisory_lock(key))) for key in self._keys(limit))
        except DBAPIError as error:
            self.leave()
            raise explain(error) from error

    def holders(self, limit: int) -> list[str]:
        """Who has the places now."""
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
            self.leave()
            raise explain(error) from error

    def leave(self) -> None:
        """Give the place to others."""
        lock, self._lock = self._lock, None
        if lock is not None:
            unlock(lock)

    def _keys(self, limit: int) -> list[int]:
        """The numbered locks: 64 bits, so that no two subjects meet, and apart from the pairs of db.task_runs."""
        about = f"{self._name}\0{self._subject or ''}".encode("utf-8", "surrogatepass")
        return [_digest(about, number) for number in range(limit)]


def _digest(about: bytes, number: int) -> int:
    return int.from_bytes(hashlib.sha256(about + b"\0%d" % number).digest()[:8], "big", signed=True)
