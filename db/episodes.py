"""Episodes: a job stopped working for a subject (a workbook, a source), until it works again.

Told when one begins and when it ends, however often the job is tried in between. At most one of a job and subject is
open; the database sees to that, so that two who notice the same at the same moment begin one.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db.tables import episodes

_COLUMNS = (
    episodes.c.id,
    episodes.c.name,
    episodes.c.subject,
    episodes.c.failures,
    episodes.c.began_at,
)


@dataclass(frozen=True)
class Episode:
    """One episode."""

    id: int
    name: str  # the job
    subject: str
    failures: int
    began_at: datetime


def begin(connection: Connection, name: str, subject: str, run: UUID | str | None = None) -> Episode:
    """The open episode, begun now if there was none; `run` counts as a failure unless it was the last one counted."""
    last = UUID(str(run)) if run else None
    another = text("(episodes.last_run IS DISTINCT FROM excluded.last_run AND excluded.last_run IS NOT NULL)::int")
    begun = (
        insert(episodes)
        .values(name=name, subject=subject, last_run=last)
        .on_conflict_do_update(
            index_elements=("name", "subject"),
            index_where=episodes.c.ended_at.is_(None),
            set_={
                "failures": episodes.c.failures + another,
                "last_run": func.coalesce(text("excluded.last_run"), episodes.c.last_run),
            },
        )
        .returning(*_COLUMNS)
    )
    return Episode(**connection.execute(begun).mappings().one())


def end(connection: Connection, name: str, subject: str) -> Episode | None:
    """End the open episode; None if there is none."""
    ended = (
        update(episodes)
        .where(episodes.c.name == name, episodes.c.subject == subject, episodes.c.ended_at.is_(None))
        .values(ended_at=func.now())
        .returning(*_COLUMNS)
    )
    found = connection.execute(ended).mappings().one_or_none()
    return Episode(**found) if found else None


def still_open(connection: Connection, name: str) -> list[Episode]:
    """The open episodes of a job."""
    found = select(*_COLUMNS).where(episodes.c.name == name, episodes.c.ended_at.is_(None)).order_by(episodes.c.id)
    return [Episode(**row) for row in connection.execute(found).mappings()]


def forget(connection: Connection, before: datetime) -> int:
    """Remove what ended before then; returns how many."""
    return connection.execute(episodes.delete().where(episodes.c.ended_at < before)).rowcount
