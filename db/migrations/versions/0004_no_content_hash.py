"""Remove content_hash: nothing read it, and it took a third of the time of inserting a contact."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE contacts DROP COLUMN content_hash")


def downgrade() -> None:
    op.execute(r"""
        ALTER TABLE contacts ADD COLUMN content_hash bytea NOT NULL GENERATED ALWAYS AS (sha256(replace(
            coalesce(organization, '') || U&'\001F' || coalesce(first_name, '') || U&'\001F' ||
            coalesce(last_name, '') || U&'\001F' || coalesce(title, '') || U&'\001F' ||
            coalesce(email, '') || U&'\001F' || coalesce(phone, '') || U&'\001F' ||
            coalesce(street, '') || U&'\001F' || coalesce(city, '') || U&'\001F' ||
            coalesce(country, '') || U&'\001F' || coalesce(tags, '') || U&'\001F' ||
            coalesce(notes, '') || U&'\001F' || coalesce((last_contacted - '2000-01-01'::date)::text, '') ||
            U&'\001F' || extra::text, E'\\', E'\\\\')::bytea)) STORED""")
