"""Processes that are asked to end: what runs is finished, sockets go elsewhere, and none stays behind."""

import asyncio
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import asyncpg
import httpx
import pytest

from core.settings import Settings
from tests.databases import Backend, only_sqlite
from tests.graph_client import GraphClient
from tests.live.processes import ServerProcess, start
from tests.live.talk import Talk

GOING_AWAY = 1012


@asynccontextmanager
async def held_up(settings: Settings, backend: Backend) -> AsyncIterator[None]:
    """Let no transaction write until the block ends."""
    if backend == "sqlite":
        with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as locked:
            locked.execute("BEGIN IMMEDIATE")
            yield
        return
    connection = await asyncpg.connect(settings.database_url)
    try:
        await connection.execute("BEGIN; LOCK TABLE messages IN EXCLUSIVE MODE")
        yield
    finally:
        await connection.close()


async def until_not_ready(server: ServerProcess) -> None:
    async with asyncio.timeout(10):
        while True:
            async with httpx.AsyncClient() as client:
                ready = await client.get(f"{server.url}/ready")
            if ready.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                assert "shutting down" in ready.text
                return


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_lets_requests_finish(settings: Settings, backend: Backend, talk: Talk, workers: int) -> None:
    server = await start(settings, workers=workers)
    async with talk.messages(server.url) as messages, httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        await talk.write(server.url, ["before"])
        await messages.until_count(1)
        async with held_up(settings, backend):
            document, variables = talk.addition(["meanwhile"])
            running = asyncio.create_task(GraphClient(http).execute(document, variables, as_=talk.user))
            await asyncio.sleep(0.2)  # on its way, and nothing tells when it waits
            asked_s = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            await until_not_ready(server)
            # It may have tried again at once, and met another worker that was leaving.
            await messages.until(lambda follower: set(follower.cuts) == {GOING_AWAY})
            assert not running.done()
            assert server.process.returncode is None
        answer = await running
        assert (answer.status, answer.errors) == (200, [])
        # One alone ends by the signal itself, once it has done all that it had to.
        assert await server.stop() == (-signal.SIGTERM if workers == 1 else 0)
        assert time.monotonic() - asked_s < settings.shutdown_grace_s
    assert await talk.contents() == ["before", "meanwhile"]
    assert not [line for line in server.lines if "Traceback" in line or "Cancel " in line]


@only_sqlite
async def test_sigint_ends_at_once(settings: Settings, talk: Talk) -> None:
    server = await start(settings)
    async with talk.messages(server.url) as messages:
        await talk.write(server.url, ["before"])
        await messages.until_count(1)
        assert await server.stop(signal.SIGINT) == 0
        assert set(messages.cuts) == {GOING_AWAY}


@only_sqlite
async def test_request_beyond_the_grace_time_is_cut_off(settings: Settings, backend: Backend, talk: Talk) -> None:
    server = await start(settings, SHUTDOWN_GRACE_S="1")
    async with held_up(settings, backend):
        writing = asyncio.create_task(talk.write(server.url, ["too long"]))
        await asyncio.sleep(0.2)  # as above
        asked_s = time.monotonic()
        await server.stop()
        assert time.monotonic() - asked_s < settings.shutdown_grace_s
        with pytest.raises(httpx.TransportError):
            await writing
    assert await talk.contents() == []
