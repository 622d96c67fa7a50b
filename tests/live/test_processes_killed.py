"""Workers killed in mid-stream: their subscribers go on at another by their cursors, and miss nothing."""

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack

from core.settings import Settings
from tests.live.following import Follower, execute, opened_socket
from tests.live.processes import LONGEST_S, ServerProcess, needs_proc, serving
from tests.live.talk import Talk


async def connection_to(server: ServerProcess, worker: int) -> socket.socket:
    """Connect until it is the worker that takes the connection."""
    async with asyncio.timeout(LONGEST_S):
        while True:
            connection = socket.create_connection(("127.0.0.1", server.port))
            while (taken_by := server.worker_of(connection.getsockname()[1])) is None:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.001)
            if taken_by == worker:
                connection.setblocking(False)
                return connection
            connection.close()


async def until_replaced(server: ServerProcess, killed: int, count: int) -> None:
    async with asyncio.timeout(LONGEST_S):
        while killed in (workers := server.workers()) or len(workers) < count:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)


@needs_proc
async def test_subscribers_of_a_killed_worker_miss_nothing_at_another(settings: Settings, talk: Talk) -> None:
    count = 2
    async with serving(settings, workers=count) as server, AsyncExitStack() as stack:
        writer, *others = workers = sorted(server.workers())
        assert len(workers) == count
        followers: list[Follower] = []
        for worker in workers:
            connection = await connection_to(server, worker)
            followers.append(await stack.enter_async_context(talk.messages(server.url, connection=connection)))
        connection = await connection_to(server, writer)
        opened = await stack.enter_async_context(opened_socket(server.url, talk.user, connection))
        await execute(opened, *talk.addition([f"{number}" for number in range(30)]))
        await asyncio.gather(*(follower.until_count(30) for follower in followers))

        writing = asyncio.create_task(execute(opened, *talk.addition([f"{number}" for number in range(60)])))
        await followers[0].until_count(40)
        os.kill(others[0], signal.SIGKILL)
        await writing
        await until_replaced(server, others[0], count)
        await execute(opened, *talk.addition(["the last"]))
        await asyncio.gather(*(follower.until_count(91) for follower in followers))
        expected = await talk.contents()
        assert [follower.contents for follower in followers] == [expected] * count
        assert [follower.cuts for follower in followers] == [[], [None], *[[]] * (count - 2)]
