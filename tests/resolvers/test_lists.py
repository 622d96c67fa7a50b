"""Every list as a Relay connection, over HTTP: pages, cursors, counts and bounds."""

import base64
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.database import Database
from core.settings import Settings
from tests.graph_client import GraphClient
from tests.resolvers.lists import FIELDS, Lists, empty_lists, fill_lists

Expected = dict[str, list[str]]

EMPTY_PAGE: Final = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
every_list = pytest.mark.parametrize("field", FIELDS)
# A user's own lists check their arguments as the same lists at the top do.
every_kind = pytest.mark.parametrize("field", [field for field in FIELDS if "viewer" not in field])


@pytest.fixture(scope="module")
async def filled(database: Database, settings: Settings, client: GraphClient) -> tuple[Lists, Expected]:
    """Give a user with rows in every list, and the ids of each in its order."""
    return await fill_lists(database, settings, client)


def ids(page: dict[str, Any]) -> list[str]:
    return [node["id"] for node in page["nodes"]]


@every_list
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("size", [1, 7, 100])
async def test_a_walk_gives_the_list_once(
    filled: tuple[Lists, Expected], field: str, size: int, backwards: bool
) -> None:
    lists, expected = filled
    pages = [page async for page in lists.walk(field, size, backwards=backwards)]
    in_sequence = pages[::-1] if backwards else pages
    assert [row_id for page in in_sequence for row_id in ids(page)] == expected[field]
    assert {page["totalCount"] for page in pages} == {len(expected[field])}
    assert [page["pageInfo"]["hasNextPage"] for page in in_sequence] == [True] * (len(pages) - 1) + [False]
    assert [page["pageInfo"]["hasPreviousPage"] for page in in_sequence] == [False] + [True] * (len(pages) - 1)


@every_list
async def test_a_page_without_rows_tells_whether_there_are_any(filled: tuple[Lists, Expected], field: str) -> None:
    lists, expected = filled
    for size in ("first", "last"):
        page = await lists.read(field, **{size: 0})
        assert (page["edges"], page["totalCount"]) == ([], len(expected[field]))
        assert page["pageInfo"] == EMPTY_PAGE | {"hasNextPage" if size == "first" else "hasPreviousPage": True}


@every_list
@pytest.mark.parametrize("arguments", [{}, {"first": 0}, {"first": 5}, {"last": 0}, {"last": 100}])
async def test_a_list_beyond_its_end_is_empty(
    filled: tuple[Lists, Expected], field: str, arguments: dict[str, int]
) -> None:
    lists, expected = filled
    end = (await lists.read(field, last=1))["pageInfo"]["endCursor"]
    page = await lists.read(field, **arguments, after=end)
    assert (page["edges"], page["nodes"], page["totalCount"]) == ([], [], len(expected[field]))
    assert page["pageInfo"] == EMPTY_PAGE | {"hasPreviousPage": "last" not in arguments}


@pytest.mark.parametrize("arguments", [{}, {"first": 0}, {"first": 5}, {"last": 0}, {"last": 100}])
@pytest.mark.parametrize("field", FIELDS[4:])
async def test_an_empty_list(
    database: Database, settings: Settings, client: GraphClient, field: str, arguments: dict[str, int]
) -> None:
    lists = await empty_lists(database, settings, client)
    empty = {"totalCount": 0, "pageInfo": EMPTY_PAGE, "edges": [], "nodes": []}
    assert await lists.read(field, **arguments) == empty


@every_kind
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"first": -1}, "first must be 0 to 100; it is -1."),
        ({"first": 101}, "first must be 0 to 100; it is 101."),
        ({"first": 2**31 - 1}, f"first must be 0 to 100; it is {2**31 - 1}."),
        ({"last": -1}, "last must be 0 to 100; it is -1."),
        ({"last": 101}, "last must be 0 to 100; it is 101."),
        ({"first": 1, "last": 1}, "Pass first or last, not both."),
    ],
)
async def test_a_size_out_of_bounds_is_refused(
    filled: tuple[Lists, Expected], field: str, arguments: dict[str, int], message: str
) -> None:
    answer = await filled[0].send(field, **arguments)
    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.errors[0]["message"] == message
    assert answer.errors[0]["path"][-1] in {"tasks", "subtasks", "conversations", "messages"}


def encoded(content: Any) -> str:
    document = content if isinstance(content, bytes) else orjson.dumps(content)
    return base64.urlsafe_b64encode(document).decode().rstrip("=")


NEVER_OURS: Final = [
    "",
    "x",
    "\0",
    "null",
    "\N{PARTY POPPER}",
    "A" * 100_000,
    encoded([]),
    encoded(None),
    encoded({"tasks": 1}),
    encoded(b"[" * 10_000 + b"]" * 10_000),
    encoded(["tasks:created_at,id"]),
    encoded(["tasks:created_at,id", "2026-01-31T09:00:00+00:00", "no id"]),
    encoded(["tasks:created_at,id", "0001-01-01T00:00:00+10:00", "01890a5d-ac96-774b-bcce-b302099a8057"]),
    encoded(["tasks:created_at,id", 10**18, "01890a5d-ac96-774b-bcce-b302099a8057"]),
    encoded(["conversations:-updated_at,-id", [], {}]),
    encoded(["messages:created_at,id", "2026-01-31T09:00:00+00:00", "\0"]),
]


@every_kind
@pytest.mark.parametrize("cursor", NEVER_OURS, ids=lambda cursor: repr(cursor)[:30])
async def test_a_cursor_that_was_never_ours_is_refused(filled: tuple[Lists, Expected], field: str, cursor: str) -> None:
    for name in ("after", "before"):
        answer = await filled[0].send(field, **{name: cursor})
        assert answer.codes == ["BAD_USER_INPUT"]
        assert answer.errors[0]["message"].startswith(f"{name} is not a cursor of this list in this order;")


@given(data=st.data())
async def test_a_changed_cursor_is_refused_or_names_another_place(
    filled: tuple[Lists, Expected], data: st.DataObject
) -> None:
    lists, expected = filled
    field = data.draw(st.sampled_from(FIELDS))
    cursor = list((await lists.read(field, first=1))["pageInfo"]["endCursor"])
    place = data.draw(st.integers(0, len(cursor) - 1))
    cursor[place : place + data.draw(st.integers(0, 2))] = data.draw(st.text(st.characters(codec="utf-8"), max_size=2))
    answer = await lists.send(field, after="".join(cursor))
    assert answer.codes in ([], ["BAD_USER_INPUT"])
    if not answer.errors:
        page = await lists.read(field, after="".join(cursor), first=100)
        assert ids(page) == expected[field][len(expected[field]) - len(page["nodes"]) :]


def _table(field: str) -> str:
    return next(name for name in ("messages", "conversations", "tasks") if f"{name} %s" in field)


@pytest.mark.parametrize("source", FIELDS)
async def test_a_cursor_of_another_list_is_refused(filled: tuple[Lists, Expected], source: str) -> None:
    lists, _ = filled
    cursor = (await lists.read(source, first=1))["pageInfo"]["endCursor"]
    for field in FIELDS:
        expected = [] if _table(field) == _table(source) else ["BAD_USER_INPUT"]
        assert (await lists.send(field, after=cursor)).codes == expected


async def test_a_cursor_of_another_order_is_refused(client: GraphClient, filled: tuple[Lists, Expected]) -> None:
    lists, _ = filled
    query = """query ($after: String, $orderBy: [TaskOrder!]) {
        tasks(first: 1, after: $after, orderBy: $orderBy) { pageInfo { endCursor } } }"""
    orders = [
        [],
        [{"field": "CREATED_AT", "direction": "DESC"}],
        [{"field": "DUE_AT"}],
        [{"field": "DUE_AT", "direction": "DESC"}],
        [{"field": "DUE_AT"}, {"field": "TITLE"}],
        [{"field": "TITLE"}, {"field": "DUE_AT"}],
    ]
    for order in orders:
        found = await client.query(query, {"orderBy": order}, as_=lists.user)
        after = found["tasks"]["pageInfo"]["endCursor"]
        for other in orders:
            answer = await client.execute(query, {"orderBy": other, "after": after}, as_=lists.user)
            assert answer.codes == ([] if other == order else ["BAD_USER_INPUT"])
