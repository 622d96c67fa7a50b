"""Subscriptions of one user: so many and no more, and one read of a change for all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest

from core.database import Database
from core.settings import Settings
from live.shared_reads import SharedReads
from services.sync import changes as sync
from tests.factories import SignedIn, make_task
from tests.servers import RunningServer, serve_with
from tests.socket_client import signed_in_socket

CHANGES: Final = "subscription { changes { changed { id } } }"
SOCKETS, OF_EACH = 3, 10


async def test_one_change_is_read_once_for_all_that_follow_it(
    server: RunningServer, database: Database, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[object] = []
    read = sync.read_changes

    async def counted(*arguments: Any) -> Any:
        reads.append(arguments)
        return await read(*arguments)

    monkeypatch.setattr(sync, "read_changes", counted)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(signed_in_socket(server, user.token)) for _ in range(SOCKETS)]
        for socket in sockets:
            for number in range(OF_EACH):
                await socket.subscribe(CHANGES, operation_id=str(number))
        await server.until_followed(user.user.id, SOCKETS * OF_EACH)
        for socket in sockets:
            await socket.round_trip()
        reads.clear()
        task = await make_task(database, user.caller)
        for socket in sockets:
            told = [await socket.receive() for _ in range(OF_EACH)]
            assert sorted(message["id"] for message in told) == sorted(map(str, range(OF_EACH)))
            assert all(message["payload"]["data"]["changes"]["changed"] == [{"id": task.id}] for message in told)
        assert len(reads) == 1


async def test_subscriptions_of_a_user_are_bounded(settings: Settings, user: SignedIn) -> None:
    async with (
        serve_with(settings, max_subscriptions_per_user=3) as server,
        signed_in_socket(server, user.token) as first,
        signed_in_socket(server, user.token) as second,
    ):
        for number in range(3):
            await first.subscribe(CHANGES, operation_id=str(number))
        await server.until_followed(user.user.id, 3)
        await second.subscribe(CHANGES)
        assert await second.codes() == ["TOO_MANY_OPERATIONS"]
        await first.complete("0")
        await server.until_followed(user.user.id, 2)
        await second.subscribe(CHANGES)
        await server.until_followed(user.user.id, 3)


async def test_read_that_has_begun_is_not_shared() -> None:
    """What its reader was woken for may be newer."""
    shared, began, may_end = SharedReads(), asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        began.set()
        await may_end.wait()
        return "old"

    async def quick() -> str:
        return "new"

    def read(find: Callable[[], Awaitable[str]]) -> "asyncio.Task[str]":
        return asyncio.create_task(shared.read("key", find))

    first, second = read(slow), read(quick)
    await began.wait()
    assert await read(quick) == "new"
    second.cancel()
    may_end.set()
    assert await first == "old"
