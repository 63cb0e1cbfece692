"""prefect.yaml: what `prefect deploy` does not check (it deploys a flow that cannot be imported without a word)."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.project import ROOT

DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
# name of deployment: its cron; a name that others rely on
NAMES = {"import-crm-data": "0 2 * * *", "mofa-monitoring": "0 3 * * *", "watchdog": "*/15 * * * *"}
each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])

LOAD = """
import sys, inspect
from prefect.flows import load_flow_from_entrypoint
for entrypoint in sys.argv[1:]:
    flow = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    print(flow.name, *inspect.signature(flow.fn).parameters)
"""


def test_everything_that_others_rely_on_is_deployed() -> None:
    assert set(NAMES) <= {deployment["name"] for deployment in DEPLOYMENTS}


def test_each_entry_point_loads_from_any_directory_and_takes_its_parameters(tmp_path: Path) -> None:
    """In another process, elsewhere: as a worker does it."""
    env = os.environ | {"PREFECT_HOME": str(tmp_path)}
    command = [sys.executable, "-c", LOAD, *(deployment["entrypoint"] for deployment in DEPLOYMENTS)]
    loaded = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert loaded.returncode == 0, loaded.stderr
    for deployment, line in zip(DEPLOYMENTS, loaded.stdout.splitlines(), strict=True):
        name, *parameters = line.split()
        assert deployment["entrypoint"] == f"flows.{name}.{name}", "file, flow and entry point share one name"
        assert set(deployment["parameters"]) <= set(parameters)


@each_deployment
def test_each_deployment_can_be_repeated_and_run_anywhere(deployment: dict[str, Any]) -> None:
    assert deployment["pull"] == [], "else the directory of whoever deploys is baked in"
    assert "work_pool" not in deployment, "python -m deployments.deploy decides which"
    assert deployment["enforce_parameter_schema"] is True
    assert deployment["description"]
    assert deployment["schedules"]
    for schedule in deployment["schedules"]:
        assert schedule["slug"], "without it each deploy adds a schedule"
        assert schedule["timezone"] == "{{ $TASK_TIMEZONE }}"
    if deployment["name"] in NAMES:
        assert [schedule["cron"] for schedule in deployment["schedules"]] == [NAMES[deployment["name"]]]
