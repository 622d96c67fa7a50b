"""Mutations sent twice, and ids that clients make."""

import asyncio
from typing import Any, Final

import pytest

from core.ids import new_id
from tests.resolvers.user_api import UserApi

USED: Final = (
    "CONFLICT", "input.idempotencyKey", "This idempotencyKey was used for another request; use a new one.",
)  # fmt: skip
each_creation = pytest.mark.parametrize("name", ["createTask", "createTasks", "createConversation", "addMessage"])


async def request_of(api: UserApi, name: str, text: str = "Hello") -> dict[str, Any]:
    given: dict[str, Any] = {"title": text}
    if name == "createTask":
        given |= {"tags": ["a", "b"], "dueAt": "2026-03-01T09:30:00+01:00"}
    elif name == "createTasks":
        given = {"tasks": [given, {"title": "and another", "priority": "HIGH"}]}
    elif name == "addMessage":
        given = {"conversationId": (await api.conversation()).id, "content": text}
    return given | {"idempotencyKey": "once"}


@each_creation
async def test_repeated_key_returns_the_first_answer_and_another_input_is_refused(api: UserApi, name: str) -> None:
    given = await request_of(api, name)
    other = await request_of(api, name, "Goodbye")
    first = await api.ok(name, **given)
    async with api.unchanged():
        for _ in range(2):
            assert await api.ok(name, **given) == first
        others = [other, given | {"id": new_id()}] if name in {"createTask", "createConversation"} else [other]
        for body in others:
            assert await api.refused(name, **body) == USED


async def test_key_of_another_mutation_is_refused(api: UserApi) -> None:
    await api.ok("createConversation", title="x", idempotencyKey="once")
    async with api.unchanged():
        assert await api.refused("createTask", title="x", idempotencyKey="once") == USED
        assert await api.refused("createTasks", tasks=[{"title": "x"}], idempotencyKey="once") == USED


@each_creation
async def test_concurrent_requests_of_one_key_create_once(api: UserApi, name: str) -> None:
    given = await request_of(api, name)
    before = await api.state()
    first, *others = await asyncio.gather(*(api.ok(name, **given) for _ in range(8)))
    assert others == [first] * 7
    after = await api.state()
    assert len(after.rows) - len(before.rows) == (2 if name == "createTasks" else 1)
    assert after.revision == before.revision + 1


async def test_repeated_key_returns_rows_as_they_stand_now(api: UserApi) -> None:
    # The key of a request that failed can be used again.
    assert (await api.refused("createTask", title=" ", idempotencyKey="once"))[1] == "input.title"
    made = (await api.ok("createTask", title="x", idempotencyKey="once"))["task"]
    changed = await api.ok("updateTask", id=made["id"], title="y")
    assert await api.ok("createTask", title="x", idempotencyKey="once") == changed
    assert (await api.state()).revision == 2


async def test_malformed_key_is_refused(api: UserApi) -> None:
    length = "must be 1 to 200 characters long; it has"
    nul = "contains a NUL character or a lone surrogate; remove it and send the text as valid Unicode."
    async with api.unchanged():
        for key, message in (("", f"{length} 0."), (" ", f"{length} 0."), ("x" * 201, f"{length} 201."), ("a\0", nul)):
            refused = await api.refused("createTask", title="x", idempotencyKey=key)
            assert refused == ("BAD_USER_INPUT", "input.idempotencyKey", f"idempotencyKey {message}")


async def test_row_gets_the_id_of_the_client(api: UserApi) -> None:
    given, random = new_id().upper(), "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert (await api.ok("createTask", title="x", id=given))["task"]["id"] == given.lower()
    read = await api.query("query ($id: ID!) { task(id: $id) { id } }", id=given)
    assert read == {"task": {"id": given.lower()}}
    assert (await api.ok("createTask", title="x", parentId=given, id=random))["task"]["id"] == random


async def test_id_that_is_no_uuid_or_taken_is_refused(api: UserApi) -> None:
    talk = await api.conversation()
    rows = (await api.task(), talk, await api.message(talk.id), api.user.user)
    no_uuid = "id must be a UUID, such as 0190f0c8-7b5e-7cc1-9d6f-2f6b8a5c4d3e."
    async with api.unchanged():
        for given in ("", "1", "x" * 36, "{0190f0c87b5e7cc19d6f2f6b8a5c4d3e}--", "9" * 10_000, " " * 36):
            assert await api.refused("createTask", title="x", id=given) == ("BAD_USER_INPUT", "input.id", no_uuid)
        for row in rows:
            for name in ("createTask", "createConversation"):
                refused = await api.refused(name, title="x", id=row.id.upper())
                assert refused == ("CONFLICT", "input.id", "This id is already in use; make a new one.")
