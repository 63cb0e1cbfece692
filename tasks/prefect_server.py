"""Which Prefect server keeps the runs: that of PREFECT_API_URL, else that of `make up`, with its password."""

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from pydantic import Field

from db.private_files import NotPrivateError, read_private
from db.settings import ProjectSettings

# In DATA_DIR; `make up` writes them.
STATE_FILE = "up.json"
PASSWORD_FILE = "prefect-password"  # noqa: S105 - a name; in it "user:password", readable by its owner only


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
        state: dict[str, Any] = json.loads(read_private(data_dir / STATE_FILE))
        process = psutil.Process(state["pid"])
        alive = process.create_time() == state["create_time"] and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, psutil.Error, NotPrivateError):
        return None
    return state if alive else None


@dataclass(frozen=True)
class PrefectServer:
    """A Prefect server."""

    api_url: str
    auth_string: str | None  # "user:password", if `make up` has made it; None: PREFECT_API_AUTH_STRING, if it is set
    given: bool  # by PREFECT_API_URL


def server_in_use(data_dir: Path) -> PrefectServer | None:
    """The server of PREFECT_API_URL, else that of `make up`; None if there is neither."""
    given = (server_settings().prefect_api_url or "").rstrip("/")
    state = state_of_make_up(data_dir) or {}
    of_make_up = state.get("api_url")
    if not (url := given or of_make_up):
        return None
    auth_string = None
    if url == of_make_up and state.get("own_password"):
        with suppress(OSError, NotPrivateError):  # it belongs to another user
            auth_string = read_private(data_dir / PASSWORD_FILE).strip()
    return PrefectServer(url, auth_string, given=bool(given))


def password_required(url: str) -> str:
    """The sentence about a server that answers 401."""
    return f"the Prefect server {url} requires a password: set PREFECT_API_AUTH_STRING=user:password to the one it has"
