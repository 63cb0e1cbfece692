"""Incidents: the times during which a job does not work for a subject (a workbook, a source).

An incident is reported when it starts and when it is over, however often the job is tried in between. The database
allows one open incident for each job and subject, so two processes that notice a failure together open one. The table
is called `episodes`.
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
class Incident:
    """One incident."""

    id: int
    name: str  # the job
    subject: str
    failures: int
    began_at: datetime


def open_incident(connection: Connection, name: str, subject: str, run: UUID | str | None = None) -> Incident:
    """The open incident, opened now if there was none; counts `run` as a failure unless it was counted last."""
    last = UUID(str(run)) if run else None
    another = text("(episodes.last_run IS DISTINCT FROM excluded.last_run AND excluded.last_run IS NOT NULL)::int")
    opened = (
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
    return Incident(**connection.execute(opened).mappings().one())


def close_incident(connection: Connection, name: str, subject: str) -> Incident | None:
    """Close the open incident and return it; None if there is none."""
    closed = (
        update(episodes)
        .where(episodes.c.name == name, episodes.c.subject == subject, episodes.c.ended_at.is_(None))
        .values(ended_at=func.now())
        .returning(*_COLUMNS)
    )
    found = connection.execute(closed).mappings().one_or_none()
    return Incident(**found) if found else None


def open_incidents(connection: Connection, name: str) -> list[Incident]:
    """The open incidents of a job."""
    found = select(*_COLUMNS).where(episodes.c.name == name, episodes.c.ended_at.is_(None)).order_by(episodes.c.id)
    return [Incident(**row) for row in connection.execute(found).mappings()]


def delete_closed(connection: Connection, before: datetime) -> int:
    """Delete the incidents that were closed before then; returns how many."""
    return connection.execute(episodes.delete().where(episodes.c.ended_at < before)).rowcount
