"""Rows that are found by their ids: one statement for all that are asked for at the same time, whoever asks."""

import asyncio
from typing import Any, Final

from core.prepared import Prepared, Rows
from core.reader import Reader

# What the statements call the ids that they are asked with.
IDS: Final = "ids"

_Asked = list[tuple[str, "asyncio.Future[Any]"]]


class GatheredReads:
    """Reads for several requests at once, each of which is given the row that it asked for and no other.

    So when a thousand clients come back at the same moment, the database answers some dozens of statements.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._asked: dict[Prepared, _Asked] = {}
        # Held, or the loop might lose them.
        self._reading: set[asyncio.Task[None]] = set()

    async def find(self, statement: Prepared, row_id: str) -> Any:
        """Return the row of an id, or None; the rows of the statement must have the ids that they were found by."""
        loop = asyncio.get_running_loop()
        if (asked := self._asked.get(statement)) is None:
            asked = self._asked[statement] = []
            loop.call_soon(self._begin, statement)
        found: asyncio.Future[Any] = loop.create_future()
        asked.append((row_id, found))
        return await found

    def _begin(self, statement: Prepared) -> None:
        reading = asyncio.get_running_loop().create_task(self._read(statement, self._asked.pop(statement)))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    async def _read(self, statement: Prepared, asked: _Asked) -> None:
        try:
            rows = await self._reader.fetch(statement, {IDS: list({row_id for row_id, _ in asked})})
        except Exception as error:  # noqa: BLE001 - it is the failure of each that waits
            _fail(asked, error)
        except BaseException:
            for _, found in asked:
                found.cancel()
            raise
        else:
            _tell(asked, rows)


def _tell(asked: _Asked, rows: Rows) -> None:
    by_id = {row.id: row for row in rows}
    for row_id, found in asked:
        # Who asked may have gone.
        if not found.done():
            found.set_result(by_id.get(row_id))


def _fail(asked: _Asked, error: Exception) -> None:
    for _, found in asked:
        if not found.done():
            found.set_exception(error)
