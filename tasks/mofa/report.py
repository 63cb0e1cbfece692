"""What a run of the monitor tells on its page: what was fetched, what changed, what is held and how to accept it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

_SHOWN = 200  # changes in the report; all of them are in embassy_changes


class MonitorReport(BaseModel):
    """The outcome of one run, as stored in task_runs.result."""

    model_config = ConfigDict(frozen=True)

    source: str
    version: str  # of the parser
    run: int  # task_runs.id
    pages: int  # asked for
    unchanged: int  # of them
    retried: int  # requests that had to be made again
    missions: int  # in the set
    baseline: bool  # the first accepted set
    changes: int  # things that became different
    counts: dict[str, int]  # kind -> changes
    held: int | None = None  # number of the held set
    why: list[str] = []  # it is held
    accepted: int | None = None  # number of the held set that this run applied
    snapshots: list[int]  # of every page of the set
    told: str = ""  # the message, as text


def summary(report: MonitorReport) -> str:
    """One line."""
    if report.held is not None:
        return (
            f"{report.source}: held for review as candidate {report.held}, nothing was changed: {' '.join(report.why)}"
        )
    if report.baseline:
        return f"{report.source}: {report.missions:,} missions watched from now on"
    told = ", ".join(f"{count:,} {kind}" for kind, count in report.counts.items()) or "nothing changed"
    return f"{report.source}: {report.missions:,} missions, {told}"


def markdown(
    report: MonitorReport,
    changes: Sequence[Mapping[str, Any]],
    escape: Callable[[str], str],
    base_url: str | None = None,
) -> str:
    """The report for the run's page; `escape` makes values harmless in Markdown."""
    held = f"{report.source}: held for review as candidate {report.held}, nothing was changed"
    parts = [
        f"# {escape(held if report.held is not None else summary(report))}",
        f"Pages asked for: {report.pages:,}; unchanged: {report.unchanged:,}; requests made again: {report.retried:,}.",
    ]
    if report.held is not None:
        base = f" --base-url {base_url}" if base_url else ""
        parts += [
            "\n".join(f"- {escape(reason)}" for reason in report.why),
            "If the ministry is right, this applies exactly that set:",
            f"```\npython -m flows.mofa_monitoring {report.source}{base} --accept {report.held}\n```",
        ]
    if changes:
        parts.append(_changes(changes[:_SHOWN], escape))
        if len(changes) > _SHOWN:
            parts.append(f"… and {len(changes) - _SHOWN:,} more, all in the table embassy_changes.")
    return "\n\n".join(parts)


def _changes(changes: Sequence[Mapping[str, Any]], escape: Callable[[str], str]) -> str:
    """A line for each change."""
    # Here and not above: pandas makes the import of the flow a fifth slower.
    import pandas as pd  # noqa: PLC0415

    from tasks.markdown import markdown_table  # noqa: PLC0415

    table = pd.DataFrame(changes, columns=["kind", "name", "country", "field", "old", "new"], dtype=object)
    placed = table["country"].astype(bool)
    table.loc[placed, "name"] += " (" + table["country"] + ")"
    table = table.drop(columns="country").rename(columns={"kind": "what", "name": "mission"})
    return markdown_table(table, lambda text: escape(text).replace("|", "\\|"))
