"""Settings of admission: the watchdog uses them too, and `make up` checks them."""

from datetime import timedelta
from functools import cache

from pydantic import Field

from db.settings import ProjectSettings


class AdmissionSettings(ProjectSettings):
    """When runs may start, the same for all jobs."""

    task_max_instances: int = Field(
        1, ge=1, le=1000, description="Runs of a job that may work on one workbook or source at once"
    )
    task_misfire_grace: int = Field(300, ge=0, description="Seconds that a scheduled run may be late")

    @property
    def grace(self) -> timedelta:
        """How late a scheduled run may be."""
        return timedelta(seconds=self.task_misfire_grace)


@cache
def admission_settings() -> AdmissionSettings:
    """The settings, read once."""
    return AdmissionSettings.load()
