"""An office whose jobs get lost: deployments on a real Prefect server, runs in the state in which a death leaves them.

The runs are real processes (processes.py) that can be killed; a webhook (receivers.py) gets the notifications.
"""

import importlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_URL
from prefect.states import Scheduled
from support.databases import Database
from support.ministry import a_ministry
from support.processes import Job, Process, Stop
from support.receivers import Webhook

from flows.watchdog import watchdog
from tasks.admission_settings import admission_settings

HOUR = timedelta(hours=1)
IMPORT = "flows.import_crm_data.import_crm_data"
MONITOR = "flows.mofa_monitoring.mofa_monitoring"


def run_of_deployment(entrypoint: str, run: str, *, return_state: bool) -> Any:
    """In a process: a run that the server knows, as a worker's process runs it."""
    from prefect.flow_engine import run_flow

    from flows import mofa_monitoring

    assert return_state
    vars(mofa_monitoring)["find_source"] = lambda _name: a_ministry()
    module, _, name = entrypoint.rpartition(".")
    with get_client(sync_client=True) as client:
        known = client.read_flow_run(UUID(run))
    flow = getattr(importlib.import_module(module), name)
    return run_flow(flow, flow_run=known, parameters=known.parameters, return_type="state")


@dataclass
class DeployedJobs:
    """A Prefect server, a database, people who listen, and jobs that can be lost."""

    database: Database
    webhook: Webhook
    directory: Path
    deployments: list[UUID] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)

    def deploy(self, entrypoint: str, parameters: dict[str, Any], cron: str | None = None) -> UUID:
        """A deployment; without a cron it was due last at the last full hour and next in a day's time."""
        hour = (datetime.now(UTC) - HOUR).hour
        name = entrypoint.rpartition(".")[2]
        with get_client(sync_client=True) as client:
            made = client.create_deployment(
                flow_id=client.create_flow_from_name(name),
                name=f"test-{len(self.deployments)}-{self.directory.name}",
                entrypoint=entrypoint,
                parameters=parameters,
                schedules=[DeploymentScheduleCreate(schedule=CronSchedule(cron=cron or f"0 {hour} * * *"), slug="s")],
            )
        self.deployments.append(made)
        return made

    def slot(
        self,
        deployment: UUID,
        state: State[Any] | None = None,
        *,
        ago: timedelta = HOUR,
        due: datetime | None = None,
        manual: bool = False,
        parameters: dict[str, Any] | None = None,
    ) -> FlowRun:
        """A run that was due some time ago, in the state in which it was left."""
        due = due or (datetime.now(UTC) - ago).replace(microsecond=0)
        with get_client(sync_client=True) as client:
            run = client.create_flow_run_from_deployment(
                deployment,
                state=Scheduled(scheduled_time=due),
                tags=[] if manual else ["auto-scheduled"],
                parameters=parameters,
            )
            if state is not None:
                client.set_flow_run_state(run.id, state, force=True)
            return client.read_flow_run(run.id)

    def set(self, run: UUID, state: State[Any]) -> None:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(run, state, force=True)

    def runs(self, deployment: UUID) -> list[FlowRun]:
        """All runs of a deployment but those that the server planned ahead, oldest first."""
        with get_client(sync_client=True) as client:
            found = client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])), limit=200
            )
        return sorted((run for run in found if not run.auto_scheduled), key=lambda run: run.created or 0)

    def started(self, deployment: UUID) -> list[FlowRun]:
        """What the watchdog started."""
        return [run for run in self.runs(deployment) if any(tag.startswith("slot:") for tag in run.tags)]

    def process(self, entrypoint: str, run: FlowRun, *stops: Stop) -> Process:
        """The run in a process of its own, as a worker starts it."""
        process = Process(
            Job(
                function="support.watchdog:run_of_deployment",
                arguments={"entrypoint": entrypoint, "run": str(run.id)},
                environment={**os.environ, "IMPORT_BATCH_ROWS": "10"},
                log=self.directory / f"process-{len(self.processes)}.log",
                prefect={"PREFECT_API_URL": str(PREFECT_API_URL.value()), "PREFECT_HOME": str(self.directory / "home")},
                stops=stops,
            )
        )
        self.processes.append(process)
        return process

    def kill(self, entrypoint: str, run: FlowRun, stop: Stop) -> None:
        """Run it to there and kill it; Prefect goes on believing that it runs."""
        process = self.process(entrypoint, run, stop)
        process.reach(120)
        process.kill()
        self.a_minute_later()

    def a_minute_later(self) -> None:
        self.database.query("UPDATE task_runs SET updated_at = updated_at - interval '61 seconds'")

    def grace(self, seconds: int) -> None:
        os.environ["TASK_MISFIRE_GRACE"] = str(seconds)
        admission_settings.cache_clear()

    def watch(self) -> dict[str, int]:
        """The watchdog, once."""
        state: Any = watchdog(return_state=True)
        assert state.is_completed(), state.message
        done: dict[str, int] = state.result()
        return done

    def titles(self) -> list[str]:
        return [each["title"] for each in self.webhook.got]

    def close(self) -> None:
        """End what runs and take the deployments away."""
        for process in self.processes:
            process.kill()
        with get_client(sync_client=True) as client:
            for deployment in self.deployments:
                client.delete_deployment(deployment)
