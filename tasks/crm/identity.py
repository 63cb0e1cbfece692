"""Computes the hashes by which the database finds the same person again, for whole columns.

Version 2 of the rule (RULES_VERSION in contact.py): the identity is the external id within its system, else e-mail and
full name, else organisation and full name or, without a name, organisation and place. Case matters only in ids, and a
whole name is the same as its two parts. Another version needs a migration that hashes the stored contacts again.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tasks.crm.columns import folded
from tasks.crm.contact import RULES_VERSION

_SEPARATOR = "\x1f"


class Identities(NamedTuple):
    """The hashes of each row: SHA-256 as PostgreSQL writes bytea, a backslash, x and 64 hexadecimal digits."""

    identity: pa.StringArray  # external id, else e-mail and full name, else `name`
    name: pa.StringArray  # organisation and full name; without a name organisation, street, city and country
    mail: pa.StringArray  # e-mail and full name of a row with an external id; else null


def identities(fields: Mapping[str, pa.StringArray], system: str | None = None) -> Identities:
    """The hashes of rows with these fields. `system` is the system of their external ids."""
    full_name = pc.utf8_trim(_joined(folded(fields["first_name"]), folded(fields["last_name"]), separator=" "), " ")
    organization = folded(fields["organization"])
    nameless = pc.equal(full_name, "")
    named = _joined("name", organization, full_name)
    if pc.any(nameless).as_py():
        place = _joined("place", organization, *[folded(fields[name]) for name in ("street", "city", "country")])
        named = pc.if_else(nameless, place, named)
    name = _hashed(named)
    email = fields["email"]
    with_email = pc.is_valid(email)
    identity, mail = name, None
    if pc.any(with_email).as_py():
        mail = pc.if_else(with_email, _hashed(_joined("mail", email.fill_null(""), full_name)), None)
        identity = pc.coalesce(mail, name)
    external_id = fields["external_id"]
    with_id = pc.is_valid(external_id)
    nothing = pa.nulls(len(external_id), pa.string())
    if not pc.any(with_id).as_py():
        return Identities(identity, name, nothing)
    if system is None:
        raise ValueError("external ids without the system that they come from")
    identity = pc.if_else(with_id, _hashed(_joined("id", system, external_id.fill_null(""))), identity)
    return Identities(identity, name, nothing if mail is None else pc.if_else(with_id, mail, None))


def _joined(*parts: str | pa.StringArray, separator: str = _SEPARATOR) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, separator)


def _hashed(parts: pa.StringArray) -> pa.StringArray:
    version = f"{RULES_VERSION}{_SEPARATOR}"
    inputs = pc.binary_join_element_wise(version, parts, "").cast(pa.binary()).to_pylist()
    return pc.binary_join_element_wise("\\x", pa.array([sha256(each).hexdigest() for each in inputs]), "")
