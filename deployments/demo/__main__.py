"""The command: python -m deployments.demo.

It serves the demo ministry on loopback. The worker of `make up` monitors it on four days, which pass within seconds:
each run stands for a slot of the last three days.
"""

import sys
import time
from datetime import UTC, datetime, timedelta

import httpx

from db import task_run_status
from db.display import redacted_in
from db.engine import DatabaseError, database_settings, transaction
from db.errors import JobError, UserError
from deployments.demo.ministry import BROKEN_DAY, DAYS, SOURCE, DemoMinistry, serving
from deployments.prefect_api import MONITOR, PrefectApi, RunState, api_in_use
from tasks.slot import SCHEDULED, tag

_DAY_DESCRIPTIONS = {
    1: "the first look at the list",
    2: "Vienna has moved, Tokyo has a new head of mission, Lyon is gone from the list",
    BROKEN_DAY: "the website is broken: most missions are missing",
    4: "the website works again",
}
_POLL = 0.5  # seconds
_RUN_TIMEOUT_SECONDS = 180  # seconds a run may take: the worker may be busy


def main() -> int:
    """Run the demo; returns 0, or 1 with one sentence about what is missing."""
    try:
        server = api_in_use(database_settings().data_dir)
        if server is None:
            raise UserError("make up does not run: start it in another terminal, then make demo again")
        deployment = server.deployment_id(MONITOR)
        if deployment is None:
            raise UserError(f"the server {server.url} has no deployment {MONITOR}: run python -m deployments.deploy")
        now = datetime.now(UTC).replace(microsecond=0)
        with serving() as ministry:
            print(f"The demo ministry of Norvania: {ministry.url}/missions", flush=True)
            for day in DAYS:
                ministry.day = day
                _monitor(server, deployment, ministry, now - timedelta(days=DAYS[-1] - day))
    except JobError as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    except httpx.HTTPError as error:
        print(
            f"make demo: the Prefect server does not answer as expected ({redacted_in(error)}): see make doctor",
            file=sys.stderr,
        )
        return 1
    return 0


def _monitor(server: PrefectApi, deployment: str, ministry: DemoMinistry, slot: datetime) -> None:
    """One day: start the run of the slot, wait until it has ended, print its digest."""
    run = server.create_run(
        deployment, parameters={"source": SOURCE, "base_url": ministry.url}, tags=[SCHEDULED, tag(slot)]
    )
    page = f"{server.url.removesuffix('/api')}/runs/flow-run/{run}"
    print(f"\nDay {ministry.day}, {slot:%A %d %B}: {_DAY_DESCRIPTIONS[ministry.day]}\n{page}", flush=True)
    state = _ended(server, run)
    if state.type != "COMPLETED":
        raise UserError(f"the run ended as {state.name}: {state.message}")
    print(_indented(_digest(run) or state.message), flush=True)


def _ended(server: PrefectApi, run: str) -> RunState:
    deadline = time.monotonic() + _RUN_TIMEOUT_SECONDS
    while not (state := server.run_state(run)).final:
        if time.monotonic() > deadline:
            waited = f"after {_RUN_TIMEOUT_SECONDS} s"
            raise UserError(f"the run is {state.name} {waited}: is a worker running? See make doctor")
        time.sleep(_POLL)
    return state


def _digest(run: str) -> str | None:
    """What the run notified people of, from the database; None if this is not the database of the worker."""
    try:
        with transaction() as connection:
            result = task_run_status.result_of(connection, run)
    except DatabaseError:
        return None
    return (result or {}).get("told")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
