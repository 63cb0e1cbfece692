"""Runs of the monitor against the ministry on loopback, and what they leave in the database."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from prefect import flow
from psycopg.rows import dict_row
from support import ministry as fake_ministry
from support.ministry import UK_LIST, US_LIST, Ministry, Rows, a_ministry

from flows.mofa_monitoring import watch
from tasks.mofa import steps
from tasks.mofa.browser import BrowserFetcher
from tasks.mofa.http import Fetcher
from tasks.mofa.page import Source
from tasks.mofa.settings import fetching_settings, monitor_settings
from tasks.mofa.sources import source as shipped
from tasks.notify.channels import notify_settings
from tasks.notify.message import baseline_summary, held_set

DAY = timedelta(days=1)


class Watch:
    """Runs of the flow against the ministry, and what they left in the database."""

    def __init__(self, ministry: Ministry, database: str, patch: pytest.MonkeyPatch) -> None:
        self.ministry, self.database, self.patch = ministry, database, patch
        self.base_url: str | None = ministry.url
        self.sources = {each.name: each for each in (a_ministry(), UK_LIST, US_LIST)}
        self.at: datetime | None = None  # what the clock of the next runs says; None: now
        self.planned: datetime | None = None  # the slot of the next runs
        self.open_fetcher: Callable[[Source, str | None], Fetcher | BrowserFetcher] = steps.new_fetcher

    def this_run(self, source: str) -> steps.Monitoring:
        """What a run watches: as the flow has it, but for the clock, the slot and the fetcher of the test."""
        found = self.sources.get(source) or shipped(source)
        made = replace(steps.this_run(found, self.base_url), open_fetcher=self.open_fetcher, pause=0)
        return replace(made, at=self.at, slot=self.planned) if self.at else made

    def __call__(self, source: str = "testland", accept: int | None = None) -> Any:
        @flow(name="mofa_monitoring", flow_run_name=steps.run_name)
        def monitor(source: str, accept: int | None) -> Any:
            return watch(source, lambda: self.this_run(source), accept)

        state: Any = monitor(source, accept, return_state=True)
        assert len(state.message.splitlines()) == 1, "one clear sentence"
        return state

    def report(self, source: str = "testland", accept: int | None = None) -> dict[str, Any]:
        """The report of a run that ended in order."""
        state = self(source, accept)
        assert state.is_completed(), state.message
        report: dict[str, Any] = state.result()
        return report

    def applied(self, source: str = "testland", accept: int | None = None) -> dict[str, int]:
        """How many changes of each kind a run applied."""
        report = self.report(source, accept)
        assert report["held"] is None, report["why"]
        counts: dict[str, int] = report["counts"]
        return counts

    def slot(self, at: datetime) -> None:
        """From now on runs are those of the schedule, of this slot."""
        self.at = self.planned = at

    def manual_start(self, at: datetime) -> None:
        """From now on a person starts the runs, at this time."""
        self.at, self.planned = at, None

    def without_mirror(self) -> None:
        """From now on what listens on loopback is the ministry itself, and no mirror of it."""

        def open_fetcher(source: Source, _base_url: str | None) -> Fetcher:
            made = Fetcher(fetching_settings(), source.hosts, self.ministry.url)
            made.mirrored = False
            return made

        self.base_url, self.open_fetcher = None, open_fetcher

    def with_mirror(self) -> None:
        """From now on what listens on loopback is a mirror of the ministry."""
        self.base_url, self.open_fetcher = self.ministry.url, steps.new_fetcher

    def set(self, **environment: str) -> None:
        """Change settings."""
        for name, value in environment.items():
            self.patch.setenv(name, value)
        forget()

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        with psycopg.connect(self.database, row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchall()

    def tables(self) -> list[list[dict[str, Any]]]:
        """All that people rely on: missions and changes."""
        return [
            self.rows("SELECT * FROM embassies ORDER BY id"),
            self.rows("SELECT * FROM embassy_changes ORDER BY id"),
        ]

    def missions(self, source: str = "testland") -> dict[str, dict[str, Any]]:
        """The missions in the database, by key."""
        return {row["key"]: row for row in self.rows("SELECT * FROM embassies WHERE source = %s", source)}

    def shown(self) -> Rows:
        """The open missions of testland, as the page has them."""
        opened = {key: row for key, row in self.missions().items() if row["status"] == "open"}
        return {key: {name: row[name] or "" for name in fake_ministry.COLUMNS[1:]} for key, row in opened.items()}

    def changes(self, source: str = "testland") -> list[dict[str, Any]]:
        """All changes of a source, with key and name of the mission."""
        return self.rows(
            "SELECT c.*, e.key, e.name FROM embassy_changes c JOIN embassies e ON e.id = c.embassy_id "
            "WHERE e.source = %s ORDER BY c.id",
            source,
        )

    def alerts(self) -> list[str]:
        """The titles that the webhook received since the last look; the outbox holds nothing else."""
        titles, self.ministry.messages = self.ministry.titles(), []
        assert self.rows("SELECT * FROM notifications WHERE status <> 'sent'") == []
        return titles


def forget() -> None:
    """Read the settings of the monitor from the environment again."""
    for settings in (monitor_settings, fetching_settings, notify_settings):
        settings.cache_clear()


def title_of_baseline(missions: int, source: str = "testland") -> str:
    """The title of the message about a first set."""
    return baseline_summary(source, missions=missions, filled={}, pages=1).title


def title_of_held_set(source: str = "testland") -> str:
    """The title of the message about a held set."""
    return held_set(source, 1, [], found=0, known=0).title


def edited(rows: Rows, key: str, **fields: str) -> Rows:
    """The rows with other fields of one mission."""
    return {**rows, key: {**rows[key], **fields}}


def without(rows: Rows, *keys: str) -> Rows:
    """The rows without some missions."""
    return {key: row for key, row in rows.items() if key not in keys}


def half_gone(rows: Rows) -> Rows:
    """The second half of the rows."""
    return without(rows, *list(rows)[: len(rows) // 2])
