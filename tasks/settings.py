"""Settings as every package of tasks reads them: a wrong one is one sentence that names the variable.

Each package owns its settings; here are how they are read and what more than one package needs.
"""

from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Settings = TypeVar("Settings", bound=BaseSettings)


class SettingsError(ValueError):
    """A setting is wrong: the message names the variable and what it may be, never its value, which may be a secret."""


def checked(kind: type[Settings]) -> Settings:
    """The settings of `kind` from the environment and .env.

    Raises:
        SettingsError: names every variable that is wrong.
    """
    try:
        return kind()
    except ValidationError as error:
        prefix = str(kind.model_config.get("env_prefix") or "")
        wrong = [
            f"{prefix}{each['loc'][0]}".upper() + f": {each['msg']}"
            for each in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsError(f"{'; '.join(wrong)}. Correct it in the environment of the worker, or in .env") from None


class ServerSettings(BaseSettings):
    """Which server keeps the runs; Prefect's own settings do not know our .env."""

    model_config = SettingsConfigDict(
        env_file=Path(__file__).parents[1] / ".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    prefect_api_url: str | None = Field(None, description="A Prefect server to use; empty: make up starts one")


@cache
def server_settings() -> ServerSettings:
    """The settings, read once."""
    return checked(ServerSettings)
