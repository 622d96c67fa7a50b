"""Follows a user's changes: reads what lies beyond a cursor, then waits for more, and never holds a connection."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, TypeVar

from core.errors import UnavailableError
from graph.context import Context

Found = TypeVar("Found")
Seen = TypeVar("Seen")

# Finds the next of what there is, or nothing; and tells whether there is more.
Look = Callable[[], Awaitable[tuple[Found | None, bool]]]

_RETRY_S: Final = 0.5

_log = logging.getLogger(__name__)


async def follow(context: Context, revision: int, look: Look[Found]) -> AsyncGenerator[Found, None]:
    """Yield what `look` finds, again and again; once it has found all there is, wait until there may be more.

    The waiter is registered before the first look, so that nothing falls between looking and waiting;
    of changes up to `revision`, which the first look sees, it need not be told.
    """
    with context.runtime.live.hub.waiting(context.require_caller().user_id) as waiter:
        waiter.seen = revision
        while True:
            found, has_more = await patiently(look)
            if found is not None:
                yield found
            if not has_more:
                await waiter.wait()


async def patiently(look: Callable[[], Awaitable[Seen]]) -> Seen:
    """Look; while the database is away, try again."""
    while True:
        try:
            return await look()
        except UnavailableError as error:
            _log.warning("What is followed cannot be read: %s", error)
            await asyncio.sleep(_RETRY_S)
