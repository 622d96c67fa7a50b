"""The REST API: its routes, its OpenAPI description, and the problems of paths without a route."""

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from server.http.pages import docs_page
from server.rest import account, chat, conversation, task, webhooks
from server.rest.chat_stream import EVENTS
from server.rest.problem import MEDIA_TYPE, problem

PREFIX: Final = "/api/"
_ROUTERS: Final = (
    account.auth_router,
    webhooks.router,
    account.users_router,
    task.router,
    conversation.router,
    chat.router,
    chat.runs_router,
)
_DESCRIPTION: Final = """The same tasks, conversations and accounts as over GraphQL, by the same rules.

Sign in at `/api/auth/login`, or make an account at `/api/auth/register`, and send the access token as
`Authorization: Bearer …`. Failures are problem details (RFC 9457); their `code` says what is wrong, their `errors`
where.
A request with an `Idempotency-Key` can be sent twice and is carried out once.
A change with an `If-Match` is carried out only where the thing is still as its `ETag` says."""
_REFERENCE: Final = "#/components/schemas/{model}"
_PROBLEM: Final = {"$ref": _REFERENCE.format(model="Problem")}


def add_rest(app: FastAPI, pages: Path) -> None:
    """Serve the REST routes, their description at /openapi.json, and its page at /docs."""
    for router in _ROUTERS:
        app.include_router(router)

    @cache
    def document() -> bytes:
        return orjson.dumps(describe(app))

    async def description(_request: Request) -> Response:
        return Response(document(), media_type="application/json", headers={"cache-control": "no-cache"})

    page = docs_page(pages)

    async def docs(_request: Request) -> Response:
        return page.response()

    app.router.routes += [Route("/openapi.json", description), Route("/docs", docs), *page.assets]


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description of the API, as OpenAPI."""
    document = get_openapi(title="Tasktalk", version=version("tasktalk"), description=_DESCRIPTION, routes=app.routes)
    events = dict.fromkeys(EVENTS.values())
    _, described = models_json_schema([(each, "serialization") for each in events], ref_template=_REFERENCE)
    document["components"]["schemas"] |= described["$defs"]
    for operation in (each for operations in document["paths"].values() for each in operations.values()):
        for parameter in operation.get("parameters", ()):
            _forbid_null(parameter["schema"])
        for response in operation["responses"].values():
            content = response.get("content", {})
            if content.get("application/json", {}).get("schema") == _PROBLEM:
                content[MEDIA_TYPE] = content.pop("application/json")
    return document


def _forbid_null(schema: dict[str, Any]) -> None:
    """Describe a parameter that may be left out as what it is where it is sent: never null."""
    if "anyOf" in schema:
        (shown,) = (each for each in schema.pop("anyOf") if each != {"type": "null"})
        schema |= shown


def answer_http_error(request: Request, error: HTTPException) -> Response:
    """Answer a request that no route takes."""
    if error.status_code == 404:  # noqa: PLR2004
        return problem(404, "NOT_FOUND", "There is nothing at this path; /docs shows what there is.")
    if error.status_code == 405:  # noqa: PLR2004
        allowed = ", ".join(sorted(_methods(request)))
        detail = f"{request.method} cannot be used here; use {allowed}."
        return problem(405, "METHOD_NOT_ALLOWED", detail, headers={"allow": allowed})
    return problem(error.status_code, "BAD_USER_INPUT", str(error.detail), headers=error.headers)


def _methods(request: Request) -> set[str]:
    """Return the methods of the path: each route has one."""
    routes = [route for router in _ROUTERS for route in router.routes]
    matching = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in matching for method in getattr(route, "methods", ())}
