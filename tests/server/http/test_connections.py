"""Connection registry: bounds per user, session checks, shutdown."""

import asyncio
from dataclasses import dataclass, replace
from unittest.mock import AsyncMock

import pytest

from core.database import Database
from core.errors import UnavailableError
from core.settings import Settings
from server.http import connections as presences
from server.http.connections import ConnectionRegistry, TooManyConnectionsError
from services.accounts.caller import Caller
from services.accounts.sessions import find_valid_callers, revoke_all
from tests.factories import SignedIn, make_user, sign_in
from tests.services.rows import all_statements, change_user
from tests.waiting import until


@dataclass(eq=False)
class Connection:
    """A connection that records its calls."""

    caller: Caller | None
    is_signed_out: bool = False
    is_sent_away: bool = False

    def end_session(self) -> None:
        self.is_signed_out = True

    def close_for_shutdown(self) -> None:
        self.is_sent_away = True


@pytest.fixture
def presence(database: Database) -> ConnectionRegistry:
    return ConnectionRegistry(database, max_per_user=2)


async def test_registry_bounds_the_connections_of_a_user(presence: ConnectionRegistry, user: SignedIn) -> None:
    first, second, third = [Connection(user.caller) for _ in range(3)]
    strangers = [Connection(None) for _ in range(5)]
    for connection in (first, second, *strangers):
        presence.add(connection)
    with pytest.raises(TooManyConnectionsError):
        presence.add(third)
    assert len(presence.connections) == 7
    presence.remove(first)
    presence.add(third)
    for connection in (second, third, *strangers):
        presence.remove(connection)
    assert presence.connections == []


async def test_one_statement_checks_all_sessions(
    presence: ConnectionRegistry, database: Database, user: SignedIn, stranger: SignedIn
) -> None:
    connections = [Connection(each.caller) for each in (user, user, stranger)] + [Connection(None)]
    for connection in connections:
        presence.add(connection)
    await database.write(lambda session: revoke_all(session, user.user.id))
    with all_statements(database) as statements:
        await presence.check()
    assert len(statements) == 1
    assert [connection.is_signed_out for connection in connections] == [True, True, False, False]
    other = await make_user(database)
    with all_statements(database) as statements:
        presence.check_user(other.id)
        await ConnectionRegistry(database, 2).check()
    assert statements == []


async def test_inactive_changed_and_deleted_users_are_not_valid(
    database: Database, settings: Settings, user: SignedIn
) -> None:
    away, admin, gone, well = [await sign_in(database, settings) for _ in range(4)]
    callers = [each.caller for each in (away, admin, gone, well, user)]
    # Callers of another identity provider have no session.
    remote = [replace(caller, session_id=None) for caller in callers]
    await change_user(database, away.user.id, is_active=False)
    await change_user(database, admin.user.id, is_admin=True)
    await database.write(lambda session: session.delete(gone.user))
    async with database.read() as session:
        assert await find_valid_callers(session, callers + remote) == {*callers[3:], *remote[3:]}
        assert await find_valid_callers(session, [replace(user.caller, is_admin=True)]) == set()
        assert await find_valid_callers(session, []) == set()


@pytest.mark.parametrize("failure", [UnavailableError("The database is away."), RuntimeError("unforeseen")])
async def test_checks_continue_after_a_failure(
    presence: ConnectionRegistry, user: SignedIn, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    answers = AsyncMock(side_effect=[failure, failure, set()])
    monkeypatch.setattr(presences, "find_valid_callers", answers)
    monkeypatch.setattr(presences, "CHECK_EVERY_S", 0.001)
    connection = Connection(user.caller)
    presence.add(connection)
    watch = asyncio.create_task(presence.run())
    await until(lambda: connection.is_signed_out)
    assert not watch.done()
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


async def test_connections_during_shutdown_are_closed(presence: ConnectionRegistry, user: SignedIn) -> None:
    early, late = Connection(user.caller), Connection(user.caller)
    presence.add(early)
    presence.close_all()
    presence.add(late)
    assert (early.is_sent_away, late.is_sent_away, presence.is_shutting_down) == (True, True, True)
