"""Which Prefect server keeps the runs: that of PREFECT_API_URL, else that of `make up`."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from pydantic import Field

from db.settings import ProjectSettings

STATE_FILE = "up.json"  # in DATA_DIR; `make up` writes it


class ServerSettings(ProjectSettings):
    """The server that keeps the runs. Prefect's own settings do not read the project's .env."""

    prefect_api_url: str | None = Field(None, description="A Prefect server to use; empty: make up starts one")


@cache
def server_settings() -> ServerSettings:
    """The settings, read once."""
    return ServerSettings.load()


def state_of_make_up(data_dir: Path) -> dict[str, Any] | None:
    """What `make up` has written about itself to DATA_DIR; None if that `make up` does not run any more."""
    try:
        state: dict[str, Any] = json.loads((data_dir / STATE_FILE).read_text())
        alive = psutil.Process(state["pid"]).create_time() == state["create_time"]
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return state if alive else None


def server_of_make_up(data_dir: Path) -> str | None:
    """The address of the API of the server of `make up`; None if `make up` does not run, or has no server yet."""
    return (state_of_make_up(data_dir) or {}).get("api_url")
