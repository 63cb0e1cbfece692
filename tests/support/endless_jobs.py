"""Jobs that run until they are stopped, sync and async; for processes of processes.py."""

import asyncio
import time

from prefect import flow
from prefect.runtime import flow_run

from db.task_runs import idempotent_once
from flows.admission import admission


@flow(name="a_job")
@admission()
def a_sync_job() -> None:
    with idempotent_once("a_job", "a unit", flow_run_id=flow_run.id):
        time.sleep(120)


@flow(name="a_job")
@admission()
async def an_async_job() -> None:
    async with idempotent_once("a_job", "a unit", flow_run_id=flow_run.id):
        await asyncio.sleep(120)


def run_async(*, return_state: bool) -> object:
    """As Prefect's engine runs an async flow: on a loop of the main thread."""
    return asyncio.run(an_async_job(return_state=return_state))  # type: ignore[call-overload]
