"""Batch loader across requests: rows that are looked up by key in one iteration of the event loop share a statement."""

import asyncio
from typing import Any, Final, TypeAlias

from core.connection_pool import ConnectionPool
from core.errors import UnavailableError
from core.prepared_statement import PreparedStatement, Rows, Values
from core.query_runner import QueryRunner
from core.workload import Workload, current_workload

Key: TypeAlias = tuple[str, ...]

# A caller of one row does not wait for the ten thousand of another; 1 turns batching off.
MAX_KEYS: Final = 1_000


class KeyedStatement:
    """A statement that finds rows by key: it takes a list for each part of a key, and its rows begin with their key."""

    __slots__ = ("_parameters", "statement")

    def __init__(self, statement: PreparedStatement, *parameters: str) -> None:
        self.statement = statement
        self._parameters = parameters

    def values(self, keys: set[Key]) -> Values:
        """Return the values of its parameters for the keys."""
        return {name: list(parts) for name, parts in zip(self._parameters, zip(*keys, strict=True), strict=True)}

    def by_key(self, rows: Rows) -> dict[Key, Any]:
        """Return the rows by their keys."""
        length = len(self._parameters)
        return {row[:length]: row for row in rows}


class BatchLoader:
    """Loads rows by key for several requests with one statement; each gets the row of its own key and no other.

    A key holds all that the row depends on, the owner included. Nothing is cached. A statement counts as the work of
    the least busy of those who wait for it: nobody waits in the queue of another, or has more at once than alone.
    """

    def __init__(self, reader: QueryRunner, pool: ConnectionPool) -> None:
        self._reader = reader
        self._pool = pool
        # Batches whose statement has not started.
        self._open: dict[PreparedStatement, _Batch] = {}

    async def load(self, statement: KeyedStatement, key: Key) -> Any:
        """Return the row of a key, or None."""
        batch = self._open.get(statement.statement)
        if batch is None or len(batch.futures) >= MAX_KEYS:
            batch = self._open[statement.statement] = _Batch(statement)
            asyncio.get_running_loop().call_soon(self._start, batch)
        return await batch.wait(key)

    def _start(self, batch: "_Batch") -> None:
        if self._open.get(batch.statement.statement) is batch:
            del self._open[batch.statement.statement]
        batch.start(self._reader, self._pool)


class _Batch:
    """The keys of one statement, and the futures of their rows."""

    __slots__ = ("_task", "_waiting", "_workloads", "futures", "statement")

    def __init__(self, statement: KeyedStatement) -> None:
        self.statement = statement
        self.futures: list[tuple[Key, asyncio.Future[Any]]] = []
        self._waiting = 0
        self._workloads: set[Workload | None] = set()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, key: Key) -> Any:
        """Add a key and wait for its row; the last waiter to be cancelled cancels the query."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.futures.append((key, future))
        self._workloads.add(current_workload.get())
        self._waiting += 1
        try:
            return await future
        except asyncio.CancelledError:
            self._waiting -= 1
            if not self._waiting and self._task is not None:
                self._task.cancel()
            raise

    def start(self, reader: QueryRunner, pool: ConnectionPool) -> None:
        """Start the query, unless every waiter is gone."""
        if self._waiting:
            workload = pool.least_busy(self._workloads)
            self._task = asyncio.get_running_loop().create_task(self._query(reader, workload))

    async def _query(self, reader: QueryRunner, workload: Workload | None) -> None:
        # The task has a copy of the context of whoever came first, but it works for all.
        current_workload.set(workload)
        try:
            await self._resolve(reader, self.futures)
        except BaseException:
            for _, future in self.futures:
                future.cancel()
            raise

    async def _resolve(self, reader: QueryRunner, futures: "list[tuple[Key, asyncio.Future[Any]]]") -> None:
        """Set the results; where a statement fails, query each key by itself, for one row alone may be unreadable."""
        try:
            rows = await reader.fetch(self.statement.statement, self.statement.values({key for key, _ in futures}))
        except Exception as error:  # noqa: BLE001 - it is raised in the waiters
            if len(futures) > 1 and not isinstance(error, UnavailableError):
                for pair in futures:
                    await self._resolve(reader, [pair])
                return
            for _, future in futures:
                if not future.done():
                    future.set_exception(error)
        else:
            by_key = self.statement.by_key(rows)
            for key, future in futures:
                if not future.done():
                    future.set_result(by_key.get(key))
