"""An engine plugin of SQLAlchemy that begins the transactions of Prefect's server on SQLite as IMMEDIATE.

Prefect begins most transactions that write as DEFERRED: they read first, and request the write lock at their first
change. If another transaction has written since, SQLite refuses that at once, whatever the timeout
(SQLITE_BUSY_SNAPSHOT; "Write transactions" at sqlite.org/lang_transaction.html). With sixteen runs started together,
two of three such calls were answered with 503; Prefect's client repeats them after up to a minute, and its worker
finally reports the run as crashed. IMMEDIATE requests the write lock at the beginning, and waits for it for up to the
minute that Prefect sets as busy_timeout.

The embedded PostgreSQL cannot take the place of SQLite: its wheel lacks pg_trgm, which Prefect's tables need.

The database's URL names the plugin (`settings`), so that only the server that `make up` starts uses it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import CreateEnginePlugin

PLUGIN = "sqlite_immediate"  # its name in pyproject.toml
DATABASE_SETTINGS = ("PREFECT_SERVER_DATABASE_", "PREFECT_API_DATABASE_")  # the start of their names


def settings(prefect_home: Path, given: Iterable[str]) -> dict[str, str]:
    """The server's settings of its database: the default file of Prefect, with the plugin.

    Empty if one of the `given` names is a setting of the database: then that setting decides.
    """
    if any(name.upper().startswith(DATABASE_SETTINGS) for name in given):
        return {}
    file = URL.create("sqlite+aiosqlite", database=str(prefect_home / "prefect.db"), query={"plugin": PLUGIN})
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": file.render_as_string()}


class BeginImmediatePlugin(CreateEnginePlugin):
    """Changes BEGIN DEFERRED to BEGIN IMMEDIATE; what only reads has no BEGIN, and never waits."""

    def update_url(self, url: URL) -> URL:
        """The URL unchanged: SQLAlchemy itself removes the name of the plugin."""
        return url

    def engine_created(self, engine: Engine) -> None:
        """Change the statements of this engine."""
        event.listen(engine, "before_cursor_execute", _immediate, retval=True)


def _immediate(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> tuple[str, Any]:
    return ("BEGIN IMMEDIATE" if statement == "BEGIN DEFERRED" else statement), parameters
