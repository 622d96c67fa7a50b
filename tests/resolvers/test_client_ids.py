"""Ids that clients make."""

import pytest

from core.database import Database
from core.ids import new_id
from tests.factories import SignedIn, make_conversation, make_message, make_task
from tests.graph_client import GraphClient, refusal
from tests.state import state_of

NO_UUID = "id must be a UUID, such as 0190f0c8-7b5e-7cc1-9d6f-2f6b8a5c4d3e."


async def test_row_gets_the_id_of_the_client(client: GraphClient, user: SignedIn) -> None:
    given = new_id().upper()
    payload = await client.mutate("createTask", {"title": "x", "id": given}, as_=user)
    assert (payload["errors"], payload["task"]["id"]) == ([], given.lower())
    read = await client.query("query ($id: ID!) { task(id: $id) { id } }", {"id": given}, as_=user)
    assert read == {"task": {"id": given.lower()}}
    random = "0f8fad5b-d9cb-469f-a165-70867728950e"
    payload = await client.mutate("createTask", {"title": "x", "parentId": given, "id": random}, as_=user)
    assert (payload["errors"], payload["task"]["id"]) == ([], random)


async def test_id_that_is_no_uuid_is_refused(client: GraphClient, database: Database, user: SignedIn) -> None:
    for given in ["", "1", "x" * 36, "{0190f0c87b5e7cc19d6f2f6b8a5c4d3e}--", "9" * 10_000, " " * 36]:
        before = await state_of(database, user.user.id)
        payload = await client.mutate("createTask", {"title": "x", "id": given}, as_=user)
        assert refusal(payload) == ("BAD_USER_INPUT", "input.id", NO_UUID)
        assert await state_of(database, user.user.id) == before


@pytest.mark.parametrize("kind", ["task", "conversation", "message", "user"])
async def test_taken_id_is_refused(client: GraphClient, database: Database, user: SignedIn, kind: str) -> None:
    conversation = await make_conversation(database, user.caller)
    message = await make_message(database, user.caller, conversation.id)
    task = await make_task(database, user.caller)
    taken = {"task": task.id, "conversation": conversation.id, "message": message.id, "user": user.user.id}[kind]
    before = await state_of(database, user.user.id)
    for name in ("createTask", "createConversation"):
        payload = await client.mutate(name, {"title": "x", "id": taken.upper()}, as_=user)
        assert refusal(payload) == ("CONFLICT", "input.id", "This id is already in use; make a new one.")
    assert await state_of(database, user.user.id) == before
