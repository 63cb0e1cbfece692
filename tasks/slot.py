"""Which slot of its schedule a run stands for.

The scheduler's own runs carry theirs. A run that the watchdog starts in place of a lost one says in a tag whose place
it takes, so that both are the same unit of work.
"""

from contextlib import suppress
from datetime import UTC, datetime

from prefect.runtime import flow_run

TAG = "slot:"
SCHEDULED = "auto-scheduled"  # Prefect's own tag


def slot() -> datetime | None:
    """The slot of this run; None for a run that somebody asked for."""
    tags: list[str] = flow_run.tags or []
    if (named := slot_of(tags)) is not None:
        return named
    planned: datetime | None = flow_run.scheduled_start_time if SCHEDULED in tags else None
    return planned


def by_schedule() -> bool:
    """Whether the scheduler itself started this run, and nobody started it again with Retry."""
    return SCHEDULED in (flow_run.tags or []) and int(flow_run.run_count) <= 1


def asked_for() -> bool:
    """Whether a person asked for this run: by hand, over the API, or again with Retry."""
    return slot() is None or int(flow_run.run_count) > 1


def slot_of(tags: list[str]) -> datetime | None:
    """The slot that a tag names."""
    for tag in tags:
        if tag.startswith(TAG):
            with suppress(ValueError):  # somebody's own tag
                named = datetime.fromisoformat(tag.removeprefix(TAG))
                return named if named.tzinfo else named.replace(tzinfo=UTC)
    return None


def tag(slot: datetime) -> str:
    """The tag of a run that takes the place of this slot's."""
    return f"{TAG}{slot.astimezone(UTC).isoformat()}"
