"""The model of a contact: the list of its fields, and the rule of each.

A rule takes the text of a cell and returns its value, normalised (Unicode NFC, blanks, case where it does not matter).
It raises ValueError with the reason for the rejection if the text is not such a value; it never guesses. `columns.py`
applies the rules to whole columns.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainValidator

from tasks.crm.rules.dates import Day, parse_date
from tasks.crm.rules.email_address import clean_email
from tasks.crm.rules.external_ids import clean_external_id
from tasks.crm.rules.phone_number import clean_phone
from tasks.crm.rules.texts import clean_line, clean_name, clean_note

RULES_VERSION = 2  # of the identity; see identity.py

Line = Annotated[str | None, PlainValidator(clean_line)]
Name = Annotated[str | None, PlainValidator(clean_name)]
Email = Annotated[str | None, PlainValidator(clean_email)]
Phone = Annotated[str | None, PlainValidator(clean_phone)]
Note = Annotated[str | None, PlainValidator(clean_note)]
ExternalId = Annotated[str | None, PlainValidator(clean_external_id)]
Date = Annotated[Day | None, PlainValidator(parse_date)]


class Contact(BaseModel):
    """A person or an organisation. The one list of the fields, in the order of the table's columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    organization: Name = None
    first_name: Name = None
    last_name: Name = None
    title: Line = None  # how the person is addressed, or the post held
    email: Email = None
    phone: Phone = None
    street: Name = None
    city: Name = None
    country: Name = None
    tags: Line = None
    notes: Note = None
    external_id: ExternalId = None  # within the system that the file comes from
    last_contacted: Date = None
