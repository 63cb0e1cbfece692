"""`make up`: everything that the jobs need on one machine, started in order, watched, and stopped again.

Decides what is ours and what is given: without DATABASE_URL or POSTGRES_* the embedded database is started, without
PREFECT_API_URL a Prefect server; what the environment names is used and left running. Started again it is an upgrade:
migrations and deployments are brought up to date, and the import finds its workbook done. Only one of it runs in a
DATA_DIR (a lock that ends with its holder); what a killed one left behind is found by its mark and stopped first.

`DATA_DIR/up.json` says what runs: pid and create_time of `make up` and its children, api_url, ui_url and database_url
(without password). Foreground runs find the server there; it counts only while pid and create_time match a process.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import IO, Any
from zoneinfo import ZoneInfo

import httpx
import psutil
from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator
from sqlalchemy.exc import DBAPIError

from db import embedded
from db.engine import DatabaseError, database_settings, database_url, engine, explain, upgrade
from db.errors import UserError
from db.settings import env_file
from deployments import automations, sqlite_turns
from deployments.prefect_api import IMPORT, POOL, PrefectApi
from deployments.processes import MARK, Child, CrashLoopError, end, how_it_ended, is_flow_run, marked
from tasks.admission_settings import AdmissionSettings
from tasks.crm.download import located
from tasks.settings import ServerSettings

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = Path(__file__).with_name("sample") / "crm_sample.xlsx"
FIRST_PORT = 4200
PORTS_TRIED = 50
PATIENCE = 10.0  # seconds that something gets to end by itself before it is killed; 0 once a second Ctrl-C came
SERVER_SECONDS = 90  # the first start on a slow machine creates Prefect's own tables
WORKER_SECONDS = 60
DEPLOY_SECONDS = 180
DATABASE_SECONDS = 5  # between two looks at the embedded database
PROFILE = {"PREFECT_PROFILE", "PREFECT_PROFILES_PATH"}  # name what is not there in our PREFECT_HOME, which is an error


class StartError(UserError):
    """What keeps `make up` from running, as a plain sentence that says what to do."""


class Stopped(BaseException):  # a BaseException, so that nothing swallows it
    """Ctrl-C, SIGTERM or a closed terminal."""


class UpSettings(AdmissionSettings, ServerSettings):
    """What can be set for `make up` itself, in the environment or in .env, and what it hands to the worker."""

    ui_port: int | None = Field(None, ge=1, le=65535, description="Port of the UI; empty: 4200, or the next free one")
    crm_workbook: str | None = Field(
        None,
        description="Path, glob or URL of the workbook; empty: for `make up` the sample, if the database is embedded, "
        "else none",
    )
    task_timezone: str = Field("UTC", description="Time zone of the schedules, like Europe/Berlin")

    @field_validator("task_timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("no such time zone; write it like Europe/Berlin") from error
        return name


@cache
def up_settings() -> UpSettings:
    """The settings, read once.

    Raises:
        StartError: naming each wrong one.
    """
    try:
        return UpSettings(_env_file=env_file())
    except ValidationError as error:
        wrong = [f"{str(e['loc'][0]).upper()}={e['input']!r}: {e['msg']}" for e in error.errors()]
        raise StartError("; ".join(wrong).replace("Value error, ", "")) from error


class Signals:
    """Counts what asks us to stop. The first stops in order, the second hurries."""

    def __init__(self) -> None:
        self.count = 0
        self.at_once = False  # True while something runs that may be broken off anywhere

    def listen(self) -> None:
        """From now on signals are counted."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup make up
                signal.signal(number, self._received)

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1 and self.at_once:
            raise Stopped

    def check(self) -> None:
        """Raise Stopped if a signal came."""
        if self.count:
            raise Stopped

    def patience(self) -> float:
        """Seconds that something may take to end."""
        return PATIENCE if self.count < 2 else 0.0  # noqa: PLR2004 - the second one


def say(what: str, text: str, end: str = "\n") -> None:
    """Tell the person at the terminal, if there still is one."""
    with contextlib.suppress(OSError):
        print(f"{what:<11} {text}", end=end, flush=True)


@contextlib.contextmanager
def step(what: str, text: str) -> Iterator[None]:
    """Say what is being done, and how long it took once it is done."""
    say(what, f"{text} ... ", end="")
    started = time.monotonic()
    took = "failed"
    try:
        yield
        took = f"{time.monotonic() - started:.1f} s"
    except Stopped:
        took = "stopped"
        raise
    finally:
        with contextlib.suppress(OSError):
            print(took, flush=True)


@dataclass
class Up:
    """One `make up`: `run` starts everything and stays until it is told to stop."""

    settings: UpSettings
    data_dir: Path
    signals: Signals
    env: dict[str, str] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    api: PrefectApi | None = None
    embedded: bool = False
    next_look_at_database: float = 0.0

    @property
    def mark(self) -> str:
        """What the environment of each of our processes says."""
        return str(self.data_dir.resolve())

    @property
    def worker_name(self) -> str:
        """The same whenever it is started for this data directory, and for no other."""
        return f"make-up-{socket.gethostname()}-{hashlib.sha256(self.mark.encode()).hexdigest()[:8]}"

    @property
    def own_server(self) -> bool:
        """Whether the Prefect server is ours to start and stop."""
        return self.settings.prefect_api_url is None

    def run(self) -> None:
        """Start, stay, stop.

        Raises:
            StartError, CrashLoopError, DatabaseError: after everything that was started has been stopped.
        """
        me = psutil.Process()
        self.state = {"pid": me.pid, "create_time": me.create_time(), "data_dir": str(self.data_dir), "children": {}}
        self.save_state()
        try:
            self.stop_left_overs()
            self.start_database()
            self.start_server()
            self.expect_no_other_database()
            self.deploy()
            self.start_worker()
            first_runs = self.first_runs()
            say("ready", f"UI at {self.state['ui_url']} - logs in {self.data_dir / 'logs'} - Ctrl-C stops everything")
            self.stay(first_runs)
        except Stopped:
            with contextlib.suppress(OSError):
                print(flush=True)  # the terminal shows ^C at the start of this line
        finally:
            self.stop()

    # --- start

    def stop_left_overs(self) -> None:
        """End what a `make up` that was killed left running."""
        left_over = marked(self.mark)
        if left_over:
            with step("left over", f"stopping {counted(left_over, 'process')} of a make up that was killed"):
                end(left_over, self.signals.patience)

    def start_database(self) -> None:
        """Start or reach the database and migrate it; from here on the children can be told its address."""
        given = database_url()
        self.embedded = given is None
        if given is None:
            with step("database", f"embedded PostgreSQL in {embedded.directory_of(self.data_dir)}"):
                engine()
        # Waiting for a host that does not answer, or for somebody else's migration, can be broken off anywhere.
        self.signals.at_once = True
        try:
            if given is not None:
                host = f"{given.host or given.query.get('host')}{f':{given.port}' if given.port else ''}"
                with step("database", f"PostgreSQL, {given.database} at {host}"), explained(), engine().connect():
                    pass
            self.signals.check()
            with step("migrations", "bringing the tables up to date"):
                upgrade()
        finally:
            self.signals.at_once = False
        self.signals.check()
        url = engine().url
        engine().dispose()  # nothing more is asked from here; the children have connections of their own
        self.state["database_url"] = url.render_as_string(hide_password=True)
        self.env = self.environment(url.set(drivername="postgresql").render_as_string(hide_password=False))

    def environment(self, address: str) -> dict[str, str]:
        """What the children find in their environment."""
        ours = {
            MARK: self.mark,
            "DATABASE_URL": address,
            "DATA_DIR": str(self.data_dir),
            "TASK_TIMEZONE": self.settings.task_timezone,  # prefect.yaml takes it from here
            "TASK_MAX_INSTANCES": str(self.settings.task_max_instances),
            "TASK_MISFIRE_GRACE": str(self.settings.task_misfire_grace),
            "PREFECT_HOME": str(self.data_dir / "prefect"),
            "PYTHONUNBUFFERED": "1",  # so that the logs are complete when something dies
        }
        workbook = self.settings.crm_workbook or (str(SAMPLE) if self.embedded else None)
        if workbook:
            # A worker runs its flows in a directory of its own.
            ours["CRM_WORKBOOK"] = located(workbook)
        unless_set = {
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # how soon a run that died without a word can be noticed
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }
        if auth := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
            unless_set["PREFECT_API_AUTH_STRING"] = auth
        for name in ("NO_PROXY", "no_proxy"):  # a proxy of the environment must not stand between our processes
            ours[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))
        given = {name: value for name, value in os.environ.items() if name not in PROFILE}
        return unless_set | given | ours

    def start_server(self) -> None:
        """Start the Prefect server, or find the one that is given, and its work pool."""
        if self.settings.prefect_api_url is not None:
            self.use_server(self.settings.prefect_api_url.rstrip("/"))
            with step("server", f"Prefect at {self.state['api_url']} (PREFECT_API_URL)"):
                self.expect_given_server()
        else:
            for port in free_ports(self.settings.ui_port):
                if self.started_server_on(port):
                    break
                say("server", f"another program was faster on port {port}")
            # What another machine's worker runs cannot be judged by a process number of this one.
            if "PREFECT_SERVER_API_HOST" not in self.env:
                self.report_cut_off_runs()
        with step("work pool", POOL):
            self.server.make_work_pool()

    def started_server_on(self, port: int) -> bool:
        """Start the server and wait until it serves; False if somebody else got the port between our look and its."""
        self.use_server(f"http://127.0.0.1:{port}/api")
        given = {*self.env, *dotenv_values(env_file())}  # Prefect reads that file as well
        database = sqlite_turns.settings(Path(self.env["PREFECT_HOME"]), given)
        env = {"PREFECT_SERVER_UI_API_URL": self.state["api_url"]} | database | self.env
        server = self.child("server", "server", "start", "--port", str(port), env=env)
        try:
            with step("server", f"Prefect at {self.state['ui_url']}"):
                self.start_child(server)
                # Whoever answers there need not be ours.
                self.wait_for(lambda: server.listens_on(port) and self.server.healthy(), SERVER_SECONDS, server)
        except StartError:
            # Its own word: by now the other one may be gone again.
            if not any("already in use" in line for line in server.said()):
                raise
            server.stop(self.signals.patience)
            self.children.remove(server)
            return False
        return True

    def use_server(self, api_url: str) -> None:
        """Remember the server's address and hand it to the children."""
        self.api = PrefectApi(api_url, ours=self.own_server)
        self.env["PREFECT_API_URL"] = api_url
        self.state["api_url"], self.state["ui_url"] = api_url, api_url.removesuffix("/api")

    @property
    def server(self) -> PrefectApi:
        """The Prefect server, once its address is known."""
        if self.api is None:
            raise RuntimeError("the server's address is not known yet")
        return self.api

    def expect_given_server(self) -> None:
        """Fail in plain words if the server of PREFECT_API_URL does not answer."""
        url = self.state["api_url"]
        try:
            healthy = self.server.healthy()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise StartError(
                f"PREFECT_API_URL={url} does not answer as a Prefect server ({error}). Start that server (its address "
                "ends in /api), or unset PREFECT_API_URL and make up starts one."
            ) from error
        if not healthy:
            raise StartError(f"The Prefect server at {url} says that it is not well; see its log.")

    def expect_no_other_database(self) -> None:
        """Fail in plain words if another worker would take our runs into its database, and ours its runs into ours."""
        if self.own_server or not self.embedded:
            return
        others = [each["name"] for each in self.server.workers() if each["status"] == "ONLINE"]
        if others := sorted(set(others) - {self.worker_name}):
            raise StartError(
                f"{', '.join(others)} already takes work of {POOL} at {self.state['api_url']}: some of its runs would "
                "go into the embedded database of this make up, and ours into its own. Set DATABASE_URL to its "
                "database, or unset PREFECT_API_URL and make up starts a server. (A worker that ended is listed for a "
                "minute.)"
            )

    def deploy(self) -> None:
        """Bring prefect.yaml to the server."""
        deploying = self.child("deploy", "--no-prompt", "deploy", "--all")
        with step("deploy", "prefect deploy --all"):
            deploying.start()
            self.wait_for(
                lambda: deploying.process is not None and deploying.process.poll() == 0, DEPLOY_SECONDS, deploying
            )
        with step("automations", "a run that goes silent has crashed"):
            automations.apply(self.server)

    def start_worker(self) -> None:
        """Start the worker and wait until the server has heard of it."""
        name = self.worker_name
        worker = self.child("worker", "worker", "start", "--pool", POOL, "--type", "process", "--name", name)
        before = self.server.heartbeat(name)
        with step("worker", f"{name}, for {POOL}"):
            self.start_child(worker)
            self.wait_for(lambda: self.server.heartbeat(name) != before, WORKER_SECONDS, worker)

    def first_runs(self) -> list[FirstRun]:
        """Ask for a run of each deployment tagged at-start; of the import, if there is a workbook for it."""
        runs = []
        for name, deployment in self.server.at_start():
            job, what = ("import", self.env.get("CRM_WORKBOOK")) if name == IMPORT else (name, "tagged at-start")
            if what is None:
                say(job, "none: CRM_WORKBOOK is not set, and the sample only goes into the embedded database")
                continue
            run_id = self.server.start_run(deployment)
            say(job, f"{what}: {self.state['ui_url']}/runs/flow-run/{run_id}")
            runs.append(FirstRun(job, self.server, run_id))
        return runs

    def child(self, name: str, *prefect: str, env: dict[str, str] | None = None) -> Child:
        """A child that runs Prefect's command line."""
        log = self.data_dir / "logs" / f"{name}.log"
        return Child(name, [sys.executable, "-m", "prefect", *prefect], env or self.env, ROOT, log)

    def start_child(self, child: Child) -> None:
        """Start a child that is watched from now on."""
        self.children.append(child)
        child.start()
        self.save_state()

    def wait_for(self, condition: Callable[[], bool], seconds: float, child: Child) -> None:
        """Wait for something that `child` brings about; in plain words if it dies or does not."""
        until = time.monotonic() + seconds
        while True:
            code = child.process.poll() if child.process else None
            with contextlib.suppress(httpx.TransportError, httpx.HTTPStatusError):
                if condition():
                    return
            if code is not None:
                problem = f"ended ({how_it_ended(code)})"
            elif time.monotonic() > until:
                problem = f"did not get ready within {seconds:.0f} seconds"
            else:
                self.signals.check()
                time.sleep(0.1)
                continue
            raise StartError(f"The {child.name} {problem}; its log {child.log} says: {child.reason()}")

    # --- stay

    def stay(self, first_runs: Sequence[FirstRun]) -> None:
        """Keep the children alive, and tell how the first runs go, until a signal comes."""
        while True:
            for child in self.children:
                if child.watch(say):
                    self.save_state()
            self.watch_database()
            for run in first_runs:
                run.follow()
            self.signals.check()
            time.sleep(0.2)

    def watch_database(self) -> None:
        """Every few seconds: start the embedded database again if it died."""
        if not self.embedded or time.monotonic() < self.next_look_at_database:
            return
        self.next_look_at_database = time.monotonic() + DATABASE_SECONDS
        if embedded.is_running(self.data_dir):
            return
        say("database", "does not answer, starting it again")
        try:
            embedded.start(self.data_dir)
        except embedded.EmbeddedError as error:
            say("database", str(error))

    # --- stop

    def stop(self) -> None:
        """Stop everything we started, in the order in which nothing is missed."""
        started = time.monotonic()
        anything = bool(self.children) or self.embedded
        if anything:
            say("stopping", "everything (Ctrl-C again to hurry)")
        # The runs first: they tell the server themselves that they were broken off. A worker that is told to stop kills
        # them, and they would stand as running for ever.
        runs = [process for process in marked(self.mark) if is_flow_run(process)]
        if runs:
            say("", f"breaking off {counted(runs, 'flow run')}; an import can go on later")
            end(runs, self.signals.patience)
        for child in reversed(self.children):
            child.stop(self.signals.patience)
            if child.name == "worker" and self.own_server and "PREFECT_SERVER_API_HOST" not in self.env:
                self.report_cut_off_runs()
        end(marked(self.mark), self.signals.patience)
        if self.embedded:
            try:
                embedded.stop(self.data_dir)
            except embedded.EmbeddedError as error:
                say("database", str(error))
        (self.data_dir / "up.json").unlink(missing_ok=True)
        if anything:
            say("stopped", f"after {time.monotonic() - started:.1f} s; nothing is lost, make up starts it again")

    def report_cut_off_runs(self) -> None:
        """Runs whose process is gone do not stand as running for ever."""
        with contextlib.suppress(httpx.HTTPError):
            if cut_off := self.server.report_cut_off_runs():
                say("", f"ended: {counted(cut_off, 'flow run')} whose process is gone")

    def save_state(self) -> None:
        """Write up.json, whole or not at all."""
        for child in self.children:
            if child.process is not None:
                with contextlib.suppress(psutil.Error):
                    created = psutil.Process(child.process.pid).create_time()
                    self.state["children"][child.name] = {"pid": child.process.pid, "create_time": created}
        new = self.data_dir / "up.json.new"
        new.write_text(json.dumps(self.state, indent=1))
        new.replace(self.data_dir / "up.json")


class FirstRun:
    """A run that `make up` asked for, followed until it ends."""

    def __init__(self, job: str, server: PrefectApi, run_id: str) -> None:
        self._job, self._server, self._run_id = job, server, run_id
        self._next_look = 0.0
        self._said = ""
        self._done = False

    def follow(self) -> None:
        """At most once a second: say how far the run is, or how it ended."""
        if self._done or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + 1
        try:
            run = self._server.run_state(self._run_id)
            progress = self._server.progress(self._run_id) if run.type == "RUNNING" else None
        except (httpx.HTTPError, ValueError):
            return  # the server is busy or being started again; the run goes on without it
        self._done = run.final
        text = run.name if progress is None else f"{run.name} {progress:.0f} %"
        if run.type in {"SCHEDULED", "PENDING"}:
            text = "waits for the worker"
        if run.final:
            text = f"{run.name} after {run.seconds:.1f} s{': ' if run.message else ''}{run.message}"
        if text == self._said:
            return
        # A terminal shows one line that moves; a file gets a line for each state.
        terminal = sys.stdout.isatty()
        if terminal or run.final or progress is None:
            start = "\r\033[K" if terminal and self._said else ""
            say(f"{start}{self._job:<11}", text, end="" if terminal and not run.final else "\n")
        self._said = text


def counted(things: Sequence[object], name: str) -> str:
    """Such as "1 flow run" or "3 processes"."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 'es' if name.endswith('s') else 's'}"


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """What the driver raises, in the words of db.engine."""
    try:
        yield
    except DBAPIError as error:
        raise explain(error) from error


def free_ports(wanted: int | None) -> Iterator[int]:
    """Ports for the Prefect server, each free when it is named: the wanted one alone, or one after another from 4200.

    Raises:
        StartError: when the next is asked for and there is none.
    """
    if wanted is not None:
        if not taken(wanted):
            yield wanted
        raise StartError(
            f"UI_PORT={wanted} is in use by another program. Stop it, or give another: UI_PORT={wanted + 1}"
        )
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        if not taken(port):
            if port != FIRST_PORT:
                by = "another Prefect server" if is_prefect(FIRST_PORT) else "another program"
                say("server", f"port {FIRST_PORT} is in use by {by}, taking {port} (UI_PORT sets it)")
            yield port
    raise StartError(
        f"Ports {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1} are all in use; give a free one: UI_PORT=..."
    )


def taken(port: int) -> bool:
    """Whether somebody listens on this port of this machine, or we may not."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def is_prefect(port: int) -> bool:
    """Whether a Prefect server answers there."""
    try:
        return PrefectApi(f"http://127.0.0.1:{port}/api", ours=True).healthy()
    except (httpx.HTTPError, ValueError):
        return False


def take_data_dir(data_dir: Path) -> IO[str]:
    """The lock on DATA_DIR; it lasts as long as this process, however that ends.

    Raises:
        StartError: it cannot be written to, or another `make up` has it; names its pid and address.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "up.lock").open("w")
    except OSError as error:
        raise StartError(
            f"DATA_DIR={data_dir} cannot be used ({error.strerror}). Name one that can be written to: DATA_DIR=..."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        other: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            other = json.loads((data_dir / "up.json").read_text())
        pid, address = other.get("pid", "unknown"), other.get("ui_url", "not there yet")
        raise StartError(
            f"make up already runs for {data_dir} (pid {pid}, UI {address}). Use it, or stop it with: kill {pid}"
        ) from error
    return lock


def main() -> int:
    """Run `make up`; 0 when it was told to stop, 1 with one plain sentence when it cannot go on."""
    signals = Signals()
    signals.listen()
    try:
        settings, data_dir = up_settings(), database_settings().data_dir
        with take_data_dir(data_dir):
            Up(settings, data_dir, signals).run()
    except (StartError, CrashLoopError, DatabaseError, embedded.EmbeddedError) as error:
        problem = str(error)
    except httpx.HTTPError as error:
        problem = f"the Prefect server did not answer as it should: {error}"
    except OSError as error:
        problem = f"{error.strerror or error}: {error.filename or 'a file below DATA_DIR'}"
    else:
        return 0
    print(f"make up: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
