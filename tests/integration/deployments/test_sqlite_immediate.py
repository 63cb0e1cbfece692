"""Prefect's own transactions on a file of SQLite, with and without the plugin. test_operating tests it in make up."""

import asyncio
from pathlib import Path

import pytest
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from deployments.sqlite_immediate import settings

URL = "PREFECT_SERVER_DATABASE_CONNECTION_URL"


async def counted_by_two(url: str) -> int:
    """What a counter says that one transaction read, then another counted on unless it had to wait, then the first."""
    configuration = AioSqliteConfiguration(connection_url=url)
    engine = await configuration.engine()

    async def read(session: AsyncSession) -> int:
        return int((await session.execute(text("SELECT n FROM counter"))).scalar_one())

    async def count_on(session: AsyncSession, number: int) -> None:
        await session.execute(text("UPDATE counter SET n = :n"), {"n": number + 1})

    async def other() -> None:
        async with await configuration.session(engine) as session, configuration.begin_transaction(session):
            await count_on(session, await read(session))

    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE counter AS SELECT 0 AS n"))
    async with await configuration.session(engine) as session, configuration.begin_transaction(session):
        number = await read(session)
        amid = asyncio.create_task(other())
        await asyncio.wait([amid], timeout=1)
        await count_on(session, number)
    await amid
    async with await configuration.session(engine) as session:
        return await read(session)


def test_a_transaction_that_read_first_may_still_write_whoever_wants_to_meanwhile(tmp_path: Path) -> None:
    assert asyncio.run(counted_by_two(settings(tmp_path, ())[URL])) == 2
    assert (tmp_path / "prefect.db").exists(), "the file that Prefect has by default"


def test_without_the_plugin_it_is_refused_at_once(tmp_path: Path) -> None:
    """Why the plugin exists: when this fails, Prefect waits itself, and the plugin can be removed."""
    with pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(counted_by_two(f"sqlite+aiosqlite:///{tmp_path}/prefect.db"))


@pytest.mark.parametrize("name", [URL, "PREFECT_SERVER_DATABASE_HOST", "PREFECT_API_DATABASE_CONNECTION_URL"])
def test_who_decides_about_the_database_gets_what_was_decided(name: str, tmp_path: Path) -> None:
    assert settings(tmp_path, ["PATH", name]) == {}
