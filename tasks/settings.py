"""Settings that more than one package of tasks needs."""

from functools import cache

from pydantic import Field

from db.settings import ProjectSettings


class ServerSettings(ProjectSettings):
    """Which server keeps the runs; Prefect's own settings do not know our .env."""

    prefect_api_url: str | None = Field(None, description="A Prefect server to use; empty: make up starts one")


@cache
def server_settings() -> ServerSettings:
    """The settings, read once."""
    return ServerSettings.load()
