"""Settings of the import, from the environment or .env in the project's root."""

from functools import cache

from pydantic import Field

from db.settings import ProjectSettings


class ImportSettings(ProjectSettings):
    """What an operator may set; docs/settings.md is generated from it."""

    crm_workbook: str | None = Field(None, description="The workbook to import when a run names none: path, glob, URL")
    reject_limit: float = Field(0.2, ge=0, le=1, description="Refuse a workbook of which more than this is rejected")
    import_batch_rows: int = Field(20_000, ge=1, le=1_000_000, description="Rows of a batch")
    import_memory_mb: int = Field(2048, ge=256, description="Memory the process that reads a workbook may take")


@cache
def import_settings() -> ImportSettings:
    """The settings, read once."""
    return ImportSettings.load()
