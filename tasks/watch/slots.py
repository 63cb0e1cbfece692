"""What became of the slots of a job: which run was lost, and since when the job is overdue.

Only the last slot counts: a job that missed three nights runs once. A run is lost if its process died, if it was missed
(it could not start in time), or if it is stuck before its start. A late run is not lost: it waits for a worker, and a
backfill run would wait too. Runs that a person cancelled, and jobs that a person paused, are left alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from tasks.state_names import MISSED, SKIPPED

MAX_ATTEMPTS = 3  # backfill runs of one lost slot
LossReason = Literal["crashed", "missed", "stuck", "late"]
NO_SUCCESS = {MISSED, SKIPPED}  # names of states in which nothing was done, whatever their type
UNFINISHED_STATES = {"SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"}


@dataclass(frozen=True)
class Run:
    """A flow run, as the server describes it."""

    id: str
    parameters: Mapping[str, Any] = field(repr=False)
    expected: datetime  # when it was to start
    slot: datetime  # of a backfill run the lost slot, else the same as `expected`
    scheduled: bool  # by the scheduler itself
    is_backfill: bool  # started in place of a lost run
    state: str  # SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, CRASHED, ...
    name: str  # of the state: Late, Missed, Held, ...
    since: datetime  # when it entered this state
    preview: bool = False  # it changes nothing

    @property
    def succeeded(self) -> bool:
        """Whether the job did its work, or found it done."""
        return self.state == "COMPLETED" and self.name not in NO_SUCCESS and not self.preview


@dataclass(frozen=True)
class LostRun:
    """A run that did not do its work."""

    run: Run
    reason: LossReason
    attempts: int  # backfill runs that were started for it

    @property
    def can_be_backfilled(self) -> bool:
        """Whether another run is to be started in its place."""
        return self.reason != "late" and self.attempts < MAX_ATTEMPTS


def loss_reason(run: Run, now: datetime, grace: timedelta) -> LossReason | None:
    """Why a run is lost; None if it is not, or if a person stopped it."""
    if run.name == MISSED:
        return "missed"
    if run.state == "CRASHED":
        return "crashed"
    if run.state == "PENDING" and now - run.since > grace:
        return "stuck"
    if run.state == "SCHEDULED" and run.name in {"Scheduled", "Late"} and now - run.expected > grace:
        return "late"
    return None


def lost_slot(runs: Iterable[Run], now: datetime, grace: timedelta) -> LostRun | None:
    """The last slot of a deployment, if it was lost and no run has succeeded since; `runs` are those due by now."""
    newest_first = sorted(runs, key=lambda run: run.expected, reverse=True)
    last = next((run for run in newest_first if run.scheduled), None)
    if last is None:
        return None
    later = [run for run in newest_first if run.expected >= last.expected and run.parameters == last.parameters]
    if any(run.succeeded for run in later):
        return None
    return latest_loss(last, [run for run in later if run.is_backfill and run.slot == last.slot], now, grace)


def latest_loss(first: Run, backfills: Sequence[Run], now: datetime, grace: timedelta) -> LostRun | None:
    """The last backfill run of a lost run, or the lost run itself if there is none; None if that is not lost."""
    last = max(backfills, key=lambda run: run.expected, default=first)
    reason = loss_reason(last, now, grace)
    return LostRun(last, reason, len(backfills)) if reason else None


def overdue_since(due: Sequence[datetime], now: datetime, grace: timedelta, *, unfinished: bool) -> datetime | None:
    """The first slot after the last success that should have succeeded by now; None if the job is not overdue.

    Args:
        due: the next slots after the last success; at most two are looked at.
        now: the time.
        grace: how late a run may be.
        unfinished: a run has not ended yet: it has time until the slot after.
    """
    deadline = 1 if unfinished else 0
    return due[0] if len(due) > deadline and now - due[deadline] > grace else None
