"""The order in which `make up` starts and stops everything."""

import contextlib
import hashlib
import os
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
from dotenv import dotenv_values

from db import embedded
from db.address import without_secrets
from db.display import redacted, redacted_in
from db.embedded_location import EmbeddedError
from db.engine import database_settings, database_url, engine, owner_connection
from db.private_files import make_private
from db.schema import upgrade
from db.settings import SettingsError, env_file
from db.times import duration_text
from deployments import automations, sqlite_immediate
from deployments.demo import ministry as demo
from deployments.prefect_api import IMPORT, MONITOR, PasswordRequiredError, PrefectApi
from deployments.processes import Child, end_processes, is_flow_run, marked_processes
from deployments.up.access import access, has_own_password
from deployments.up.first_run import FirstRun
from deployments.up.ports import free_ports
from deployments.up.settings import TEMPORARY, StartError, UpSettings, environment_of_children
from deployments.up.state import State
from deployments.up.stopping import Signals, Stopped
from deployments.up.supervision import Supervisor
from deployments.up.terminal import print_line, timed
from deployments.work_pool import make_or_change
from deployments.work_pool_settings import PROCESS
from tasks.counts import counted
from tasks.notify.channels import notify_settings
from tasks.prefect_server import PASSWORD_FILE, without_user

SERVER_SECONDS = 90  # the first start creates Prefect's own tables, on a slow machine
WORKER_SECONDS = 60
METRICS_SECONDS = 30
DEPLOY_SECONDS = 180


class Up:
    """One `make up`: `run` starts everything and returns after it was asked to stop."""

    def __init__(self, settings: UpSettings, data_dir: Path, signals: Signals) -> None:
        self.settings, self.data_dir, self.signals = settings, data_dir, signals
        self.processes = Supervisor(data_dir, signals)
        self.env: dict[str, str] = {}  # of the children
        self.embedded = False  # whether the database is the embedded one
        self.state = State(data_dir)  # what up.json says
        self.cleanup = contextlib.ExitStack()  # what ends with this object, beside processes and database
        self._server: PrefectApi | None = None

    @property
    def worker_name(self) -> str:
        """The name of the worker: always the same for this data directory, and different for any other."""
        return f"make-up-{socket.gethostname()}-{hashlib.sha256(self.processes.mark.encode()).hexdigest()[:8]}"

    @property
    def own_server(self) -> bool:
        """Whether this starts and stops the Prefect server."""
        return self.settings.prefect_api_url is None

    @property
    def workers_are_local(self) -> bool:
        """Whether all workers of the server run on this machine, where process numbers tell which runs are alive."""
        return self.own_server and "PREFECT_SERVER_API_HOST" not in self.env

    @property
    def server(self) -> PrefectApi:
        """The Prefect server, once its address is known."""
        if self._server is None:
            raise RuntimeError("the server's address is not known yet")
        return self._server

    def run(self) -> None:
        """Start everything, supervise it until a signal comes, stop it.

        Raises:
            StartError, CrashLoopError, DatabaseError, EmbeddedError: after everything that was started was stopped.
        """
        if self.settings.work_pool_type != PROCESS:
            raise StartError(
                f"WORK_POOL_TYPE={self.settings.work_pool_type} is not for make up, whose runs are processes of this "
                "machine: unset it, or see Deploy in docs/"
            )
        self.state.save()
        try:
            self.stop_leftovers()
            self.make_directories()
            self.start_database()
            self.start_server()
            self.expect_no_other_database()
            self.deploy()
            self.start_worker()
            self.start_metrics()
            self.print_sign_in()
            first_runs = [*self.start_first_runs(), *self.start_demo()]
            ui, logs = self.state["ui_url"], self.data_dir / "logs"
            print_line("ready", f"UI at {ui} - logs in {logs} - Ctrl-C stops everything")
            self.supervise(first_runs)
        except Stopped:
            with contextlib.suppress(OSError):
                print(flush=True)  # the terminal shows ^C at the start of this line
        finally:
            self.stop()

    # --- start

    def stop_leftovers(self) -> None:
        """End the processes that a killed `make up` left running."""
        leftovers = marked_processes(self.processes.mark)
        if leftovers:
            with timed("left over", f"stopping {counted(len(leftovers), 'process')} of a make up that was killed"):
                end_processes(leftovers, self.signals.stop_timeout)

    def make_directories(self) -> None:
        """Make the directories of the children; what a killed `make up` left in that of temporary files is removed."""
        make_private(self.data_dir / "prefect")
        shutil.rmtree(make_private(self.data_dir / TEMPORARY), ignore_errors=True)
        make_private(self.data_dir / TEMPORARY)

    def start_database(self) -> None:
        """Start the embedded database, or connect to the one that is set, and migrate it."""
        given = database_url()
        self.embedded = given is None
        if given is None:
            with timed("database", f"embedded PostgreSQL in {embedded.directory_of(self.data_dir)}"):
                engine()
        # Waiting for a host that does not answer, or for another migration, may be interrupted anywhere.
        self.signals.may_interrupt = True
        try:
            if given is not None:
                host = f"{given.host or given.query.get('host')}{f':{given.port}' if given.port else ''}"
                with timed("database", f"PostgreSQL, {given.database} at {host}"), owner_connection():
                    pass
            self.signals.check()
            with timed("migrations", "bringing the tables and the rights of roles up to date"):
                notes = upgrade()
            for note in notes:
                print_line("roles", note)
        finally:
            self.signals.may_interrupt = False
        self.signals.check()
        url = engine().url
        engine().dispose()  # this process needs it no more; the children have connections of their own
        self.state["database_url"] = without_secrets(url).render_as_string()
        in_file = database_settings().is_in_file("database_url", "postgres_password")
        address = None if in_file else url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.env = environment_of_children(
            self.settings, self.data_dir, self.processes.mark, address, os.environ, embedded=self.embedded
        )

    def start_server(self) -> None:
        """Start the Prefect server, or find the one of PREFECT_API_URL, and its work pool."""
        if self.settings.prefect_api_url is not None:
            url, auth_string = without_user(self.settings.prefect_api_url)
            self.env |= {"PREFECT_API_AUTH_STRING": auth_string} if auth_string else {}
            self.use_server(url)
            with timed("server", f"Prefect at {self.state['api_url']} (PREFECT_API_URL)"):
                self.expect_given_server()
        else:
            for port in free_ports(self.settings.ui_port):
                if self.start_server_on(port):
                    break
                print_line("server", f"port {port} was taken by another program")
            if self.workers_are_local:
                self.end_interrupted_runs()
        with timed("work pool", self.server.pool):
            make_or_change(self.server, self.settings)

    def start_server_on(self, port: int) -> bool:
        """Start the server and wait until it answers; False if another program took the port meanwhile."""
        from_file = {name: value for name, value in dotenv_values(env_file()).items() if value}  # Prefect reads it, too
        given = from_file | {name: value for name, value in os.environ.items() if value}
        self.env |= access(self.data_dir, given, port)
        self.state["own_password"] = has_own_password(given)
        self.use_server(f"http://127.0.0.1:{port}/api")
        database = sqlite_immediate.settings(Path(self.env["PREFECT_HOME"]), {*self.env, *from_file})
        env = {"PREFECT_SERVER_UI_API_URL": self.state["api_url"]} | database | self.env
        server = self.processes.child("server", env, "server", "start", "--port", str(port))

        def is_ready() -> bool:  # another server may answer on this port
            return server.listens_on(port) and self.server.healthy()

        try:
            with timed("server", f"Prefect at {self.state['ui_url']}"):
                self.processes.start(server, self.state)
                self.processes.wait_for(is_ready, SERVER_SECONDS, server)
        except StartError:
            # The log decides: the other program may have left the port again.
            if not any("already in use" in line for line in server.last_lines()):
                raise
            self.processes.give_up(server)
            return False
        return True

    def use_server(self, api_url: str) -> None:
        """Use the server at this address, and give the address to the children."""
        auth_string = self.env.get("PREFECT_API_AUTH_STRING")
        self._server = PrefectApi(api_url, ours=self.own_server, auth_string=auth_string)
        self.env["PREFECT_API_URL"] = api_url
        self.state["api_url"], self.state["ui_url"] = api_url, api_url.removesuffix("/api")

    def expect_given_server(self) -> None:
        """Raise StartError if the server of PREFECT_API_URL does not answer."""
        url = self.state["api_url"]
        try:
            healthy = self.server.healthy()
        except PasswordRequiredError as error:
            raise StartError(str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise StartError(
                f"PREFECT_API_URL={url} does not answer as a Prefect server ({redacted_in(error)}). Start that server "
                "(its address ends in /api), or unset PREFECT_API_URL and make up starts one."
            ) from error
        if not healthy:
            raise StartError(f"The Prefect server at {url} reports that it is not healthy; see its log.")

    def expect_no_other_database(self) -> None:
        """Raise StartError if another worker takes runs of the same pool into another database."""
        if self.own_server or not self.embedded:
            return
        others = [each["name"] for each in self.server.workers() if each["status"] == "ONLINE"]
        if others := sorted(set(others) - {self.worker_name}):
            raise StartError(
                f"{', '.join(others)} already takes work of {self.server.pool} at {self.state['api_url']}: some of its "
                "runs would go into the embedded database of this make up, and some runs of this make up into its "
                "database. Set DATABASE_URL to its database, or unset PREFECT_API_URL and make up starts a server. (A "
                "worker that ended is listed for a minute.)"
            )

    def deploy(self) -> None:
        """Deploy the deployments of prefect.yaml and the automations."""
        deploying = self.processes.child("deploy", self.env, "--no-prompt", "deploy", "--all")
        with timed("deploy", "prefect deploy --all"):
            deploying.start()
            self.processes.wait_for(lambda: deploying.exit_code() == 0, DEPLOY_SECONDS, deploying)
        with timed("automations", "a run without heartbeats is marked as crashed"):
            automations.apply(self.server)

    def start_worker(self) -> None:
        """Start the worker, and wait until the server has received its heartbeat."""
        name = self.worker_name
        arguments = ("worker", "start", "--pool", self.server.pool, "--type", PROCESS, "--name", name)
        worker = self.processes.child("worker", self.env, *arguments)
        before = self.server.heartbeat(name)
        with timed("worker", f"{name}, for {self.server.pool}"):
            self.processes.start(worker, self.state)
            self.processes.wait_for(lambda: self.server.heartbeat(name) != before, WORKER_SECONDS, worker)

    def start_metrics(self) -> None:
        """Start the server of the metrics, if METRICS_PORT is set."""
        if (port := self.settings.metrics_port) is None:
            return
        serving = self.processes.child("metrics", self.env, "--port", str(port), module="deployments.metrics")
        with timed("metrics", f"http://127.0.0.1:{port}/metrics"):
            self.processes.start(serving, self.state)
            self.processes.wait_for(lambda: serving.listens_on(port), METRICS_SECONDS, serving)

    def start_first_runs(self) -> list[FirstRun]:
        """Start a run of each deployment with the tag at-start; of the import only if there is a workbook."""
        runs = []
        for name, deployment in self.server.at_start():
            job, what = (
                ("import", self.env.get("CRM_WORKBOOK") or self.settings.workbook)
                if name == IMPORT
                else (name, "tagged at-start")
            )
            if what is None:
                print_line(job, "none: CRM_WORKBOOK is not set, and the sample only goes into the embedded database")
                continue
            run_id = self.server.start_run(deployment)
            print_line(job, f"{redacted(what)}: {self.state['ui_url']}/runs/flow-run/{run_id}")
            runs.append(FirstRun(job, self.server, run_id))
        return runs

    def start_demo(self) -> list[FirstRun]:
        """At the first start only: start a run of the monitor, of a small ministry that is served here.

        Only on the embedded database and without NOTIFY_URLS, whose channels would get its digest. The website is there
        until `make up` ends, so that the run can be retried.
        """
        if not self.embedded or _has_channels():
            return []
        deployment = self.server.deployment_id(MONITOR)
        if deployment is None or self.server.has_run(demo.FIRST_DAY):
            return []
        ministry = self.cleanup.enter_context(demo.serving())
        run_id = self.server.create_run(
            deployment, parameters={"source": demo.SOURCE, "base_url": ministry.url}, tags=[demo.FIRST_DAY]
        )
        print_line("monitor", f"a demo ministry, its first day: {self.state['ui_url']}/runs/flow-run/{run_id}")
        return [FirstRun("monitor", self.server, run_id)]

    def print_sign_in(self) -> None:
        """Say how to sign in: a terminal shows the password, a log only the command that does."""
        if not (self.own_server and self.state["own_password"]):
            return
        address = f"{self.state['ui_url']}/v2/login"  # the page of the older UI shows errors
        show = f"cat {shlex.quote(str(self.data_dir / PASSWORD_FILE))}"
        password = self.env["PREFECT_API_AUTH_STRING"] if sys.stdout.isatty() else f"from: {show}"
        print_line("sign in", f"once in each browser, at {address}, with the password {password}")

    # --- supervise

    def supervise(self, first_runs: Sequence[FirstRun]) -> None:
        """Keep everything alive, and print the progress of the first runs, until a signal comes."""
        while True:
            self.processes.restart_exited_children(self.state)
            if self.embedded:
                self.processes.restart_database()
            for run in first_runs:
                run.follow()
            self.signals.check()
            time.sleep(0.2)

    # --- stop

    def stop(self) -> None:
        """Stop everything that was started: runs, worker, server, database."""
        started = time.monotonic()
        anything = bool(self.processes.children) or self.embedded
        if anything:
            print_line("stopping", "everything (Ctrl-C again to hurry)")
        self.interrupt_runs()
        self.processes.stop_children(self._after_child)
        if self.embedded:
            try:
                embedded.stop(self.data_dir)
            except EmbeddedError as error:
                print_line("database", str(error))
        self.cleanup.close()
        self.state.remove()
        if anything:
            took = duration_text(time.monotonic() - started)
            print_line("stopped", f"after {took}; nothing is lost, make up starts it again")

    def interrupt_runs(self) -> None:
        """End the running flows, before the worker: they report to the server themselves that they were interrupted.

        A worker that is stopped kills its runs, and the server would show them as running for ever.
        """
        runs = [process for process in marked_processes(self.processes.mark) if is_flow_run(process)]
        if runs:
            print_line("", f"interrupting {counted(len(runs), 'flow run')}; an import can be resumed later")
            end_processes(runs, self.signals.stop_timeout)

    def _after_child(self, child: Child) -> None:
        if child.name == "worker" and self.workers_are_local:
            self.end_interrupted_runs()

    def end_interrupted_runs(self) -> None:
        """End the runs whose process is gone, so that the server does not show them as running for ever."""
        with contextlib.suppress(httpx.HTTPError):
            if ended := self.server.end_interrupted_runs():
                print_line("", f"ended: {counted(len(ended), 'flow run')} whose process is gone")


def _has_channels() -> bool:
    try:
        return notify_settings().notify_urls is not None
    except SettingsError:  # the runs and doctor report it
        return True
