"""Filters and orders as clients write them, over HTTP."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import pytest
from hypothesis import given

from core.database import Database
from core.settings import Settings
from models import Task
from services.tasks.task_lists import TaskFilter, TaskOrder
from tests.factories import SignedIn, sign_in, store, task_row
from tests.graph_client import GraphClient
from tests.services.task_filters import lets_through, task_filters, various_tasks
from tests.services.task_rows import in_order, orders

Shelf = tuple[SignedIn, Sequence[Task]]

PAGE: Final = """query ($filter: TaskFilter, $orderBy: [TaskOrder!]) {
    tasks(first: 100, filter: $filter, orderBy: $orderBy) { totalCount nodes { id } } }"""
COUNT: Final = "query ($filter: TaskFilter) { tasks(filter: $filter) { totalCount } }"


@pytest.fixture(scope="module")
async def shelf(database: Database, settings: Settings) -> Shelf:
    """Give a user's tasks of every kind."""
    user = await sign_in(database, settings)
    tasks = [task_row(user.user.id, **values) for values in various_tasks(40)]
    await store(database, *tasks)
    return user, tasks


def as_json(value: Any) -> Any:
    """Return a filter or an order as a client writes it, with null for what is not wanted."""
    if isinstance(value, list):
        return [as_json(part) for part in value]
    if is_dataclass(value):
        return {_camel(field.name): as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, StrEnum) else value


def _camel(name: str) -> str:
    first, *others = name.rstrip("_").split("_")
    return first + "".join(part.title() for part in others)


def without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [without_nulls(part) for part in value]
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    return value


@given(wanted=task_filters, order=orders)
async def test_a_filtered_list_in_any_order(
    client: GraphClient, shelf: Shelf, wanted: TaskFilter, order: list[TaskOrder]
) -> None:
    user, tasks = shelf
    expected = in_order([task for task in tasks if lets_through(wanted, task)], order)
    variables = {"filter": as_json(wanted), "orderBy": as_json(order)}
    for given_variables in (variables, without_nulls(variables)):
        found = (await client.query(PAGE, given_variables, as_=user))["tasks"]
        assert [node["id"] for node in found["nodes"]] == expected
        assert found["totalCount"] == len(expected)


@pytest.mark.parametrize(
    "literal",
    [
        "",
        "(filter: null)",
        "(filter: {})",
        "(orderBy: null)",
        "(orderBy: [])",
        "(first: null, after: null, last: null, before: null)",
        "(filter: {completed: null, priority: null, tags: null, search: null, and: null, or: null, not: null})",
        "(orderBy: {field: CREATED_AT})",
    ],
)
async def test_null_asks_for_nothing(client: GraphClient, shelf: Shelf, literal: str) -> None:
    user, tasks = shelf
    found = (await client.query(f"{{ tasks{literal} {{ totalCount nodes {{ id }} }} }}", as_=user))["tasks"]
    assert found == {"totalCount": 40, "nodes": [{"id": row_id} for row_id in in_order(tasks, [])[:20]]}


@pytest.mark.parametrize(
    "wanted",
    [
        {"completed": "yes"},
        {"priority": ["URGENT"]},
        {"priority": [None]},
        {"tags": [7]},
        {"tags": [None]},
        {"title": "water"},
        {"title": {"like": "water"}},
        {"dueAt": "2026-01-31T00:00:00Z"},
        {"dueAt": {"gt": "2026-01-31"}},
        {"and": [None]},
        {"not": []},
        {"nothing": 1},
        [{}, {}],
        7,
    ],
)
async def test_what_is_no_filter_is_refused(client: GraphClient, shelf: Shelf, wanted: Any) -> None:
    answer = await client.execute(COUNT, {"filter": wanted}, as_=shelf[0])
    assert (answer.status, set(answer.codes)) == (400, {"BAD_USER_INPUT"})


@pytest.mark.parametrize(
    "order",
    [{}, {"field": "ID"}, {"field": "TITLE", "direction": "UP"}, {"field": "TITLE", "direction": None}, "TITLE"],
)
async def test_what_is_no_order_is_refused(client: GraphClient, shelf: Shelf, order: Any) -> None:
    answer = await client.execute(PAGE, {"orderBy": order}, as_=shelf[0])
    assert (answer.status, set(answer.codes)) == (400, {"BAD_USER_INPUT"})


@pytest.mark.parametrize(
    "wanted",
    [
        {"and": [{}] * 100_000},
        {"or": [{}] * 100_000},
        {"search": "w " * 100_000},
        {"tags": ["\0"]},
        {"search": "\0"},
        {"title": {"eq": "a\0"}},
        {"title": {"contains": "a\0"}},
        {"title": {"startsWith": "a\0"}},
    ],
    ids=lambda wanted: str(wanted)[:30],
)
async def test_a_hostile_filter_is_refused(client: GraphClient, shelf: Shelf, wanted: Any) -> None:
    assert (await client.execute(COUNT, {"filter": wanted}, as_=shelf[0])).codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    ("wanted", "same"),
    [
        ({"priority": ["LOW"] * 9_000}, {"priority": ["LOW"]}),
        ({"tags": ["home"] * 9_000}, {"tags": ["home"]}),
        ({"title": {"contains": "x" * 1_000_000}}, {"title": {"eq": "never"}}),
        ({"tags": ["x" * 100_000]}, {"title": {"eq": "never"}}),
    ],
    ids=["priority", "tags", "title", "tag"],
)
async def test_a_large_filter_is_answered(client: GraphClient, shelf: Shelf, wanted: Any, same: Any) -> None:
    found = await client.query(COUNT, {"filter": wanted}, as_=shelf[0])
    assert found == await client.query(COUNT, {"filter": same}, as_=shelf[0])


async def test_an_order_that_names_a_field_again_is_as_if_it_did_not(client: GraphClient, shelf: Shelf) -> None:
    order = [{"field": "TITLE"}, {"field": "PRIORITY", "direction": "DESC"}]
    again = [*order, *({"field": "TITLE", "direction": "DESC"} for _ in range(2_000))]
    user, _ = shelf
    assert await client.query(PAGE, {"orderBy": again}, as_=user) == await client.query(
        PAGE, {"orderBy": order}, as_=user
    )
