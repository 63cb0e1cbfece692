"""The connection to the database: makes engines from the settings, and plain sentences from the driver's errors.

    DatabaseError
    ├── DatabaseConfigError        a setting is wrong
    ├── DatabaseFullError          its disk is full
    ├── DatabaseUnavailableError   it does not answer now: trying again may succeed
    └── DatabaseConflictError      another transaction was faster: trying again may succeed

DATABASE_URL takes precedence over POSTGRES_*. Without either, the embedded server of DATA_DIR is used. The jobs connect
as one role and the owner of the tables as another, if MIGRATION_DATABASE_URL names it (db/roles.py). No message
contains a password.
"""

import os.path
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from pydantic import Field, SecretStr
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, func, make_url, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from db import embedded
from db.address import DRIVER, SHOWN_IN_QUERY, parse_url
from db.embedded_location import EmbeddedError
from db.errors import JobError, TransientError, UserError
from db.session import TransactionPoolerError, prepare_session
from db.settings import ROOT, ProjectSettings, SettingsError

CONNECT_TIMEOUT = 10  # seconds
ENCODING = {"client_encoding": "utf8"}  # COPY is sent as UTF-8, whatever PGCLIENTENCODING or the database says


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
    migration_database_url: SecretStr | None = Field(
        None,
        description="The same database, with the owner of the tables as user, for migrations and roles; empty: "
        "DATABASE_URL, one role for everything",
    )
    database_reader: str | None = Field(
        None, description="The read-only role; empty: the name of the database followed by _reader"
    )
    database_reader_password: SecretStr | None = Field(
        None,
        description="Password of the read-only role when it is created; empty: it cannot log in, and is granted to "
        "other roles",
    )
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
        return _parsed(settings.database_url, "DATABASE_URL")
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


def owner_url() -> URL | None:
    """The configured address with the owner of the tables as user; None for the embedded database.

    Raises:
        DatabaseConfigError: names the variable and what to write instead.
    """
    given, secret = database_url(), database_settings().migration_database_url
    if secret is None:
        return given
    if given is None:
        raise DatabaseConfigError(
            "MIGRATION_DATABASE_URL is set, but neither DATABASE_URL nor POSTGRES_SERVER: set one of them to the same "
            "database, with the user of the jobs"
        )
    owner = _parsed(secret, "MIGRATION_DATABASE_URL")
    if owner.database != given.database:
        raise DatabaseConfigError("MIGRATION_DATABASE_URL and DATABASE_URL name different databases: name the same one")
    return owner


def _parsed(address: SecretStr, variable: str) -> URL:
    try:
        return parse_url(address.get_secret_value(), variable)
    except SettingsError as error:
        raise DatabaseConfigError(str(error)) from None


def _address(given: URL | None, user: str) -> URL:
    """The given address, else that of the embedded server, which is started."""
    if given is not None:
        return given
    try:
        return make_url(embedded.start(database_settings().data_dir)).set(drivername=DRIVER, username=user)
    except EmbeddedError as error:
        raise DatabaseUnavailableError(str(error)) from error


@cache
def engine() -> Engine:
    """The engine of this process; starts the embedded server if no other database is set."""
    return _prepared(
        create_engine(
            _address(database_url(), embedded.JOBS),
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


@contextmanager
def owner_connection() -> Iterator[Connection]:
    """A connection of the owner of the tables, which is closed at the end of the block.

    Raises:
        DatabaseError: the database cannot be reached as this user.
    """
    owner = _prepared(
        create_engine(
            _address(owner_url(), embedded.SUPERUSER),
            poolclass=NullPool,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT,
                "application_name": "embassy-jobs migrations",
                **ENCODING,
            },
        )
    )
    try:
        with owner.connect() as connection:
            yield connection
    except (DBAPIError, psycopg.Error) as error:
        raise explain(error) from error


def _prepared(engine: Engine) -> Engine:
    """The engine, whose new sessions get the settings of db.session."""

    @event.listens_for(engine, "connect", insert=True)  # before what SQLAlchemy asks at its first connection
    def prepare(connection: psycopg.Connection[Any], _record: object) -> None:
        try:
            prepare_session(connection)
        except TransactionPoolerError:
            raise DatabaseConfigError(
                f"{database_name()} is behind a connection pooler in transaction mode, which does not keep "
                "session-level locks: connect to its session-mode port, or directly to PostgreSQL"
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
        with embedded.temporary_server(database_settings().data_dir):
            try:
                yield
            finally:
                engine().dispose()  # these connections must not look like another client
    except EmbeddedError as error:
        raise DatabaseUnavailableError(str(error)) from error


_TABLE_OF_ANOTHER = (
    "has a table of another application with a name that this project needs: use another database, or a schema of its "
    "own (DATABASE_URL=…?options=-csearch_path%3DNAME)"
)
_NO_USER = (
    "refuses this user: check user and password in DATABASE_URL or POSTGRES_*, or create the role of the jobs with "
    "python -m deployments.migrate"
)
_NO_RIGHT = "does not permit this user to do that: grant its rights with python -m deployments.migrate, as the owner"
_BY_STATE = {  # SQLSTATE, or its first characters -> error and what to do
    "28": (DatabaseConfigError, _NO_USER),
    "3D000": (DatabaseConfigError, "does not have this database: create it, or check its name in DATABASE_URL"),
    "53100": (DatabaseFullError, "has no space left on its disk: free some and start the job again"),
    "53300": (DatabaseUnavailableError, "has no free connection: raise max_connections, or stop some of its clients"),
    "53": (DatabaseUnavailableError, "is out of memory or other resources: see its log"),
    "25006": (DatabaseConfigError, "is read-only: it is a replica, or set so; name the primary in DATABASE_URL"),
    "42501": (DatabaseConfigError, _NO_RIGHT),
    "42703": (DatabaseConfigError, "has tables of another version: run python -m deployments.migrate"),
    "42P07": (DatabaseConfigError, _TABLE_OF_ANOTHER),
    "42P01": (DatabaseConfigError, "lacks the tables of this project: run python -m deployments.migrate"),
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
    where = database_name()
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
        values = [str(value) for name, value in url.query.items() if name not in SHOWN_IN_QUERY] if url else []
        for word in filter(None, (word for value in values for word in re.split(r"[\s=]+", value))):
            message = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "***", message)
    return message


def database_name() -> str:
    """The database, for people: without user and password. Does not start the embedded one."""
    try:
        url = database_url()
    except DatabaseConfigError:
        return "the database"
    if url is None:
        return f"the embedded database in {embedded.directory_of(database_settings().data_dir)}"
    host = url.host or url.query.get("host")
    return f"the database {url.database!r} at {host}{f':{url.port}' if url.port else ''}"
