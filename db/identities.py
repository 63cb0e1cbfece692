"""Entity resolution: finds which person each staged row describes, in the file and among the stored contacts.

A row comes with an identity of its own, which the reading process computed. This module replaces it where rows of the
same person fill different fields, and lists the stored contacts that get the identity of a row ("links"). It writes
only to staging: `contacts.merge` changes the stored contacts.

Rules, version 2. The identity of a row is the first of these that it has:

1. its external id within its source system,
2. its e-mail and name or, without a name, its e-mail,
3. its organisation and name or, of an organisation without a person, its organisation and place (street, city,
   country).

Those of 3, and an e-mail without a name, are weak: two people may share them. Rows that share a weak identity and
contradict each other are rejected, and so are rows of one external id whose e-mail and name both differ
(contradictions.py).

Rows with different identities are the same person in these cases:

- A new external id is linked to the stored contact without an external id that has the row's next identity: e-mail
  and name or, for a row without an e-mail, the weak one. Of several new ids the first in order is linked, unless
  the file also has rows without an id for it.
- A new external id joins the contact with an id of another system that has its e-mail and name, if there is only one
  on both sides. That contact keeps its id; the new one is kept in `extra`.
- A row without an external id joins the only person with one who has its e-mail and name, unless a stored contact
  without an id has them too.
- A row or a stored contact that has neither id nor e-mail joins the only person who has its weak identity and an id or
  an e-mail. Two stored contacts are never merged.

If several candidates are left, none is chosen, except by the first rule.
"""

from sqlalchemy import Connection, text

from db.merging import full_name_sql

WEAK_STAGED = "s.email IS NULL AND s.external_id IS NULL"
WEAK_STORED = "c.email IS NULL AND c.external_id IS NULL"  # the condition of the index contacts_name_hash_idx
WEAK_BASIS = """CASE WHEN num_nonnulls({0}.first_name, {0}.last_name) = 0
    THEN 'organisation and place' ELSE 'organisation and name' END"""
BASIS = f"""CASE WHEN {{0}}.email IS NULL THEN {WEAK_BASIS}
    WHEN num_nonnulls({{0}}.first_name, {{0}}.last_name) = 0 THEN 'e-mail' ELSE 'e-mail and name' END"""


def find_people(connection: Connection, table: str, *, ids: bool) -> int:
    """Give each staged row the identity of its person; returns how many stored contacts are linked.

    Makes the temporary table `links` (contact_id, identity_hash, basis).

    Args:
        connection: in the transaction that evaluates; the staging table was analysed.
        table: the import's staging table.
        ids: whether rows may have an external id.
    """
    connection.execute(
        text("""
            CREATE TEMP TABLE links (contact_id bigint, identity_hash bytea, basis text) ON COMMIT DROP""")
    )
    # ORDER BY makes the planner use the index. EXISTS ignores it, and scans all contacts if none has such a hash.
    first = text("SELECT mail_hash FROM contacts WHERE mail_hash IS NOT NULL ORDER BY mail_hash LIMIT 1")
    stored_ids = connection.scalar(first) is not None
    linked = 0
    if ids:
        linked += _link_by_id(connection, table)
        if stored_ids:
            _join_other_system(connection, table)
    if ids or stored_ids:
        _join_by_mail(connection, table)
    return linked + _match_by_name(connection, table)


# ---------------------------------------------------------------------- external ids


def _link_by_id(connection: Connection, table: str) -> int:
    """Link new external ids to stored contacts without one; returns how many."""
    connection.execute(
        text(f"""
            CREATE TEMP TABLE new_ids ON COMMIT DROP AS
            SELECT identity_hash, min(external_id) AS external_id, min(source_system) AS source_system,
                   (array_agg(mail_hash ORDER BY email, {full_name_sql("s")}))[1] AS mail_hash,
                   (array_agg(name_hash ORDER BY {full_name_sql("s")}, lower(concat_ws(
                       ' ', organization, street, city, country))))[1] AS name_hash
            FROM {table} s WHERE external_id IS NOT NULL AND problems IS NULL
            AND NOT EXISTS (SELECT FROM contacts c WHERE c.identity_hash = s.identity_hash) GROUP BY 1""")
    )
    connection.execute(text("ANALYZE new_ids"))
    found = connection.execute(
        text(f"""
            INSERT INTO links
            SELECT DISTINCT ON (id) id, identity_hash, basis
            FROM (
                SELECT c.id, n.*, c.identity_hash AS stored_hash, {BASIS.format("c")} AS basis,
                       count(*) OVER (PARTITION BY c.id) AS candidates
                FROM new_ids n JOIN contacts c ON c.identity_hash = coalesce(n.mail_hash, n.name_hash)
                WHERE c.external_id IS NULL
            ) found
            WHERE (mail_hash IS NOT NULL AND candidates = 1) OR NOT EXISTS (
                SELECT FROM {table} s WHERE s.identity_hash = stored_hash AND problems IS NULL)
            ORDER BY id, external_id""")
    )
    return found.rowcount


def _join_other_system(connection: Connection, table: str) -> None:
    """Let new external ids join the contact that has an id of another system."""
    connection.execute(
        text(f"""
            UPDATE {table} s SET identity_hash = known.identity_hash, external_id = NULL, source_system = NULL,
                mail_hash = NULL,
                extra = extra || jsonb_build_object(format('External id (%s)', s.source_system), s.external_id)
            FROM (
                SELECT n.identity_hash AS own, c.identity_hash, count(*) OVER (PARTITION BY c.id) AS ids,
                       count(*) OVER (PARTITION BY n.identity_hash) AS contacts
                FROM new_ids n JOIN contacts c ON c.mail_hash = n.mail_hash AND c.source_system <> n.source_system
                WHERE NOT EXISTS (SELECT FROM links a WHERE a.identity_hash = n.identity_hash)
            ) known
            WHERE known.contacts = 1 AND known.ids = 1 AND s.identity_hash = known.own AND s.problems IS NULL""")
    )


def _join_by_mail(connection: Connection, table: str) -> None:
    """Let rows without an external id join the only person with one who has their e-mail and name."""
    connection.execute(
        text(f"""
            WITH owners AS (
                SELECT mail_hash, identity_hash FROM {table}
                WHERE external_id IS NOT NULL AND mail_hash IS NOT NULL AND problems IS NULL
                UNION
                SELECT c.mail_hash, c.identity_hash FROM contacts c JOIN {table} s ON s.identity_hash = c.mail_hash
                WHERE c.mail_hash IS NOT NULL AND s.problems IS NULL
            ), only_one AS (
                SELECT mail_hash, (array_agg(identity_hash))[1] AS identity_hash
                FROM owners GROUP BY 1 HAVING count(*) = 1
            )
            UPDATE {table} s SET identity_hash = o.identity_hash
            FROM only_one o WHERE s.identity_hash = o.mail_hash AND s.external_id IS NULL AND s.problems IS NULL
            AND NOT EXISTS (SELECT FROM contacts c WHERE c.identity_hash = o.mail_hash
                            AND c.id NOT IN (SELECT contact_id FROM links))""")
    )


# ---------------------------------------------------------------------- organisation and name, or place


def _match_by_name(connection: Connection, table: str) -> int:
    """Let rows and stored contacts with neither id nor e-mail join the only person with their name.

    Returns how many stored contacts are linked.
    """
    if not _find_weak_names(connection, table):
        return 0
    _find_claimants(connection, table)
    connection.execute(
        text(f"""
            CREATE TEMP TABLE name_matches ON COMMIT DROP AS
            WITH only_one AS (
                SELECT name_hash, (array_agg(identity_hash))[1] AS identity_hash
                FROM claimants GROUP BY name_hash HAVING count(DISTINCT identity_hash) = 1
            ), known AS (
                SELECT only_one.*, weak.id AS linked_id, weak.basis, owner.id AS owner_id,
                       count(weak.id) OVER (PARTITION BY only_one.identity_hash) AS links
                FROM only_one
                LEFT JOIN (
                    SELECT c.id, c.name_hash, {WEAK_BASIS.format("c")} AS basis FROM contacts c
                    WHERE {WEAK_STORED} AND NOT EXISTS (SELECT FROM links a WHERE a.contact_id = c.id)
                ) weak USING (name_hash)
                LEFT JOIN LATERAL (
                    SELECT c.id FROM contacts c WHERE c.identity_hash = only_one.identity_hash
                    UNION ALL SELECT a.contact_id FROM links a WHERE a.identity_hash = only_one.identity_hash
                    LIMIT 1
                ) owner ON true
            )
            -- Two stored contacts are never merged; of two that one person could be linked to, none is chosen.
            SELECT name_hash, identity_hash, linked_id, basis FROM known
            WHERE linked_id IS NULL OR (owner_id IS NULL AND links = 1)""")
    )
    connection.execute(
        text(f"""
            UPDATE {table} s SET identity_hash = m.identity_hash
            FROM name_matches m WHERE s.name_hash = m.name_hash AND {WEAK_STAGED} AND s.problems IS NULL""")
    )
    found = connection.execute(
        text("""
            INSERT INTO links
            SELECT linked_id, identity_hash, basis FROM name_matches WHERE linked_id IS NOT NULL""")
    )
    return found.rowcount


def _find_weak_names(connection: Connection, table: str) -> int:
    """Make the temporary table `weak_names`; returns how many rows it has.

    It has the names of staged rows with a weak identity, and of stored contacts with one whose name is in the file.
    """
    found = connection.execute(
        text(f"""
            CREATE TEMP TABLE weak_names ON COMMIT DROP AS
            SELECT name_hash, bool_or(c.name_hash IS NOT NULL) AS stored
            FROM {table} s LEFT JOIN (SELECT name_hash FROM contacts c WHERE {WEAK_STORED}) c USING (name_hash)
            WHERE s.problems IS NULL AND (({WEAK_STAGED}) OR c.name_hash IS NOT NULL) GROUP BY 1""")
    )
    connection.execute(text("ANALYZE weak_names"))
    return found.rowcount


def _find_claimants(connection: Connection, table: str) -> None:
    """Make the temporary table `claimants`: the people with one of these names and an id or an e-mail.

    To find them among the stored contacts needs a scan of all. It is left out for a name that is stored with a weak
    identity and that no such row of the file has, because two stored contacts are never merged. So importing the same
    workbook again needs no scan.
    """
    connection.execute(
        text(f"""
            CREATE TEMP TABLE claimants ON COMMIT DROP AS
            SELECT name_hash, identity_hash FROM {table} s JOIN weak_names USING (name_hash)
            WHERE problems IS NULL AND NOT ({WEAK_STAGED})""")
    )
    open_names = connection.execute(
        text("""
            CREATE TEMP TABLE open_names ON COMMIT DROP AS
            SELECT name_hash FROM weak_names WHERE NOT stored OR name_hash IN (SELECT name_hash FROM claimants)""")
    )
    if not open_names.rowcount:
        return
    connection.execute(text("ANALYZE open_names"))  # otherwise the planner hashes all contacts
    connection.execute(
        text(f"""
            INSERT INTO claimants
            SELECT name_hash, coalesce(a.identity_hash, c.identity_hash)
            FROM contacts c JOIN open_names USING (name_hash) LEFT JOIN links a ON a.contact_id = c.id
            WHERE NOT ({WEAK_STORED}) OR a.contact_id IS NOT NULL""")
    )
