"""Redis, which tells of changes in place of LISTEN; and what happens while it is away."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from core.settings import Settings
from live.hub import WakeUp
from tests.databases import only_sqlite
from tests.live.programs import Redis, needs_redis, redis
from tests.live.talk import Talk, until_told, wake_ups
from tests.servers import serve_with

# Redis stands in for LISTEN, whichever the database is.
pytestmark = [needs_redis, only_sqlite]


@pytest.fixture
async def own_redis() -> AsyncIterator[Redis]:
    async with redis() as server:
        yield server


async def test_redis_wakes_the_other_process_and_comes_back(settings: Settings, own_redis: Redis, talk: Talk) -> None:
    # While Redis tells of changes, no poll may come before it, however late it is.
    async with (
        serve_with(settings, broker_url=own_redis.url, poll_when_told_s=3_600) as server,
        serve_with(settings, broker_url=own_redis.url) as other,
        talk.messages(server.url) as messages,
        talk.changes(server.url) as changes,
    ):

        async def write_and_wait(contents: list[str]) -> None:
            count = len(messages.contents) + len(contents)
            await talk.write(other.url, contents)
            await asyncio.gather(messages.until_count(count), changes.until_count(count))

        for turn in range(2):
            await until_told(server)
            await write_and_wait([f"{turn}: the first look may find it"])
            before = await wake_ups(server)
            await write_and_wait([f"{turn}: Redis tells of it"])
            after = await wake_ups(server)
            assert after[WakeUp.REDIS] >= before[WakeUp.REDIS] + 2
            assert after[WakeUp.POLL] == before[WakeUp.POLL]
            await own_redis.stop()
            await write_and_wait([f"{turn}: {number}" for number in range(10)])
            await own_redis.start()
        assert messages.contents == changes.contents == await talk.contents()
        assert messages.cuts == changes.cuts == []


async def test_silent_redis_delays_nothing(
    settings: Settings, own_redis: Redis, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever waited for it would wait for ever.
    for limit in ("_CONNECT_TIMEOUT_S", "_SILENCE_S"):
        monkeypatch.setattr(f"live.redis.{limit}", 3_600)
    async with serve_with(settings, broker_url=own_redis.url) as server, talk.messages(server.url) as messages:
        await until_told(server)
        own_redis.signal(signal.SIGSTOP)
        await talk.write(server.url, [f"{number}" for number in range(20)])
        await messages.until_count(20)
        await talk.say("of this one only the poll can tell")
        await messages.until_count(21)
        own_redis.signal(signal.SIGCONT)
