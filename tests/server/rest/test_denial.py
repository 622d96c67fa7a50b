"""What is another user's is as if it did not exist, over REST; the places to try are read from the description."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from core.database import Database
from core.ids import new_id
from tests.factories import SignedIn, make_task
from tests.server.rest.client import RestClient
from tests.server.rest.test_openapi import description, ids_of
from tests.state import state_of

# What is sent to each operation that needs more than the id that is tried, in its path or in its body.
TRIED: Final = "the id that is tried"
BODIES: Final[dict[str, dict[str, Any]]] = {
    "POST /api/tasks": {"title": "Mine"},
    "PATCH /api/tasks/{task_id}": {"title": "Mine"},
    "PUT /api/tasks/{task_id}": {"title": "Mine"},
    "PATCH /api/conversations/{conversation_id}": {"title": "Mine"},
    "PATCH /api/users/{user_id}": {"is_active": False},
    "POST /api/tool-calls/{tool_call_id}/resolve": {"approve": True},
    "POST /api/chat": {"message": "Mine"},
    "POST /api/chat/stream": {"message": "Mine"},
}


def places() -> Iterator[tuple[str, str]]:
    """Name each operation that takes an id, with the name of the parameter or of the property of its body."""
    schemas = description()["components"]["schemas"]
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            place = f"{method.upper()} {path}"
            if "{" in path:
                yield place, "path"
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            known = schemas[body["$ref"].rpartition("/")[2]] if "$ref" in body else body
            yield from ((place, name) for name in known.get("properties", {}) if name.endswith("_id"))


async def answer(rest: RestClient, place: str, key: str, tried: str, own: str) -> Any:
    method, _, path = place.partition(" ")
    path = re.sub(r"\{.*\}", tried if key == "path" else own, path.removeprefix("/api"))
    body = BODIES.get(place) if key == "path" else BODIES.get(place, {}) | {key: tried}
    response = await rest.send(method, path, body)
    return response.status_code, json.loads(response.text.replace(tried, TRIED))


@pytest.mark.parametrize(("place", "key"), sorted(places()))
async def test_id_of_another_user_is_answered_as_an_unknown_one(
    rest: RestClient, database: Database, stranger: SignedIn, *, place: str, key: str
) -> None:
    theirs = [*(await ids_of(database, stranger, is_read=False)).values(), stranger.user.id]
    assert rest.user is not None
    own = (await make_task(database, rest.user.caller)).id
    before = [await state_of(database, each.user.id) for each in (stranger, rest.user)]
    expected = await answer(rest, place, key, new_id(), own)
    assert expected[0] == (403 if "/users/" in place else 404)
    for tried in theirs:
        assert await answer(rest, place, key, tried, own) == expected
    assert [await state_of(database, each.user.id) for each in (stranger, rest.user)] == before


def test_bodies_are_of_operations_that_take_an_id() -> None:
    assert BODIES.keys() <= {place for place, _ in places()}


async def test_route_without_a_caller_is_refused(anyone: RestClient) -> None:
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            if operation.get("security"):
                problem = await anyone.problem(method.upper(), re.sub("[{}]", "", path.removeprefix("/api")))
                assert (problem["status"], problem["code"]) == (401, "UNAUTHENTICATED"), (method, path)
                assert problem["detail"].startswith("Sign in first")


async def test_lists_hold_rows_of_the_caller_only(rest: RestClient, database: Database, stranger: SignedIn) -> None:
    await ids_of(database, stranger, is_read=False)
    for path in ("/tasks", "/conversations"):
        assert await rest.ok("GET", path, include_total="true") == {"items": [], "next_cursor": None, "total": 0}
