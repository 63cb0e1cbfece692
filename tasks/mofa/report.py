"""The report of a run: what was fetched, what changed, what could not be read, what is held and how to accept it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict

from db.display import printable
from tasks.commands import accept_command
from tasks.mofa.embassy import Embassy
from tasks.mofa.unreadable import UnreadableMission

_SHOWN = 200  # changes in the report; all of them are in embassy_changes


class MonitorReport(BaseModel):
    """The outcome of one run, as stored in task_runs.result."""

    model_config = ConfigDict(frozen=True)

    source: str
    version: str  # of the parser
    run: int  # task_runs.id
    pages: int  # requested
    unchanged: int  # of them
    retried: int  # failed requests that were repeated
    missions: int  # in the set
    baseline: bool  # the first accepted set
    changes: int  # things that became different
    counts: dict[str, int]  # kind -> changes
    missions_by_kind: dict[str, int] = {}  # kind -> missions with such a change
    held: int | None = None  # number of the held set
    why: list[str] = []  # the reasons why it is held
    accepted: int | None = None  # number of the held set that this run applied
    snapshots: list[int]  # of every page of the set
    unreadable: list[UnreadableMission] = []  # missions that could not be read
    assumptions: list[str] = []  # what was guessed, a sentence each
    told: str = ""  # the digest, as text


def summary(report: MonitorReport) -> str:
    """One line."""
    return printable(_summary(report))


def _summary(report: MonitorReport) -> str:
    if report.held is not None:
        return f"{report.source}: held for review, nothing was changed (held set {report.held}): {' '.join(report.why)}"
    if report.baseline:
        return f"{report.source}: {report.missions:,} missions watched from now on"
    changed = (
        ", ".join(f"{count:,} {kind}" for kind, count in (report.missions_by_kind or report.counts).items())
        or "nothing changed"
    )
    unreadable = f", {len(report.unreadable):,} unreadable" if report.unreadable else ""
    return f"{report.source}: {report.missions:,} missions, {changed}{unreadable}"


def markdown(
    report: MonitorReport,
    changes: Sequence[Mapping[str, Any]],
    escape: Callable[[str], str],
    base_url: str | None = None,
    missions: Sequence[Embassy] = (),
    seen: date | None = None,
) -> str:
    """The report for the run's page; `escape` makes values harmless in Markdown.

    Args:
        report: what is shown.
        changes: that were made; of a held set those that it would make.
        escape: of a value, for Markdown.
        base_url: of the mirror that was asked.
        missions: some of a first set that is held.
        seen: the day of the source's fixture, if it has one.
    """
    held = f"{report.source}: held for review, nothing was changed (held set {report.held})"
    parts = [
        f"# {escape(held if report.held is not None else summary(report))}",
        f"Pages requested: {report.pages:,}; unchanged: {report.unchanged:,}; repeated requests: {report.retried:,}.",
    ]
    if seen is not None:
        parts.append(f"The layout that this source reads was recorded on {seen} (python -m tasks.mofa.try --record).")
    if report.held is not None:
        parts += [
            "\n".join(f"- {escape(reason)}" for reason in report.why),
            "If the ministry is right, this applies exactly that set:",
            f"```\n{accept_command(report.source, report.held, base_url)}\n```",
        ]
    parts += _unreadable(report.unreadable, escape)
    parts += ["\n".join(f"- Assumed: {escape(each)}" for each in report.assumptions)] if report.assumptions else []
    if missions:
        parts += ["## Some of its missions", _missions(missions, escape)]
    if changes:
        parts += ["## What it would change"] if report.held is not None else []
        parts.append(_changes(changes[:_SHOWN], escape))
        if len(changes) > _SHOWN:
            parts.append(f"… and {len(changes) - _SHOWN:,} more.")
    return "\n\n".join(parts)


def _unreadable(unreadable: Sequence[UnreadableMission], escape: Callable[[str], str]) -> list[str]:
    """The missions that could not be read, those first that were readable before."""
    if not unreadable:
        return []
    ordered = sorted(unreadable, key=lambda each: not each.new)
    lines = [
        f"- **{escape(each.row)}**{' (new)' if each.new else ''}: {escape(each.reason)}, on {escape(each.page)}"
        for each in ordered[:_SHOWN]
    ]
    more = [f"- … and {len(ordered) - _SHOWN:,} more"] if len(ordered) > _SHOWN else []
    return [f"Unreadable, kept as last known: {len(unreadable):,}", "\n".join(lines + more)]


def _changes(changes: Sequence[Mapping[str, Any]], escape: Callable[[str], str]) -> str:
    """A line for each change."""
    # Here and not above: pandas makes the import of the flow a fifth slower.
    import pandas as pd  # noqa: PLC0415

    from tasks.markdown import markdown_table  # noqa: PLC0415

    table = pd.DataFrame([*changes], columns=["kind", "name", "country", "field", "old", "new"], dtype=object)
    placed = table["country"].astype(bool)
    table.loc[placed, "name"] += " (" + table["country"] + ")"
    table = table.drop(columns="country").rename(columns={"kind": "what", "name": "mission"})
    return markdown_table(table, lambda text: escape(text).replace("|", "\\|"))


def _missions(missions: Sequence[Embassy], escape: Callable[[str], str]) -> str:
    """A line for each mission."""
    import pandas as pd  # noqa: PLC0415 - see above

    from tasks.markdown import markdown_table  # noqa: PLC0415

    columns = ("name", "country", "city", "address", "phone", "email", "head_of_mission")
    rows = [[getattr(each, column) or "" for column in columns] for each in missions]
    table = pd.DataFrame(rows, columns=[column.replace("_", " ") for column in columns], dtype=object)
    return markdown_table(table, lambda text: escape(text).replace("|", "\\|"))
