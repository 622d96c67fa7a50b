"""The pool's connections, handed to whoever comes first; one that is given back goes straight to the next."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias, cast

from sqlalchemy import PoolProxiedConnection, QueuePool
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from core.errors import UnavailableError

# So long are connections kept at hand: to take one out of the pool, with its checks, takes as long as a small read.
_AT_HAND_S: Final = 1.0
_Turn: TypeAlias = "asyncio.Future[None]"


class Connections:
    """As many turns as the pool may have connections; who has one has a connection without waiting."""

    def __init__(self, engine: AsyncEngine, *, most: int, longest_wait_s: float) -> None:
        self.in_use = 0
        # Told about once a second, while there is anything to tell, how many are in use.
        self.on_look: Callable[[int], None] = lambda _in_use: None
        self._engine = engine
        self._pool = cast("QueuePool", engine.sync_engine.pool)
        self._most = most
        self._longest_wait_s = longest_wait_s
        # Who waits, and until when; the longest waiting first.
        self._waiting: deque[tuple[_Turn, float]] = deque()
        self._patience: asyncio.TimerHandle | None = None
        self._at_hand: list[PoolProxiedConnection] = []
        # How many of those nobody has needed since the last look around.
        self._spare = 0
        self._look: asyncio.TimerHandle | None = None
        self._is_closed = False
        # Held, or the loop might lose them.
        self._ending: set[asyncio.Future[None]] = set()

    async def take(self) -> PoolProxiedConnection:
        """Take a connection, which must be given back."""
        if not self._begin_turn():
            await self._wait_for_turn()
        if self._at_hand:
            return self._pick()
        try:
            return await self._engine.raw_connection()
        except BaseException:
            self._end_turn()
            raise

    def give_back(self, connection: PoolProxiedConnection) -> None:
        """Give a connection back, as it was taken."""
        if self._is_closed:
            self.drop(connection)
            return
        self._at_hand.append(connection)
        self._end_turn()

    def drop(self, connection: PoolProxiedConnection) -> None:
        """Give back a connection that is of no more use; its turn ends once the driver has ended what it did."""
        self._see_to(self._close(connection))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Give a turn in which the pool itself may be asked for a connection."""
        if not self._begin_turn():
            await self._wait_for_turn()
        try:
            if self._at_hand:
                await self._return(self._pick())
            yield
        finally:
            self._end_turn()

    async def close(self) -> None:
        """Return what is at hand to the pool."""
        self._is_closed = True
        for timer in (self._look, self._patience):
            if timer is not None:
                timer.cancel()
        while self._at_hand:
            await self._return(self._at_hand.pop())
        await asyncio.gather(*self._ending)

    def _pick(self) -> PoolProxiedConnection:
        connection = self._at_hand.pop()
        self._spare = min(self._spare, len(self._at_hand))
        return connection

    def _begin_turn(self) -> bool:
        """Begin a turn; tell whether there was one to be had without waiting."""
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(_AT_HAND_S, self._look_around)
        if self.in_use >= self._most:
            return False
        self.in_use += 1
        return True

    async def _wait_for_turn(self) -> None:
        loop = asyncio.get_running_loop()
        turn: _Turn = loop.create_future()
        self._waiting.append((turn, loop.time() + self._longest_wait_s))
        if self._patience is None:
            self._patience = loop.call_later(self._longest_wait_s, self._send_away)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # It came in the moment in which it was no longer waited for.
                self._end_turn()
            turn.cancel()
            raise

    def _send_away(self) -> None:
        """Tell those who have waited too long; one timer for all, or each wait would pay for its own."""
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][1] <= loop.time():
            turn, _ = self._waiting.popleft()
            if not turn.done():
                message = "The server is busy: no database connection came free. Try again shortly."
                turn.set_exception(UnavailableError(message))
        self._patience = loop.call_at(self._waiting[0][1], self._send_away) if self._waiting else None

    def _end_turn(self) -> None:
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.in_use -= 1

    async def _return(self, connection: PoolProxiedConnection) -> None:
        """Return a connection to the pool; where that has more than it keeps, it closes one, which waits."""
        if self._pool.overflow() > 0:
            await asyncio.shield(greenlet_spawn(connection.close))
        else:
            connection.close()

    def _look_around(self) -> None:
        """Return what was not needed since the last look, and one in any case: the pool looks after what it has."""
        self._look = None
        self.on_look(self.in_use)
        is_closing = self._pool.overflow() > 0
        count = self._spare if is_closing else max(self._spare, 1)
        idle, self._at_hand = self._at_hand[:count], self._at_hand[count:]
        self._spare = len(self._at_hand)
        if idle:
            # They count as in use until they are back.
            self.in_use += len(idle)
            self._see_to(self._return_all(idle))
        if self.in_use or self._at_hand:
            self._look = asyncio.get_running_loop().call_later(_AT_HAND_S, self._look_around)

    def _see_to(self, work: Coroutine[Any, Any, None]) -> None:
        ending = asyncio.ensure_future(work)
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _close(self, connection: PoolProxiedConnection) -> None:
        try:
            await greenlet_spawn(connection.invalidate)
            connection.close()
        finally:
            self._end_turn()

    async def _return_all(self, connections: list[PoolProxiedConnection]) -> None:
        for connection in connections:
            await self._return(connection)
            self._end_turn()
