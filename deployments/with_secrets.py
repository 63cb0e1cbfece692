"""Runs one of Prefect's programs with the secrets that files hold, which Prefect itself does not read.

    python -m deployments.with_secrets prefect worker start --pool crm-pool

The command gets PREFECT_API_AUTH_STRING from the file that PREFECT_API_AUTH_STRING_FILE names, and so on for each
secret of Prefect in docs/settings.md. It takes the place of this process, so that signals reach it.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from db.settings import SettingsError
from tasks.prefect_server import export_secrets

NOT_FOUND = 127  # as a shell says it


def main(arguments: Sequence[str] | None = None) -> int:
    """Become the command; returns an exit code if that is not possible."""
    command = list(sys.argv[1:] if arguments is None else arguments)
    if not command:
        print("Usage: python -m deployments.with_secrets COMMAND [ARGUMENT …]", file=sys.stderr)
        return 2
    try:
        export_secrets()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    beside = shutil.which(command[0], path=str(Path(sys.executable).parent))  # a program of this environment
    try:
        os.execvp(beside or command[0], command)  # noqa: S606 - the command that was asked for
    except OSError as error:
        print(f"{command[0]} cannot be run: {error.strerror}", file=sys.stderr)
        return NOT_FOUND


if __name__ == "__main__":
    sys.exit(main())
