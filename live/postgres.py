"""LISTEN and NOTIFY over one dedicated connection of a process."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from core.database import Database
from core.database_url import DatabaseTarget
from core.prepared_statement import PreparedStatement
from live.broker import CHANNEL, Broker
from live.hub import Hub, WakeUp
from services.query.filters import text_list_param

_PROBE_TIMEOUT_S: Final = 2.0
_PROBES: Final = 4
_CONNECT_TIMEOUT_S: Final = 15.0
_PROBE: Final = "proof:"
_SIGNALS: Final = "signals"
_PAYLOADS: Final = func.unnest(text_list_param(_SIGNALS)).column_valued("payloads")
_NOTIFY: Final = PreparedStatement(select(func.pg_notify(CHANNEL, _PAYLOADS).label("sent")))

_log = logging.getLogger(__name__)


class PostgresBroker(Broker):
    """Listens on a connection of its own, which must not go through a pooler in transaction mode."""

    def __init__(
        self, database: Database, target: DatabaseTarget, hub: Hub, on_sessions_changed: Callable[[str], None]
    ) -> None:
        super().__init__(hub, on_sessions_changed)
        self._database = database
        self._target = target
        self._probes: dict[str, asyncio.Event] = {}
        # Set when the connection is lost, or has to be checked.
        self._interrupted = asyncio.Event()
        self._has_warned = False

    async def receive(self) -> None:
        """Listen until the connection is lost, or signals do not arrive over it."""
        async with self._listening() as connection:
            if not await self._probe():
                if not self._has_warned:
                    self._has_warned = True
                    _log.warning("NOTIFY does not arrive; set DATABASE_DIRECT_URL to an address without a pooler")
                return
            self.set_reliable(is_reliable=True)
            while not connection.is_closed():
                self._interrupted.clear()
                await self._interrupted.wait()
                if not connection.is_closed() and not await self._probe():
                    break
            _log.warning("LISTEN is lost; the poll stands in until it is back")

    async def _probe(self) -> bool:
        """Send a signal over the pool and return whether it arrives here; a late one is no proof of a pooler."""
        payload = _PROBE + secrets.token_hex(8)
        arrived = self._probes[payload] = asyncio.Event()
        try:
            for _ in range(_PROBES):
                await self.send([payload])
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PROBE_TIMEOUT_S / _PROBES):
                        await arrived.wait()
                    return True
            return False
        finally:
            del self._probes[payload]

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(**_connect_arguments(self._target))
        try:
            connection.add_termination_listener(lambda _connection: self._interrupted.set())
            await connection.add_listener(CHANNEL, self._receive)
            yield connection
        finally:
            connection.terminate()

    def _receive(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        if (probe := self._probes.get(payload)) is not None:
            probe.set()
        self.take(payload, WakeUp.NOTIFY)

    async def send(self, signals: Sequence[str]) -> None:
        """Notify the other processes over the pool, which works through a pooler too."""
        await self._database.reader.fetch(_NOTIFY, {_SIGNALS: signals})

    def check(self) -> None:
        """Probe the connection again."""
        self._interrupted.set()


def _connect_arguments(target: DatabaseTarget) -> dict[str, Any]:
    _, from_url = PGDialect_asyncpg().create_connect_args(target.url)  # type: ignore[no-untyped-call]
    own = {name: value for name, value in target.connect_args.items() if not name.startswith("prepared_statement")}
    return {"timeout": _CONNECT_TIMEOUT_S, **from_url, **own}
