"""Who is connected to this process: how many connections a user may have, and when they must end."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Protocol

from core.database import Database
from core.errors import UnavailableError
from services.accounts.caller import Caller
from services.accounts.sessions import find_valid_callers

CHECK_EVERY_S: Final = 4.0

_log = logging.getLogger(__name__)


class Connection(Protocol):
    """A socket or an event stream that stays open."""

    @property
    def caller(self) -> Caller | None:
        """Return whose it is."""

    def sign_out(self) -> None:
        """End it: its caller's session is over."""

    def go_away(self) -> None:
        """End it: the server stops."""


class TooManyConnectionsError(Exception):
    """The user has as many connections as one may have."""


class ConnectionRegistry:
    """Knows every connection, and asks for all of them at once whether their sessions still stand."""

    def __init__(self, database: Database, max_per_user: int) -> None:
        self._database = database
        self._max_per_user = max_per_user
        self._of_user: defaultdict[str | None, set[Connection]] = defaultdict(set)
        self._checks: set[asyncio.Task[None]] = set()
        self.is_leaving = False

    @property
    def connections(self) -> list[Connection]:
        """Return every connection."""
        return [connection for connections in self._of_user.values() for connection in connections]

    def enter(self, connection: Connection) -> None:
        """Count a connection in; raise TooManyConnectionsError where its user has enough."""
        user_id = _user_of(connection)
        others = self._of_user[user_id]
        if user_id is not None and len(others) >= self._max_per_user:
            raise TooManyConnectionsError(f"A user may have {self._max_per_user} connections; close another one first.")
        others.add(connection)
        if self.is_leaving:
            connection.go_away()

    def leave(self, connection: Connection) -> None:
        """Count a connection out."""
        user_id = _user_of(connection)
        self._of_user[user_id].discard(connection)
        if not self._of_user[user_id]:
            del self._of_user[user_id]

    def check_user(self, user_id: str) -> None:
        """Check a user's connections at once: something about their sessions has changed."""
        if user_id in self._of_user:
            task = asyncio.get_running_loop().create_task(self._check(self._of_user[user_id]))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def watch(self) -> None:
        """Check every connection now and then, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            await self.check()

    async def check(self) -> None:
        """End the connections whose sessions do not stand any more."""
        await self._check(self.connections)

    async def _check(self, connections: Iterable[Connection]) -> None:
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
        except Exception:  # noqa: BLE001 - who watches must not stop watching
            _log.exception("The check of sessions failed; the next one comes")
            return
        for connection, caller in signed_in:
            if caller not in standing and connection.caller == caller:
                connection.sign_out()

    def send_away(self) -> None:
        """End every connection, and each that comes from now on: the server stops."""
        self.is_leaving = True
        for connection in self.connections:
            connection.go_away()


def _user_of(connection: Connection) -> str | None:
    return None if connection.caller is None else connection.caller.user_id
