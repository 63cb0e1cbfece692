"""The steps of mofa_monitoring: crawl, evaluate and commit, report.

This package is what of the monitor uses the database and Prefect; the modules beside it are pure.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run, task_run

from db import embassies as table
from db.display import printable
from db.engine import transaction
from db.errors import JobError, UserError
from db.settings import SettingsError
from db.task_run_status import failed_in
from db.task_runs import Claim, idempotent_once
from db.times import time_text
from tasks.markdown import escape_for_channels
from tasks.mofa.browser import BrowserFetcher, fetcher_for
from tasks.mofa.candidate import Candidate, candidate_of, merged
from tasks.mofa.crawl import PAUSE_AFTER_FAILURE, Crawl
from tasks.mofa.embassy import from_json
from tasks.mofa.fetch_errors import FetchFailedError
from tasks.mofa.http import Fetcher
from tasks.mofa.page import Source
from tasks.mofa.page_process import PageProcess
from tasks.mofa.progress import listener
from tasks.mofa.report import MonitorReport, markdown, summary
from tasks.mofa.settings import fetching_settings, monitor_settings
from tasks.mofa.sources import fixture_date
from tasks.mofa.steps import commit
from tasks.mofa.steps.archive import DatabaseArchive
from tasks.mofa.steps.commit import Outcome
from tasks.mofa.steps.digest import JOB
from tasks.notify.steps import Failure, channel_ids, report_recovery, run_page, try_to_report
from tasks.notify.steps import report_failure as report_job_failure
from tasks.slot import by_schedule, is_manual, slot
from tasks.step import run, step

RETRY_DELAYS = (5, 30, 120, 300)  # seconds: an outage of a few minutes must not fail the daily run


def new_fetcher(watched: Source, base_url: str | None) -> Fetcher | BrowserFetcher:
    """What requests the pages of a source."""
    return fetcher_for(watched, fetching_settings(), base_url)


@dataclass(frozen=True)
class Monitoring:
    """One run of the monitor: what it watches, when, and through what."""

    source: Source
    at: datetime  # the slot of a scheduled run, otherwise the current time
    slot: datetime | None = None  # of the schedule; None: a person started the run
    base_url: str | None = None
    open_fetcher: Callable[[Source, str | None], Fetcher | BrowserFetcher] = new_fetcher
    pause: float = PAUSE_AFTER_FAILURE  # seconds without requests after a failed one


def this_run(watched: Source, base_url: str | None) -> Monitoring:
    """The run of the flow that calls this."""
    planned = slot()
    return Monitoring(watched, time_of_run(planned, datetime.now(UTC), scheduled=by_schedule()), planned, base_url)


def time_of_run(planned: datetime | None, now: datetime, *, scheduled: bool) -> datetime:
    """The slot of a `scheduled` run, otherwise the current time: a backfill reads the pages of now."""
    return planned if planned and scheduled else now


def subject(parameters: Mapping[str, Any]) -> str:
    """The source, or the pattern of sources, that a run with these parameters monitors; without one, MOFA_SOURCE."""
    with suppress(SettingsError):
        return str(parameters.get("source") or monitor_settings().source).strip()
    return "(no source)"


def run_name() -> str:
    """The run's name in the UI: watch-japan."""
    return f"watch-{printable(subject(flow_run.parameters))}"


def once(monitoring: Monitoring) -> idempotent_once:
    """The unit of work: a scheduled run stands for its slot, another one for itself or for its part of one."""
    name, planned, parent = monitoring.source.name, monitoring.slot, flow_run.parent_flow_run_id
    unit = f"{name}:{parent}" if parent else str(flow_run.id)
    if planned:
        unit = f"{name}:{planned.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return idempotent_once(JOB, unit, subject=name, flow_run_id=flow_run.id, resume_cancelled=is_manual())


# ---------------------------------------------------------------------- crawl


def gather(monitoring: Monitoring) -> Candidate:
    """Read all pages of the source. A page that could not be read is kept, for a person to look at.

    Raises:
        JobError: a page could not be fetched, or is not what its parser knows.
    """
    archive = DatabaseArchive(monitoring.source)
    settings = fetching_settings()
    with PageProcess(monitoring.source, settings.parse_memory_mb, settings.parse_seconds) as process:
        crawl = Crawl(
            monitoring.source,
            archive,
            workers=settings.concurrency,
            longest_wait=settings.longest_wait,
            pause=monitoring.pause,
            limits=settings.limits(),
            read=process.read,
            report=_report_progress,
        )
        return _crawled(crawl, monitoring, archive)


def _crawled(crawl: Crawl, monitoring: Monitoring, archive: DatabaseArchive) -> Candidate:
    try:
        return run(crawl_pages, crawl, monitoring)
    except JobError as error:
        if crawl.unparsed_page is None:
            raise
        number = archive.keep_unparsed(crawl.unparsed_page)
        raise JobError(f"{error}. The page is kept: python -m tasks.mofa.snapshot {number} shows it") from error


@step(delays=RETRY_DELAYS, task_run_name="crawl-{monitoring.source.name}", cache_policy=NO_CACHE, persist_result=False)
def crawl_pages(crawl: Crawl, monitoring: Monitoring) -> Candidate:
    """One attempt to read all pages that are not read yet."""
    with monitoring.open_fetcher(monitoring.source, monitoring.base_url) as fetcher:
        try:
            crawl.attempt(fetcher)
        except FetchFailedError as failure:
            tried = int(task_run.run_count)
            if tried <= len(RETRY_DELAYS):
                wait = RETRY_DELAYS[tried - 1]
                _report_progress(f"{failure} (attempt {tried} failed, the next one is in about {wait} seconds)")
            raise
    return candidate_of(crawl)


def _report_progress(line: str) -> None:
    """One line for the log and for a person at a terminal."""
    get_run_logger().info(line)
    listener.get()(line)


def held_set(monitoring: Monitoring, number: int) -> Candidate:
    """A held set that a person accepts.

    Raises:
        UserError: there is none of this number, it was applied already, or something else was applied since.
    """
    name = monitoring.source.name
    with transaction() as connection:
        held = table.candidate(connection, number)
        last = table.last_applied(connection, JOB, name)
        pages = table.pages_of_held(connection, number)
    if held is None or held["source"] != name:
        raise UserError(f"there is no held set {number} of {name}: its number is in the alert and in the run's report")
    if held["applied_at"]:
        raise UserError(f"the held set {number} of {name} was applied on {time_text(held['applied_at'])}")
    if held["compared_with"] != (last["id"] if last else None):
        raise UserError(f"the held set {number} of {name} is stale: another set was applied since; run it again")
    if held["version"] != monitoring.source.version:
        raise UserError(f"the held set {number} of {name} was read by another version of its parser; run it again")
    missions, proof, unreadable = merged((from_json(entry), int(snapshot)) for entry, snapshot in held["records"])
    return Candidate(
        missions=missions,
        proof=proof,
        unreadable=unreadable,
        verified=True,
        pages=len(pages),
        unchanged=0,
        retried=0,
        snapshots=pages,
        number=number,
        read_at=held["created_at"],
    )


# ---------------------------------------------------------------------- evaluate, commit, report


@step(task_run_name="evaluate-and-commit", cache_policy=NO_CACHE, persist_result=False)
def evaluate_and_commit(monitoring: Monitoring, candidate: Candidate, claim: Claim) -> Outcome:
    """Hold the set, or apply it, in one transaction. Raises SupersededError when another attempt took over."""
    return commit.evaluate_and_commit(
        commit.Request(
            source=monitoring.source,
            candidate=candidate,
            claim=claim,
            at=monitoring.at,
            channels=channel_ids(),
            base_url=monitoring.base_url,
            run=run_page(),
        )
    )


def report_failure(source_name: str, sentence: str) -> None:
    """Put the failure into the outbox, once for an incident; if even the database is away, doctor reports it.

    A run beside one that does the work, one that was superseded, and a mistyped name are no failures of the job.
    """
    failure = Failure(JOB, source_name, sentence, flow_run.id, run_page())
    try_to_report(lambda each: failed_in(each, JOB, source_name, flow_run.id) and report_job_failure(each, failure))


def report_outcome(outcome: Outcome, base_url: str | None) -> MonitorReport:
    """The report, on the run's page and in the log."""
    report = MonitorReport.model_validate(outcome.report)
    seen = fixture_date(report.source)
    shown = markdown(report, outcome.changes, escape_for_channels, base_url, outcome.missions, seen)
    create_markdown_artifact(shown, key="monitor-report", description=summary(report)[:500])
    counts = report.model_dump(include={"pages", "unchanged", "retried", "missions", "changes"})
    get_run_logger().info(
        report.told or summary(report), extra={"counts": counts | {"unreadable": len(report.unreadable)}}
    )
    return report


def report_pattern_done(pattern: str) -> None:
    """Close the incident of a pattern, which the watchdog may have opened, after all its sources were tried.

    The incidents of the sources are their own.
    """
    try_to_report(lambda connection: report_recovery(connection, JOB, pattern))


def already_done(unit: idempotent_once) -> str:
    """What a slot that was completed before found."""
    return f"done before: {summary(MonitorReport.model_validate(unit.result))}"


def text_of_reports(result: dict[str, Any] | list[dict[str, Any]]) -> str | None:
    """What a terminal shows of a run, of one source or of several, beyond its summary."""
    told = (MonitorReport.model_validate(each).told for each in (result if isinstance(result, list) else [result]))
    return "\n\n".join(filter(None, told)) or None
