"""The address of the database, as libpq and SQLAlchemy write it: read strictly, and shown without secrets."""

import re
from urllib.parse import unquote

import psycopg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from db.settings import SettingsError

HIGHEST_PORT = 65535
DRIVER = "postgresql+psycopg"
_OTHER_DATABASES = {"mysql", "mariadb", "mssql", "oracle", "sqlite", "mongodb"}  # any other word may be a secret
SHOWN_IN_QUERY = {"host", "hostaddr", "port", "dbname"}  # libpq has further passwords, also inside of options
_IN_QUERY = {"user": "username", "password": "password"}  # libpq's name -> SQLAlchemy's
_SCHEMES = {"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"}


def parse_url(given: str, variable: str = "DATABASE_URL") -> URL:
    """The value of a variable in SQLAlchemy's form and with psycopg as driver; libpq's other spellings are understood.

    Raises:
        SettingsError: says what is wrong, without the URL, which may contain a password.
    """
    shape = "write postgresql://user:password@host:5432/database (special characters of the password as %xx)"
    try:
        url = make_url(given.strip())
        port = url.port
    except (ArgumentError, ValueError):
        raise SettingsError(f"{variable} is not an address: {shape}") from None
    if url.drivername not in _SCHEMES:
        known = url.drivername.partition("+")[0]
        begins = f"begins with {known}://" if known in _OTHER_DATABASES else "begins with something else"
        raise SettingsError(f"{variable} {begins}, only PostgreSQL works: {shape}")
    # User and password may be in the query. SQLAlchemy would show a password there.
    query = dict(url.query)
    username, password = (query.pop(name, None) or getattr(url, at) for name, at in _IN_QUERY.items())
    if not isinstance(username, str | None) or not isinstance(password, str | None):
        raise SettingsError(f"{variable} names several users or passwords: {shape}")
    url = url.set(query=query, username=username, password=password)
    try:
        psycopg.conninfo.make_conninfo(**{name: value for name, value in query.items() if isinstance(value, str)})
    except psycopg.Error as error:
        named = re.search(r'"([a-z_]+)"', str(error)) if not any("@" in name for name in query) else None
        option = f' "{named[1]}"' if named else ""  # any other name may be a part of a password
        raise SettingsError(f"{variable}: invalid connection option{option}: remove it, or {shape}") from None
    if url.host and url.host.upper().startswith("%2F"):
        url = url.set(host="", query={**query, "host": unquote(url.host)})
    if "@" in f"{url.host}{url.database}":
        raise SettingsError(f"{variable} has an @ in its password, which is written %40: {shape}")
    if not url.host and "host" not in url.query:
        raise SettingsError(f"{variable} names no host: {shape}, or …/database?host=/directory/of/the/socket")
    if not url.database:
        raise SettingsError(f"{variable} names no database: {shape}")
    if port is not None and not 0 < port <= HIGHEST_PORT:
        raise SettingsError(f"{variable} names the port {port}, which does not exist: {shape}")
    return url.set(drivername=DRIVER)


def without_secrets(url: URL) -> URL:
    """The address with which a server on this machine can be found, without what may be secret."""
    return url.set(query={name: value for name, value in url.query.items() if name in SHOWN_IN_QUERY})
