"""All tables of the project, with the constraints that the database checks itself.

Only the migrations create the tables. A test compares them with this metadata, and the statements of the other modules
are built from it. Times are timestamptz.
"""

import datetime as dt
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
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

# The fields of a contact, in the order in which they are hashed, staged and shown.
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
        Column("source_system", Text),  # the system in which external_id is unique; null without an external_id
    ]


# One row for each unit of work of any job: the state behind `idempotent_once`.
task_runs = Table(
    "task_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(128), nullable=False),  # the job
    Column("idempotency_key", String(255), nullable=False),  # of the unit of work: completed once for each key
    Column("status", String(32), nullable=False, server_default="processing"),
    Column("last_error", Text),  # one plain sentence
    Column("attempts", Integer, nullable=False, server_default="0"),  # the fencing token: the highest number owns
    Column("token", Uuid, nullable=False, server_default=func.gen_random_uuid()),  # of this row in this database
    Column("subject", Text),  # what the unit is about: a workbook, a source
    Column("fingerprint", Text),  # digest of the input: a key belongs to one input
    Column("result", JSONB),
    Column("flow_run_id", Uuid),  # the last Prefect run that worked on it
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
    # Of the identity: external id, else e-mail and name, else organisation and name or place.
    Column("identity_hash", LargeBinary, nullable=False),
    # Of organisation and name or, without a person, of organisation and place; for every contact.
    Column("name_hash", LargeBinary, nullable=False),
    Column("mail_hash", LargeBinary),  # e-mail and name, where an external id is the identity
    *_contact_columns(),
    Column("extra", JSONB, nullable=False, server_default=text("'{}'")),  # every other column: heading -> text
    # task_runs.id of the import that wrote the row last. No foreign key: rows of task_runs that imported something are
    # never deleted, and the check of each row took a quarter of the time of a merge.
    Column("import_id", Integer),
    Column("source_sheet", Text),
    Column("source_row", Integer),  # as Excel shows it
    _created_at(),
    _updated_at(),
    UniqueConstraint("identity_hash"),
    # Only these contacts are looked up by name. The others are found in one scan, if a workbook needs them.
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

# The values that an import replaced or filled in stored contacts, and those of repeated rows that it left out. No
# foreign keys, as in contacts; db/forget.py deletes the rows of a person.
contact_changes = Table(
    "contact_changes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("contact_id", BigInteger, nullable=False),
    Column("import_id", Integer, nullable=False),  # task_runs.id
    Column("field", Text, nullable=False),  # a column of contacts
    Column("heading", Text),  # the key in extra, where field is extra
    Column("old", Text),  # the value that was replaced or, of a repeated row, left out
    Column("new", Text),  # the value that is stored
    Column("basis", Text, nullable=False),  # the identity by which the row was matched
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint(
        "basis IN ('external id', 'e-mail and name', 'e-mail', 'organisation and name', 'organisation and place',"
        " 'repeated row')",
        name="basis",
    ),
    Index(None, "contact_id"),
)

# One row for each faulty cell: a row of the workbook with two faulty cells has two rows here.
import_rejects = Table(
    "import_rejects",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("import_id", Integer, ForeignKey("task_runs.id", ondelete="CASCADE"), nullable=False),
    Column("sheet", Text, nullable=False),
    Column("row_number", Integer, nullable=False),  # as Excel shows it
    Column("column_name", Text),  # the heading; null if the fault is in the whole row
    Column("value", Text),
    Column("reason", Text, nullable=False),
    Column("row", JSONB, nullable=False),  # [[heading, text], …] in the workbook's order; [] if an earlier one has it
    Index(None, "import_id"),
)

# Rows that were checked one by one, until all rows of the import are there. Each import has an unlogged partition of
# its own, created when it starts and dropped when it is done: imports do not disturb each other, and nothing has to be
# vacuumed.
import_staging = Table(
    "import_staging",
    metadata,
    Column("import_id", Integer, nullable=False),
    Column("position", Integer, nullable=False),  # number of the row, counted over all sheets of the import
    Column("sheet", Text, nullable=False),
    Column("row_number", Integer, nullable=False),
    Column("identity_hash", LargeBinary),
    Column("name_hash", LargeBinary),
    Column("mail_hash", LargeBinary),  # e-mail and name, of a row with an external id
    *_contact_columns(),
    Column("month_first", Date),  # the other reading of an ambiguous date in last_contacted
    Column("extra", JSONB),
    Column("problems", JSONB),  # why the row is rejected: [[column, value, reason], …]
    Column("raw", JSONB),  # the whole row, if it is rejected or may be rejected later
    postgresql_partition_by="LIST (import_id)",
)

# A page of a ministry as it was fetched, and what was read from it: the proof of changes, and the state of conditional
# requests.
page_snapshots = Table(
    "page_snapshots",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("source", Text, nullable=False),
    Column("url", Text, nullable=False),  # the ministry's own, also if it was fetched from a mirror
    Column("sha256", Text, nullable=False),  # of the bytes of the answer
    Column("etag", Text),
    Column("last_modified", Text),
    Column("content_type", Text, nullable=False),
    Column("body", Text, nullable=False),  # decoded
    Column("version", Text, nullable=False),  # of the parser that made links and records
    Column("links", JSONB, nullable=False),  # addresses to which the page links
    Column("records", JSONB, nullable=False),  # missions on the page
    Column("fetched_at", DateTime(timezone=True), nullable=False),
    Column("verified_at", DateTime(timezone=True), nullable=False),  # when the server last answered with this content
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
    Column("snapshot_id", BigInteger, ForeignKey("page_snapshots.id")),  # the page that listed it last
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

# Candidates that are not plausible, complete, until a person accepts one.
embassy_candidates = Table(
    "embassy_candidates",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("source", Text, nullable=False),
    Column("task_run_id", Integer, ForeignKey("task_runs.id"), nullable=False),  # the run that found it
    Column("compared_with", Integer, ForeignKey("task_runs.id")),  # the last applied run at that time
    Column("why", JSONB, nullable=False),  # sentences
    Column("version", Text, nullable=False),
    Column("records", JSONB, nullable=False),  # [[record, snapshot_id], …]
    _created_at(),
    Column("applied_at", DateTime(timezone=True)),
)

# The outbox: a message commits with the change that it reports, and is delivered afterwards.
notifications = Table(
    "notifications",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("dedup_key", Text, nullable=False),  # of the message; sent once to each channel
    Column("channel", Text, nullable=False),  # a digest of its URL, never the URL
    Column("title", Text, nullable=False),
    Column("body", JSONB, nullable=False),  # {plain, markdown}
    Column("status", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_error", Text),
    Column("leased_until", DateTime(timezone=True)),  # while it is being sent, or waits for another attempt
    _created_at(),
    Column("sent_at", DateTime(timezone=True)),
    UniqueConstraint("dedup_key", "channel"),
    CheckConstraint("status IN ('pending', 'sent', 'failed')", name="status"),
)

# Incidents: since when a job has not worked for a subject, and since when it works again. Reported at both ends.
episodes = Table(
    "episodes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False),  # the job
    Column("subject", Text, nullable=False),  # a workbook, a source
    Column("failures", Integer, nullable=False, server_default="1"),
    Column("last_run", Uuid),  # the last Prefect run that was counted
    Column("began_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("ended_at", DateTime(timezone=True)),
    Index("episodes_open_key", "name", "subject", unique=True, postgresql_where=text("ended_at IS NULL")),
)

# How many runs of a job ended in this way for a subject, and the last of them: for metrics. A run that finds its unit
# done leaves no trace in task_runs.
job_runs = Table(
    "job_runs",
    metadata,
    Column("name", Text, primary_key=True),  # the job
    Column("subject", Text, primary_key=True),  # "" for a job without subjects
    Column("outcome", Text, primary_key=True),  # completed, held, failed, missed, skipped, cancelled, interrupted
    Column("runs", BigInteger, nullable=False, server_default="1"),
    Column("last_at", DateTime(timezone=True), nullable=False, server_default=func.now()),  # its end
    Column("last_seconds", Double),  # that it took, without waiting; null: unknown
)

# What the watchdog has done, counted since the table was created.
watchdog_actions = Table(
    "watchdog_actions",
    metadata,
    Column("action", Text, primary_key=True),
    Column("total", BigInteger, nullable=False),
)
