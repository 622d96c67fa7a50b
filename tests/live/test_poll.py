"""The poll, which finds whatever nothing has told of."""

import asyncio
import time

from core.settings import Settings
from live.hub import WakeUp
from server.app import create_app
from tests.live.processes import ServerProcess
from tests.live.talk import Talk
from tests.live.wake_ups import until_told, wake_ups
from tests.servers import RunningServer, serve
from tests.services.rows import all_statements
from tests.waiting import until


async def test_poll_alone_delivers(settings: Settings, neighbour: ServerProcess, talk: Talk) -> None:
    async with serve(create_app(settings.model_copy(update={"database_listen": False}))) as server:
        assert not server.runtime.live.is_told
        async with talk.messages(server.url) as messages, talk.changes(server.url) as changes:
            await talk.write(neighbour.url, [f"{number}" for number in range(60)], a_request=10)
            await asyncio.gather(messages.until_count(60), changes.until_count(60))
            assert messages.contents == changes.contents == await talk.contents()
            found = await wake_ups(server)
            assert {kind for kind, count in found.items() if count} == {WakeUp.POLL}


async def test_what_a_process_could_not_tell_any_more_is_found(server: RunningServer, talk: Talk) -> None:
    if not server.runtime.database.is_sqlite:
        await until_told(server)
    async with talk.messages(server.url) as messages:
        await talk.say("of this one the first look finds")
        await messages.until_count(1)
        await talk.say("committed, and dead before it told anyone")
        await messages.until_count(2)


async def test_idle_server_asks_once_a_tick_and_only_for_subscribers(settings: Settings, talk: Talk) -> None:
    # The look for runs that have died must not come in between.
    rarely = {"run_lease_s": 36_000.0}
    quick = settings.model_copy(update={"database_listen": False, "poll_s": 0.05} | rarely)
    others = [await Talk.begin(talk.database, settings) for _ in range(3)]
    async with serve(create_app(quick)) as server:
        with all_statements(server.runtime.database) as statements:
            await asyncio.sleep(0.5)
            assert statements == []
            async with (
                talk.messages(server.url) as messages,
                talk.changes(server.url) as changes,
                others[0].changes(server.url),
            ):
                users = [talk.user.user.id, talk.user.user.id, others[0].user.user.id]
                await until(lambda: sorted(waited_for(server)) == sorted(users))
                await talk.say("hello")
                await asyncio.gather(messages.until_count(1), changes.until_count(1))
                # Once they have all looked there is nothing left but the poll.
                await until(lambda: len(statements) > 5 and len(set(statements[-5:])) == 1)
                statements.clear()
                begun_s = time.monotonic()
                await until(lambda: len(statements) >= 10)
                # However late the ticks are, no two of them are closer to each other.
                assert time.monotonic() - begun_s > 8 * quick.poll_s
                assert len(set(statements)) == 1


def waited_for(server: RunningServer) -> list[str]:
    hub = server.runtime.live.hub
    return [user_id for user_id in hub.users for _ in hub._waiters[user_id]]  # noqa: SLF001
