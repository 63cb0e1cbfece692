"""What became of the slots of a job: which run was lost, and since when a job has been silent.

Only the last slot counts: a job that missed three nights is run once. A run is lost when its process died, when it was
missed (nobody could start it in time), or when it is stuck before its start. A late one is not: it still waits for a
worker, and what stands in for it would wait beside it. What a person cancelled or paused is left alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

MOST_ATTEMPTS = 3  # to make up for one lost slot
Trouble = Literal["crashed", "missed", "stuck", "late"]
NO_SUCCESS = {"Missed", "Skipped"}  # names of states in which nothing was done, whatever their type
HELD = "Held"  # done, but a person has to look
AT_WORK = {"SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"}


@dataclass(frozen=True)
class Run:
    """A flow run, as the server describes it."""

    id: str
    parameters: Mapping[str, Any] = field(repr=False)
    expected: datetime  # when it was to start
    slot: datetime  # whose place it takes; its own otherwise
    scheduled: bool  # by the scheduler itself
    stands_in: bool  # for a lost one
    state: str  # SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, CRASHED, ...
    name: str  # of the state: Late, Missed, Held, ...
    since: datetime  # when it entered this state
    preview: bool = False  # of the work, not the work

    @property
    def succeeded(self) -> bool:
        """Whether the job did its work, or found it done."""
        return self.state == "COMPLETED" and self.name not in NO_SUCCESS and not self.preview


@dataclass(frozen=True)
class Lost:
    """A run that did not do what it was there for."""

    run: Run
    trouble: Trouble
    attempts: int = 0  # made to make up for it

    @property
    def can_be_made_up(self) -> bool:
        """Whether another run is to be started in its place."""
        return self.trouble != "late" and self.attempts < MOST_ATTEMPTS


def trouble(run: Run, now: datetime, grace: timedelta) -> Trouble | None:
    """What is wrong with a run; None if it goes its way, or a person stopped it."""
    if run.name == "Missed":
        return "missed"
    if run.state == "CRASHED":
        return "crashed"
    if run.state == "PENDING" and now - run.since > grace:
        return "stuck"
    if run.state == "SCHEDULED" and run.name in {"Scheduled", "Late"} and now - run.expected > grace:
        return "late"
    return None


def lost_slot(runs: Iterable[Run], now: datetime, grace: timedelta) -> Lost | None:
    """The last slot of a deployment, if it was lost and nothing has made up for it; `runs` are those due by now."""
    newest_first = sorted(runs, key=lambda run: run.expected, reverse=True)
    last = next((run for run in newest_first if run.scheduled), None)
    if last is None:
        return None
    later = [run for run in newest_first if run.expected >= last.expected and run.parameters == last.parameters]
    if any(run.succeeded for run in later):
        return None
    return lost_again(last, [run for run in later if run.stands_in and run.slot == last.slot], now, grace)


def lost_again(first: Run, attempts: Sequence[Run], now: datetime, grace: timedelta) -> Lost | None:
    """A run and those that stood in for it: what is wrong with the last of them."""
    last = max(attempts, key=lambda run: run.expected, default=first)
    what = trouble(last, now, grace)
    return Lost(last, what, len(attempts)) if what else None


def silent_since(due: Sequence[datetime], now: datetime, grace: timedelta, *, at_work: bool) -> datetime | None:
    """The slot from which on a job should have had a success; None if it is not late.

    Args:
        due: the next slots after the last success; at most two are looked at.
        now: the time.
        grace: how late a run may be.
        at_work: a run is on its way: it has time until the slot after.
    """
    allowed = due[1:2] if at_work else due[:1]
    return due[0] if allowed and now - allowed[0] > grace else None
