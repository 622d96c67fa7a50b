"""LISTEN and NOTIFY over one dedicated connection of a process."""

import asyncio
import logging
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from core.database import Database
from core.database_url import DatabaseTarget
from core.prepared import Prepared
from live.hub import Hub, WakeUp
from live.signals import CHANNEL, Signals
from services.query.filters import text_list_param

_PROOF_TIMEOUT_S: Final = 2.0
_PROOFS: Final = 4
_FIRST_RETRY_S: Final = 0.25
_LONGEST_RETRY_S: Final = 30.0
_CONNECT_TIMEOUT_S: Final = 15.0
_PROOF: Final = "proof:"
_SIGNALS: Final = "signals"
_WORDS: Final = func.unnest(text_list_param(_SIGNALS)).column_valued("words")
_NOTIFY: Final = Prepared(select(func.pg_notify(CHANNEL, _WORDS).label("told")))

_log = logging.getLogger(__name__)


class PostgresSource:
    """Listens on a connection of its own, which must not go through a pooler in transaction mode."""

    def __init__(self, database: Database, target: DatabaseTarget, hub: Hub, signals: Signals) -> None:
        self._database = database
        self._target = target
        self._hub = hub
        self._signals = signals
        self._proofs: dict[str, asyncio.Event] = {}
        self._doubted = asyncio.Event()
        self._has_warned = False
        self.is_reliable = False

    async def run(self) -> None:
        """Listen; when the connection is lost, make another, and look for what was missed."""
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                async with self._listening() as lost:
                    if await self._is_proven():
                        retry_s = _FIRST_RETRY_S
                        await self._stay(lost)
                        _log.warning("LISTEN is lost; the poll stands in until it is back")
                    else:
                        self._warn_of_pooler()
            except Exception as error:  # noqa: BLE001 - whatever it is, the poll goes on and another attempt is made
                _log.warning("LISTEN cannot be had: %s", str(error) or type(error).__name__)
            finally:
                self.is_reliable = False
            # Not all processes at once.
            await asyncio.sleep(retry_s * random.uniform(0.5, 1))  # noqa: S311 - jitter is no secret
            retry_s = min(2 * retry_s, _LONGEST_RETRY_S)

    def _warn_of_pooler(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning("NOTIFY does not arrive; set DATABASE_DIRECT_URL to an address without a pooler")

    async def _stay(self, lost: asyncio.Event) -> None:
        """Hold the connection while signals arrive on it."""
        self.is_reliable = True
        self._hub.doubt()
        while not lost.is_set():
            self._doubted.clear()
            await _first_of(lost, self._doubted)
            if not lost.is_set() and not await self._is_proven():
                break
        self.is_reliable = False
        self._hub.doubt()

    async def _is_proven(self) -> bool:
        """Send a signal over the pool and see whether it arrives here; one that is late is no proof of a pooler."""
        word = _PROOF + secrets.token_hex(8)
        arrived = self._proofs[word] = asyncio.Event()
        try:
            for _ in range(_PROOFS):
                await self.send([word])
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PROOF_TIMEOUT_S / _PROOFS):
                        await arrived.wait()
                    return True
            return False
        finally:
            del self._proofs[word]

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[asyncio.Event]:
        lost = asyncio.Event()
        connection = await asyncpg.connect(**_connect_arguments(self._target))
        try:
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(CHANNEL, self._receive)
            yield lost
        finally:
            connection.terminate()

    def _receive(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        if (proof := self._proofs.get(payload)) is not None:
            proof.set()
        self._hub.wake(self._signals.read(payload), WakeUp.NOTIFY)

    async def send(self, signals: Sequence[str]) -> None:
        """Notify the other processes over the pool, which a pooler does not hinder."""
        await self._database.reader.fetch(_NOTIFY, {_SIGNALS: signals})

    def doubt(self) -> None:
        """Prove the connection anew."""
        self._doubted.set()

    async def close(self) -> None:
        """Need nothing: `run` closes its connection, and the pool is the database's."""


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _connect_arguments(target: DatabaseTarget) -> dict[str, Any]:
    """Return what asyncpg's own connect takes for the target."""
    _, from_url = PGDialect_asyncpg().create_connect_args(target.url)  # type: ignore[no-untyped-call]
    own = {name: value for name, value in target.connect_args.items() if not name.startswith("prepared_statement")}
    return {"timeout": _CONNECT_TIMEOUT_S, **from_url, **own}
