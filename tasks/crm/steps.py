"""The steps of import_crm_data: fetch, stage, evaluate and commit.

The workbook is read in a child process. Its batches are staged while the child continues to read. Evaluating and
committing are one transaction. `reporting.py` reports the outcome.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path, PurePosixPath
from threading import Thread
from typing import Any, TypeVar

from prefect import get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from db import contacts, matching, staging
from db.display import redacted
from db.engine import DatabaseError, DatabaseFullError, DatabaseUnavailableError, transaction
from db.errors import UserError
from db.settings import SettingsError
from db.task_runs import Claim, check_owner, committed, complete, idempotent_once
from tasks.crm import download
from tasks.crm.contact import RULES_VERSION
from tasks.crm.download import Copy
from tasks.crm.evaluation import StagedWorkbook, fill_counts, find_refusal, make_report
from tasks.crm.import_report import ImportReport
from tasks.crm.progress import Progress, interface
from tasks.crm.readers.budget import REASONS
from tasks.crm.readers.workbook import WorkbookError
from tasks.crm.report import summary
from tasks.crm.run_page import ProgressBar
from tasks.crm.settings import import_settings
from tasks.crm.worker_client import ReadingProcess
from tasks.crm.worker_protocol import Batch, End, Headings, ReadOptions, ReadRequest
from tasks.slot import is_manual
from tasks.step import RESULTS, run, step

T = TypeVar("T")
JOB = "import_crm_data"
PREVIEW = f"{JOB}.preview"
READING_VERSION = 7  # raise it when rows are read differently, or get other batches or positions
_BLOCK = 1 << 18  # bytes


# ---------------------------------------------------------------------- which workbook


def run_name() -> str:
    """The run's name in the UI: import-crm_sample.xlsx."""
    try:
        workbook = flow_run.parameters.get("workbook") or import_settings().workbook or "nothing"
    except SettingsError:  # the run needs a name before it can fail with this error
        workbook = "nothing"
    return f"import-{PurePosixPath(redacted(workbook)).name}"


def find_workbooks(workbook: str | None, idempotency_key: str | None) -> list[str]:
    """The addresses of the workbooks to import. Each is a unit of work.

    Raises:
        UserError: neither the parameter nor CRM_WORKBOOK names one; one key for several files.
        WorkbookError: there is no such file.
    """
    requested = workbook or import_settings().workbook
    if not requested:
        raise UserError("no workbook: give the parameter workbook, or set CRM_WORKBOOK where the worker runs")
    found = download.addresses(requested)
    if idempotency_key and len(found) > 1:
        raise UserError(
            f"the key {idempotency_key!r} is for one workbook, but {redacted(requested)} matches {len(found)}: "
            "leave the key out (each version of a file is imported once), or name one file"
        )
    return found


def subject(parameters: dict[str, Any]) -> str:
    """The subject of a run: the workbook or the pattern that it was asked for, without secrets."""
    with suppress(SettingsError):
        if requested := (parameters.get("workbook") or import_settings().workbook or "").strip():
            return redacted(download.located(requested))
    return "(no workbook)"


@step(task_run_name="fetch-workbook", cache_policy=NO_CACHE, persist_result=False)
def fetch_workbook(address: str, directory: str) -> Copy:
    """A private copy of the workbook in the directory."""
    return download.fetch(address, Path(directory))


def unit_of_work(copy: Copy, options: ReadOptions, key: str | None, preview: bool) -> idempotent_once:
    """The unit of work of an import, identified by `key`, else by the bytes of the workbook and the options."""
    if preview:
        return idempotent_once(PREVIEW, str(uuid.uuid4()), subject=copy.address, flow_run_id=flow_run.id)
    try:
        return idempotent_once(
            JOB,
            key or _digest(copy.sha256, *options.digest_parts()),
            subject=copy.address,
            fingerprint=copy.sha256,
            flow_run_id=flow_run.id,
            resume_cancelled=is_manual(),
        )
    except ValueError as error:  # the key is too long for its column
        raise UserError(str(error)) from None


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


# ---------------------------------------------------------------------- stage


def stage_workbook(copy: Copy, claim: Claim, options: ReadOptions, process: ReadingProcess) -> StagedWorkbook:
    """Stage the batches of the workbook while the reading process reads it.

    Raises:
        WorkbookError: the workbook cannot be read, or its headings cannot be used.
        SupersededError: another attempt took over.
    """
    settings = import_settings()
    reading = _digest(
        READING_VERSION,
        RULES_VERSION,
        staging.STAGED_COLUMNS,
        copy.sha256,
        *options.digest_parts(),
        settings.import_batch_rows,
        *([settings.import_reasons] if settings.import_reasons != REASONS else []),
    )
    with _staging_table(claim, reading):
        events = process.read(_request(copy, options, process.directory))
        # The report needs pandas. It is imported here, while the reading process still starts.
        Thread(target=import_module, args=["tasks.crm.report_parts"], daemon=True).start()
        headings = _expect(Headings, next(events))
        get_run_logger().info("import %s: sheet %r, headings in row %s", claim.id, headings.sheet, headings.row)
        batches, end = _stage_batches(events, copy, claim, reading, headings.rows)
    return StagedWorkbook(copy, headings, end, batches, reading)


def _request(copy: Copy, options: ReadOptions, directory: str) -> ReadRequest:
    settings = import_settings()
    return ReadRequest(
        path=str(copy.path),
        name=copy.name,
        into=directory,
        **asdict(options),
        batch_rows=settings.import_batch_rows,
        memory_mb=settings.import_memory_mb,
        cpu_seconds=settings.import_cpu_seconds,
        seconds=settings.import_read_seconds,
        written_mb=settings.import_written_mb,
        filled_cells=settings.import_filled_cells,
        reasons=settings.import_reasons,
        interface=interface.get(),
    )


@contextmanager
def _staging_table(claim: Claim, reading: str) -> Iterator[None]:
    """The import's staging table. It is dropped if the workbook cannot be read: no later attempt needs it."""
    with transaction() as connection:
        check_owner(connection, claim)
        staging.prepare_staging(connection, claim.id, reading)
    try:
        yield
    except WorkbookError:
        with transaction() as connection:
            check_owner(connection, claim)
            staging.drop_staging(connection, claim.id)
        raise


def _stage_batches(
    events: Iterator[object], copy: Copy, claim: Claim, reading: str, total: int | None
) -> tuple[list[Batch], End]:
    """Stage each batch as soon as it is read, and show the progress; returns the batches in order and the totals."""
    begun, staged, rejected, batches = time.monotonic(), 0, 0, list[Batch]()
    with ProgressBar(copy.name) as bar:
        for event in events:
            if isinstance(event, End):
                return sorted(batches, key=lambda batch: batch.first), event
            batch = _expect(Batch, event)
            run(stage_rows, claim, batch.first, batch.last, batch.path, reading)
            batches.append(batch)
            staged += batch.rows
            rejected += batch.rejected
            progress = Progress(copy.name, staged, total, rejected, time.monotonic() - begun)
            counts = {"rows": staged, "rejected": rejected}
            get_run_logger().info("import %s: %s", claim.id, progress, extra={"counts": counts})
            bar.show(progress)
    raise TypeError("the reading process sent no End")


def _expect(kind: type[T], event: object) -> T:
    if not isinstance(event, kind):
        raise TypeError(f"the reading process sent {type(event).__name__}; expected {kind.__name__}")
    return event


def _batch_key(_context: TaskRunContext, arguments: dict[str, Any]) -> str:
    claim: Claim = arguments["claim"]
    batch = _digest("stage-rows", str(claim.token), arguments["reading"], arguments["first"], arguments["last"])
    return f"{RESULTS}/{batch}"


@step(task_run_name="stage-rows-{first}-{last}", cache_key_fn=_batch_key, persist_result=True)
def stage_rows(claim: Claim, first: int, last: int, path: str, reading: str) -> int:  # noqa: ARG001 - for its cache key
    """Stage one batch; returns the number of rows. `reading`, the digest of how it was read, is for the cache."""
    with _disk_not_left_full(claim), transaction() as connection:
        check_owner(connection, claim)
        return staging.stage(connection, claim.id, first, last, _blocks(path))


@contextmanager
def _disk_not_left_full(claim: Claim) -> Iterator[None]:
    """If the disk of the database is full, free what this import wrote, so that the next import has space."""
    try:
        yield
    except DatabaseFullError:
        _drop_staging(claim)
        with suppress(DBAPIError):
            contacts.free_space_of_rolled_back_rows()
        raise


def _blocks(path: str) -> Iterator[bytes]:
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _stage_missing_batches(staged: StagedWorkbook, claim: Claim) -> None:
    """Stage the batches again whose rows are not all there: the cache does not know if the database lost some."""
    with transaction() as connection:
        if committed(connection, claim):
            return
        check_owner(connection, claim)
        batches = [(batch.first, batch.last, batch.rows) for batch in staged.batches]
        missing = staging.unstaged(connection, claim.id, batches)
    for batch in staged.batches:
        if batch.first in missing:
            run(stage_rows.with_options(refresh_cache=True), claim, batch.first, batch.last, batch.path, staged.reading)


# ---------------------------------------------------------------------- evaluate and commit


@step(task_run_name="evaluate-and-commit", cache_policy=NO_CACHE, persist_result=False)
def evaluate_and_commit(staged: StagedWorkbook, claim: Claim, preview: bool) -> dict[str, Any]:
    """Give every row its verdict and write contacts, rejects and completion; returns the report.

    A preview writes no contacts.

    Raises:
        UserError: too many rejects. They are stored all the same.
        SupersededError: another attempt took over.
    """
    _stage_missing_batches(staged, claim)  # part of this step, so that a retry after a crash of the database repeats it
    with _disk_not_left_full(claim), transaction() as connection:
        contacts.lock_imports(connection)
        if earlier := committed(connection, claim):  # this is a retry: the answer to the commit was lost
            return dict(earlier["result"])
        check_owner(connection, claim)
        report = _evaluate(connection, staged, claim, preview)
        _commit(connection, claim, report)
    _drop_staging(claim)
    if report.refusal and not preview:
        raise UserError(
            f"{report.workbook} is refused: {report.refusal}. Nothing was imported. "
            f"To write the rejected rows to a workbook: python -m tasks.crm.rejects {report.import_id} rejects.xlsx"
        )
    return report.model_dump(mode="json")


def _evaluate(connection: Connection, staged: StagedWorkbook, claim: Claim, preview: bool) -> ImportReport:
    """Give every staged row its verdict; returns the report."""
    end, headings = staged.end, staged.headings
    rejected = _reject_section_titles(connection, claim, end)
    rejected.append(staging.resolve_ambiguous_dates(connection, claim.id, end.day_first, headings.date_columns))
    evaluation = matching.evaluate(connection, claim.id, headings.fields)
    rejected.append(evaluation.rejected)
    counts = {**evaluation.counts, **evaluation.details, **fill_counts(end, rejected)}
    report = make_report(staged, claim.id, preview=preview, counts=counts)
    _check_counts(report, end.rows)
    settings = import_settings()
    refusal = find_refusal(report, evaluation.distinguishing, settings.reject_limit, interface.get())
    not_kept = max(report.rejected - settings.import_rejects, 0)
    return report.model_copy(update={"refusal": refusal, "not_kept": not_kept})


def _reject_section_titles(connection: Connection, claim: Claim, end: End) -> list[staging.LateRejects]:
    rejected = []
    if end.reject_name_only_rows:
        rejected.append(staging.reject_name_only_rows(connection, claim.id))
    if end.reject_organization_only_rows:
        rejected.append(staging.reject_organization_only_rows(connection, claim.id))
    return rejected


def _check_counts(report: ImportReport, read: int) -> None:
    """Check that every row that was read has exactly one verdict."""
    if report.rows < read:
        raise DatabaseUnavailableError("the database crashed and lost rows that were staged: start the job again")
    if not report.balances or report.rows != read:
        raise RuntimeError(f"the verdicts of import {report.import_id} do not add up: {read} read, {summary(report)}")


def _commit(connection: Connection, claim: Claim, report: ImportReport) -> None:
    """Write the rejects and, unless the import is a preview or refused, the contacts; complete the unit of work."""
    if not report.preview and not report.refusal:
        written = contacts.merge(connection, claim.id)
        expected = {"inserted": report.inserted, "updated": report.updated}
        if written != expected:
            raise RuntimeError(f"import {claim.id} would write {written}, but its report has {expected}")
    contacts.keep_rejects(connection, claim.id, import_settings().import_rejects)
    if report.preview or not report.refusal:
        complete(connection, claim, report.model_dump(mode="json"))
    else:
        staging.discard_rows(connection, claim.id)  # they cannot be evaluated again


def _drop_staging(claim: Claim) -> None:
    """Drop the staging table. If that fails, the next import or the watchdog does it: the outcome is committed."""
    with suppress(DatabaseError), transaction() as connection:
        if not committed(connection, claim):
            check_owner(connection, claim)
        staging.drop_staging(connection, claim.id)
