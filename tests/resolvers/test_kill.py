"""A server that is killed with mutations half done leaves each wholly done or not at all."""

import asyncio
import signal
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import asyncpg
import httpx2

from core.database import Database
from core.settings import Settings
from tests.databases import Backend
from tests.factories import SignedIn, sign_in
from tests.graph_client import GraphClient
from tests.live.processes import start
from tests.state import state_of
from tests.waiting import SHORT_LIVED, START_PATIENCE_S, until_so

PER_USER: Final = 6
AT_ONCE: Final = 50
WAITING: Final = "SELECT count(*) FROM pg_locks WHERE relation = 'idempotency_keys'::regclass AND NOT granted"


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[Process, GraphClient]]:
    """Run `tasktalk serve` as a process of its own; kill it at the end."""
    server = await start(settings, ENVIRONMENT="production")
    try:
        async with httpx2.AsyncClient(base_url=server.url, timeout=START_PATIENCE_S, limits=SHORT_LIVED) as http:
            yield server.process, GraphClient(http)
    finally:
        if server.process.returncode is None:
            await server.kill()


def request_of(number: int) -> dict[str, Any]:
    return {"tasks": [{"title": f"{number}: {index}"} for index in range(AT_ONCE)], "idempotencyKey": f"key {number}"}


def send(client: GraphClient, users: list[SignedIn], numbers: Iterable[int]) -> list[asyncio.Task[dict[str, Any]]]:
    return [
        asyncio.create_task(client.mutate("createTasks", request_of(number), as_=user))
        for number in numbers
        for user in users
    ]


async def all_wait(connection: asyncpg.Connection, count: int) -> bool:
    return bool(await connection.fetchval(WAITING) >= count)


async def rows_per_request(database: Database, user: SignedIn) -> Counter[int]:
    """Count the tasks that each request of the user's has made."""
    rows = (await state_of(database, user.user.id)).rows.values()
    return Counter(int(row.title.partition(":")[0]) for row in rows)


@asynccontextmanager
async def held_up(settings: Settings, backend: Backend) -> AsyncIterator[asyncpg.Connection | None]:
    """Let no transaction past the middle, where the database can do that: the key is stored after the tasks."""
    if backend == "sqlite":
        yield None
        return
    connection = await asyncpg.connect(settings.database_url)
    try:
        await connection.execute("BEGIN; LOCK TABLE idempotency_keys IN EXCLUSIVE MODE")
        yield connection
        await connection.execute("ROLLBACK")
    finally:
        await connection.close()


async def test_killed_in_the_middle(fresh_settings: Settings, backend: Backend) -> None:
    settings = fresh_settings
    database = Database(settings)
    users = [await sign_in(database, settings) for _ in range(4)]
    async with running(settings) as (process, client):
        for user in users:
            await client.mutate("createTasks", request_of(0), as_=user)
        async with held_up(settings, backend) as connection:
            sent = send(client, users, range(1, PER_USER - 1))
            if connection is None:
                await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
                # There it stays: the last ones it cannot do any more, however soon it has done the rest.
                process.send_signal(signal.SIGSTOP)
            sent += send(client, users, range(PER_USER - 1, PER_USER))
            if connection is not None:
                await until_so(partial(all_wait, connection, len(users)))
            process.kill()
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
    answered = sum(isinstance(outcome, dict) for outcome in outcomes)
    assert answered < len(sent)
    made = [await rows_per_request(database, user) for user in users]
    assert all(counter[0] == AT_ONCE for counter in made)
    assert {count for counter in made for count in counter.values()} == {AT_ONCE}
    assert sum(len(counter) for counter in made) >= len(users) + answered
    assert sum(len(counter) for counter in made) < len(users) * PER_USER

    async with running(settings) as (_, client):
        for user in users:
            for number in range(PER_USER):
                payload = await client.mutate("createTasks", request_of(number), as_=user)
                assert (payload["errors"], len(payload["tasks"])) == ([], AT_ONCE)
    for user in users:
        assert await rows_per_request(database, user) == dict.fromkeys(range(PER_USER), AT_ONCE)
        state = await state_of(database, user.user.id)
        assert (state.revision, set(state.stamps)) == (PER_USER, set(range(1, PER_USER + 1)))
    await database.close()
