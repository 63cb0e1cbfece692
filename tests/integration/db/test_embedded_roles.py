"""The embedded database of an earlier version, which knew one role, gets three and loses nothing."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from psycopg import errors
from sqlalchemy import Connection, text
from support.databases import Database
from support.roles import as_user
from support.settings import forget_settings

from db import embedded, shell, staging
from db.engine import DatabaseConfigError, engine, owner_connection, transaction
from db.schema import revisions, upgrade
from db.settings import ROOT

BEFORE_ROLES = "0005"


@pytest.fixture
def data_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roles-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        monkeypatch.setenv("DATA_DIR", name)
        forget_settings()
        yield directory
        forget_settings()
        embedded.stop(directory)


def migrate(connection: Connection, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "db" / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def test_an_embedded_database_of_one_role_is_upgraded_without_loss(data_dir: Path) -> None:
    with owner_connection() as connection:
        migrate(connection, BEFORE_ROLES)
        connection.execute(
            text("INSERT INTO contacts (identity_hash, name_hash, organization) VALUES ('a', 'a', 'ACME')")
        )
        connection.execute(text("INSERT INTO task_runs (name, idempotency_key) VALUES ('a', 'b')"))
        connection.execute(text("CREATE TABLE import_staging_1 PARTITION OF import_staging FOR VALUES IN (1)"))
        connection.execute(
            text("INSERT INTO import_staging (import_id, position, sheet, row_number) VALUES (1, 1, 's', 2)")
        )
        connection.commit()
    with pytest.raises(DatabaseConfigError, match=r"deployments\.migrate"), transaction():
        pass  # a command that does not migrate

    assert upgrade() == []
    assert len(set(revisions())) == 1
    with transaction() as connection:
        assert connection.scalar(text("SELECT current_user")) == embedded.JOBS
        assert connection.scalar(text("SELECT organization FROM contacts")) == "ACME"
        assert connection.scalar(text("SELECT count(*) FROM import_staging_1")) == 1
        staging.discard_rows(connection, 1)
        staging.drop_staging(connection, 1)
    owner = Database(embedded.start(data_dir))
    assert owner.staging() == []
    jobs, reader = (Database(as_user(owner.url, name, None)) for name in (embedded.JOBS, embedded.READER))
    assert reader.query("SELECT organization FROM contacts") == [{"organization": "ACME"}]
    for role, statement in ((jobs, "DROP TABLE contacts"), (reader, "DELETE FROM contacts")):
        with pytest.raises(errors.InsufficientPrivilege):
            role.query(statement)
    assert (shell.variables()["PGUSER"], shell.variables(reader=True)["PGUSER"]) == ("postgres", embedded.READER)
    engine().dispose()
