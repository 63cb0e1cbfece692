"""How times and durations are written for people."""

from datetime import UTC, datetime


def time_text(moment: datetime) -> str:
    """The time in UTC, such as "2026-11-24 02:00 UTC"."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def duration_text(seconds: float) -> str:
    """The duration in seconds, such as "1.2 s" or "480 s"."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"  # noqa: PLR2004 - three digits say enough
