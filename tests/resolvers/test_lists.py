"""Every list as a Relay connection, over HTTP: pages, cursors, counts and bounds, filters and orders."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import pytest
from hypothesis import example, given
from pydantic.alias_generators import to_camel

from core.database import Database
from core.ids import new_ids
from core.settings import Settings
from models import Conversation, Task
from services.entities.lists import StringFilter
from services.tasks.task_lists import TaskFilter, TaskOrder
from tests.factories import SignedIn, message_row, sign_in, store, task_row
from tests.graph_client import Answer, GraphClient
from tests.resolvers.user_api import UserApi
from tests.services.task_filters import lets_through, task_filters, various_tasks
from tests.services.task_rows import NOON, in_order, orders

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


async def test_page_size_and_cursor_are_checked(lists: Lists) -> None:
    cases = [
        ({name: size}, f"{name} must be 0 to 100; it is {size}.") for name in ("first", "last") for size in (-1, 101)
    ]
    for arguments, message in [*cases, ({"first": 1, "last": 1}, "Pass first or last, not both.")]:
        for field in FIELDS:
            answer = await lists.send(field, **arguments)
            assert (answer.codes, answer.errors[0]["message"]) == (["BAD_USER_INPUT"], message)
            assert answer.errors[0]["path"][-1] in {"list", "tasks", "subtasks", "conversations", "messages"}
    cursor = (await lists.read(FIELDS[0], first=1))["pageInfo"]["endCursor"]
    codes = [(await lists.send(field, after=cursor)).codes for field in FIELDS]
    assert codes == [[], [], *[["BAD_USER_INPUT"]] * 2, [], ["BAD_USER_INPUT"]]


Shelf = tuple[SignedIn, Sequence[Task]]

FILTERED: Final = """query ($filter: TaskFilter, $orderBy: [TaskOrder!]) {
    tasks(first: 100, filter: $filter, orderBy: $orderBy) { totalCount nodes { id } } }"""


@pytest.fixture(scope="module")
async def shelf(database: Database, settings: Settings) -> Shelf:
    user = await sign_in(database, settings)
    tasks = [task_row(user.user.id, **values) for values in various_tasks(40)]
    await store(database, *tasks)
    return user, tasks


def as_json(value: Any) -> Any:
    """Return a filter or an order as a client writes it, with null for what is not wanted."""
    if isinstance(value, list):
        return [as_json(part) for part in value]
    if is_dataclass(value):
        return {to_camel(field.name.rstrip("_")): as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, StrEnum) else value


def without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [without_nulls(part) for part in value]
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    return value


@example(wanted=TaskFilter(title=StringFilter(starts_with="É")), order=[])
@given(wanted=task_filters, order=orders)
async def test_filter_and_order_select_the_rows_of_plain_python(
    client: GraphClient, shelf: Shelf, wanted: TaskFilter, order: list[TaskOrder]
) -> None:
    user, tasks = shelf
    expected = in_order([task for task in tasks if lets_through(wanted, task)], order)
    variables = {"filter": as_json(wanted), "orderBy": as_json(order)}
    for given_variables in (variables, without_nulls(variables)):
        found = (await client.query(FILTERED, given_variables, as_=user))["tasks"]
        assert [node["id"] for node in found["nodes"]] == expected
        assert found["totalCount"] == len(expected)
