"""`python -m deployments.doctor` as a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.make_up import environment
from support.project import ROOT


def doctor(data_dir: Path, *arguments: str, **settings: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Exit code and findings by check, for a person who set nothing else."""
    ended = subprocess.run(
        [sys.executable, "-m", "deployments.doctor", "--json", *arguments],
        cwd=ROOT,
        env=environment(DATA_DIR=str(data_dir), **settings),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(ended.stdout):
        found.setdefault(each["check"], []).append(each)
    return ended.returncode, found


def failed(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    return [name for name, each in found.items() if any(one["verdict"] == "failed" for one in each)]
