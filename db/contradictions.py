"""Rows that are one person by an identity that is no proof, and contradict each other: rejected, each naming the other.

- A weak identity (organisation and name, organisation and place, e-mail without a name) may be that of two people, so
  rows merge by it only where none says something else than another: both fill a field, or a heading of `extra`, and
  differ there in more than case. Where the file has only one part of the names, an e-mail with that part is a weak
  identity of its rows too. Rows with an id or an e-mail are never rejected for a row with neither.
- An id is that of one person, who may have another name or another e-mail in another row. Rows in which both differ
  are two people.
"""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, text

from db.merging import whole_name
from db.staging import LateRejects
from db.tables import CONTACT_FIELDS

_PLACE = ("street", "city", "country")
# Name and e-mail are what a weak identity is; one has no id.
_COMPARED = [field for field in CONTACT_FIELDS if field not in {"first_name", "last_name", "email", "external_id"}]
_NAMED = "num_nonnulls({0}.first_name, {0}.last_name) > 0"
_NONE = LateRejects(0, {}, {})


def reject_own_contradictions(connection: Connection, p: str, headings: Mapping[str, str], *, ids: bool) -> LateRejects:
    """Reject rows that contradict another row of their own id, or of their own e-mail without a name.

    Before it is known who is who: who joins one of several people must not be left where these are rejected.

    Args:
        connection: in the transaction that judges.
        p: the import's staging table.
        headings: field -> heading of the workbook, for the reasons and the row that is kept.
        ids: whether rows may have an external id.
    """
    connection.execute(
        text("CREATE TEMP TABLE contradictions (position integer, other integer, keys text[]) ON COMMIT DROP")
    )
    if ids:
        _find_contradicting_ids(connection, p)
    alone = _is_known_by_mail_alone(headings)
    if connection.scalar(text(f"SELECT EXISTS (SELECT FROM {p} s WHERE {alone})")):
        connection.execute(
            text(f"""
                CREATE TEMP TABLE same_mail ON COMMIT DROP AS
                SELECT s.*, true AS weak
                FROM (SELECT identity_hash FROM {p} s WHERE {alone} GROUP BY 1 HAVING count(*) > 1) shared
                JOIN {p} s USING (identity_hash) WHERE problems IS NULL""")
        )
        _find_contradictions(connection, "same_mail")
    return _reject(connection, p, headings)


def reject_contradictions(connection: Connection, p: str, headings: Mapping[str, str]) -> LateRejects:
    """Reject the rows of `several` with neither id nor e-mail that contradict another row of the same person.

    Args:
        connection: in the transaction that judges, after `reject_own_contradictions`; its temporary table `several` has
            the rows of which one person has more than one. The rejected ones are removed from it.
        p: the import's staging table.
        headings: as above.
    """
    if not connection.scalar(text("SELECT EXISTS (SELECT FROM several WHERE weak)")):
        return _NONE
    _find_contradictions(connection, "several")
    rejected = _reject(connection, p, headings)
    if rejected.rows:
        connection.execute(text("DELETE FROM several r USING contradictions c WHERE c.position = r.position"))
    return rejected


def contradicting_headings(connection: Connection, p: str) -> list[tuple[str, int, list[str]]]:
    """The headings of extra in which rejected rows differ, of how many, and different values; most rows first."""
    found = connection.execute(
        text(f"""
            SELECT heading, count(*), (array_agg(DISTINCT extra ->> heading))[1 : 1000]
            FROM contradictions JOIN {p} USING (position)
            CROSS JOIN LATERAL (
                SELECT substr(key, 7) AS heading FROM unnest(keys) key WHERE key LIKE 'extra.%') differing
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100""")
    )
    return [(heading, rows, values) for heading, rows, values in found]


def _is_known_by_mail_alone(headings: Mapping[str, str]) -> str:
    """The condition that a row (s) has an e-mail, no id and no name, or one part of it where the file has no other."""
    parts = {"first_name", "last_name"} & headings.keys()
    only_part = len(parts) == 1 and "full_name" not in headings
    unnamed = "true" if only_part else f"NOT ({_NAMED.format('s')})"
    return f"s.email IS NOT NULL AND s.external_id IS NULL AND s.problems IS NULL AND {unnamed}"


def _find_contradicting_ids(connection: Connection, p: str) -> None:
    """Keep the rows of one id of which another one has another e-mail and another name, and the first such row."""
    found = connection.execute(
        text(f"""
            CREATE TEMP TABLE same_id ON COMMIT DROP AS
            SELECT identity_hash, position, email, whole FROM (
                SELECT s.identity_hash, position, email, whole, count(*) OVER (PARTITION BY identity_hash) AS rows,
                       count(*) OVER (PARTITION BY identity_hash, email) AS of_email,
                       count(*) OVER (PARTITION BY identity_hash, whole) AS of_name,
                       count(*) OVER (PARTITION BY identity_hash, email, whole) AS of_both
                FROM (
                    SELECT identity_hash FROM {p} WHERE external_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1
                ) shared JOIN {p} s USING (identity_hash) CROSS JOIN LATERAL (SELECT {whole_name("s")} AS whole) named
                WHERE email IS NOT NULL AND whole <> '' AND problems IS NULL
            ) counted WHERE rows > of_email + of_name - of_both""")
    )
    if not found.rowcount:
        return
    connection.execute(text("CREATE INDEX ON same_id (identity_hash, position)"))
    connection.execute(
        text("""
            INSERT INTO contradictions
            SELECT mine.position, theirs.position, '{}'
            FROM same_id mine CROSS JOIN LATERAL (
                SELECT position FROM same_id o
                WHERE o.identity_hash = mine.identity_hash AND o.email <> mine.email AND o.whole <> mine.whole
                ORDER BY o.position LIMIT 1
            ) theirs""")
    )


def _find_contradictions(connection: Connection, rows: str) -> None:
    """Keep the weak rows of a temporary table that contradict another: each with the first such row, and in what."""
    fields = ", ".join(f"({n}, '{field}', {_compared(field)})" for n, field in enumerate(_COMPARED))
    connection.execute(
        text(f"""
            CREATE TEMP TABLE said ON COMMIT DROP AS
            SELECT identity_hash, position, weak, each.n, each.key, each.value
            FROM {rows} r
            JOIN (SELECT identity_hash FROM {rows} GROUP BY 1 HAVING bool_or(weak)) shared USING (identity_hash)
            CROSS JOIN LATERAL (
                VALUES {fields}
                UNION ALL SELECT {len(_COMPARED)}, 'extra.' || key, lower(value) FROM jsonb_each_text(r.extra)
            ) each (n, key, value)
            WHERE each.value IS NOT NULL""")
    )
    connection.execute(
        text("""
            INSERT INTO contradictions
            WITH first AS (
                SELECT identity_hash, key, (array_agg(position ORDER BY position))[1] AS position,
                       (array_agg(value ORDER BY position))[1] AS value
                FROM said GROUP BY 1, 2 HAVING count(DISTINCT value) > 1
            ), differing AS ( -- the first row that says something else than the first one
                SELECT f.*, min(s.position) AS next
                FROM first f JOIN said s USING (identity_hash, key) WHERE s.value <> f.value GROUP BY 1, 2, 3, 4
            ), others AS (
                SELECT s.position, min(CASE WHEN s.value = d.value THEN d.next ELSE d.position END) AS other
                FROM said s JOIN differing d USING (identity_hash, key) WHERE s.weak GROUP BY 1
            )
            SELECT o.position, o.other, array_agg(mine.key ORDER BY mine.n, mine.key) AS keys
            FROM others o JOIN said mine ON mine.position = o.position
            JOIN said theirs ON theirs.position = o.other AND theirs.key = mine.key AND theirs.value <> mine.value
            GROUP BY 1, 2""")
    )
    connection.execute(text("DROP TABLE said"))


def _compared(field: str) -> str:
    if field == "last_contacted":
        return "r.last_contacted::text"
    if field == "organization":  # without an e-mail it is what the identity is
        return "CASE WHEN r.email IS NOT NULL THEN lower(r.organization) END"
    if field in _PLACE:  # of an organisation without a person it is what the identity is
        return f"CASE WHEN r.email IS NOT NULL OR {_NAMED.format('r')} THEN lower(r.{field}) END"
    return f"lower(r.{field})"


def _reject(connection: Connection, p: str, headings: Mapping[str, str]) -> LateRejects:
    """Reject the rows that are kept as contradicting and are not rejected yet."""
    if not connection.scalar(text("SELECT EXISTS (SELECT FROM contradictions)")):
        return _NONE
    counts = ", ".join(f"count({field})" for field in CONTACT_FIELDS)
    or_an_id = " or an external id" if "external_id" in headings else ""
    rows, extra, *filled = connection.execute(
        text(f"""
            WITH told AS (
                SELECT c.position, CASE
                    WHEN mine.external_id IS NOT NULL THEN format(
                        'has the same external id as row %s, but another e-mail and another name: '
                        'correct the id of one of them', theirs.row)
                    WHEN mine.email IS NOT NULL THEN format(
                        'is the same person as row %s by e-mail, but differs in %s: '
                        'say which columns hold their names, or give each an e-mail of its own', theirs.row, in_what)
                    WHEN {_NAMED.format("mine")} THEN format(
                        'is the same person as row %s by organisation and name, but differs in %s: '
                        'give one of them an e-mail{or_an_id}', theirs.row, in_what)
                    ELSE format(
                        'is the same organisation as row %s by organisation and place, but differs in %s: '
                        'give one of them a street, a city or an e-mail{or_an_id}', theirs.row, in_what)
                    END AS reason
                FROM contradictions c JOIN {p} mine USING (position) JOIN {p} o ON o.position = c.other
                CROSS JOIN LATERAL (
                    SELECT o.row_number || CASE WHEN o.sheet <> mine.sheet THEN ' of sheet ' || o.sheet ELSE '' END
                ) theirs (row)
                CROSS JOIN LATERAL (
                    SELECT string_agg(coalesce(CAST(:headings AS jsonb) ->> key, regexp_replace(key, '^extra\\.', '')),
                                      ', ' ORDER BY n) AS in_what
                    FROM unnest(c.keys) WITH ORDINALITY AS differing (key, n)
                ) differing
                WHERE mine.problems IS NULL
            ), rejected AS (
                UPDATE {p} s SET identity_hash = NULL, name_hash = NULL, mail_hash = NULL, month_first = NULL,
                    problems = jsonb_build_array(jsonb_build_array(NULL, NULL, reason)),
                    raw = coalesce(raw, {_row(headings)})
                FROM told WHERE told.position = s.position RETURNING s.*
            )
            SELECT count(*), (
                SELECT jsonb_object_agg(key, filled) FROM (
                    SELECT key, count(*) AS filled FROM rejected, jsonb_object_keys(extra) key GROUP BY key
                ) counted
            ), {counts} FROM rejected"""),
        {"headings": json.dumps(dict(headings))},
    ).one()
    return LateRejects(rows, {field: n for field, n in zip(CONTACT_FIELDS, filled, strict=True) if n}, extra or {})


def _row(headings: Mapping[str, str]) -> str:
    """The row as it is kept with its reason: its headings and what was read from its cells."""
    whole = "full_name" in headings and not {"first_name", "last_name"} & set(headings)
    names = {"last_name": ("full_name", "concat_ws(' ', s.first_name, s.last_name)")} if whole else {}
    cells = [
        (names.get(field) or (field, f"s.{field}::text"))
        for field in CONTACT_FIELDS
        if not (whole and field == "first_name")
    ]
    values = ", ".join(
        f"({n}, coalesce(CAST(:headings AS jsonb) ->> '{name}', '{name}'), {value})"
        for n, (name, value) in enumerate(cells)
    )
    return f"""(
        SELECT jsonb_agg(jsonb_build_array(heading, value) ORDER BY n, heading) FROM (
            VALUES {values} UNION ALL SELECT {len(cells)}, key, value FROM jsonb_each_text(s.extra)
        ) cell (n, heading, value) WHERE value <> '')"""
