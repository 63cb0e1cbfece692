"""deployments/monitoring: the rules and the dashboard use metrics that exist, and each alert fires when it should."""

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from support.project import ROOT

from deployments.metrics import PREFIX, JobMetrics

FILES = ROOT / "deployments" / "monitoring"
DOCS = (ROOT / "docs" / "observe.md").read_text()
_NAME = re.compile(rf"\b({PREFIX}\w+)(\{{[^}}]*\}})?")
HOUR, DAY = 60, 1440  # in minutes, the interval of the series below


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text())
    return found


def exposed() -> dict[str, set[str]]:
    """Metric -> the names of its labels."""
    return {
        f"{family.name}{'_total' if family.type == 'counter' else ''}": set(vars(family)["_labelnames"])
        for family in JobMetrics().collect()
    }


def used(expression: str) -> dict[str, set[str]]:
    """Metric -> the labels by which it is selected."""
    return {name: set(re.findall(r"(\w+)[!=]=?~?\"", labels)) for name, labels in _NAME.findall(expression)}


def test_the_rules_and_the_dashboard_use_metrics_and_labels_that_exist(database: str) -> None:
    known = exposed()
    assert len(known) > 20
    targets = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    for expression in (*targets, *(rule["expr"] for rule in rules())):
        metrics = used(expression)
        assert metrics, expression
        for name, labels in metrics.items():
            assert name in known, expression
            assert labels <= known[name], expression


def test_the_page_lists_every_metric_with_its_labels(database: str) -> None:
    listed = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(rf"^\| `({PREFIX}\w+)` \|([^|]*)\|", DOCS, re.MULTILINE)
    }
    assert listed == exposed()


def test_each_rule_says_what_happened_and_the_page_says_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
    assert re.findall(r"^\| `(EmbassyJobs\w+)` \|", DOCS, re.MULTILINE) == names


def test_the_panels_of_the_dashboard_have_titles_and_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["datasource"]["uid"] == "${datasource}"  # chosen when it is imported
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        assert not all(
            one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
            for start, size in (("x", "w"), ("y", "h"))
        ), (one, other)


# ---------------------------------------------------------------------- with Prometheus' own tool


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is missing: apt install prometheus")
    return found


@pytest.mark.slow
def test_prometheus_accepts_the_names_and_types_of_the_metrics(promtool: str, database: str) -> None:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(JobMetrics())
    checked = subprocess.run([promtool, "check", "metrics"], input=generate_latest(registry), capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.slow
def test_each_alert_fires_for_its_trouble_and_not_without(promtool: str, tmp_path: Path) -> None:
    series = {  # name of the metric with its labels -> its values, one a minute; "well": where there is no trouble
        "embassy_jobs_up": "0x3000",
        'embassy_jobs_last_success_timestamp_seconds{job="mofa_monitoring",subject="japan"}': "0x3000",
        'embassy_jobs_last_success_timestamp_seconds{job="import_crm_data",subject="once.xlsx"}': "0x3000",
        'embassy_jobs_last_success_timestamp_seconds{job="import_crm_data",subject="nightly.xlsx"}': "0+60x3000",
        'embassy_jobs_last_success_timestamp_seconds{job="watchdog",subject=""}': "0x3000",
        'embassy_jobs_incidents_open{job="mofa_monitoring"}': "1x3000",
        'embassy_jobs_incidents_open{job="import_crm_data"}': "0x3000",
        'embassy_jobs_runs_total{job="mofa_monitoring",subject="japan",outcome="missed"}': f"0x{DAY} 1x1560",
        'embassy_jobs_runs_total{job="import_crm_data",subject="nightly.xlsx",outcome="completed"}': f"0x{DAY} 9x1560",
        'embassy_jobs_last_import_rows{subject="bad.xlsx",verdict="rejected"}': "2x3000",
        'embassy_jobs_last_import_rows{subject="bad.xlsx",verdict="inserted"}': "8x3000",
        'embassy_jobs_last_import_rows{subject="good.xlsx",verdict="rejected"}': "1x3000",
        'embassy_jobs_last_import_rows{subject="good.xlsx",verdict="inserted"}': "99x3000",
        'embassy_jobs_held_set_timestamp_seconds{source="japan"}': "0x3000",
        'embassy_jobs_held_set_timestamp_seconds{source="france"}': "0+60x3000",
        "embassy_jobs_notifications_oldest_pending_age_seconds": "0+60x3000",
        'embassy_jobs_watchdog_actions_total{action="runs_backfilled"}': f"0x{DAY} 9x1560",
        'embassy_jobs_watchdog_actions_total{action="imports_resumed"}': f"0x{DAY} 1x1560",
    }
    expected: dict[str, list[dict[str, str]]] = {
        "EmbassyJobsNoMetrics": [],
        "EmbassyJobsDatabaseDown": [{}],
        "EmbassyJobsNoSuccess": [{"job": "mofa_monitoring"}],
        "EmbassyJobsWatchdogSilent": [{}],
        "EmbassyJobsIncident": [{"job": "mofa_monitoring"}],
        "EmbassyJobsRunsNotStarted": [{"job": "mofa_monitoring"}],
        "EmbassyJobsManyRejects": [{"subject": "bad.xlsx"}],
        "EmbassyJobsSetHeld": [{"source": "japan"}],
        "EmbassyJobsOutboxWaits": [{}],
        "EmbassyJobsManyRestarts": [{"action": "runs_backfilled"}],
    }
    assert list(expected) == [rule["alert"] for rule in rules()]
    at = f"{2 * DAY}m"
    fired = firing(promtool, tmp_path, series, at)
    assert fired == {name: labels for name, labels in expected.items() if labels}
    assert firing(promtool, tmp_path, {"another": "1x3000"}, at) == {"EmbassyJobsNoMetrics": [{}]}


def firing(promtool: str, directory: Path, series: dict[str, str], at: str) -> dict[str, list[dict[str, str]]]:
    """Alert -> the labels of each that fires at that time, without its severity."""
    shutil.copy(FILES / "alerts.yaml", directory)
    wanted = [{"eval_time": at, "alertname": rule["alert"], "exp_alerts": []} for rule in rules()]
    test = {
        "rule_files": ["alerts.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": wanted,
            }
        ],
    }
    file = directory / "test.yaml"
    file.write_text(yaml.safe_dump(test))
    said = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True)
    found: dict[str, list[dict[str, str]]] = {}
    for labels in re.findall(r"Labels:\{(.*?)\}", said.stdout + said.stderr):
        each = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        del each["severity"]
        found.setdefault(each.pop("alertname"), []).append(each)
    return found
