"""One row of several: what becomes of a stored contact (c) and a staged row (s) that are one person, as SQL.

A blank never erases, and `extra` merges by heading. First and last name stay together: of one person the whole name is
the same, and two parts say more than one. Only who is known by an external id may have another name, which replaces
the old one as a whole.
"""

from db.tables import CONTACT_FIELDS

NAMES = ("first_name", "last_name")
PLAIN_FIELDS = [field for field in CONTACT_FIELDS if field not in NAMES]


def whole_name(row: str) -> str:
    """The name of a row in one text without regard to case; '' without one."""
    return f"lower(concat_ws(' ', {row}.first_name, {row}.last_name))"


_PERSON = "num_nonnulls({0}.first_name, {0}.last_name) > 0"
_PLACE = "num_nonnulls({0}.street, {0}.city, {0}.country) > 0"
_RENAMED = f"(s.external_id IS NOT NULL AND {_PERSON.format('s')} AND {whole_name('s')} <> {whole_name('c')})"

MERGED = {
    **{field: f"coalesce(s.{field}, c.{field})" for field in PLAIN_FIELDS if field != "external_id"},
    **{
        name: "CASE WHEN num_nonnulls(s.first_name, s.last_name) >= num_nonnulls(c.first_name, c.last_name)"
        f" OR {_RENAMED} THEN s.{name} ELSE c.{name} END"
        for name in NAMES
    },
    # A contact keeps its first id; `identities` never lets a row with another one come here.
    "external_id": "coalesce(c.external_id, s.external_id)",
    "source_system": "coalesce(c.source_system, s.source_system)",
    "extra": "c.extra || s.extra",
}
# "Changed" means that merging changes something.
CHANGES = f"({', '.join(MERGED.values())}) IS DISTINCT FROM ({', '.join(f'c.{column}' for column in MERGED)})"

# Hashes cannot be made here, so the merged row takes over the one of the row that says most of what is hashed. Where
# each says a part, the contact is found by what the row says, or not by e-mail at all.
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
