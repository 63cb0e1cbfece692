"""Statements of the monitor: pages and what was read from them, missions, their changes, held sets.

The caller owns the transaction: what changed, the outbox rows and the completion of the run commit together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, bindparam, func, insert, select, text, update

from db.tables import MISSION_FIELDS, embassies, embassy_candidates, embassy_changes, page_snapshots, task_runs

UNPARSED = "unread"  # the stored version of a page that could not be read, kept for a person to look at


@dataclass(frozen=True)
class Snapshot:
    """A page as it was, without its body."""

    id: int
    url: str
    sha256: str
    etag: str | None
    last_modified: str | None
    version: str  # of the parser that made links and records
    links: list[str]
    records: list[dict[str, Any]]
    fetched_at: datetime
    verified_at: datetime  # when the server last said that it is unchanged


@dataclass(frozen=True)
class NewPage:
    """A page to be kept."""

    url: str
    sha256: str
    etag: str | None
    last_modified: str | None
    content_type: str
    body: str
    version: str
    links: list[str]
    records: list[dict[str, Any]]


# ---------------------------------------------------------------------- pages


def newest_snapshots(connection: Connection, source: str) -> dict[str, Snapshot]:
    """The newest snapshot of every address of the source that could be read."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT ON (url) id, url, sha256, etag, last_modified, version, links, records, fetched_at,
                   verified_at
            FROM page_snapshots WHERE source = :source AND version <> :unparsed ORDER BY url, id DESC"""),
        {"source": source, "unparsed": UNPARSED},
    )
    return {row["url"]: Snapshot(**row) for row in rows.mappings()}


def body(connection: Connection, snapshot_id: int) -> RowMapping:
    """url, content_type and body of a snapshot."""
    columns = (page_snapshots.c.url, page_snapshots.c.content_type, page_snapshots.c.body)
    return connection.execute(select(*columns).where(page_snapshots.c.id == snapshot_id)).mappings().one()


def snapshot(connection: Connection, snapshot_id: int) -> RowMapping | None:
    """A whole snapshot."""
    return connection.execute(select(page_snapshots).where(page_snapshots.c.id == snapshot_id)).mappings().one_or_none()


def addresses(connection: Connection, ids: Sequence[int | None]) -> dict[int, str]:
    """The addresses of snapshots."""
    wanted = sorted({number for number in ids if number})
    found = connection.execute(select(page_snapshots.c.id, page_snapshots.c.url).where(page_snapshots.c.id.in_(wanted)))
    return dict(found.all())


def last_pages(connection: Connection, source: str) -> dict[str, str]:
    """Mission's key -> address of the page on which it stood last."""
    joined = embassies.join(page_snapshots, embassies.c.snapshot_id == page_snapshots.c.id)
    query = select(embassies.c.key, page_snapshots.c.url).select_from(joined).where(embassies.c.source == source)
    return dict(connection.execute(query).all())


def keep_page(connection: Connection, source: str, page: NewPage, at: datetime) -> int:
    """Keep a page; returns the snapshot's id."""
    values = {**page.__dict__, "body": page.body.replace("\0", ""), "source": source}
    kept = connection.execute(
        insert(page_snapshots).values(**values, fetched_at=at, verified_at=at).returning(page_snapshots.c.id)
    )
    return int(kept.scalar_one())


def reread_page(
    connection: Connection, snapshot_id: int, version: str, links: list[str], records: list[dict[str, Any]]
) -> None:
    """Replace what an older parser read from a page that has not changed."""
    connection.execute(
        update(page_snapshots)
        .where(page_snapshots.c.id == snapshot_id)
        .values(version=version, links=links, records=records)
    )


def renew_validators(connection: Connection, snapshot_id: int, etag: str | None, last_modified: str | None) -> None:
    """Store the validators for the next conditional request of an unchanged page."""
    connection.execute(
        update(page_snapshots).where(page_snapshots.c.id == snapshot_id).values(etag=etag, last_modified=last_modified)
    )


def verify_pages(connection: Connection, ids: Sequence[int], at: datetime) -> None:
    """The server said that these pages are unchanged."""
    connection.execute(update(page_snapshots).where(page_snapshots.c.id.in_(list(ids))).values(verified_at=at))


def prune_pages(connection: Connection, source: str, older_than: datetime) -> int:
    """Remove old snapshots that nothing cites and that are not the newest of their address that could be read.

    Returns how many.
    """
    gone = connection.execute(
        text("""
            DELETE FROM page_snapshots p WHERE source = :source AND fetched_at < :older_than
            AND (version = :unparsed OR EXISTS (
                SELECT FROM page_snapshots n
                WHERE n.source = p.source AND n.url = p.url AND n.id > p.id AND n.version <> :unparsed))
            AND NOT EXISTS (SELECT FROM embassy_changes c WHERE c.snapshot_id = p.id)
            AND NOT EXISTS (SELECT FROM embassies e WHERE e.snapshot_id = p.id)
            AND NOT EXISTS (SELECT FROM embassy_candidates k, jsonb_array_elements(k.records) r
                            WHERE k.source = p.source AND (r ->> 1)::bigint = p.id)"""),
        {"source": source, "older_than": older_than, "unparsed": UNPARSED},
    )
    return gone.rowcount


# ---------------------------------------------------------------------- missions


def lock_source(connection: Connection, source: str) -> None:
    """Wait until nobody else is applying a set of this source."""
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"embassies {source}", 0))))


def missions(connection: Connection, source: str) -> list[RowMapping]:
    """All missions of the source, closed ones too."""
    return list(connection.execute(select(embassies).where(embassies.c.source == source)).mappings())


def add_missions(connection: Connection, source: str, records: Sequence[Mapping[str, Any]], at: datetime) -> None:
    """New missions: mappings with key, MISSION_FIELDS, extra, snapshot_id."""
    if records:
        times = {"source": source, "first_seen": at, "last_verified": at, "last_changed": at}
        connection.execute(insert(embassies), [{**record, **times} for record in records])


def update_missions(connection: Connection, records: Sequence[Mapping[str, Any]], at: datetime) -> None:
    """Missions that stand on a page: mappings with id, key, MISSION_FIELDS, extra, snapshot_id, changed (bool)."""
    if not records:
        return
    values: dict[str, Any] = {
        name: bindparam(f"new_{name}") for name in ("key", *MISSION_FIELDS, "extra", "snapshot_id")
    }
    changed: Any = bindparam("changed")
    statement = (
        update(embassies)
        .where(embassies.c.id == bindparam("old_id"))
        .values(
            **values,
            status="open",
            missing_since=None,
            last_verified=at,
            last_changed=text("CASE WHEN :changed THEN CAST(:at AS timestamptz) ELSE last_changed END").bindparams(
                changed, at=at
            ),
        )
    )
    given = [
        {"old_id": record["id"], "changed": record["changed"], **{f"new_{name}": record[name] for name in values}}
        for record in records
    ]
    connection.execute(statement, given)


def set_status(
    connection: Connection, source: str, keys: Sequence[str], status: str, at: datetime, since: datetime | None
) -> None:
    """Missions that stand on no page any more."""
    if keys:
        connection.execute(
            update(embassies)
            .where(embassies.c.source == source, embassies.c.key.in_(keys))
            .values(status=status, missing_since=since, last_changed=at)
        )


def record_changes(
    connection: Connection, source: str, task_run_id: int, changes: Sequence[Mapping[str, Any]], at: datetime
) -> None:
    """Changes of missions that are stored already: mappings with key, kind, field, old, new, snapshot_id."""
    if changes:
        ids = dict(
            connection.execute(select(embassies.c.key, embassies.c.id).where(embassies.c.source == source)).all()
        )
        rows = [
            {
                "embassy_id": ids[change["key"]],
                "task_run_id": task_run_id,
                "detected_at": at,
                **{name: change[name] for name in ("kind", "field", "old", "new", "snapshot_id")},
            }
            for change in changes
        ]
        connection.execute(insert(embassy_changes), rows)


# ---------------------------------------------------------------------- runs and held sets


def last_applied(connection: Connection, job: str, source: str) -> RowMapping | None:
    """id, result and updated_at of the run of this source that was completed last."""
    columns = (task_runs.c.id, task_runs.c.result, task_runs.c.updated_at)
    ours = and_(task_runs.c.name == job, task_runs.c.subject == source, task_runs.c.status == "completed")
    found = connection.execute(select(*columns).where(ours).order_by(task_runs.c.updated_at.desc()).limit(1))
    return found.mappings().one_or_none()


def most_missions(connection: Connection, job: str, source: str, since: datetime) -> int:
    """The highest number of missions in a set accepted since then, or in the last one before; 0 if there is none.

    After a person has accepted a set, only it and later sets count: otherwise the next runs would be held again. The
    last set counts however old it is, because another parser may have closed missions that it does not see.
    """
    found = connection.scalar(
        text("""
            WITH ours AS (SELECT result, updated_at FROM task_runs
                          WHERE name = :job AND subject = :source AND status = 'completed')
            SELECT max(CAST(result ->> 'missions' AS int)) FROM ours
            WHERE updated_at >= greatest(CAST(:since AS timestamptz), (
                SELECT max(updated_at) FROM ours WHERE result ->> 'accepted' IS NOT NULL))
            OR updated_at = (SELECT max(updated_at) FROM ours)"""),
        {"job": job, "source": source, "since": since},
    )
    return int(found or 0)


def hold(
    connection: Connection,
    source: str,
    task_run_id: int,
    compared_with: int | None,
    why: Sequence[str],
    version: str,
    records: Sequence[tuple[Mapping[str, Any], int]],
) -> int:
    """Store the complete held set; returns its number."""
    held = connection.execute(
        insert(embassy_candidates)
        .values(
            source=source,
            task_run_id=task_run_id,
            compared_with=compared_with,
            why=list(why),
            version=version,
            records=[[dict(record), snapshot] for record, snapshot in records],
        )
        .returning(embassy_candidates.c.id)
    )
    return int(held.scalar_one())


def candidate(connection: Connection, candidate_id: int) -> RowMapping | None:
    """A held set."""
    found = connection.execute(select(embassy_candidates).where(embassy_candidates.c.id == candidate_id))
    return found.mappings().one_or_none()


def pages_of_held(connection: Connection, candidate_id: int) -> dict[str, int]:
    """The snapshots of every page of a held set by address, in the order of the crawl; pages without missions too."""
    rows = connection.execute(
        text("""
            SELECT p.url, p.id FROM embassy_candidates k JOIN task_runs r ON r.id = k.task_run_id,
                jsonb_array_elements(r.result -> 'snapshots') WITH ORDINALITY s(id, place)
                JOIN page_snapshots p ON p.id = CAST(s.id AS bigint)
            WHERE k.id = :candidate ORDER BY s.place"""),
        {"candidate": candidate_id},
    )
    return dict(rows.all())


def is_stale(connection: Connection, candidate_id: int, last_applied_id: int | None) -> bool:
    """Whether the held set was applied, or something else of its source since it was held."""
    held = candidate(connection, candidate_id)
    return held is None or held["applied_at"] is not None or held["compared_with"] != last_applied_id


def held_since(connection: Connection, job: str, before: datetime) -> list[RowMapping]:
    """Sources whose sets have been held since before then: source, id of the newest, why, found, compared_with, since.

    A set is no longer held once it, or anything after it, was applied.
    """
    found = connection.execute(
        text("""
            WITH held AS (
                SELECT k.*, min(created_at) OVER (PARTITION BY source, compared_with) AS since,
                       bool_or(applied_at IS NOT NULL) OVER (PARTITION BY source, compared_with) AS applied
                FROM embassy_candidates k
                WHERE compared_with IS NOT DISTINCT FROM (
                    SELECT id FROM task_runs r WHERE r.name = :job AND r.subject = k.source AND r.status = 'completed'
                    ORDER BY updated_at DESC LIMIT 1))
            SELECT DISTINCT ON (source) source, id, why, jsonb_array_length(records) AS found, compared_with, since,
                   (SELECT count(*) FROM embassies e WHERE e.source = held.source AND e.status = 'open') AS known
            FROM held WHERE NOT applied AND since < :before ORDER BY source, id DESC"""),
        {"job": job, "before": before},
    )
    return list(found.mappings())


def mark_applied(connection: Connection, candidate_id: int) -> None:
    """The held set was accepted by a person."""
    connection.execute(
        update(embassy_candidates).where(embassy_candidates.c.id == candidate_id).values(applied_at=func.now())
    )
