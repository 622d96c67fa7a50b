"""Every list as a Relay connection, over HTTP: pages, cursors, counts and bounds."""

from typing import Any, Final

import pytest

from core.database import Database
from core.settings import Settings
from tests.graph_client import GraphClient
from tests.resolvers.lists import FIELDS, Lists, empty_lists, fill_lists

Expected = dict[str, list[str]]

EMPTY_PAGE: Final = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}


@pytest.fixture(scope="module")
async def filled(database: Database, settings: Settings, client: GraphClient) -> tuple[Lists, Expected]:
    """Give a user with rows in every list, and the ids of each in its order."""
    return await fill_lists(database, settings, client)


def ids(page: dict[str, Any]) -> list[str]:
    return [node["id"] for node in page["nodes"]]


async def test_paging_returns_each_row_once(filled: tuple[Lists, Expected]) -> None:
    for size in [1, 7, 100]:
        for backwards in [False, True]:
            for field in FIELDS:
                lists, expected = filled
                pages = [page async for page in lists.walk(field, size, backwards=backwards)]
                in_sequence = pages[::-1] if backwards else pages
                assert [row_id for page in in_sequence for row_id in ids(page)] == expected[field]
                assert {page["totalCount"] for page in pages} == {len(expected[field])}
                assert [page["pageInfo"]["hasNextPage"] for page in in_sequence] == [True] * (len(pages) - 1) + [False]
                assert [page["pageInfo"]["hasPreviousPage"] for page in in_sequence] == [False] + [True] * (
                    len(pages) - 1
                )


async def test_page_of_size_zero_has_page_info(filled: tuple[Lists, Expected]) -> None:
    for field in FIELDS:
        lists, expected = filled
        for size in ("first", "last"):
            page = await lists.read(field, **{size: 0})
            assert (page["edges"], page["totalCount"]) == ([], len(expected[field]))
            assert page["pageInfo"] == EMPTY_PAGE | {"hasNextPage" if size == "first" else "hasPreviousPage": True}


async def test_page_beyond_the_end_is_empty(filled: tuple[Lists, Expected]) -> None:
    for arguments in [{}, {"first": 0}, {"first": 5}, {"last": 0}, {"last": 100}]:
        for field in FIELDS:
            lists, expected = filled
            end = (await lists.read(field, last=1))["pageInfo"]["endCursor"]
            page = await lists.read(field, **arguments, after=end)
            assert (page["edges"], page["nodes"], page["totalCount"]) == ([], [], len(expected[field]))
            assert page["pageInfo"] == EMPTY_PAGE | {"hasPreviousPage": "last" not in arguments}


async def test_empty_list_has_an_empty_page(database: Database, settings: Settings, client: GraphClient) -> None:
    for field in FIELDS[4:]:
        for arguments in [{}, {"first": 0}, {"first": 5}, {"last": 0}, {"last": 100}]:
            lists = await empty_lists(database, settings, client)
            empty = {"totalCount": 0, "pageInfo": EMPTY_PAGE, "edges": [], "nodes": []}
            assert await lists.read(field, **arguments) == empty


async def test_page_size_out_of_bounds_is_refused(filled: tuple[Lists, Expected]) -> None:
    for arguments, message in [
        ({"first": -1}, "first must be 0 to 100; it is -1."),
        ({"first": 101}, "first must be 0 to 100; it is 101."),
        ({"first": 2**31 - 1}, f"first must be 0 to 100; it is {2**31 - 1}."),
        ({"last": -1}, "last must be 0 to 100; it is -1."),
        ({"last": 101}, "last must be 0 to 100; it is 101."),
        ({"first": 1, "last": 1}, "Pass first or last, not both."),
    ]:
        for field in [field for field in FIELDS if "viewer" not in field]:
            answer = await filled[0].send(field, **arguments)
            assert answer.codes == ["BAD_USER_INPUT"]
            assert answer.errors[0]["message"] == message
            assert answer.errors[0]["path"][-1] in {"tasks", "subtasks", "conversations", "messages"}


def _table(field: str) -> str:
    return next(name for name in ("messages", "conversations", "tasks") if f"{name} %s" in field)


async def test_cursor_of_another_list_is_refused(filled: tuple[Lists, Expected]) -> None:
    for source in FIELDS:
        lists, _ = filled
        cursor = (await lists.read(source, first=1))["pageInfo"]["endCursor"]
        for field in FIELDS:
            expected = [] if _table(field) == _table(source) else ["BAD_USER_INPUT"]
            assert (await lists.send(field, after=cursor)).codes == expected
