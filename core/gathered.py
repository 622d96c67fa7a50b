"""Rows that are found by their keys: one statement for all that are asked for at the same time, whoever asks."""

import asyncio
from typing import Any, Final, TypeAlias

from core.prepared import Prepared, Rows, Values
from core.reader import Reader

Key: TypeAlias = tuple[str, ...]

# Who asks for one row does not wait for those of who asks for ten thousand.
_MOST_KEYS: Final = 1_000


class Gathering:
    """A statement for many keys: it takes a list for each part of a key, and its rows begin with theirs."""

    __slots__ = ("_lists", "statement")

    def __init__(self, statement: Prepared, *lists: str) -> None:
        self.statement = statement
        self._lists = lists

    def values(self, keys: set[Key]) -> Values:
        """Return what the statement is given."""
        return {name: list(parts) for name, parts in zip(self._lists, zip(*keys, strict=True), strict=True)}

    def by_key(self, rows: Rows) -> dict[Key, Any]:
        """Return the rows by their keys."""
        length = len(self._lists)
        return {row[:length]: row for row in rows}


class GatheredReads:
    """Reads for several requests at once, each of which is given the row that it asked for and no other.

    So when a thousand clients come back at the same moment, the database answers some dozens of statements.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        # Those that have not begun.
        self._batches: dict[Gathering, _Batch] = {}
        # Held, or the loop might lose them.
        self._reading: set[asyncio.Task[None]] = set()

    async def find(self, gathering: Gathering, key: Key) -> Any:
        """Return the row of a key, or None."""
        batch = self._batches.get(gathering)
        if batch is None or len(batch.asked) >= _MOST_KEYS:
            batch = self._batches[gathering] = _Batch(gathering)
            asyncio.get_running_loop().call_soon(self._begin, batch)
        found = batch.ask(key)
        try:
            return await found
        except asyncio.CancelledError:
            batch.leave()
            raise

    def _begin(self, batch: "_Batch") -> None:
        if self._batches.get(batch.gathering) is batch:
            del self._batches[batch.gathering]
        if batch.waiting:
            reading = batch.reading = asyncio.get_running_loop().create_task(batch.read(self._reader))
            self._reading.add(reading)
            reading.add_done_callback(self._reading.discard)


class _Batch:
    """Those who ask at the same time."""

    __slots__ = ("asked", "gathering", "reading", "waiting")

    def __init__(self, gathering: Gathering) -> None:
        self.gathering = gathering
        self.asked: list[tuple[Key, asyncio.Future[Any]]] = []
        self.waiting = 0
        self.reading: asyncio.Task[None] | None = None

    def ask(self, key: Key) -> asyncio.Future[Any]:
        """Return what will be the row of a key, or None."""
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.asked.append((key, found))
        self.waiting += 1
        return found

    def leave(self) -> None:
        """Hear that one waits no longer; the last of all ends the reading."""
        self.waiting -= 1
        if not self.waiting and self.reading is not None:
            self.reading.cancel()

    async def read(self, reader: Reader) -> None:
        """Read the rows, and tell them to who waits for them."""
        try:
            rows = await reader.fetch(self.gathering.statement, self.gathering.values({key for key, _ in self.asked}))
        except Exception as error:  # noqa: BLE001 - it is the failure of each that waits
            self._fail(error)
        except BaseException:
            for _, found in self.asked:
                found.cancel()
            raise
        else:
            self._tell(self.gathering.by_key(rows))

    def _tell(self, rows: dict[Key, Any]) -> None:
        for key, found in self.asked:
            # Who asked may have gone.
            if not found.done():
                found.set_result(rows.get(key))

    def _fail(self, error: Exception) -> None:
        for _, found in self.asked:
            if not found.done():
                found.set_exception(error)
