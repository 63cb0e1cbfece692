"""The connection to the database: makes engines from the settings, and plain sentences from the driver's errors.

    DatabaseError
    ├── DatabaseConfigError        a setting is wrong
    ├── DatabaseFullError          its disk is full
    ├── DatabaseUnavailableError   it does not answer now: trying again may succeed
    └── DatabaseConflictError      another transaction was faster: trying again may succeed

DATABASE_URL takes precedence over POSTGRES_*. Without either, the embedded server of DATA_DIR is used. No message
contains a password.
"""

import os.path
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from pydantic import Field, SecretStr
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from db import embedded
from db.embedded_location import EmbeddedError
from db.errors import JobError, TransientError, UserError
from db.session import VERSION_TABLE, TransactionPoolerError, prepare_session
from db.settings import ROOT, ProjectSettings, SettingsError

MIGRATIONS_LOCK = 0x6D696772  # "migr"
MIGRATIONS_WAIT = "10min"  # for another process that migrates
CONNECT_TIMEOUT = 10  # seconds
HIGHEST_PORT = 65535
ENCODING = {"client_encoding": "utf8"}  # COPY is sent as UTF-8, whatever PGCLIENTENCODING or the database says
DRIVER = "postgresql+psycopg"
_OTHER_DATABASES = {"mysql", "mariadb", "mssql", "oracle", "sqlite", "mongodb"}  # any other word may be a secret
_SHOWN_IN_QUERY = {"host", "hostaddr", "port", "dbname"}  # libpq has further passwords, also inside of options
_IN_QUERY = {"user": "username", "password": "password"}  # libpq's name -> SQLAlchemy's
_SCHEMES = {"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"}


class DatabaseError(JobError):
    """The database cannot do what was asked; the message is one plain sentence."""


class DatabaseConfigError(DatabaseError, UserError):
    """A setting is wrong."""


class DatabaseFullError(DatabaseError, UserError):
    """Its disk is full."""


class DatabaseUnavailableError(DatabaseError, TransientError):
    """The database does not answer, or stopped answering."""


class DatabaseConflictError(DatabaseError, TransientError):
    """Another transaction was faster."""


class DatabaseSettings(ProjectSettings):
    """Where the database is."""

    database_url: SecretStr | None = Field(None, description="postgresql://user:password@host:5432/database")
    postgres_server: str | None = Field(None, description="Host of the database, in place of DATABASE_URL")
    postgres_port: int = Field(5432, ge=1, le=65535, description="Its port")
    postgres_user: str = Field("postgres", description="Its user")
    postgres_password: SecretStr | None = Field(None, description="The user's password")
    postgres_db: str | None = Field(None, description="The name of the database; empty: the user's name")
    data_dir: Path = Field(
        Path("var"),
        description="Embedded database, Prefect's files, logs, temporary files, closed to other users; relative to the "
        "project",
    )


@cache
def database_settings() -> DatabaseSettings:
    """The settings, read once.

    Raises:
        DatabaseConfigError: names the variable.
    """
    try:
        settings = DatabaseSettings.load()
    except SettingsError as error:
        raise DatabaseConfigError(str(error)) from None
    # Path.expanduser raises for an unknown user.
    data_dir = ROOT / os.path.expanduser(settings.data_dir)  # noqa: PTH111 - see above
    return settings.model_copy(update={"data_dir": data_dir})


def database_url() -> URL | None:
    """The configured address in SQLAlchemy's form; None for the embedded database.

    Raises:
        DatabaseConfigError: names the variable and what to write instead.
    """
    settings = database_settings()
    if settings.database_url is not None:
        return parse_url(settings.database_url.get_secret_value())
    if settings.postgres_server is None:
        given = sorted(name.upper() for name in settings.model_fields_set if name.startswith("postgres_"))
        if given:  # the embedded database would be a guess
            raise DatabaseConfigError(
                f"POSTGRES_SERVER is not set, but {', '.join(given)}: set it to the database's host (such as "
                "localhost), or leave all of them empty for the embedded database"
            )
        return None
    password = settings.postgres_password.get_secret_value() if settings.postgres_password else None
    server = settings.postgres_server.strip().removeprefix("[").removesuffix("]")  # IPv6, as it stands in a URL
    socket = server.startswith("/")
    if not socket and (set("/@ ") & set(server) or server.count(":") == 1):
        raise DatabaseConfigError(
            "POSTGRES_SERVER is not a host: write only its name, as in db.example.org (the port goes into "
            "POSTGRES_PORT, user and password into POSTGRES_USER and POSTGRES_PASSWORD; an address into DATABASE_URL)"
        )
    return URL.create(
        DRIVER,
        username=settings.postgres_user,
        password=password,
        host=None if socket else server,
        port=settings.postgres_port,
        database=settings.postgres_db or settings.postgres_user,
        query={"host": server} if socket else {},
    )


def parse_url(given: str) -> URL:
    """DATABASE_URL in SQLAlchemy's form and with psycopg as driver; libpq's other spellings are understood.

    Raises:
        DatabaseConfigError: says what is wrong, without the URL, which may contain a password.
    """
    shape = "write postgresql://user:password@host:5432/database (special characters of the password as %xx)"
    try:
        url = make_url(given.strip())
        port = url.port
    except (ArgumentError, ValueError):
        raise DatabaseConfigError(f"DATABASE_URL is not an address: {shape}") from None
    if url.drivername not in _SCHEMES:
        known = url.drivername.partition("+")[0]
        begins = f"begins with {known}://" if known in _OTHER_DATABASES else "begins with something else"
        raise DatabaseConfigError(f"DATABASE_URL {begins}, only PostgreSQL works: {shape}")
    # User and password may be in the query. SQLAlchemy would show a password there.
    query = dict(url.query)
    username, password = (query.pop(name, None) or getattr(url, at) for name, at in _IN_QUERY.items())
    if not isinstance(username, str | None) or not isinstance(password, str | None):
        raise DatabaseConfigError(f"DATABASE_URL names several users or passwords: {shape}")
    url = url.set(query=query, username=username, password=password)
    try:
        psycopg.conninfo.make_conninfo(**{name: value for name, value in query.items() if isinstance(value, str)})
    except psycopg.Error as error:
        named = re.search(r'"([a-z_]+)"', str(error)) if not any("@" in name for name in query) else None
        option = f' "{named[1]}"' if named else ""  # any other name may be a part of a password
        raise DatabaseConfigError(f"DATABASE_URL: invalid connection option{option}: remove it, or {shape}") from None
    if url.host and url.host.upper().startswith("%2F"):
        url = url.set(host="", query={**query, "host": unquote(url.host)})
    if "@" in f"{url.host}{url.database}":
        raise DatabaseConfigError(f"DATABASE_URL has an @ in its password, which is written %40: {shape}")
    if not url.host and "host" not in url.query:
        raise DatabaseConfigError(f"DATABASE_URL names no host: {shape}, or …/database?host=/directory/of/the/socket")
    if not url.database:
        raise DatabaseConfigError(f"DATABASE_URL names no database: {shape}")
    if port is not None and not 0 < port <= HIGHEST_PORT:
        raise DatabaseConfigError(f"DATABASE_URL names the port {port}, which does not exist: {shape}")
    return url.set(drivername=DRIVER)


def without_secrets(url: URL) -> URL:
    """The address with which a server on this machine can be found, without what may be secret."""
    return url.set(query={name: value for name, value in url.query.items() if name in _SHOWN_IN_QUERY})


def _address() -> URL:
    given = database_url()
    if given is not None:
        return given
    try:
        return make_url(embedded.start(database_settings().data_dir)).set(drivername=DRIVER)
    except EmbeddedError as error:
        raise DatabaseUnavailableError(str(error)) from error


@cache
def engine() -> Engine:
    """The engine of this process; starts the embedded server if no other database is set."""
    return _prepared(
        create_engine(
            _address(),
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_TIMEOUT, "application_name": "embassy-jobs", **ENCODING},
        )
    )


@cache
def lock_engine() -> Engine:
    """Connections for session-level locks: not pooled, with keepalives."""
    keep = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    return _prepared(
        create_engine(
            engine().url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"connect_timeout": CONNECT_TIMEOUT, **keep, **ENCODING},
        )
    )


def _prepared(engine: Engine) -> Engine:
    """The engine, whose new sessions get the settings of db.session."""

    @event.listens_for(engine, "connect", insert=True)  # before what SQLAlchemy asks at its first connection
    def prepare(connection: psycopg.Connection[Any], _record: object) -> None:
        try:
            prepare_session(connection)
        except TransactionPoolerError:
            raise DatabaseConfigError(
                f"{_where()} is behind a pooler of transactions, where no lock of a session holds: name its port for "
                "session pooling, or the database itself"
            ) from None
        except psycopg.Error as error:
            raise explain(error) from error

    return engine


def unlock(lock: Connection) -> None:
    """Release the locks of a connection of `lock_engine` and close it."""
    # Closing releases the locks only a moment later: a run that starts at once would still find them held.
    with suppress(SQLAlchemyError):
        lock.execute(select(func.pg_advisory_unlock_all()))
    lock.invalidate()
    lock.close()


@contextmanager
def transaction() -> Iterator[Connection]:
    """A transaction that commits at the end of the block; the driver's errors are raised as a DatabaseError."""
    try:
        with engine().begin() as connection:
            yield connection
    except (DBAPIError, NoFreeConnection, psycopg.Error) as error:  # COPY goes to the driver directly
        raise explain(error) from error


@contextmanager
def database_of_command() -> Iterator[None]:
    """Start the embedded database for one command, and stop it at the end unless another client uses it.

    Another database is left as it is.

    Raises:
        DatabaseError: the embedded database cannot be started or stopped.
    """
    if database_url() is not None:
        yield
        return
    try:
        with embedded.borrowed(database_settings().data_dir):
            try:
                yield
            finally:
                engine().dispose()  # these connections must not look like another client
    except EmbeddedError as error:
        raise DatabaseUnavailableError(str(error)) from error


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "db" / "migrations").replace("%", "%%"))
    return config


def revisions() -> tuple[str | None, str | None]:
    """The revision of the tables, and the newest that this project knows."""
    try:
        with engine().connect() as connection:
            now = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    except DBAPIError as error:
        raise explain(error) from error
    return now, ScriptDirectory.from_config(_migrations()).get_current_head()


def upgrade() -> None:
    """Bring the tables up to date; any number of processes may call it at once."""
    config = _migrations()
    try:
        with engine().connect() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = '{MIGRATIONS_WAIT}'"))
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATIONS_LOCK})
            connection.commit()
            try:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
            finally:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATIONS_LOCK})
                connection.commit()
    except CommandError as error:
        raise DatabaseError(
            f"the tables of {_where()} were made by another version of this project ({error}): update the project"
        ) from error
    except DBAPIError as error:
        raise explain(error) from error


_TABLE_OF_ANOTHER = (
    "has a table of another application with a name that this project needs: use another database, or a schema of its "
    "own (DATABASE_URL=…?options=-csearch_path%3DNAME)"
)
_BY_STATE = {  # SQLSTATE, or its first characters -> error and what to do
    "28": (DatabaseConfigError, "refuses this user: check user and password in DATABASE_URL or POSTGRES_*"),
    "3D000": (DatabaseConfigError, "does not have this database: create it, or check its name in DATABASE_URL"),
    "53100": (DatabaseFullError, "has no space left on its disk: free some and start the job again"),
    "53300": (DatabaseUnavailableError, "has no free connection: raise max_connections, or stop some of its clients"),
    "53": (DatabaseUnavailableError, "is out of memory or other resources: see its log"),
    "25006": (DatabaseConfigError, "is read-only: it is a replica, or set so; name the primary in DATABASE_URL"),
    "42501": (DatabaseConfigError, "does not permit this user to do that: make the user the owner of the database"),
    "42703": (DatabaseConfigError, "has tables of another version: run alembic upgrade head"),
    "42P07": (DatabaseConfigError, _TABLE_OF_ANOTHER),
    "42P01": (DatabaseConfigError, "lacks the tables of this project: run alembic upgrade head"),
    "55P03": (DatabaseConflictError, "is locked by another program: start the job again"),
    "57P": (DatabaseUnavailableError, "was stopped or restarted: start the job again"),
    "08": (DatabaseUnavailableError, "closed the connection: start the job again"),
    "58": (DatabaseUnavailableError, "cannot read or write its own files: see its log"),
    "40": (DatabaseConflictError, "rolled this back in favour of another transaction: start the job again"),
    "23505": (DatabaseConflictError, "got the same row from another transaction at the same time: start the job again"),
}


# A refused connection has no SQLSTATE, only a message: part of the message -> SQLSTATE. The first match counts.
_STATE_OF_MESSAGE = {
    "too many": "53300",
    "remaining connection slots": "53300",
    "password authentication failed": "28",
    "no password supplied": "28",
    "pg_hba.conf": "28",
    'role "': "28",
    'database "': "3D000",
    "the database system is": "57P",
}


def explain(error: SQLAlchemyError | psycopg.Error) -> DatabaseError:
    """The driver's error as one plain sentence that says what to do, with the constraint's name, without a password."""
    where = _where()
    if isinstance(error, NoFreeConnection):
        return DatabaseUnavailableError(f"all connections of this process to {where} are in use: start the job again")
    driver = error.orig if isinstance(error, DBAPIError) else error
    message = (str(driver).strip().splitlines() or [type(driver).__name__])[0].strip()
    state = getattr(driver, "sqlstate", None) or ""
    lost = isinstance(driver, psycopg.OperationalError | psycopg.InterfaceError) and not state
    if lost and ("FATAL" in message or "no password supplied" in message):
        state = next((state for words, state in _STATE_OF_MESSAGE.items() if words in message), "")
    if lost and isinstance(error, DBAPIError) and error.connection_invalidated:
        state = "08"  # it answered before
    diagnosed = getattr(driver, "diag", None)
    constraint = getattr(diagnosed, "constraint_name", None)
    named = f" (constraint {constraint})" if constraint else ""
    for known in (state, state[:3], state[:2]):
        if known and known in _BY_STATE:
            kind, what = _BY_STATE[known]
            return kind(f"{where} {what}{named}")
    if lost:
        message = _without_values_of_query(message)
        return DatabaseUnavailableError(f"{where} does not answer ({message}): is it running, is the address right?")
    primary = getattr(diagnosed, "message_primary", None) or message
    return DatabaseError(f"{where} refused a statement{named}: {primary}{f' [{state}]' if state else ''}")


def _without_values_of_query(message: str) -> str:
    """The driver's message without words of DATABASE_URL that may be secret, such as a password in `options`."""
    with suppress(DatabaseConfigError):
        url = database_url()
        values = [str(value) for name, value in url.query.items() if name not in _SHOWN_IN_QUERY] if url else []
        for word in filter(None, (word for value in values for word in re.split(r"[\s=]+", value))):
            message = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "***", message)
    return message


def _where() -> str:
    """The database, for people: without user and password. Does not start the embedded one."""
    try:
        url = database_url()
    except DatabaseConfigError:
        return "the database"
    if url is None:
        return f"the embedded database in {embedded.directory_of(database_settings().data_dir)}"
    host = url.host or url.query.get("host")
    return f"the database {url.database!r} at {host}{f':{url.port}' if url.port else ''}"
