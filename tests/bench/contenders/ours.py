"""import_crm_data through Prefect, of which PREFECT_API_URL names a running server; and twice with less, to compare."""

import os
import time
from importlib import import_module
from typing import Any
from unittest.mock import patch

from landed import Landed
from prefect import Task
from prefect.logging import disable_run_logger

from flows.import_crm_data import import_crm_data
from tasks.crm import steps

# Prefect imports these when a flow first runs.
for module in (
    "anyio._backends._asyncio",
    "fastapi.encoders",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.utilities.visualization",
):
    import_module(module)


def run(workbook: str) -> Landed:
    state = import_crm_data(workbook, return_state=True)
    late = time.time() - state.timestamp.timestamp()
    if not state.is_completed():
        raise SystemExit(state.message)
    [report] = state.result()
    return _landed(report, late)


def on_one_core(workbook: str) -> Landed:
    """The flow and its reading process share a core; the database and Prefect's server may take the others."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return run(workbook)


def without_prefect(workbook: str) -> Landed:
    """The same steps as plain functions: no run, no cached results, no page."""

    def plain(step: Task[Any, Any], *given: Any) -> Any:
        return step.fn(*given)

    with (
        disable_run_logger(),
        patch.object(steps, "run", plain),
        patch.object(steps, "ProgressBar"),
        steps.reading_process() as process,
    ):
        copy = plain(steps.fetch_workbook, workbook, process.directory)
        with steps.once(copy, steps.HowToRead(), None, preview=False) as once:
            staged = steps.gather(copy, once.claim, steps.HowToRead(), process)
            once.result = plain(steps.judge_and_apply, staged, once.claim, False)
    return _landed(once.result)


def _landed(report: dict[str, Any], late: float = 0.0) -> Landed:
    return Landed("contacts", aside=report["duplicate"] + report["rejected"], late=late)
