"""Which Prefect server keeps the runs: that of PREFECT_API_URL, else that of `make up`, with its password."""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import psutil
from pydantic import Field, SecretStr, field_validator

from db.display import redacted
from db.private_files import NotPrivateError, read_private
from db.settings import ProjectSettings
from tasks.private_network import is_valid

# In DATA_DIR; `make up` writes them.
STATE_FILE = "up.json"
PASSWORD_FILE = "prefect-password"  # noqa: S105 - a name; in it "user:password", readable by its owner only


class ServerSettings(ProjectSettings):
    """The server that keeps the runs. Prefect's own settings do not read the project's .env."""

    prefect_api_url: str | None = Field(None, description="A Prefect server to use; empty: make up starts one")

    @field_validator("prefect_api_url")
    @classmethod
    def _valid(cls, value: str | None) -> str | None:
        try:
            valid = value is None or is_valid(httpx.URL(value.strip()))
        except (httpx.InvalidURL, ValueError):
            valid = False
        if not valid:
            raise ValueError("not the address of a server: write it like http://host:4200/api")
        return value and value.strip().rstrip("/")


class PrefectSecrets(ProjectSettings):
    """Secrets that Prefect's programs take from the environment, where a file cannot hold them: see export_secrets."""

    prefect_api_auth_string: SecretStr | None = Field(None, description="user:password for the server in use")
    prefect_api_key: SecretStr | None = Field(None, description="Key for Prefect Cloud, in place of a password")
    prefect_server_api_auth_string: SecretStr | None = Field(
        None, description="user:password that a server requires; empty: make up makes one"
    )
    prefect_server_database_connection_url: SecretStr | None = Field(
        None, description="The server's own database; empty: a SQLite file below DATA_DIR"
    )
    prefect_server_database_password: SecretStr | None = Field(None, description="Its password, if it is set in parts")
    prefect_redis_messaging_password: SecretStr | None = Field(
        None, description="Password of the Redis through which several servers exchange messages"
    )

    @classmethod
    def values(cls) -> dict[str, str]:
        """Variable -> value of those that are set, read now.

        Raises:
            SettingsError: a file cannot be read.
        """
        given = {cls.variable(name): value for name, value in cls.load()}
        return {variable: value.get_secret_value() for variable, value in given.items() if value is not None}


def export_secrets() -> None:
    """Put the secrets of Prefect that are in files or in .env into the environment, for Prefect's programs.

    Raises:
        SettingsError: a file cannot be read.
    """
    for variable, value in PrefectSecrets.values().items():
        os.environ[variable] = value
        os.environ.pop(f"{variable}_FILE", None)


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

    api_url: str  # without user and password
    auth_string: str | None  # "user:password"
    given: bool  # by PREFECT_API_URL


def server_in_use(data_dir: Path) -> PrefectServer | None:
    """The server of PREFECT_API_URL, else that of `make up`; None if there is neither."""
    given, auth_string = without_user(server_settings().prefect_api_url or "")
    state = state_of_make_up(data_dir) or {}
    of_make_up = state.get("api_url")
    if not (url := given or of_make_up):
        return None
    if url == of_make_up and not auth_string and state.get("own_password"):
        with suppress(OSError, NotPrivateError):  # it belongs to another user
            auth_string = read_private(data_dir / PASSWORD_FILE).strip()
    return PrefectServer(url, auth_string or known_auth_string(ours=not given), given=bool(given))


def known_auth_string(*, ours: bool = True) -> str | None:
    """The password of a server that is set here: as its client, else, of a server of ours, as the server itself."""
    known = PrefectSecrets.values()
    of_server = known.get("PREFECT_SERVER_API_AUTH_STRING") if ours else None
    return known.get("PREFECT_API_AUTH_STRING") or of_server


def without_user(url: str) -> tuple[str, str | None]:
    """The address without user and password, which every log would show, and these as Prefect's auth string."""
    scheme, separator, rest = url.partition("://")
    user, at, _ = rest.partition("/")[0].rpartition("@")
    return (f"{scheme}{separator}{rest[len(user) + 1 :]}", unquote(user)) if at else (url, None)


def password_required(url: str) -> str:
    """The sentence about a server that answers 401."""
    setting = "set PREFECT_API_AUTH_STRING=user:password to the one it has"
    return f"the Prefect server {redacted(url)} requires a password: {setting}"
