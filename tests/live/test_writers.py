"""Thirty concurrent writers of one user at two servers: every subscriber receives each write once, in order."""

import asyncio

from tests.live.talk import Talk
from tests.servers import RunningServer


async def test_subscribers_receive_each_write_once(server: RunningServer, neighbour: RunningServer, talk: Talk) -> None:
    halves = [[f"{name} {number}" for number in range(45)] for name in ("here", "there")]
    async with (
        talk.messages(server.url) as here,
        talk.changes(server.url) as changes_here,
        talk.messages(neighbour.url) as there,
        talk.changes(neighbour.url) as changes_there,
    ):
        followers = [here, changes_here, there, changes_there]
        await asyncio.gather(
            talk.write(server.url, halves[0], at_once=15), talk.write(neighbour.url, halves[1], at_once=15)
        )
        await asyncio.gather(*(follower.until_count(90) for follower in followers))
        expected = await talk.contents()
        assert sorted(expected) == sorted(halves[0] + halves[1])
        assert [follower.contents for follower in followers] == [expected] * 4
        assert [follower.cuts for follower in followers] == [[]] * 4
