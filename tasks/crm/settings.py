"""Settings of the import, from the environment or .env in the project's root."""

from functools import cache

from pydantic import Field, SecretStr

from db.settings import ProjectSettings
from tasks.crm.readers.budget import FILLED_CELLS, REASONS, WRITTEN_MB


class ImportSettings(ProjectSettings):
    """What an operator may set; docs/settings.md is generated from it."""

    crm_workbook: SecretStr | None = Field(
        None, description="The workbook to import when a run names none: path, glob, URL"
    )
    reject_limit: float = Field(0.2, ge=0, le=1, description="Refuse a workbook of which more than this is rejected")
    import_batch_rows: int = Field(20_000, ge=1, le=1_000_000, description="Rows of a batch")
    import_memory_mb: int = Field(2048, ge=256, description="Memory the process that reads a workbook may take")
    import_cpu_seconds: int = Field(1800, ge=1, description="CPU seconds that reading a workbook may take")
    import_read_seconds: int = Field(3600, ge=1, description="Seconds that reading and staging a workbook may take")
    import_written_mb: int = Field(
        WRITTEN_MB,
        ge=1,
        description="Megabytes that one import may write to disk (unpacked file and batches); the database needs the "
        "same space again",
    )
    import_filled_cells: int = Field(
        FILLED_CELLS, ge=0, description="Cells of a sheet that exist only because others are merged or repeated"
    )
    import_reasons: int = Field(REASONS, ge=1, description="Reasons kept of a rejected row; the others are counted")
    import_rejects: int = Field(250_000, ge=1, description="Rejected rows kept of an import; the others are counted")

    @property
    def workbook(self) -> str | None:
        """The address of CRM_WORKBOOK, which may contain a password."""
        return self.crm_workbook.get_secret_value() if self.crm_workbook else None


@cache
def import_settings() -> ImportSettings:
    """The settings, read once."""
    return ImportSettings.load()
