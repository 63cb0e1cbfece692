"""The migrations make what the metadata says, and can be taken back."""

import unicodedata
from collections.abc import Mapping
from hashlib import sha256

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from support.contacts import imported, verdicts

from db.engine import engine
from db.session import VERSION_TABLE
from db.settings import ROOT
from db.tables import CONTACT_FIELDS, import_staging, metadata
from tasks.crm.contact import Contact

OPTIONS = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": False}


def migrate(connection: Connection, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "db" / "migrations"))
    config.attributes["connection"] = connection
    now = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision() or "base"
    down = to == "base" or (to != "head" and now != "base" and to < now)
    (command.downgrade if down else command.upgrade)(config, to)
    connection.commit()


def test_the_migrations_make_exactly_the_tables_of_the_metadata(database: str) -> None:
    with engine().connect() as connection:
        context = MigrationContext.configure(connection, opts=OPTIONS)
        assert compare_metadata(context, metadata) == []


def test_upgrade_downgrade_upgrade_ends_where_it_began(database: str) -> None:
    with engine().connect() as connection:
        before = sorted(inspect(connection).get_table_names())
        connection.rollback()
        migrate(connection, "base")
        assert inspect(connection).get_table_names() == [VERSION_TABLE]
        connection.rollback()
        migrate(connection, "head")
        assert sorted(inspect(connection).get_table_names()) == before


def hashed_by_version_1(contact: Mapping[str, str]) -> tuple[bytes, bytes]:
    """identity_hash and name_hash as the releases before external ids made them."""

    def folded(name: str) -> str:
        return unicodedata.normalize("NFC", contact.get(name, "").casefold())

    whole = f"{folded('first_name')} {folded('last_name')}".strip()
    name = sha256(f"1\x1fname\x1f{folded('organization')}\x1f{whole}".encode()).digest()
    mail = sha256(f"1\x1fmail\x1f{contact.get('email')}\x1f{whole}".encode()).digest()
    return (mail if "email" in contact else name), name


STORED_BEFORE = [
    {"organization": "Straße & Söhne", "first_name": "Σοφία", "last_name": "ΠΑΠΑΣ", "phone": "111"},
    {"organization": "ACME", "last_name": "Ada Lovelace", "email": "ada@x.org"},
    {"organization": "ACME", "first_name": "Ada", "last_name": "Bell", "email": "ada@x.org", "city": "London"},
    {"email": "info@x.org"},
    {"organization": "Nordbank", "street": "Hauptstraße 1", "city": "Köln", "country": "Germany"},
    {"organization": "Nordbank", "email": "info@nordbank.org", "city": "Kiel"},
    {"last_name": "Jón", "phone": "222"},
    {"organization": "İŞ BANKASI", "first_name": "İbrahim", "last_name": "Işık", "city": "İzmir"},
]


def test_no_contact_of_an_older_release_is_doubled_by_the_next_import(database: str) -> None:
    with engine().connect() as connection:
        migrate(connection, "base")
        migrate(connection, "0004")
        for contact in STORED_BEFORE:
            identity, name = hashed_by_version_1(contact)
            connection.execute(
                text(
                    f"INSERT INTO contacts (identity_hash, name_hash, {', '.join(contact)}) "
                    f"VALUES (:identity, :name, {', '.join(f':{field}' for field in contact)})"
                ),
                {**contact, "identity": identity, "name": name},
            )
        migrate(connection, "head")
    columns = sorted({field for contact in STORED_BEFORE for field in contact})
    assert verdicts(imported(STORED_BEFORE, columns=columns)) == {"unchanged": len(STORED_BEFORE)}
    again = [{**STORED_BEFORE[1], "external_id": "7"}, {**STORED_BEFORE[0], "email": "sofia@x.org", "external_id": ""}]
    assert verdicts(imported(again)) == {"updated": 2}
    with engine().connect() as connection:
        hashes = set(connection.execute(text("SELECT identity_hash, name_hash FROM contacts")).all())
        connection.rollback()
        migrate(connection, "0004")
        migrate(connection, "head")
    with engine().connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM contacts")) == len(STORED_BEFORE)
        assert len(hashes & set(connection.execute(text("SELECT identity_hash, name_hash FROM contacts")).all())) == 7


def test_two_contacts_that_the_new_rule_takes_for_one_both_stay(database: str) -> None:
    with engine().connect() as connection:
        migrate(connection, "base")
        migrate(connection, "0004")
        connection.execute(
            text("""
                INSERT INTO contacts (identity_hash, name_hash, organization, last_name)
                VALUES ('a', 'a', 'ACME', 'Bell'), ('b', 'b', 'acme', 'BELL')""")
        )
        migrate(connection, "head")
        found = connection.execute(text("SELECT identity_hash, name_hash FROM contacts ORDER BY id")).all()
    assert found[0].identity_hash == found[0].name_hash == found[1].name_hash
    assert bytes(found[1].identity_hash) == b"b"


def test_the_contact_has_the_fields_of_the_table_in_their_order() -> None:
    assert tuple(Contact.model_fields) == CONTACT_FIELDS
    assert [c for c in map(str, import_staging.columns.keys()) if c in CONTACT_FIELDS] == list(CONTACT_FIELDS)
