"""What has woken a server's subscribers so far."""

import asyncio
import re

import httpx2

from live.hub import WakeUp
from tests.servers import RunningServer
from tests.waiting import PATIENCE_S


async def wake_ups(server: RunningServer) -> dict[WakeUp, int]:
    """Return how often subscribers were woken, by kind."""
    async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
        metrics = (await client.get(f"{server.url}/metrics")).text
    found = re.findall(r'^tasktalk_wake_ups_total\{kind="(\w+)"\} (\d+)', metrics, re.MULTILINE)
    return dict.fromkeys(WakeUp, 0) | {WakeUp(kind): int(count) for kind, count in found}


async def until_told(server: RunningServer) -> None:
    """Wait until other processes' signals arrive at the server."""
    async with asyncio.timeout(PATIENCE_S):
        while not server.runtime.live.is_told:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.01)
