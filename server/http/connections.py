"""Connection registry: the open WebSockets and event streams, bounded per user, ended with their sessions."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from contextvars import Context
from dataclasses import replace
from typing import Final, Protocol

from core.database import Database
from core.errors import UnavailableError
from core.tasks import start_task
from server.http.errors import RETRY_AFTER, refuse
from services.accounts.caller import Caller
from services.accounts.sessions import find_valid_callers

CHECK_EVERY_S: Final = 4.0

_log = logging.getLogger(__name__)


class OpenConnection(Protocol):
    """A socket or an event stream that stays open."""

    caller: Caller | None

    def close_for_newer(self) -> bool:
        """End it for a newer one of its user's, unless it is known to have a client; return whether it ends."""

    def end_session(self) -> None:
        """End it, as its caller's session has ended."""

    def close_for_shutdown(self) -> None:
        """End it, as the server shuts down."""


class ConnectionRegistry:
    """All open connections; one query checks whether their sessions are still valid."""

    def __init__(self, database: Database, max_per_user: int) -> None:
        self._database = database
        self._max_per_user = max_per_user
        # In the order in which they were opened.
        self._of_user: defaultdict[str | None, dict[OpenConnection, None]] = defaultdict(dict)
        self._checks: set[asyncio.Task[None]] = set()
        self.is_shutting_down = False

    @property
    def connections(self) -> list[OpenConnection]:
        """Return every connection."""
        return [connection for connections in self._of_user.values() for connection in connections]

    def add(self, connection: OpenConnection) -> None:
        """Register a connection; where its user has too many, end the oldest that gives way, or raise the refusal."""
        user_id = _user_of(connection)
        others = self._of_user[user_id]
        if user_id is not None and len(others) >= self._max_per_user:
            oldest = next((other for other in others if other.close_for_newer()), None)
            if oldest is None:
                message = f"A user may have {self._max_per_user} connections; close another one first."
                raise refuse(429, message, code="RATE_LIMITED", headers=(RETRY_AFTER,))
            del others[oldest]
        others[connection] = None
        if self.is_shutting_down:
            connection.close_for_shutdown()

    def remove(self, connection: OpenConnection) -> None:
        """Unregister a connection."""
        user_id = _user_of(connection)
        self._of_user[user_id].pop(connection, None)
        if not self._of_user[user_id]:
            del self._of_user[user_id]

    def check_user(self, user_id: str) -> None:
        """Check a user's connections at once, after a change of their sessions."""
        if user_id in self._of_user:
            # It is the server's own work, whoever has caused it.
            Context().run(start_task, self._check(self._of_user[user_id]), self._checks)

    async def run(self) -> None:
        """Check every connection periodically, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            await self.check()

    async def check(self) -> None:
        """End the connections whose sessions are no longer valid."""
        await self._check(self.connections)

    async def _check(self, connections: Iterable[OpenConnection]) -> None:
        signed_in = [(connection, caller) for connection in connections if (caller := connection.caller) is not None]
        callers = {caller for _, caller in signed_in}
        if not callers:
            return
        try:
            async with self._database.read() as session:
                standing = await find_valid_callers(session, callers)
        except UnavailableError as error:
            _log.warning("Sessions cannot be checked: %s", error)
            return
        except Exception:  # noqa: BLE001 - the next check may succeed
            _log.exception("The check of sessions failed; the next one comes")
            return
        for connection, caller in signed_in:
            if caller in standing or connection.caller != caller:
                continue
            if (renewed := replace(caller, may_write=True)) in standing:
                connection.caller = renewed
            else:
                connection.end_session()

    def close_all(self) -> None:
        """End every connection, and each new one, as the server shuts down."""
        self.is_shutting_down = True
        for connection in self.connections:
            connection.close_for_shutdown()


def _user_of(connection: OpenConnection) -> str | None:
    return None if connection.caller is None else connection.caller.user_id
