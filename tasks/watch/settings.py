"""Settings of the watchdog."""

from datetime import timedelta
from functools import cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.settings import checked


class WatchSettings(BaseSettings):
    """When a run counts as lost, and how long traces are kept."""

    model_config = SettingsConfigDict(
        env_file=Path(__file__).parents[2] / ".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    task_misfire_grace: int = Field(300, ge=0, description="Seconds that a scheduled run may start late")
    keep_days: int = Field(
        90, ge=2, description="Days that result files, sent messages and rows of missed or skipped runs are kept"
    )

    @property
    def grace(self) -> timedelta:
        """How late a run may be."""
        return timedelta(seconds=self.task_misfire_grace)


@cache
def watch_settings() -> WatchSettings:
    """The settings, read once."""
    return checked(WatchSettings)
