"""The steps of mofa_monitoring: gather, judge, apply, tell.

Gather asks for every page of a ministry; a page that has not changed since is not parsed again. Judge decides whether
the set is believable and what changed. Apply writes missions, changes, what people are to be told and the run's
completion in one transaction, or the held set in their place.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from sqlalchemy import Connection, RowMapping

from db import embassies as table
from db.engine import transaction
from db.errors import UserError
from db.task_run_status import failed_in
from db.task_runs import Claim, check_owner, committed, complete, idempotent_once
from tasks.markdown import escape_for_channels
from tasks.mofa.changes import Change, Known, diff
from tasks.mofa.embassy import COMPARED, DuplicateMissionError, Embassy, one_each
from tasks.mofa.fetching import (
    Fetcher,
    FetchError,
    FetchFailedError,
    FetchRefusedError,
    NotModified,
    Validators,
    fetching_settings,
)
from tasks.mofa.fetching import Page as Fetched
from tasks.mofa.guard import reasons_to_hold
from tasks.mofa.page import Page, PageError, Source
from tasks.mofa.report import MonitorReport, markdown, summary
from tasks.mofa.settings import monitor_settings
from tasks.mofa.sources import source
from tasks.notify import message
from tasks.notify.steps import (
    Failure,
    channel_ids,
    enqueue,
    report_failure,
    report_recovery,
    run_page,
    try_to_report,
)
from tasks.slot import asked_for, by_schedule, slot
from tasks.step import run, step

JOB = "mofa_monitoring"
NOT_FOUND = 404
PATIENCE = (5, 30, 120, 300)  # seconds: an outage of minutes must not cost the day until the next slot
BREATH = 5  # seconds a server is left alone that failed between pages which it gave


# ---------------------------------------------------------------------- the unit of work


def run_name() -> str:
    """The run's name in the UI: watch-japan."""
    return f"watch-{flow_run.parameters.get('source')}"


def scheduled() -> bool:
    """Whether this run stands for a slot of the schedule, not for a person's wish."""
    return slot() is not None


def moment() -> datetime:
    """What the clock of this run says: its slot, if the scheduler started it; else now.

    Also for a run that stands in for a slot, perhaps of the day before: what it sees it sees now.
    """
    return (slot() if by_schedule() else None) or datetime.now(UTC)


def once(source_name: str) -> idempotent_once:
    """The unit of work: a scheduled run stands for its slot, another one for itself."""
    source(source_name)
    planned = slot()
    unit = f"{source_name}:{planned.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if planned else str(flow_run.id)
    return idempotent_once(JOB, unit, subject=source_name, flow_run_id=flow_run.id, resume_cancelled=asked_for())


# ---------------------------------------------------------------------- gather


class Crawl:
    """What was read so far; it outlives a failed attempt, so that the next one asks only for what is missing."""

    def __init__(self) -> None:
        self.read: dict[str, tuple[int, list[str], list[dict[str, Any]]]] = {}  # url -> snapshot, links, records
        self.unchanged: set[int] = set()
        self.route = 0
        self.retried = 0
        self.not_before = 0.0  # time.monotonic(): the server asked to be left alone


@dataclass(frozen=True)
class Candidate:
    """A whole set, as the pages show it now."""

    missions: dict[str, Embassy]
    proof: dict[str, int]  # key -> snapshot
    proven: bool  # the parser has read saved real pages
    pages: int
    unchanged: int
    retried: int
    snapshots: dict[str, int]  # of every page, by its address, in the order of the crawl
    number: int | None = None  # of a held set that a person accepted


def gather(source_name: str, base_url: str | None) -> Candidate:
    """Ask for all pages of the source; half a crawl is never a candidate.

    Raises:
        UserError: a page could not be had or is not what its parser knows.
    """
    return run(crawl_pages, source_name, base_url, Crawl())


@step(delays=PATIENCE, task_run_name="crawl-{source_name}", cache_policy=NO_CACHE, persist_result=False)
def crawl_pages(source_name: str, base_url: str | None, crawl: Crawl) -> Candidate:
    """Ask for what is not read yet, following links; a page is kept as soon as it is read.

    Only an attempt that reads no page has failed: a long crawl may meet any number of failures on its way.
    """
    ministry = source(source_name)
    with transaction() as connection:
        earlier = table.newest_snapshots(connection, source_name)
    settings = fetching_settings()
    with Fetcher(settings, ministry.hosts, base_url) as fetcher, ThreadPoolExecutor(settings.concurrency) as pool:
        while True:
            time.sleep(max(crawl.not_before - time.monotonic(), 0))
            read = len(crawl.read)
            try:
                _follow(ministry, crawl, earlier, fetcher, pool)
                break
            except FetchFailedError as failure:
                if (failure.retry_after or 0) > settings.longest_wait:  # nobody waits for that: the next run asks
                    raise FetchRefusedError(str(failure), failure.status, failure.retry_after) from failure
                crawl.retried += 1
                crawl.not_before = time.monotonic() + max(failure.retry_after or 0, BREATH)
                if len(crawl.read) == read:
                    raise
                get_run_logger().warning("%s: %s", source_name, failure)
            except FetchRefusedError as refusal:
                start = ministry.routes[crawl.route].start
                more = crawl.route + 1 < len(ministry.routes)
                if refusal.status != NOT_FOUND or not more or any(url in crawl.read for url in start):
                    raise
                crawl.route += 1
    with transaction() as connection:
        table.verify_pages(connection, sorted(crawl.unchanged), datetime.now(UTC))
    return _candidate(ministry, crawl)


def _follow(
    ministry: Source, crawl: Crawl, earlier: Mapping[str, table.Snapshot], fetcher: Fetcher, pool: ThreadPoolExecutor
) -> None:
    """Read the pages of a route, and those they lead to, each once."""
    logger = get_run_logger()
    wave = list(ministry.routes[crawl.route].start)
    reached = set(wave)
    while wave:
        missing = [url for url in wave if url not in crawl.read]
        for page in _fetched(missing, earlier, fetcher, pool):
            crawl.read[page.url] = _read(ministry, crawl, page, earlier.get(page.url))
        if missing:
            logger.info("%s: %s pages read, %s of them unchanged", ministry.name, len(crawl.read), len(crawl.unchanged))
        leads_to = dict.fromkeys(link for url in wave for link in crawl.read[url][1] if link not in reached)
        reached.update(leads_to)
        wave = list(leads_to)


def _fetched(
    urls: Sequence[str], earlier: Mapping[str, table.Snapshot], fetcher: Fetcher, pool: ThreadPoolExecutor
) -> Iterable[Fetched | NotModified]:
    """The pages in order, a few at once; after a failure no further one is asked for.

    Validators are between one server and us: a mirror is asked for whole pages, and what it says of them is not kept.
    """
    stop = threading.Event()

    def ask(url: str) -> Fetched | NotModified | None:
        if stop.is_set():
            return None
        known = None if fetcher.mirrored else earlier.get(url)
        try:
            page = fetcher.fetch(url, Validators(known.etag, known.last_modified) if known else None)
            return replace(page, etag=None, last_modified=None) if fetcher.mirrored else page
        except BaseException:
            stop.set()
            raise

    failure: FetchError | None = None
    try:
        for start in range(0, len(urls), 50):  # so that answers never pile up in memory
            for future in [pool.submit(ask, url) for url in urls[start : start + 50]]:
                try:
                    page = future.result()
                except FetchError as error:
                    failure = failure or error
                    continue
                if page is not None:
                    yield page
            if failure:
                raise failure
    finally:
        stop.set()  # whoever takes the pages could not go on


def _read(
    ministry: Source, crawl: Crawl, page: Fetched | NotModified, known: table.Snapshot | None
) -> tuple[int, list[str], list[dict[str, Any]]]:
    """Snapshot, links and records of a page; an unchanged one is not parsed again unless the parser is another."""
    if known and (isinstance(page, NotModified) or page.sha256 == known.sha256):
        crawl.unchanged.add(known.id)
        _renew(known, page)
        return _reread(ministry, known)
    if isinstance(page, NotModified):
        raise FetchFailedError(f"{page.url}: the server says it is unchanged, but it was never read")
    links, records = _parsed(ministry, Page(page.url, page.text, page.status, page.content_type or ""))
    new = table.NewPage(
        url=page.url,
        sha256=page.sha256,
        etag=page.etag,
        last_modified=page.last_modified,
        content_type=page.content_type or "",
        body=page.text,
        version=ministry.version,
        links=links,
        records=records,
    )
    with transaction() as connection:
        return table.keep_page(connection, ministry.name, new, page.fetched_at), links, records


def _renew(known: table.Snapshot, page: Fetched | NotModified) -> None:
    """A server may give the same page other validators; with the old ones it would send it whole each time."""
    said = (page.etag or known.etag, page.last_modified or known.last_modified)
    if said != (known.etag, known.last_modified):
        with transaction() as connection:
            table.renew_validators(connection, known.id, *said)


def _reread(ministry: Source, known: table.Snapshot) -> tuple[int, list[str], list[dict[str, Any]]]:
    if known.version == ministry.version:
        return known.id, known.links, known.records
    with transaction() as connection:
        links, records = _reparsed(connection, ministry, known.id)
        table.reread_page(connection, known.id, ministry.version, links, records)
    return known.id, links, records


def _reparsed(connection: Connection, ministry: Source, snapshot: int) -> tuple[list[str], list[dict[str, Any]]]:
    stored = table.body(connection, snapshot)
    return _parsed(ministry, Page(stored["url"], stored["body"], content_type=stored["content_type"]))


def _parsed(ministry: Source, page: Page) -> tuple[list[str], list[dict[str, Any]]]:
    try:
        return ministry.follow(page), [record.model_dump(mode="json") for record in ministry.parse(page)]
    except ValueError as error:  # such as a name that no key can be made of
        raise PageError(page.url, str(error)) from error


def _candidate(ministry: Source, crawl: Crawl) -> Candidate:
    proof: dict[str, int] = {}
    records: list[Embassy] = []
    for snapshot, _, found in crawl.read.values():
        for each in found:
            record = Embassy.model_validate(each)
            records.append(record)
            proof.setdefault(record.key, snapshot)
    return Candidate(
        missions=one_each(records),
        proof=proof,
        proven=ministry.routes[crawl.route].proven,
        pages=len(crawl.read),
        unchanged=len(crawl.unchanged),
        retried=crawl.retried,
        snapshots={url: snapshot for url, (snapshot, _, _) in crawl.read.items()},
    )


def held_set(source_name: str, number: int) -> Candidate:
    """A held set that a person accepts.

    Raises:
        UserError: there is none of this number, it was applied already, or something else was applied since.
    """
    with transaction() as connection:
        held = table.candidate(connection, number)
        last = table.last_applied(connection, JOB, source_name)
        pages = table.pages_of_held(connection, number)
    if held is None or held["source"] != source_name:
        raise UserError(
            f"there is no held set {number} of {source_name}: its number stands in the alert and on the run"
        )
    if held["applied_at"]:
        raise UserError(f"the held set {number} of {source_name} was applied on {held['applied_at']:%Y-%m-%d %H:%M}")
    if held["compared_with"] != (last["id"] if last else None):
        raise UserError(f"the held set {number} of {source_name} is stale: another set was applied since; run it again")
    if held["version"] != source(source_name).version:
        raise UserError(
            f"the held set {number} of {source_name} was read by another version of its parser; run it again"
        )
    missions = [Embassy.model_validate(record) for record, _ in held["records"]]
    return Candidate(
        missions={each.key: each for each in missions},
        proof={each.key: int(snapshot) for each, (_, snapshot) in zip(missions, held["records"], strict=True)},
        proven=True,
        pages=len(pages),
        unchanged=0,
        retried=0,
        snapshots=pages,
        number=number,
    )


# ---------------------------------------------------------------------- judge and apply


@dataclass(frozen=True)
class Outcome:
    """What a run found, for telling."""

    report: dict[str, Any]
    changes: list[dict[str, Any]]


@step(task_run_name="judge-and-apply", cache_policy=NO_CACHE, persist_result=False)
def judge_and_apply(source_name: str, found: Candidate, claim: Claim, base_url: str | None) -> Outcome:
    """Hold the set, or write what changed, what is to be told and the completion, all in one transaction.

    Raises:
        SupersededError: another attempt took over.
    """
    ministry, at = source(source_name), moment()
    channels = channel_ids()
    with transaction() as connection:
        table.serialize_source(connection, source_name)
        if done := committed(connection, claim):  # the answer to an earlier commit was lost
            return Outcome(dict(done["result"]), [])
        check_owner(connection, claim)
        last = table.last_applied(connection, JOB, source_name)
        if found.number is not None and table.is_stale(connection, found.number, last["id"] if last else None):
            raise UserError(f"the held set {found.number} of {source_name} is stale: another set was applied meanwhile")
        rebased, why = connection.begin_nested(), []
        if last and last["result"]["version"] != ministry.version:
            why = _rebase(connection, ministry, last)
        known = _known(connection, source_name)
        if found.number is None and (why := why or _doubts(connection, source_name, known, found, at)):
            rebased.rollback()  # nothing at all is changed
            known = _known(connection, source_name)
            return _hold(connection, ministry, known, found, claim, last, why, channels, base_url)
        rebased.commit()
        baseline = not known
        changes = [] if baseline else diff(known, found.missions, at=at, scheduled=scheduled())
        _write(connection, source_name, known, found.missions, changes, found.proof, at)
        shown = _shown(changes, known, found, table.last_pages(connection, source_name))
        table.record_changes(connection, source_name, claim.id, shown, at)
        report = _report(ministry, found, claim, baseline=baseline, changes=changes)
        if found.number is not None:
            table.mark_applied(connection, found.number)
        report = report.model_copy(update={"told": _tell_applied(connection, report, shown, found, channels)})
        complete(connection, claim, report.model_dump(mode="json"))
        table.prune_pages(connection, source_name, datetime.now(UTC) - timedelta(days=monitor_settings().snapshot_days))
        return Outcome(report.model_dump(mode="json"), shown)


def _known(connection: Connection, source_name: str) -> dict[str, Known]:
    return {
        row["key"]: Known(_embassy(row), row["status"], row["missing_since"])
        for row in table.missions(connection, source_name)
    }


def _embassy(row: RowMapping) -> Embassy:
    return Embassy.model_validate({name: row[name] for name in Embassy.model_fields})


def _doubts(
    connection: Connection, source_name: str, known: Mapping[str, Known], found: Candidate, at: datetime
) -> list[str]:
    settings = monitor_settings()
    highest = table.most_missions(connection, JOB, source_name, at - timedelta(days=settings.compared_days))
    return reasons_to_hold(
        known, found.missions, highest=highest, proven=found.proven, thresholds=settings.thresholds()
    )


def _rebase(connection: Connection, ministry: Source, last: RowMapping) -> list[str]:
    """The parser is another: what is stored is read again from the pages it came from, and nobody is told.

    Returns why that cannot be done: a parser for a new layout need not know the old one.
    """
    records: list[Embassy] = []
    proof: dict[str, int] = {}
    try:
        for snapshot in table.addresses(connection, last["result"]["snapshots"]):  # those that are still there
            for each in _reparsed(connection, ministry, snapshot)[1]:
                record = Embassy.model_validate(each)
                records.append(record)
                proof.setdefault(record.key, snapshot)
        now = one_each(records)
    except (PageError, DuplicateMissionError) as error:
        return [f"The parser is another, and it cannot read the stored pages to compare with them: {error}."]
    known, at = _known(connection, ministry.name), last["updated_at"]
    # What a new parser reads otherwise or does not see is no news of the ministry: the keys follow it, and what it does
    # not see is closed here, or the next set would tell it as missing.
    changes = diff(known, now, at=at, scheduled=False)
    _write(connection, ministry.name, known, now, [change for change in changes if change.was], proof, at, news=False)
    unseen = [change.key for change in changes if change.kind == "missing"]
    table.set_status(connection, ministry.name, unseen, "closed", at, None)
    return []


def _write(
    connection: Connection,
    source_name: str,
    known: Mapping[str, Known],
    now: Mapping[str, Embassy],
    changes: Sequence[Change],
    proof: Mapping[str, int],
    at: datetime,
    *,
    news: bool = True,
) -> None:
    """Missions as they are now; every one that stands on a page is verified, and changed if that is news."""
    ids = {row["key"]: row["id"] for row in table.missions(connection, source_name)}
    was = {change.key: change.was for change in changes if change.was}
    changed = {change.key for change in changes if news}
    new = [key for key in now if key not in known and key not in was]
    table.add_missions(connection, source_name, [_row(now[key], proof) for key in new], at)
    table.update_missions(
        connection,
        [
            {**_row(now[key], proof), "id": ids[was.get(key, key)], "changed": key in changed}
            for key in now
            if key in known or key in was
        ],
        at,
    )
    by_kind = {kind: [change.key for change in changes if change.kind == kind] for kind in ("missing", "closed")}
    table.set_status(connection, source_name, by_kind["missing"], "missing", at, at)
    table.set_status(connection, source_name, by_kind["closed"], "closed", at, None)


def _row(embassy: Embassy, proof: Mapping[str, int]) -> dict[str, Any]:
    return {**embassy.model_dump(mode="json"), "snapshot_id": proof[embassy.key]}


def _shown(
    changes: Sequence[Change], known: Mapping[str, Known], found: Candidate, stood: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Changes with what people need beside them, most important first.

    That a mission is not there is proved by the page where it `stood`, as it is now; if that is gone, by the first one.
    """
    shown = []
    first_page = next(iter(found.snapshots.values()), None)
    for change in changes:
        mission = found.missions.get(change.key) or known[change.key].embassy
        without = found.snapshots.get(stood.get(change.key, ""), first_page)
        proof = found.proof.get(change.key, without)
        shown.append({**asdict(change), "country": mission.country, "snapshot_id": proof})
    return shown


def _report(
    ministry: Source,
    found: Candidate,
    claim: Claim,
    *,
    baseline: bool = False,
    changes: Sequence[Change] = (),
    **more: Any,
) -> MonitorReport:
    return MonitorReport(
        source=ministry.name,
        version=ministry.version,
        run=claim.id,
        pages=found.pages,
        unchanged=found.unchanged,
        retried=found.retried,
        missions=len(found.missions),
        baseline=baseline,
        changes=len(changes),
        counts=dict(Counter(change.kind for change in changes)),
        accepted=found.number,
        snapshots=list(found.snapshots.values()),
        **more,
    )


def _hold(
    connection: Connection,
    ministry: Source,
    known: Mapping[str, Known],
    found: Candidate,
    claim: Claim,
    last: RowMapping | None,
    why: list[str],
    channels: list[str],
    base_url: str | None,
) -> Outcome:
    records = [(found.missions[key].model_dump(mode="json"), found.proof[key]) for key in found.missions]
    compared_with = last["id"] if last else None
    number = table.hold(connection, ministry.name, claim.id, compared_with, why, ministry.version, records)
    told = message.held_candidate(
        ministry.name,
        number,
        why,
        found=len(found.missions),
        known=sum(each.status == "open" for each in known.values()),
        base_url=base_url,
        run=run_page(),
    )
    enqueue(connection, held_episode(ministry.name, compared_with), channels, told)
    report = _report(ministry, found, claim, held=number, why=why, told=f"{told.title}\n\n{told.plain()}")
    complete(connection, claim, report.model_dump(mode="json"), status="held")
    return Outcome(report.model_dump(mode="json"), [])


# ---------------------------------------------------------------------- tell


def held_episode(source_name: str, last_applied: int | None) -> str:
    """From one applied set to the next, that sets are held is told once."""
    return f"{JOB}:{source_name}:held:{last_applied or 0}"


def _tell_applied(
    connection: Connection,
    report: MonitorReport,
    changes: Sequence[Mapping[str, Any]],
    found: Candidate,
    channels: list[str],
) -> str:
    """The digest of what changed, or the summary of a first set; and that the job works again, if it did not.

    Returns the digest, for the log and the terminal.
    """
    digest = ""
    if report.baseline:
        filled = {
            field: sum(getattr(each, field) is not None for each in found.missions.values()) for field in COMPARED
        }
        told = message.baseline_summary(
            report.source, missions=report.missions, filled=filled, pages=report.pages, run=run_page()
        )
        enqueue(connection, f"{JOB}:{report.source}:set:{report.run}", channels, told)
        digest = f"{told.title}\n\n{told.plain()}"
    elif changes:
        urls = table.addresses(connection, [change["snapshot_id"] for change in changes])
        news = [
            message.News(
                kind=change["kind"],
                key=change["key"],
                name=change["name"],
                country=change["country"],
                field=change["field"],
                old=change["old"],
                new=change["new"],
                page=urls.get(change["snapshot_id"]),
            )
            for change in changes
        ]
        told = message.changes_digest(report.source, news, missions=report.missions, run=run_page())
        enqueue(connection, f"{JOB}:{report.source}:set:{report.run}", channels, told)
        digest = f"{told.title}\n\n{told.plain()}"
    report_recovery(connection, JOB, report.source, channels)
    return digest


def tell_failure(source_name: str, sentence: str) -> None:
    """Put the failure into the outbox, once for an episode; if even the database is away, doctor tells.

    Nobody is told of a run beside one that does the work, of one that was overtaken, or of a name mistyped: none of
    these is a failure of the job.
    """
    failure = Failure(JOB, source_name, sentence, flow_run.id, run_page())
    try_to_report(lambda each: failed_in(each, JOB, source_name, flow_run.id) and report_failure(each, failure))


def tell(outcome: Outcome, base_url: str | None) -> MonitorReport:
    """The report, on the run's page and in the log."""
    report = MonitorReport.model_validate(outcome.report)
    shown = markdown(report, outcome.changes, escape_for_channels, base_url)
    create_markdown_artifact(shown, key="monitor-report", description=summary(report)[:500])
    get_run_logger().info(report.told or summary(report))
    return report


def already_done(unit: idempotent_once) -> str:
    """What a slot that was done before found."""
    return f"done before: {summary(MonitorReport.model_validate(unit.result))}"


def shown_report(result: dict[str, Any]) -> str | None:
    """What a terminal shows of a run beyond its summary."""
    return MonitorReport.model_validate(result).told or None
