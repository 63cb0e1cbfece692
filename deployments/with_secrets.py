"""Runs one of Prefect's programs with the secrets that files hold, which Prefect itself does not read.

    python -m deployments.with_secrets prefect worker start --pool crm-pool

The command gets PREFECT_API_AUTH_STRING from the file that PREFECT_API_AUTH_STRING_FILE names, and so on. It takes the
place of this process, so that signals reach it.
"""

import os
import sys
from pathlib import Path

SECRETS = (
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_SERVER_DATABASE_PASSWORD",
    "PREFECT_REDIS_MESSAGING_PASSWORD",
)


def main() -> int:
    """Become the command; returns an exit code if that is not possible."""
    command = sys.argv[1:]
    if not command:
        print("Usage: python -m deployments.with_secrets COMMAND [ARGUMENT ...]", file=sys.stderr)
        return 2
    for name in SECRETS:
        if file := os.environ.pop(f"{name}_FILE", None):
            try:
                os.environ[name] = Path(file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                print(f"{name}_FILE names a file that cannot be read", file=sys.stderr)
                return 1
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command that was asked for
    except OSError as error:
        print(f"{command[0]} cannot be run: {error.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main())
