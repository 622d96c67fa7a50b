"""Every API accepts and refuses the same callers, and no API reads text that is not Unicode."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx2
import pytest

from tests.access_tokens import make_access_token
from tests.factories import SignedIn, make_task, make_user, sign_in
from tests.parity.task_apis import Served
from tests.server.mcp.client import headers_of, message
from tests.state import state_of

Answer = tuple[int, str | None]
_LIST: Final = "{ tasks { nodes { title } } }"
_ADD: Final = "mutation ($title: String!) { createTask(input: {title: $title}) { errors { code } } }"


async def graphql(http: httpx2.AsyncClient, token: str | None, title: str | None = None) -> Answer:
    """Read, or add a task whose title is put into JSON just as it is; return the status and the code of a refusal."""
    body = json.dumps({"query": _LIST if title is None else _ADD, "variables": {"title": "TITLE"}})
    response = await http.post("/graphql", content=_with(body, title), headers=_headers(token))
    answer = response.json()
    return response.status_code, next((error["extensions"]["code"] for error in answer.get("errors", [])), None)


async def rest(http: httpx2.AsyncClient, token: str | None, title: str | None = None) -> Answer:
    method = "GET" if title is None else "POST"
    body = _with(json.dumps({"title": "TITLE"}), title)
    response = await http.request(method, "/api/tasks", content=body, headers=_headers(token))
    return response.status_code, response.json().get("code")


async def mcp(http: httpx2.AsyncClient, token: str | None, title: str | None = None) -> Answer:
    name, given = ("list_tasks", {}) if title is None else ("add_task", {"title": "TITLE"})
    sent = message("tools/call", name=name, arguments=given)
    body = _with(json.dumps(sent), title)
    response = await http.post("/mcp", content=body, headers=headers_of(token, sent))
    answer = response.json()
    return response.status_code, answer["error"]["data"]["code"] if "error" in answer else None


def _headers(token: str | None) -> dict[str, str]:
    credentials = {} if token is None else {"Authorization": f"Bearer {token}"}
    return {"Content-Type": "application/json", "Accept": "application/graphql-response+json"} | credentials


def _with(body: str, title: str | None) -> bytes:
    return body.replace('"TITLE"', f'"{title}"').encode()


async def nothing(_house: Served, _user: SignedIn, _admin: SignedIn) -> None:
    """Change nothing."""


async def deactivate(served: Served, user: SignedIn, admin: SignedIn) -> None:
    await served.server.runtime.accounts.set_user_active(admin.caller, user.user.id, is_active=False)


async def delete(served: Served, user: SignedIn, admin: SignedIn) -> None:
    await served.server.runtime.accounts.delete_user(admin.caller, user.user.id)


DENIED: Final = (401, "UNAUTHENTICATED")
SERVED: Final = (200, None)
Happening = Callable[[Served, SignedIn, SignedIn], Awaitable[None]]


@pytest.mark.parametrize(("happens", "after"), [(nothing, SERVED), (deactivate, DENIED), (delete, DENIED)])
async def test_deactivated_and_deleted_users_are_refused_by_every_api(
    served: Served, user: SignedIn, happens: Happening, after: Answer
) -> None:
    admin = await sign_in(
        served.database, served.server.runtime.settings, await make_user(served.database, is_admin=True)
    )
    await make_task(served.database, user.caller)
    issued = await make_access_token(served.database, user.caller)
    apis = {graphql: user.token, rest: user.token, mcp: issued.text}
    assert [await ask(served.http, token) for ask, token in apis.items()] == [SERVED] * 3
    await happens(served, user, admin)
    assert [await ask(served.http, token) for ask, token in apis.items()] == [after] * 3


async def test_request_without_a_token_is_refused_by_every_api(served: Served) -> None:
    told = [await ask(served.http, None) for ask in (graphql, rest, mcp)]
    # Of a GraphQL document parts may be answered to anyone.
    assert told == [(200, "UNAUTHENTICATED"), DENIED, DENIED]


async def test_token_is_accepted_by_its_own_apis_only(served: Served, user: SignedIn) -> None:
    issued = await make_access_token(served.database, user.caller)
    assert [await ask(served.http, user.token) for ask in (graphql, rest, mcp)] == [SERVED, SERVED, DENIED]
    assert [await ask(served.http, issued.text) for ask in (graphql, rest, mcp)] == [DENIED, DENIED, SERVED]


@pytest.mark.parametrize("title", ["\\ud800", "a\\udfff", "\\udc00\\ud800"])
async def test_lone_surrogate_is_refused_by_every_api(served: Served, user: SignedIn, title: str) -> None:
    issued = await make_access_token(served.database, user.caller)
    before = await state_of(served.database, user.user.id)
    tokens: dict[Any, str] = {graphql: user.token, rest: user.token, mcp: issued.text}
    told = [await ask(served.http, token, title) for ask, token in tokens.items()]
    assert told == [(400, "BAD_USER_INPUT")] * 3
    assert await state_of(served.database, user.user.id) == before
