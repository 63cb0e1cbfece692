"""Matching: gives each staged row one verdict, by comparing it with the other rows of the file and the stored contacts.

These rules are SQL because only the database has the whole workbook and the stored contacts. They run in the caller's
transaction and write only to the staging table of the import: a preview ends here, an import continues with
`contacts.merge`.

Rules, version 2 (hashes: tasks/crm/identity.py; who is who: identities.py; merging: merging.py):
- Rows of the same person become one contact. The order of the rows in the workbook does not matter: the primary row is
  the one with the latest `last_contacted`, then the one that fills most fields, then the one with the smallest hash of
  its content. The other rows fill its blanks.
- Rows that match only by a weak identity and contradict each other are rejected, and so are rows of one external id
  whose e-mail and name both differ (contradictions.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from db.contradictions import contradicting_headings, reject_contradictions, reject_own_contradictions
from db.identities import BASIS, WEAK_STAGED, find_people
from db.merging import CHANGES, MERGED, NAMES, PLAIN_FIELDS
from db.staging import LateRejects, analyse_staging, partition
from db.tables import CONTACT_FIELDS

VERDICTS = ("inserted", "updated", "unchanged", "duplicate", "rejected")

# Decides between rows that are equal otherwise: the hash of their content. Values are separated by the unit separator;
# a backslash is doubled because text becomes bytea here.
CONTENT_ORDER = (
    "sha256(replace("
    + r" || U&'\001F' || ".join(
        [f"coalesce({field}, '')" for field in CONTACT_FIELDS if field not in {"last_contacted", "external_id"}]
        + ["coalesce((last_contacted - '2000-01-01'::date)::text, '')", "extra::text"]
    )
    + r", E'\\', E'\\\\')::bytea)"
)


@dataclass(frozen=True)
class Evaluation:
    """The verdicts of an import."""

    counts: dict[str, int]  # "rows", and each of VERDICTS; the verdicts add up to the rows
    details: dict[str, list[Any]]  # see _details
    rejected: LateRejects  # rows that were rejected here; part of counts["rejected"]
    distinguishing: list[tuple[str, int, list[str]]]  # see contradictions.contradicting_headings


def evaluate(connection: Connection, import_id: int, headings: Mapping[str, str] | None = None) -> Evaluation:
    """Give every staged row one verdict.

    Afterwards each row with an identity is the primary row of one person, with the values that the other rows of the
    person add. Staged rows cannot be evaluated again: discard them if the transaction commits without completing the
    import.

    Args:
        connection: in the transaction that merges.
        import_id: task_runs.id of the import.
        headings: field -> heading of the workbook, of all mapped columns. Reasons of rejects name them, and rows have
            an external id only if it is among them. None: any.
    """
    table = partition(import_id)
    connection.execute(text("SET LOCAL work_mem = '128MB'"))
    # Without statistics the planner expects few rows and scans contacts once for each of them. A sample of 6,000 rows
    # tells these cases apart, and takes a fifth of the time of the default.
    connection.execute(text("SET LOCAL default_statistics_target = 20"))
    analyse_staging(connection, import_id)
    ids = headings is None or "external_id" in headings
    rejected = reject_own_contradictions(connection, table, headings or {}, ids=ids)
    linked = find_people(connection, table, ids=ids)
    _find_repeated(connection, table)
    rejected += reject_contradictions(connection, table, headings or {})
    _rank_repeated(connection)
    _pick_primary(connection, table)
    _match_stored(connection, table, linked)
    return Evaluation(
        _counts(connection, table),
        _details(connection, table),
        rejected,
        contradicting_headings(connection, table) if rejected.rows else [],
    )


def _counts(connection: Connection, table: str) -> dict[str, int]:
    """How many rows there are, and how many have each verdict."""
    counts = connection.execute(
        text(f"""
            SELECT rows, people - found AS inserted, changed AS updated, found - changed AS unchanged,
                   rows - people - rejected AS duplicate, rejected
            FROM (SELECT count(*) AS rows, count(identity_hash) AS people, count(problems) AS rejected
                  FROM {table}) staged,
                 (SELECT count(*) AS found, count(*) FILTER (WHERE changed) AS changed FROM matched) stored""")
    )
    return dict(counts.mappings().one())


def _find_repeated(connection: Connection, table: str) -> None:
    """Make the temporary table `repeated`: all rows of each person who has more than one."""
    columns = ", ".join(["sheet", "row_number", "name_hash", "mail_hash", *CONTACT_FIELDS, "source_system", "extra"])
    connection.execute(
        text(f"""
            CREATE TEMP TABLE repeated ON COMMIT DROP AS
            SELECT s.identity_hash, s.position, {columns}, {WEAK_STAGED} AS weak
            FROM (
                SELECT identity_hash FROM {table} WHERE identity_hash IS NOT NULL GROUP BY 1 HAVING count(*) > 1
            ) several
            JOIN {table} s USING (identity_hash) -- rejected rows have no identity""")
    )


_NAME_PARTS = f"num_nonnulls({', '.join(NAMES)})"


def _rank_repeated(connection: Connection) -> None:
    """Make the temporary table `ranked`: the rows of `repeated`, of each person the primary row with the rank 1.

    `other_name`: the row has an external id and another name than the first row of this id that has a name.
    """
    fields = ", ".join(CONTACT_FIELDS)
    connection.execute(
        text(f"""
            CREATE TEMP TABLE ranked ON COMMIT DROP AS
            SELECT numbered.*,
                   has_id AND whole <> first_value(whole) OVER (
                       PARTITION BY identity_hash ORDER BY {_NAME_PARTS} = 0, rank) AS other_name
            FROM (
                SELECT r.*, lower(concat_ws(' ', {", ".join(NAMES)})) AS whole,
                       count(*) OVER (PARTITION BY identity_hash) AS rows,
                       bool_or(external_id IS NOT NULL) OVER (PARTITION BY identity_hash) AS has_id,
                       row_number() OVER (
                           PARTITION BY identity_hash ORDER BY last_contacted DESC NULLS LAST,
                           num_nonnulls({fields}) DESC, {CONTENT_ORDER}, position) AS rank
                FROM repeated r
            ) numbered WHERE rows > 1""")
    )


def _pick_primary(connection: Connection, table: str) -> None:
    """Keep the identity of the primary row of each person only, and merge the values of the other rows into it."""
    connection.execute(
        text(f"UPDATE {table} s SET identity_hash = NULL FROM ranked r WHERE r.position = s.position AND r.rank > 1")
    )
    first = "(array_agg({0} ORDER BY rank) FILTER (WHERE {0} IS NOT NULL))[1] AS {0}"
    without_place = "organization IS NULL, num_nonnulls(street, city, country) = 0 AND whole = ''"
    best = ", ".join(
        [first.format(column) for column in (*PLAIN_FIELDS, "source_system")]
        + [f"(array_agg({name} ORDER BY other_name, {_NAME_PARTS} DESC, rank))[1] AS {name}" for name in NAMES]
        + [f"(array_agg(name_hash ORDER BY other_name, {without_place}, rank))[1] AS name_hash"]
        + ["(array_agg(mail_hash ORDER BY rank) FILTER (WHERE NOT (mail_hash IS NULL OR other_name)))[1] AS mail_hash"]
    )
    connection.execute(
        text(f"""
            CREATE TEMP TABLE merged ON COMMIT DROP AS
            SELECT identity_hash, {best} FROM ranked GROUP BY identity_hash""")
    )
    values = ", ".join(
        f"{column} = m.{column}" for column in (*CONTACT_FIELDS, "source_system", "name_hash", "mail_hash")
    )
    connection.execute(
        text(f"""
            UPDATE {table} s SET {values} FROM ranked r JOIN merged m USING (identity_hash)
            WHERE r.rank = 1 AND r.position = s.position""")
    )
    connection.execute(
        text(f"""
            UPDATE {table} s SET extra = more.extra
            FROM (SELECT identity_hash, jsonb_object_agg(key, value ORDER BY rank DESC) AS extra
                  FROM ranked, jsonb_each(extra) GROUP BY identity_hash) more JOIN ranked r USING (identity_hash)
            WHERE r.rank = 1 AND r.position = s.position""")
    )


def _match_stored(connection: Connection, table: str, linked: int) -> None:
    """Make the temporary table `matched`: which stored contact each person is, and whether the row changes it.

    `merge` uses it instead of the table of contacts while it fills that: a plan made for an empty table would read all
    rows that are written so far, once for each new row.
    """
    connection.execute(
        text(f"""
            CREATE TEMP TABLE matched ON COMMIT DROP AS
            SELECT s.position, c.id AS contact_id, {CHANGES} AS changed, CASE
                WHEN s.external_id = c.external_id THEN 'external id'
                ELSE {BASIS.format("s")} END AS basis
            FROM {table} s JOIN contacts c ON c.identity_hash = s.identity_hash""")
    )
    if linked:
        connection.execute(text("DELETE FROM matched k USING links a WHERE a.contact_id = k.contact_id"))
        connection.execute(
            text(f"""
                INSERT INTO matched SELECT s.position, c.id, {CHANGES}, a.basis
                FROM links a JOIN {table} s USING (identity_hash) JOIN contacts c ON c.id = a.contact_id""")
        )
    connection.execute(text("ANALYZE matched"))  # otherwise the planner scans all contacts for the few that change


# ---------------------------------------------------------------------- details for the report


def _details(connection: Connection, table: str) -> dict[str, list[Any]]:
    """What the report lists of the rows.

    duplicates: [{sheet, row, of_sheet, of_row, differs: [field, …]}, …], those that differ first, at most 1,000;
    weak_updates: [{sheet, row, basis, fields: [field whose stored value is replaced, …]}, …], updates by a weak
    identity, those that replace something first, at most 1,000;
    shared_emails: [[e-mail, number of people], …], at most 100;
    reject_reasons: [[column, reason, cells], …], at most 100.
    """
    return {
        "duplicates": _duplicates(connection, table),
        "weak_updates": _weak_updates(connection, table),
        "shared_emails": _shared_emails(connection, table),
        "reject_reasons": _reject_reasons(connection, table),
    }


def _duplicates(connection: Connection, table: str) -> list[dict[str, Any]]:
    """The rows that repeat the person of a primary row, and the fields in which they differ from it."""
    differs = ", ".join(
        f"CASE WHEN r.{field} IS NOT NULL AND r.{field} IS DISTINCT FROM s.{field} THEN '{field}' END"
        for field in CONTACT_FIELDS
    )
    rows = connection.execute(
        text(f"""
            SELECT r.sheet, r.row_number AS row, main.sheet AS of_sheet, main.row_number AS of_row, fields.differs
            FROM ranked r JOIN ranked main ON main.identity_hash = r.identity_hash AND main.rank = 1
            JOIN {table} s ON s.position = main.position
            CROSS JOIN LATERAL (SELECT array_remove(ARRAY[{differs},
                CASE WHEN NOT s.extra @> r.extra THEN 'extra' END], NULL) AS differs) fields
            WHERE r.rank > 1 ORDER BY cardinality(fields.differs) = 0, r.position LIMIT 1000""")
    )
    return [dict(row) for row in rows.mappings()]


def _shared_emails(connection: Connection, table: str) -> list[list[Any]]:
    """The e-mail addresses that several people have, and how many."""
    rows = connection.execute(
        text(f"""
            SELECT email, count(*) AS people FROM {table}
            WHERE identity_hash IS NOT NULL AND email IS NOT NULL
            GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT 100""")
    )
    return [list(row) for row in rows]


def _reject_reasons(connection: Connection, table: str) -> list[list[Any]]:
    """The reasons of rejects and how often each occurs, without the cell or the other row that some of them name."""
    rows = connection.execute(
        text(f"""
            SELECT problem ->> 0, regexp_replace(
                regexp_replace(problem ->> 2, '^[A-Z]+' || row_number || ' ', ''),
                '^(is the same person|is the same organisation|has the same external id) as row .*'
                || '( by organisation and | by e-mail,|, but another)',
                '\\1 as another row\\2'
            ), count(*)
            FROM {table}, jsonb_array_elements(problems) problem
            WHERE problems IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 100""")
    )
    return [list(row) for row in rows]


def _weak_updates(connection: Connection, table: str) -> list[dict[str, Any]]:
    """The rows that change a stored contact which they match only by a weak identity, and the fields they replace."""
    replaced = ", ".join(
        f"CASE WHEN c.{column} IS NOT NULL AND c.{column} IS DISTINCT FROM {merged} THEN '{column}' END"
        for column, merged in MERGED.items()
        if column != "extra"
    )
    updates = connection.execute(
        text(f"""
            SELECT s.sheet, s.row_number AS row, k.basis, replaced.fields
            FROM matched k JOIN {table} s USING (position) JOIN contacts c ON c.id = k.contact_id
            CROSS JOIN LATERAL (SELECT array_remove(ARRAY[{replaced},
                CASE WHEN NOT ({MERGED["extra"]}) @> c.extra THEN 'extra' END], NULL) AS fields) replaced
            WHERE k.changed AND k.basis NOT IN ('external id', 'e-mail and name')
            ORDER BY cardinality(replaced.fields) = 0, s.position LIMIT 1000""")
    )
    return [dict(row) for row in updates.mappings()]
