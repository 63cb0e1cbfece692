"""The calls of `make up` and doctor to a Prefect server, over its REST API.

Not with Prefect's own client: importing that takes two seconds of processor time just when the server starts.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil

from db.display import printable
from deployments.processes import is_flow_run
from deployments.work_pool_settings import PROCESS, work_pool_settings
from tasks.prefect_server import PrefectSecrets, known_auth_string, password_required, server_in_use

IMPORT = "import-crm-data"
MONITOR = "mofa_monitoring/mofa-monitoring"  # flow/deployment
AT_START = "at-start"  # tag of deployments: `make up` starts a run whenever it starts
FIRST_RUN = "first-run"  # tag of that run
BUSY = {408, 429, 502, 503}  # a server on SQLite answers 503 while another transaction holds its file


@dataclass(frozen=True)
class RunState:
    """The state of a flow run."""

    type: str  # SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, ...
    name: str  # as the UI shows it: Late, Running, Completed, Missed, ...
    message: str  # one line, or ""
    seconds: float  # how long it has run

    @property
    def final(self) -> bool:
        """Whether the run has ended."""
        return self.type in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class PasswordRequiredError(httpx.HTTPError):
    """The server requires a password, and none or another one was sent; the message says where to set it."""

    def __init__(self, url: str) -> None:
        super().__init__(password_required(url))


class PrefectApi:
    """A Prefect server at `url` (…/api); `ours`: on this machine, so that no proxy is used.

    All methods raise httpx.HTTPError if the server does not answer as expected.

    Args:
        url: its address.
        ours: whether it is on this machine.
        auth_string: "user:password"; None: see tasks.prefect_server.known_auth_string.
    """

    def __init__(self, url: str, *, ours: bool, auth_string: str | None = None) -> None:
        headers = {}
        if auth := auth_string or known_auth_string():
            headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
        if key := PrefectSecrets.values().get("PREFECT_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        self.auth_string = auth
        self.url, self.ours = url, ours
        self.pool = work_pool_settings().work_pool
        self._http = httpx.Client(base_url=url, headers=headers, timeout=5, trust_env=not ours, follow_redirects=True)

    def _call(self, method: str, path: str, **body: Any) -> Any:
        for last in (False, False, False, False, True):
            answer = self._answer(method, path, body)
            if answer.status_code not in BUSY or last:
                break
            time.sleep(0.5)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise PasswordRequiredError(self.url)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _answer(self, method: str, path: str, body: Any) -> httpx.Response:
        content = body if method in {"POST", "PUT", "PATCH"} else None
        try:
            return self._http.request(method, path, json=content)
        except httpx.TimeoutException:  # once more: with many runs a server on SQLite may take seconds
            return self._http.request(method, path, json=content)

    def healthy(self) -> bool:
        """Whether the server reports that it is healthy, and accepts requests of this client."""
        return self._call("GET", "/health") is True and bool(self._call("GET", "/admin/version"))

    def answers_anybody(self) -> bool:
        """Whether the server answers who sends neither a password nor a key."""
        answer = httpx.get(f"{self.url}/admin/version", timeout=5, trust_env=not self.ours, follow_redirects=True)
        with suppress(ValueError):  # such as a page to sign in
            return answer.is_success and isinstance(answer.json(), str)
        return False

    def make_work_pool(self, kind: str = PROCESS, template: dict[str, Any] | None = None) -> bool:
        """Create the work pool; False if it exists.

        Args:
            kind: its type.
            template: its base job template; None: the worker adds that of its type.
        """
        wanted = {"name": self.pool, "type": kind} | ({"base_job_template": template} if template else {})
        try:
            self._call("POST", "/work_pools/", **wanted)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.CONFLICT:
                return False
            raise
        return True

    def work_pool(self) -> dict[str, Any] | None:
        """The work pool; None if it does not exist."""
        found = self._call("POST", "/work_pools/filter", work_pools={"name": {"any_": [self.pool]}})
        return found[0] if found else None

    def set_template(self, template: dict[str, Any]) -> None:
        """Replace the base job template of the work pool."""
        self._call("PATCH", f"/work_pools/{self.pool}", base_job_template=template)

    def workers(self) -> list[dict[str, Any]]:
        """The workers of the pool, with status (ONLINE, OFFLINE) and last_heartbeat_time."""
        found: list[dict[str, Any]] = self._call("POST", f"/work_pools/{self.pool}/workers/filter")
        return found

    def automations(self, name: str) -> list[dict[str, Any]]:
        """The automations of this name, oldest first."""
        found = self._call("POST", "/automations/filter", automations={"name": {"any_": [name]}})
        return sorted(found, key=lambda automation: str(automation["created"]))

    def put_automation(self, wanted: dict[str, Any], automation_id: str | None) -> None:
        """Create an automation, or change the one with this id."""
        if automation_id is None:
            self._call("POST", "/automations/", **wanted)
        else:
            self._call("PUT", f"/automations/{automation_id}", **wanted)

    def delete_automation(self, automation_id: str) -> None:
        """Delete an automation."""
        self._call("DELETE", f"/automations/{automation_id}")

    def heartbeat(self, worker: str) -> str | None:
        """When the server received the last heartbeat of this worker, by the server's clock."""
        workers = self._call("POST", f"/work_pools/{self.pool}/workers/filter")
        return next((found["last_heartbeat_time"] for found in workers if found["name"] == worker), None)

    def at_start(self) -> list[tuple[str, str]]:
        """Name and id of the project's deployments with the tag AT_START.

        A server may serve other projects as well; this project's entry points are modules in flows/.
        """
        found = self._call("POST", "/deployments/filter", deployments={"tags": {"all_": [AT_START]}}, sort="NAME_ASC")
        return [(each["name"], each["id"]) for each in found if (each["entrypoint"] or "").startswith("flows.")]

    def start_run(self, deployment: str) -> str:
        """Start a run of the deployment and return its id; a first run that is still waiting is used again."""
        waiting = self._call(
            "POST",
            "/flow_runs/filter",
            flow_runs={
                "deployment_id": {"any_": [deployment]},
                "tags": {"all_": [FIRST_RUN]},
                "state": {"type": {"any_": ["SCHEDULED"]}},
            },
        )
        if waiting:
            return str(waiting[0]["id"])
        return self.create_run(deployment, tags=[FIRST_RUN])

    def has_run(self, tag: str) -> bool:
        """Whether there is a run with this tag, in whatever state."""
        return bool(self._call("POST", "/flow_runs/filter", flow_runs={"tags": {"all_": [tag]}}, limit=1))

    def deployment_id(self, name: str) -> str | None:
        """The id of a deployment by its name, flow/deployment; None if there is none."""
        try:
            return str(self._call("GET", f"/deployments/name/{name}")["id"])
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return None
            raise

    def create_run(self, deployment: str, *, tags: Sequence[str], parameters: Mapping[str, Any] | None = None) -> str:
        """Create a run of the deployment and return its id; `parameters` replace those of the deployment."""
        key = str(uuid.uuid4())  # after a 503 the request is repeated; the server still creates one run
        wanted = {"tags": list(tags), "parameters": dict(parameters or {}), "idempotency_key": key}
        return str(self._call("POST", f"/deployments/{deployment}/create_flow_run", **wanted)["id"])

    def run_state(self, run_id: str) -> RunState:
        """The state of the run."""
        run = self._call("GET", f"/flow_runs/{run_id}")
        state = run["state"] or {"type": "SCHEDULED", "name": "Scheduled", "message": None}
        message = printable((state["message"] or "").strip().partition("\n")[0])
        return RunState(state["type"], state["name"], message, float(run["estimated_run_time"] or 0))

    def progress(self, run_id: str) -> float | None:
        """The percentage of the run's progress artifact; None if it has none."""
        artifacts = self._call(
            "POST",
            "/artifacts/filter",
            artifacts={"flow_run_id": {"any_": [run_id]}, "type": {"any_": ["progress"]}},
            sort="UPDATED_DESC",
            limit=1,
        )
        return float(artifacts[0]["data"]) if artifacts and artifacts[0]["data"] is not None else None

    def end_interrupted_runs(self) -> list[str]:
        """End the runs whose process is gone, and return their ids.

        A run that a person was cancelling becomes cancelled, and is not resumed automatically; the others crashed.

        Only for a server whose workers all run on this machine: elsewhere process numbers mean nothing.
        """
        runs = self._call(
            "POST",
            "/flow_runs/filter",
            flow_runs={"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}},
            work_pools={"name": {"any_": [self.pool]}},
        )
        interrupted = [run for run in runs if not _has_process(run)]
        for run in interrupted:
            end = "CANCELLED" if run["state"]["type"] == "CANCELLING" else "CRASHED"
            message = "Its process was gone when make up stopped or started."
            state = {"type": end, "name": end.title(), "message": message}
            self._call("POST", f"/flow_runs/{run['id']}/set_state", state=state, force=True)
        return [run["id"] for run in interrupted]


def api_in_use(data_dir: Path) -> PrefectApi | None:
    """The API of the server of PREFECT_API_URL, else that of `make up`; None if there is neither."""
    server = server_in_use(data_dir)
    return PrefectApi(server.api_url, ours=not server.given, auth_string=server.auth_string) if server else None


def _has_process(run: dict[str, Any]) -> bool:
    pid = run["infrastructure_pid"]
    if pid is None:  # a worker may be about to start it
        return datetime.now(UTC) - datetime.fromisoformat(run["state"]["timestamp"]) < timedelta(minutes=1)
    try:
        return is_flow_run(psutil.Process(int(pid)))
    except (ValueError, psutil.Error):
        return False
