"""What each session of the database is set to, whatever its role or database has as defaults.

The settings are sent in statements, because a pooler such as PgBouncer does not pass on those of the connection.
"""

from typing import Any

import psycopg

# Alembic's own name for it would be shared with other applications in the same schema.
VERSION_TABLE = "embassy_jobs_version"

_SETTINGS = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    # A session that holds locks notices within a minute that its client is gone.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_ADDED_IN = {"transaction_timeout": 170000}

# All names mean tables of one schema: where this project's are, else where new ones are created.
_SET_SCHEMA = """
    SELECT set_config('search_path', quote_ident(coalesce(
        (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid = coalesce(to_regclass(%s), to_regclass('task_runs'))),
        current_schema(), 'public')), false)"""


class TransactionPoolerError(Exception):
    """A connection pooler in transaction mode, which does not keep session-level settings and locks."""


def prepare_session(connection: psycopg.Connection[Any]) -> None:
    """Set a session that was just opened as this project needs it.

    Raises:
        TransactionPoolerError: see there.
        psycopg.Error: the server refuses a setting.
    """
    autocommit = connection.autocommit
    connection.autocommit = True
    _refuse_transaction_pooler(connection)
    version = connection.info.server_version
    settings = {name: value for name, value in _SETTINGS.items() if _ADDED_IN.get(name, 0) <= version}
    connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in settings.items()))
    connection.execute(_SET_SCHEMA, [VERSION_TABLE], prepare=False)
    connection.autocommit = autocommit


def _refuse_transaction_pooler(connection: psycopg.Connection[Any]) -> None:
    """Raise TransactionPoolerError if two open connections use one session, or one connection uses two."""
    pid = _backend_pid(connection)
    if pid == connection.info.backend_pid:  # a pooler invents this number
        return
    parameters: dict[str, Any] = {**connection.info.get_parameters(), "password": connection.info.password}
    with psycopg.connect(autocommit=True, **parameters) as other:
        if _backend_pid(other) == pid or _backend_pid(connection) != pid:
            raise TransactionPoolerError


def _backend_pid(connection: psycopg.Connection[Any]) -> int:
    [pid] = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone() or [0]
    return int(pid)
