"""Settings of the watchdog."""

from functools import cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.settings import checked


class WatchSettings(BaseSettings):
    """How long traces are kept."""

    model_config = SettingsConfigDict(
        env_file=Path(__file__).parents[2] / ".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    keep_days: int = Field(
        90, ge=2, description="Days that result files, sent messages and rows of missed or skipped runs are kept"
    )


@cache
def watch_settings() -> WatchSettings:
    """The settings, read once."""
    return checked(WatchSettings)
