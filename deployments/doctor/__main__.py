"""The command: python -m deployments.doctor."""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import psutil

from db.engine import DatabaseError, database_settings, engine, lock_engine
from db.settings import FILE, SettingsError
from deployments.doctor.alerts import AlertMemory, send_alerts
from deployments.doctor.checks import NAMES, check_all
from deployments.doctor.findings import EXIT_CODES, Finding, Verdict
from tasks.notify.channels import channels, notify_settings
from tasks.prefect_server import export_secrets, state_of_make_up

RECHECK_SECONDS = 20  # before --notify reports a failure: make up restarts what has died
NOT_INHERITED = {"PATH", "HOME", "PWD", "SHLVL", "_", "TERM", "LANG", "SHELL", "USER", "LOGNAME"}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.doctor",
        description="Checks everything that the jobs need. Exit code 0: all is well; 1: something needs attention; "
        "2: a check fails.",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--notify", action="store_true", help="report failures and recoveries to NOTIFY_URLS, once")
    parser.add_argument(
        "--only", type=_checks, default=NAMES, metavar="CHECK,CHECK", help=f"make only these of {', '.join(NAMES)}"
    )
    given = parser.parse_args(arguments)
    if given.notify and given.only != NAMES:
        parser.error("--notify reports about all checks: leave out --only")
    try:
        data_dir = database_settings().data_dir
        inherit_settings(data_dir)
        findings = check_all(data_dir, given.only)
        if given.notify:
            findings = _after_alerts(data_dir, findings, time.sleep)
    except (DatabaseError, SettingsError) as error:
        findings = [Finding("settings", "failed", str(error), "correct it")]
    print(json.dumps([asdict(each) for each in findings], indent=1)) if given.json else _show(findings)
    return max(EXIT_CODES[each.verdict] for each in findings)


def _checks(names: str) -> tuple[str, ...]:
    """The names in the value of --only; argparse shows the error."""
    given = tuple(name.strip() for name in names.split(","))
    if unknown := sorted(set(given) - set(NAMES)):
        raise argparse.ArgumentTypeError(f"there is no check {', '.join(unknown)}")
    return given


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
    for cached in (database_settings, notify_settings, engine, lock_engine):
        cached.cache_clear()


def _other_form(variable: str) -> set[str]:
    """The variables that set the same secret: itself, or a file that holds it."""
    return {variable.removesuffix(FILE)} if variable.endswith(FILE) else {variable + FILE}


def _after_alerts(data_dir: Path, findings: list[Finding], wait: Callable[[float], None]) -> list[Finding]:
    """Send the alerts; returns the findings, made again if there was a new failure, and those about the alerts."""
    memory = AlertMemory(data_dir)
    if any(each.verdict == "failed" and each.alert and each.check not in memory.reported for each in findings):
        wait(RECHECK_SECONDS)
        findings = check_all(data_dir, NAMES)
    try:
        problems = send_alerts(findings, memory, channels(), datetime.now(UTC))
        memory.save()
    except (SettingsError, OSError) as error:
        problems = [str(error)]
    return [*findings, *(Finding("alerts", "failed", each, "correct NOTIFY_URLS or DATA_DIR") for each in problems)]


def _show(findings: Sequence[Finding]) -> None:
    marks: dict[Verdict, str] = {"ok": "ok", "warning": "WARNING", "failed": "FAILED", "unknown": "?"}
    for each in findings:
        print(f"{marks[each.verdict]:<8}{each.check:<12} {each.text}")
        if each.verdict in {"warning", "failed"} and each.advice:
            print(f"{'':<20} → {each.advice}")


if __name__ == "__main__":
    sys.exit(main())
