"""Supervision of requests: what happens when the client disconnects, and how long an operation may run."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

Result = TypeVar("Result")


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


@contextmanager
def on_disconnect(receive: Receive, callback: Callable[[], object]) -> Iterator[None]:
    """Call back if the client disconnects within the block."""

    async def listen() -> None:
        await wait_for_disconnect(receive)
        callback()

    listener = asyncio.create_task(listen())
    try:
        yield
    finally:
        listener.cancel()


async def run_until_disconnect(work: Awaitable[Result], receive: Receive, timeout_s: float) -> Result:
    """Await the work; cancel it and raise ClientDisconnect, or TimeoutError, when its client or its time is gone."""
    limit = asyncio.timeout(timeout_s)
    is_disconnected = False

    def cancel() -> None:
        nonlocal is_disconnected
        is_disconnected = not limit.expired()
        if is_disconnected:
            limit.reschedule(0)

    try:
        async with limit:
            with on_disconnect(receive, cancel):
                return await work
    except TimeoutError:
        if is_disconnected and limit.expired():
            raise ClientDisconnect from None
        raise
