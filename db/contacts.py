"""Statements that write contacts and rejects, in the one transaction of an import that also holds its completion."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from db.merging import MERGED, MERGED_HASHES
from db.staging import partition
from db.tables import CONTACT_FIELDS

APPLY_LOCK = (0x6A6F6273, 0)  # "jobs", and no task_runs row has the id 0


@dataclass(frozen=True)
class Reject:
    """One faulty cell, or one row that is at fault as a whole (column_name None)."""

    sheet: str
    row_number: int  # as Excel shows it
    column_name: str | None
    value: str | None
    reason: str
    row: list[list[str]]  # [[heading, text], …] in the order of the workbook


def serialize_imports(connection: Connection) -> None:
    """Wait until no other import is applying: two merges at once could each insert the same person."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:lock_class, :zero)"),
        dict(zip(("lock_class", "zero"), APPLY_LOCK, strict=True)),
    )


def merge(connection: Connection, import_id: int) -> dict[str, int]:
    """Write the people whom `judge` found new or changed; unchanged ones are not touched. Returns how many of each."""
    p = partition(import_id)
    columns = [*CONTACT_FIELDS, "source_system", "extra", "name_hash", "mail_hash", "identity_hash"]
    merged = ", ".join(f"{column} = {merged}" for column, merged in (MERGED | MERGED_HASHES).items())
    _find_changes(connection)
    _keep_changes(connection, p)
    updated = connection.execute(
        text(f"""
            UPDATE contacts c SET {merged}, import_id = s.import_id,
                source_sheet = s.sheet, source_row = s.row_number, updated_at = now()
            FROM changed k JOIN {p} s USING (position) WHERE c.id = k.contact_id""")
    )
    inserted = connection.execute(
        text(f"""
            INSERT INTO contacts (import_id, source_sheet, source_row, {", ".join(columns)})
            SELECT s.import_id, s.sheet, s.row_number, {", ".join(f"s.{column}" for column in columns)}
            FROM {p} s WHERE s.identity_hash IS NOT NULL
            AND NOT EXISTS (SELECT FROM known k WHERE k.position = s.position)
            ORDER BY s.identity_hash -- the index of so many random keys is filled from one end to the other""")
    )
    _keep_left_out(connection, p)
    return {"inserted": inserted.rowcount, "updated": updated.rowcount}


_CHANGE = "contact_changes (contact_id, import_id, field, heading, old, new, basis)"


def _find_changes(connection: Connection) -> None:
    """Keep the changed ones of `known` apart: knowing how few they are, the planner looks them up instead of all."""
    connection.execute(
        text("""
            CREATE TEMP TABLE changed ON COMMIT DROP AS
            SELECT position, contact_id, basis FROM known WHERE changed""")
    )
    connection.execute(text("ANALYZE changed"))


def _keep_changes(connection: Connection, p: str) -> None:
    """Keep what the update of stored contacts replaces and fills, before it does."""
    fields = ", ".join(
        f"('{column}', NULL, c.{column}::text, ({merged})::text)"
        for column, merged in MERGED.items()
        if column != "extra"
    )
    connection.execute(
        text(f"""
            INSERT INTO {_CHANGE}
            SELECT c.id, s.import_id, each.field, each.heading, each.old, each.new, k.basis
            FROM changed k JOIN {p} s USING (position) JOIN contacts c ON c.id = k.contact_id
            CROSS JOIN LATERAL (
                VALUES {fields}
                UNION ALL SELECT 'extra', key, c.extra ->> key, value FROM jsonb_each_text(s.extra)
            ) each (field, heading, old, new)
            WHERE each.old IS DISTINCT FROM each.new ORDER BY s.position""")
    )


def _keep_left_out(connection: Connection, p: str) -> None:
    """Keep what repeated rows say otherwise than the row that leads, once for each value."""
    compared = [field for field in CONTACT_FIELDS if field != "external_id"]
    fields = ", ".join(f"('{field}', NULL, r.{field}::text, s.{field}::text)" for field in compared)
    said, stored = (", ".join(each.format(field) for field in compared) for each in ("coalesce(r.{0}, s.{0})", "s.{0}"))
    left_out = connection.execute(
        text(f"""
            CREATE TEMP TABLE left_out ON COMMIT DROP AS
            SELECT DISTINCT r.identity_hash, s.import_id, each.*
            FROM repeats r JOIN repeats lead ON lead.identity_hash = r.identity_hash AND lead.rank = 1
            JOIN {p} s ON s.position = lead.position
            CROSS JOIN LATERAL (
                VALUES {fields}
                UNION ALL SELECT 'extra', key, value, s.extra ->> key FROM jsonb_each_text(r.extra)
            ) each (field, heading, old, new)
            WHERE r.rank > 1 AND (({said}) IS DISTINCT FROM ({stored}) OR NOT s.extra @> r.extra)
            AND each.old IS NOT NULL AND each.old IS DISTINCT FROM each.new""")
    )
    if not left_out.rowcount:
        return
    connection.execute(text("ANALYZE left_out"))  # so that these few are looked up instead of reading all contacts
    connection.execute(
        text(f"""
            INSERT INTO {_CHANGE}
            SELECT c.id, d.import_id, d.field, d.heading, d.old, d.new, 'repeated row'
            FROM left_out d JOIN contacts c USING (identity_hash)
            WHERE NOT EXISTS (
                SELECT FROM contact_changes h WHERE h.contact_id = c.id AND h.field = d.field
                AND h.heading IS NOT DISTINCT FROM d.heading AND h.old = d.old)""")
    )


def keep_rejects(connection: Connection, import_id: int) -> int:
    """Keep every faulty cell with its reason and its whole row, in place of an earlier attempt's; returns how many."""
    connection.execute(text("DELETE FROM import_rejects WHERE import_id = :id"), {"id": import_id})
    kept = connection.execute(
        text(f"""
            INSERT INTO import_rejects (import_id, sheet, row_number, column_name, value, reason, "row")
            SELECT import_id, sheet, row_number, problem ->> 0, problem ->> 1, problem ->> 2, raw
            FROM {partition(import_id)}, jsonb_array_elements(problems) WITH ORDINALITY AS each (problem, n)
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
