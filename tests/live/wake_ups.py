"""What has woken a server's subscribers so far."""

import re

import httpx2

from live.hub import WakeUp
from tests.live.talk import Talk
from tests.servers import RunningServer
from tests.waiting import PATIENCE_S, until, until_so


async def wake_ups(server: RunningServer) -> dict[WakeUp, int]:
    async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
        metrics = (await client.get(f"{server.url}/metrics")).text
    found = re.findall(r'^tasktalk_wake_ups_total\{kind="(\w+)"\} (\d+)', metrics, re.MULTILINE)
    return dict.fromkeys(WakeUp, 0) | {WakeUp(kind): int(count) for kind, count in found}


async def until_told(server: RunningServer) -> None:
    """Wait until other processes' signals arrive at the server."""
    await until(lambda: server.runtime.live.is_told)


async def assert_notify_wakes(server: RunningServer, other: RunningServer, talk: Talk) -> None:
    """Check that each write at another server wakes a subscriber once, by NOTIFY, and no poll does."""
    await until_told(server)
    async with talk.messages(server.url) as messages:
        await until(lambda: talk.user.user.id in server.runtime.live.hub.users)
        before = await wake_ups(server)
        for count in (1, 2):
            await talk.write(other.url, [f"{count}"])
            await messages.until_count(count)

            # A message may be found by the first read, before its wake-up.
            async def is_notified(notified: int = before[WakeUp.NOTIFY] + count) -> bool:
                return (await wake_ups(server))[WakeUp.NOTIFY] >= notified

            await until_so(is_notified)
        assert await wake_ups(server) == before | {WakeUp.NOTIFY: before[WakeUp.NOTIFY] + 2}
