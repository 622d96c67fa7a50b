"""What is another user's is as if it did not exist, over REST; the places to try are read from the description."""

import json
from typing import Any, Final

import pytest

from core.database import Database
from core.ids import new_id
from models import RunStatus, ToolCallStatus
from tests.factories import (
    SignedIn,
    answered_rows,
    make_conversation,
    make_task,
    store_answered,
    tool_call_row,
)
from tests.server.rest.client import RestClient
from tests.server.rest.test_openapi import description
from tests.state import state_of

# What is sent to each operation that takes an id; where the id is in the body, its place is marked.
TRIED: Final = "the id that is tried"
BODIES: Final[dict[str, dict[str, Any]]] = {
    "POST /api/tasks": {"title": "Mine", "parent_id": TRIED},
    "PATCH /api/tasks/{task_id}": {"title": "Mine"},
    "PUT /api/tasks/{task_id}": {"title": "Mine"},
    "PATCH /api/conversations/{conversation_id}": {"title": "Mine"},
    "PATCH /api/users/{user_id}": {"is_active": False},
    "POST /api/tool-calls/{tool_call_id}/resolve": {"approve": True},
    "POST /api/chat": {"message": "Mine", "conversation_id": TRIED},
    "POST /api/chat/stream": {"message": "Mine", "conversation_id": TRIED},
}
PLACES: Final = sorted(
    {
        f"{method.upper()} {path}"
        for path, methods in description()["paths"].items()
        for method in methods
        if "{" in path
    }
    | BODIES.keys()
)


async def store_theirs(database: Database, stranger: SignedIn) -> list[str]:
    """Store something of everything for another user, and return its ids."""
    conversation = await make_conversation(database, stranger.caller)
    answered = answered_rows(stranger, conversation.id, status=RunStatus.AWAITING_APPROVAL, state="{}")
    answered.calls.append(tool_call_row(answered.run, status=ToolCallStatus.AWAITING_APPROVAL, result=None))
    await store_answered(database, answered)
    task = await make_task(database, stranger.caller)
    return [task.id, conversation.id, answered.run.id, answered.reply.id, answered.calls[0].id, stranger.user.id]


async def answer(rest: RestClient, place: str, tried: str) -> Any:
    method, _, path = place.partition(" ")
    path = path.removeprefix("/api").partition("{")[0] + tried + path.partition("}")[2] if "{" in path else path[4:]
    body = json.loads(json.dumps(BODIES[place]).replace(TRIED, tried)) if place in BODIES else None
    response = await rest.send(method, path, body)
    return response.status_code, json.loads(response.text.replace(tried, TRIED))


@pytest.mark.parametrize("place", PLACES)
async def test_another_users_id_is_as_one_that_never_was(
    rest: RestClient, database: Database, stranger: SignedIn, *, place: str
) -> None:
    theirs = await store_theirs(database, stranger)
    before = await state_of(database, stranger.user.id)
    expected = await answer(rest, place, new_id())
    assert expected[0] == (403 if "/users/" in place else 404)
    for tried in theirs:
        assert await answer(rest, place, tried) == expected
    assert await state_of(database, stranger.user.id) == before


@pytest.mark.parametrize(
    "place",
    sorted(
        f"{method.upper()} {path}"
        for path, methods in description()["paths"].items()
        for method, operation in methods.items()
        if operation.get("security")
    ),
)
async def test_who_is_not_signed_in(anyone: RestClient, place: str) -> None:
    method, _, path = place.partition(" ")
    problem = await anyone.problem(method, path.removeprefix("/api").replace("{", "").replace("}", ""))
    assert (problem["status"], problem["code"]) == (401, "UNAUTHENTICATED")
    assert problem["detail"].startswith("Sign in first")


async def test_lists_hold_ones_own(rest: RestClient, database: Database, stranger: SignedIn) -> None:
    await store_theirs(database, stranger)
    for path in ("/tasks", "/conversations"):
        assert await rest.ok("GET", path, include_total="true") == {"items": [], "next_cursor": None, "total": 0}
