"""Rows that are found by their keys: one statement for all that are asked for at the same time, whoever asks."""

import asyncio
from typing import Any, TypeAlias

from core.prepared import Prepared, Rows, Values
from core.reader import Reader

Key: TypeAlias = tuple[str, ...]
_Asked = list[tuple[Key, "asyncio.Future[Any]"]]


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
        self._asked: dict[Gathering, _Asked] = {}
        # Held, or the loop might lose them.
        self._reading: set[asyncio.Task[None]] = set()

    async def find(self, gathering: Gathering, key: Key) -> Any:
        """Return the row of a key, or None."""
        loop = asyncio.get_running_loop()
        if (asked := self._asked.get(gathering)) is None:
            asked = self._asked[gathering] = []
            loop.call_soon(self._begin, gathering)
        found: asyncio.Future[Any] = loop.create_future()
        asked.append((key, found))
        return await found

    def _begin(self, gathering: Gathering) -> None:
        reading = asyncio.get_running_loop().create_task(self._read(gathering, self._asked.pop(gathering)))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    async def _read(self, gathering: Gathering, asked: _Asked) -> None:
        try:
            rows = await self._reader.fetch(gathering.statement, gathering.values({key for key, _ in asked}))
        except Exception as error:  # noqa: BLE001 - it is the failure of each that waits
            _fail(asked, error)
        except BaseException:
            for _, found in asked:
                found.cancel()
            raise
        else:
            _tell(asked, gathering.by_key(rows))


def _tell(asked: _Asked, rows: dict[Key, Any]) -> None:
    for key, found in asked:
        # Who asked may have gone.
        if not found.done():
            found.set_result(rows.get(key))


def _fail(asked: _Asked, error: Exception) -> None:
    for _, found in asked:
        if not found.done():
            found.set_exception(error)
