"""`make service`: systemd user units for `make up`, and for doctor on a timer.

    python -m deployments.service [--to DIRECTORY]

Without --to the units are written to the user's directory of systemd and enabled. With --to they are only written.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from db.errors import UserError
from tasks.exit_status import exit_status

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = Path(__file__).with_name("systemd")
UP, TIMER = "embassy-jobs.service", "embassy-jobs-doctor.timer"
REMOVE = f"systemctl --user disable --now {UP} {TIMER} && rm {{place}}/embassy-jobs*"


class SystemdError(UserError):
    """systemd cannot be used by this user; the message is one plain sentence."""


def write(place: Path) -> list[Path]:
    """Write the units into a directory, over earlier ones; returns their paths."""
    place.mkdir(parents=True, exist_ok=True)
    written = []
    for template in sorted(TEMPLATES.glob("embassy-jobs*")):
        unit = template.read_text()
        for name, value in {"@ROOT@": str(ROOT), "@PYTHON@": sys.executable}.items():
            unit = unit.replace(name, value.replace("%", "%%"))
        written.append(place / template.name)
        written[-1].write_text(unit)
    return written


def enable() -> None:
    """Let systemd start the units now, and whenever the systemd of this user starts.

    Raises:
        SystemdError: systemd is not installed, or does not run for this user.
    """
    for command in (["daemon-reload"], ["enable", "--now", UP, TIMER]):
        try:
            done = subprocess.run(["systemctl", "--user", *command], capture_output=True, text=True, check=False)
        except OSError as error:
            raise SystemdError("there is no systemd on this machine") from error
        if done.returncode:
            reason = " ".join(done.stderr.split()) or exit_status(done.returncode)
            raise SystemdError(f"systemd does not accept the units: {reason}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m deployments.service", description="make up as a systemd service.")
    parser.add_argument("--to", type=Path, help="only write the units into this directory")
    given = parser.parse_args(arguments)
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    place = given.to or config / "systemd" / "user"
    try:
        for unit in write(place):
            print(f"written    {unit}")
        if given.to is None:
            enable()
    except SystemdError as problem:
        print(
            f"make service: {problem}. The units are written, but nothing starts them: start make up in\n"
            "another way when the machine starts, and python -m deployments.doctor --notify from cron.",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        print(f"make service: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    if given.to is None:
        print(f"enabled    {UP} and {TIMER}; to start them without a login: loginctl enable-linger")
        print(f"look       systemctl --user status {UP}; journalctl --user -u {UP}")
        print(f"remove     {REMOVE.format(place=shlex.quote(str(place)))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
