"""The slot of a run: the planned start of the schedule that it belongs to.

Prefect stores the slot of a scheduled run. A backfill run, which the watchdog starts in place of a lost one, has the
slot in a tag, so that both are the same unit of work.
"""

from contextlib import suppress
from datetime import UTC, datetime

from prefect.runtime import flow_run

TAG = "slot:"
SCHEDULED = "auto-scheduled"  # Prefect's own tag
MANUAL_TAG = "asked-for"  # of a part of a run that a person has started with Retry


def slot() -> datetime | None:
    """The slot of this run; None for a run that a person or the API started."""
    tags: list[str] = flow_run.tags or []
    if (named := slot_of(tags)) is not None:
        return named
    planned: datetime | None = flow_run.scheduled_start_time if SCHEDULED in tags else None
    return planned


def by_schedule() -> bool:
    """Whether the scheduler started this run, and nobody has restarted it with Retry."""
    return SCHEDULED in (flow_run.tags or []) and int(flow_run.run_count) <= 1


def is_manual() -> bool:
    """Whether a person started this run: by hand, over the API, or with Retry."""
    return slot() is None or int(flow_run.run_count) > 1 or MANUAL_TAG in (flow_run.tags or [])


def tags_of_parts() -> list[str]:
    """The tags of runs that this run starts for parts of its work: they have its slot, and who started it."""
    planned = slot()
    if planned is None:
        return []
    return [tag(planned), *([SCHEDULED] if by_schedule() else []), *([MANUAL_TAG] if is_manual() else [])]


def slot_of(tags: list[str]) -> datetime | None:
    """The slot in the tags of a backfill run; None without one."""
    for tag in tags:
        if tag.startswith(TAG):
            with suppress(ValueError):  # another tag with the same start
                named = datetime.fromisoformat(tag.removeprefix(TAG))
                return named if named.tzinfo else named.replace(tzinfo=UTC)
    return None


def tag(slot: datetime) -> str:
    """The tag of a backfill run of this slot."""
    return f"{TAG}{slot.astimezone(UTC).isoformat()}"
