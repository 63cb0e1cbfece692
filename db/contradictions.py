"""Rejects rows that have the same identity and contradict each other. The reason of each names another row.

- Two people may share a weak identity (organisation and name, organisation and place, e-mail without a name). So rows
  are merged by it only if they do not contradict each other: two rows contradict if both fill a field, or a heading in
  `extra`, and the values differ in more than case. If the file has only one part of the names, an e-mail with that part
  is a weak identity too. A row with an id or an e-mail is never rejected because of a row with neither.
- An external id belongs to one person, whose name or e-mail may differ between rows. Rows in which both differ are two
  people.
"""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, text

from db.merging import full_name_sql
from db.staging import LateRejects
from db.tables import CONTACT_FIELDS

_PLACE = ("street", "city", "country")
# Not the parts of a weak identity, and not the external id, which a row with a weak identity does not have.
_COMPARED = [field for field in CONTACT_FIELDS if field not in {"first_name", "last_name", "email", "external_id"}]
_NAMED = "num_nonnulls({0}.first_name, {0}.last_name) > 0"
_NONE = LateRejects(0, {}, {})


def reject_own_contradictions(
    connection: Connection, table: str, headings: Mapping[str, str], *, ids: bool
) -> LateRejects:
    """Reject rows that contradict another row of the same external id, or of the same e-mail without a name.

    Call it before `find_people`: otherwise a row could join one of several people who are then all rejected.

    Args:
        connection: in the transaction that evaluates.
        table: the import's staging table.
        headings: field -> heading of the workbook, for the reasons and the row that is stored with them.
        ids: whether rows may have an external id.
    """
    connection.execute(
        text("CREATE TEMP TABLE contradictions (position integer, other integer, keys text[]) ON COMMIT DROP")
    )
    if ids:
        _find_contradicting_ids(connection, table)
    only_mail = _has_only_mail(headings)
    if connection.scalar(text(f"SELECT EXISTS (SELECT FROM {table} s WHERE {only_mail})")):
        connection.execute(
            text(f"""
                CREATE TEMP TABLE same_mail ON COMMIT DROP AS
                SELECT s.*, true AS weak
                FROM (SELECT identity_hash FROM {table} s WHERE {only_mail} GROUP BY 1 HAVING count(*) > 1) shared
                JOIN {table} s USING (identity_hash) WHERE problems IS NULL""")
        )
        _find_contradictions(connection, "same_mail")
    return _reject(connection, table, headings)


def reject_contradictions(connection: Connection, table: str, headings: Mapping[str, str]) -> LateRejects:
    """Reject the rows of `repeated` with a weak identity that contradict another row of the same person.

    Args:
        connection: in the transaction that evaluates, after `reject_own_contradictions`. Its temporary table `repeated`
            has all rows of each person who has more than one. The rejected ones are removed from it.
        table: the import's staging table.
        headings: as for `reject_own_contradictions`.
    """
    if not connection.scalar(text("SELECT EXISTS (SELECT FROM repeated WHERE weak)")):
        return _NONE
    _find_contradictions(connection, "repeated")
    rejected = _reject(connection, table, headings)
    if rejected.rows:
        connection.execute(text("DELETE FROM repeated r USING contradictions c WHERE c.position = r.position"))
    return rejected


def contradicting_headings(connection: Connection, table: str) -> list[tuple[str, int, list[str]]]:
    """The headings in extra in which the rejected rows differ: heading, rows, up to 1,000 values; most rows first."""
    found = connection.execute(
        text(f"""
            SELECT heading, count(*), (array_agg(DISTINCT extra ->> heading))[1 : 1000]
            FROM contradictions JOIN {table} USING (position)
            CROSS JOIN LATERAL (
                SELECT substr(key, 7) AS heading FROM unnest(keys) key WHERE key LIKE 'extra.%') differing
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100""")
    )
    return [(heading, rows, values) for heading, rows, values in found]


def _has_only_mail(headings: Mapping[str, str]) -> str:
    """SQL: a row (s) has an e-mail, no id and no name; or one part of a name, if no column has the other part."""
    parts = {"first_name", "last_name"} & headings.keys()
    only_part = len(parts) == 1 and "full_name" not in headings
    unnamed = "true" if only_part else f"NOT ({_NAMED.format('s')})"
    return f"s.email IS NOT NULL AND s.external_id IS NULL AND s.problems IS NULL AND {unnamed}"


def _find_contradicting_ids(connection: Connection, table: str) -> None:
    """Add the rows of an external id of which another row differs in e-mail and name, and the first such other row."""
    found = connection.execute(
        text(f"""
            CREATE TEMP TABLE same_id ON COMMIT DROP AS
            SELECT identity_hash, position, email, whole FROM (
                SELECT s.identity_hash, position, email, whole, count(*) OVER (PARTITION BY identity_hash) AS rows,
                       count(*) OVER (PARTITION BY identity_hash, email) AS of_email,
                       count(*) OVER (PARTITION BY identity_hash, whole) AS of_name,
                       count(*) OVER (PARTITION BY identity_hash, email, whole) AS of_both
                FROM (
                    SELECT identity_hash FROM {table} WHERE external_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1
                ) shared JOIN {table} s USING (identity_hash)
                CROSS JOIN LATERAL (SELECT {full_name_sql("s")} AS whole) named
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
    """Add the weak rows of a temporary table that contradict another row, with that row and the differences."""
    fields = ", ".join(f"({n}, '{field}', {_compared(field)})" for n, field in enumerate(_COMPARED))
    connection.execute(
        text(f"""
            CREATE TEMP TABLE filled ON COMMIT DROP AS
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
                FROM filled GROUP BY 1, 2 HAVING count(DISTINCT value) > 1
            ), differing AS ( -- the first row with another value than the first one
                SELECT f.*, min(s.position) AS next
                FROM first f JOIN filled s USING (identity_hash, key) WHERE s.value <> f.value GROUP BY 1, 2, 3, 4
            ), others AS (
                SELECT s.position, min(CASE WHEN s.value = d.value THEN d.next ELSE d.position END) AS other
                FROM filled s JOIN differing d USING (identity_hash, key) WHERE s.weak GROUP BY 1
            )
            SELECT o.position, o.other, array_agg(mine.key ORDER BY mine.n, mine.key) AS keys
            FROM others o JOIN filled mine ON mine.position = o.position
            JOIN filled theirs ON theirs.position = o.other AND theirs.key = mine.key AND theirs.value <> mine.value
            GROUP BY 1, 2""")
    )
    connection.execute(text("DROP TABLE filled"))


def _compared(field: str) -> str:
    if field == "last_contacted":
        return "r.last_contacted::text"
    if field == "organization":  # without an e-mail it is part of the identity
        return "CASE WHEN r.email IS NOT NULL THEN lower(r.organization) END"
    if field in _PLACE:  # of an organisation without a person it is part of the identity
        return f"CASE WHEN r.email IS NOT NULL OR {_NAMED.format('r')} THEN lower(r.{field}) END"
    return f"lower(r.{field})"


def _reject(connection: Connection, table: str, headings: Mapping[str, str]) -> LateRejects:
    """Reject the rows of the temporary table `contradictions` that are not rejected yet."""
    if not connection.scalar(text("SELECT EXISTS (SELECT FROM contradictions)")):
        return _NONE
    counts = ", ".join(f"count({field})" for field in CONTACT_FIELDS)
    or_an_id = " or an external id" if "external_id" in headings else ""
    rows, extra, *filled = connection.execute(
        text(f"""
            WITH reasons AS (
                SELECT c.position, CASE
                    WHEN mine.external_id IS NOT NULL THEN format(
                        'has the same external id as row %s, but another e-mail and another name: '
                        'correct the id of one of them', theirs.row)
                    WHEN mine.email IS NOT NULL THEN format(
                        'is the same person as row %s by e-mail, but differs in %s: '
                        'map the columns that hold their names, or give each row an e-mail address of its own',
                        theirs.row, in_what)
                    WHEN {_NAMED.format("mine")} THEN format(
                        'is the same person as row %s by organisation and name, but differs in %s: '
                        'give one of them an e-mail address{or_an_id}', theirs.row, in_what)
                    ELSE format(
                        'is the same organisation as row %s by organisation and place, but differs in %s: '
                        'give one of them a street, a city or an e-mail address{or_an_id}', theirs.row, in_what)
                    END AS reason
                FROM contradictions c JOIN {table} mine USING (position) JOIN {table} o ON o.position = c.other
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
                UPDATE {table} s SET identity_hash = NULL, name_hash = NULL, mail_hash = NULL, month_first = NULL,
                    problems = jsonb_build_array(jsonb_build_array(NULL, NULL, reason)),
                    raw = coalesce(raw, {_row(headings)})
                FROM reasons WHERE reasons.position = s.position RETURNING s.*
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
    """SQL for the row that is stored with the reason: headings and the values that were read."""
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
