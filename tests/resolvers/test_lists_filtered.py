"""Filters and orders as clients write them, over HTTP."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import pytest
from hypothesis import given
from pydantic.alias_generators import to_camel

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


@given(wanted=task_filters, order=orders)
async def test_filter_and_order_select_the_rows_of_plain_python(
    client: GraphClient, shelf: Shelf, wanted: TaskFilter, order: list[TaskOrder]
) -> None:
    user, tasks = shelf
    expected = in_order([task for task in tasks if lets_through(wanted, task)], order)
    variables = {"filter": as_json(wanted), "orderBy": as_json(order)}
    for given_variables in (variables, without_nulls(variables)):
        found = (await client.query(PAGE, given_variables, as_=user))["tasks"]
        assert [node["id"] for node in found["nodes"]] == expected
        assert found["totalCount"] == len(expected)


async def test_null_arguments_are_as_absent_ones(client: GraphClient, shelf: Shelf) -> None:
    user, tasks = shelf
    expected = {"totalCount": 40, "nodes": [{"id": row_id} for row_id in in_order(tasks, [])[:20]]}
    for literal in (
        *("", "(filter: null)", "(filter: {})", "(orderBy: null)", "(orderBy: [])", "(orderBy: {field: CREATED_AT})"),
        "(first: null, after: null, last: null, before: null)",
        "(filter: {completed: null, priority: null, tags: null, search: null, and: null, or: null, not: null})",
    ):
        found = await client.query(f"{{ tasks{literal} {{ totalCount nodes {{ id }} }} }}", as_=user)
        assert found == {"tasks": expected}


async def test_malformed_filter_or_order_is_refused(client: GraphClient, shelf: Shelf) -> None:
    filters: list[Any] = [
        *({"completed": "yes"}, {"priority": ["URGENT"]}, {"priority": [None]}, {"tags": [7]}, {"tags": [None]}),
        *({"title": "water"}, {"title": {"like": "water"}}, {"dueAt": "2026-01-31T00:00:00Z"}),
        *({"dueAt": {"gt": "2026-01-31"}}, {"and": [None]}, {"not": []}, {"nothing": 1}, [{}, {}], 7),
    ]
    bad_orders: list[Any] = [
        *({}, {"field": "ID"}, {"field": "TITLE", "direction": "UP"}, {"field": "TITLE", "direction": None}, "TITLE")
    ]
    for name, wrong in (("filter", filters), ("orderBy", bad_orders)):
        for value in wrong:
            answer = await client.execute(PAGE, {name: value}, as_=shelf[0])
            assert (answer.status, set(answer.codes)) == (400, {"BAD_USER_INPUT"}), value
