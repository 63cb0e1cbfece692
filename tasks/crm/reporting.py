"""Reports the outcome of an import: on the run's page, in the log, and in a message when an incident starts or ends."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from sqlalchemy import Connection

from db.display import printable, redacted
from db.task_run_status import failed_in
from db.task_runs import idempotent_once
from tasks.crm.download import Copy
from tasks.crm.import_report import ImportReport
from tasks.crm.progress import interface
from tasks.crm.report import markdown, remarks, summary
from tasks.crm.steps import JOB, subject
from tasks.markdown import unescape
from tasks.notify import steps as notify
from tasks.notify.steps import Failure, deliver, report_recovery, run_page, try_to_report
from tasks.slot import slot


@dataclass(frozen=True)
class Outcome:
    """The outcome of one workbook."""

    report: dict[str, Any]
    message: str

    def __str__(self) -> str:
        return self.message


def report_earlier_import(copy: Copy, unit: idempotent_once) -> Outcome:
    """The outcome of a workbook that was imported before, with its first result."""
    message = printable(f"{copy.name} was already imported (import {unit.id}): {summary(ImportReport(**unit.result))}")
    get_run_logger().info(message)
    _report_success(copy.address)
    return Outcome(unit.result, message)


def report_import(result: dict[str, Any]) -> Outcome:
    """The outcome of an import or a preview; puts the report on the run's page and into the log."""
    report = ImportReport(**result)
    create_markdown_artifact(markdown(report), key="import-report", description=summary(report))
    message = f"{'preview of ' if report.preview else ''}{PurePosixPath(report.workbook).name}: {summary(report)}"
    message += "".join(f"; {remark}" for remark in remarks(report, interface.get()))
    if report.rejected:
        message += f"; the rejected rows: python -m tasks.crm.rejects {report.import_id} rejects.xlsx"
    if report.refusal:
        message += f"; an import would be refused: {report.refusal}"
    message = printable(message)
    counts = report.model_dump(include={"rows", "inserted", "updated", "unchanged", "duplicate", "rejected"})
    get_run_logger().info("import %s: %s", report.import_id, message, extra={"counts": counts})
    if not report.preview:
        _report_success(report.workbook)
    return Outcome(result, message)


def report_failure(address: str | None, sentence: str, *, unit_started: bool) -> None:
    """Report that the import of this workbook fails, once for each incident.

    Nothing is reported for a run that another run overtook or does the work of. An address that cannot be used is
    reported only for a scheduled run: a person sees it on the run.

    Args:
        address: of the workbook; empty: CRM_WORKBOOK.
        sentence: the reason.
        unit_started: whether the unit of work was reached.
    """
    failure = Failure(JOB, subject({"workbook": address}), sentence, flow_run.id, run_page())

    def begins(connection: Connection) -> bool:
        fails = failed_in(connection, JOB, failure.subject, failure.run) if unit_started else slot() is not None
        return fails and notify.report_failure(connection, failure)

    if try_to_report(begins):
        deliver()


def report_pattern_done(workbook: str | None, addresses: list[str]) -> None:
    """Close the incident of a pattern, which the watchdog may have opened, after all files that it matches were tried.

    The incidents of the files are their own.
    """
    if (pattern := subject({"workbook": workbook})) not in map(redacted, addresses):
        _report_success(pattern)


def _report_success(of: str) -> None:
    if try_to_report(lambda connection: report_recovery(connection, JOB, of)):
        deliver()


def reports_as_text(results: list[dict[str, Any]]) -> str:
    """The reports of a run as Markdown, for a terminal."""
    return "\n\n".join(unescape(markdown(ImportReport(**result))) for result in results)
