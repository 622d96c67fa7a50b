"""Costs: what an operation makes the database do has a price, and too much is refused before anything is done."""

from typing import Any, Final

import pytest

from core.database import Database
from core.quotas import MAX_NEW_ROWS
from core.settings import Settings
from graph.context import Context
from server.graphql.cost import COUNT_COST, FILTER_COST, ORDER_COST, SEARCH_COST, WRITE_COST
from server.graphql.documents import Documents
from services.query.sql import fetch_all, table_of
from tests.databases import only_sqlite
from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.servers import serve_with
from tests.socket_client import signed_in_socket

CREATE: Final = "mutation ($input: CreateTasksInput!) { createTasks(input: $input) { tasks { id } errors { code } } }"
DELETE: Final = "mutation ($ids: [ID!]!) { deleteTasks(input: {ids: $ids}) { deletedIds } }"
MANY: Final = {"tasks": [{"title": "Sweep"}] * MAX_NEW_ROWS}
FULL: Final = """query ($filter: TaskFilter) {
  tasks(first: 100, filter: $filter, orderBy: [{field: PRIORITY}, {field: DUE_AT}]) {
    totalCount nodes { id title tags subtasks { totalCount nodes { id title completed } } } } }"""
MAX_COST: Final = 10_000
LIST: Final = "query ($f: TaskFilter, $o: [TaskOrder!]) { tasks(first: 1, filter: $f, orderBy: $o) { nodes { id } } }"
SUBTASKS: Final = "{ tasks(first: 7) { nodes { subtasks(first: 1, filter: {completed: true}) { totalCount } } } }"


def aliased(field: str) -> str:
    return " ".join(f"a{number}: {field}" for number in range(99))


COUNTED: Final = f"{{ {aliased('tasks(filter: {completed: true}) { totalCount }')} }}"
CREATE_MANY: Final = (
    f"mutation ($input: CreateTasksInput!) {{ {aliased('createTasks(input: $input) { errors { code } }')} }}"
)
PRICES: Final[list[tuple[str, dict[str, Any], int]]] = [
    ("{ tasks { totalCount } }", {}, 1 + COUNT_COST),
    ("{ tasks { ...C } } fragment C on TaskConnection { n: totalCount }", {}, 1 + COUNT_COST),
    (LIST, {}, 2),
    (LIST, {"f": None, "o": []}, 2),
    (LIST, {"f": {}, "o": [{"field": "TITLE"}]}, 2),
    (LIST, {"o": [{"field": "TITLE"}, {"field": "DUE_AT"}]}, 2 + ORDER_COST),
    (LIST, {"f": {"completed": True}}, 2 + FILTER_COST),
    (LIST, {"f": {"search": "milk"}}, 2 + FILTER_COST + SEARCH_COST),
    (LIST, {"f": {"or": [{"search": "a"}] * 3, "not": {"search": ""}}}, 2 + 5 * FILTER_COST + 3 * SEARCH_COST),
    ("query ($s: String) { tasks(filter: {search: $s}) { pageInfo { hasNextPage } } }", {}, 1 + FILTER_COST),
    (
        'query ($s: String = "x") { tasks(filter: {search: $s}) { edges { cursor } } }',
        {},
        21 + FILTER_COST + SEARCH_COST,
    ),
    # One statement for all parents, and a unit more for each.
    (SUBTASKS, {}, 1 + 7 * (1 + 1 + 2) + FILTER_COST + COUNT_COST),
    ('mutation { createTask(input: {title: "x", tags: ["a", "b"]}) { task { id } } }', {}, WRITE_COST + 2),
    (CREATE, {"input": {"tasks": [{}, {}, {}]}}, 3 * WRITE_COST + 1 + 3 + 1),
    ('mutation { createTasks(input: {tasks: {title: "x"}}) { tasks { id } } }', {}, WRITE_COST + 2),
    (DELETE, {"ids": ["a", "b"]}, 2 * WRITE_COST + 1),
    # What is too much is refused with a better message where it is done.
    (DELETE, {"ids": ["a"] * 5_000}, 100 * WRITE_COST + 1),
    (LIST, {"f": {"or": [{"completed": True}] * 5_000}}, 2 + 100 * FILTER_COST),
    (DELETE, {}, WRITE_COST + 1),
    (COUNTED, {}, 99 * (1 + FILTER_COST + COUNT_COST)),
]
# What front ends ask for, and the largest changes that are documented.
ORDINARY: Final = [(FULL, {"filter": {"search": "milk", "completed": False}}), (CREATE, {"input": MANY})]


@pytest.mark.parametrize(("text", "variables", "cost"), PRICES)
def test_prices(found: Documents, text: str, variables: dict[str, Any], cost: int) -> None:
    assert cost_of(found, text, variables) == cost


@pytest.mark.parametrize(("text", "variables"), ORDINARY)
def test_ordinary_operations_are_far_below_the_limit(found: Documents, text: str, variables: Any) -> None:
    assert cost_of(found, text, variables) < 0.3 * MAX_COST


def cost_of(found: Documents, text: str, variables: dict[str, Any]) -> int:
    operation = found.get(text).select(None)
    return operation.cost(operation.variables(variables))


async def test_largest_bulk_mutation_passes_and_99_of_them_make_nothing(
    client: GraphClient, settings: Settings, database: Database, user: SignedIn
) -> None:
    refused = await client.execute(CREATE_MANY, {"input": MANY}, as_=user)
    assert (refused.status, refused.codes) == (400, ["QUERY_TOO_COMPLEX"])
    async with serve_with(settings) as server, signed_in_socket(server, user.token) as socket:
        await socket.subscribe(CREATE_MANY, {"input": MANY})
        assert await socket.codes() == ["QUERY_TOO_COMPLEX"]
    assert await revision_of(database, user) == 0
    assert len((await client.mutate("createTasks", MANY, as_=user))["tasks"]) == MAX_NEW_ROWS


async def test_fields_of_a_mutation_without_time_left_do_not_begin(
    settings: Settings, database: Database, user: SignedIn
) -> None:
    create = 'createTask(input: {title: "Sweep"}) { task { id } errors { code } }'
    async with serve_with(settings, graphql_timeout_s=1e-9) as server, server.client() as http:
        data = await GraphClient(http).query(f"mutation {{ a: {create} b: {create} }}", as_=user)
    late = {"task": None, "errors": [{"code": "TIMEOUT"}]}
    assert data == {"a": late, "b": late}
    assert await revision_of(database, user) == 0


@only_sqlite
async def test_waiting_for_a_run_takes_none_of_the_time(settings: Settings, user: SignedIn) -> None:
    send = 'sendMessage(input: {content: "help", wait: true}) { run { status } errors { code } }'
    async with serve_with(settings, graphql_timeout_s=30) as server, server.client() as http:
        waited: list[float] = []
        original = Context.wait_while_connected

        async def wait(context: Context, work: Any) -> Any:
            before = context.ends_at_s
            result = await original(context, work)
            waited.append(context.ends_at_s - before)
            return result

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Context, "wait_while_connected", wait)
            data = await GraphClient(http).query(f"mutation {{ a: {send} b: {send} }}", as_=user)
    assert [data[name]["run"]["status"] for name in "ab"] == ["COMPLETED", "COMPLETED"]
    assert len(waited) == 2
    assert min(waited) > 0


async def revision_of(database: Database, user: SignedIn) -> int:
    users = table_of(type(user.user))
    async with database.read() as session:
        ((revision,),) = await fetch_all(
            session, users.select().with_only_columns(users.c.revision).where(users.c.id == user.user.id)
        )
    return int(revision)
