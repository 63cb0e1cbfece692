"""Makes the work pool, with our base job template if its workers start containers.

The templates are files in work_pools/. What differs between installations has defaults there, which a deployment can
replace (`job_variables` in prefect.yaml), and the image is that of the settings. Nothing secret is in a template: the
server stores it, and whoever may use its API can read it.
"""

import json
from pathlib import Path
from typing import Any

from db.errors import UserError
from deployments.prefect_api import PrefectApi
from deployments.work_pool_settings import PROCESS, WorkPoolSettings

TEMPLATES = Path(__file__).with_name("work_pools")


class WorkPoolError(UserError):
    """The work pool cannot be used; the message says why and what to do."""


def template(settings: WorkPoolSettings) -> dict[str, Any] | None:
    """The base job template of a pool of this type; None: the worker's own is right."""
    if settings.work_pool_type == PROCESS:
        return None
    found: dict[str, Any] = json.loads((TEMPLATES / f"{settings.work_pool_type}.json").read_text())
    found["variables"]["properties"]["image"]["default"] = settings.image
    return found


def make_or_change(server: PrefectApi, settings: WorkPoolSettings) -> str:
    """Create the work pool, or bring its template up to date; returns what was done: created, changed or unchanged.

    Raises:
        WorkPoolError: there is a pool of this name with another type.
    """
    wanted = template(settings)
    if server.make_work_pool(settings.work_pool_type, wanted):
        return "created"
    pool = server.work_pool()
    if pool is None:
        raise WorkPoolError(f"the work pool {server.pool} was deleted while it was looked at: start again")
    if pool["type"] != settings.work_pool_type:
        raise WorkPoolError(
            f"the work pool {server.pool} has the type {pool['type']}, not {settings.work_pool_type}: set WORK_POOL to "
            "another name, or WORK_POOL_TYPE to its type"
        )
    if wanted is None or pool["base_job_template"] == wanted:
        return "unchanged"
    server.set_template(wanted)
    return "changed"
