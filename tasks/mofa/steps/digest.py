"""The messages about a set: what changed, what cannot be read, that it is held. They commit with the set."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from db import embassies as table
from tasks.mofa.embassy import COMPARED, Embassy
from tasks.mofa.report import MonitorReport
from tasks.notify import message
from tasks.notify.steps import enqueue, report_recovery

JOB = "mofa_monitoring"


def held_incident(source: str, last_applied: int | None) -> str:
    """The key of the message that sets are held: one from one applied set to the next."""
    return f"{JOB}:{source}:held:{last_applied or 0}"


def notify_held(
    connection: Connection,
    report: MonitorReport,
    channels: Sequence[str],
    *,
    compared_with: int | None,
    known: int,
    base_url: str | None,
    run: str | None,
) -> str:
    """Put the message that the set is held into the outbox; returns it as text, for the log and the terminal."""
    held = message.held_candidate(
        report.source, report.held or 0, report.why, found=report.missions, known=known, base_url=base_url, run=run
    )
    enqueue(connection, held_incident(report.source, compared_with), list(channels), held)
    return _text(held)


def notify_applied(
    connection: Connection,
    report: MonitorReport,
    changes: Sequence[Mapping[str, Any]],
    missions: Mapping[str, Embassy],
    channels: Sequence[str],
    run: str | None,
) -> str:
    """Put the digest, or the summary of a first set, into the outbox; and that the job works again, if it did not.

    Returns the digest as text, for the log and the terminal; "" if there is none.
    """
    digest = None
    if report.baseline:
        filled = {field: sum(getattr(each, field) is not None for each in missions.values()) for field in COMPARED}
        digest = message.baseline_summary(
            report.source, missions=report.missions, filled=filled, pages=report.pages, run=run
        )
    elif changes:
        digest = message.changes_digest(report.source, _news(connection, changes), missions=report.missions, run=run)
    if digest:
        enqueue(connection, f"{JOB}:{report.source}:set:{report.run}", list(channels), digest)
    report_recovery(connection, JOB, report.source, list(channels))
    return _text(digest) if digest else ""


def _news(connection: Connection, changes: Sequence[Mapping[str, Any]]) -> list[message.News]:
    urls = table.addresses(connection, [change["snapshot_id"] for change in changes])
    fields = ("kind", "key", "name", "country", "field", "old", "new")
    return [
        message.News(**{field: change[field] for field in fields}, page=urls.get(change["snapshot_id"]))
        for change in changes
    ]


def _text(digest: message.Message) -> str:
    return f"{digest.title}\n\n{digest.plain()}"
