"""Every list as a Relay connection, over HTTP: pages, cursors, counts and bounds."""

from datetime import timedelta
from typing import Any, Final

import pytest

from core.database import Database
from core.ids import new_ids
from core.settings import Settings
from models import Conversation
from tests.factories import message_row, sign_in, store, task_row
from tests.graph_client import Answer, GraphClient
from tests.resolvers.user_api import UserApi
from tests.services.task_rows import NOON

COUNT: Final = 23
# Each list of the API, with the place of its arguments and selection.
FIELDS: Final = (
    *("tasks %s", "viewer { tasks %s }", "conversations %s", "viewer { conversations %s }"),
    *("task(id: $task) { subtasks %s }", "conversation(id: $talk) { messages %s }"),
)
QUERY: Final = """query ($task: ID!, $talk: ID!, $first: Int, $after: String, $last: Int, $before: String) {
    task(id: $task) { id } conversation(id: $talk) { id } list: %s }"""
PAGE: Final = """(first: $first, after: $after, last: $last, before: $before) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { id } } nodes { id } }"""
EMPTY_PAGE: Final = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}


class Lists:
    """A user with rows in every list, half of them of one moment; the ids of each list in its order."""

    def __init__(self, api: UserApi, variables: dict[str, str], ids: dict[str, list[str]]) -> None:
        self.api, self.variables, self.ids = api, variables, ids

    async def send(self, field: str, **arguments: Any) -> Answer:
        return await self.api.execute(QUERY % (field % PAGE), **self.variables, **arguments)

    async def read(self, field: str, **arguments: Any) -> dict[str, Any]:
        page: dict[str, Any] = (await self.send(field, **arguments)).require()["list"]
        while "edges" not in page:
            (page,) = page.values()
        cursors = [edge.pop("cursor") for edge in page["edges"]] or [None]
        assert [edge["node"] for edge in page.pop("edges")] == page["nodes"]
        assert (page["pageInfo"]["startCursor"], page["pageInfo"]["endCursor"]) == (cursors[0], cursors[-1])
        return page


@pytest.fixture(scope="module")
async def lists(database: Database, settings: Settings, client: GraphClient) -> Lists:
    user = await sign_in(database, settings)
    moments = [NOON + timedelta(seconds=max(index - 10, 0)) for index in range(COUNT)]
    tops, parts, talks, said = (new_ids(COUNT) for _ in range(4))
    talk: dict[str, Any] = {"user_id": user.user.id, "title": "t", "revision": 1}
    await store(
        database,
        *(task_row(user.user.id, id=new, created_at=moment) for new, moment in zip(tops, moments, strict=True)),
        *(Conversation(**talk, id=new, created_at=at, updated_at=at) for new, at in zip(talks, moments, strict=True)),
    )
    after = NOON + timedelta(days=1)
    await store(
        database,
        *(task_row(user.user.id, id=new, parent_id=tops[0], created_at=after) for new in parts),
        *(message_row(user, talks[0], id=new, created_at=at) for new, at in zip(said, moments, strict=True)),
    )
    in_order = [[*tops, *parts], [*tops, *parts], talks[::-1], talks[::-1], parts, said]
    variables = {"task": tops[0], "talk": talks[0]}
    return Lists(UserApi(client, database, user), variables, dict(zip(FIELDS, in_order, strict=True)))


@pytest.mark.parametrize(
    ("size", "more", "place"), [("first", "hasNextPage", "after"), ("last", "hasPreviousPage", "before")]
)
async def test_paging_returns_each_row_once(lists: Lists, size: str, more: str, place: str) -> None:
    for field, expected in lists.ids.items():
        for count in (1, 7, 100):
            pages = [await lists.read(field, **{size: count})]
            while pages[-1]["pageInfo"][more]:
                cursor = pages[-1]["pageInfo"]["endCursor" if size == "first" else "startCursor"]
                pages.append(await lists.read(field, **{size: count, place: cursor}))
            pages = pages[:: 1 if size == "first" else -1]
            assert [node["id"] for page in pages for node in page["nodes"]] == expected
            assert {page["totalCount"] for page in pages} == {len(expected)}
            rest = [True] * (len(pages) - 1)
            assert [page["pageInfo"]["hasNextPage"] for page in pages] == [*rest, False]
            assert [page["pageInfo"]["hasPreviousPage"] for page in pages] == [False, *rest]
        page = await lists.read(field, **{size: 0})
        assert page == {"totalCount": len(expected), "pageInfo": EMPTY_PAGE | {more: True}, "nodes": []}
        end = (await lists.read(field, last=1))["pageInfo"]["endCursor"]
        page = await lists.read(field, **{size: 5}, after=end)
        beyond = EMPTY_PAGE | {"hasPreviousPage": size == "first"}
        assert page == {"totalCount": len(expected), "pageInfo": beyond, "nodes": []}


async def test_empty_list_has_an_empty_page(api: UserApi) -> None:
    variables = {"task": (await api.task()).id, "talk": (await api.conversation()).id}
    for field in FIELDS[4:]:
        for arguments in ({}, {"first": 0}, {"first": 5}, {"last": 0}, {"last": 100}):
            page = await Lists(api, variables, {}).read(field, **arguments)
            assert page == {"totalCount": 0, "pageInfo": EMPTY_PAGE, "nodes": []}


async def test_page_size_and_cursor_are_checked(lists: Lists) -> None:
    cases = [
        ({name: size}, f"{name} must be 0 to 100; it is {size}.") for name in ("first", "last") for size in (-1, 101)
    ]
    for arguments, message in [*cases, ({"first": 1, "last": 1}, "Pass first or last, not both.")]:
        for field in FIELDS:
            answer = await lists.send(field, **arguments)
            assert (answer.codes, answer.errors[0]["message"]) == (["BAD_USER_INPUT"], message)
            assert answer.errors[0]["path"][-1] in {"list", "tasks", "subtasks", "conversations", "messages"}
    for source, ids in lists.ids.items():
        cursor = (await lists.read(source, first=1))["pageInfo"]["endCursor"]
        for field, others in lists.ids.items():
            is_same = ids[-1] in others or others[-1] in ids
            assert (await lists.send(field, after=cursor)).codes == ([] if is_same else ["BAD_USER_INPUT"])
