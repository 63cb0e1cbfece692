"""Statements of the import: staging, judging the staged rows together, and merging them into contacts.

The rules that need the whole workbook or the stored contacts live here, in SQL, because only the database sees both:
who is the same person, what a row would change, which rows repeat each other. Everything after `stage` runs in one
transaction of the caller: a preview rolls it back, an import commits it together with its completion.

Rules, version 1 (the hashes themselves are made where a row is read, tasks/crm/contact.py):
- A row is the person with its e-mail and name, else with its organisation and name.
- A row or a stored contact without an e-mail is the person with one who shares organisation and name, if only one does.
- Of several rows for one person in a workbook none is newer by its place: the one contacted last speaks first, then the
  one with most cells filled, then by content. What it leaves blank the others fill. So the order of rows is nothing.
- A blank never erases, `extra` merges by heading, first and last name stay together.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection as PsycopgConnection
from sqlalchemy import Connection, text

from db.tables import CONTACT_FIELDS, CONTENT_HASH_V1
from db.task_runs import NOBODY_HOLDS

# The order of the columns in the COPY stream that `stage` takes.
STAGED_COLUMNS = (
    "import_id",
    "position",
    "sheet",
    "row_number",
    "identity_hash",
    "name_hash",
    *CONTACT_FIELDS,
    "month_first",
    "extra",
    "problems",
    "raw",
)
VERDICTS = ("inserted", "updated", "unchanged", "duplicate", "rejected")
ANALYSED = ("position", "identity_hash", "name_hash", "email", "problems")
APPLY_LOCK = (0x6A6F6273, 0)  # "jobs", and no task_runs row has the id 0

_names = ("first_name", "last_name")
_plain = [field for field in CONTACT_FIELDS if field not in _names]
# Stored (c) and staged (s) row of one person, merged.
_MERGED = {
    **{field: f"coalesce(s.{field}, c.{field})" for field in _plain},
    # The whole name is the same, else it would be another person; two parts say more than one.
    **{
        name: "CASE WHEN num_nonnulls(s.first_name, s.last_name) >= num_nonnulls(c.first_name, c.last_name) "
        f"THEN s.{name} ELSE c.{name} END"
        for name in _names
    },
    "extra": "c.extra || s.extra",
}
# "Changed" means that merging changes something.
_CHANGES = f"({', '.join(_MERGED.values())}) IS DISTINCT FROM ({', '.join(f'c.{column}' for column in _MERGED)})"
# It is of the merged row: of one person only the organisation can make it another one.
_MERGED_NAME_HASH = (
    "CASE WHEN s.organization IS NULL AND c.organization IS NOT NULL THEN c.name_hash ELSE s.name_hash END"
)


@dataclass(frozen=True)
class Reject:
    """One faulty cell, or one row that is at fault as a whole (column_name None)."""

    sheet: str
    row_number: int  # as Excel shows it
    column_name: str | None
    value: str | None
    reason: str
    row: list[list[str]]  # [[heading, text], …] in the order of the workbook


_STAGED_BY = """
    SELECT r.id FROM pg_inherits i JOIN pg_class c ON i.inhparent = 'import_staging'::regclass AND c.oid = i.inhrelid
    JOIN task_runs r ON c.relname = 'import_staging_' || r.id"""


def _partition(import_id: int) -> str:
    return f"import_staging_{import_id:d}"


# ---------------------------------------------------------------------- staging


def prepare_staging(connection: Connection, import_id: int, reading: str = "") -> None:
    """Make the import's own staging table, unless an earlier attempt left it, and drop those of finished imports.

    Args:
        connection: in a transaction that has checked its ownership.
        import_id: task_runs.id of the import.
        reading: hex digest of how the rows are read. Rows that were read another way are dropped: the cache may know
            batches of this reading that were staged before them, and counting cannot tell whose rows are there now.
    """
    _lock_staging(connection)
    for done in connection.scalars(text(f"{_STAGED_BY} WHERE r.status = 'completed'")).all():
        drop_staging(connection, done)
    table = _partition(import_id)
    left = connection.scalar(
        text("SELECT coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class WHERE oid = to_regclass(:table)"),
        {"table": table},
    )
    if left not in (None, reading):
        drop_staging(connection, import_id)
    connection.execute(
        text(
            f"CREATE UNLOGGED TABLE IF NOT EXISTS {table} PARTITION OF import_staging "
            f"(PRIMARY KEY (position)) FOR VALUES IN ({import_id:d}) WITH (autovacuum_enabled = false)"
        )
    )
    # What ANALYZE then samples is enough to choose between a scan and an index, in a tenth of the time.
    few = ", ".join(f"ALTER {column} SET STATISTICS 10" for column in ANALYSED)
    connection.execute(text(f"ALTER TABLE {table} {few}"))
    connection.execute(text(f"COMMENT ON TABLE {table} IS '{reading}'"))


def _lock_staging(connection: Connection) -> None:
    """Making or dropping a partition takes a weaker lock first: two at once would wait for each other."""
    connection.execute(text("LOCK TABLE ONLY import_staging IN ACCESS EXCLUSIVE MODE"))


def forget_staging(connection: Connection, preview: str, before: datetime) -> int:
    """Drop what was staged by whom nobody goes on with; returns of how many.

    Args:
        connection: in a transaction of its own.
        preview: the name of the previews' unit of work: of a broken-off one nothing is of use.
        before: an import that nobody went on with since then would stage its rows again.
    """
    _lock_staging(connection)
    left = connection.scalars(
        text(f"{_STAGED_BY} WHERE (r.name = :preview OR r.updated_at < :before) AND {NOBODY_HOLDS}"),
        {"preview": preview, "before": before},
    ).all()
    for each in left:
        drop_staging(connection, each)
    return len(left)


def drop_staging(connection: Connection, import_id: int) -> None:
    """Drop what an import staged."""
    connection.execute(text(f"DROP TABLE IF EXISTS {_partition(import_id)}"))


def stage(connection: Connection, import_id: int, first: int, last: int, blocks: Iterable[bytes]) -> int:
    """Replace the staged rows of positions `first` to `last` by those of a COPY text stream; returns how many.

    Args:
        connection: in a transaction that has checked its ownership.
        import_id: task_runs.id of the import.
        first: position of the first row of the batch.
        last: position of its last row.
        blocks: COPY text format, columns as in STAGED_COLUMNS.
    """
    table = _partition(import_id)
    connection.execute(
        text(f"DELETE FROM {table} WHERE position BETWEEN :first AND :last"), {"first": first, "last": last}
    )
    driver: PsycopgConnection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    with driver.cursor() as cursor:
        with cursor.copy(f"COPY {table} ({', '.join(STAGED_COLUMNS)}) FROM STDIN") as copy:
            for block in blocks:
                copy.write(block)
        return cursor.rowcount


def unstaged(connection: Connection, import_id: int, batches: Sequence[tuple[int, int, int]]) -> list[int]:
    """The first positions of the batches whose rows are not all staged; rows beyond the last batch are removed.

    Unlogged rows vanish when the database crashes, and a cached result may be older than the table: so they are
    counted.

    Args:
        connection: in a transaction that has checked its ownership.
        import_id: task_runs.id of the import.
        batches: first position, last position and number of rows of each, in order.
    """
    table = _partition(import_id)
    end = batches[-1][1] if batches else 0
    counted = connection.execute(text(f"SELECT count(*), max(position) FROM {table}")).one()
    if counted == (sum(rows for _, _, rows in batches), end or None):
        return []  # positions are different numbers, and only this reading's rows are there
    connection.execute(text(f"DELETE FROM {table} WHERE position > :end"), {"end": end})
    missing = connection.execute(
        text(f"""
            SELECT first FROM unnest(CAST(:first AS int[]), CAST(:last AS int[]), CAST(:rows AS int[]))
                AS batch (first, last, rows)
            LEFT JOIN {table} ON position BETWEEN first AND last
            GROUP BY first, last, rows HAVING count(position) <> rows ORDER BY first"""),
        {name: [batch[n] for batch in batches] for n, name in enumerate(("first", "last", "rows"))},
    )
    return list(missing.scalars())


def settle_dates(connection: Connection, import_id: int, day_first: bool | None, days: Mapping[str, int]) -> None:
    """Give each ambiguous date its one reading, or reject its row where the workbook does not tell.

    Args:
        connection: any.
        import_id: task_runs.id of the import.
        day_first: what the unambiguous dates of the column say; None if they say nothing or contradict each other.
        days: sheet -> index in `raw` of the column's cell.
    """
    table = _partition(import_id)
    if day_first is None:
        connection.execute(
            text(f"""
                UPDATE {table} SET month_first = NULL, identity_hash = NULL, name_hash = NULL,
                    problems = jsonb_build_array(
                        (raw -> (CAST(:days AS jsonb) ->> sheet)::int) || to_jsonb(format(
                            'could be %s or %s, and no other date of the column tells which: write it as %s',
                            to_char(last_contacted, 'YYYY-MM-DD'), to_char(month_first, 'YYYY-MM-DD'), 'YYYY-MM-DD')))
                WHERE month_first IS NOT NULL AND problems IS NULL"""),
            {"days": json.dumps(days)},
        )
    elif not day_first:
        connection.execute(
            text(f"UPDATE {table} SET last_contacted = month_first, month_first = NULL WHERE month_first IS NOT NULL")
        )


# ---------------------------------------------------------------------- judging


def judge(connection: Connection, import_id: int) -> dict[str, Any]:
    """Give every staged row its one verdict; returns the books.

    Afterwards a staged row with an identity leads: it is one person, with what that person's other rows add to it.

    Returns:
        rows: how many were staged; inserted, updated, unchanged, duplicate, rejected: they add up to rows;
        duplicates: [{sheet, row, of_sheet, of_row, differs: [field, …]}, …], those that differ first, at most 1,000;
        shared_emails: [[e-mail, number of people], …], at most 100;
        reject_reasons: [[column, reason, rows], …], at most 100;
        filled: {field: rows of the accepted ones in which it stands}; filled_extra: {heading of extra: likewise}.
    """
    p = _partition(import_id)
    connection.execute(text("SET LOCAL work_mem = '128MB'"))
    # Without statistics the planner takes a fresh table for tiny and scans contacts once for each row.
    connection.execute(text(f"ANALYZE {p} ({', '.join(ANALYSED)})"))
    filled = _filled(connection, p)  # before one row takes over what others say
    _adopt(connection, p)
    _elect(connection, p)
    # Kept, so that `merge` need not look into contacts while it fills them: a plan made for an empty table then reads
    # all that it has written so far, for every row.
    connection.execute(
        text(f"""
            CREATE TEMP TABLE known ON COMMIT DROP AS
            SELECT s.position, c.id AS contact_id, {_CHANGES} AS changed
            FROM {p} s JOIN contacts c ON c.identity_hash = s.identity_hash""")
    )
    books = connection.execute(
        text(f"""
            SELECT rows, people - met AS inserted, changed AS updated, met - changed AS unchanged,
                   rows - people - rejected AS duplicate, rejected
            FROM (SELECT count(*) AS rows, count(identity_hash) AS people, count(problems) AS rejected FROM {p}) read,
                 (SELECT count(*) AS met, count(*) FILTER (WHERE changed) AS changed FROM known) stored""")
    )
    return {**books.mappings().one(), **_details(connection, p), **filled}


def _adopt(connection: Connection, p: str) -> None:
    """Find who without an e-mail is who with one; a stored contact takes over the identity of its claimant."""
    connection.execute(
        text(f"""
            CREATE TEMP TABLE claims ON COMMIT DROP AS
            WITH nameless AS MATERIALIZED (
                SELECT name_hash FROM {p} WHERE problems IS NULL AND email IS NULL
                UNION
                SELECT c.name_hash FROM contacts c JOIN {p} s USING (name_hash)
                WHERE c.email IS NULL AND s.email IS NOT NULL AND s.problems IS NULL
            ), claimants AS (
                SELECT name_hash, identity_hash FROM {p} JOIN nameless USING (name_hash)
                WHERE problems IS NULL AND email IS NOT NULL
                UNION
                SELECT name_hash, identity_hash FROM contacts JOIN nameless USING (name_hash) WHERE email IS NOT NULL
            ), only_one AS (
                SELECT name_hash, (array_agg(identity_hash))[1] AS identity_hash
                FROM claimants GROUP BY name_hash HAVING count(*) = 1
            ), known AS (
                SELECT only_one.*, nameless.id AS adopted_id, owner.id AS owner_id,
                       count(nameless.id) OVER (PARTITION BY only_one.identity_hash) AS adoptions
                FROM only_one
                LEFT JOIN contacts nameless ON nameless.name_hash = only_one.name_hash AND nameless.email IS NULL
                LEFT JOIN contacts owner ON owner.identity_hash = only_one.identity_hash
            )
            -- Two stored contacts stay two, and of two that one person claims neither is chosen.
            SELECT name_hash, identity_hash, adopted_id FROM known
            WHERE adopted_id IS NULL OR (owner_id IS NULL AND adoptions = 1)""")
    )
    connection.execute(
        text(f"""
            UPDATE {p} s SET identity_hash = claims.identity_hash
            FROM claims WHERE s.name_hash = claims.name_hash AND s.email IS NULL AND s.problems IS NULL""")
    )
    connection.execute(
        text("""
            UPDATE contacts SET identity_hash = claims.identity_hash
            FROM claims WHERE contacts.id = claims.adopted_id""")
    )


def _elect(connection: Connection, p: str) -> None:
    """One row of each person leads and takes over what the others add to it; the others are duplicates."""
    fields = ", ".join(f"s.{field}" for field in CONTACT_FIELDS)
    connection.execute(
        text(f"""
            CREATE TEMP TABLE repeats ON COMMIT DROP AS
            SELECT s.*, row_number() OVER (PARTITION BY s.identity_hash ORDER BY
                       last_contacted DESC NULLS LAST, num_nonnulls({fields}) DESC, {CONTENT_HASH_V1}, position) AS rank
            FROM (SELECT identity_hash FROM {p} WHERE problems IS NULL GROUP BY 1 HAVING count(*) > 1) several
            JOIN (SELECT identity_hash, position, sheet, row_number, name_hash, extra, {", ".join(CONTACT_FIELDS)}
                  FROM {p} WHERE problems IS NULL) s USING (identity_hash)""")
    )
    connection.execute(
        text(f"UPDATE {p} s SET identity_hash = NULL FROM repeats r WHERE r.position = s.position AND r.rank > 1")
    )
    best = ", ".join(
        [f"(array_agg({field} ORDER BY rank) FILTER (WHERE {field} IS NOT NULL))[1] AS {field}" for field in _plain]
        + [f"(array_agg({name} ORDER BY num_nonnulls({', '.join(_names)}) DESC, rank))[1] AS {name}" for name in _names]
        + ["(array_agg(name_hash ORDER BY organization IS NULL, rank))[1] AS name_hash"]
    )
    connection.execute(
        text(f"""
            CREATE TEMP TABLE merged ON COMMIT DROP AS
            SELECT identity_hash, {best} FROM repeats GROUP BY identity_hash""")
    )
    taken = ", ".join(f"{field} = m.{field}" for field in (*CONTACT_FIELDS, "name_hash"))
    connection.execute(
        text(f"""
            UPDATE {p} s SET {taken} FROM repeats r JOIN merged m USING (identity_hash)
            WHERE r.rank = 1 AND r.position = s.position""")
    )
    connection.execute(
        text(f"""
            UPDATE {p} s SET extra = more.extra
            FROM (SELECT identity_hash, jsonb_object_agg(key, value ORDER BY rank DESC) AS extra
                  FROM repeats, jsonb_each(extra) GROUP BY identity_hash) more JOIN repeats r USING (identity_hash)
            WHERE r.rank = 1 AND r.position = s.position""")
    )


def _details(connection: Connection, p: str) -> dict[str, Any]:
    differs = ", ".join(
        f"CASE WHEN r.{field} IS NOT NULL AND r.{field} IS DISTINCT FROM s.{field} THEN '{field}' END"
        for field in CONTACT_FIELDS
    )
    duplicates = connection.execute(
        text(f"""
            SELECT r.sheet, r.row_number AS row, lead.sheet AS of_sheet, lead.row_number AS of_row, fields.differs
            FROM repeats r JOIN repeats lead ON lead.identity_hash = r.identity_hash AND lead.rank = 1
            JOIN {p} s ON s.position = lead.position
            CROSS JOIN LATERAL (SELECT array_remove(ARRAY[{differs},
                CASE WHEN NOT s.extra @> r.extra THEN 'extra' END], NULL) AS differs) fields
            WHERE r.rank > 1 ORDER BY cardinality(fields.differs) = 0, r.position LIMIT 1000""")
    )
    shared = connection.execute(
        text(f"""
            SELECT email, count(*) AS people FROM {p}
            WHERE identity_hash IS NOT NULL AND email IS NOT NULL
            GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT 100""")
    )
    reasons = connection.execute(
        text(f"""
            SELECT problem ->> 0, regexp_replace(problem ->> 2, '^[A-Z]+' || row_number || ' ', ''), count(*)
            FROM {p}, jsonb_array_elements(problems) problem -- a reason that names its cell, without it
            WHERE problems IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 100""")
    )
    return {
        "duplicates": [dict(row) for row in duplicates.mappings()],
        "shared_emails": [list(row) for row in shared],
        "reject_reasons": [list(row) for row in reasons],
    }


def _filled(connection: Connection, p: str) -> dict[str, Any]:
    counts = ", ".join(f"count({field})" for field in CONTACT_FIELDS)
    fields = connection.execute(text(f"SELECT {counts} FROM {p} WHERE problems IS NULL")).one()
    extra = connection.execute(
        text(f"""
            SELECT key, count(*) FROM {p}, jsonb_object_keys(extra) key
            WHERE problems IS NULL AND extra <> '{{}}' GROUP BY 1 ORDER BY 1""")
    )
    return {
        "filled": {field: n for field, n in zip(CONTACT_FIELDS, fields, strict=True) if n},
        "filled_extra": {str(key): int(n) for key, n in extra},
    }


# ---------------------------------------------------------------------- applying


def serialize_imports(connection: Connection) -> None:
    """Wait until no other import is applying: two merges at once could each insert the same person."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:lock_class, :zero)"),
        dict(zip(("lock_class", "zero"), APPLY_LOCK, strict=True)),
    )


def merge(connection: Connection, import_id: int) -> dict[str, int]:
    """Write the people whom `judge` found new or changed; unchanged ones are not touched. Returns how many of each."""
    p = _partition(import_id)
    columns = [*CONTACT_FIELDS, "extra"]
    merged = ", ".join(f"{column} = {merged}" for column, merged in _MERGED.items())
    updated = connection.execute(
        text(f"""
            UPDATE contacts c SET {merged}, name_hash = {_MERGED_NAME_HASH}, import_id = s.import_id,
                source_sheet = s.sheet, source_row = s.row_number, updated_at = now()
            FROM known k JOIN {p} s USING (position) WHERE k.changed AND c.id = k.contact_id""")
    )
    inserted = connection.execute(
        text(f"""
            INSERT INTO contacts (identity_hash, name_hash, import_id, source_sheet, source_row, {", ".join(columns)})
            SELECT s.identity_hash, s.name_hash, s.import_id, s.sheet, s.row_number,
                   {", ".join(f"s.{column}" for column in columns)}
            FROM {p} s WHERE s.identity_hash IS NOT NULL
            AND NOT EXISTS (SELECT FROM known k WHERE k.position = s.position)""")
    )
    return {"inserted": inserted.rowcount, "updated": updated.rowcount}


def keep_rejects(connection: Connection, import_id: int) -> int:
    """Keep every faulty cell with its reason and its whole row, in place of an earlier attempt's; returns how many."""
    connection.execute(text("DELETE FROM import_rejects WHERE import_id = :id"), {"id": import_id})
    kept = connection.execute(
        text(f"""
            INSERT INTO import_rejects (import_id, sheet, row_number, column_name, value, reason, "row")
            SELECT import_id, sheet, row_number, problem ->> 0, problem ->> 1, problem ->> 2, raw
            FROM {_partition(import_id)}, jsonb_array_elements(problems) WITH ORDINALITY AS each (problem, n)
            WHERE problems IS NOT NULL ORDER BY position, n""")
    )
    return kept.rowcount


def rejects_of(connection: Connection, import_id: int) -> list[Reject]:
    """The kept rejects of an import, in the order of the workbook."""
    rows = connection.execute(
        text("""
            SELECT sheet, row_number, column_name, value, reason, "row" FROM import_rejects
            WHERE import_id = :id ORDER BY id"""),
        {"id": import_id},
    )
    return [Reject(**row) for row in rows.mappings()]
