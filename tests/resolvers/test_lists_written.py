"""Lists that PostgreSQL may write: over HTTP each answer is, to the byte, what is made of rows without it."""

from typing import Any, Final

import httpx
import orjson
import pytest

from core.database import Database
from core.settings import Settings
from tests.factories import SignedIn
from tests.graph.operations import run
from tests.graph_client import GraphClient
from tests.resolvers.lists import FIELDS, Lists, fill_lists
from tests.servers import RunningServer

INFO: Final = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
ALL: Final = {
    "tasks": "title description completed completedAt priority dueAt tags createdAt updatedAt",
    "subtasks": "title priority dueAt tags",
    "conversations": "title createdAt updatedAt",
    "messages": "role content status createdAt",
}
LINKS: Final = {
    "tasks": "owner { id } subtasks { nodes { id title } }",
    "subtasks": "parent { id }",
    "conversations": "messages(last: 2) { nodes { id content } }",
    "messages": "run { id }",
}
PAGES: Final = (
    "{ nodes { id ALL } }",
    "{ nodes { ...{ revision } id } pageInfo { hasNextPage hasPreviousPage } }",
    f"{{ __typename nodes {{ __typename id now: createdAt }} {INFO} totalCount }}",
    f"{{ {INFO} nodes {{ id }} nodes {{ ALL }} }}",
    "{ nodes { id @skip(if: $no) revision @include(if: $no) createdAt @skip(if: $yes) } }",
    "{ nodes { id } again: nodes { createdAt } }",
    f"{{ edges {{ cursor node {{ id }} }} nodes {{ id revision }} {INFO} }}",
    f"{{ nodes {{ {'a' * 64}: id }} }}",
    "{ nodes { id LINK } }",
    f"{{ nodes {{ fields: id Id: createdAt select: __typename }} {INFO} }}",
    "{ nodes { id @include(if: false) } }",
    "{ nodes { __typename } }",
    f"{{ nodes {{ {' '.join(f'a{number}: id' for number in range(64))} }} }}",
    f"{{ nodes {{ {' '.join(f'a{number}: id' for number in range(65))} }} }}",
)
WINDOWS: Final = ("", "(first: 0)", "(first: 3)", "(last: 4)", "(first: 100)", "(last: 100)")


@pytest.fixture(scope="module")
async def lists(database: Database, settings: Settings, client: GraphClient) -> Lists:
    """Give a user with rows in every list."""
    return (await fill_lists(database, settings, client))[0]


async def answer(http: httpx.AsyncClient, user: SignedIn, query: str, variables: dict[str, Any]) -> bytes:
    headers = {"Authorization": f"Bearer {user.token}", "Accept-Encoding": "identity"}
    response = await http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
    assert response.status_code == httpx.codes.OK
    return response.content


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("field", FIELDS)
async def test_an_answer_to_the_byte(
    server: RunningServer, http: httpx.AsyncClient, lists: Lists, field: str, page: str
) -> None:
    name = next(name for name in reversed(ALL) if f"{name} %s" in field)
    field = field.replace("PARENT", lists.parent_id).replace("CONVERSATION", lists.conversation_id)
    variables = {"yes": True, "no": False} if "$" in page else {}
    given = "($yes: Boolean!, $no: Boolean!)" if variables else ""
    page = page.replace("ALL", ALL[name]).replace("LINK", LINKS[name])
    for window in WINDOWS:
        query = f"query {given} {{ {field % (window + page)} }}"
        rows = await run(server, lists.user, query, variables)
        assert await answer(http, lists.user, query, variables) == orjson.dumps({"data": rows.data})


async def test_a_page_goes_on_where_another_ended(server: RunningServer, http: httpx.AsyncClient, lists: Lists) -> None:
    query = f"query ($after: String) {{ tasks(first: 10, after: $after) {{ nodes {{ id }} {INFO} }} }}"
    after: str | None = None
    seen: list[Any] = []
    while after is not None or not seen:
        found = orjson.loads(await answer(http, lists.user, query, {"after": after}))["data"]["tasks"]
        seen += found["nodes"]
        after = found["pageInfo"]["endCursor"] if found["pageInfo"]["hasNextPage"] else None
    assert seen == (await run(server, lists.user, "{ tasks(first: 100) { nodes { id } } }")).data["tasks"]["nodes"]


async def test_nobody_elses_rows(http: httpx.AsyncClient, lists: Lists, stranger: SignedIn) -> None:
    query = f"""{{ tasks {{ nodes {{ id }} {INFO} }} conversations {{ nodes {{ id messages {{ nodes {{ id }} }} }} }}
        task(id: "{lists.parent_id}") {{ subtasks {{ nodes {{ id }} }} }} }}"""
    found = orjson.loads(await answer(http, stranger, query, {}))["data"]
    assert (found["tasks"]["nodes"], found["conversations"]["nodes"], found["task"]) == ([], [], None)
