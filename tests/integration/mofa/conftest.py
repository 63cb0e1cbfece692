"""A ministry on loopback and a monitor that watches it."""

from collections.abc import Iterator

import pytest
from support.ministry import Ministry, running_ministry
from support.watch import Watch, forget

from tasks.mofa import steps


@pytest.fixture
def ministry() -> Iterator[Ministry]:
    with running_ministry() as ministry:
        yield ministry


@pytest.fixture
def watch(database: str, prefect_server: None, ministry: Ministry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setenv("MOFA_DELAY", "0")
    monkeypatch.setenv("NOTIFY_URLS", f"json://127.0.0.1:{ministry.url.rpartition(':')[2]}/hook")
    forget()
    monkeypatch.setattr(steps.crawl_pages, "retry_delay_seconds", [0] * 4)  # as often as ever, but at once
    yield Watch(ministry, database, monkeypatch)
    forget()


@pytest.fixture(autouse=True)
def every_change_is_proved(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did: each change points to the page that proves it."""
    watching: Watch | None = request.getfixturevalue("watch") if "watch" in request.fixturenames else None
    yield
    if watching:
        for change in watching.rows(
            "SELECT c.kind, c.field, c.new, e.key, e.source, p.records FROM embassy_changes c JOIN embassies e "
            "ON e.id = c.embassy_id LEFT JOIN page_snapshots p ON p.id = c.snapshot_id"
        ):
            assert change["records"] is not None, f"{change} points to no page"
            on_page = {each["key"] for each in change["records"] if "key" in each}
            if change["kind"] in {"missing", "closed"}:
                assert change["key"] not in on_page
            elif change["field"] and change["field"] != "key" and change["source"] != "testland":
                assert on_page  # it may have been renamed since
