"""The settings of what `make up` runs, for commands beside it: doctor and metrics."""

import contextlib
import os
from pathlib import Path

import psutil

from db.engine import database_settings, engine, lock_engine
from db.settings import FILE
from tasks.json_log import PREFECT_SETTINGS, log_settings
from tasks.notify.channels import notify_settings
from tasks.prefect_server import export_secrets, state_of_make_up

NOT_INHERITED = {"PATH", "HOME", "PWD", "SHLVL", "_", "TERM", "LANG", "SHELL", "USER", "LOGNAME"}
NOT_INHERITED |= {"LOG_FORMAT", *PREFECT_SETTINGS}  # make up may log for programs, and doctor for people


def inherit_settings(data_dir: Path) -> None:
    """Take the settings that are not set here from the processes of `make up`: database, server, channels."""
    state = state_of_make_up(data_dir) or {"children": {}}
    for child in state["children"].values():
        with contextlib.suppress(psutil.Error, OSError, KeyError):
            process = psutil.Process(child["pid"])
            if process.create_time() == child["create_time"]:
                for name, value in process.environ().items():
                    if name not in NOT_INHERITED and not _other_form(name) & os.environ.keys():
                        os.environ.setdefault(name, value)
    export_secrets()
    if auth := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        os.environ.setdefault("PREFECT_API_AUTH_STRING", auth)
    os.environ.setdefault("PREFECT_HOME", str(data_dir / "prefect"))
    for cached in (database_settings, notify_settings, log_settings, engine, lock_engine):
        cached.cache_clear()


def _other_form(variable: str) -> set[str]:
    """The variables that set the same secret: itself, or a file that holds it."""
    return {variable.removesuffix(FILE)} if variable.endswith(FILE) else {variable + FILE}
