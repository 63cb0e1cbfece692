"""Who may use the Prefect server of `make up`: whoever has its password, because its API runs any command."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from db.private_files import NotPrivateError, read_private, write_private
from deployments.up.settings import StartError
from tasks.prefect_server import PASSWORD_FILE

_AUTH, _CLIENT_AUTH = "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"
_ORIGINS = ("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS")


def access(data_dir: Path, given: Mapping[str, str], port: int) -> dict[str, str]:
    """The environment of the server and its clients: the password, and the origins whose pages may use the API.

    Settings of the operator are kept: a password of their own is not stored.

    Args:
        data_dir: DATA_DIR, where the password is kept from one start to the next.
        given: the settings of the operator, from the environment and .env.
        port: of the server.

    Raises:
        StartError: the password cannot be stored.
    """
    auth = given.get(_AUTH) or _password(data_dir / PASSWORD_FILE)
    settings = {_AUTH: auth, _CLIENT_AUTH: auth}
    if not any(given.get(name) for name in _ORIGINS):
        settings[_ORIGINS[0]] = f"http://127.0.0.1:{port},http://localhost:{port}"
    return settings


def has_own_password(given: Mapping[str, str]) -> bool:
    """Whether the server gets the password of PASSWORD_FILE, because the operator has set none."""
    return not given.get(_AUTH)


def _password(file: Path) -> str:
    """The password in the file, which is made if there is none."""
    try:
        # A file of another user is replaced, because that user knows its password.
        with suppress(FileNotFoundError, NotPrivateError):
            if found := read_private(file).strip():
                return found
        write_private(file, f"admin:{secrets.token_urlsafe(24)}\n")
        return read_private(file).strip()
    except OSError as error:
        raise StartError(
            f"the password of the Prefect server cannot be kept in {file} ({error.strerror}). Delete that file, or set "
            f"{_AUTH}=user:password"
        ) from error
