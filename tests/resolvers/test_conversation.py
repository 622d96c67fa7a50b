"""Making, changing and deleting conversations."""

from typing import Any

import pytest

from core.database import Database
from tests.factories import SignedIn, make_conversation, make_message
from tests.graph_client import GraphClient, refusal
from tests.state import state_of

NO_CONVERSATION = "There is no such conversation."


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ({}, "New conversation"),
        ({"title": None}, "New conversation"),
        ({"title": "  Plans\n"}, "Plans"),
        ({"title": "\N{ROCKET}" * 500}, "\N{ROCKET}" * 500),
    ],
)
async def test_create_conversation_returns_it(
    client: GraphClient, user: SignedIn, given: dict[str, Any], title: str
) -> None:
    payload = await client.mutate("createConversation", given, as_=user)
    made = payload["conversation"]
    assert payload["errors"] == []
    assert (made["title"], made["revision"]) == (title, 1)
    assert made["createdAt"] == made["updatedAt"]
    query = "query ($id: ID!) { conversation(id: $id) { id title revision createdAt updatedAt messagesCursor } }"
    assert await client.query(query, {"id": made["id"].upper()}, as_=user) == {"conversation": made}


async def test_update_conversation_changes_the_title(client: GraphClient, database: Database, user: SignedIn) -> None:
    conversation = await make_conversation(database, user.caller)
    seen = {"id": conversation.id.upper(), "title": " Other plans ", "expectedRevision": 1}
    payload = await client.mutate("updateConversation", seen, as_=user)
    assert payload["errors"] == []
    changed = payload["conversation"]
    assert (changed["title"], changed["revision"]) == ("Other plans", 2)
    assert changed["updatedAt"] > changed["createdAt"]
    before = await state_of(database, user.user.id)
    for given in ({}, {"title": "Other plans"}, {"title": "  Other plans "}):
        again = await client.mutate("updateConversation", {"id": conversation.id} | given, as_=user)
        assert again == payload
    assert await state_of(database, user.user.id) == before


async def test_stale_revision_is_a_conflict(client: GraphClient, database: Database, user: SignedIn) -> None:
    conversation = await make_conversation(database, user.caller)
    await make_message(database, user.caller, conversation.id)
    before = await state_of(database, user.user.id)
    stale = {"id": conversation.id, "expectedRevision": 1}
    payload = await client.mutate("updateConversation", stale | {"title": "Other plans"}, as_=user)
    (error,) = payload["errors"]
    assert (error["code"], error["path"]) == ("CONFLICT", ["input", "expectedRevision"])
    assert (payload["conversation"]["title"], payload["conversation"]["revision"]) == ("Plans", 2)
    deleted = await client.mutate("deleteConversation", stale, as_=user)
    code, path, _ = refusal(deleted)
    assert (code, path) == ("CONFLICT", "input.expectedRevision")
    assert await state_of(database, user.user.id) == before


async def test_deletion_takes_the_messages_along(client: GraphClient, database: Database, user: SignedIn) -> None:
    conversation, spared = [await make_conversation(database, user.caller) for _ in range(2)]
    messages = [await make_message(database, user.caller, conversation.id, str(number)) for number in range(3)]
    kept = await make_message(database, user.caller, spared.id)
    payload = await client.mutate("deleteConversation", {"id": conversation.id.upper()}, as_=user)
    ids = [message.id for message in messages]
    assert payload == {"deletedIds": [conversation.id, *ids], "errors": []}
    state = await state_of(database, user.user.id)
    assert set(state.rows) == {spared.id, kept.id}
    assert {row.id: (row.kind, row.revision) for row in state.deletions.values()} == {
        conversation.id: ("CONVERSATION", 7)
    } | dict.fromkeys(ids, ("MESSAGE", 7))
    again = await client.mutate("deleteConversation", {"id": conversation.id}, as_=user)
    assert refusal(again) == ("NOT_FOUND", "input.id", NO_CONVERSATION)
    assert await state_of(database, user.user.id) == state
