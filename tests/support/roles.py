"""A database whose jobs, owner and readers have roles of their own, as MIGRATION_DATABASE_URL separates them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url
from support.databases import Database
from support.settings import forget_settings

from db.schema import upgrade

PASSWORD = "p%ss:w€rd'$x"  # noqa: S105 - of a role that a test makes


@dataclass
class WithRoles:
    """A database by the eyes of each role."""

    owner: Database
    jobs: Database
    reader: Database


def as_user(url: str, name: str, password: str | None = PASSWORD) -> str:
    return make_url(url).set(username=name, password=password).render_as_string(hide_password=False)


def drop_roles(owner: Database, *names: str) -> None:
    with psycopg.connect(owner.url, autocommit=True) as connection:
        for name in names:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
                role = sql.Identifier(name)
                connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
                connection.execute(sql.SQL("DROP ROLE {}").format(role))


@contextmanager
def separate_roles(database: str, monkeypatch: pytest.MonkeyPatch, of_jobs: str | None = None) -> Iterator[WithRoles]:
    """Migrate the database as its owner; inside of the block DATABASE_URL names the role of the jobs.

    The address `of_jobs` may differ from that of the owner.
    """
    owner = Database(database)
    jobs, reader = f'{owner.name}"J%s:obs', f"{owner.name}_reader"
    monkeypatch.setenv("MIGRATION_DATABASE_URL", database)
    monkeypatch.setenv("DATABASE_URL", as_user(of_jobs or database, jobs))
    monkeypatch.setenv("DATABASE_READER_PASSWORD", PASSWORD)
    forget_settings()
    try:
        assert upgrade() == []
        yield WithRoles(owner, Database(as_user(database, jobs)), Database(as_user(database, reader)))
    finally:
        forget_settings()
        drop_roles(owner, jobs, reader)
