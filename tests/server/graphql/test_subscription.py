"""Events of a subscription are retried while the database is unavailable."""

from itertools import chain, repeat
from types import ModuleType
from typing import Final
from unittest.mock import DEFAULT, AsyncMock

import pytest

import graph.relations
import graph.sync
from core.errors import UnavailableError
from services.conversations.messages import MessageCursor
from services.query.lookup import rows_by_id
from services.sync.changes import Cursor
from tests.factories import SignedIn, make_conversation, make_message
from tests.servers import RunningServer
from tests.socket_client import signed_in_socket

ADDED: Final = """subscription ($id: ID!, $after: String) {
    messageAdded(conversationId: $id, after: $after) { message { content conversation { owner { id } } } }
}"""
CHANGES: Final = "subscription ($since: String) { changes(since: $since) { changed { id } } }"


either_time = pytest.mark.parametrize("times", [1, 3])


def let_fail(monkeypatch: pytest.MonkeyPatch, module: ModuleType, times: int) -> AsyncMock:
    """Let the module's reading of rows by their ids fail at first, as it does while the database is away."""
    away = [UnavailableError("The database is away.")] * times
    read = AsyncMock(wraps=rows_by_id, side_effect=chain(away, repeat(DEFAULT)))
    monkeypatch.setattr(module, "rows_by_id", read)
    return read


@either_time
async def test_message_whose_relations_cannot_be_read_is_retried(
    server: RunningServer, user: SignedIn, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    conversation = await make_conversation(server.runtime.database, user.caller)
    for content in "12":
        await make_message(server.runtime.database, user.caller, conversation.id, content)
    read = let_fail(monkeypatch, graph.relations, times)
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(ADDED, {"id": conversation.id, "after": MessageCursor(0).write()})
        messages = [(await socket.data())["messageAdded"]["message"] for _ in range(2)]
    owner = {"owner": {"id": user.user.id}}
    assert messages == [{"content": content, "conversation": owner} for content in "12"]
    assert read.call_count == times + 2


@either_time
async def test_changes_whose_rows_cannot_be_read_are_retried(
    server: RunningServer, user: SignedIn, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    conversation = await make_conversation(server.runtime.database, user.caller)
    read = let_fail(monkeypatch, graph.sync, times)
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(CHANGES, {"since": Cursor(0).write()})
        assert (await socket.data())["changes"]["changed"] == [{"id": conversation.id}]
    assert read.call_count == times + 1
