"""The base class of all settings: reads the environment and .env, and names each wrong variable in one sentence."""

import os
from pathlib import Path
from typing import Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.errors import UserError

ROOT = Path(__file__).parents[1]  # relative paths in settings start here, in whatever directory a worker runs


def env_file() -> Path:
    """The file with settings: SETTINGS_FILE, else .env in the project's directory."""
    return Path(os.environ.get("SETTINGS_FILE") or ROOT / ".env")


class SettingsError(UserError, ValueError):
    """A setting is wrong: the message names the variable and what is allowed, never the value, which may be secret."""


class ProjectSettings(BaseSettings):
    """Settings of one package. An empty value counts as not set; the environment takes precedence over the file."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    @classmethod
    def load(cls) -> Self:
        """The settings, read now.

        Raises:
            SettingsError: names every variable that is wrong.
        """
        try:
            return cls(_env_file=env_file())
        except ValidationError as error:
            prefix = cls.model_config.get("env_prefix", "")
            wrong = "; ".join(
                f"{prefix}{each['loc'][0]}".upper() + f": {each['msg'].removeprefix('Value error, ')}"
                for each in error.errors(include_input=False, include_url=False)
            )
            raise SettingsError(f"{wrong}. Correct it in the environment of the worker, or in .env") from None
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"{env_file()} cannot be read: it must be text in UTF-8") from None
