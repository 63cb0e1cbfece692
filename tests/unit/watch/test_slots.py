"""Which slots are lost, and since when a job is overdue: pure decisions about what a server says of runs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.watch.slots import LostRun, Run, loss_reason, lost_slot, overdue_since

SLOT = datetime(2026, 1, 5, 2, tzinfo=UTC)
GRACE = timedelta(seconds=300)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def run(state: str, name: str | None = None, *, at: timedelta = timedelta(0), **more: Any) -> Run:
    """A run of the slot, or `at` so much later."""
    given = {"scheduled": True, "is_backfill": False, "slot": SLOT + at, "parameters": {"workbook": "x"}}
    return Run(
        **{"id": "r", "expected": SLOT + at, "since": SLOT + at, "state": state, "name": name or state} | given | more
    )


def instead(state: str, name: str | None = None, *, at: timedelta) -> Run:
    """A backfill run of the slot."""
    return run(state, name, at=at, scheduled=False, is_backfill=True, slot=SLOT)


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (run("CRASHED"), "crashed"),
        (run("CANCELLED", "Missed"), "missed"),
        (run("COMPLETED", "Missed"), "missed"),
        (run("PENDING"), "stuck"),
        (run("SCHEDULED", "Late"), "late"),
        (run("SCHEDULED", "Scheduled"), "late"),
        (run("RUNNING"), None),
        (run("CANCELLED"), None),
        (run("FAILED"), None),
        (run("COMPLETED", "Held"), None),
        (run("CANCELLED", "Skipped"), None),
        (run("SCHEDULED", "AwaitingRetry"), None),
        (run("PAUSED"), None),
    ],
    ids=lambda found: found and (found.name if isinstance(found, Run) else found),
)
def test_what_is_wrong_with_a_run_an_hour_after_its_slot(found: Run, what: str | None) -> None:
    assert loss_reason(found, SLOT + timedelta(hours=1), GRACE) == what


def test_a_preview_is_no_success() -> None:
    assert run("COMPLETED").succeeded
    assert not run("COMPLETED", preview=True).succeeded


@pytest.mark.parametrize("state", ["PENDING", "SCHEDULED"])
def test_a_run_may_be_late_by_the_grace_and_not_by_a_second_more(state: str) -> None:
    assert loss_reason(run(state, state.capitalize()), SLOT + GRACE, GRACE) is None
    assert loss_reason(run(state, state.capitalize()), SLOT + GRACE + timedelta(seconds=1), GRACE)


def lost(*runs: Run, after: timedelta = timedelta(hours=1)) -> LostRun | None:
    return lost_slot(runs, SLOT + after, GRACE)


def test_a_crashed_slot_is_backfilled_three_times_at_most() -> None:
    runs = [run("CRASHED")]
    for attempts in range(3):
        found = lost(*runs)
        assert found is not None
        assert found.can_be_backfilled
        assert found.attempts == attempts
        runs.append(instead("CRASHED", at=(attempts + 1) * MINUTE))
    found = lost(*runs)
    assert found is not None
    assert not found.can_be_backfilled


@pytest.mark.parametrize("state", ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"])
def test_nothing_more_is_started_while_one_is_backfill_or_once_it_ended(state: str) -> None:
    assert lost(run("CRASHED"), instead(state, at=58 * MINUTE)) is None


def test_a_backfill_that_waits_for_a_worker_is_late_and_not_doubled() -> None:
    found = lost(run("CRASHED"), instead("SCHEDULED", "Late", at=MINUTE))
    assert found is not None
    assert found.reason == "late"
    assert not found.can_be_backfilled


def test_only_the_last_slot_counts() -> None:
    assert lost(run("CRASHED"), run("COMPLETED", at=DAY), after=2 * DAY) is None
    found = lost(run("CANCELLED", "Missed"), run("CANCELLED", "Missed", at=DAY), after=2 * DAY)
    assert found is not None
    assert found.run.slot == SLOT + DAY


def test_a_success_by_hand_replaces_the_slot_if_it_did_the_same() -> None:
    manual = {"scheduled": False, "at": MINUTE}
    assert lost(run("CRASHED"), run("COMPLETED", **manual)) is None
    assert lost(run("CRASHED"), run("COMPLETED", scheduled=False)) is None
    assert lost(run("CRASHED"), run("COMPLETED", parameters={"workbook": "another"}, **manual)) is not None
    assert lost(run("CRASHED"), run("COMPLETED", "Skipped", **manual)) is not None


def test_a_job_without_a_slot_yet_has_lost_nothing() -> None:
    assert lost() is None
    assert lost(run("CRASHED", scheduled=False)) is None


def test_a_job_is_overdue_once_its_slot_and_the_grace_are_over() -> None:
    due = [SLOT, SLOT + DAY]
    assert overdue_since(due, SLOT + GRACE, GRACE, unfinished=False) is None
    assert overdue_since(due, SLOT + GRACE + MINUTE, GRACE, unfinished=False) == SLOT


def test_a_running_job_has_until_the_slot_after() -> None:
    due = [SLOT, SLOT + DAY]
    assert overdue_since(due, SLOT + DAY, GRACE, unfinished=True) is None
    assert overdue_since(due, SLOT + DAY + GRACE + MINUTE, GRACE, unfinished=True) == SLOT
    assert overdue_since([SLOT], SLOT + 9 * DAY, GRACE, unfinished=True) is None


def test_a_job_that_is_never_due_is_never_late() -> None:
    assert overdue_since([], SLOT, GRACE, unfinished=False) is None
