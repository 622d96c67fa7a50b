"""Waits for what comes about by itself, no longer than it takes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import httpx2

# How long the slowest of machines may take for what a good one does at once; who waits so long has failed.
PATIENCE_S: Final = 30
# The same for a program that is started: it has all its modules to load.
START_PATIENCE_S: Final = 120
_LOOK_EVERY_S: Final = 0.005
# A server as it is for everybody closes a connection after five seconds: a client must have let go of it before.
SHORT_LIVED: Final = httpx2.Limits(keepalive_expiry=1)


async def until(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Return once the condition holds; fail where it never does."""
    async with asyncio.timeout(patience_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(_LOOK_EVERY_S)


async def until_so(ask: Callable[[], Awaitable[object]], patience_s: float = PATIENCE_S) -> None:
    """Return once what is asked, of a server or a database, is answered with yes."""
    async with asyncio.timeout(patience_s):
        while not await ask():  # noqa: ASYNC110 - as above
            await asyncio.sleep(_LOOK_EVERY_S)
