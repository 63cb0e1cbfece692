"""Deploys the work pool, the deployments and the automation to the Prefect server; may be repeated.

    python -m deployments.deploy

1. the work pool WORK_POOL of the type WORK_POOL_TYPE, with our job template if it starts containers (work_pool.py);
2. the deployments and schedules of prefect.yaml (`prefect deploy --all`), in that pool and in TASK_TIMEZONE;
3. the automation that marks dead runs as crashed (automations.py).

`make up` does the same.
"""

import os
import subprocess
import sys

import httpx

from db.display import redacted_in
from db.engine import database_settings
from db.errors import JobError, UserError
from db.settings import ROOT
from deployments import automations
from deployments.prefect_api import PrefectApi, api_in_use
from deployments.up.settings import UpSettings, up_settings
from deployments.work_pool import make_or_change
from deployments.work_pool_settings import DEFAULT_WORK_POOL


class DeployError(UserError):
    """Something could not be deployed; the message is one plain sentence."""


def deploy(server: PrefectApi, settings: UpSettings) -> None:
    """Deploy work pool, deployments and automations to the server.

    Raises:
        DeployError: `prefect deploy` failed; its output says why.
        WorkPoolError: the work pool cannot be used.
        httpx.HTTPError: the server does not answer as expected.
    """
    print(f"work pool   {server.pool}, {settings.work_pool_type}: {make_or_change(server, settings)}", flush=True)
    given = {
        "PREFECT_API_URL": server.url,
        "PREFECT_API_AUTH_STRING": server.auth_string,
        "TASK_TIMEZONE": settings.task_timezone,
        DEFAULT_WORK_POOL: settings.work_pool,
    }
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    env = os.environ | {name: value for name, value in given.items() if value}
    done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)
    if done.returncode:
        for line in (done.stdout + done.stderr).splitlines():
            print(redacted_in(line), file=sys.stderr)
        raise DeployError("prefect deploy failed; the lines above say why")
    print("deployments those of prefect.yaml", flush=True)
    changed = automations.apply(server)
    print(f"automations {changed or 'none'} created or changed")


def main() -> int:
    """The command; returns its exit code."""
    try:
        settings = up_settings()
        server = api_in_use(database_settings().data_dir)
        if server is None:
            raise DeployError("no server: set PREFECT_API_URL, or start one with make up")
        deploy(server, settings)
    except httpx.HTTPError as error:
        problem = f"the Prefect server did not answer as expected: {redacted_in(error)}"
    except JobError as error:
        problem = str(error)
    else:
        return 0
    print(f"deploy: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
