"""What the docs say about operating and adding jobs, done as they say, with a real `make up` and its worker."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from psycopg.rows import dict_row
from support.make_up import Started, environment, new_data_dir, start
from support.project import ROOT, tracked
from support.waiting import until

from db.contacts import APPLY_LOCK
from deployments.prefect_api import FIRST_RUN
from deployments.processes import is_flow_run, marked_processes

OPERATE, NEW_JOB = ((ROOT / "docs" / page).read_text() for page in ("operate.md", "new-job.md"))
IMPORT = "import_crm_data/import-crm-data"
AUTH = "operator:a-secret"
HEADINGS = "Company,First Name,Last Name,Email"
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Operator:
    """Somebody with the commands and the API of a running `make up`."""

    def __init__(self, started: Started, auth: str | None) -> None:
        self.started = started
        self.auth = auth or started.auth_string()
        self.http = httpx.Client(
            base_url=started.state()["api_url"],
            auth=httpx.BasicAuth(*self.auth.split(":", 1)),
            timeout=60,
            trust_env=False,
            transport=httpx.HTTPTransport(retries=3),
        )

    def prefect(self, arguments: str, cwd: Path = ROOT) -> str:
        """What `prefect` says."""
        env = environment(
            PREFECT_API_URL=self.started.state()["api_url"],
            PREFECT_HOME=str(self.started.data_dir / "prefect"),
            COLUMNS="300",
            PREFECT_API_AUTH_STRING=self.auth,
        )
        command = [sys.executable, "-m", "prefect", *shlex.split(arguments)]
        output = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=180)
        assert output.returncode == 0, output.stdout + output.stderr
        return output.stdout

    def rest(self, call: str, body: Any = None) -> Any:
        """What the API answers to a call as the docs write it. Beside sixteen runs its server may be long busy."""
        method, path, *written = call.split(" ", 2)
        body = json.loads(written[0]) if written else body

        def answer() -> httpx.Response | None:
            try:
                output = self.http.request(method, path, json=body)
            except httpx.TimeoutException:
                if path.endswith("/create_flow_run") and "idempotency_key" not in (body or {}):
                    raise  # all else may be asked twice
                return None
            return None if output.status_code == 503 else output

        answered: httpx.Response = until(answer, f"an answer to {call}", 180)
        assert answered.is_success, f"{call}: {answered.text}"
        return answered.json() if answered.content else None

    def deployment(self, name: str = IMPORT) -> dict[str, Any]:
        found: dict[str, Any] = self.rest(f"GET /deployments/name/{name}")
        return found

    def trigger(self, name: str = IMPORT, **run: Any) -> str:
        """The id of a new run, over the API; its key makes it one run, however often a busy server is asked for it."""
        call = f"POST /deployments/{self.deployment(name)['id']}/create_flow_run"
        return str(self.rest(call, {"idempotency_key": str(uuid.uuid4()), **run})["id"])

    def start_manually(self, path: str) -> str:
        return self.trigger(parameters={"workbook": path})

    def start_scheduled(self, path: str, slot: datetime) -> str:
        """As the schedule makes it."""
        due = {"type": "SCHEDULED", "state_details": {"scheduled_time": slot.isoformat()}}
        return self.trigger(parameters={"workbook": path}, tags=["auto-scheduled"], state=due)

    def state(self, run: str) -> dict[str, Any]:
        state: dict[str, Any] = self.rest(f"GET /flow_runs/{run}")["state"]
        return state

    def ended(self, run: str, seconds: float = 180) -> dict[str, Any]:
        """The state in which a run ends."""
        ended: dict[str, Any] = until(
            lambda: (state := self.state(run))["type"] in FINAL and state, f"the end of {run}", seconds
        )
        return ended

    def database(self) -> "psycopg.Connection[dict[str, Any]]":
        url = self.started.state()["database_url"].replace("+psycopg", "")
        return psycopg.connect(url, autocommit=True, row_factory=dict_row)

    def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with self.database() as connection:
            return connection.execute(statement, values).fetchall()


@pytest.fixture(scope="module")
def operator(migrated_prefect: Path) -> Iterator[Operator]:
    with new_data_dir(migrated_prefect) as data_dir:
        started = start(
            data_dir,
            CRM_WORKBOOK=str(workbook(data_dir / "first.csv", 0)),
            # On a slow machine the last of sixteen runs at once would be missed after the usual five minutes.
            TASK_MISFIRE_GRACE="3600",
            PREFECT_SERVER_API_AUTH_STRING=AUTH,
        )
        try:
            started.expect("import      Completed", 240)
            yield Operator(started, AUTH)
        finally:
            started.stop()


def workbook(path: Path, number: int, rows: int = 3) -> Path:
    people = [f"Embassy {number},Ann{row},Lee{number},ann{row}.{number}@example.org" for row in range(rows)]
    path.write_text("\n".join([HEADINGS, *people]))
    return path


def contacts_of(operator: Operator, number: int) -> int:
    return len(operator.query("SELECT id FROM contacts WHERE organization = %s", f"Embassy {number}"))


# ---------------------------------------------------------------------- the table of commands and calls


def table() -> dict[str, tuple[str, str]]:
    """What to do -> the command and the call, as docs/operate.md has them."""
    section = OPERATE.partition("\n## Commands and REST calls")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| (.+) \| `([^`]+)` \|$", section, re.MULTILINE)
    return {what: (re.findall("`([^`]+)`", command)[-1], call) for what, command, call in rows}


def test_the_commands_and_calls_of_the_docs_do_what_they_say(operator: Operator, tmp_path: Path) -> None:
    """With a password of the operator's; make up's own is that of the job of the docs, below."""
    assert not (operator.started.data_dir / "prefect-password").exists()
    refused = httpx.get(f"{operator.started.state()['api_url']}/flows/{'0' * 32}", trust_env=False, timeout=60)
    assert refused.status_code == 401
    to = table()
    _runs(operator, to, workbook(tmp_path / "by-table.csv", 1))
    _schedules(operator, to)
    assert not to, "every line of the table was tried"


def _runs(operator: Operator, to: dict[str, tuple[str, str]], path: Path) -> None:
    """Each thing to do with runs, by the command and by the call."""
    names = {"WORKBOOK": str(path), "ID": operator.deployment()["id"], "RUN": ""}

    def both(what: str) -> tuple[str, Any]:
        command, call = (_filled(text, names) for text in to.pop(what))
        return operator.prefect(command), operator.rest(call)

    output, listed = both("list the jobs")
    for job in ("import-crm-data", "mofa-monitoring"):
        assert job in output
        assert job in {each["name"] for each in listed}

    output, created = both("start one now")
    runs = [re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", output)[0], created["id"]]
    messages = {run: operator.ended(run)["message"] for run in runs}
    imported = [run for run, message in messages.items() if "already imported" not in message]
    assert len(imported) == 1, messages
    names["RUN"] = imported[0]

    output, listed = both("see the runs")
    assert set(runs) <= {each["id"] for each in listed}
    assert "import-by-table.csv" in output
    output, shown = both("see what became of one")
    assert shown["state"]["message"] == messages[names["RUN"]]
    assert "3 inserted" in output
    output, logged = both("read its log")
    assert "Finished in state" in output
    assert any("Finished in state" in line["message"] for line in logged)
    output, reports = both("read its report")
    assert "import-report" in {each["key"] for each in reports}
    assert "import-report" in output

    for way, cancel in zip((operator.prefect, operator.rest), to.pop("cancel it"), strict=True):
        due = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
        waiting = operator.trigger(state=due)
        way(_filled(cancel, names | {"RUN": waiting}))
        assert operator.state(waiting)["type"] == "CANCELLED"


def _schedules(operator: Operator, to: dict[str, tuple[str, str]]) -> None:
    """Each thing to do with the schedule of a job, by the command and by the call."""
    deployment = operator.deployment()
    [schedule] = deployment["schedules"]
    names = {"SCHEDULE": schedule["id"], "ID": deployment["id"]}
    pause, resume, reschedule = (
        [_filled(text, names) for text in to.pop(what)] for what in ("pause a job", "resume it", "reschedule it")
    )

    def schedules() -> list[tuple[str, bool]]:
        return [(each["schedule"]["cron"], each["active"]) for each in operator.deployment()["schedules"]]

    for at, way in enumerate((operator.prefect, operator.rest)):
        assert schedules() == [("0 2 * * *", True)]
        way(pause[at])
        assert schedules() == [("0 2 * * *", False)]
        way(resume[at])
    operator.rest(reschedule[1])
    assert schedules() == [("30 4 * * *", True)]
    scheduled = {"deployment_id": {"any_": [deployment["id"]]}, "state": {"type": {"any_": ["SCHEDULED"]}}}

    def minutes() -> set[str]:
        planned = operator.rest("POST /flow_runs/filter", {"flow_runs": scheduled})
        return {night["state"]["state_details"]["scheduled_time"][14:16] for night in planned}

    # Prefect's scheduler plans a schedule that was changed by itself once a minute, and if it had read the old one just
    # before, that one (its issue 17703): the second call takes those away.
    until(lambda: "30" in minutes(), "runs of the new schedule", 180)
    operator.rest(reschedule[1])
    assert until(minutes, "runs of the new schedule", 180) == {"30"}
    operator.prefect(reschedule[0])
    assert schedules() == [("0 2 * * *", True)], "deploying brings back what prefect.yaml says"


def _filled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = re.sub(rf"\b{name}\b", value, text)
    return text


# ---------------------------------------------------------------------- cancelled, and resumed by hand


def test_a_cancelled_import_is_left_to_a_person(operator: Operator, tmp_path: Path) -> None:
    path = str(workbook(tmp_path / "cancelled.csv", 2))
    with operator.database() as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", APPLY_LOCK)  # as another import that applies: it has to wait
        run = operator.start_manually(path)
        unit = "SELECT status, attempts FROM task_runs WHERE subject = %s AND name = 'import_crm_data' AND attempts > 0"
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
        until(lambda: operator.query(unit, path) and operator.query(waits), "the import is at work", 120)
        operator.prefect(f"flow-run cancel {run}")
        assert operator.ended(run)["type"] == "CANCELLED"
        assert operator.query(unit, path) == [{"status": "cancelled", "attempts": 1}]

        assert "was cancelled" in operator.ended(operator.start_scheduled(path, datetime.now(UTC)))["message"]
        assert operator.query(unit, path) == [{"status": "cancelled", "attempts": 1}]
    assert operator.ended(operator.start_manually(path))["type"] == "COMPLETED"
    assert operator.query(unit, path) == [{"status": "completed", "attempts": 2}]
    assert contacts_of(operator, 2) == 3


# ---------------------------------------------------------------------- sixteen at once


def test_sixteen_triggers_at_once_are_one_import_of_each_workbook(operator: Operator, tmp_path: Path) -> None:
    """Of one workbook three by hand over the API, one from the command line, four by the schedule; and eight others."""
    path = str(workbook(tmp_path / "often.csv", 3))
    others = {n: operator.start_manually(str(workbook(tmp_path / f"book-{n}.csv", n))) for n in range(100, 108)}
    manual = [operator.start_manually(path) for _ in range(3)]
    slot = datetime.now(UTC)
    scheduled = [operator.start_scheduled(path, slot) for _ in range(4)]
    output = operator.prefect(f"deployment run {IMPORT} -p workbook={path}")
    manual += re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", output)[:1]
    ends = {run: operator.ended(run, 400) for run in (*manual, *scheduled, *others.values())}
    assert {ends[run]["type"] for run in manual} == {"COMPLETED"}, f"those wait their turn and find it done: {ends}"
    assert {ends[run]["name"] for run in scheduled} <= {"Completed", "Skipped"}
    of_one = [ends[run] for run in (*manual, *scheduled)]
    new = [end for end in of_one if end["name"] == "Completed" and "already imported" not in end["message"]]
    assert len(new) == 1, "one run imported it"
    assert contacts_of(operator, 3) == 3
    rows = operator.query("SELECT status FROM task_runs WHERE subject = %s ORDER BY id", path)
    skipped = sum(end["name"] == "Skipped" for end in of_one)
    assert sorted(row["status"] for row in rows) == ["completed", *["skipped"] * skipped]
    for number, run in others.items():
        assert ends[run]["name"] == "Completed"
        assert contacts_of(operator, number) == 3
    rows = operator.query("SELECT status FROM task_runs WHERE subject LIKE %s", f"{tmp_path}/book-%")
    assert [row["status"] for row in rows] == ["completed"] * len(others)
    assert "database is locked" not in (operator.started.data_dir / "logs" / "server.log").read_text()


# ---------------------------------------------------------------------- a job of one's own


def example() -> tuple[str, str]:
    """The job and its entry in prefect.yaml, as docs/new-job.md has them."""
    job = re.findall(r"```python\n(.*?)```", NEW_JOB, re.DOTALL)[0]
    [entry] = re.findall(r"```yaml\n(.*?)```", NEW_JOB, re.DOTALL)
    return job, entry


def as_async(job: str) -> str:
    """The same job as docs/new-job.md says an async one is made."""
    for old, new in (
        ("keep_workbook", "keep_async"),
        ("def ", "async def "),
        ("with idem", "async with idem"),
        ("= copy(", "= await copy("),
    ):
        assert old in job
        job = job.replace(old, new)
    return job


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with the job of docs/new-job.md in it, sync and async, both tagged at-start."""
    root = tmp_path / "project"
    for name in tracked():
        if name.startswith(("db/", "deployments/", "flows/", "tasks/", "prefect.yaml", "pyproject.toml")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    job, entry = example()
    (root / "flows" / "keep_workbook.py").write_text(job)
    (root / "flows" / "keep_async.py").write_text(as_async(job))
    both = entry.replace("[crm]", "[crm, at-start]").replace("/srv/crm", str(tmp_path))
    both += both.replace("keep_workbook", "keep_async").replace("keep-workbook", "keep-async")
    (root / "prefect.yaml").write_text((root / "prefect.yaml").read_text() + both)
    (root / ".env").write_text("TASK_MISFIRE_GRACE=77\n")
    (tmp_path / "kept").mkdir()
    return root


def test_the_job_of_the_docs_runs_at_the_start_is_killed_and_resumed(
    project: Path, tmp_path: Path, migrated_prefect: Path
) -> None:
    """It reads from a pipe that nobody writes to, so that it is killed at work; then there is a file in its place."""
    contacts = tmp_path / "contacts.xlsx"
    os.mkfifo(contacts)
    jobs = {"keep_workbook": "keep-workbook", "keep_async": "keep-async"}
    with new_data_dir(migrated_prefect) as data_dir:
        started = start(
            data_dir,
            root=project,
            SETTINGS_FILE="",
            PYTHONPATH=str(project),
            CRM_WORKBOOK=str(workbook(tmp_path / "a.csv", 1)),
        )
        try:
            started.expect("ready", 240)
            operator = Operator(started, None)
            units = "SELECT name, status, attempts FROM task_runs WHERE name LIKE 'keep\\_%%' ORDER BY name"
            until(lambda: len(operator.query(units)) == 2, f"both jobs are at work: {started.text()}", 120)
            flows = [process for process in marked_processes(str(data_dir)) if is_flow_run(process)]
            at_work = {_run_of(process): process for process in flows}
            for run in (_first_run(operator, job) for job in jobs):
                process = at_work[run]
                # The default, and what .env says: through make up and its worker to the run.
                assert process.environ()["TASK_MAX_INSTANCES"] == "1"
                assert process.environ()["TASK_MISFIRE_GRACE"] == "77"
                process.send_signal(signal.SIGKILL)
                assert operator.ended(run)["type"] == "CRASHED"
            contacts.unlink()
            contacts.write_text("a workbook")

            for job, deployment in jobs.items():
                operator.prefect(f"deployment run {job}/{deployment}", cwd=project)
                again = operator.trigger(f"{job}/{deployment}")
                assert operator.ended(again)["type"] == "COMPLETED"
            done = [{"name": job, "status": "completed", "attempts": 2} for job in sorted(jobs)]
            assert until(lambda: (found := operator.query(units)) == done and found, "both are done, once") == done
            [kept] = (tmp_path / "kept").iterdir()
            assert kept.read_text() == "a workbook"
        finally:
            started.stop()


def _run_of(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return process.environ().get("PREFECT__FLOW_RUN_ID", "")
    return ""


def _first_run(operator: Operator, job: str) -> str:
    [run] = operator.rest(
        "POST /flow_runs/filter", {"flows": {"name": {"any_": [job]}}, "flow_runs": {"tags": {"all_": [FIRST_RUN]}}}
    )
    return str(run["id"])
