"""Missions in the database: what is known of a source, what a set changes, what another parser makes of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from db import embassies as table
from tasks.mofa.candidate import merged
from tasks.mofa.diff import Change, Known, diff
from tasks.mofa.embassy import Embassy
from tasks.mofa.fetch_errors import FetchRefusedError
from tasks.mofa.page import PageError, Source
from tasks.mofa.page_process import PageProcess
from tasks.mofa.settings import fetching_settings
from tasks.mofa.steps.archive import page_of
from tasks.mofa.unreadable import locate


def known_missions(connection: Connection, source: str) -> dict[str, Known]:
    """Every mission of the source by key, closed ones too."""
    return {
        row["key"]: Known(_embassy(row), row["status"], row["missing_since"])
        for row in table.missions(connection, source)
    }


def _embassy(row: RowMapping) -> Embassy:
    return Embassy.model_validate({name: row[name] for name in Embassy.model_fields})


def reparse_last_set(connection: Connection, source: Source, last: RowMapping) -> list[str]:
    """After a change of the parser: parse the pages of the `last` set again, and store the result without changes.

    Returns the reasons why that cannot be done: a parser for a new layout need not know the old one.
    """
    found, pages = [], table.addresses(connection, last["result"]["snapshots"])  # those that are still there
    settings = fetching_settings()
    try:
        with PageProcess(source, settings.parse_memory_mb, settings.parse_seconds) as process:
            for snapshot in pages:
                page = page_of(table.body(connection, snapshot))
                found += [(entry, snapshot) for entry in process.read(page).reading(page).entries]
    except (PageError, FetchRefusedError) as error:
        return [f"The parser has another version, and it cannot read the stored pages to compare with them: {error}."]
    now, proof, unreadable = merged(found)
    known, at = known_missions(connection, source.name), last["updated_at"]
    rows = [(each, pages[snapshot]) for each, snapshot in unreadable]
    unreadable_keys = {
        key for each in locate(rows, known, now, table.last_pages(connection, source.name)) for key in each.keys
    }
    # What a new parser reads differently is not a change at the ministry. Keys are updated to the new parser. Missions
    # that it does not see are closed here, or the next set would report them as missing. What it cannot read stays.
    changes = diff({key: each for key, each in known.items() if key not in unreadable_keys}, now, at=at)
    renamed = [change for change in changes if change.was]
    write_missions(connection, source.name, known, now, renamed, proof, at, news=False)
    unseen = [change.key for change in changes if change.kind == "missing"]
    table.set_status(connection, source.name, unseen, "closed", at, None)
    return []


def write_missions(
    connection: Connection,
    source: str,
    known: Mapping[str, Known],
    now: Mapping[str, Embassy],
    changes: Sequence[Change],
    proof: Mapping[str, int],
    at: datetime,
    *,
    news: bool = True,
) -> None:
    """Write missions as they are now: all of `now` are verified, and marked as changed if that is `news`."""
    ids = {row["key"]: row["id"] for row in table.missions(connection, source)}
    was = {change.key: change.was for change in changes if change.was}
    changed = {change.key for change in changes if news}
    new = [key for key in now if key not in known and key not in was]
    table.add_missions(connection, source, [_row(now[key], proof) for key in new], at)
    table.update_missions(
        connection,
        [
            {**_row(now[key], proof), "id": ids[was.get(key, key)], "changed": key in changed}
            for key in now
            if key in known or key in was
        ],
        at,
    )
    by_kind = {kind: [change.key for change in changes if change.kind == kind] for kind in ("missing", "closed")}
    table.set_status(connection, source, by_kind["missing"], "missing", at, at)
    table.set_status(connection, source, by_kind["closed"], "closed", at, None)


def _row(embassy: Embassy, proof: Mapping[str, int]) -> dict[str, Any]:
    return {**embassy.model_dump(mode="json"), "snapshot_id": proof[embassy.key]}
