"""Settings of the watchdog."""

from functools import cache

from pydantic import Field

from db.settings import ProjectSettings


class WatchSettings(ProjectSettings):
    """How long old data are kept."""

    keep_days: int = Field(
        90,
        ge=2,
        description="Days that result files, sent messages, rows of missed or skipped runs, and rejects of previews "
        "and refused workbooks are kept",
    )


@cache
def watch_settings() -> WatchSettings:
    """The settings, read once."""
    return WatchSettings.load()
