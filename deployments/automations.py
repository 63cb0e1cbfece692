"""The automation on Prefect's server that marks dead runs as crashed.

    python -m deployments.automations

applies it, and so does `make up`.

Prefect would show a run whose process was killed as running for ever. Runs send a heartbeat
(PREFECT_FLOWS_HEARTBEAT_FREQUENCY, 30 seconds). The automation marks a run without heartbeats as crashed, and the
watchdog starts another in its place. The automation does not reschedule the run: Prefect would submit it twice. It
sends no notification either: that is the outbox's.

A server may serve other projects as well, whose runs may send fewer heartbeats. So the automation covers only flows
that have the name of a module in flows/.
"""

from __future__ import annotations

import sys
from pkgutil import iter_modules
from typing import Any

import httpx

import flows
from db.display import redacted_in
from db.engine import database_settings
from db.errors import JobError
from deployments.prefect_api import PrefectApi, api_in_use

# After each of these events, the server must receive another event of the run.
HEARTBEAT_EVENTS = ("prefect.flow-run.Running", "prefect.flow-run.heartbeat")
SILENT_SECONDS = 90  # three heartbeats
AUTOMATIONS: list[dict[str, Any]] = [
    {
        "name": "embassy-jobs: a run that went silent has crashed",
        "description": "Marks a run whose heartbeat stopped as crashed: its process or its machine died.",
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Proactive",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": {
                "prefect.resource.role": "flow",
                "prefect.resource.name": [module.name for module in iter_modules(flows.__path__)],
            },
            "for_each": ["prefect.resource.id"],
            "after": list(HEARTBEAT_EVENTS),
            "expect": ["prefect.flow-run.*"],  # another heartbeat, or any state: also Held, Missed, Skipped
            "threshold": 1,
            "within": SILENT_SECONDS,
        },
        "actions": [
            {
                "type": "change-flow-run-state",
                "state": "CRASHED",
                "message": f"No heartbeat for {SILENT_SECONDS} seconds: its process or its machine died.",
            }
        ],
    }
]


def apply(server: PrefectApi) -> int:
    """Create or change the automations on the server; returns how many were created or changed.

    They are found by name, so that none is there twice. An unchanged one is not touched, so it keeps its state.
    """
    changed = 0
    for wanted in AUTOMATIONS:
        found = server.automations(wanted["name"])
        for double in found[1:]:
            server.delete_automation(double["id"])
        if found and matches(wanted, found[0]):
            continue
        server.put_automation(wanted, found[0]["id"] if found else None)
        changed += 1
    return changed


def missing(server: PrefectApi) -> list[str]:
    """The names of the automations that the server lacks, or that differ there."""
    found = {wanted["name"]: server.automations(wanted["name"]) for wanted in AUTOMATIONS}
    return [each["name"] for each in AUTOMATIONS if not any(matches(each, one) for one in found[each["name"]])]


def matches(wanted: Any, found: Any) -> bool:
    """Whether the server's automation has everything that is wanted; it adds fields and reorders lists."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(matches(value, found.get(name)) for name, value in wanted.items())
    if isinstance(wanted, list):
        found = found if isinstance(found, list) else [found]
        return len(wanted) == len(found) and all(any(matches(one, other) for other in found) for one in wanted)
    return bool(wanted == found)


def main() -> int:
    """The command; returns its exit code."""
    try:
        server = api_in_use(database_settings().data_dir)
        if server is None:
            problem = "no server: set PREFECT_API_URL, or start one with make up"
        else:
            changed = apply(server)
            print(f"{len(AUTOMATIONS)} automation: {f'{changed} created or changed' if changed else 'unchanged'}")
            return 0
    except httpx.HTTPError as error:
        problem = f"the Prefect server did not answer as expected: {redacted_in(error)}"
    except JobError as error:  # a wrong setting
        problem = str(error)
    print(f"automations: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
