"""The base class of all settings: reads the environment and .env, and names each wrong variable in one sentence.

A setting of the type SecretStr is a secret: NAME_FILE names a file that holds its value, as Docker and Kubernetes give
secrets. No message shows a value, nor what NAME_FILE says: it may be the secret itself, by mistake.
"""

import os
import os.path
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from dotenv import dotenv_values
from pydantic import PrivateAttr, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.errors import UserError

ROOT = Path(__file__).parents[1]  # relative paths in settings start here, in whatever directory a worker runs
FILE = "_FILE"  # NAME_FILE names the file with the value of NAME
LARGEST_SECRET = 1 << 16  # bytes
_CORRECT = "Correct it in the environment of the worker, or in .env"


def env_file() -> Path:
    """The file with settings: SETTINGS_FILE, else .env in the project's directory."""
    return Path(os.environ.get("SETTINGS_FILE") or ROOT / ".env")


class SettingsError(UserError, ValueError):
    """A setting is wrong: the message names the variable and what is allowed, never the value, which may be secret."""


class ProjectSettings(BaseSettings):
    """Settings of one package. An empty value counts as not set; the environment takes precedence over the file."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)
    _in_files: frozenset[str] = PrivateAttr(default=frozenset())
    other_names: ClassVar[Mapping[str, str]] = {}  # NAME_FILE -> another name for it

    @classmethod
    def load(cls) -> Self:
        """The settings, read now.

        Raises:
            SettingsError: names every variable that is wrong.
        """
        try:
            secrets: dict[str, Any] = dict(cls._secrets_in_files())
            settings = cls(_env_file=env_file(), **secrets)
        except ValidationError as error:
            wrong = "; ".join(
                f"{cls.variable(str(each['loc'][0]))}: {each['msg'].removeprefix('Value error, ')}"
                for each in error.errors(include_input=False, include_url=False)
            )
            raise SettingsError(f"{wrong}. {_CORRECT}") from None
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"{env_file()} cannot be read: it must be text in UTF-8") from None
        settings._in_files = frozenset(secrets)
        return settings

    def is_in_file(self, *fields: str) -> bool:
        """Whether the value of one of these secrets is in a file, where it may change while the process runs."""
        return bool(self._in_files.intersection(fields))

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable of a field."""
        return f"{cls.model_config.get('env_prefix', '')}{field}".upper()

    @classmethod
    def _secrets_in_files(cls) -> Iterator[tuple[str, str]]:
        """Field and value of each secret that a file holds."""
        every = (os.environ, dotenv_values(env_file()))
        given = [{name.upper(): value for name, value in each.items()} for each in every]
        for field, described in cls.model_fields.items():
            variable = cls.variable(field)
            if is_secret(described):
                other_name = cls.other_names.get(variable + FILE)
                if found := secret_file((variable, variable + FILE, *filter(None, [other_name])), *given):
                    yield field, _content(*found)
            elif any(each.get(variable + FILE) for each in given):
                raise SettingsError(
                    f"{variable}{FILE}: {variable} is no secret and has no file: set {variable}. {_CORRECT}"
                )


def is_secret(field: FieldInfo) -> bool:
    """Whether the setting is a secret, which a file may hold."""
    return SecretStr in getattr(field.annotation, "__args__", (field.annotation,))


def secret_file(names: Sequence[str], *given: Mapping[str, str | None]) -> tuple[Path, str] | None:
    """The file that holds a secret, and the variable that names it; None if the secret is set itself, or not at all.

    Args:
        names: the variable of the secret, then those of its file.
        given: the environment and what .env says, of which the first that says anything takes precedence.

    Raises:
        SettingsError: one of them has several of the variables.
    """
    for each in given:
        found = [name for name in names if each.get(name)]
        if len(found) > 1:
            raise SettingsError(f"{' and '.join(found)} are both set: remove one of them. {_CORRECT}")
        if found == [names[0]]:
            return None
        if found:
            path = os.path.expanduser(each[found[0]] or "")  # noqa: PTH111 - pathlib raises for an unknown user
            return ROOT / path, found[0]
    return None


def _content(file: Path, variable: str) -> str:
    """The content of a file with a secret, without a byte order mark and without the newline at its end.

    Raises:
        SettingsError: names the variable and what is wrong with its file.
    """

    def wrong(what: str) -> SettingsError:
        return SettingsError(f"{variable} names a file {what}. {_CORRECT}")

    try:
        opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe is not waited for
        with os.fdopen(opened, "rb") as content:
            regular = stat.S_ISREG(os.fstat(opened).st_mode)
            data = content.read(LARGEST_SECRET + 1) if regular else b""
    except (FileNotFoundError, NotADirectoryError):
        raise wrong("that does not exist (a relative path starts in the project's directory)") from None
    except (OSError, ValueError) as error:
        raise wrong(f"that cannot be read ({getattr(error, 'strerror', None) or 'it is no path'})") from None
    if not regular:
        raise wrong("that is not a regular file")
    if len(data) > LARGEST_SECRET:
        raise wrong(f"of more than {LARGEST_SECRET} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise wrong("that is not text in UTF-8") from None
    if "\0" in text:
        raise wrong("that is not text: it contains a NUL byte")
    if not text.strip():
        raise wrong("that is empty")
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
