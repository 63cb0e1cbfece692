"""Matching: each staged row gets one verdict, against the other rows of the file and the stored contacts.

The rules that need the whole workbook or the stored contacts are SQL, because only the database sees both. They run in
one transaction of the caller and write nothing but the import's own staging table: a preview ends here, an import goes
on with `contacts.merge`.

Rules, version 2 (the hashes are made where a row is read; who is who: identities.py; what merges: merging.py):
- Rows of one person are one contact. None is newer by its place in the workbook: the one contacted last speaks first,
  then the one with most cells filled, then by content. What it leaves blank the others fill. So the order of rows is
  nothing.
- Rows that are one person only by a weak identity and contradict each other are rejected, and so are rows of one id
  whose e-mail and name both differ (contradictions.py).
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from db.contradictions import contradicting_headings, reject_contradictions, reject_own_contradictions
from db.identities import BASIS, WEAK_STAGED, find_people
from db.merging import CHANGES, MERGED, NAMES, PLAIN_FIELDS
from db.staging import ANALYSED, partition
from db.tables import CONTACT_FIELDS

VERDICTS = ("inserted", "updated", "unchanged", "duplicate", "rejected")

# The last word between rows that are otherwise equal: the smallest hash of what they say. Values are separated by the
# unit separator; a backslash is doubled because text becomes bytea here.
CONTENT_ORDER = (
    "sha256(replace("
    + r" || U&'\001F' || ".join(
        [f"coalesce({field}, '')" for field in CONTACT_FIELDS if field not in {"last_contacted", "external_id"}]
        + ["coalesce((last_contacted - '2000-01-01'::date)::text, '')", "extra::text"]
    )
    + r", E'\\', E'\\\\')::bytea)"
)


def judge(connection: Connection, import_id: int, headings: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Give every staged row its one verdict; returns the books.

    Afterwards a staged row with an identity leads: it is one person, with what that person's other rows add to it.
    Staged rows cannot be judged again: if the transaction commits without completing the import, discard them.

    Args:
        connection: in the transaction that merges.
        import_id: task_runs.id of the import.
        headings: field -> heading of the workbook, all that are mapped. Reasons of rejects name them, and rows have an
            external id only if it is among them. None: any.

    Returns:
        rows: how many were staged; inserted, updated, unchanged, duplicate, rejected: they add up to rows;
        duplicates: [{sheet, row, of_sheet, of_row, differs: [field, …]}, …], those that differ first, at most 1,000;
        weak_updates: [{sheet, row, basis, fields: [field whose stored value is replaced, …]}, …], updates by a weak
        identity, those that replace something first, at most 1,000;
        shared_emails: [[e-mail, number of people], …], at most 100;
        reject_reasons: [[column, reason, rows], …], at most 100;
        late_rejects: LateRejects, the rows that are rejected here (part of rejected);
        told_apart_by: [(heading of extra, rows, values), …], the columns without a field in which such rows differ,
        most rows first, and up to 1,000 different values of such rows in it.
    """
    p = partition(import_id)
    connection.execute(text("SET LOCAL work_mem = '128MB'"))
    # Without statistics the planner takes a fresh table for tiny and scans contacts once for each row.
    connection.execute(text(f"ANALYZE {p} ({', '.join(ANALYSED)})"))
    ids = headings is None or "external_id" in headings
    rejects = reject_own_contradictions(connection, p, headings or {}, ids=ids)
    adopted = find_people(connection, p, ids=ids)
    _find_repeats(connection, p)
    rejects += reject_contradictions(connection, p, headings or {})
    _elect(connection, p)
    _meet_stored(connection, p, adopted)
    books = connection.execute(
        text(f"""
            SELECT rows, people - met AS inserted, changed AS updated, met - changed AS unchanged,
                   rows - people - rejected AS duplicate, rejected
            FROM (SELECT count(*) AS rows, count(identity_hash) AS people, count(problems) AS rejected FROM {p}) read,
                 (SELECT count(*) AS met, count(*) FILTER (WHERE changed) AS changed FROM known) stored""")
    )
    return {
        **books.mappings().one(),
        **_details(connection, p),
        "late_rejects": rejects,
        "told_apart_by": contradicting_headings(connection, p) if rejects.rows else [],
    }


def _find_repeats(connection: Connection, p: str) -> None:
    """Keep the rows of each person who has more than one."""
    columns = ", ".join(["sheet", "row_number", "name_hash", "mail_hash", *CONTACT_FIELDS, "source_system", "extra"])
    connection.execute(
        text(f"""
            CREATE TEMP TABLE several ON COMMIT DROP AS
            SELECT s.identity_hash, s.position, {columns}, {WEAK_STAGED} AS weak
            FROM (SELECT identity_hash FROM {p} WHERE problems IS NULL GROUP BY 1 HAVING count(*) > 1) several
            JOIN {p} s USING (identity_hash) WHERE problems IS NULL""")
    )


def _elect(connection: Connection, p: str) -> None:
    """One row of each person leads and takes over what the others add to it; the others are duplicates."""
    fields = ", ".join(CONTACT_FIELDS)
    named = f"num_nonnulls({', '.join(NAMES)})"
    connection.execute(
        text(f"""
            CREATE TEMP TABLE repeats ON COMMIT DROP AS
            SELECT ranked.*, -- of an id the name of the first row that has one counts
                   has_id AND whole <> first_value(whole) OVER (
                       PARTITION BY identity_hash ORDER BY {named} = 0, rank) AS other_name
            FROM (
                SELECT r.*, lower(concat_ws(' ', {", ".join(NAMES)})) AS whole,
                       count(*) OVER (PARTITION BY identity_hash) AS rows,
                       bool_or(external_id IS NOT NULL) OVER (PARTITION BY identity_hash) AS has_id,
                       row_number() OVER (
                           PARTITION BY identity_hash ORDER BY last_contacted DESC NULLS LAST,
                           num_nonnulls({fields}) DESC, {CONTENT_ORDER}, position) AS rank
                FROM several r
            ) ranked WHERE rows > 1""")
    )
    connection.execute(
        text(f"UPDATE {p} s SET identity_hash = NULL FROM repeats r WHERE r.position = s.position AND r.rank > 1")
    )
    first = "(array_agg({0} ORDER BY rank) FILTER (WHERE {0} IS NOT NULL))[1] AS {0}"
    placed = "organization IS NULL, num_nonnulls(street, city, country) = 0 AND whole = ''"
    best = ", ".join(
        [first.format(column) for column in (*PLAIN_FIELDS, "source_system")]
        + [f"(array_agg({name} ORDER BY other_name, {named} DESC, rank))[1] AS {name}" for name in NAMES]
        + [f"(array_agg(name_hash ORDER BY other_name, {placed}, rank))[1] AS name_hash"]
        + ["(array_agg(mail_hash ORDER BY rank) FILTER (WHERE NOT (mail_hash IS NULL OR other_name)))[1] AS mail_hash"]
    )
    connection.execute(
        text(f"""
            CREATE TEMP TABLE merged ON COMMIT DROP AS
            SELECT identity_hash, {best} FROM repeats GROUP BY identity_hash""")
    )
    taken = ", ".join(
        f"{column} = m.{column}" for column in (*CONTACT_FIELDS, "source_system", "name_hash", "mail_hash")
    )
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


def _meet_stored(connection: Connection, p: str, adopted: int) -> None:
    """Keep which stored contact each person is, so that `merge` need not look into contacts while it fills them.

    A plan made for an empty table would then read all that it has written so far, for every row.
    """
    connection.execute(
        text(f"""
            CREATE TEMP TABLE known ON COMMIT DROP AS
            SELECT s.position, c.id AS contact_id, {CHANGES} AS changed, CASE
                WHEN s.external_id = c.external_id THEN 'external id'
                ELSE {BASIS.format("s")} END AS basis
            FROM {p} s JOIN contacts c ON c.identity_hash = s.identity_hash""")
    )
    if adopted:
        connection.execute(text("DELETE FROM known k USING adoptions a WHERE a.contact_id = k.contact_id"))
        connection.execute(
            text(f"""
                INSERT INTO known SELECT s.position, c.id, {CHANGES}, a.basis
                FROM adoptions a JOIN {p} s USING (identity_hash) JOIN contacts c ON c.id = a.contact_id""")
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
    reasons = connection.execute(  # a reason that names its cell or another row, without it
        text(f"""
            SELECT problem ->> 0, regexp_replace(
                regexp_replace(problem ->> 2, '^[A-Z]+' || row_number || ' ', ''),
                '^(is the same person|is the same organisation|has the same external id) as row .*'
                || '( by organisation and | by e-mail,|, but another)',
                '\\1 as another row\\2'
            ), count(*)
            FROM {p}, jsonb_array_elements(problems) problem
            WHERE problems IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 100""")
    )
    return {
        "duplicates": [dict(row) for row in duplicates.mappings()],
        "weak_updates": _weak_updates(connection, p),
        "shared_emails": [list(row) for row in shared],
        "reject_reasons": [list(row) for row in reasons],
    }


def _weak_updates(connection: Connection, p: str) -> list[dict[str, Any]]:
    """Rows that change a stored contact to which only a weak identity ties them, and the fields that they replace."""
    replaced = ", ".join(
        f"CASE WHEN c.{column} IS NOT NULL AND c.{column} IS DISTINCT FROM {merged} THEN '{column}' END"
        for column, merged in MERGED.items()
        if column != "extra"
    )
    updates = connection.execute(
        text(f"""
            SELECT s.sheet, s.row_number AS row, k.basis, replaced.fields
            FROM known k JOIN {p} s USING (position) JOIN contacts c ON c.id = k.contact_id
            CROSS JOIN LATERAL (SELECT array_remove(ARRAY[{replaced},
                CASE WHEN NOT ({MERGED["extra"]}) @> c.extra THEN 'extra' END], NULL) AS fields) replaced
            WHERE k.changed AND k.basis NOT IN ('external id', 'e-mail and name')
            ORDER BY cardinality(replaced.fields) = 0, s.position LIMIT 1000""")
    )
    return [dict(row) for row in updates.mappings()]
