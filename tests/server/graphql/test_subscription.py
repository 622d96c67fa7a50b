"""Events of a subscription are retried while the database is unavailable."""

from collections import Counter
from types import ModuleType
from typing import Any, Final

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


@pytest.fixture(params=[1, 3])
def times(request: pytest.FixtureRequest) -> int:
    """Return how often it cannot be read."""
    times: int = request.param
    return times


def let_fail(monkeypatch: pytest.MonkeyPatch, module: ModuleType, times: int) -> Counter[str]:
    """Let the module's reading of rows by their ids fail at first, as it does while the database is away."""
    read, count = rows_by_id, Counter[str]()

    async def sometimes(*arguments: Any, **keywords: Any) -> Any:
        count["reads"] += 1
        if count["reads"] <= times:
            raise UnavailableError("The database is away.")
        return await read(*arguments, **keywords)

    monkeypatch.setattr(module, "rows_by_id", sometimes)
    return count


async def test_message_whose_relations_cannot_be_read_is_retried(
    server: RunningServer, user: SignedIn, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    conversation = await make_conversation(server.runtime.database, user.caller)
    for content in "12":
        await make_message(server.runtime.database, user.caller, conversation.id, content)
    count = let_fail(monkeypatch, graph.relations, times)
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(ADDED, {"id": conversation.id, "after": MessageCursor(0).write()})
        messages = [(await socket.data())["messageAdded"]["message"] for _ in range(2)]
    owner = {"owner": {"id": user.user.id}}
    assert messages == [{"content": content, "conversation": owner} for content in "12"]
    assert count["reads"] == times + 2


async def test_changes_whose_rows_cannot_be_read_are_retried(
    server: RunningServer, user: SignedIn, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    conversation = await make_conversation(server.runtime.database, user.caller)
    count = let_fail(monkeypatch, graph.sync, times)
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(CHANGES, {"since": Cursor(0).write()})
        changed = (await socket.data())["changes"]["changed"]
    assert changed == [{"id": conversation.id}]
    assert count["reads"] == times + 1
