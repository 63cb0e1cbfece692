"""Who is who: which person each staged row describes, in the file and among the stored contacts.

A row comes with its own identity (made where it is read). This module replaces it by another one where rows of one
person say more or less of them, and lists the stored contacts that take over the identity of a row. Only staging is
written: a stored contact changes in `contacts.merge`.

Rules, version 2. The identity of a row is the strongest of

1. its external id within its source system,
2. its e-mail and name or, without a name, its e-mail,
3. its organisation and name or, of an organisation without a person, its organisation and place (street, city,
   country).

Those of 3, and an e-mail without a name, are weak: two people may share them. Rows that share one and contradict each
other are rejected, and so are rows of one id whose e-mail and name both differ (contradictions.py).

Rows that say more and rows that say less meet:

- A new id takes over the stored contact without an id that has the row's next identity: e-mail and name or, for a row
  without an e-mail, the weak one. Of several new ids the first in order takes it, unless the file also has rows without
  an id for it.
- A new id joins the contact with an id of another system that has its e-mail and name, if it is the only one on both
  sides. That contact keeps its id; the new one is kept in `extra`.
- A row without an id joins the one person with an id who has its e-mail and name, unless a stored contact without an id
  has it too.
- A row or a stored contact that has neither id nor e-mail joins the one person who shares its weak identity and has one
  of them. Two stored contacts stay two.

Of several candidates none is chosen, but for the first rule.
"""

from sqlalchemy import Connection, text

from db.merging import whole_name

WEAK_STAGED = "s.email IS NULL AND s.external_id IS NULL"
WEAK_STORED = "c.email IS NULL AND c.external_id IS NULL"  # the condition of the index contacts_name_hash_idx
WEAK_BASIS = """CASE WHEN num_nonnulls({0}.first_name, {0}.last_name) = 0
    THEN 'organisation and place' ELSE 'organisation and name' END"""
BASIS = f"""CASE WHEN {{0}}.email IS NULL THEN {WEAK_BASIS}
    WHEN num_nonnulls({{0}}.first_name, {{0}}.last_name) = 0 THEN 'e-mail' ELSE 'e-mail and name' END"""


def find_people(connection: Connection, p: str, *, ids: bool) -> int:
    """Give each staged row the identity of its person; returns how many stored contacts are taken over.

    Leaves the temporary table `adoptions` (contact_id, identity_hash, basis).

    Args:
        connection: in the transaction that judges; statistics of the staging table are fresh.
        p: the import's staging table.
        ids: whether rows may have an external id.
    """
    connection.execute(
        text("""
            CREATE TEMP TABLE adoptions (contact_id bigint, identity_hash bytea, basis text) ON COMMIT DROP""")
    )
    stored_ids = connection.scalar(text("SELECT EXISTS (SELECT FROM contacts WHERE mail_hash IS NOT NULL)"))
    taken = 0
    if ids:
        taken += _adopt_by_id(connection, p)
        if stored_ids:
            _join_other_system(connection, p)
    if ids or stored_ids:
        _join_by_mail(connection, p)
    return taken + _adopt_by_name(connection, p)


# ---------------------------------------------------------------------- external ids


def _adopt_by_id(connection: Connection, p: str) -> int:
    """Let new ids take over stored contacts without an id; returns how many."""
    connection.execute(
        text(f"""
            CREATE TEMP TABLE new_ids ON COMMIT DROP AS
            SELECT identity_hash, min(external_id) AS external_id, min(source_system) AS source_system,
                   (array_agg(mail_hash ORDER BY email, {whole_name("s")}))[1] AS mail_hash,
                   (array_agg(name_hash ORDER BY {whole_name("s")}, lower(concat_ws(
                       ' ', organization, street, city, country))))[1] AS name_hash
            FROM {p} s WHERE external_id IS NOT NULL AND problems IS NULL
            AND NOT EXISTS (SELECT FROM contacts c WHERE c.identity_hash = s.identity_hash) GROUP BY 1""")
    )
    connection.execute(text("ANALYZE new_ids"))
    found = connection.execute(
        text(f"""
            INSERT INTO adoptions
            SELECT DISTINCT ON (id) id, identity_hash, basis
            FROM (
                SELECT c.id, n.*, c.identity_hash AS stored_hash, {BASIS.format("c")} AS basis,
                       count(*) OVER (PARTITION BY c.id) AS candidates
                FROM new_ids n JOIN contacts c ON c.identity_hash = coalesce(n.mail_hash, n.name_hash)
                WHERE c.external_id IS NULL
            ) found
            WHERE (mail_hash IS NOT NULL AND candidates = 1) OR NOT EXISTS (
                SELECT FROM {p} s WHERE s.identity_hash = stored_hash AND problems IS NULL)
            ORDER BY id, external_id""")
    )
    return found.rowcount


def _join_other_system(connection: Connection, p: str) -> None:
    """Let new ids join the contact that another system knows by an id of its own."""
    connection.execute(
        text(f"""
            UPDATE {p} s SET identity_hash = known.identity_hash, external_id = NULL, source_system = NULL,
                mail_hash = NULL,
                extra = extra || jsonb_build_object(format('External id (%s)', s.source_system), s.external_id)
            FROM (
                SELECT n.identity_hash AS own, c.identity_hash, count(*) OVER (PARTITION BY c.id) AS ids,
                       count(*) OVER (PARTITION BY n.identity_hash) AS contacts
                FROM new_ids n JOIN contacts c ON c.mail_hash = n.mail_hash AND c.source_system <> n.source_system
                WHERE NOT EXISTS (SELECT FROM adoptions a WHERE a.identity_hash = n.identity_hash)
            ) known
            WHERE known.contacts = 1 AND known.ids = 1 AND s.identity_hash = known.own AND s.problems IS NULL""")
    )


def _join_by_mail(connection: Connection, p: str) -> None:
    """Let rows without an id join the one person with an id who has their e-mail and name."""
    connection.execute(
        text(f"""
            WITH owners AS (
                SELECT mail_hash, identity_hash FROM {p}
                WHERE external_id IS NOT NULL AND mail_hash IS NOT NULL AND problems IS NULL
                UNION
                SELECT c.mail_hash, c.identity_hash FROM contacts c JOIN {p} s ON s.identity_hash = c.mail_hash
                WHERE c.mail_hash IS NOT NULL AND s.problems IS NULL
            ), only_one AS (
                SELECT mail_hash, (array_agg(identity_hash))[1] AS identity_hash
                FROM owners GROUP BY 1 HAVING count(*) = 1
            )
            UPDATE {p} s SET identity_hash = o.identity_hash
            FROM only_one o WHERE s.identity_hash = o.mail_hash AND s.external_id IS NULL AND s.problems IS NULL
            AND NOT EXISTS (SELECT FROM contacts c WHERE c.identity_hash = o.mail_hash
                            AND c.id NOT IN (SELECT contact_id FROM adoptions))""")
    )


# ---------------------------------------------------------------------- organisation and name, or place


def _adopt_by_name(connection: Connection, p: str) -> int:
    """Let who has neither id nor e-mail join the one person with the same name; returns how many are stored ones."""
    if not _find_weak_names(connection, p):
        return 0
    _find_claimants(connection, p)
    connection.execute(
        text(f"""
            CREATE TEMP TABLE claims ON COMMIT DROP AS
            WITH only_one AS (
                SELECT name_hash, (array_agg(identity_hash))[1] AS identity_hash
                FROM claimants GROUP BY name_hash HAVING count(DISTINCT identity_hash) = 1
            ), known AS (
                SELECT only_one.*, weak.id AS adopted_id, weak.basis, owner.id AS owner_id,
                       count(weak.id) OVER (PARTITION BY only_one.identity_hash) AS adoptions
                FROM only_one
                LEFT JOIN (
                    SELECT c.id, c.name_hash, {WEAK_BASIS.format("c")} AS basis FROM contacts c
                    WHERE {WEAK_STORED} AND NOT EXISTS (SELECT FROM adoptions a WHERE a.contact_id = c.id)
                ) weak USING (name_hash)
                LEFT JOIN LATERAL (
                    SELECT c.id FROM contacts c WHERE c.identity_hash = only_one.identity_hash
                    UNION ALL SELECT a.contact_id FROM adoptions a WHERE a.identity_hash = only_one.identity_hash
                    LIMIT 1
                ) owner ON true
            )
            -- Two stored contacts stay two, and of two that one person claims neither is chosen.
            SELECT name_hash, identity_hash, adopted_id, basis FROM known
            WHERE adopted_id IS NULL OR (owner_id IS NULL AND adoptions = 1)""")
    )
    connection.execute(
        text(f"""
            UPDATE {p} s SET identity_hash = claims.identity_hash
            FROM claims WHERE s.name_hash = claims.name_hash AND {WEAK_STAGED} AND s.problems IS NULL""")
    )
    found = connection.execute(
        text("""
            INSERT INTO adoptions
            SELECT adopted_id, identity_hash, basis FROM claims WHERE adopted_id IS NOT NULL""")
    )
    return found.rowcount


def _find_weak_names(connection: Connection, p: str) -> int:
    """Keep the names of staged rows with a weak identity, and of such stored contacts that the file names.

    Returns how many.
    """
    found = connection.execute(
        text(f"""
            CREATE TEMP TABLE weak_names ON COMMIT DROP AS
            SELECT name_hash, bool_or(c.name_hash IS NOT NULL) AS stored
            FROM {p} s LEFT JOIN (SELECT name_hash FROM contacts c WHERE {WEAK_STORED}) c USING (name_hash)
            WHERE s.problems IS NULL AND (({WEAK_STAGED}) OR c.name_hash IS NOT NULL) GROUP BY 1""")
    )
    connection.execute(text("ANALYZE weak_names"))
    return found.rowcount


def _find_claimants(connection: Connection, p: str) -> None:
    """Keep who has one of these names and an id or an e-mail.

    A name that is stored with a weak identity and that no such row claims needs no look at the other contacts, which is
    a scan of all: two stored contacts stay two. So importing the same workbook again needs none.
    """
    connection.execute(
        text(f"""
            CREATE TEMP TABLE claimants ON COMMIT DROP AS
            SELECT name_hash, identity_hash FROM {p} s JOIN weak_names USING (name_hash)
            WHERE problems IS NULL AND NOT ({WEAK_STAGED})""")
    )
    asked = connection.execute(
        text("""
            CREATE TEMP TABLE asked ON COMMIT DROP AS
            SELECT name_hash FROM weak_names WHERE NOT stored OR name_hash IN (SELECT name_hash FROM claimants)""")
    )
    if not asked.rowcount:
        return
    connection.execute(text("ANALYZE asked"))  # else the planner hashes all contacts instead of these few
    connection.execute(
        text(f"""
            INSERT INTO claimants
            SELECT name_hash, coalesce(a.identity_hash, c.identity_hash)
            FROM contacts c JOIN asked USING (name_hash) LEFT JOIN adoptions a ON a.contact_id = c.id
            WHERE NOT ({WEAK_STORED}) OR a.contact_id IS NOT NULL""")
    )
