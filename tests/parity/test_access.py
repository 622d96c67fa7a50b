"""Every API accepts and refuses the same callers, and no API reads text that is not Unicode."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx2
import pytest

from services.accounts.access_tokens import CreatedAccessToken
from tests.access_tokens import make_access_token
from tests.factories import SignedIn, make_task, make_user, sign_in
from tests.parity.task_apis import ALL, Served
from tests.server.mcp.client import headers_of, message
from tests.state import state_of

DENIED: Final = (401, "UNAUTHENTICATED")
SERVED: Final = (200, None)
_LIST: Final = "{ tasks { nodes { title } } }"
_ADD: Final = "mutation ($title: String!) { createTask(input: {title: $title}) { errors { code } } }"


async def ask(http: httpx2.AsyncClient, api: str, token: str | None, title: str | None = None) -> tuple[int, Any]:
    """Read, or add a task whose title is put into JSON just as it is; return the status and the code of a refusal."""
    credentials = {} if token is None else {"Authorization": f"Bearer {token}"}
    headers = {"Content-Type": "application/json", "Accept": "application/graphql-response+json"} | credentials
    given: dict[str, Any] = {} if title is None else {"title": "TITLE"}
    method, path, body = "POST", "/graphql", {"query": _ADD if given else _LIST, "variables": given}
    if api == "rest":
        method, path, body = "POST" if given else "GET", "/api/tasks", given
    elif api == "mcp":
        path, body = "/mcp", message("tools/call", name="add_task" if given else "list_tasks", arguments=given)
        headers = headers_of(token, body)
    content = json.dumps(body).replace('"TITLE"', f'"{title}"').encode()
    response = await http.request(method, path, content=content, headers=headers)
    answer = response.json()
    if api == "rest":
        return response.status_code, answer.get("code")
    errors = answer.get("errors", []) if api == "graphql" else [answer["error"]] if "error" in answer else []
    return response.status_code, next((error.get("extensions", error.get("data"))["code"] for error in errors), None)


async def ask_all(served: Served, user: SignedIn, issued: CreatedAccessToken, title: str | None = None) -> list[Any]:
    tokens = {"graphql": user.token, "rest": user.token, "mcp": issued.text}
    return [await ask(served.http, api, token, title) for api, token in tokens.items()]


Ending = Callable[[Served, SignedIn, SignedIn], Awaitable[object]]
ENDINGS: Final[dict[str, Ending]] = {
    "deactivated": lambda served, user, admin: served.server.runtime.accounts.set_user_active(
        admin.caller, user.user.id, is_active=False
    ),
    "deleted": lambda served, user, admin: served.server.runtime.accounts.delete_user(admin.caller, user.user.id),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_deactivated_and_deleted_users_are_refused_by_every_api(
    served: Served, user: SignedIn, ending: str
) -> None:
    settings = served.server.runtime.settings
    admin = await sign_in(served.database, settings, await make_user(served.database, is_admin=True))
    await make_task(served.database, user.caller)
    issued = await make_access_token(served.database, user.caller)
    assert await ask_all(served, user, issued) == [SERVED] * 3
    await ENDINGS[ending](served, user, admin)
    assert await ask_all(served, user, issued) == [DENIED] * 3


async def test_token_is_accepted_by_its_own_apis_only(served: Served, user: SignedIn) -> None:
    issued = await make_access_token(served.database, user.caller)
    for token, expected in (
        # Of a GraphQL document parts may be answered to anyone.
        (None, [(200, "UNAUTHENTICATED"), DENIED, DENIED]),
        (user.token, [SERVED, SERVED, DENIED]),
        (issued.text, [DENIED, DENIED, SERVED]),
    ):
        assert [await ask(served.http, api, token) for api in ALL] == expected


async def test_lone_surrogate_is_refused_by_every_api(served: Served, user: SignedIn) -> None:
    issued = await make_access_token(served.database, user.caller)
    before = await state_of(served.database, user.user.id)
    for title in ("\\ud800", "a\\udfff", "\\udc00\\ud800"):
        assert await ask_all(served, user, issued, title) == [(400, "BAD_USER_INPUT")] * 3
    assert await state_of(served.database, user.user.id) == before
