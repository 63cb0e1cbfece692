"""Statements that write contacts and rejects, in the one transaction of an import that also holds its completion."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from db.matching import MERGED, MERGED_NAME_HASH
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
    columns = [*CONTACT_FIELDS, "extra"]
    merged = ", ".join(f"{column} = {merged}" for column, merged in MERGED.items())
    updated = connection.execute(
        text(f"""
            UPDATE contacts c SET {merged}, name_hash = {MERGED_NAME_HASH}, import_id = s.import_id,
                source_sheet = s.sheet, source_row = s.row_number, updated_at = now()
            FROM known k JOIN {p} s USING (position) WHERE k.changed AND c.id = k.contact_id""")
    )
    inserted = connection.execute(
        text(f"""
            INSERT INTO contacts (identity_hash, name_hash, import_id, source_sheet, source_row, {", ".join(columns)})
            SELECT s.identity_hash, s.name_hash, s.import_id, s.sheet, s.row_number,
                   {", ".join(f"s.{column}" for column in columns)}
            FROM {p} s WHERE s.identity_hash IS NOT NULL
            AND NOT EXISTS (SELECT FROM known k WHERE k.position = s.position)
            ORDER BY s.identity_hash -- the index of so many random keys is filled from one end to the other""")
    )
    return {"inserted": inserted.rowcount, "updated": updated.rowcount}


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
