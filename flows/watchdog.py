"""watchdog: automatic recovery of the jobs, and alerts for jobs that are overdue.

`python -m deployments.doctor` checks what the watchdog itself needs.
"""

from datetime import UTC, datetime
from typing import Any

from prefect import State, flow
from prefect.states import Completed, Failed

from db.errors import JobError
from flows.admission import admission
from tasks.notify.steps import deliver
from tasks.step import run
from tasks.watch import steps
from tasks.watch.prefect_runs import WATCHDOG, jobs


@flow(name="watchdog", flow_run_name="watchdog", log_prints=False)
@admission()
def watchdog() -> State[Any]:
    """Restart lost runs, report overdue jobs, deliver waiting messages, remove old data."""
    now = datetime.now(UTC)
    try:
        watched = [job for job in jobs() if job.name != WATCHDOG]
    except JobError as error:
        return Failed(message=str(error))
    work = (
        ("imports resumed", steps.resume_abandoned_imports, (watched, now)),
        ("runs backfilled", steps.backfill_missed_runs, (watched, now)),
        ("jobs silent", steps.check_overdue, (watched, now)),
        ("sets held", steps.remind_of_held_sets, (now,)),
        ("old rows and files removed", steps.remove_old_data, (now,)),
    )
    done: dict[str, int] = {}
    refused = []
    for what, step, arguments in work:  # a step that fails does not keep the others from running
        try:
            done[what] = run(step, *arguments)
        except JobError as error:
            refused.append(str(error))
        except Exception as fault:  # noqa: BLE001 - a fault in one step; its traceback is in the step's log
            refused.append(f"{what}: {type(fault).__name__}: {fault}")
    deliver()
    steps.record_actions(done)
    counts = ", ".join(f"{number} {what}" for what, number in done.items())
    return Failed(message="; ".join(refused)) if refused else Completed(message=counts, data=done)
