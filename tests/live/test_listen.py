"""LISTEN and NOTIFY between processes, and what happens while they fail."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import httpx2
import pytest

from core.settings import Settings
from server.app import create_app
from tests.databases import PostgresDatabases, make_settings, only_postgresql, opened, postgres_server
from tests.graph_client import GraphClient
from tests.live.talk import Talk, assert_notify_wakes, until_told
from tests.servers import RunningServer, serve, serve_with
from tests.waiting import PATIENCE_S, START_PATIENCE_S, until_so

TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE 'LISTEN%'
"""


@pytest.fixture
async def attentive(settings: Settings) -> AsyncIterator[RunningServer]:
    """Give a server whose poll does not come before NOTIFY, however late that is."""
    async with serve_with(settings, poll_when_told_s=3_600) as running:
        yield running


@only_postgresql
async def test_notify_wakes_the_other_process(attentive: RunningServer, neighbour: RunningServer, talk: Talk) -> None:
    await assert_notify_wakes(attentive, neighbour, talk)


@only_postgresql
async def test_terminated_listener_misses_nothing(
    settings: Settings, attentive: RunningServer, neighbour: RunningServer, talk: Talk
) -> None:
    server = attentive
    connection = await asyncpg.connect(settings.database_url)
    async with talk.messages(server.url) as messages:
        for turn in range(2):
            await until_told(server)
            assert await connection.fetchval(TERMINATE) >= 1
            contents = [f"{turn}, {number}" for number in range(10)]
            await talk.write(neighbour.url, contents)
            await messages.until_count(10 * (turn + 1))
        await until_told(server)
        assert messages.contents == await talk.contents()
        assert messages.cuts == []
    await connection.close()
    await assert_notify_wakes(server, neighbour, await Talk.begin(talk.database, settings))


async def until_it_answers(url: str, talk: Talk) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:

        async def answers() -> bool:
            answer = await GraphClient(http).execute("{ conversations { totalCount } }", as_=talk.user)
            assert (answer.status, answer.codes) in ((200, []), (503, ["SERVICE_UNAVAILABLE"]))
            return answer.status == httpx2.codes.OK

        await until_so(answers, START_PATIENCE_S)


async def test_subscribers_survive_a_restart_of_postgresql() -> None:
    with postgres_server() as postgres:
        databases = await PostgresDatabases.migrated(postgres)
        settings = make_settings(await databases.create())
        async with opened(settings) as database:
            talk = await Talk.begin(database, settings)
        async with (
            serve(create_app(settings)) as one,
            serve(create_app(settings)) as other,
            talk.messages(one.url) as messages,
            talk.changes(one.url) as changes,
        ):
            for turn in range(2):
                await asyncio.gather(until_told(one), until_told(other))
                writing = asyncio.create_task(talk.write(other.url, [f"{number}" for number in range(500)]))
                await messages.until_count(len(messages.contents) + 20)
                postgres.stop()
                with pytest.raises(AssertionError):
                    await writing
                postgres.ensure_postgres_running()
                await until_it_answers(other.url, talk)
                await talk.write(other.url, [f"back {turn}"])
                async with opened(settings) as database:
                    expected = await replace(talk, database=database).contents()
                await asyncio.gather(messages.until_count(len(expected)), changes.until_count(len(expected)))
                assert messages.contents == changes.contents == expected
                # Who cannot be served meanwhile is told so, and goes on by the cursor.
                assert {*messages.cuts, *changes.cuts} <= {"SERVICE_UNAVAILABLE"}
            await asyncio.gather(until_told(one), until_told(other))
