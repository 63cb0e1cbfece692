"""The settings of the work pool: its name, how it starts runs, and in which image."""

from functools import cache
from importlib.metadata import version
from typing import Literal

from pydantic import Field

from db.settings import ProjectSettings

DEFAULT_WORK_POOL = "PREFECT_DEFAULT_WORK_POOL_NAME"  # where `prefect deploy` finds it; pyproject.toml has the default
PROCESS = "process"


class WorkPoolSettings(ProjectSettings):
    """The work pool, the same for deploying, workers and doctor."""

    work_pool: str = Field("crm-pool", pattern=r"^[A-Za-z0-9_.-]+$", description="Name of the work pool")
    work_pool_type: Literal["process", "docker", "kubernetes"] = Field(
        "process", description="How its workers start a run: process, docker or kubernetes; make up needs process"
    )
    job_image: str | None = Field(
        None,
        description="Image of the runs of a docker or kubernetes pool; empty: embassy-jobs, with this version as tag",
    )

    @property
    def image(self) -> str:
        """The image of the runs."""
        return self.job_image or f"embassy-jobs:{version('embassy-jobs')}"


@cache
def work_pool_settings() -> WorkPoolSettings:
    """The settings, read once.

    Raises:
        SettingsError: names each wrong setting.
    """
    return WorkPoolSettings.load()
