"""A Prefect server on SQLite whose transactions wait for their turn, as an engine plugin of SQLAlchemy.

Prefect begins most transactions that write as DEFERRED: they read, and ask for the right to write at their first
change. If somebody else has written since, SQLite refuses that at once, however long one would wait
(SQLITE_BUSY_SNAPSHOT; "Write transactions" at sqlite.org/lang_transaction.html). Of sixteen runs started together two
of three such calls were answered with 503; Prefect's client tries them again after up to a minute, and its worker gives
a run up as crashed in the end. IMMEDIATE takes the turn at the beginning, and waits for it for up to the minute that
Prefect sets as busy_timeout.

The plugin is named in the address of the database (`settings`), so that only the server that `make up` starts has it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import CreateEnginePlugin

PLUGIN = "sqlite_turns"  # as pyproject.toml names it among the plugins of SQLAlchemy
OF_THE_DATABASE = ("PREFECT_SERVER_DATABASE_", "PREFECT_API_DATABASE_")  # how the settings of it begin


def settings(prefect_home: Path, given: Iterable[str]) -> dict[str, str]:
    """What the server is told of its database: the file that Prefect has by default, with the plugin.

    Nothing if one of the settings whose names are `given` is of the database: then somebody else decides about it.
    """
    if any(name.upper().startswith(OF_THE_DATABASE) for name in given):
        return {}
    file = URL.create("sqlite+aiosqlite", database=str(prefect_home / "prefect.db"), query={"plugin": PLUGIN})
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": file.render_as_string()}


class Turns(CreateEnginePlugin):
    """Begins as IMMEDIATE what Prefect begins as DEFERRED; what only reads has no BEGIN at all and never waits."""

    def update_url(self, url: URL) -> URL:
        """Nothing of the address is ours: SQLAlchemy itself takes the name of the plugin out."""
        return url

    def engine_created(self, engine: Engine) -> None:
        """Listen to each statement of this engine."""
        event.listen(engine, "before_cursor_execute", _immediate, retval=True)


def _immediate(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> tuple[str, Any]:
    return ("BEGIN IMMEDIATE" if statement == "BEGIN DEFERRED" else statement), parameters
