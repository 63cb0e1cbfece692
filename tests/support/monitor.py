"""The monitor in real processes (processes.py) that are killed at exact places, with receivers of its notifications.

It monitors the source testland of ministry.py, at the slot that the test gives.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from support.machines import Machine
from support.ministry import Ministry, Rows, a_ministry, missions, running_ministry
from support.processes import Outcome, Process, Stop
from support.receivers import Mailbox, Webhook, a_mailbox, a_webhook

FIRST = datetime(2026, 1, 5, 3, tzinfo=UTC)  # the slot of the baseline
SECOND = FIRST + timedelta(days=1)


def watch(base_url: str, slot: datetime | None, accept: int | None = None, *, return_state: bool) -> Any:
    """In the process: one run of the flow, for a slot as Prefect's scheduler makes it, or by hand."""
    from flows import mofa_monitoring as module

    assert return_state
    vars(module)["find_source"] = lambda _name: a_ministry()
    return run_for_slot(slot, source="testland", base_url=base_url, accept=accept)


def run_for_slot(slot: datetime | None, **parameters: Any) -> Any:
    """One run of the flow, for a slot as Prefect's scheduler makes it, or by hand; returns its state."""
    from prefect import get_client
    from prefect.flow_engine import run_flow
    from prefect.states import Scheduled

    from flows.mofa_monitoring import mofa_monitoring

    if slot is None:
        return mofa_monitoring(**parameters, return_state=True)
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(
            mofa_monitoring, parameters=parameters, state=Scheduled(scheduled_time=slot), tags=["auto-scheduled"]
        )
    return run_flow(mofa_monitoring, flow_run=run, parameters=parameters, return_type="state")


# ---------------------------------------------------------------------- what is watched, and where


def later(rows: Rows) -> Rows:
    """The ministry's list a day on: three pages of four differ."""
    rows = {key: dict(row) for key, row in rows.items() if key != "m8"}
    rows["m1"]["phone"] = "+33 2 000001"
    rows["m4"]["address"] = "1 Avenue Foch"
    rows["m5"]["opening_hours"] = "10-16"
    rows["m42"] = {**rows["m1"], "name": "Embassy 42", "phone": "+42", "address": "42", "email": "m42@mofa.example"}
    return rows


@dataclass
class Servers:
    """A ministry and two receivers."""

    ministry: Ministry
    webhook: Webhook
    mailbox: Mailbox

    def reset(self, rows: Rows) -> None:
        self.webhook.reset()
        self.mailbox.reset()
        self.ministry.answers.clear()
        self.ministry.show(rows)


@contextmanager
def running_servers() -> Iterator[Servers]:
    with running_ministry() as ministry, a_webhook() as webhook, a_mailbox() as mailbox:
        servers = Servers(ministry, webhook, mailbox)
        servers.reset(missions())
        yield servers


@dataclass
class MonitorMachine(Machine):
    """A machine that monitors testland."""

    servers: Servers = field(kw_only=True)

    @property
    def own_environment(self) -> dict[str, str]:
        return {
            **super().own_environment,
            "NOTIFY_URLS": f"{self.servers.webhook.url} {self.servers.mailbox.url}",
            "TASK_MISFIRE_GRACE": "1000000000",  # the slots are of long ago
        }

    def start(self, slot: datetime | None, *stops: Stop, accept: int | None = None) -> Process:
        """A run in a process of its own."""
        arguments = {"base_url": self.servers.ministry.url, "slot": slot, "accept": accept}
        return self.process("support.monitor:watch", arguments, prefect=self.prefect, stops=stops)

    def run(self, slot: datetime | None, accept: int | None = None) -> Outcome:
        """One run, to its end."""
        return self.start(slot, accept=accept).outcome()

    def kill_at(self, stop: Stop, slot: datetime | None) -> None:
        """Start a run and kill it where it stops."""
        process = self.start(slot, stop)
        process.reach()
        process.kill()
