"""Statements that write contacts and rejects, in the transaction that also completes the import."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from db.engine import engine
from db.merging import MERGED, MERGED_HASHES
from db.staging import partition
from db.tables import CONTACT_FIELDS
from db.task_run_status import NOBODY_HOLDS

APPLY_LOCK = (0x6A6F6273, 0)  # "jobs", and no task_runs row has the id 0


@dataclass(frozen=True)
class Reject:
    """One faulty cell, or the fault of a row as a whole (column_name None)."""

    sheet: str
    row_number: int  # as Excel shows it
    column_name: str | None
    value: str | None
    reason: str
    row: list[list[str]]  # [[heading, text], …] in the order of the workbook


def lock_imports(connection: Connection) -> None:
    """Wait until no other import is committing: two merges at the same time could both insert the same person."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:lock_class, :zero)"),
        dict(zip(("lock_class", "zero"), APPLY_LOCK, strict=True)),
    )


def merge(connection: Connection, import_id: int) -> dict[str, int]:
    """Insert and update the contacts that `matching.evaluate` found new or changed; returns how many of each."""
    table = partition(import_id)
    columns = [*CONTACT_FIELDS, "source_system", "extra", "name_hash", "mail_hash", "identity_hash"]
    merged = ", ".join(f"{column} = {merged}" for column, merged in (MERGED | MERGED_HASHES).items())
    _find_changes(connection)
    _write_changes(connection, table)
    updated = connection.execute(
        text(f"""
            UPDATE contacts c SET {merged}, import_id = s.import_id,
                source_sheet = s.sheet, source_row = s.row_number, updated_at = now()
            FROM changed k JOIN {table} s USING (position) WHERE c.id = k.contact_id""")
    )
    inserted = connection.execute(
        text(f"""
            INSERT INTO contacts (import_id, source_sheet, source_row, {", ".join(columns)})
            SELECT s.import_id, s.sheet, s.row_number, {", ".join(f"s.{column}" for column in columns)}
            FROM {table} s WHERE s.identity_hash IS NOT NULL
            AND NOT EXISTS (SELECT FROM matched k WHERE k.position = s.position)
            ORDER BY s.identity_hash -- the index of so many random keys is filled from one end to the other""")
    )
    _write_left_out(connection, table)
    return {"inserted": inserted.rowcount, "updated": updated.rowcount}


_CHANGE = "contact_changes (contact_id, import_id, field, heading, old, new, basis)"


def _find_changes(connection: Connection) -> None:
    """Make `changed` of the rows of `matched` that change a contact: with its statistics the planner uses the index."""
    connection.execute(
        text("""
            CREATE TEMP TABLE changed ON COMMIT DROP AS
            SELECT position, contact_id, basis FROM matched WHERE changed""")
    )
    connection.execute(text("ANALYZE changed"))


def _write_changes(connection: Connection, table: str) -> None:
    """Write the history of the update: the old and the new value of each field that it replaces or fills."""
    fields = ", ".join(
        f"('{column}', NULL, c.{column}::text, ({merged})::text)"
        for column, merged in MERGED.items()
        if column != "extra"
    )
    connection.execute(
        text(f"""
            INSERT INTO {_CHANGE}
            SELECT c.id, s.import_id, each.field, each.heading, each.old, each.new, k.basis
            FROM changed k JOIN {table} s USING (position) JOIN contacts c ON c.id = k.contact_id
            CROSS JOIN LATERAL (
                VALUES {fields}
                UNION ALL SELECT 'extra', key, c.extra ->> key, value FROM jsonb_each_text(s.extra)
            ) each (field, heading, old, new)
            WHERE each.old IS DISTINCT FROM each.new ORDER BY s.position""")
    )


def _write_left_out(connection: Connection, table: str) -> None:
    """Write the values of duplicate rows that differ from their primary row into the history, each value once."""
    compared = [field for field in CONTACT_FIELDS if field != "external_id"]
    fields = ", ".join(f"('{field}', NULL, r.{field}::text, s.{field}::text)" for field in compared)
    values, merged_values = (
        ", ".join(each.format(field) for field in compared) for each in ("coalesce(r.{0}, s.{0})", "s.{0}")
    )
    left_out = connection.execute(
        text(f"""
            CREATE TEMP TABLE left_out ON COMMIT DROP AS
            SELECT DISTINCT r.identity_hash, s.import_id, each.*
            FROM ranked r JOIN ranked main ON main.identity_hash = r.identity_hash AND main.rank = 1
            JOIN {table} s ON s.position = main.position
            CROSS JOIN LATERAL (
                VALUES {fields}
                UNION ALL SELECT 'extra', key, value, s.extra ->> key FROM jsonb_each_text(r.extra)
            ) each (field, heading, old, new)
            WHERE r.rank > 1 AND (({values}) IS DISTINCT FROM ({merged_values}) OR NOT s.extra @> r.extra)
            AND each.old IS NOT NULL AND each.old IS DISTINCT FROM each.new""")
    )
    if not left_out.rowcount:
        return
    connection.execute(text("ANALYZE left_out"))  # so that the planner uses the index instead of a scan of all contacts
    connection.execute(
        text(f"""
            INSERT INTO {_CHANGE}
            SELECT c.id, d.import_id, d.field, d.heading, d.old, d.new, 'repeated row'
            FROM left_out d JOIN contacts c USING (identity_hash)
            WHERE NOT EXISTS (
                SELECT FROM contact_changes h WHERE h.contact_id = c.id AND h.field = d.field
                AND h.heading IS NOT DISTINCT FROM d.heading AND h.old = d.old)""")
    )


def keep_rejects(connection: Connection, import_id: int, limit: int) -> int:
    """Store every faulty cell with its reason, replacing an earlier attempt's; returns how many.

    Only the first one of a row is stored with the whole row: a row may have thousands of them.

    Args:
        connection: in a transaction that has checked its ownership.
        import_id: task_runs.id of the import.
        limit: rejected rows that are stored, from the top of the workbook.
    """
    connection.execute(text("DELETE FROM import_rejects WHERE import_id = :id"), {"id": import_id})
    stored = connection.execute(
        text(f"""
            INSERT INTO import_rejects (import_id, sheet, row_number, column_name, value, reason, "row")
            SELECT import_id, sheet, row_number, problem ->> 0, problem ->> 1, problem ->> 2,
                CASE n WHEN 1 THEN raw ELSE '[]' END
            FROM (
                SELECT * FROM {partition(import_id)} WHERE problems IS NOT NULL ORDER BY position LIMIT :limit
            ) rejected, jsonb_array_elements(problems) WITH ORDINALITY AS each (problem, n)
            ORDER BY position, n"""),
        {"limit": limit},
    )
    return stored.rowcount


def free_space_of_rolled_back_rows() -> None:
    """Give the space of a `merge` and `keep_rejects` that were rolled back to the disk, without waiting for autovacuum.

    Raises:
        DBAPIError: the database does not answer, or its user does not own the tables.
    """
    with engine().connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(
            text("VACUUM contacts, contact_changes, import_rejects")
        )


def delete_rejects(connection: Connection, preview: str, before: datetime) -> int:
    """Delete the rejects of previews and of imports that are not completed; returns how many.

    Args:
        connection: any.
        preview: the name of the previews' unit of work.
        before: those of units of work that did not change since then.
    """
    deleted = connection.execute(
        text(f"""
            DELETE FROM import_rejects j USING task_runs r WHERE r.id = j.import_id AND r.updated_at < :before
            AND (r.name = :preview OR r.status <> 'completed') AND {NOBODY_HOLDS}"""),
        {"preview": preview, "before": before},
    )
    return deleted.rowcount


def rejects_of(connection: Connection, import_id: int) -> list[Reject]:
    """The stored rejects of an import, in the order of the workbook, each with its whole row."""
    rows = connection.execute(
        text("""
            SELECT sheet, row_number, column_name, value, reason, "row" FROM import_rejects
            WHERE import_id = :id ORDER BY id"""),
        {"id": import_id},
    )
    headings: dict[str, str] = {}  # each stored once for all rows
    rejects: list[Reject] = []
    for sheet, row_number, column_name, value, reason, stored in rows:
        row = [[headings.setdefault(heading, heading), cell] for heading, cell in stored]
        if not row and rejects and (rejects[-1].sheet, rejects[-1].row_number) == (sheet, row_number):
            row = rejects[-1].row
        rejects.append(Reject(sheet, row_number, column_name, value, reason, row))
    return rejects
