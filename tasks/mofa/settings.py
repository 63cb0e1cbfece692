"""Settings of the monitor's judgement; how pages are asked for is in fetching.py."""

from functools import cache
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from db.settings import ROOT, ProjectSettings
from tasks.mofa.guard import Thresholds

_DEFAULT = Thresholds()


class MonitorSettings(ProjectSettings):
    """When a set is held, and how long pages are kept."""

    model_config = SettingsConfigDict(env_prefix="MOFA_")

    found_again: float = Field(
        _DEFAULT.found_again, ge=0, le=1, description="Hold a set that has fewer of the missions"
    )
    filled: float = Field(_DEFAULT.filled, ge=0, le=1, description="Watch fields filled on at least this share")
    emptied: float = Field(_DEFAULT.emptied, ge=0, le=1, description="Hold a set where such a share falls to this part")
    changed: float = Field(_DEFAULT.changed, ge=0, le=1, description="Hold a set where a contact field changes on more")
    compared_days: int = Field(30, ge=1, description="Days back to the largest set that a new one is measured against")
    snapshot_days: int = Field(90, ge=1, description="Days that pages which prove nothing are kept")

    sources: Path | None = Field(None, description="Directory with source files of your own (docs/new-ministry.md)")

    @field_validator("sources")
    @classmethod
    def _from_project(cls, value: Path | None) -> Path | None:
        return ROOT / value.expanduser() if value else None

    def thresholds(self) -> Thresholds:
        """For the guard."""
        return Thresholds(found_again=self.found_again, filled=self.filled, emptied=self.emptied, changed=self.changed)


@cache
def monitor_settings() -> MonitorSettings:
    """The settings, read once."""
    return MonitorSettings.load()
