"""The messages about a set: what changed, what cannot be read, that it is held. They commit with the set."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from db import embassies as table
from tasks.mofa.embassy import COMPARED, Embassy
from tasks.mofa.report import MonitorReport
from tasks.mofa.unreadable import UnreadableMission
from tasks.notify import message
from tasks.notify.steps import enqueue, report_recovery

JOB = "mofa_monitoring"
_EXAMPLES = 3  # lines of each kind in a message about a held set
_MISSIONS = 10  # missions in a message about a first set that is held
_UNREADABLE = 20  # lines in a message; more is on the run's page


def held_incident(source: str, last_applied: int | None) -> str:
    """The key of the message that sets are held: one from one applied set to the next."""
    return f"{JOB}:{source}:held:{last_applied or 0}"


def notify_held(
    connection: Connection,
    report: MonitorReport,
    channels: Sequence[str],
    *,
    changes: Sequence[Mapping[str, Any]],
    missions: Mapping[str, Embassy],
    compared_with: int | None,
    known: int,
    base_url: str | None,
    run: str | None,
) -> str:
    """Put the message that the set is held into the outbox, with examples; returns it as text.

    `changes` are those that the set would make, `missions` is the set by key, `compared_with` the number of the set
    that was applied last, `known` the number of open missions.
    """
    held = message.held_set(
        report.source, report.held or 0, report.why, found=report.missions, known=known, base_url=base_url, run=run
    )
    examples = _would_change(connection, report.source, changes) if known else (_some_of(missions),)
    held = replace(held, sections=(*held.sections, *examples, *_unreadable(report.unreadable)))
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
    digest = _digest(connection, report, changes, missions, run)
    if digest:
        enqueue(connection, f"{JOB}:{report.source}:set:{report.run}", list(channels), digest)
    report_recovery(connection, JOB, report.source, list(channels))
    return _text(digest) if digest else ""


def _digest(
    connection: Connection,
    report: MonitorReport,
    changes: Sequence[Mapping[str, Any]],
    missions: Mapping[str, Embassy],
    run: str | None,
) -> message.Message | None:
    unreadable = [each for each in report.unreadable if each.new]
    news = _news(connection, changes)
    if report.baseline:
        filled = {field: sum(getattr(each, field) is not None for each in missions.values()) for field in COMPARED}
        digest = message.baseline_summary(
            report.source, missions=report.missions, filled=filled, pages=report.pages, run=run
        )
    elif news:
        digest = message.changes_digest(report.source, news, missions=report.missions, run=run)
        if unreadable:
            digest = replace(digest, title=f"{digest.title}, {len(unreadable):,} unreadable")
    elif unreadable:
        title = f"{report.source}: {len(unreadable):,} unreadable"
        digest = message.Message(title, links=(("Run", run),) if run else ())
    else:
        return None
    return replace(digest, sections=(*digest.sections, *_unreadable(unreadable)))


def _news(connection: Connection, changes: Sequence[Mapping[str, Any]]) -> list[message.News]:
    """The changes as people see them, without changes of the key alone."""
    urls = table.addresses(connection, [change["snapshot_id"] for change in changes])
    fields = ("kind", "key", "country", "field", "old", "new")
    return [
        message.News(
            **{field: change[field] for field in fields},
            name=_with_city(change["name"], change["city"]),
            page=urls.get(change["snapshot_id"]),
        )
        for change in changes
        if change["field"] != "key"
    ]


def _with_city(name: str, city: str | None) -> str:
    """The name of a mission, with its city if the name does not have it."""
    return f"{name}, {city}" if city and city.casefold() not in name.casefold() else name


def _would_change(
    connection: Connection, source: str, changes: Sequence[Mapping[str, Any]]
) -> tuple[message.Section, ...]:
    """Some changes of each kind."""
    news = _news(connection, changes)
    if not news:
        return ()
    sections = message.changes_digest(source, news, missions=0).sections
    return tuple(
        message.Section(
            f"It would change: {each.heading}",
            each.lines[:_EXAMPLES],
            each.more + max(len(each.lines) - _EXAMPLES, 0),
        )
        for each in sections
    )


def _some_of(missions: Mapping[str, Embassy]) -> message.Section:
    shown = list(missions.values())[:_MISSIONS]
    lines = tuple(
        message.Line(
            _with_city(each.name, each.city) + (f" ({each.country})" if each.country else ""),
            "; ".join(filter(None, (each.address, each.phone, each.email, each.head_of_mission))),
        )
        for each in shown
    )
    return message.Section("Some of its missions", lines, len(missions) - len(shown))


def _unreadable(missions: Sequence[UnreadableMission]) -> tuple[message.Section, ...]:
    if not missions:
        return ()
    lines = tuple(message.Line(each.row, each.reason, each.page) for each in missions[:_UNREADABLE])
    heading = f"Unreadable, kept as last known ({len(missions):,})"
    return (message.Section(heading, lines, max(len(missions) - _UNREADABLE, 0)),)


def _text(digest: message.Message) -> str:
    return f"{digest.title}\n\n{digest.plain()}"
