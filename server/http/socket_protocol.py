"""uvicorn's WebSocket protocol, with less memory for each socket."""

from asyncio import Event, Future, Queue, get_running_loop
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from server.http.connection_limits import ConnectionLimits, address_of


class _SmallEvent:
    """What uvicorn uses of `asyncio.Event`, in a fifth of the memory."""

    __slots__ = ("_is_set", "_waiters")

    def __init__(self) -> None:
        self._is_set = True
        self._waiters: list[Future[None]] = []

    def set(self) -> None:
        self._is_set = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        self._is_set = False

    async def wait(self) -> None:
        if not self._is_set:
            self._waiters.append(waiter := get_running_loop().create_future())
            await waiter


class _SmallQueue:
    """What uvicorn uses of `asyncio.Queue`, for the only task that reads it, in a tenth of the memory."""

    __slots__ = ("_messages", "_reader")

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._reader: Future[None] | None = None

    def put_nowait(self, message: Any) -> None:
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        while not self._messages:
            self._reader = get_running_loop().create_future()
            await self._reader
        self._reader = None
        return self._messages.pop(0)

    def empty(self) -> bool:
        return not self._messages


class CountedWebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket protocol for uvicorn's `ws` setting, whose connection was counted when it was HTTP.

    Most sockets wait most of the time: what is kept for each is kept small.
    """

    def __init__(self, *, limits: ConnectionLimits, **state: Any) -> None:
        super().__init__(**state)
        self.queue, self.writable = cast("Queue[Any]", _SmallQueue()), cast("Event", _SmallEvent())
        self._limits = limits

    def start_keepalive(self) -> None:
        """Begin to ping once the socket is open, and let go of its handshake, which nobody reads any more."""
        super().start_keepalive()
        self.request, self.response = None, None  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection as closed."""
        self._limits.release(address_of(self.transport))
        super().connection_lost(exc)
