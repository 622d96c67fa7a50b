"""Mutations sent twice."""

import asyncio
from typing import Any

import pytest

from core.database import Database
from core.ids import new_id
from tests.factories import SignedIn, make_conversation
from tests.graph_client import GraphClient, refusal
from tests.state import state_of

USED = "This idempotencyKey was used for another request; use a new one."
NAMES = ["createTask", "createTasks", "createConversation", "addMessage"]


async def request_of(database: Database, user: SignedIn, name: str, text: str = "Hello") -> dict[str, Any]:
    """Return an input of the mutation, without a key."""
    match name:
        case "createTask":
            return {"title": text, "tags": ["a", "b"], "dueAt": "2026-03-01T09:30:00+01:00"}
        case "createTasks":
            return {"tasks": [{"title": text}, {"title": "and another", "priority": "HIGH"}]}
        case "createConversation":
            return {"title": text}
    return {"conversationId": (await make_conversation(database, user.caller)).id, "content": text}


@pytest.mark.parametrize("name", NAMES)
async def test_repeated_key_returns_the_first_answer(
    client: GraphClient, database: Database, user: SignedIn, name: str
) -> None:
    given = await request_of(database, user, name) | {"idempotencyKey": "once"}
    first = await client.mutate(name, given, as_=user)
    assert first["errors"] == []
    state = await state_of(database, user.user.id)
    for _ in range(2):
        assert await client.mutate(name, given, as_=user) == first
    assert await state_of(database, user.user.id) == state


@pytest.mark.parametrize("name", NAMES)
async def test_key_with_another_input_is_refused(
    client: GraphClient, database: Database, user: SignedIn, name: str
) -> None:
    given = await request_of(database, user, name) | {"idempotencyKey": "once"}
    await client.mutate(name, given, as_=user)
    other = await request_of(database, user, name, "Goodbye") | {"idempotencyKey": "once"}
    state = await state_of(database, user.user.id)
    for body in (other, given | {"id": new_id()} if name in {"createTask", "createConversation"} else other):
        assert refusal(await client.mutate(name, body, as_=user)) == ("CONFLICT", "input.idempotencyKey", USED)
    assert await state_of(database, user.user.id) == state


async def test_key_of_another_mutation_is_refused(client: GraphClient, database: Database, user: SignedIn) -> None:
    await client.mutate("createConversation", {"title": "x", "idempotencyKey": "once"}, as_=user)
    state = await state_of(database, user.user.id)
    for name, given in (("createTask", {"title": "x"}), ("createTasks", {"tasks": [{"title": "x"}]})):
        payload = await client.mutate(name, given | {"idempotencyKey": "once"}, as_=user)
        assert refusal(payload) == ("CONFLICT", "input.idempotencyKey", USED)
    assert await state_of(database, user.user.id) == state


@pytest.mark.parametrize("name", NAMES)
async def test_concurrent_requests_of_one_key_create_once(
    client: GraphClient, database: Database, user: SignedIn, name: str
) -> None:
    given = await request_of(database, user, name) | {"idempotencyKey": "once"}
    before = await state_of(database, user.user.id)
    payloads = await asyncio.gather(*(client.mutate(name, given, as_=user) for _ in range(8)))
    assert payloads[0]["errors"] == []
    assert all(payload == payloads[0] for payload in payloads)
    after = await state_of(database, user.user.id)
    assert len(after.rows) - len(before.rows) == (2 if name == "createTasks" else 1)
    assert after.revision == before.revision + 1


async def test_concurrent_inputs_of_one_key_create_one(client: GraphClient, database: Database, user: SignedIn) -> None:
    bodies = [{"title": str(number), "idempotencyKey": "once"} for number in range(6)]
    payloads = await asyncio.gather(*(client.mutate("createTask", body, as_=user) for body in bodies))
    (made,) = [payload["task"] for payload in payloads if not payload["errors"]]
    refused = [refusal(payload) for payload in payloads if payload["errors"]]
    assert refused == [("CONFLICT", "input.idempotencyKey", USED)] * 5
    state = await state_of(database, user.user.id)
    assert (set(state.rows), state.revision) == ({made["id"]}, 1)


async def test_repeated_key_returns_rows_as_they_stand_now(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    given = {"title": "x", "idempotencyKey": "once"}
    made = (await client.mutate("createTask", given, as_=user))["task"]
    changed = (await client.mutate("updateTask", {"id": made["id"], "title": "y"}, as_=user))["task"]
    assert (await client.mutate("createTask", given, as_=user))["task"] == changed
    assert (await state_of(database, user.user.id)).revision == 2


async def test_key_of_a_failed_request_can_be_used_again(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    failed = await client.mutate("createTask", {"title": " ", "idempotencyKey": "once"}, as_=user)
    assert refusal(failed)[1] == "input.title"
    mended = await client.mutate("createTask", {"title": "x", "idempotencyKey": "once"}, as_=user)
    assert (mended["errors"], (await state_of(database, user.user.id)).revision) == ([], 1)


async def test_malformed_key_is_refused(client: GraphClient, database: Database, user: SignedIn) -> None:
    for key, message in [
        ("", "idempotencyKey must be 1 to 200 characters long; it has 0."),
        (" ", "idempotencyKey must be 1 to 200 characters long; it has 0."),
        ("x" * 201, "idempotencyKey must be 1 to 200 characters long; it has 201."),
        (
            "a\0",
            (
                "idempotencyKey contains a NUL character or a lone surrogate; "
                "remove it and send the text as valid Unicode."
            ),
        ),
    ]:
        before = await state_of(database, user.user.id)
        payload = await client.mutate("createTask", {"title": "x", "idempotencyKey": key}, as_=user)
        assert refusal(payload) == ("BAD_USER_INPUT", "input.idempotencyKey", message)
        assert await state_of(database, user.user.id) == before
