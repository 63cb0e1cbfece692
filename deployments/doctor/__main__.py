"""The command: python -m deployments.doctor."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from db.engine import DatabaseError, database_settings
from db.settings import SettingsError
from deployments.doctor.alerts import AlertMemory, send_alerts
from deployments.doctor.checks import NAMES, check_all
from deployments.doctor.findings import EXIT_CODES, Finding, Verdict
from deployments.inherited_settings import inherit_settings
from tasks.json_log import line, use_log_format
from tasks.notify.channels import channels

RECHECK_SECONDS = 20  # before --notify reports a failure: make up restarts what has died


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
    as_json = False
    try:
        data_dir = database_settings().data_dir
        inherit_settings(data_dir)
        as_json = not given.json and use_log_format()
        findings = check_all(data_dir, given.only)
        if given.notify:
            findings = _after_alerts(data_dir, findings, time.sleep)
    except (DatabaseError, SettingsError) as error:
        findings = [Finding("settings", "failed", str(error), "correct it")]
    if given.json:
        print(json.dumps([asdict(each) for each in findings], indent=1))
    else:
        _log(findings) if as_json else _show(findings)
    return max(EXIT_CODES[each.verdict] for each in findings)


def _checks(names: str) -> tuple[str, ...]:
    """The names in the value of --only; argparse shows the error."""
    given = tuple(name.strip() for name in names.split(","))
    if unknown := sorted(set(given) - set(NAMES)):
        raise argparse.ArgumentTypeError(f"there is no check {', '.join(unknown)}")
    return given


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
        if advice := _advice(each):
            print(f"{'':<20} → {advice}")


def _advice(finding: Finding) -> str:
    return finding.advice if finding.verdict in {"warning", "failed"} else ""


def _log(findings: Sequence[Finding]) -> None:
    levels: dict[Verdict, str] = {"ok": "INFO", "warning": "WARNING", "failed": "ERROR", "unknown": "INFO"}
    for each in findings:
        about = {"check": each.check, "verdict": each.verdict, "advice": _advice(each)}
        print(line(each.text, levels[each.verdict], "deployments.doctor", **about))


if __name__ == "__main__":
    sys.exit(main())
