"""Statements of staging: the checked rows of an import until all of them are there.

Each import has an unlogged partition of its own. It is created when the import starts and dropped when it is done, so
that imports do not wait for each other there and nothing is left to vacuum.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection as PsycopgConnection
from sqlalchemy import Connection, text

from db.tables import CONTACT_FIELDS
from db.task_run_status import NOBODY_HOLDS

# The order of the columns in the CSV stream that `stage` takes. The partition adds the id of the import.
STAGED_COLUMNS = (
    "position",
    "sheet",
    "row_number",
    "identity_hash",
    "name_hash",
    "mail_hash",
    *CONTACT_FIELDS,
    "source_system",
    "month_first",
    "extra",
    "problems",
    "raw",
)
ANALYSED = ("position", "identity_hash", "name_hash", "mail_hash", "email", "external_id", "problems")

_STAGED_BY = """
    SELECT r.id FROM pg_inherits i JOIN pg_class c ON i.inhparent = 'import_staging'::regclass AND c.oid = i.inhrelid
    JOIN task_runs r ON c.relname = 'import_staging_' || r.id"""


@dataclass(frozen=True)
class LateRejects:
    """Rows that were rejected after they were read, and the cells that they fill, to correct counts made before."""

    rows: int
    filled: dict[str, int]  # field -> how many of them fill it
    filled_extra: dict[str, int]  # heading in extra -> the same

    def __add__(self, other: "LateRejects") -> "LateRejects":
        filled, extra = (
            dict(Counter(one) + Counter(another))
            for one, another in ((self.filled, other.filled), (self.filled_extra, other.filled_extra))
        )
        return LateRejects(self.rows + other.rows, filled, extra)


# Accepted rows with `raw` and without an ambiguous date: the reading process keeps `raw` where one cell is filled.
_SINGLE_CELL = "raw IS NOT NULL AND month_first IS NULL"
_ONLY_CELL = "(SELECT cell FROM jsonb_array_elements(raw) cell WHERE cell ->> 1 <> '' LIMIT 1)"


def partition(import_id: int) -> str:
    """The name of the import's staging table."""
    return f"import_staging_{import_id:d}"


def prepare_staging(connection: Connection, import_id: int, reading: str = "") -> None:
    """Create the staging table of the import, unless an earlier attempt left it, and drop those of completed imports.

    Args:
        connection: in a transaction that has checked its ownership.
        import_id: task_runs.id of the import.
        reading: hex digest of how the rows are read. Rows with another digest are dropped: otherwise a count of rows
            could not show that batches which the cache has results of were replaced by rows of another reading.
    """
    _lock_staging(connection)
    for done in connection.scalars(text(f"{_STAGED_BY} WHERE r.status = 'completed'")).all():
        drop_staging(connection, done)
    table = partition(import_id)
    left = connection.scalar(
        text("SELECT coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class WHERE oid = to_regclass(:table)"),
        {"table": table},
    )
    if left not in (None, reading):
        drop_staging(connection, import_id)
    connection.execute(
        text("SELECT create_import_staging(:import_id, :reading, :analysed)"),
        {"import_id": import_id, "reading": reading, "analysed": list(ANALYSED)},
    )


def _lock_staging(connection: Connection) -> None:
    """Lock the staging table: creating or dropping a partition takes a weaker lock first, so two could deadlock."""
    connection.execute(text("LOCK TABLE ONLY import_staging IN ACCESS EXCLUSIVE MODE"))


def drop_abandoned_staging(connection: Connection, preview: str, before: datetime) -> int:
    """Drop the staging tables of abandoned imports; returns how many.

    Args:
        connection: in a transaction of its own.
        preview: the name of the previews' unit of work. A preview that stopped is not continued.
        before: an import that was not continued since then stages its rows again.
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
    """Drop the staging table of an import."""
    connection.execute(text("SELECT drop_import_staging(:import_id)"), {"import_id": import_id})


def analyse_staging(connection: Connection, import_id: int) -> None:
    """Let the planner know the columns of the staged rows by which they are matched."""
    connection.execute(
        text("SELECT analyse_import_staging(:import_id, :analysed)"),
        {"import_id": import_id, "analysed": list(ANALYSED)},
    )


def discard_rows(connection: Connection, import_id: int) -> None:
    """Remove the staged rows of an import and keep its table: the next attempt stages all batches again."""
    connection.execute(text(f"TRUNCATE {partition(import_id)}"))


def stage(connection: Connection, import_id: int, first: int, last: int, blocks: Iterable[bytes]) -> int:
    r"""Replace the staged rows of positions `first` to `last` by those of a CSV stream; returns how many.

    Args:
        connection: in a transaction that has checked its ownership.
        import_id: task_runs.id of the import.
        first: position of the first row of the batch.
        last: position of its last row.
        blocks: CSV without a header as pyarrow.csv.write_csv writes it, in UTF-8, columns as in STAGED_COLUMNS: null is
            an unquoted empty value, a quotation mark is doubled, a hash is text ("\x" and hexadecimal digits).
    """
    table = partition(import_id)
    connection.execute(
        text(f"DELETE FROM {table} WHERE position BETWEEN :first AND :last"), {"first": first, "last": last}
    )
    driver: PsycopgConnection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    with driver.cursor() as cursor:
        with cursor.copy(f"COPY {table} ({', '.join(STAGED_COLUMNS)}) FROM STDIN (FORMAT csv)") as copy:
            for block in blocks:
                copy.write(block)
        return cursor.rowcount


def unstaged(connection: Connection, import_id: int, batches: Sequence[tuple[int, int, int]]) -> list[int]:
    """The first positions of the batches whose rows are not all staged; rows beyond the last batch are removed.

    The rows are counted because unlogged rows vanish when the database crashes, and a cached result may be older than
    the table.

    Args:
        connection: in a transaction that has checked its ownership.
        import_id: task_runs.id of the import.
        batches: first position, last position and number of rows of each, in order.
    """
    table = partition(import_id)
    end = batches[-1][1] if batches else 0
    counted = connection.execute(text(f"SELECT count(*), max(position) FROM {table}")).one()
    if counted == (sum(rows for _, _, rows in batches), end or None):
        return []  # positions are unique, and the table has rows of this reading only
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


def resolve_ambiguous_dates(
    connection: Connection, import_id: int, day_first: bool | None, date_columns: Mapping[str, int]
) -> LateRejects:
    """Decide how each ambiguous date is read, or reject its row if the workbook does not show it.

    Args:
        connection: any.
        import_id: task_runs.id of the import.
        day_first: the order in the unambiguous dates of the column; None if there are none, or they differ.
        date_columns: sheet -> index in `raw` of the column's cell.

    Returns:
        The rows that were rejected.
    """
    table = partition(import_id)
    if day_first is None:
        cell = "(raw -> (CAST(:date_columns AS jsonb) ->> sheet)::int)"
        reason = (
            "can be read with the day or with the month first, and no other date in the column shows which: "
            "write it as YYYY-MM-DD"
        )
        return _reject(
            connection, table, "month_first IS NOT NULL", cell, reason, {"date_columns": json.dumps(date_columns)}
        )
    if not day_first:
        connection.execute(
            text(f"UPDATE {table} SET last_contacted = month_first, month_first = NULL WHERE month_first IS NOT NULL")
        )
    return LateRejects(0, {}, {})


def reject_name_only_rows(connection: Connection, import_id: int) -> LateRejects:
    """Reject the rows with a name in one cell and nothing else. Call it before `resolve_ambiguous_dates`."""
    reason = (
        "has nothing but a name, like a section title: "
        "add an e-mail address, a telephone number or an organisation if it is a record"
    )
    return _reject(connection, partition(import_id), f"{_SINGLE_CELL} AND organization IS NULL", _ONLY_CELL, reason, {})


def reject_organization_only_rows(connection: Connection, import_id: int) -> LateRejects:
    """Reject the rows with nothing but an organisation that no person has. Call it before `resolve_ambiguous_dates`."""
    table = partition(import_id)
    of_no_person = f"""{_SINGLE_CELL} AND organization IS NOT NULL AND NOT EXISTS (
        SELECT FROM {table} person WHERE lower(person.organization) = lower({table}.organization)
        AND num_nonnulls(person.first_name, person.last_name, person.email) > 0)"""
    reason = (
        "has nothing but an organisation, like a section title: "
        "add a name, a place or a telephone number if it is a record"
    )
    return _reject(connection, table, of_no_person, _ONLY_CELL, reason, {})


def _reject(
    connection: Connection, table: str, which: str, cell: str, reason: str, parameters: Mapping[str, str]
) -> LateRejects:
    """Reject accepted rows. `which` is the condition and `cell` the faulty heading and value, both as SQL."""
    counts = ", ".join(f"count({field})" for field in CONTACT_FIELDS)
    rows, extra, *filled = connection.execute(
        text(f"""
            WITH late AS (
                UPDATE {table} SET month_first = NULL, identity_hash = NULL, name_hash = NULL, mail_hash = NULL,
                    problems = jsonb_build_array({cell} || to_jsonb(CAST(:reason AS text)))
                WHERE problems IS NULL AND {which} RETURNING *
            )
            SELECT count(*), (
                SELECT jsonb_object_agg(key, filled) FROM (
                    SELECT key, count(*) AS filled FROM late, jsonb_object_keys(extra) key GROUP BY key
                ) counted
            ), {counts} FROM late"""),
        {"reason": reason, **parameters},
    ).one()
    return LateRejects(rows, {field: n for field, n in zip(CONTACT_FIELDS, filled, strict=True) if n}, extra or {})
