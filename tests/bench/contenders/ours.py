"""import_crm_data through Prefect, of which PREFECT_API_URL names a running server; and twice with less, to compare."""

import os
import time
from importlib import import_module
from typing import Any
from unittest.mock import patch

from loaded import Loaded
from prefect import Task
from prefect.logging import disable_run_logger

from flows.import_crm_data import import_crm_data
from tasks.crm import steps
from tasks.crm.worker_client import reading_process
from tasks.crm.worker_protocol import ReadOptions

# Prefect imports these when a flow first runs.
for module in (
    "anyio._backends._asyncio",
    "fastapi.encoders",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.utilities.visualization",
):
    import_module(module)


def run(workbook: str) -> Loaded:
    state = import_crm_data(workbook, return_state=True)
    late = time.time() - state.timestamp.timestamp()
    if not state.is_completed():
        raise SystemExit(state.message)
    [report] = state.result()
    return _loaded(report, late)


def on_one_core(workbook: str) -> Loaded:
    """The flow and its reading process share a core; the database and Prefect's server may take the others."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return run(workbook)


def without_prefect(workbook: str) -> Loaded:
    """The same steps as plain functions: no run, no cached results, no page."""

    def plain(step: Task[Any, Any], *given: Any) -> Any:
        return step.fn(*given)

    with (
        disable_run_logger(),
        patch.object(steps, "run", plain),
        patch.object(steps, "ProgressBar"),
        reading_process() as process,
    ):
        copy = plain(steps.fetch_workbook, workbook, process.directory)
        with steps.unit_of_work(copy, ReadOptions(), None, preview=False) as unit:
            staged = steps.stage_workbook(copy, unit.claim, ReadOptions(), process)
            unit.result = plain(steps.evaluate_and_commit, staged, unit.claim, False)
    return _loaded(unit.result)


def _loaded(report: dict[str, Any], late: float = 0.0) -> Loaded:
    return Loaded("contacts", aside=report["duplicate"] + report["rejected"], late=late)
