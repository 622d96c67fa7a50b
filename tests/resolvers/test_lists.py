"""Every list as a Relay connection, over HTTP: pages, cursors, counts and bounds."""

from typing import Any, Final

import pytest

from core.database import Database
from core.settings import Settings
from tests.graph_client import GraphClient
from tests.resolvers.lists import FIELDS, Lists, empty_lists, fill_lists

Expected = dict[str, list[str]]

EMPTY_PAGE: Final = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
SIZES: Final[list[dict[str, Any]]] = [{}, {"first": 0}, {"first": 5}, {"last": 0}, {"last": 100}]


@pytest.fixture(scope="module")
async def filled(database: Database, settings: Settings, client: GraphClient) -> tuple[Lists, Expected]:
    """Give a user with rows in every list, and the ids of each in its order."""
    return await fill_lists(database, settings, client)


@pytest.mark.parametrize("backwards", [False, True])
async def test_paging_returns_each_row_once(filled: tuple[Lists, Expected], backwards: bool) -> None:
    lists, expected = filled
    for size in (1, 7, 100):
        for field in FIELDS:
            pages = [page async for page in lists.walk(field, size, backwards=backwards)][:: -1 if backwards else 1]
            assert [node["id"] for page in pages for node in page["nodes"]] == expected[field]
            assert {page["totalCount"] for page in pages} == {len(expected[field])}
            more = [True] * (len(pages) - 1)
            assert [page["pageInfo"]["hasNextPage"] for page in pages] == [*more, False]
            assert [page["pageInfo"]["hasPreviousPage"] for page in pages] == [False, *more]


async def test_page_without_rows_has_page_info(filled: tuple[Lists, Expected]) -> None:
    lists, expected = filled
    for field in FIELDS:
        count = len(expected[field])
        for size, more in (("first", "hasNextPage"), ("last", "hasPreviousPage")):
            page = await lists.read(field, **{size: 0})
            assert (page["edges"], page["totalCount"], page["pageInfo"]) == ([], count, EMPTY_PAGE | {more: True})
        end = (await lists.read(field, last=1))["pageInfo"]["endCursor"]
        for arguments in SIZES:
            page = await lists.read(field, **arguments, after=end)
            info = EMPTY_PAGE | {"hasPreviousPage": "last" not in arguments}
            assert page == {"totalCount": count, "pageInfo": info, "edges": [], "nodes": []}


async def test_empty_list_has_an_empty_page(database: Database, settings: Settings, client: GraphClient) -> None:
    lists = await empty_lists(database, settings, client)
    for field in FIELDS[4:]:
        for arguments in SIZES:
            empty = {"totalCount": 0, "pageInfo": EMPTY_PAGE, "edges": [], "nodes": []}
            assert await lists.read(field, **arguments) == empty


async def test_page_size_out_of_bounds_is_refused(filled: tuple[Lists, Expected]) -> None:
    cases = [
        ({name: size}, f"{name} must be 0 to 100; it is {size}.") for name in ("first", "last") for size in (-1, 101)
    ]
    for arguments, message in [*cases, ({"first": 1, "last": 1}, "Pass first or last, not both.")]:
        for field in [field for field in FIELDS if "viewer" not in field]:
            answer = await filled[0].send(field, **arguments)
            (error,) = answer.errors
            assert (answer.codes, error["message"]) == (["BAD_USER_INPUT"], message)
            assert error["path"][-1] in {"tasks", "subtasks", "conversations", "messages"}


async def test_cursor_of_another_list_is_refused(filled: tuple[Lists, Expected]) -> None:
    lists, _ = filled
    table = {
        field: next(name for name in ("messages", "conversations", "tasks") if f"{name} %s" in field)
        for field in FIELDS
    }
    for source in FIELDS:
        cursor = (await lists.read(source, first=1))["pageInfo"]["endCursor"]
        for field in FIELDS:
            expected = [] if table[field] == table[source] else ["BAD_USER_INPUT"]
            assert (await lists.send(field, after=cursor)).codes == expected
