"""The steps of import_crm_data: gather, judge, apply, tell.

Gather reads the workbook in a child process and stages its rows batch by batch while the child goes on reading. Judge
and apply are one transaction in the database. What happened is told where people look: the run's page, the log, the
database.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path, PurePosixPath
from threading import Thread
from typing import Any, TypeVar

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from sqlalchemy import Connection

from db import contacts, matching, staging
from db.engine import DatabaseUnavailableError, transaction
from db.errors import UserError
from db.settings import SettingsError
from db.task_run_status import failed_in
from db.task_runs import Claim, check_owner, committed, complete, idempotent_once
from tasks.crm import download
from tasks.crm.collapse import TellingColumn, collapse
from tasks.crm.contact import RULES_VERSION
from tasks.crm.download import Copy
from tasks.crm.headings_error import column_option
from tasks.crm.progress import Progress, asked_by
from tasks.crm.readers.workbook import WorkbookError
from tasks.crm.report import ImportReport, markdown, remarks, summary, unescaped
from tasks.crm.run_page import ProgressBar
from tasks.crm.settings import REJECTS_ALWAYS_TAKEN, import_settings
from tasks.crm.worker_client import ReadingProcess
from tasks.crm.worker_protocol import Batch, End, Headings, ReadRequest
from tasks.notify.steps import Failure, deliver, report_failure, report_recovery, run_page, try_to_report
from tasks.slot import asked_for, slot
from tasks.step import RESULTS, run, step

T = TypeVar("T")
JOB = "import_crm_data"
PREVIEW = f"{JOB}.preview"
READING_VERSION = 5  # raised when rows are read otherwise, or come to lie in other batches or at other positions
ROOM = f"import-crm-{os.getuid()}-"
JUST_MADE = 60  # seconds: a room may not be locked yet


# ---------------------------------------------------------------------- gather


def run_name() -> str:
    """The run's name in the UI: import-crm_sample.xlsx."""
    try:
        workbook = flow_run.parameters.get("workbook") or import_settings().crm_workbook or "nothing"
    except SettingsError:  # the run says so itself, under a name that it has to have first
        workbook = "nothing"
    return f"import-{PurePosixPath(download.redacted(workbook)).name}"


def find_workbooks(workbook: str | None, idempotency_key: str | None) -> list[str]:
    """The addresses to import, each a unit of its own.

    Raises:
        UserError: neither the parameter nor CRM_WORKBOOK names one; one key for several files.
        WorkbookError: nothing there.
    """
    asked = workbook or import_settings().crm_workbook
    if not asked:
        raise UserError("no workbook: give the parameter workbook, or set CRM_WORKBOOK where the worker runs")
    found = download.addresses(asked)
    if idempotency_key and len(found) > 1:
        raise UserError(
            f"the key {idempotency_key!r} stands for one workbook, but {asked} matches {len(found)}: "
            "leave the key out (each version of a file is imported once), or name one file"
        )
    return found


@contextmanager
def private_room() -> Iterator[str]:
    """A directory for the copy and its batches, which hold personal data: gone at the end, or at the next import.

    Its lock ends with its holder, so that what a killed import left is told from what another one is using.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix=ROOM, ignore_cleanup_errors=True)
    except OSError as error:
        raise UserError(f"no directory for the copy of the workbook: {error.strerror}; TMPDIR names another") from error
    with made as room, _locked(Path(room)):
        for left in Path(room).parent.glob(f"{ROOM}*"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > JUST_MADE:
                    with _locked(left):
                        shutil.rmtree(left, ignore_errors=True)
        yield room


@contextmanager
def reading_process() -> Iterator[ReadingProcess]:
    """A reading process that waits for its request, with a private directory."""
    with private_room() as directory, ReadingProcess(directory) as process:
        yield process


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)


@step(task_run_name="fetch-workbook", cache_policy=NO_CACHE, persist_result=False)
def fetch_workbook(address: str, room: str) -> Copy:
    """A private copy of the workbook in the directory `room`."""
    return download.fetch(address, Path(room))


@dataclass(frozen=True)
class HowToRead:
    """What the user says of the workbook; None where it is to be found out."""

    sheet: str | None = None
    columns: dict[str, str] = field(default_factory=dict)  # heading -> field, "extra" or "ignore"
    heading_row: int | None = None
    encoding: str | None = None
    system: str | None = None

    def parts(self) -> list[Any]:
        """What it adds to a digest: the same as in releases that knew sheet and columns only, where no more is said."""
        more = {"heading_row": self.heading_row, "encoding": self.encoding, "system": self.system}
        said = {name: value for name, value in more.items() if value is not None}
        return [self.sheet, self.columns, *([said] if said else [])]


def once(copy: Copy, how: HowToRead, key: str | None, preview: bool) -> idempotent_once:
    """The unit of work: this version of this workbook, read this way; or whatever a given key stands for."""
    if preview:
        return idempotent_once(PREVIEW, str(uuid.uuid4()), subject=copy.address, flow_run_id=flow_run.id)
    try:
        return idempotent_once(
            JOB,
            key or _digest(copy.sha256, *how.parts()),
            subject=copy.address,
            fingerprint=copy.sha256,
            flow_run_id=flow_run.id,
            resume_cancelled=asked_for(),
        )
    except ValueError as error:  # a key too long for its column
        raise UserError(str(error)) from None


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Staged:
    """A workbook whose rows are all staged."""

    copy: Copy
    headings: Headings
    end: End
    batches: list[Batch]
    reading: str  # digest of how it was read


def gather(copy: Copy, claim: Claim, how: HowToRead, process: ReadingProcess) -> Staged:
    """Let the reading process read the workbook, and stage its batches as they come.

    Raises:
        WorkbookError: it cannot be read, or not understood.
        SupersededError: another attempt took over.
    """
    logger = get_run_logger()
    settings = import_settings()
    request = ReadRequest(
        path=str(copy.path),
        name=copy.name,
        into=process.directory,
        **asdict(how),
        batch_rows=settings.import_batch_rows,
        memory_mb=settings.import_memory_mb,
        asked_by=asked_by.get(),
    )
    reading = _digest(READING_VERSION, RULES_VERSION, copy.sha256, *how.parts(), settings.import_batch_rows)
    begun, staged, rejected, batches = time.monotonic(), 0, 0, list[Batch]()
    with _staging(claim, reading), ProgressBar(copy.name) as bar:
        events = process.read(request)
        headings = _expect(Headings, next(events))
        logger.info("import %s: sheet %r, headings in row %s", claim.id, headings.sheet, headings.row)
        for event in events:
            if isinstance(event, End):
                end = event
                break
            batch = _expect(Batch, event)
            run(stage_rows, claim, batch.first, batch.last, batch.path, reading)
            batches.append(batch)
            staged += batch.rows
            rejected += batch.rejected
            progress = Progress(copy.name, staged, headings.rows, rejected, time.monotonic() - begun)
            logger.info("import %s: %s", claim.id, progress)
            bar.show(progress)
    batches.sort(key=lambda batch: batch.first)
    return Staged(copy, headings, end, batches, reading)


@contextmanager
def _staging(claim: Claim, reading: str) -> Iterator[None]:
    """The import's staging table; dropped again if the workbook cannot be read: nobody will go on with it."""
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


def _expect(kind: type[T], event: object) -> T:
    if not isinstance(event, kind):
        raise TypeError(f"the reading process said {type(event).__name__} where {kind.__name__} was due")
    return event


def _batch_key(_context: TaskRunContext, arguments: dict[str, Any]) -> str:
    claim: Claim = arguments["claim"]
    batch = _digest("stage-rows", str(claim.token), arguments["reading"], arguments["first"], arguments["last"])
    return f"{RESULTS}/{batch}"


@step(task_run_name="stage-rows-{first}-{last}", cache_key_fn=_batch_key, persist_result=True)
def stage_rows(claim: Claim, first: int, last: int, path: str, reading: str) -> int:  # noqa: ARG001 - in its key
    """Stage one batch; `reading` says how it was read, for the cache. Returns the rows staged."""
    with transaction() as connection:
        check_owner(connection, claim)
        return staging.stage(connection, claim.id, first, last, _blocks(path))


def _blocks(path: str) -> Iterator[bytes]:
    with Path(path).open("rb") as file:
        while block := file.read(1 << 18):
            yield block


def _complete_staging(staged: Staged, claim: Claim) -> None:
    """Count the staged rows against the rows read, and stage again what the cache only believed to be there."""
    with transaction() as connection:
        if committed(connection, claim):
            return
        check_owner(connection, claim)
        batches = [(batch.first, batch.last, batch.rows) for batch in staged.batches]
        missing = staging.unstaged(connection, claim.id, batches)
    for batch in staged.batches:
        if batch.first in missing:
            run(stage_rows.with_options(refresh_cache=True), claim, batch.first, batch.last, batch.path, staged.reading)


# ---------------------------------------------------------------------- judge and apply


@step(task_run_name="judge-and-apply", cache_policy=NO_CACHE, persist_result=False)
def judge_and_apply(staged: Staged, claim: Claim, preview: bool) -> dict[str, Any]:
    """Give every row its verdict and, unless it is a preview, write the people, the rejects and the completion.

    Raises:
        UserError: too many rejects (they are kept all the same).
        SupersededError: another attempt took over.
    """
    # The report needs pandas: it is imported while the database works, now that the reading process has ended.
    Thread(target=import_module, args=["tasks.crm.report_parts"], daemon=True).start()
    _complete_staging(staged, claim)  # here, so that it is done again after a crash of the database
    with transaction() as connection:
        contacts.serialize_imports(connection)
        if done := committed(connection, claim):  # the answer to an earlier commit was lost
            return dict(done["result"])
        check_owner(connection, claim)
        sections = _reject_sections(connection, claim, staged.end)
        unsettled = staging.settle_dates(connection, claim.id, staged.end.day_first, staged.headings.days)
        books = matching.judge(connection, claim.id, staged.headings.fields)
        contradicting, told_apart_by = books.pop("late_rejects"), books.pop("told_apart_by")
        report = _report(staged, claim, preview, {**books, **_filled(staged.end, *sections, unsettled, contradicting)})
        too_many = _collapsed(report, told_apart_by) or _too_many(report)
        if preview or too_many:
            report = report.model_copy(update={"refusal": too_many})
        else:
            _check(contacts.merge(connection, claim.id), report)
        contacts.keep_rejects(connection, claim.id)
        if preview or not too_many:
            complete(connection, claim, report.model_dump(mode="json"))
        else:
            staging.discard_rows(connection, claim.id)  # they can be judged only once
    # The outcome is settled: if this fails, or its answer is lost, the next import or the watchdog clears up.
    with suppress(DatabaseUnavailableError), transaction() as connection:
        if not committed(connection, claim):
            check_owner(connection, claim)
        staging.drop_staging(connection, claim.id)
    if too_many and not preview:
        raise UserError(
            f"{report.workbook} is refused: {too_many}. Nothing was imported. "
            f"All of them with their reasons: python -m tasks.crm.rejects {report.import_id} rejects.xlsx"
        )
    return report.model_dump(mode="json")


def _report(staged: Staged, claim: Claim, preview: bool, books: dict[str, Any]) -> ImportReport:
    headings = staged.headings
    report = ImportReport(
        import_id=claim.id,
        workbook=staged.copy.address,
        sha256=staged.copy.sha256,
        sheet=headings.sheet,
        heading_row=headings.row,
        preview=preview,
        fields=headings.fields,
        extra=headings.extra,
        system=headings.system,
        unused_ids=headings.unused_ids,
        above=headings.above,
        not_read=headings.not_read,
        hidden_rows=staged.end.hidden_rows,
        hidden_columns=staged.end.hidden_columns,
        assumptions=staged.end.assumptions,
        **books,
    )
    if report.rows < staged.end.rows:
        raise DatabaseUnavailableError("the database crashed and lost rows that were staged: start the job again")
    if not report.balances or report.rows != staged.end.rows:
        raise RuntimeError(f"the books of import {claim.id} do not balance: {staged.end.rows} read, {summary(report)}")
    return report


def _reject_sections(connection: Connection, claim: Claim, end: End) -> list[staging.LateRejects]:
    rejected = []
    if end.lone_names_are_remarks:
        rejected.append(staging.reject_lone_names(connection, claim.id))
    if end.lone_organizations_are_sections:
        rejected.append(staging.reject_lone_organizations(connection, claim.id))
    return rejected


def _filled(end: End, *rejected: staging.LateRejects) -> dict[str, dict[str, int]]:
    """How many accepted rows fill each field and each heading of extra; `rejected` were still accepted when counted."""
    filled, filled_extra = Counter(end.filled), Counter(end.filled_extra)
    for rows in rejected:
        filled.subtract(rows.filled)
        filled_extra.subtract(rows.filled_extra)
    return {"filled": dict(+filled), "filled_extra": dict(+filled_extra)}


def _check(written: dict[str, int], report: ImportReport) -> None:
    told = {"inserted": report.inserted, "updated": report.updated}
    if written != told:
        raise RuntimeError(f"import {report.import_id} would write {written}, but its report says {told}")


def _collapsed(report: ImportReport, told_apart_by: list[TellingColumn]) -> str | None:
    """Why a workbook is refused whose people only columns tell apart that are not understood, such as names."""
    return collapse(told_apart_by, report.rows, _rejects_taken(report), report.fields, asked_by.get())


def _rejects_taken(report: ImportReport) -> float:
    return max(import_settings().reject_limit * report.rows, REJECTS_ALWAYS_TAKEN)


def _too_many(report: ImportReport) -> str | None:
    limit = import_settings().reject_limit
    if report.rejected <= _rejects_taken(report):
        return None
    column, reason, _ = report.reject_reasons[0]
    refusal = (
        f"{report.rejected:,} of {report.rows:,} rows are rejected, more than REJECT_LIMIT ({limit:.0%}) allows; "
        f"most often {column or 'the row'} {reason}"
    )
    if column in report.extra:  # nobody corrects it in every row
        refusal += f"; or leave that column out: {column_option(column, 'ignore', asked_by.get())}"
    return refusal


# ---------------------------------------------------------------------- tell


@dataclass(frozen=True)
class Outcome:
    """What became of one workbook."""

    report: dict[str, Any]
    message: str

    def __str__(self) -> str:
        return self.message


def already_done(copy: Copy, unit: idempotent_once) -> Outcome:
    """The workbook was imported before: says so, with the first result."""
    message = f"{copy.name} was already imported (import {unit.id}): {summary(ImportReport(**unit.result))}"
    get_run_logger().info(message)
    _tell_success(copy.address)
    return Outcome(unit.result, message)


def tell(result: dict[str, Any]) -> Outcome:
    """The report, on the run's page and in the log."""
    report = ImportReport(**result)
    create_markdown_artifact(markdown(report), key="import-report", description=summary(report))
    message = f"{'preview of ' if report.preview else ''}{PurePosixPath(report.workbook).name}: {summary(report)}"
    message += "".join(f"; {remark}" for remark in remarks(report, asked_by.get()))
    if report.rejected:
        message += f"; the rejected ones: python -m tasks.crm.rejects {report.import_id} rejects.xlsx"
    if report.refusal:
        message += f"; an import would be refused: {report.refusal}"
    get_run_logger().info("import %s: %s", report.import_id, message)
    if not report.preview:
        _tell_success(report.workbook)
    return Outcome(result, message)


def tell_failure(address: str | None, sentence: str, *, in_work: bool) -> None:
    """Tell that the job fails for this workbook, once for an episode.

    Nobody is told of a run beside one that does the work, or of one that was overtaken; nor, unless the schedule
    started it, of an address that leads nowhere, which whoever gave it reads on the run.

    Args:
        address: of the workbook; empty: CRM_WORKBOOK.
        sentence: why.
        in_work: whether its unit of work was reached.
    """
    failure = Failure(JOB, subject({"workbook": address}), sentence, flow_run.id, run_page())

    def begun(connection: Connection) -> bool:
        fails = failed_in(connection, JOB, failure.subject, failure.run) if in_work else slot() is not None
        return fails and report_failure(connection, failure)

    if try_to_report(begun):
        deliver()


def tell_run(workbook: str | None, addresses: list[str]) -> None:
    """A pattern was gone through to its end: what the watchdog told of such a run is over, whatever its files hold."""
    if (pattern := subject({"workbook": workbook})) not in map(download.redacted, addresses):
        _tell_success(pattern)


def _tell_success(about: str) -> None:
    if try_to_report(lambda connection: report_recovery(connection, JOB, about)):
        deliver()


def subject(parameters: dict[str, Any]) -> str:
    """What a run of the job is about: the workbook, or the pattern, that it is asked for; without secrets."""
    with suppress(SettingsError):
        if asked := (parameters.get("workbook") or import_settings().crm_workbook or "").strip():
            return download.redacted(download.located(asked))
    return "(no workbook)"


def shown_reports(results: list[dict[str, Any]]) -> str:
    """The reports of a run as Markdown, for a terminal."""
    return "\n\n".join(unescaped(markdown(ImportReport(**result))) for result in results)
