"""Automations as code: what Prefect's server itself has to do, brought to it by `make up` and by hand.

    python -m deployments.automations

A run whose process died says nothing any more, and would stand as running for ever. Prefect's runs send a heartbeat
(PREFECT_FLOWS_HEARTBEAT_FREQUENCY, 30 seconds); one that stops is marked as crashed here, and the watchdog starts
another in its place. Never by rescheduling the same run: Prefect hands that out twice. People are told by the outbox
alone, not from here.

A server may serve other projects as well, whose runs send a heartbeat more rarely: ours are those of a flow that has
the name of a module in flows/.
"""

from __future__ import annotations

import sys
from pkgutil import iter_modules
from typing import Any

import httpx

import flows
from db.engine import DatabaseError, database_settings
from deployments.prefect_api import PrefectApi, server_in_use

HEARTBEAT = "prefect.flow-run.heartbeat"
SILENT_SECONDS = 90  # three heartbeats
AUTOMATIONS: list[dict[str, Any]] = [
    {
        "name": "embassy-jobs: a run that went silent has crashed",
        "description": "Marks a run as crashed whose heartbeat stopped: its process died, or its machine.",
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
            "after": [HEARTBEAT],
            "expect": ["prefect.flow-run.*"],  # another heartbeat, or any state: also Held, Missed, Skipped
            "threshold": 1,
            "within": SILENT_SECONDS,
        },
        "actions": [
            {
                "type": "change-flow-run-state",
                "state": "CRASHED",
                "message": f"No sign of life for {SILENT_SECONDS} seconds: its process died, or its machine.",
            }
        ],
    }
]


def apply(server: PrefectApi) -> int:
    """Bring the automations to the server; returns how many were made or changed.

    Found by name, so that nothing is doubled; one that is as it should be is left alone, and with it what it has heard.
    """
    changed = 0
    for wanted in AUTOMATIONS:
        found = server.automations(wanted["name"])
        for double in found[1:]:
            server.delete_automation(double["id"])
        if found and is_as(wanted, found[0]):
            continue
        server.put_automation(wanted, found[0]["id"] if found else None)
        changed += 1
    return changed


def missing(server: PrefectApi) -> list[str]:
    """The names of those that are not there, or not as they should be."""
    found = {wanted["name"]: server.automations(wanted["name"]) for wanted in AUTOMATIONS}
    return [each["name"] for each in AUTOMATIONS if not any(is_as(each, one) for one in found[each["name"]])]


def is_as(wanted: Any, found: Any) -> bool:
    """Whether what the server shows has all that is wanted; it adds fields of its own, and orders lists as it likes."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(is_as(value, found.get(name)) for name, value in wanted.items())
    if isinstance(wanted, list):
        found = found if isinstance(found, list) else [found]
        return len(wanted) == len(found) and all(any(is_as(one, other) for other in found) for one in wanted)
    return bool(wanted == found)


def main() -> int:
    """The command; returns its exit code."""
    try:
        server = server_in_use(database_settings().data_dir)
        if server is None:
            problem = "no server: set PREFECT_API_URL, or start one with make up"
        else:
            changed = apply(server)
            print(f"{len(AUTOMATIONS)} automation: {f'{changed} made or changed' if changed else 'as it should be'}")
            return 0
    except httpx.HTTPError as error:
        problem = f"the Prefect server did not answer as it should: {error}"
    except DatabaseError as error:  # DATA_DIR is one of its settings
        problem = str(error)
    print(f"automations: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
