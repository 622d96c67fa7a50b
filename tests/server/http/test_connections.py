"""Connections whose sessions are checked, and requests that end when their client disconnects."""

import asyncio
from dataclasses import replace
from unittest.mock import AsyncMock, Mock

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from core.database import Database
from core.errors import UnavailableError
from core.settings import Settings
from server.http import connections as presences
from server.http.connections import ConnectionRegistry
from server.http.disconnect import run_until_disconnect
from services.accounts.caller import Caller
from services.accounts.sessions import find_valid_callers, revoke_all
from tests.factories import SignedIn, make_user, sign_in
from tests.services.rows import all_statements, change_user
from tests.waiting import PATIENCE_S, until


def connection_of(caller: Caller | None) -> Mock:
    return Mock(caller=caller, close_for_newer=Mock(return_value=False))


@pytest.fixture
def presence(database: Database) -> ConnectionRegistry:
    return ConnectionRegistry(database, max_per_user=2)


async def test_one_statement_checks_all_sessions(
    presence: ConnectionRegistry, database: Database, user: SignedIn, stranger: SignedIn
) -> None:
    connections = [connection_of(each.caller) for each in (user, user, stranger)] + [connection_of(None)]
    for connection in connections:
        presence.add(connection)
    await database.write(lambda session: revoke_all(session, user.user.id))
    with all_statements(database) as statements:
        await presence.check()
    assert len(statements) == 1
    assert [connection.end_session.called for connection in connections] == [True, True, False, False]
    other = await make_user(database)
    with all_statements(database) as statements:
        presence.check_user(other.id)
        await ConnectionRegistry(database, 2).check()
    assert statements == []


async def test_changed_and_deleted_users_are_not_valid(database: Database, settings: Settings, user: SignedIn) -> None:
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
    connection = connection_of(user.caller)
    presence.add(connection)
    watch = asyncio.create_task(presence.run())
    await until(lambda: connection.end_session.called)
    assert not watch.done()
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


class Client:
    """A client that stays until it disconnects."""

    def __init__(self) -> None:
        self.disconnects = asyncio.Event()

    async def receive(self) -> Message:
        await self.disconnects.wait()
        return {"type": "http.disconnect"}


async def for_ever() -> str:
    await asyncio.Event().wait()
    return "never"


async def test_disconnect_cancels_the_work_of_that_client_alone() -> None:
    gone, stays = Client(), Client()
    cancelled = [asyncio.create_task(run_until_disconnect(for_ever(), gone.receive, PATIENCE_S)) for _ in range(20)]
    running = asyncio.create_task(run_until_disconnect(for_ever(), stays.receive, PATIENCE_S))
    gone.disconnects.set()
    outcomes = await asyncio.gather(*cancelled, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClientDisconnect] * 20
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_work_ends_at_its_timeout_or_with_its_own_result_or_error() -> None:
    with pytest.raises(TimeoutError):
        await run_until_disconnect(for_ever(), Client().receive, 0.0)
    assert (task := asyncio.current_task()) is not None
    assert task.cancelling() == 0
    assert await run_until_disconnect(asyncio.sleep(0, "done"), Client().receive, PATIENCE_S) == "done"

    async def fail(error: Exception) -> None:
        await asyncio.sleep(0)
        raise error

    for error in (ValueError("broken"), TimeoutError("its own")):
        with pytest.raises(type(error), match=str(error)):
            await run_until_disconnect(fail(error), Client().receive, PATIENCE_S)
