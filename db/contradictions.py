"""Rows that share a weak identity and contradict each other: rejected, each with the other row's number.

A weak identity (organisation and name, or organisation and place) may be that of two people, so rows merge by it only
where none says something else than another: both fill a field, or a heading of `extra`, and differ there in more than
case. Rows with an id or an e-mail are never rejected for a weak one beside them.
"""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, text

from db.staging import LateRejects
from db.tables import CONTACT_FIELDS

_PLACE = ("street", "city", "country")
# A weak identity has no e-mail and no id; organisation and name are what it is.
_COMPARED = [field for field in CONTACT_FIELDS if field not in {"organization", "first_name", "last_name", "email"}]
_COMPARED.remove("external_id")
_ADVICE = "give one of them an e-mail or an external id"


def reject_contradictions(connection: Connection, p: str, headings: Mapping[str, str]) -> LateRejects:
    """Reject the rows of `several` with a weak identity that contradict another row of the same person.

    Args:
        connection: in the transaction that judges; its temporary table `several` has the rows of which one person has
            more than one. The rejected ones are removed from it.
        p: the import's staging table.
        headings: field -> heading of the workbook, for the reasons and the row that is kept.
    """
    if not connection.scalar(text("SELECT EXISTS (SELECT FROM several WHERE weak)")):
        return LateRejects(0, {}, {})
    _find_contradictions(connection)
    rejected = _reject(connection, p, headings)
    if rejected.rows:
        connection.execute(text("DELETE FROM several r USING contradictions c WHERE c.position = r.position"))
    return rejected


def contradicting_headings(connection: Connection) -> list[tuple[str, int]]:
    """The headings of extra in which rejected rows differ, and of how many, most first; after some were rejected.

    Columns of numbers and dates are left out: they tell no people apart.
    """
    found = connection.execute(
        text("""
            SELECT regexp_replace(key, '^extra\\.', '') AS heading, count(*) FROM contradictions, unnest(keys) key
            WHERE key LIKE 'extra.%' AND key IN (
                SELECT key FROM said GROUP BY 1 HAVING count(*) FILTER (WHERE value ~ '[[:alpha:]]') * 2 > count(*))
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100""")
    )
    return [(heading, rows) for heading, rows in found]


def _find_contradictions(connection: Connection) -> None:
    """Keep the contradicting rows, each with the first row that it contradicts and in what."""
    fields = ", ".join(f"({n}, '{field}', {_compared(field)})" for n, field in enumerate(_COMPARED))
    connection.execute(
        text(f"""
            CREATE TEMP TABLE said ON COMMIT DROP AS
            SELECT identity_hash, position, weak, each.n, each.key, each.value
            FROM several r
            JOIN (SELECT identity_hash FROM several GROUP BY 1 HAVING bool_or(weak)) shared USING (identity_hash)
            CROSS JOIN LATERAL (
                VALUES {fields}
                UNION ALL SELECT {len(_COMPARED)}, 'extra.' || key, lower(value) FROM jsonb_each_text(r.extra)
            ) each (n, key, value)
            WHERE each.value IS NOT NULL""")
    )
    connection.execute(
        text("""
            CREATE TEMP TABLE contradictions ON COMMIT DROP AS
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


def _compared(field: str) -> str:
    if field == "last_contacted":
        return "r.last_contacted::text"
    if field in _PLACE:  # of an organisation without a person it is what the identity is
        return f"CASE WHEN num_nonnulls(r.first_name, r.last_name) > 0 THEN lower(r.{field}) END"
    return f"lower(r.{field})"


def _reject(connection: Connection, p: str, headings: Mapping[str, str]) -> LateRejects:
    counts = ", ".join(f"count({field})" for field in CONTACT_FIELDS)
    rows, extra, *filled = connection.execute(
        text(f"""
            WITH told AS (
                SELECT c.position, format(
                    'is the same %s as row %s, but differs in %s: {_ADVICE}',
                    CASE WHEN num_nonnulls(mine.first_name, mine.last_name) = 0 THEN 'organisation' ELSE 'person' END,
                    o.row_number || CASE WHEN o.sheet = mine.sheet THEN '' ELSE ' of sheet ' || o.sheet END
                        || CASE WHEN num_nonnulls(mine.first_name, mine.last_name) = 0
                           THEN ' by organisation and place' ELSE ' by organisation and name' END,
                    (SELECT string_agg(coalesce(CAST(:headings AS jsonb) ->> key, regexp_replace(key, '^extra\\.', '')),
                                       ', ' ORDER BY n)
                     FROM unnest(c.keys) WITH ORDINALITY AS differing (key, n))) AS reason
                FROM contradictions c JOIN several mine USING (position) JOIN several o ON o.position = c.other
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
