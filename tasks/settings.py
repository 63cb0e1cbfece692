"""Settings as every package of tasks reads them: a wrong one is one sentence that names the variable.

Each package owns its settings; only how they are read is the same everywhere.
"""

from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

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
