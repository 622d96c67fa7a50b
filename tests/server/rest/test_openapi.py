"""Schemathesis runs over the description of the API: valid requests are taken, others refused, all as described."""

import asyncio
from collections.abc import Awaitable, Callable
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
from models import RunStatus, ToolCallStatus
from models.columns import Writable
from server.rest.api import add_rest, describe
from server.rest.entities import create_body_of
from server.rest.fields import Body
from tests.databases import only_sqlite
from tests.factories import (
    SignedIn,
    answered_rows,
    make_answered,
    make_conversation,
    make_task,
    make_user,
    store_answered,
    tool_call_row,
)
from tests.server.rest.client import RestClient
from tests.servers import RunningServer
from tests.waiting import PATIENCE_S

Asking = Callable[[str, str, GenerationMode], Awaitable[None]]

BOUNDS: Final[dict[str, Any]] = {"max_examples": 8, "deadline": None}
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


async def ids_of(database: Database, user: SignedIn, *, is_read: bool) -> dict[str, str]:
    """Make something of everything for the user, and return the ids; a run that is read has ended."""
    conversation = await make_conversation(database, user.caller)
    answered = answered_rows(user, conversation.id, status=RunStatus.AWAITING_APPROVAL, state="{}")
    ended = await make_answered(database, user, conversation.id)
    waits = {"status": ToolCallStatus.AWAITING_APPROVAL, "result": None}
    # One that stays, so that the run does not go on.
    answered.calls.extend(tool_call_row(answered.run, position, **waits) for position in range(2))
    await store_answered(database, answered)
    return {
        "task_id": (await make_task(database, user.caller)).id,
        "conversation_id": conversation.id,
        "run_id": ended.run.id if is_read else answered.run.id,
        "tool_call_id": answered.calls[0].id,
        "user_id": (await make_user(database)).id,
        "message_id": answered.reply.id,
    }


@pytest.fixture
def asking(server: RunningServer, database: Database, user: SignedIn, admin: RestClient) -> Asking:
    """Give what sends an operation's requests, each as it is generated, and has the answers checked."""

    async def ask(method: str, path: str, mode: GenerationMode) -> None:
        ids = await ids_of(database, user, is_read=method == "GET")
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


def test_all_but_three_routes_require_a_caller() -> None:
    paths = description()["paths"].items()
    anonymous = {path for path, methods in paths for each in methods.values() if not each.get("security")}
    assert anonymous == {"/api/auth/register", "/api/auth/login", "/api/auth/refresh"}
    (scheme,) = description()["components"]["securitySchemes"].values()
    assert scheme["flows"]["password"]["tokenUrl"] == "/api/auth/login"


class Plan(SQLModel):
    """A model with a number."""

    minutes: Annotated[int | None, Writable()] = Field(default=None, ge=1, le=60, description="How long it takes.")


@create_body_of(Plan)
class PlanToMake(Body):
    """A plan to make."""


@pytest.mark.parametrize("sent", [60, 60.0, None])
def test_integer_is_taken_as_json_schema_describes_it(sent: Any) -> None:
    minutes = PlanToMake.model_validate({"minutes": sent}).model_dump()["minutes"]
    assert (minutes, type(minutes)) == (sent, type(sent) if sent is None else int)


@pytest.mark.parametrize("sent", [0, 61, 1.5, "60", True, 1e400])
def test_what_is_no_integer_within_the_bounds_is_refused(sent: Any) -> None:
    with pytest.raises(ValidationError):
        PlanToMake.model_validate({"minutes": sent})


def test_bounds_of_a_nullable_integer_are_described() -> None:
    integer, null = PlanToMake.model_json_schema()["properties"]["minutes"]["anyOf"]
    assert (integer, null) == ({"type": "integer", "minimum": 1, "maximum": 60}, {"type": "null"})
