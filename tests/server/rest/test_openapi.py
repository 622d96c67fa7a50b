"""By the description of the API: requests that fit are taken, others refused, other users' ids are not found."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import httpx2
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema
from sqlmodel import Field, SQLModel

from core.database import Database
from core.ids import new_id
from core.settings import Settings
from models.columns import Writable
from server.rest.api import add_rest, describe
from server.rest.entities import create_body_of
from server.rest.fields import Body
from tests.databases import only_sqlite
from tests.factories import SignedIn, make_named, make_task, make_user, sign_in
from tests.server.rest.client import RestClient
from tests.servers import RunningServer, serve_with
from tests.state import state_of
from tests.waiting import PATIENCE_S

Asking = Callable[[str, str, GenerationMode], Awaitable[None]]

BOUNDS: Final[dict[str, Any]] = {"max_examples": 6, "deadline": None}
# What is right as far as the description can tell may still be stale, taken, or too much at once.
TAKEN: Final = ["2xx", "401", "403", "404", "409", "412", "429"]
REFUSED: Final = ["400", "401", "403", "404", "405", "409", "412", "413", "415", "422", "429"]
ACCEPTANCE: Final = {"positive_data_acceptance": {"expected-statuses": TAKEN}}
REJECTION: Final = {"negative_data_rejection": {"expected-statuses": REFUSED}}

schemathesis.openapi.format("time-zone", st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]))


@cache
def description() -> dict[str, Any]:
    app = FastAPI(openapi_url=None)
    add_rest(app, Path())
    return describe(app)


@cache
def schema() -> BaseSchema:
    return schemathesis.openapi.from_dict(
        description(), config=SchemathesisConfig.from_dict({"checks": ACCEPTANCE | REJECTION})
    )


def is_negatable(path: str, method: str) -> bool:
    """Tell whether there is a request of the operation that is wrong by its form."""
    operation = description()["paths"][path][method.lower()]
    return "requestBody" in operation or any(each["in"] == "query" for each in operation.get("parameters", ()))


def operations(*, negatable: bool = False) -> list[Any]:
    return [
        pytest.param(method.upper(), path, id=f"{method.upper()} {path}")
        for path, methods in description()["paths"].items()
        for method in methods
        if not negatable or is_negatable(path, method)
    ]


@pytest.fixture
def asking(server: RunningServer, database: Database, user: SignedIn, admin: RestClient) -> Asking:
    """Give what sends an operation's requests, each as it is generated, and has the answers checked."""

    async def ask(method: str, path: str, mode: GenerationMode) -> None:
        ids = await make_named(database, user, has_ended=method == "GET")
        asks = admin.user if "/users" in path and admin.user is not None else user
        in_path = {name: value for name, value in ids.items() if f"{{{name}}}" in path}
        strategy = schema()[path][method].as_strategy(mode, path_parameters=in_path or None)

        @hypothesis_settings(derandomize=True, database=None, suppress_health_check=list(HealthCheck), **BOUNDS)
        @given(strategy)
        def check(case: Case[Any]) -> None:
            if mode is GenerationMode.POSITIVE:
                # The description cannot say which texts are cursors, and which are ids of events.
                for part, name in ((case.query, "cursor"), (case.headers, "Last-Event-ID")):
                    if part:
                        part.pop(name, None)
            response = case.call(base_url=server.url, headers=asks.headers, timeout=PATIENCE_S)
            case.validate_response(response)

        await asyncio.to_thread(check)

    return ask


@pytest.mark.parametrize(("method", "path"), operations())
async def test_request_that_fits_the_description_is_accepted(asking: Asking, method: str, path: str) -> None:
    await asking(method, path, GenerationMode.POSITIVE)


@only_sqlite
@pytest.mark.parametrize(("method", "path"), operations(negatable=True))
async def test_request_that_does_not_fit_is_refused(asking: Asking, method: str, path: str) -> None:
    await asking(method, path, GenerationMode.NEGATIVE)


# What they take is known to clients alone.
KNOWN_TO_CLIENTS: Final = {
    *("deleteMe", "login", "refresh", "regenerateReply"),
    *("changeEmail", "resetPassword", "verifyEmail"),
}


async def test_examples_are_accepted_as_they_are(fresh_settings: Settings) -> None:
    async with serve_with(fresh_settings) as running, running.client() as http:
        database = running.runtime.database
        user = await sign_in(database, fresh_settings, await make_user(database, is_admin=True))
        for path, methods in description()["paths"].items():
            for method, operation in methods.items():
                if operation["operationId"] in KNOWN_TO_CLIENTS:
                    continue
                if (example := example_of(operation)) is not None:
                    sent_to = path.format_map(await make_named(database, user, has_ended=False))
                    response = await http.request(method, sent_to, json=example, headers=user.headers)
                    assert response.is_success, (method, path, response.text)
                else:
                    assert "requestBody" not in operation, path


def example_of(operation: dict[str, Any]) -> dict[str, Any] | None:
    """Return the example of the body that an operation takes, if it has one."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    example: dict[str, Any] | None
    (example,) = description()["components"]["schemas"].get(name, {}).get("examples", [None])
    return example


def test_operations_have_names_for_clients_and_parameters_are_never_null() -> None:
    operations = [each for path in description()["paths"].values() for each in path.values()]
    names = [each["operationId"] for each in operations]
    assert all(re.fullmatch("[a-z]+([A-Z][a-z]+)*", name) for name in names)
    assert len(set(names)) == len(names)
    assert {"createTask", "listMessages", "undoRun"} <= set(names)
    parameters = [each for operation in operations for each in operation.get("parameters", ())]
    assert [each["name"] for each in parameters if "anyOf" in each["schema"]] == []


async def test_description_is_public(http: httpx2.AsyncClient) -> None:
    response = await http.get("/openapi.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.json() == description()


def test_every_operation_schema_and_field_is_described() -> None:
    operations = [each for path in description()["paths"].values() for each in path.values()]
    assert [each for each in operations if not (each["summary"] and each["description"] and each["tags"])] == []
    schemas = description()["components"]["schemas"]
    fields = [field for schema in schemas.values() for field in schema.get("properties", {}).items()]
    parameters = [each for operation in operations for each in operation.get("parameters", ()) if each["in"] != "path"]
    silent = [name for name, field in fields if not (field.get("description") or "$ref" in field)]
    silent += [each["name"] for each in parameters if not each.get("description")]
    silent += [name for name, schema in schemas.items() if not schema.get("description") and "enum" not in schema]
    assert (silent, [name for name in schemas if not name.isidentifier()]) == ([], [])


def test_all_but_six_routes_require_a_caller() -> None:
    paths = description()["paths"].items()
    anonymous = {path for path, methods in paths for each in methods.values() if not each.get("security")}
    links = {"/api/auth/verify-email", "/api/auth/request-password-reset", "/api/auth/reset-password"}
    assert anonymous == {"/api/auth/register", "/api/auth/login", "/api/auth/refresh"} | links
    (scheme,) = description()["components"]["securitySchemes"].values()
    assert scheme["flows"]["password"]["tokenUrl"] == "/api/auth/login"


class Plan(SQLModel):
    """A model with a number."""

    minutes: Annotated[int | None, Writable()] = Field(default=None, ge=1, le=60, description="How long it takes.")


@create_body_of(Plan)
class PlanToMake(Body):
    """A plan to make."""


def test_integer_is_taken_as_json_schema_describes_it() -> None:
    integer, null = PlanToMake.model_json_schema()["properties"]["minutes"]["anyOf"]
    assert (integer, null) == ({"type": "integer", "minimum": 1, "maximum": 60}, {"type": "null"})
    for sent, taken in ((60, 60), (60.0, 60), (None, None)):
        minutes = PlanToMake.model_validate({"minutes": sent}).model_dump()["minutes"]
        assert (minutes, type(minutes)) == (taken, type(taken))
    for wrong in (0, 61, 1.5, "60", True, 1e400):
        with pytest.raises(ValidationError):
            PlanToMake.model_validate({"minutes": wrong})


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
    "POST /api/chat/regenerate": {},
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
    theirs = [*(await make_named(database, stranger, has_ended=False)).values(), stranger.user.id]
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
    await make_named(database, stranger, has_ended=False)
    for path in ("/tasks", "/conversations"):
        assert await rest.ok("GET", path, include_total="true") == {"items": [], "next_cursor": None, "total": 0}
