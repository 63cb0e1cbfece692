"""Settings of the import, from the environment or .env in the project's root."""

from functools import cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.settings import checked


class ImportSettings(BaseSettings):
    """What an operator may set; docs/settings.md is generated from it."""

    model_config = SettingsConfigDict(
        env_file=Path(__file__).parents[2] / ".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    crm_workbook: str | None = Field(None, description="The workbook to import when a run names none: path, glob, URL")
    reject_limit: float = Field(0.2, ge=0, le=1, description="Refuse a workbook of which more than this is rejected")
    import_batch_rows: int = Field(10_000, ge=1, le=1_000_000, description="Rows of a batch")
    import_memory_mb: int = Field(2048, ge=256, description="Memory the process that reads a workbook may take")


REJECTS_ALWAYS_TAKEN = 10  # so that one typo in a workbook of three rows does not refuse it


@cache
def import_settings() -> ImportSettings:
    """The settings, read once."""
    return checked(ImportSettings)
