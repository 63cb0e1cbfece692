"""`make up` for real: `python -m deployments.up` with its server, worker and database, broken on purpose.

One `make up` (module scope) serves the tests that only look; those that kill share a data directory, so that each
start after the first is quick. pytest-xdist keeps a file in one worker.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from support.make_up import Started, environment, new_data_dir, processes_of, scheduled_runs, start
from support.project import ROOT
from support.waiting import until
from websockets import CloseCode, ConnectionClosed, InvalidStatus, Subprotocol
from websockets.sync.client import connect

from db import embedded
from deployments.processes import MARK, Child, CrashLoopError, end_processes, marked_processes
from deployments.up.ports import FIRST_PORT
from deployments.up.settings import SAMPLE, StartError, UpSettings
from deployments.up.start import Up
from deployments.up.stopping import Signals
from deployments.work_pool_settings import work_pool_settings


def refused(*arguments: str, **settings: str) -> str:
    """What `python -m deployments.up` says when it cannot go on: exit code 1, one line, no traceback."""
    with new_data_dir() as data_dir:
        ended = subprocess.run(
            [sys.executable, "-m", "deployments.up", *arguments],
            cwd=ROOT,
            env=environment(**({"DATA_DIR": str(data_dir)} | settings)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert "Traceback" not in ended.stdout + ended.stderr
        sentences = [line for line in ended.stderr.splitlines() if line.startswith("make up: ")]
        assert len(sentences) == 1, ended.stderr
        assert not processes_of(data_dir)
        return sentences[0]


@pytest.fixture(scope="module")
def running() -> Iterator[Started]:
    """A `make up` from nothing, on a machine where port 4200 is in use."""
    with new_data_dir() as data_dir, socket.socket() as other, contextlib.suppress(OSError):
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # then somebody else has it, which is as good
            other.bind(("127.0.0.1", FIRST_PORT))
            other.listen()
        started = start(data_dir)
        try:
            started.expect("ready", 180)
            yield started
            assert started.stop() == 0, started.text()
            assert not processes_of(data_dir)
            assert not (data_dir / "up.json").exists()
        finally:
            started.process.kill()


@pytest.fixture(scope="module")
def used_data_dir(migrated_prefect: Path) -> Iterator[Path]:
    """The data directory that the killing tests share."""
    with new_data_dir(migrated_prefect) as data_dir:
        yield data_dir


# --- who may use its server


def test_nobody_without_the_password_and_no_page_of_another_site_uses_the_api(running: Started) -> None:
    assert (running.data_dir / "prefect-password").stat().st_mode & 0o777 == 0o600
    url = running.state()["api_url"]
    with running.api() as api:
        deployment = api.get("/deployments/name/import_crm_data/import-crm-data").raise_for_status().json()["id"]
        before = api.post("/flow_runs/count", json={}).json()
    wanted = {"job_variables": {"command": f"touch {running.data_dir}/created-by-a-stranger"}}
    for auth in (None, ("admin", "wrong")):
        with httpx.Client(base_url=url, auth=auth, trust_env=False, timeout=30) as stranger:
            refused_run = stranger.post(f"/deployments/{deployment}/create_flow_run", json=wanted)
            assert refused_run.status_code == httpx.codes.UNAUTHORIZED
            assert stranger.post("/flows/filter", json={}).status_code == httpx.codes.UNAUTHORIZED
    with running.api() as api:
        assert api.post("/flow_runs/count", json={}).json() == before
        origins = {}
        for origin in ("https://other.example", "null", running.state()["ui_url"]):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            origins[origin] = api.options("/flows/filter", headers=asked).headers.get("access-control-allow-origin")
    assert origins == {
        "https://other.example": None,
        "null": None,
        running.state()["ui_url"]: running.state()["ui_url"],
    }


SOCKETS = (
    *("events/in", "events/out", "logs/out", "task_runs/subscriptions/scheduled"),
    "work_pools/crm-pool/workers/connect",
)


def refusal_of(address: str, protocol: str | None, token: str) -> int | None:
    """How a websocket refuses this token: the status of its answer or the code of its close; None if it does not."""
    protocols = [Subprotocol(protocol)] if protocol else None
    try:
        here = socket.create_connection(("127.0.0.1", httpx.URL(address).port or 0))
        with connect(address, sock=here, subprotocols=protocols) as websocket:
            websocket.send(json.dumps({"type": "auth", "token": token}))
            websocket.recv(timeout=10)
    except InvalidStatus as error:
        return error.response.status_code
    except ConnectionClosed as error:
        return error.rcvd.code if error.rcvd else 0
    return None


def test_a_page_whose_name_leads_to_this_machine_gets_nothing_without_the_password(running: Started) -> None:
    """DNS rebinding: the browser takes http://evil.example:PORT for the origin of the page."""
    ui, password = running.state()["ui_url"], running.auth_string()
    evil = f"evil.example:{ui.rpartition(':')[2]}"
    with httpx.Client(base_url=ui, headers={"Host": evil, "Origin": f"http://{evil}"}, trust_env=False) as page:
        for path in ("flows/filter", "work_pools/filter", "events/filter", "logs/filter", "block_documents/filter"):
            assert page.post(f"/api/{path}", json={}).status_code == httpx.codes.UNAUTHORIZED, path
        assert page.get("/api/admin/settings").status_code == httpx.codes.UNAUTHORIZED
        for path in ("/", "/v2/", "/v2/login", "/ui-settings"):  # without data
            assert password.partition(":")[2] not in page.get(path, follow_redirects=True).text
    for path in SOCKETS:
        address = f"ws://{evil}/api/{path}"
        assert refusal_of(address, None, "") == httpx.codes.FORBIDDEN, path
        for token in ("", "wrong"):
            assert refusal_of(address, "prefect", token) == CloseCode.POLICY_VIOLATION, path
        assert refusal_of(address, "prefect", password) is None, path


def test_nothing_below_data_dir_is_open_to_other_users(running: Started) -> None:
    found = {each.name: each.stat().st_mode & 0o077 for each in running.data_dir.iterdir()}
    assert set(found) == {
        *("logs", "prefect", "tmp", "locks", "postgres", "up.json", "prefect-password"),
        "output.txt",  # of this test
    }
    assert [name for name, mode in found.items() if mode and name != "output.txt"] == []


@pytest.mark.slow
def test_who_has_no_password_is_told_how_to_set_it(running: Started, tmp_path: Path) -> None:
    given = {"PREFECT_API_URL": running.state()["api_url"], "DATA_DIR": str(tmp_path)}
    database = running.state()["database_url"].replace("postgresql+psycopg", "postgresql")
    for module in ("flows.import_crm_data", "deployments.automations", "deployments.up"):
        env = environment(DATABASE_URL=database, **given)
        command = [sys.executable, "-m", module, *([str(SAMPLE)] if module.startswith("flows") else [])]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
        assert (done.returncode, "PREFECT_API_AUTH_STRING=" in done.stderr) == (1, True), (module, done.stderr)
        assert "Traceback" not in done.stderr


# --- what a running one gives


def test_the_jobs_and_the_reader_have_roles_of_their_own(running: Started) -> None:
    worker = psutil.Process(running.state()["children"]["worker"]["pid"]).environ()
    assert worker["DATABASE_URL"].startswith(f"postgresql://{embedded.JOBS}@")
    url = embedded.start(running.data_dir)
    with psycopg.connect(url.replace(f"//{embedded.SUPERUSER}@", f"//{embedded.READER}@")) as connection:
        connection.execute("SELECT count(*) FROM contacts")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM contacts")


def test_a_port_in_use_is_left_alone_and_the_ui_works_on_the_next(running: Started) -> None:
    assert f"port {FIRST_PORT} is in use" in running.text()
    address = running.state()["ui_url"]
    assert address != f"http://127.0.0.1:{FIRST_PORT}"
    assert f"UI at {address}" in running.text()
    with running.api() as api:
        assert "<html" in api.get(address).text
        # The UI asks its server where the API is; Prefect's default would be port 4200.
        assert api.get(f"{address}/ui-settings").json()["api_url"] == f"{address}/api"


def test_cron_deployments_really_have_scheduled_runs(running: Started) -> None:
    """The three pins of pyproject.toml work: with SQLAlchemy 2.1 nothing is ever scheduled, and nothing says so."""
    with running.api() as api:
        deployments = api.post("/deployments/filter", json={}).json()
        assert {d["name"] for d in deployments} >= {"import-crm-data"}
        for deployment in deployments:
            assert any(schedule["active"] for schedule in deployment["schedules"]), deployment["name"]
            wait = f"scheduled runs of {deployment['name']}"
            until(lambda deployment=deployment: scheduled_runs(api, deployment["id"]), wait, 120)


def test_the_first_import_is_printed_until_its_end(running: Started) -> None:
    running.expect("import      Completed after", 60)


def test_a_second_make_up_is_refused_and_names_the_first(running: Started) -> None:
    sentence = refused(DATA_DIR=str(running.data_dir))
    assert str(running.process.pid) in sentence
    assert running.state()["ui_url"] in sentence
    assert running.process.poll() is None


def test_the_state_file_names_living_processes_and_no_password(running: Started) -> None:
    state = running.state()
    for entry in (state, *state["children"].values()):
        assert psutil.Process(entry["pid"]).create_time() == entry["create_time"]
    assert set(state["children"]) == {"server", "worker"}
    assert state["database_url"].startswith("postgresql")


@pytest.mark.slow
def test_deploying_again_by_hand_adds_no_schedules_and_means_utc(running: Started) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    home = str(running.data_dir / "prefect")
    with running.api() as api:
        before = api.post("/deployments/filter", json={}).json()
        # By hand it is usually not set. The last time is the remedy of docs/operate.md: Prefect's scheduler, if it read
        # a schedule just before it is changed, writes the runs of the old one just after (its issue 17703).
        for zone in ({"TASK_TIMEZONE": "Asia/Tokyo"}, {}, {}):
            env = environment(PREFECT_HOME=home, **running.client_settings(), **zone)
            subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, timeout=120)
        after = api.post("/deployments/filter", json={}).json()
        assert [(d["name"], len(d["schedules"])) for d in before] == [(d["name"], len(d["schedules"])) for d in after]
        nightly = next(d["id"] for d in after if d["name"] == "import-crm-data")
        runs = until(lambda: scheduled_runs(api, nightly), "scheduled runs", 120)
    assert {run["expected_start_time"][11:16] for run in runs} == {"02:00"}, "not 02:00 UTC"


@pytest.mark.slow
def test_a_worker_started_in_another_directory_runs_the_flow(running: Started, tmp_path: Path) -> None:
    with running.api() as api:
        # A pool of its own, so that only this worker can take the run.
        api.post("/work_pools/", json={"name": "elsewhere", "type": "process"}).raise_for_status()
        given = api.get("/deployments/name/import_crm_data/import-crm-data").json()
        copied = ("flow_id", "entrypoint", "parameters", "pull_steps", "path")
        copy = {"name": "elsewhere", "work_pool_name": "elsewhere"} | {name: given[name] for name in copied}
        deployment = api.post("/deployments/", json=copy).raise_for_status().json()["id"]
        body = {"parameters": {"workbook": str(SAMPLE)}, "idempotency_key": "elsewhere"}

        def created() -> str | None:
            """Prefect's server answers 503 while its SQLite file is locked."""
            with contextlib.suppress(httpx.TimeoutException):  # the key makes one run of it
                answer = api.post(f"/deployments/{deployment}/create_flow_run", json=body)
                return answer.json()["id"] if answer.is_success else None
            return None

        run = until(created, "the run is created")
        env = environment(
            PREFECT_HOME=str(tmp_path / "home"), DATA_DIR=str(running.data_dir), **running.client_settings()
        )
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "elsewhere", "--run-once"]
        subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=120)
        state = api.get(f"/flow_runs/{run}").json()["state"]
    assert state["type"] == "COMPLETED", state


@pytest.mark.slow
def test_a_given_server_and_database_are_used_and_left_running(running: Started) -> None:
    given = running.state()
    with new_data_dir() as data_dir:
        url = given["database_url"].replace("postgresql+psycopg", "postgresql")
        started = start(data_dir, DATABASE_URL=url, **running.client_settings())
        started.expect("ready")
        assert "import      none: CRM_WORKBOOK" in started.text()
        assert set(started.state()["children"]) == {"worker"}
        assert started.stop() == 0
        assert not processes_of(data_dir)
    with running.api() as api:
        assert api.get("/health").json() is True
    assert embedded.is_running(running.data_dir)


@pytest.mark.slow
def test_an_embedded_database_is_refused_where_another_worker_would_take_its_runs(running: Started) -> None:
    given = running.state()["api_url"]
    sentence = refused(**running.client_settings())
    assert Up(UpSettings(), running.data_dir, Signals()).worker_name in sentence
    assert given in sentence
    assert "Set DATABASE_URL" in sentence
    assert "unset PREFECT_API_URL" in sentence


def test_a_pool_that_starts_containers_is_refused() -> None:
    assert "WORK_POOL_TYPE=docker" in refused(WORK_POOL_TYPE="docker")


def test_its_own_worker_that_was_killed_a_moment_ago_does_not_count(
    running: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The server counts it as online for a minute, but it has the name of the one to come."""
    monkeypatch.setenv("WORK_POOL", "another-pool")
    work_pool_settings.cache_clear()
    request.addfinalizer(work_pool_settings.cache_clear)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", running.auth_string())
    given = running.state()["api_url"]
    ours, theirs = (Up(UpSettings(prefect_api_url=given), tmp_path / name, Signals()) for name in "ab")
    with running.api() as api:
        api.post("/work_pools/", json={"name": "another-pool", "type": "process"}).raise_for_status()
        heartbeat = "/work_pools/another-pool/workers/heartbeat"
        api.post(heartbeat, json={"name": ours.worker_name}).raise_for_status()
    for each in (ours, theirs):
        each.embedded = True
        each.use_server(given)
    ours.expect_no_other_database()
    with pytest.raises(StartError, match=ours.worker_name):
        theirs.expect_no_other_database()
    theirs.embedded = False
    theirs.expect_no_other_database()


# --- killed, and started again


@pytest.mark.slow
def test_after_sigkill_of_make_up_alone_it_starts_at_once(used_data_dir: Path) -> None:
    first = start(used_data_dir)
    first.expect("ready", 180)
    first.stop(signal.SIGKILL)
    assert processes_of(used_data_dir), "the server lives on, or this test shows nothing"

    second = start(used_data_dir)
    second.expect("left over", 30)
    second.expect("import      Completed after", 180)
    assert second.stop() == 0
    assert not processes_of(used_data_dir)


@pytest.mark.slow
def test_after_sigkill_of_everything_it_starts_at_once(used_data_dir: Path) -> None:
    first = start(used_data_dir)
    first.expect("ready", 180)
    first.process.kill()
    for process in processes_of(used_data_dir):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    first.process.wait(10)

    second = start(used_data_dir)
    second.expect("import      Completed after", 180)
    assert second.stop(signal.SIGINT) == 0
    assert not processes_of(used_data_dir)


@pytest.mark.slow
def test_a_worker_or_server_that_dies_is_started_again(used_data_dir: Path) -> None:
    started = start(used_data_dir)
    started.expect("import      Completed after", 180)
    for name in ("worker", "server"):
        old = started.state()["children"][name]["pid"]
        os.kill(old, signal.SIGKILL)
        started.expect(f"{name:<11} died (signal 9)", 30)
        until(lambda old=old, name=name: started.state()["children"][name]["pid"] != old, f"a new {name}", 30)
    with started.api() as api:

        def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return bool(api.get("/health").json())
            return False

        until(answers, "the new server")
    assert started.stop() == 0
    assert not processes_of(used_data_dir)


@pytest.mark.slow
def test_an_embedded_database_that_dies_is_started_again(used_data_dir: Path) -> None:
    started = start(used_data_dir)
    started.expect("import      Completed after", 180)
    for process in processes_of(used_data_dir):
        with contextlib.suppress(psutil.Error):
            if process.name() == "postgres":
                process.kill()
    started.expect("starting it again", 30)
    until(lambda: embedded.is_running(used_data_dir), "the database")
    assert started.stop() == 0
    assert not processes_of(used_data_dir)


@pytest.mark.slow
@pytest.mark.parametrize("words", ["database", "server", "deploy"])
def test_ctrl_c_while_it_starts_leaves_nothing_running(used_data_dir: Path, words: str) -> None:
    started = start(used_data_dir)
    started.expect(f"{words:<11} ")
    assert started.stop(signal.SIGINT) == 0, started.text()
    assert "Traceback" not in started.text()
    assert not processes_of(used_data_dir)


@pytest.mark.slow
def test_two_that_start_at_the_same_moment_end_up_on_two_ports(migrated_prefect: Path) -> None:
    """Both find the same port free; the one that comes too late must not take the other's server for its own."""
    with new_data_dir(migrated_prefect) as one, new_data_dir(migrated_prefect) as two:
        both = [start(one), start(two)]
        for started in both:
            started.expect("ready", 180)
        assert len({started.state()["ui_url"] for started in both}) == 2
        for started in both:
            assert "died" not in started.text()
            assert started.stop() == 0


@pytest.mark.slow
def test_a_port_that_another_program_took_for_a_moment_does_not_stop_the_start(migrated_prefect: Path) -> None:
    """Taken between Prefect's own look at the port and its bind, and free again before make up looks."""
    with socket.socket() as free:  # far from where the other tests of this file look for a port
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    there = f"-c from deployments.up import __main__, ports; ports.FIRST_PORT = {port}; exit(__main__.main())"
    with new_data_dir(migrated_prefect) as data_dir, socket.socket() as faster:
        started = start(data_dir, program=there)
        log = data_dir / "logs" / "server.log"
        until(lambda: log.exists() and "Check out the dashboard" in log.read_text(), "Prefect has looked at the port")
        faster.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        faster.bind(("127.0.0.1", port))
        faster.listen()
        until(lambda: "already in use" in log.read_text(), "the server has lost")
        faster.close()
        started.expect("import      Completed after", 180)
        assert f"port {port} was taken" in started.text()
        assert started.state()["ui_url"] != f"http://127.0.0.1:{port}"
        assert started.stop() == 0


# --- what it cannot do, in one sentence


def test_a_database_that_does_not_answer_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    sentence = refused(DATABASE_URL=f"postgresql://someone:secret-word@127.0.0.1:{port}/crm")
    assert str(port) in sentence
    assert "secret-word" not in sentence


@pytest.mark.slow
def test_a_prefect_server_that_does_not_answer_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/api"
    assert url in refused(PREFECT_API_URL=url)


@pytest.mark.slow
def test_a_wanted_port_that_is_in_use_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert f"UI_PORT={port} is in use" in refused(UI_PORT=port)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TASK_TIMEZONE", "Mars/Base"),
        pytest.param("UI_PORT", "99999", marks=pytest.mark.slow),
        pytest.param("UI_PORT", "http", marks=pytest.mark.slow),
        pytest.param("TASK_TIMEZONE", "..", marks=pytest.mark.slow),
        pytest.param("TASK_MAX_INSTANCES", "none", marks=pytest.mark.slow),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    assert name in refused(**{name: value})


def test_a_data_dir_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in refused(DATA_DIR=str(tmp_path / "file"))


# --- the parts


def test_processes_are_found_by_their_mark_when_their_parent_is_gone(tmp_path: Path) -> None:
    mark = str(tmp_path)
    grandchild = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    subprocess.run([sys.executable, "-c", grandchild], env=os.environ | {MARK: mark}, check=True, timeout=30)
    found = marked_processes(mark)
    assert len(found) == 1
    assert end_processes(found, lambda: 5.0) == 1
    assert not marked_processes(mark)


def test_a_process_that_ignores_sigterm_is_killed_after_the_timeout(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on'); time.sleep(60)"
    child = Child("stubborn", [sys.executable, "-uc", stubborn], dict(os.environ), tmp_path, tmp_path / "log")
    child.start()
    until(child.log.read_text, "the child to be on", 10)
    child.stop(lambda: 0.5)
    assert child.process is not None
    assert child.process.returncode == -signal.SIGKILL


def test_a_log_is_moved_aside_while_its_process_writes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.processes.LOG_BYTES", 1000)
    chatty = "import time\nfor n in range(10**6): print(f'line {n}', flush=True); time.sleep(0.001)"
    child = Child("chatty", [sys.executable, "-c", chatty], dict(os.environ), tmp_path, tmp_path / "chatty.log")
    child.start()
    old = tmp_path / "chatty.old.log"

    def put_aside() -> bool:
        child.restart_if_exited(lambda _name, _text: None)
        return old.exists()

    until(put_aside, "the log is put aside", 20)
    until(lambda: "line" in child.log.read_text(), "it goes on", 20)
    assert "\0" not in child.log.read_text()
    child.stop(lambda: 5.0)


@pytest.mark.slow
def test_the_reason_of_a_death_is_looked_for_in_what_that_process_wrote(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("OSError: an old one\n" * 9)
    child = Child(
        "server", [sys.executable, "-c", "print('it is late', '----', sep='\\n')"], {}, tmp_path, tmp_path / "log"
    )
    child.start()
    assert child.process is not None
    child.process.wait(20)
    assert (child.last_lines(), child.reason()) == (["it is late"], "it is late")
    (tmp_path / "log").write_text("ValueError: a new one\nend\n")  # put aside meanwhile: shorter than it was
    assert child.reason() == "ValueError: a new one"


@pytest.mark.slow
def test_a_child_that_dies_again_and_again_is_given_up_and_its_log_is_named(tmp_path: Path) -> None:
    messages: list[str] = []
    child = Child("server", [sys.executable, "-c", "exit(3)"], dict(os.environ), tmp_path, tmp_path / "server.log")
    child.start()

    def given_up() -> str:
        try:
            child.restart_if_exited(lambda _name, text: messages.append(text))
        except CrashLoopError as error:
            return str(error)
        return ""

    assert str(tmp_path / "server.log") in until(given_up, "giving up", 40)
    assert [text.partition(";")[0] for text in messages] == [
        f"died (exit code 3), starting it again in {seconds} s" for seconds in (1, 2, 4, 8)
    ]
