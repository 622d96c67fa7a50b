"""Processes that are killed or stopped: requests are completed, and subscribers go on at another by their cursors."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import httpx2
import pytest

from core.settings import Settings
from tests.databases import Backend, locked_file, only_sqlite
from tests.live.processes import ServerProcess, serving, start
from tests.live.talk import Talk
from tests.waiting import PATIENCE_S, until_so

GOING_AWAY = 1012


@pytest.fixture(scope="module")
async def server(settings: Settings, backend: Backend) -> AsyncIterator[ServerProcess]:
    """Give a process on SQLite and two workers on PostgreSQL; the last test stops it."""
    async with serving(settings, workers=1 if backend == "sqlite" else 2) as server:
        yield server


async def test_subscribers_of_a_killed_process_miss_nothing_at_another(settings: Settings, talk: Talk) -> None:
    async with serving(settings) as killed, serving(settings) as survivor:
        urls = killed.url, survivor.url
        async with talk.messages(*urls) as moving, talk.changes(*urls) as following, talk.messages(urls[1]) as staying:
            followers = (moving, following, staying)
            await talk.write(survivor.url, [f"{number}" for number in range(30)])
            await asyncio.gather(*(follower.until_count(30) for follower in followers))
            writing = asyncio.create_task(talk.write(survivor.url, [f"{number}" for number in range(60)]))
            await moving.until_count(40)
            await killed.kill()
            await writing
            await asyncio.gather(*(follower.until_count(90) for follower in followers))
            assert [follower.contents for follower in followers] == [await talk.contents()] * 3
            assert [follower.cuts for follower in followers] == [[None], [None], []]


@asynccontextmanager
async def held_up(settings: Settings, backend: Backend) -> AsyncIterator[None]:
    """Let no transaction write until the block ends."""
    if backend == "sqlite":
        with locked_file(settings):
            yield
        return
    connection = await asyncpg.connect(settings.database_url)
    try:
        await connection.execute("BEGIN; LOCK TABLE messages IN EXCLUSIVE MODE")
        yield
    finally:
        await connection.close()


async def is_shutting_down(server: ServerProcess) -> bool:
    async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
        ready = await client.get(f"{server.url}/ready")
    assert ready.is_success or "shutting down" in ready.text
    return not ready.is_success


@asynccontextmanager
async def asking(server: ServerProcess, talk: Talk, content: str) -> AsyncIterator[asyncio.Task[tuple[bytes, bytes]]]:
    """Ask for a message to be added; the block begins when the server is at work on it."""
    query, variables = talk.addition([content])
    body = json.dumps({"query": query, "variables": variables}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {talk.user.token}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    await writer.drain()

    async def read_answer() -> tuple[bytes, bytes]:
        answered, _, content = (await reader.read()).partition(b"\r\n\r\n")
        return answered.partition(b"\r\n")[0], content

    yield asyncio.create_task(read_answer())
    writer.close()


async def test_sigterm_lets_requests_finish(
    settings: Settings, backend: Backend, server: ServerProcess, talk: Talk
) -> None:
    async with talk.messages(server.url) as messages, AsyncExitStack() as stack:
        await talk.write(server.url, ["before"])
        await messages.until_count(1)
        async with held_up(settings, backend):
            running = await stack.enter_async_context(asking(server, talk, "meanwhile"))
            server.process.send_signal(signal.SIGTERM)
            await until_so(lambda: is_shutting_down(server))
            # It may have tried again at once, and met another worker that was leaving.
            await messages.until(lambda follower: set(follower.cuts) == {GOING_AWAY})
            assert not running.done()
            assert server.process.returncode is None
        status, answer = await running
        assert (status, json.loads(answer)) == (b"HTTP/1.1 200 OK", {"data": {"m0": {"errors": []}}})
        # One alone ends by the signal itself, once it has done all that it had to.
        assert await server.stop() == (-signal.SIGTERM if backend == "sqlite" else 0)
    assert await talk.contents() == ["before", "meanwhile"]
    assert not [line for line in server.lines if "Traceback" in line or "Cancel " in line]


@only_sqlite
async def test_sigint_closes_subscriptions_and_ends_with_success(settings: Settings, talk: Talk) -> None:
    server = await start(settings)
    async with talk.messages(server.url) as messages:
        await talk.write(server.url, ["before"])
        await messages.until_count(1)
        assert await server.stop(signal.SIGINT) == 0
        assert set(messages.cuts) == {GOING_AWAY}


@only_sqlite
async def test_request_beyond_the_grace_time_is_cut_off(settings: Settings, backend: Backend, talk: Talk) -> None:
    server = await start(settings, SHUTDOWN_GRACE_S="1")
    async with held_up(settings, backend), asking(server, talk, "too long") as running:
        await server.stop()
        assert await running == (b"", b"")
    assert await talk.contents() == []
