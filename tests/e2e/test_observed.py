"""`make up`, and a worker that an operator starts, with logs as JSON and with metrics."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.json_lines import lines
from support.loopback import free_port
from support.make_up import environment, new_data_dir, start
from support.metrics import answer_of, parsed
from support.project import ROOT
from support.waiting import until

from deployments.work_pool_settings import work_pool_settings
from tasks.json_log import PREFECT_SETTINGS

IMPORT = "import_crm_data"


@pytest.mark.slow
def test_make_up_writes_json_and_serves_metrics(migrated_prefect: Path) -> None:
    port = free_port()
    with new_data_dir(migrated_prefect) as data_dir:
        started = start(data_dir, LOG_FORMAT="json", METRICS_PORT=str(port))
        started.expect("import Completed", 180)
        until(lambda: "Finished in state" in (data_dir / "logs" / "worker.log").read_text(), "the end in the log")
        page = parsed(until(answer_of(port), "an answer"))
        [(subject, verdicts)] = {
            labels[0]: {each[1]: value for (name, each), value in page.items() if name == "last_import_rows"}
            for name, labels in page
            if name == "last_import_rows"
        }.items()
        assert page["runs_total", (IMPORT, "completed", subject)] == 1

        of_import = [each for each in lines_of(data_dir, "worker") if each.get("subject") == subject]
        assert {each["job"] for each in of_import} == {IMPORT}
        assert len({each["flow_run_id"] for each in of_import}) == 1
        [report] = [each for each in of_import if "inserted" in each.get("counts", {})]
        assert {name: report["counts"][name] for name in verdicts} == verdicts
        assert report["import_id"] > 0
        with started.api() as api:  # the server has the log of the run too, as text, once the run has sent it
            until(lambda: report["message"] in messages(api), "the report on the server")

        worker_runs_and_stops(started.client_settings(), data_dir)
        assert started.stop() == 0

        assert lines(started.text())
        logs = {path.stem: lines_of(data_dir, path.stem) for path in (data_dir / "logs").glob("*.log")}
        assert {"deploy", "metrics", "server", "worker"} <= set(logs)
        assert logs["server"]


def lines_of(data_dir: Path, name: str) -> list[dict[str, Any]]:
    return lines((data_dir / "logs" / f"{name}.log").read_text())


def messages(api: httpx.Client) -> set[str]:
    return {each["message"] for each in api.post("/logs/filter", json={}).raise_for_status().json()}


def worker_runs_and_stops(server: dict[str, str], home: Path) -> None:
    """A worker that an operator starts, with the one setting of docs/observe.md."""
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "prefect",
            "worker",
            "start",
            "--pool",
            work_pool_settings().work_pool,
            "--name",
            "another",
        ],
        cwd=ROOT,
        env=environment(PREFECT_HOME=str(home / "another"), **server, **PREFECT_SETTINGS),
        stdout=(home / "out.txt").open("wb"),
        stderr=(home / "err.txt").open("wb"),
    ) as worker:
        until(lambda: "started" in (home / "out.txt").read_text(), "the worker has started")
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    assert lines((home / "out.txt").read_text())
    lines((home / "err.txt").read_text())
