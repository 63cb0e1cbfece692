"""Evaluates a candidate and commits it: in one transaction the set is applied, or held in its place."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping

from db import embassies as table
from db.engine import transaction
from db.errors import UserError
from db.task_runs import Claim, check_owner, committed, complete
from tasks.mofa.candidate import Candidate
from tasks.mofa.diff import Change, Known, diff
from tasks.mofa.embassy import Embassy
from tasks.mofa.page import Source
from tasks.mofa.plausibility import find_anomalies
from tasks.mofa.report import MonitorReport
from tasks.mofa.settings import monitor_settings
from tasks.mofa.steps.digest import JOB, notify_applied, notify_held
from tasks.mofa.steps.stored import known_missions, reparse_last_set, write_missions
from tasks.mofa.unreadable import UnreadableMission, locate

_SHOWN = 50  # missions of a first set that is held, on the run's page


@dataclass(frozen=True)
class Outcome:
    """What a run found."""

    report: dict[str, Any]
    changes: list[dict[str, Any]]  # that were made; of a held set those that it would make
    missions: list[Embassy] = field(default_factory=list)  # of a first set that is held: some of it


@dataclass(frozen=True)
class Request:
    """What a run wants to commit, and on whose behalf."""

    source: Source
    candidate: Candidate
    claim: Claim
    at: datetime  # the time slot of a scheduled run, otherwise now
    channels: Sequence[str]  # who is notified
    base_url: str | None = None
    run: str | None = None  # the address of the run's page


def evaluate_and_commit(request: Request) -> Outcome:
    """Hold the set, or write what changed, the messages about it and the completion, all in one transaction.

    Raises:
        SupersededError: another attempt took over.
    """
    with transaction() as connection:
        table.lock_source(connection, request.source.name)
        if done := committed(connection, request.claim):  # the answer to an earlier commit was lost
            return Outcome(dict(done["result"]), [])
        check_owner(connection, request.claim)
        last = table.last_applied(connection, JOB, request.source.name)
        _refuse_stale(connection, request, last)
        reparsed, why = connection.begin_nested(), []
        if last and last["result"]["version"] != request.source.version:
            why = reparse_last_set(connection, request.source, last)
        evaluated = _evaluate(connection, request, last)
        if request.candidate.number is None and (why := why or _anomalies(connection, request, evaluated)):
            reparsed.rollback()  # a held set changes nothing
            return _hold(connection, request, _evaluate(connection, request, last), last, why)
        reparsed.commit()
        return _apply(connection, request, evaluated)


def _refuse_stale(connection: Connection, request: Request, last: RowMapping | None) -> None:
    number = request.candidate.number
    if number is not None and table.is_stale(connection, number, last["id"] if last else None):
        raise UserError(f"the held set {number} of {request.source.name} is stale: another set was applied meanwhile")


# ---------------------------------------------------------------------- evaluate


@dataclass(frozen=True)
class _Evaluated:
    """A candidate beside what is known; missions that could not be read are as last known."""

    known: dict[str, Known]
    last_page: dict[str, str]  # key -> URL of the page that listed it last
    unreadable: list[UnreadableMission]
    now: dict[str, Embassy]  # the set that is compared: what was read, and open missions that could not be read

    def compared(self) -> dict[str, Known]:
        """What `now` is compared with: all but missing missions that could not be read, of which nothing is known."""
        unreadable_keys = {key for each in self.unreadable for key in each.keys} - self.now.keys()
        return {key: each for key, each in self.known.items() if key not in unreadable_keys}


def _evaluate(connection: Connection, request: Request, last: RowMapping | None) -> _Evaluated:
    name = request.source.name
    known, last_page = known_missions(connection, name), table.last_pages(connection, name)
    found = request.candidate
    addresses = table.addresses(connection, [snapshot for _, snapshot in found.unreadable])
    before = MonitorReport.model_validate(last["result"]).unreadable if last else []
    rows = [(each, addresses[snapshot]) for each, snapshot in found.unreadable]
    unreadable = locate(rows, known, found.missions, last_page, before)
    kept = {key: known[key].embassy for each in unreadable for key in each.keys if known[key].status == "open"}
    return _Evaluated(known, last_page, unreadable, {**found.missions, **kept})


def _anomalies(connection: Connection, request: Request, evaluated: _Evaluated) -> list[str]:
    settings = monitor_settings()
    since = request.at - timedelta(days=settings.compared_days)
    return find_anomalies(
        evaluated.known,
        evaluated.now,
        highest=table.most_missions(connection, JOB, request.source.name, since),
        verified=request.candidate.verified,
        thresholds=settings.thresholds().model_copy(update=dict(request.source.thresholds)),
        may_be_same=request.source.may_be_same,
        unreadable=[f"{each.row}: {each.reason}" for each in evaluated.unreadable],
    )


# ---------------------------------------------------------------------- apply or hold


def _apply(connection: Connection, request: Request, evaluated: _Evaluated) -> Outcome:
    name, found, at = request.source.name, request.candidate, request.at
    baseline = not evaluated.known
    # A held set shows what was there when it was read, not when a person accepts it.
    changes = [] if baseline else diff(evaluated.compared(), evaluated.now, at=found.read_at or at)
    write_missions(connection, name, evaluated.known, found.missions, changes, found.proof, at)
    shown = _shown(changes, evaluated, found)
    table.record_changes(connection, name, request.claim.id, shown, at)
    report = _report(request, evaluated, baseline=baseline, changes=changes)
    if found.number is not None:
        table.mark_applied(connection, found.number)
    digest = notify_applied(connection, report, shown, evaluated.now, request.channels, request.run)
    report = report.model_copy(update={"told": digest})
    complete(connection, request.claim, report.model_dump(mode="json"))
    table.prune_pages(connection, name, datetime.now(UTC) - timedelta(days=monitor_settings().snapshot_days))
    return Outcome(report.model_dump(mode="json"), shown)


def _hold(
    connection: Connection, request: Request, evaluated: _Evaluated, last: RowMapping | None, why: list[str]
) -> Outcome:
    compared_with = last["id"] if last else None
    changes = diff(evaluated.compared(), evaluated.now, at=request.at) if evaluated.known else []
    shown = _shown(changes, evaluated, request.candidate)
    held = request.candidate.entries()
    number = table.hold(
        connection, request.source.name, request.claim.id, compared_with, why, request.source.version, held
    )
    report = _report(request, evaluated, held=number, why=why)
    digest = notify_held(
        connection,
        report,
        request.channels,
        changes=shown,
        missions=evaluated.now,
        compared_with=compared_with,
        known=sum(each.status == "open" for each in evaluated.known.values()),
        base_url=request.base_url,
        run=request.run,
    )
    report = report.model_copy(update={"told": digest})
    complete(connection, request.claim, report.model_dump(mode="json"), status="held")
    some = [] if evaluated.known else list(evaluated.now.values())[:_SHOWN]
    return Outcome(report.model_dump(mode="json"), shown, some)


def _shown(changes: Sequence[Change], evaluated: _Evaluated, found: Candidate) -> list[dict[str, Any]]:
    """Changes with what people need beside them, most important first.

    The proof of an absence is the current snapshot of the page that last listed the mission, otherwise the first page.
    """
    first_page = next(iter(found.snapshots.values()), None)
    shown = []
    for change in changes:
        mission = found.missions.get(change.key) or evaluated.known[change.key].embassy
        without = found.snapshots.get(evaluated.last_page.get(change.key, ""), first_page)
        proof = found.proof.get(change.key, without)
        shown.append({**asdict(change), "country": mission.country, "city": mission.city, "snapshot_id": proof})
    return shown


def _report(
    request: Request,
    evaluated: _Evaluated,
    *,
    baseline: bool = False,
    changes: Sequence[Change] = (),
    **more: Any,
) -> MonitorReport:
    found = request.candidate
    return MonitorReport(
        source=request.source.name,
        version=request.source.version,
        run=request.claim.id,
        pages=found.pages,
        unchanged=found.unchanged,
        retried=found.retried,
        missions=len(evaluated.now),
        baseline=baseline,
        changes=len(changes),
        counts=dict(Counter(change.kind for change in changes)),
        missions_by_kind=dict(Counter(kind for kind, _ in {(each.kind, each.key): None for each in changes})),
        accepted=found.number,
        snapshots=list(found.snapshots.values()),
        unreadable=evaluated.unreadable,
        assumptions=found.assumptions,
        **more,
    )
