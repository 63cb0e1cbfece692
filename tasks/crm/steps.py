"""The steps of import_crm_data: gather, judge, apply, tell.

Gather reads the workbook in a child process and stages its rows batch by batch while the child goes on reading. Judge
and apply are one transaction in the database. What happened is told where people look: the run's page, the log, the
database.

A step that cannot go on for a reason that a person can mend returns a Failed state with one sentence, because raising
would log two tracebacks; `run` makes an exception of it again for the flow.
"""

import hashlib
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from prefect import State, Task, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.exceptions import FailedRun
from prefect.runtime import flow_run, task_run
from prefect.states import Failed
from prefect.tasks import exponential_backoff

from db import contacts
from db.engine import DatabaseConflict, DatabaseError, DatabaseUnavailable, transaction
from db.task_runs import Claim, check_owner, committed, complete, idempotent_once
from tasks.crm import fetching
from tasks.crm.columns import HeadingsError
from tasks.crm.contact import RULES_VERSION
from tasks.crm.fetching import Copy, WorkbookUnreachable
from tasks.crm.progress import Progress
from tasks.crm.reading import Batch, End, Headings, Order
from tasks.crm.report import ImportReport, markdown, summary
from tasks.crm.run_page import ProgressBar
from tasks.crm.settings import REJECTS_ALWAYS_TAKEN, import_settings
from tasks.crm.workbook import WorkbookError

T = TypeVar("T")
JOB = "import_crm_data"
RETRIES = 4
MAY_HEAL = (WorkbookUnreachable, DatabaseUnavailable, DatabaseConflict)


class Refused(Exception):  # noqa: N818 - reads as what it says
    """The import cannot be done as asked: one plain sentence."""


REFUSALS = (Refused, WorkbookError, HeadingsError, DatabaseError)


def _heals(_task: Task[..., Any], _run: Any, state: State[Any]) -> bool:
    """A state made of an exception has a result, one that was returned with a sentence alone has none."""
    return state.data is not None


def _step(**options: Any) -> Callable[[Callable[..., T]], Task[..., T]]:
    """A task that is tried again where that can heal, and that ends without a traceback where a person must act."""

    def decorate(function: Callable[..., T]) -> Task[..., T]:
        @wraps(function)
        def told(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except REFUSALS as refusal:
                if isinstance(refusal, MAY_HEAL) and int(task_run.run_count) <= RETRIES:
                    raise
                return Failed(message=str(refusal))

        return task(
            told,
            retries=RETRIES,
            retry_delay_seconds=exponential_backoff(backoff_factor=0.5),
            retry_jitter_factor=0.5,
            retry_condition_fn=_heals,
            **options,
        )

    return decorate


def run(step: Task[..., T], *args: Any, **kwargs: Any) -> T:
    """What the step returns; raises Refused with its sentence if it refused."""
    state: State[T] = step(*args, return_state=True, **kwargs)
    try:
        return state.result()  # type: ignore[return-value]
    except FailedRun:
        raise Refused(state.message) from None


# ---------------------------------------------------------------------- gather


def run_name() -> str:
    """The run's name in the UI: import-crm_sample.xlsx."""
    workbook = flow_run.parameters.get("workbook") or import_settings().crm_workbook or "nothing"
    return f"import-{PurePosixPath(fetching.redacted(workbook)).name}"


def find_workbooks(workbook: str | None, idempotency_key: str | None) -> list[str]:
    """The addresses to import, each a unit of its own.

    Raises:
        Refused: neither the parameter nor CRM_WORKBOOK names one; one key for several files.
        WorkbookError: nothing there.
    """
    asked = workbook or import_settings().crm_workbook
    if not asked:
        raise Refused("no workbook: give the parameter workbook, or set CRM_WORKBOOK where the worker runs")
    found = fetching.addresses(asked)
    if idempotency_key and len(found) > 1:
        raise Refused(
            f"the key {idempotency_key!r} stands for one workbook, but {asked} matches {len(found)}: "
            "leave the key out (each version of a file is imported once), or name one file"
        )
    return found


@_step(task_run_name="fetch-workbook", cache_policy=NO_CACHE, persist_result=False)
def fetch_workbook(address: str, room: str) -> Copy:
    """A private copy of the workbook in the directory `room`."""
    return fetching.fetch(address, Path(room))


def once(copy: Copy, sheet: str | None, columns: dict[str, str], key: str | None, preview: bool) -> idempotent_once:
    """The unit of work: this version of this workbook, read this way; or whatever a given key stands for."""
    by_hand = flow_run.parent_deployment_id is None or "auto-scheduled" not in (flow_run.tags or [])
    if preview:
        return idempotent_once(f"{JOB}.preview", str(uuid.uuid4()), subject=copy.address, flow_run_id=flow_run.id)
    return idempotent_once(
        JOB,
        key or _digest(copy.sha256, sheet, columns),
        subject=copy.address,
        fingerprint=copy.sha256,
        flow_run_id=flow_run.id,
        resume_cancelled=by_hand,
    )


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Staged:
    """A workbook whose rows are all staged."""

    copy: Copy
    headings: Headings
    end: End


def gather(copy: Copy, claim: Claim, sheet: str | None, columns: dict[str, str], room: str) -> Staged:
    """Read the workbook in a child process and stage its batches as they come.

    Raises:
        WorkbookError: it cannot be read, or not understood.
        Superseded: another attempt took over.
    """
    logger = get_run_logger()
    settings = import_settings()
    order = Order(
        path=str(copy.path),
        name=copy.name,
        into=room,
        import_id=claim.id,
        sheet=sheet or None,
        columns=columns,
        batch_rows=settings.import_batch_rows,
        memory_mb=settings.import_memory_mb,
    )
    reading = _digest(RULES_VERSION, copy.sha256, sheet, columns, settings.import_batch_rows)
    with transaction() as connection:
        check_owner(connection, claim)
        contacts.prepare_staging(connection, claim.id)
    begun, rejected, batches = time.monotonic(), 0, list[Batch]()
    with ProgressBar(copy.name) as bar, _child(order) as events:
        headings = _expect(Headings, next(events))
        logger.info("import %s: sheet %r, headings in row %s", claim.id, headings.sheet, headings.row)
        for event in events:
            if isinstance(event, End):
                end = event
                break
            batch = _expect(Batch, event)
            run(stage_rows, claim, batch.first, batch.last, batch.path, reading)
            batches.append(batch)
            rejected += batch.rejected
            progress = Progress(copy.name, batch.last, headings.rows, rejected, time.monotonic() - begun)
            logger.info("import %s: %s", claim.id, progress)
            bar.show(progress)
    run(complete_staging, claim, batches, reading)
    return Staged(copy, headings, end)


def _expect(kind: type[T], event: object) -> T:
    if not isinstance(event, kind):
        raise TypeError(f"the reading process said {type(event).__name__} where {kind.__name__} was due")
    return event


@contextmanager
def _child(order: Order) -> Iterator[Iterator[Headings | Batch | End]]:
    """The reading process and what it says; it ends with the block."""
    command = [sys.executable, "-m", "tasks.crm.reading"]
    with (
        Path(order.into, "reading.log").open("w+") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as child,  # noqa: S603
    ):
        assert child.stdin and child.stdout  # noqa: S101 - both are pipes
        try:
            child.stdin.write(json.dumps(asdict(order)))
            child.stdin.close()
            yield _events(child, order, log)
        finally:
            child.kill()


def _events(child: subprocess.Popen[str], order: Order, log: Any) -> Generator[Headings | Batch | End]:
    kinds = {"headings": Headings, "batch": Batch, "end": End}
    for said in child.stdout or ():
        for kind, content in json.loads(said).items():
            if kind == "refused":
                raise WorkbookError(content)
            yield kinds[kind](**content)
            if kind == "end":
                return
    child.wait()
    log.seek(0)
    get_run_logger().debug("the reading process ended with %s and said: %s", child.returncode, log.read()[-2000:])
    raise WorkbookError(
        f"{order.name} cannot be read: the process that read it was stopped ({_how(child.returncode)}), as happens when "
        f"a workbook needs more than {order.memory_mb} MB: open it in Excel or LibreOffice, delete empty rows and "
        "columns, save it as .xlsx and import that"
    )


def _how(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"


def _batch_key(_context: TaskRunContext, arguments: dict[str, Any]) -> str:
    claim: Claim = arguments["claim"]
    return _digest("stage-rows", str(claim.token), arguments["reading"], arguments["first"], arguments["last"])


@_step(task_run_name="stage-rows-{first}-{last}", cache_key_fn=_batch_key, persist_result=True)
def stage_rows(claim: Claim, first: int, last: int, path: str, reading: str) -> int:
    """Stage one batch; `reading` says how it was read, for the cache. Returns the rows staged."""
    with transaction() as connection:
        check_owner(connection, claim)
        return contacts.stage(connection, claim.id, first, last, _blocks(path))


def _blocks(path: str) -> Iterator[bytes]:
    with Path(path).open("rb") as file:
        while block := file.read(1 << 18):
            yield block


@_step(task_run_name="complete-staging", cache_policy=NO_CACHE, persist_result=False)
def complete_staging(claim: Claim, batches: list[Batch], reading: str) -> None:
    """Count the staged rows against the rows read, and stage again what the cache only believed to be there."""
    with transaction() as connection:
        check_owner(connection, claim)
        missing = set(contacts.unstaged(connection, claim.id, [(batch.first, batch.last) for batch in batches]))
    for batch in batches:
        if (batch.first, batch.last) in missing:
            run(stage_rows.with_options(refresh_cache=True), claim, batch.first, batch.last, batch.path, reading)


# ---------------------------------------------------------------------- judge and apply


@_step(task_run_name="judge-and-apply", cache_policy=NO_CACHE, persist_result=False)
def judge_and_apply(staged: Staged, claim: Claim, preview: bool) -> dict[str, Any]:
    """Give every row its verdict and, unless it is a preview, write the people, the rejects and the completion.

    Raises:
        Refused: too many rejects (they are kept all the same).
        Superseded: another attempt took over.
    """
    with transaction() as connection:
        contacts.serialize_imports(connection)
        if done := committed(connection, claim):  # the answer to an earlier commit was lost
            return dict(done["result"])
        check_owner(connection, claim)
        heading = staged.headings.fields.get("last_contacted")
        contacts.settle_dates(connection, claim.id, staged.end.day_first, heading)
        before = connection.begin_nested()
        report = _report(staged, claim, preview, contacts.judge(connection, claim.id))
        too_many = _too_many(report)
        if preview or too_many:
            before.rollback()
        else:
            contacts.merge(connection, claim.id)
        contacts.keep_rejects(connection, claim.id)
        if not too_many:
            complete(connection, claim, report.model_dump(mode="json"))
    with transaction() as connection:
        contacts.drop_staging(connection, claim.id)
    if too_many and not preview:
        raise Refused(too_many)
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
        **books,
    )
    if not report.balances or report.rows != staged.end.rows:
        raise RuntimeError(f"the books of import {claim.id} do not balance: {staged.end.rows} read, {summary(report)}")
    return report


def _too_many(report: ImportReport) -> str | None:
    limit = import_settings().reject_limit
    if report.rejected <= max(limit * report.rows, REJECTS_ALWAYS_TAKEN):
        return None
    column, reason, _ = report.reject_reasons[0]
    return (
        f"{report.workbook} is refused: {report.rejected:,} of {report.rows:,} rows are rejected, more than "
        f"REJECT_LIMIT ({limit:.0%}) allows; most often {column or 'the row'} {reason}. Nothing was imported. "
        f"All of them with their reasons: python -m tasks.crm.rejects {report.import_id} rejects.xlsx"
    )


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
    return Outcome(unit.result, message)


def tell(result: dict[str, Any]) -> Outcome:
    """The report, on the run's page and in the log."""
    report = ImportReport(**result)
    create_markdown_artifact(markdown(report), key="import-report", description=summary(report))
    message = f"{'preview of ' if report.preview else ''}{PurePosixPath(report.workbook).name}: {summary(report)}"
    get_run_logger().info("import %s: %s", report.import_id, message)
    return Outcome(result, message)
