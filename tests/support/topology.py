"""The services of deployments/compose.yaml as plain processes: databases, Redis, servers behind HAProxy, workers.

Commands and settings are those of the file. Only names of hosts and ports differ, and there is one PostgreSQL with two
databases. Each worker has directories of its own: no file is shared.
"""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
import psycopg
import redis
import yaml
from support.databases import Database
from support.loopback import free_port
from support.project import ROOT
from support.waiting import until

from deployments.prefect_api import PrefectApi

PROGRAMS = {"redis-server": "redis-server", "haproxy": "haproxy"}  # program -> Debian's package
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deployments" / "compose.yaml").read_text())
HOST = "127.0.0.1"
_SECONDS_TO_STOP = 15


def missing() -> list[str]:
    """Debian's packages that this needs and that are not installed."""
    found = [package for program, package in PROGRAMS.items() if shutil.which(program, path=_PATH) is None]
    return found if _postgres_programs() else [*found, "postgresql"]


_PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"


def _postgres_programs() -> Path | None:
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@dataclass
class Service:
    """One process that can be killed and started again."""

    command: Sequence[str]
    environment: dict[str, str]
    directory: Path
    _process: subprocess.Popen[bytes] | None = None
    _log: IO[bytes] | None = None

    def start(self) -> None:
        self.directory.mkdir(exist_ok=True)
        self._log = (self.directory / "log").open("ab")
        self._process = subprocess.Popen(
            self.command,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL for the process and all that it has started."""
        for process in (*self.children(), psutil.Process(self.pid)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._end()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what does not end."""
        if self._process is None:
            return
        children = self.children()
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_STOP)
        for process in children:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        with suppress(ProcessLookupError):
            self._process.kill()
        self._end()

    def text(self) -> str:
        """Its log."""
        return (self.directory / "log").read_text(errors="replace")

    def seconds_of_processors(self) -> float:
        """What it and all that it has started have used since its start."""
        return seconds_of_processors(self.pid)

    def children(self) -> list[psutil.Process]:
        """The processes that it has started."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def _end(self) -> None:
        if self._process and self._log:
            self._process.wait()
            self._log.close()


def seconds_of_processors(pid: int) -> float:
    """What a process and all that it has started have used since its start."""
    used = 0.0
    with suppress(psutil.NoSuchProcess):
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                used += sum(process.cpu_times()[:4])  # also of children that have ended
    return used


@dataclass
class Topology:
    """The services that run. `url`: of the API behind the proxy."""

    directory: Path
    url: str
    password: str
    database: Database
    postgres: int  # the process of the databases
    servers: list[Service] = field(default_factory=list)
    workers: list[Service] = field(default_factory=list)
    services: Service | None = None  # Prefect's background services
    _jobs: dict[str, str] = field(default_factory=dict)
    _owner: dict[str, str] = field(default_factory=dict)

    def api(self) -> PrefectApi:
        return PrefectApi(f"{self.url}/api", ours=True, auth_string=self.password)

    def add_worker(self, **settings: str) -> Service:
        """One more worker, in directories of its own."""
        home = self.directory / f"worker-{len(self.workers) + 1}"
        own = {"HOME": home, "PREFECT_HOME": home / "prefect", "DATA_DIR": home / "jobs", "TMPDIR": home / "tmp"}
        for each in own.values():
            each.mkdir(parents=True, exist_ok=True)
        command = _filled(COMPOSE["services"]["worker"]["command"])
        environment = self._jobs | {name: str(path) for name, path in own.items()} | settings
        worker = Service([*_with_secrets(), *command, "--name", home.name], environment, home)
        worker.start()
        self.workers.append(worker)
        return worker

    def stop_workers(self) -> None:
        for worker in self.workers:
            worker.stop()

    def run(self, *arguments: str) -> None:
        """Run one of our commands, as the service `migrate` does."""
        done = subprocess.run(
            [*_with_secrets(), sys.executable, "-m", *arguments],
            env=self._owner,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def started(servers: int = 2) -> Iterator[Topology]:
    """All services but workers, until the end of the block."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="topology-")))
        directory.chmod(0o755)
        secret = {name: secrets.token_hex(8) for name in COMPOSE["secrets"]}
        secret["prefect_auth_string"] = f"admin:{secrets.token_hex(8)}"
        (postgres, postgres_pid), port, redis_port = stack.enter_context(_postgres(secret)), free_port(), free_port()
        owner = f"postgresql://embassy_jobs:{secret['database_password']}@{HOST}:{postgres}/embassy_jobs"
        secret["migration_database_url"] = owner
        (directory / "secrets").mkdir()
        for name, value in secret.items():
            (directory / "secrets" / name).write_text(value)

        def run(service: Service) -> Service:
            service.start()
            stack.callback(service.stop)
            return service

        run(
            Service(
                ["redis-server", "--port", str(redis_port), "--bind", HOST, "--save", ""],
                _base(directory),
                directory / "redis",
            )
        )
        with redis.Redis(port=redis_port) as client:
            until(lambda: _pings(client), "Redis answers", 30)
        url = f"http://{HOST}:{port}"
        prefect = (
            _base(directory)
            | _environment(COMPOSE["x-prefect"], directory, UI_URL=url)
            | {
                "PREFECT_SERVER_DATABASE_HOST": HOST,
                "PREFECT_SERVER_DATABASE_PORT": str(postgres),
                "PREFECT_REDIS_MESSAGING_HOST": HOST,
                "PREFECT_REDIS_MESSAGING_PORT": str(redis_port),
                "PREFECT_SERVER_DOCKET_URL": f"redis://{HOST}:{redis_port}/1",
            }
        )
        migrate = COMPOSE["services"]["prefect-migrate"]["command"]
        subprocess.run(
            [*_with_secrets(), *migrate], env=prefect, cwd=directory, check=True, capture_output=True, timeout=180
        )
        jobs = (
            _base(directory)
            | _environment(COMPOSE["x-jobs"], directory)
            | {
                "POSTGRES_SERVER": HOST,
                "POSTGRES_PORT": str(postgres),
                "PREFECT_API_URL": f"{url}/api",
                "DATA_DIR": str(directory / "jobs"),
            }
        )
        migrations = jobs | {
            name: value
            for name, value in _environment(COMPOSE["services"]["migrate"]["environment"], directory).items()
            if name not in COMPOSE["x-jobs"]
        }
        topology = Topology(
            directory, url, secret["prefect_auth_string"], Database(owner), postgres_pid, _jobs=jobs, _owner=migrations
        )
        ports = [free_port() for _ in range(servers)]
        for number, own in enumerate(ports, 1):
            command = _on_port(COMPOSE["services"]["server"]["command"], own)
            topology.servers.append(run(Service([*_with_secrets(), *command], prefect, directory / f"server-{number}")))
        topology.services = run(
            Service([*_with_secrets(), *COMPOSE["services"]["services"]["command"]], prefect, directory / "services")
        )
        until(lambda: _all_answer(topology.servers, ports), "the servers answer", 120)
        run(_proxy(directory, port, ports))
        stack.callback(topology.stop_workers)
        until(lambda: _is_healthy(port), "the proxy answers", 30)
        topology.run("deployments.migrate")
        topology.run("deployments.deploy")
        yield topology


def _base(directory: Path) -> dict[str, str]:
    home = directory / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": _PATH,
        "HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "PYTHONPATH": str(ROOT),
        "SETTINGS_FILE": os.devnull,
        "WORKBOOK_SETTLE_SECONDS": "0",
        # As in the image:
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }


def _filled(value: Any, **given: str) -> Any:
    """The value with ${NAME:-default} replaced."""
    if isinstance(value, list):
        return [_filled(each, **given) for each in value]
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: given.get(found[1], found[2]), str(value))


def _environment(of: dict[str, Any], directory: Path, **given: str) -> dict[str, str]:
    values = {name: _filled(value, **given) for name, value in of.items()}
    return {name: value.replace("/run/secrets", str(directory / "secrets")) for name, value in values.items() if value}


def _with_secrets() -> list[str]:
    """The entry point of the image."""
    return [sys.executable, "-m", "deployments.with_secrets"]


def _on_port(command: list[str], port: int) -> list[str]:
    replaced = {"0.0.0.0": HOST, "4200": str(port)}  # noqa: S104 - it is replaced
    return [replaced.get(word, word) for word in command]


def _proxy(directory: Path, port: int, servers: list[int]) -> Service:
    text = (ROOT / "deployments" / "compose" / "haproxy.cfg").read_text()
    text = text.replace("bind :4200", f"bind {HOST}:{port}")
    template = re.compile(r"^( +)server-template server- 10 server:4200 (.*?) resolvers docker .*$", re.MULTILINE)
    addresses = (rf"\1server server-{n} {HOST}:{own} \2" for n, own in enumerate(servers, 1))
    text, replaced = template.subn("\n".join(addresses), text)
    assert replaced == 1
    (directory / "haproxy.cfg").write_text(text)
    return Service(["haproxy", "-db", "-f", str(directory / "haproxy.cfg")], _base(directory), directory / "proxy")


def _pings(client: "redis.Redis") -> bool:
    with suppress(redis.RedisError):
        return bool(client.ping())
    return False


def _all_answer(servers: list[Service], ports: list[int]) -> bool:
    """Whether all servers answer. One that has ended is started again, as an engine does.

    Of servers that start together on a new database, all but one fail: each adds the types of blocks.
    """
    for server in servers:
        if server.has_ended:
            server.start()
    return all(map(_is_healthy, ports))


def _is_healthy(port: int) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://{HOST}:{port}/api/health", timeout=5).is_success
    return False


@contextmanager
def _postgres(secret: dict[str, str]) -> Iterator[tuple[int, int]]:
    """The port and the process of a PostgreSQL with the databases and users of the file."""
    programs = _postgres_programs()
    assert programs
    owner: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    home = Path(tempfile.mkdtemp(prefix="topology-postgres-"))
    if owner:
        shutil.chown(home, "postgres", "postgres")
    port = free_port()

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), *arguments]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=60, **owner)

    try:
        run("initdb", "-N", "-D", f"{home}/data", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-c listen_addresses={HOST} -c port={port} -c unix_socket_directories={home} -c max_connections=200"
        run("pg_ctl", "-w", "-D", f"{home}/data", "-l", f"{home}/log", "-o", options, "start")
        with psycopg.connect(f"postgresql://postgres@{HOST}:{port}/postgres", autocommit=True) as connection:
            for name, password in (("embassy_jobs", "database_password"), ("prefect", "prefect_database_password")):
                connection.execute(f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{secret[password]}'".encode())
                connection.execute(f"CREATE DATABASE {name} OWNER {name}".encode())
        yield port, int((home / "data" / "postmaster.pid").read_text().split()[0])
    finally:
        if (home / "data" / "postmaster.pid").exists():
            run("pg_ctl", "-w", "-m", "immediate", "-D", f"{home}/data", "stop")
        shutil.rmtree(home)
