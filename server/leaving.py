"""Leaves gently: from the first signal on the process is not ready, and its sockets are told to go elsewhere."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from server.presence import Presence

# Who balances the load learns within this time that the process takes no more; then it stops listening.
_NOTICE_S: Final = 1.0


@contextmanager
def leaving_gently(presence: Presence) -> Iterator[None]:
    """Stand before the handlers that the server has set for its end, while it runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    loop = asyncio.get_running_loop()

    def leave(number: int, frame: FrameType | None) -> None:
        handler: Any = kept[signal.Signals(number)]
        if number == signal.SIGTERM and not presence.is_leaving:
            loop.call_soon_threadsafe(loop.call_later, _NOTICE_S, handler, number, frame)
        else:
            handler(number, frame)
        loop.call_soon_threadsafe(presence.send_away)

    ours = [number for number, handler in kept.items() if callable(handler)]
    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, kept[number])
