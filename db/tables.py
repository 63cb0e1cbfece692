"""All tables of the project: the one place that says what is stored and what the database itself refuses.

The tables are made by the migrations only; this metadata is what a test compares them with and what the statements of
the other modules are built from. Times are timestamptz.
"""

import datetime as dt
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

# What a person is known by, in the order in which it is hashed, staged and shown.
CONTACT_FIELDS = (
    "organization",
    "first_name",
    "last_name",
    "title",
    "email",
    "phone",
    "street",
    "city",
    "country",
    "tags",
    "notes",
    "external_id",
    "last_contacted",
)

STATUSES = ("processing", "completed", "failed", "cancelled", "missed", "skipped", "held")


def _created_at() -> Column[dt.datetime]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


def _updated_at() -> Column[dt.datetime]:
    return Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now())


def _contact_columns() -> list[Column[Any]]:
    return [
        *[Column(name, Date if name == "last_contacted" else Text) for name in CONTACT_FIELDS],
        Column("source_system", Text),  # the system in which external_id is unique; empty without one
    ]


# One row for each unit of work of any job: the memory behind "once".
task_runs = Table(
    "task_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(128), nullable=False),  # the job
    Column("idempotency_key", String(255), nullable=False),  # the unit of work: done once for each key
    Column("status", String(32), nullable=False, server_default="processing"),
    Column("last_error", Text),  # one plain sentence
    Column("attempts", Integer, nullable=False, server_default="0"),  # the fencing token: who has the last number owns
    Column("token", Uuid, nullable=False, server_default=func.gen_random_uuid()),  # of this row in this database
    Column("subject", Text),  # what the unit is about: a workbook, a source
    Column("fingerprint", Text),  # digest of the input: one key stands for one input
    Column("result", JSONB),
    Column("flow_run_id", Uuid),  # the Prefect run that worked on it last
    _created_at(),
    _updated_at(),
    UniqueConstraint("name", "idempotency_key"),
    Index(None, "name", "subject"),
    CheckConstraint("status IN ({})".format(", ".join(f"'{status}'" for status in STATUSES)), name="status"),
)

contacts = Table(
    "contacts",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # Who this is: external id, else e-mail and name, else organisation and name or place.
    Column("identity_hash", LargeBinary, nullable=False),
    # Organisation and name or, without a person, organisation and place; whatever else identifies it.
    Column("name_hash", LargeBinary, nullable=False),
    Column("mail_hash", LargeBinary),  # e-mail and name, where an external id is the identity
    *_contact_columns(),
    Column("extra", JSONB, nullable=False, server_default=text("'{}'")),  # every other column: heading -> text
    # task_runs.id of the import that wrote it last. Rows there are never removed, and a constraint that is checked for
    # each row was a quarter of the merge.
    Column("import_id", Integer),
    Column("source_sheet", Text),
    Column("source_row", Integer),  # as Excel shows it
    _created_at(),
    _updated_at(),
    UniqueConstraint("identity_hash"),
    # The only ones that are looked for by name; the others are met in one scan where a workbook asks for them.
    Index("contacts_name_hash_idx", "name_hash", postgresql_where=text("email IS NULL AND external_id IS NULL")),
    Index("contacts_mail_hash_idx", "mail_hash", postgresql_where=text("mail_hash IS NOT NULL")),
    Index(
        "contacts_source_system_external_id_key",
        "source_system",
        "external_id",
        unique=True,
        postgresql_where=text("external_id IS NOT NULL"),
    ),
    CheckConstraint("(external_id IS NULL) = (source_system IS NULL)", name="source_system"),
)

# What an import replaced or filled in stored contacts, and what of repeated rows it left out: nothing is lost. No
# foreign keys, as in contacts; db/forget.py removes the rows of a person.
contact_changes = Table(
    "contact_changes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("contact_id", BigInteger, nullable=False),
    Column("import_id", Integer, nullable=False),  # task_runs.id
    Column("field", Text, nullable=False),  # a column of contacts
    Column("heading", Text),  # the key in extra, where field is extra
    Column("old", Text),  # the value that was replaced; of a repeated row the value that was left out
    Column("new", Text),  # the value that is stored
    Column("basis", Text, nullable=False),  # by which the row is the person
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint(
        "basis IN ('external id', 'e-mail and name', 'e-mail', 'organisation and name', 'organisation and place',"
        " 'repeated row')",
        name="basis",
    ),
    Index(None, "contact_id"),
)

# One row for each faulty cell; a row of the workbook with two of them stands here twice.
import_rejects = Table(
    "import_rejects",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("import_id", Integer, ForeignKey("task_runs.id", ondelete="CASCADE"), nullable=False),
    Column("sheet", Text, nullable=False),
    Column("row_number", Integer, nullable=False),  # as Excel shows it
    Column("column_name", Text),  # the heading; empty when the row as a whole is at fault
    Column("value", Text),
    Column("reason", Text, nullable=False),
    Column("row", JSONB, nullable=False),  # the whole row: [[heading, text], …] in the order of the workbook
    Index(None, "import_id"),
)

# Rows that were read and judged one by one, waiting to be judged together. Each import has an unlogged partition of its
# own, made when it starts and dropped when it is done, so that imports never meet here and nothing is left to vacuum.
import_staging = Table(
    "import_staging",
    metadata,
    Column("import_id", Integer, nullable=False),
    Column("position", Integer, nullable=False),  # the row's number, counted on over several sheets
    Column("sheet", Text, nullable=False),
    Column("row_number", Integer, nullable=False),
    Column("identity_hash", LargeBinary),
    Column("name_hash", LargeBinary),
    Column("mail_hash", LargeBinary),  # e-mail and name, of a row with an external id
    *_contact_columns(),
    Column("month_first", Date),  # the other reading of an ambiguous date in last_contacted
    Column("extra", JSONB),
    Column("problems", JSONB),  # why the row is rejected: [[column, value, reason], …]
    Column("raw", JSONB),  # the whole row, where it is or may yet be rejected
    postgresql_partition_by="LIST (import_id)",
)

# A page of a ministry as it was, and what was read from it: evidence, and the memory behind conditional requests.
page_snapshots = Table(
    "page_snapshots",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("source", Text, nullable=False),
    Column("url", Text, nullable=False),  # the ministry's own, whatever mirror it was fetched from
    Column("sha256", Text, nullable=False),  # of the bytes as they came
    Column("etag", Text),
    Column("last_modified", Text),
    Column("content_type", Text, nullable=False),
    Column("body", Text, nullable=False),  # decoded
    Column("version", Text, nullable=False),  # of the parser that made links and records
    Column("links", JSONB, nullable=False),  # addresses that the page leads to
    Column("records", JSONB, nullable=False),  # missions on the page
    Column("fetched_at", DateTime(timezone=True), nullable=False),
    Column("verified_at", DateTime(timezone=True), nullable=False),  # when the server last said that it is unchanged
    Index(None, "source", "url", "id"),
)

MISSION_FIELDS = (
    "kind",
    "name",
    "country",
    "city",
    "address",
    "phone",
    "fax",
    "email",
    "website",
    "head_of_mission",
    "opening_hours",
)

embassies = Table(
    "embassies",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("source", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    *[Column(name, Text) for name in MISSION_FIELDS[2:]],
    Column("extra", JSONB, nullable=False, server_default=text("'{}'")),
    Column("status", Text, nullable=False, server_default="open"),
    Column("missing_since", DateTime(timezone=True)),
    Column("snapshot_id", BigInteger, ForeignKey("page_snapshots.id")),  # the page on which it stood last
    Column("first_seen", DateTime(timezone=True), nullable=False),
    Column("last_verified", DateTime(timezone=True), nullable=False),
    Column("last_changed", DateTime(timezone=True), nullable=False),
    UniqueConstraint("source", "key"),
    CheckConstraint("status IN ('open', 'missing', 'closed')", name="status"),
)

embassy_changes = Table(
    "embassy_changes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("embassy_id", BigInteger, ForeignKey("embassies.id"), nullable=False),
    Column("task_run_id", Integer, ForeignKey("task_runs.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("field", Text),
    Column("old", Text),
    Column("new", Text),
    Column("snapshot_id", BigInteger, ForeignKey("page_snapshots.id")),  # the page that proves it
    Column("detected_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("kind IN ('added', 'changed', 'missing', 'closed', 'reopened', 'renamed', 'moved')", name="kind"),
    Index(None, "embassy_id"),
    Index(None, "snapshot_id"),
)

# Sets that were not believed, whole, until a person accepts one.
embassy_candidates = Table(
    "embassy_candidates",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("source", Text, nullable=False),
    Column("task_run_id", Integer, ForeignKey("task_runs.id"), nullable=False),  # the run that found it
    Column("compared_with", Integer, ForeignKey("task_runs.id")),  # the run last applied then; another now: stale
    Column("why", JSONB, nullable=False),  # sentences
    Column("version", Text, nullable=False),
    Column("records", JSONB, nullable=False),  # [[record, snapshot_id], …]
    _created_at(),
    Column("applied_at", DateTime(timezone=True)),
)

# The outbox: what is to be told commits with what happened, and is delivered afterwards.
notifications = Table(
    "notifications",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("dedup_key", Text, nullable=False),  # what is told; once for each channel
    Column("channel", Text, nullable=False),  # a digest of its URL, never the URL
    Column("title", Text, nullable=False),
    Column("body", JSONB, nullable=False),  # {plain, markdown}
    Column("status", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_error", Text),
    Column("leased_until", DateTime(timezone=True)),  # somebody is sending it
    _created_at(),
    Column("sent_at", DateTime(timezone=True)),
    UniqueConstraint("dedup_key", "channel"),
    CheckConstraint("status IN ('pending', 'sent', 'failed')", name="status"),
)

# Since when a job has not been working for a subject; open until it works again. Told at both ends.
episodes = Table(
    "episodes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False),  # the job
    Column("subject", Text, nullable=False),  # a workbook, a source
    Column("failures", Integer, nullable=False, server_default="1"),
    Column("last_run", Uuid),  # the Prefect run that was counted last
    Column("began_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("ended_at", DateTime(timezone=True)),
    Index("episodes_open_key", "name", "subject", unique=True, postgresql_where=text("ended_at IS NULL")),
)
