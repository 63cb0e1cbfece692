"""watchdog: the jobs come back by themselves, and silence is noticed.

python -m deployments.doctor looks at what the watchdog itself needs.
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


@flow(name="watchdog", flow_run_name="watchdog", log_prints=False)
@admission()
def watchdog() -> State[Any]:
    """Start again what was lost, tell what is silent, deliver what could not be delivered, remove old traces."""
    now = datetime.now(UTC)
    try:
        watched = [job for job in steps.jobs() if job.name != steps.WATCHDOG]
    except JobError as refusal:
        return Failed(message=str(refusal))
    work = (
        ("imports gone on with", steps.go_on_with_abandoned, (watched, now)),
        ("slots made up for", steps.make_up_lost_slots, (watched, now)),
        ("jobs late", steps.listen_for_silence, (watched, now)),
        ("sets held", steps.remind_of_held, (now,)),
        ("old traces removed", steps.remove_old_traces, (now,)),
    )
    done: dict[str, int] = {}
    refused = []
    for what, step, arguments in work:  # what cannot be done keeps nothing else from being done
        try:
            done[what] = run(step, *arguments)
        except JobError as refusal:
            refused.append(str(refusal))
        except Exception as fault:  # noqa: BLE001 - ours, or a deployment's; the traceback is in the log of the step
            refused.append(f"{what}: {type(fault).__name__}: {fault}")
    deliver()
    told = ", ".join(f"{number} {what}" for what, number in done.items())
    return Failed(message="; ".join(refused)) if refused else Completed(message=told, data=done)
