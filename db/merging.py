"""How a stored contact (c) and a staged row (s) of the same person are merged, as SQL expressions.

A blank cell never erases a value, and `extra` is merged by heading. First and last name are replaced together or not
at all: of the same person the full name is the same, and two parts are better than one. Only a person who is identified
by an external id can have another name; it replaces both parts of the old one.
"""

from db.tables import CONTACT_FIELDS

NAMES = ("first_name", "last_name")
PLAIN_FIELDS = [field for field in CONTACT_FIELDS if field not in NAMES]


def full_name_sql(row: str) -> str:
    """SQL for the full name of a row in lower case; '' without a name."""
    return f"lower(concat_ws(' ', {row}.first_name, {row}.last_name))"


_PERSON = "num_nonnulls({0}.first_name, {0}.last_name) > 0"
_PLACE = "num_nonnulls({0}.street, {0}.city, {0}.country) > 0"
_RENAMED = f"(s.external_id IS NOT NULL AND {_PERSON.format('s')} AND {full_name_sql('s')} <> {full_name_sql('c')})"

MERGED = {
    **{field: f"coalesce(s.{field}, c.{field})" for field in PLAIN_FIELDS if field != "external_id"},
    **{
        name: "CASE WHEN num_nonnulls(s.first_name, s.last_name) >= num_nonnulls(c.first_name, c.last_name)"
        f" OR {_RENAMED} THEN s.{name} ELSE c.{name} END"
        for name in NAMES
    },
    # A contact keeps its first id: identities.py matches it with no row that has another one.
    "external_id": "coalesce(c.external_id, s.external_id)",
    "source_system": "coalesce(c.source_system, s.source_system)",
    "extra": "c.extra || s.extra",
}
# Whether merging changes anything.
CHANGES = f"({', '.join(MERGED.values())}) IS DISTINCT FROM ({', '.join(f'c.{column}' for column in MERGED)})"

# The database cannot compute the hashes. The merged contact takes the hash of the contact or the row that fills more of
# the hashed fields. If each fills only some of them, it takes the name hash of the row, and no mail hash.
MERGED_HASHES = {
    "identity_hash": "s.identity_hash",
    "name_hash": f"""CASE
        WHEN {_PERSON.format("c")} AND NOT {_PERSON.format("s")} THEN c.name_hash
        WHEN s.organization IS NULL AND c.organization IS NOT NULL AND NOT {_RENAMED} THEN c.name_hash
        WHEN NOT {_PERSON.format("s")} AND NOT {_PLACE.format("s")} AND {_PLACE.format("c")} THEN c.name_hash
        ELSE s.name_hash END""",
    "mail_hash": f"""CASE
        WHEN s.external_id IS NULL THEN c.mail_hash
        WHEN s.email IS NULL THEN CASE WHEN NOT {_RENAMED} THEN c.mail_hash END
        WHEN {_PERSON.format("s")} OR NOT {_PERSON.format("c")} THEN s.mail_hash END""",
}
