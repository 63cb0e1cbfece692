"""What became of the slots of a job: which run was lost, and since when the job is silent.

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
Trouble = Literal["crashed", "missed", "stuck", "late"]
NO_SUCCESS = {MISSED, SKIPPED}  # names of states in which nothing was done, whatever their type
IN_WORK = {"SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"}


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
class Lost:
    """A run that did not do its work."""

    run: Run
    trouble: Trouble
    attempts: int = 0  # backfill runs that were started for it

    @property
    def can_be_backfilled(self) -> bool:
        """Whether another run is to be started in its place."""
        return self.trouble != "late" and self.attempts < MAX_ATTEMPTS


def trouble(run: Run, now: datetime, grace: timedelta) -> Trouble | None:
    """What is wrong with a run; None if nothing is, or if a person stopped it."""
    if run.name == MISSED:
        return "missed"
    if run.state == "CRASHED":
        return "crashed"
    if run.state == "PENDING" and now - run.since > grace:
        return "stuck"
    if run.state == "SCHEDULED" and run.name in {"Scheduled", "Late"} and now - run.expected > grace:
        return "late"
    return None


def lost_slot(runs: Iterable[Run], now: datetime, grace: timedelta) -> Lost | None:
    """The last slot of a deployment, if it was lost and no run has succeeded since; `runs` are those due by now."""
    newest_first = sorted(runs, key=lambda run: run.expected, reverse=True)
    last = next((run for run in newest_first if run.scheduled), None)
    if last is None:
        return None
    later = [run for run in newest_first if run.expected >= last.expected and run.parameters == last.parameters]
    if any(run.succeeded for run in later):
        return None
    return lost_again(last, [run for run in later if run.is_backfill and run.slot == last.slot], now, grace)


def lost_again(first: Run, backfills: Sequence[Run], now: datetime, grace: timedelta) -> Lost | None:
    """What is wrong with the last backfill run of a lost run, or with the lost run itself if there is none."""
    last = max(backfills, key=lambda run: run.expected, default=first)
    what = trouble(last, now, grace)
    return Lost(last, what, len(backfills)) if what else None


def silent_since(due: Sequence[datetime], now: datetime, grace: timedelta, *, in_work: bool) -> datetime | None:
    """The first slot after the last success that should have succeeded by now; None if the job is not late.

    Args:
        due: the next slots after the last success; at most two are looked at.
        now: the time.
        grace: how late a run may be.
        in_work: a run has not ended yet: it has time until the slot after.
    """
    allowed = due[1:2] if in_work else due[:1]
    return due[0] if allowed and now - allowed[0] > grace else None
