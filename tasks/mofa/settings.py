"""Settings of the monitor: how pages are requested, when a candidate is held, how long pages are kept."""

import os.path
import re
from functools import cache
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from db.settings import ROOT, ProjectSettings
from tasks.mofa.limits import DEFAULT, Limits
from tasks.mofa.plausibility import Thresholds

_DEFAULT = Thresholds()


class FetchingSettings(ProjectSettings):
    """How pages are requested; times in seconds."""

    model_config = SettingsConfigDict(env_prefix="MOFA_")

    contact: str | None = Field(None, description="E-mail or web address in the User-Agent, for the ministry's admins")
    concurrency: int = Field(2, ge=1, le=8, description="Requests a server gets at once")
    delay: float = Field(0.25, ge=0, description="Seconds between requests, if robots.txt asks for nothing longer")
    longest_wait: float = Field(300, ge=0, description="The longest Crawl-delay or Retry-After that is waited for")
    connect_timeout: float = Field(10, gt=0, description="Seconds to wait for a server to take the connection")
    read_timeout: float = Field(30, gt=0, description="Seconds a server may send nothing")
    total_timeout: float = Field(120, gt=0, description="Seconds a page may take")
    max_bytes: int = Field(20 * 2**20, gt=0, description="Bytes a page may have once unpacked")
    max_total_mb: int = Field(
        DEFAULT.total_mb, ge=1, description="Megabytes that all pages of one crawl may have together"
    )
    max_pages: int = Field(DEFAULT.pages, ge=1, description="Pages that a crawl may read")
    max_links: int = Field(DEFAULT.links, ge=1, description="Links of a page that a crawl may follow")
    crawl_seconds: int = Field(DEFAULT.seconds, ge=1, description="Seconds that a crawl may take, with all waiting")
    parse_seconds: int = Field(60, ge=1, description="CPU seconds that parsing a page may take")
    parse_memory_mb: int = Field(1024, ge=256, description="Memory that parsing a page may take")

    def limits(self) -> Limits:
        """The limits of a crawl."""
        return Limits(self.max_pages, self.max_links, self.max_total_mb, self.crawl_seconds)

    @field_validator("contact")
    @classmethod
    def _fits_a_header(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[!-'*-~]+", value):
            raise ValueError("MOFA_CONTACT must be an e-mail or web address: ASCII, no spaces, no parentheses")
        return value


@cache
def fetching_settings() -> FetchingSettings:
    """The settings from the environment or .env, read once."""
    return FetchingSettings.load()


class MonitorSettings(ProjectSettings):
    """When a set is held, and how long pages are kept."""

    model_config = SettingsConfigDict(env_prefix="MOFA_")

    found_again: float = Field(
        _DEFAULT.found_again, ge=0, le=1, description="Hold a set that has a smaller share of the known missions"
    )
    filled: float = Field(
        _DEFAULT.filled,
        ge=0,
        le=1,
        description="Compare the fill rate only of fields that at least this share of the missions fills",
    )
    emptied: float = Field(
        _DEFAULT.emptied, ge=0, le=1, description="Hold a set if a field's fill rate drops to this fraction"
    )
    changed: float = Field(
        _DEFAULT.changed, ge=0, le=1, description="Hold a set if a contact field changed on more than this share"
    )
    unreadable: float = Field(
        _DEFAULT.unreadable,
        ge=0,
        le=1,
        description="Hold a set if more than this share of its missions, and at least three, cannot be read",
    )
    compared_days: int = Field(30, ge=1, description="A new set is compared with the largest one of so many days")
    snapshot_days: int = Field(90, ge=1, description="Days to keep pages that no change refers to")

    source: str = Field("japan", description="The source that the daily deployment monitors; *: each but the demo")
    sources: Path | None = Field(None, description="Directory with source files of your own (docs/new-ministry.md)")

    @field_validator("sources")
    @classmethod
    def _from_project(cls, value: Path | None) -> Path | None:
        return ROOT / os.path.expanduser(value) if value else None  # noqa: PTH111 - pathlib raises for an unknown user

    def thresholds(self) -> Thresholds:
        """The thresholds for plausibility.py."""
        return Thresholds(
            found_again=self.found_again,
            filled=self.filled,
            emptied=self.emptied,
            changed=self.changed,
            unreadable=self.unreadable,
        )


@cache
def monitor_settings() -> MonitorSettings:
    """The settings, read once."""
    return MonitorSettings.load()
