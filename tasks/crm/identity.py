"""Who a row is: the hashes by which the database finds the same person again, as expressions over columns.

Version 1 of the rule (RULES_VERSION in contact.py): the identity is e-mail and full name or, without an e-mail,
organisation and full name. Case does not matter, and a whole name is the same as its two parts. Raising the version
needs a migration that hashes the stored contacts again.
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
    """SHA-256 of each row, as PostgreSQL writes bytea: a backslash, x and 64 hexadecimal digits."""

    identity: pa.StringArray  # e-mail and full name, else organisation and full name
    name: pa.StringArray  # organisation and full name


def identities(fields: Mapping[str, pa.StringArray]) -> Identities:
    """The hashes of the rows whose fields these are."""
    full_name = pc.utf8_trim(_joined(folded(fields["first_name"]), folded(fields["last_name"]), separator=" "), " ")
    name = _hashed(_joined("name", folded(fields["organization"]), full_name))
    email = fields["email"]
    with_email = pc.is_valid(email)
    if not pc.any(with_email).as_py():
        return Identities(name, name)
    mail = _hashed(_joined("mail", email.fill_null(""), full_name))
    return Identities(pc.if_else(with_email, mail, name), name)


def _joined(*parts: str | pa.StringArray, separator: str = _SEPARATOR) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, separator)


def _hashed(parts: pa.StringArray) -> pa.StringArray:
    version = f"{RULES_VERSION}{_SEPARATOR}"
    inputs = pc.binary_join_element_wise(version, parts, "").cast(pa.binary()).to_pylist()
    return pc.binary_join_element_wise("\\x", pa.array([sha256(each).hexdigest() for each in inputs]), "")
