"""The migrations make what the metadata says, and can be taken back."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from db.engine import ROOT, engine
from db.tables import CONTACT_FIELDS, import_staging, metadata
from tasks.crm.contact import Contact


def migrate(connection: Connection, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "db" / "migrations"))
    config.attributes["connection"] = connection
    (command.downgrade if to == "base" else command.upgrade)(config, to)
    connection.commit()


def test_the_migrations_make_exactly_the_tables_of_the_metadata(database: str) -> None:
    with engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, metadata) == []


def test_upgrade_downgrade_upgrade_ends_where_it_began(database: str) -> None:
    with engine().connect() as connection:
        before = sorted(inspect(connection).get_table_names())
        connection.rollback()
        migrate(connection, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        connection.rollback()
        migrate(connection, "head")
        assert sorted(inspect(connection).get_table_names()) == before


def test_the_contact_has_the_fields_of_the_table_in_their_order() -> None:
    assert tuple(Contact.model_fields) == CONTACT_FIELDS
    assert [c for c in map(str, import_staging.columns.keys()) if c in CONTACT_FIELDS] == list(CONTACT_FIELDS)
