"""Session cache: the status of sessions for four seconds, so that most requests need no query for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from dataclasses import dataclass
from typing import Final, TypeAlias

from core.cache import LRUCache

TTL_S: Final = 4.0

_MAX_BYTES: Final = 10 * 1024 * 1024
# An entry with its key, which for another issuer is the profile in the token.
_ENTRY_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """The status of an active session."""

    is_admin: bool
    # Whose it is, where the token names them by another name.
    user_id: str = ""
    may_write: bool = True


# Queries the database; None if there is no such session, or it is over.
Load: TypeAlias = Callable[[], Awaitable[SessionStatus | None]]


@dataclass(frozen=True, slots=True)
class _Entry:
    status: SessionStatus | None
    loaded_at: float

    def is_fresh(self) -> bool:
        return time.monotonic() - self.loaded_at < TTL_S


@dataclass(slots=True, eq=False)
class _PendingLoad:
    task: asyncio.Task[_Entry]
    is_outdated: bool = False


class SessionCache:
    """Cache of session status by user and session; concurrent requests for one session share one query."""

    def __init__(self) -> None:
        self.entries: LRUCache[str, dict[Hashable, _Entry]] = LRUCache("session_status", max_bytes=_MAX_BYTES)
        self._pending: dict[tuple[str, Hashable], _PendingLoad] = {}

    def get_cached(self, user_id: str, key: Hashable) -> SessionStatus | None:
        """Return the status of an active session without a query; None if the cache does not know it to be active."""
        entry = self._fresh_entry(user_id, key)
        return None if entry is None else entry.status

    async def get(self, user_id: str, key: Hashable, load: Load) -> SessionStatus | None:
        """Return the status of a session, loaded if it is not cached; None if the session is over."""
        while True:
            entry = self._fresh_entry(user_id, key)
            if entry is not None:
                return entry.status
            pending = self._pending.get((user_id, key)) or self._start(user_id, key, load)
            entry = await asyncio.shield(pending.task)
            if not pending.is_outdated:
                return entry.status

    def invalidate(self, user_id: str) -> None:
        """Remove a user's entries and discard the results of queries that are under way."""
        self.entries.pop(user_id)
        for pair in [pair for pair in self._pending if pair[0] == user_id]:
            self._pending.pop(pair).is_outdated = True

    def _fresh_entry(self, user_id: str, key: Hashable) -> _Entry | None:
        entries = self.entries.get(user_id)
        entry = None if entries is None else entries.get(key)
        return entry if entry is not None and entry.is_fresh() else None

    def _start(self, user_id: str, key: Hashable, load: Load) -> _PendingLoad:
        # An empty context: the query serves every waiting request, so it must not carry the variables of one.
        task = asyncio.create_task(_load_entry(load), context=Context())
        pending = self._pending[user_id, key] = _PendingLoad(task)
        task.add_done_callback(lambda _task: self._finish(user_id, key, pending))
        return pending

    def _finish(self, user_id: str, key: Hashable, pending: _PendingLoad) -> None:
        if pending.is_outdated:
            return
        del self._pending[user_id, key]
        if pending.task.cancelled() or pending.task.exception() is not None:
            return
        fresh = {other: entry for other, entry in (self.entries.get(user_id) or {}).items() if entry.is_fresh()}
        fresh[key] = pending.task.result()
        self.entries.put(user_id, fresh, len(fresh) * _ENTRY_BYTES)


async def _load_entry(load: Load) -> _Entry:
    # The age of an entry counts from before its query.
    loaded_at = time.monotonic()
    return _Entry(await load(), loaded_at)
