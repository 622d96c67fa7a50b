"""Every API accepts and refuses the same callers and values: with the same code, the same message, and no trace."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import httpx2
import pytest

from services.accounts.access_tokens import CreatedAccessToken
from tests.access_tokens import make_access_token
from tests.factories import NOBODYS_ID, SignedIn, make_task
from tests.graph_client import GraphClient
from tests.parity.task_apis import ALL, WITHOUT_MCP, RefusedError, Served
from tests.server.mcp.client import headers_of, message
from tests.state import state_of

OWN: Final = "0190aaaa-0000-7000-8000-000000000001"
BELOW: Final = "0190aaaa-0000-7000-8000-000000000002"
THEIRS: Final = "0190aaaa-0000-7000-8000-000000000003"
NUL: Final = "contains a NUL character or a lone surrogate; remove it and send the text as valid Unicode."
EMPTY: Final = "must be 1 to 50 characters long; it has 0."
CIRCLE: Final = "A task cannot be below itself; choose a parent outside its subtasks."
MOMENT: Final = "is no moment; write it as RFC 3339 with an offset, such as 2026-01-31T09:00:00Z."

Ask = Callable[[Any], Awaitable[Any]]
PLACES_OF_IDS: Final[list[tuple[Callable[[Any, str], Awaitable[Any]], Sequence[str]]]] = [
    (lambda api, row_id: api.get(row_id), WITHOUT_MCP),
    (lambda api, row_id: api.update(row_id, title="Mine"), ALL),
    (lambda api, row_id: api.complete(row_id), ALL),
    (lambda api, row_id: api.reopen(row_id), ALL),
    (lambda api, row_id: api.toggle(row_id), WITHOUT_MCP),
    (lambda api, row_id: api.delete(row_id), ALL),
    (lambda api, row_id: api.add(title="Mine", parent_id=row_id), ALL),
    (lambda api, row_id: api.update(OWN, parent_id=row_id), ALL),
]
UNKNOWN_IDS: Final = (THEIRS, NOBODYS_ID, "1; DROP TABLE tasks", "\0", "٣" * 36)
# With the whole message, by the rules of the services.
SAME_MESSAGE: Final[list[tuple[Ask, str]]] = [
    (lambda api: api.add(title=" \n"), "title must be 1 to 500 characters long; it has 0."),
    (lambda api: api.update(OWN, title="a\0b"), f"title {NUL}"),
    (lambda api: api.add(title="x", description="\0"), f"description {NUL}"),
    (lambda api: api.add(title="x", tags=["y", "\0"]), f"tags[1] {NUL}"),
    (lambda api: api.add(title="x", tags=["y", " "]), f"tags[1] {EMPTY}"),
    (lambda api: api.add(title="x", tags=[str(n) for n in range(21)]), "A task has at most 20 tags; these are 21."),
    (lambda api: api.update(OWN, parent_id=OWN), CIRCLE),
    (lambda api: api.update(OWN, parent_id=BELOW), CIRCLE),
]
# With a part of the message, for each API reads values of its own form in its own words.
OWN_MESSAGE: Final[list[tuple[Ask, str, Sequence[str]]]] = [
    (lambda api: api.add(title="x" * 501), "500 characters long; it has 501.", ALL),
    (lambda api: api.add(title="x", description="y" * 10_001), "at most 10000 characters long; it has 10001.", ALL),
    (lambda api: api.update(OWN, tags=["y" * 51]), "50 characters long; it has 51.", ALL),
    (lambda api: api.update(OWN, title=None), "title", ALL),
    (lambda api: api.add(title="x", due_at="2026-01-31T09:00:00"), f"'2026-01-31T09:00:00' {MOMENT}", ALL),
    (lambda api: api.add(title="x", priority="URGENT"), "priority", ALL),
    (lambda api: api.add(description="x"), "title", ALL),
    (lambda api: api.add(title=1), "title", ALL),
    # GraphQL takes one value for a list of it, and a page of nothing.
    (lambda api: api.add(title="x", tags="a"), "tags", ("rest", "mcp")),
    (lambda api: api.find(limit=0), "", ("rest", "mcp")),
    (lambda api: api.add(title="x", user_id=NOBODYS_ID), "", ALL),
    (lambda api: api.find(limit=101), "", ALL),
    (lambda api: api.find(order="revision"), "", ALL),
    (lambda api: api.find(priority="URGENT"), "", ALL),
    (lambda api: api.search("x" * 1_001), "", ALL),
    (lambda api: api.search("\0"), f" {NUL}", ALL),
]


async def refusals(served: Served, user: SignedIn, asked: Sequence[tuple[Ask, Sequence[str]]]) -> list[set[str]]:
    """Return the messages of each refusal, whose codes must be the same; a tool's result has none, for models."""
    found = []
    async with served.open(user) as apis:
        for ask, names in asked:
            errors: dict[str, RefusedError] = {}
            for name in names:
                with pytest.raises(RefusedError) as refused:
                    await ask(apis[name])
                errors[name] = refused.value
            assert len({error.code for error in errors.values()} - {None}) == 1, errors
            assert {name for name, error in errors.items() if error.code is None} <= {"mcp"}, errors
            code = next(error.code for error in errors.values() if error.code is not None)
            found.append({f"{code}: {error.message}" for error in errors.values()})
    return found


async def test_every_api_refuses_alike_and_changes_nothing(served: Served, user: SignedIn, stranger: SignedIn) -> None:
    await make_task(served.database, user.caller, id=OWN)
    await make_task(served.database, user.caller, id=BELOW, parent_id=OWN)
    await make_task(served.database, stranger.caller, id=THEIRS)
    before = [await state_of(served.database, each.user.id) for each in (user, stranger)]
    unknown: list[tuple[Ask, Sequence[str]]] = [
        (lambda api, ask=ask, row_id=row_id: ask(api, row_id), names)  # type: ignore[misc]  # a lambda's default has no type
        for ask, names in PLACES_OF_IDS
        for row_id in UNKNOWN_IDS
    ]
    for messages in await refusals(served, user, unknown):
        assert messages == {"NOT_FOUND: There is no such task."}
    same = await refusals(served, user, [(ask, ALL) for ask, _ in SAME_MESSAGE])
    assert same == [{f"BAD_USER_INPUT: {message}"} for _, message in SAME_MESSAGE]
    own = await refusals(served, user, [(ask, names) for ask, _, names in OWN_MESSAGE])
    for messages, (_, part, _) in zip(own, OWN_MESSAGE, strict=True):
        assert all(each.startswith("BAD_USER_INPUT: ") and part in each for each in messages), messages
    assert [await state_of(served.database, each.user.id) for each in (user, stranger)] == before


DENIED: Final = (401, "UNAUTHENTICATED")
SERVED: Final = (200, None)


async def ask(http: httpx2.AsyncClient, api: str, token: str | None) -> tuple[int, Any]:
    """List the tasks; return the status and the code of a refusal."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if api == "rest":
        response = await http.get("/api/tasks", headers=headers)
    elif api == "mcp":
        body = message("tools/call", name="list_tasks", arguments={})
        response = await http.post("/mcp", json=body, headers=headers_of(token, body))
    else:
        body = {"query": "{ tasks { nodes { title } } }"}
        response = await http.post(
            "/graphql", json=body, headers=headers | {"Accept": "application/graphql-response+json"}
        )
    answer = response.json()
    if api == "rest":
        return response.status_code, answer.get("code")
    errors = answer.get("errors", []) if api == "graphql" else [answer["error"]] if "error" in answer else []
    return response.status_code, next((error.get("extensions", error.get("data"))["code"] for error in errors), None)


async def ask_all(served: Served, user: SignedIn, issued: CreatedAccessToken) -> list[Any]:
    tokens = {"graphql": user.token, "rest": user.token, "mcp": issued.text}
    return [await ask(served.http, api, token) for api, token in tokens.items()]


@pytest.mark.parametrize(("name", "given"), [("setUserActive", {"isActive": False}), ("deleteUser", {})])
async def test_deactivated_and_deleted_users_are_refused_by_every_api(
    served: Served, user: SignedIn, admin: SignedIn, name: str, given: dict[str, Any]
) -> None:
    issued = await make_access_token(served.database, user.caller)
    assert await ask_all(served, user, issued) == [SERVED] * 3
    await GraphClient(served.http).mutate(name, {"id": user.user.id} | given, as_=admin)
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
