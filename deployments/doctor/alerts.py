"""Alerts of doctor --notify: each channel is notified once when a check starts to fail, and once when it passes again.

Which channel knows of which failure is stored in DATA_DIR/doctor.json or, if that disk is full, on another disk.
"""

import contextlib
import errno
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from db.private_files import CLOSED, NotPrivateError, is_own, make_data_dir
from deployments.doctor.findings import Finding
from tasks.notify.channels import ChannelError, Channels, send
from tasks.notify.message import Line, Message, Section

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only a directory that no other user can write to is used
FILE = "doctor.json"


class AlertMemory:
    """The failures that were reported: check -> since when, and the channels that were notified."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._elsewhere = other_disks(data_dir)
        self.reported: dict[str, dict[str, Any]] = {}
        newest = 0
        for directory in (*filter(is_own, [data_dir]), *filter(_is_private, self._elsewhere)):
            with contextlib.suppress(OSError, ValueError):
                written = (directory / FILE).stat().st_mtime_ns
                if written > newest:
                    self.reported, newest = dict(json.loads((directory / FILE).read_text())), written

    def save(self) -> None:
        """Write the file: either all of it, or nothing.

        Raises:
            OSError: no disk has space for it.
        """
        try:
            with contextlib.suppress(NotPrivateError):
                make_data_dir(self._data_dir)
            if not is_own(self._data_dir):
                raise PermissionError(errno.EACCES, "it belongs to another user", str(self._data_dir))
            self._write(self._data_dir)
        except OSError:
            for directory in self._elsewhere:
                with contextlib.suppress(OSError):
                    directory.mkdir(mode=CLOSED, exist_ok=True)
                    if _is_private(directory):
                        return self._write(directory)
            raise

    def _write(self, directory: Path) -> None:
        new = directory / "doctor.new"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(json.dumps(self.reported, indent=1))
        new.replace(directory / FILE)


def other_disks(data_dir: Path) -> list[Path]:
    """Directories for the file of `data_dir` on other disks. If every disk is full, tempfile finds none."""
    name = f"embassy-jobs-{os.getuid()}-{hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:16]}"
    with contextlib.suppress(OSError):
        return [Path(tempfile.gettempdir(), name), SHARED_MEMORY / name]
    return [SHARED_MEMORY / name]


def _is_private(directory: Path) -> bool:
    """Whether this is a real directory of this user that no other user can enter."""
    return is_own(directory) and not directory.is_symlink() and stat.S_IMODE(directory.stat().st_mode) == CLOSED


def send_alerts(findings: Sequence[Finding], memory: AlertMemory, configured: Channels, now: datetime) -> list[str]:
    """Report new failures and recoveries to each channel, once; returns why a channel did not accept a message."""
    failed = [each for each in findings if each.verdict == "failed" and each.alert]
    names = {each.check for each in failed}
    for name in names:
        memory.reported.setdefault(name, {"since": now.isoformat(timespec="seconds"), "channels": []})
    over = {each.check for each in findings if each.verdict != "unknown"} & set(memory.reported) - names
    problems = []
    for channel in configured.usable:
        known = {name for name, about in memory.reported.items() if channel.id in about["channels"]}
        new = [each for each in failed if each.check not in known]
        recovered = {name: memory.reported[name]["since"] for name in sorted(over & known)}
        try:
            for message in filter(None, (_failures(new), _recoveries(recovered))):
                send(channel, message.title, message.plain(), message.markdown())
        except ChannelError as failure:
            problems.append(str(failure))
            continue
        for name in names - known:
            memory.reported[name]["channels"].append(channel.id)
        for name in recovered:
            memory.reported[name]["channels"].remove(channel.id)
    usable = {channel.id for channel in configured.usable}
    for name in over:  # kept while a channel must still be notified of the recovery
        if not usable & set(memory.reported[name]["channels"]):
            del memory.reported[name]
    return problems


def _failures(findings: Sequence[Finding]) -> Message | None:
    if not findings:
        return None
    lines = tuple(Line(each.check, f"{each.text}. What to do: {each.advice}") for each in findings)
    return Message(
        f"embassy-jobs: check failed: {', '.join(dict.fromkeys(each.check for each in findings))}",
        "The jobs need this. A message will follow when the check passes again.",
        (Section("", lines),),
        "This command shows all checks:",
        "python -m deployments.doctor",
    )


def _recoveries(recovered: dict[str, str]) -> Message | None:
    """`recovered`: check -> since when it failed."""
    if not recovered:
        return None
    lines = tuple(Line(name, f"failed since {since}") for name, since in recovered.items())
    return Message(f"embassy-jobs: check passed again: {', '.join(recovered)}", "", (Section("", lines),))
