"""Waits for what comes about by itself, no longer than it takes."""

import asyncio
from collections.abc import Callable
from typing import Final

PATIENCE_S: Final = 10
_LOOK_EVERY_S: Final = 0.005


async def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds; fail where it never does."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(_LOOK_EVERY_S)
