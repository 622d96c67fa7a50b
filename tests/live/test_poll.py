"""The poll, which finds whatever nothing has told of."""

import asyncio

from core.settings import Settings
from live.hub import WakeUp
from tests.live.talk import Talk, until_told, wake_ups
from tests.servers import RunningServer, serve_with
from tests.services.rows import all_statements
from tests.waiting import until


async def test_poll_alone_wakes_subscribers(settings: Settings, neighbour: RunningServer, talk: Talk) -> None:
    async with serve_with(settings, database_listen=False) as server:
        assert not server.runtime.live.is_told
        async with talk.messages(server.url) as messages, talk.changes(server.url) as changes:
            # Or the first look would find what was written meanwhile.
            await until(lambda: server.runtime.live.hub.count(talk.user.user.id) == 2)
            await talk.write(neighbour.url, [f"{number}" for number in range(30)], a_request=10)
            await asyncio.gather(messages.until_count(30), changes.until_count(30))
            assert messages.contents == changes.contents == await talk.contents()
            found = await wake_ups(server)
            assert {kind for kind, count in found.items() if count} == {WakeUp.POLL}


async def test_poll_finds_a_change_without_a_signal(server: RunningServer, talk: Talk) -> None:
    if not server.runtime.database.is_sqlite:
        await until_told(server)
    async with talk.messages(server.url) as messages:
        await talk.say("of this one the first look finds")
        await messages.until_count(1)
        await talk.say("committed, and dead before it told anyone")
        await messages.until_count(2)


async def test_idle_server_polls_by_one_statement_and_only_for_subscribers(settings: Settings, talk: Talk) -> None:
    # No poll but those that the test requests, and no look for runs that have died.
    rarely = {"database_listen": False, "poll_s": 3_600.0, "run_lease_s": 36_000.0}
    other = await Talk.begin(talk.database, settings)
    async with serve_with(settings, **rarely) as server:
        hub = server.runtime.live.hub
        with all_statements(server.runtime.database) as statements:
            await poll(server)
            assert statements == []
            url = server.url
            async with talk.messages(url) as messages, talk.changes(url) as changes, other.changes(url):
                await until(lambda: [hub.count(each.user.user.id) for each in (talk, other)] == [2, 1])
                await talk.say("hello")
                await poll(server)
                await asyncio.gather(messages.until_count(1), changes.until_count(1))
                await until(lambda: server.runtime.database.pool.in_use == 0)
                statements.clear()
                for _ in range(3):
                    await poll(server)
                await until(lambda: len(statements) == 3)
                assert len(set(statements)) == 1


async def poll(server: RunningServer) -> None:
    """Request a poll and return once it has begun."""
    hub = server.runtime.live.hub
    await until(lambda: not hub._poll_requested.is_set())  # noqa: SLF001 - nothing else says so
    hub.request_poll()
    await until(lambda: not hub._poll_requested.is_set())  # noqa: SLF001
