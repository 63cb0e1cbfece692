"""Matching: who is the same person, what a row would change, which rows repeat each other.

The rules that need the whole workbook or the stored contacts live here, in SQL, because only the database sees both.
They run in one transaction of the caller: a preview rolls it back, an import commits it with its completion.

Rules, version 1 (the hashes themselves are made where a row is read, tasks/crm/contact.py):
- A row is the person with its e-mail and name, else with its organisation and name.
- A row or a stored contact without an e-mail is the person with one who shares organisation and name, if only one does.
- Of several rows for one person in a workbook none is newer by its place: the one contacted last speaks first, then the
  one with most cells filled, then by content. What it leaves blank the others fill. So the order of rows is nothing.
- A blank never erases, `extra` merges by heading, first and last name stay together.
"""

from typing import Any

from sqlalchemy import Connection, text

from db.staging import ANALYSED, partition
from db.tables import CONTACT_FIELDS

VERDICTS = ("inserted", "updated", "unchanged", "duplicate", "rejected")

# The last word between rows that are otherwise equal: the smallest hash of what they say. Values are separated by the
# unit separator; a backslash is doubled because text becomes bytea here.
CONTENT_ORDER = (
    "sha256(replace("
    + r" || U&'\001F' || ".join(
        [f"coalesce({field}, '')" for field in CONTACT_FIELDS[:-1]]
        + ["coalesce((last_contacted - '2000-01-01'::date)::text, '')", "extra::text"]
    )
    + r", E'\\', E'\\\\')::bytea)"
)

_names = ("first_name", "last_name")
_plain = [field for field in CONTACT_FIELDS if field not in _names]
# Stored (c) and staged (s) row of one person, merged.
MERGED = {
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
_CHANGES = f"({', '.join(MERGED.values())}) IS DISTINCT FROM ({', '.join(f'c.{column}' for column in MERGED)})"
# It is of the merged row: of one person only the organisation can make it another one.
MERGED_NAME_HASH = (
    "CASE WHEN s.organization IS NULL AND c.organization IS NOT NULL THEN c.name_hash ELSE s.name_hash END"
)


def judge(connection: Connection, import_id: int) -> dict[str, Any]:
    """Give every staged row its one verdict; returns the books.

    Afterwards a staged row with an identity leads: it is one person, with what that person's other rows add to it.

    Returns:
        rows: how many were staged; inserted, updated, unchanged, duplicate, rejected: they add up to rows;
        duplicates: [{sheet, row, of_sheet, of_row, differs: [field, …]}, …], those that differ first, at most 1,000;
        shared_emails: [[e-mail, number of people], …], at most 100;
        reject_reasons: [[column, reason, rows], …], at most 100.
    """
    p = partition(import_id)
    connection.execute(text("SET LOCAL work_mem = '128MB'"))
    # Without statistics the planner takes a fresh table for tiny and scans contacts once for each row.
    connection.execute(text(f"ANALYZE {p} ({', '.join(ANALYSED)})"))
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
    return {**books.mappings().one(), **_details(connection, p)}


def _adopt(connection: Connection, p: str) -> None:
    """Find who without an e-mail is who with one; a stored contact takes over the identity of its claimant."""
    if not _find_nameless(connection, p):
        return
    _find_claimants(connection, p)
    connection.execute(
        text("""
            CREATE TEMP TABLE claims ON COMMIT DROP AS
            WITH only_one AS (
                SELECT name_hash, (array_agg(identity_hash))[1] AS identity_hash
                FROM claimants GROUP BY name_hash HAVING count(DISTINCT identity_hash) = 1
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


def _find_nameless(connection: Connection, p: str) -> int:
    """Keep the names of staged rows without an e-mail and of stored contacts without one that this import names.

    Returns how many.
    """
    found = connection.execute(
        text(f"""
            CREATE TEMP TABLE nameless ON COMMIT DROP AS
            SELECT name_hash, bool_or(c.name_hash IS NOT NULL) AS stored
            FROM {p} s LEFT JOIN (SELECT name_hash FROM contacts WHERE email IS NULL) c USING (name_hash)
            WHERE s.problems IS NULL AND (s.email IS NULL OR c.name_hash IS NOT NULL) GROUP BY 1""")
    )
    connection.execute(text("ANALYZE nameless"))
    return found.rowcount


def _find_claimants(connection: Connection, p: str) -> None:
    """Keep who with an e-mail has one of these names.

    A name that is stored without an e-mail and that no staged row claims needs no look at the other contacts, which is
    a scan of all: two stored contacts stay two. So importing the same workbook again needs none.
    """
    connection.execute(
        text(f"""
            CREATE TEMP TABLE claimants ON COMMIT DROP AS
            SELECT name_hash, identity_hash FROM {p} JOIN nameless USING (name_hash)
            WHERE problems IS NULL AND email IS NOT NULL""")
    )
    asked = connection.execute(
        text("""
            CREATE TEMP TABLE asked ON COMMIT DROP AS
            SELECT name_hash FROM nameless WHERE NOT stored OR name_hash IN (SELECT name_hash FROM claimants)""")
    )
    if not asked.rowcount:
        return
    connection.execute(text("ANALYZE asked"))  # else the planner hashes all contacts instead of these few
    connection.execute(
        text("""
            INSERT INTO claimants
            SELECT name_hash, identity_hash FROM contacts JOIN asked USING (name_hash) WHERE email IS NOT NULL""")
    )


def _elect(connection: Connection, p: str) -> None:
    """One row of each person leads and takes over what the others add to it; the others are duplicates."""
    fields = ", ".join(f"s.{field}" for field in CONTACT_FIELDS)
    connection.execute(
        text(f"""
            CREATE TEMP TABLE repeats ON COMMIT DROP AS
            SELECT s.*, row_number() OVER (PARTITION BY s.identity_hash ORDER BY
                       last_contacted DESC NULLS LAST, num_nonnulls({fields}) DESC, {CONTENT_ORDER}, position) AS rank
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
