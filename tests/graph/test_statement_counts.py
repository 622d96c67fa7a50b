"""The exact number of SQL statements of each list and relation: for one row and for fifty, by both executors."""

from typing import Any, Final

import pytest

from graph.context import Context
from tests.databases import counted
from tests.engine.both import breadth_first, depth_first, described
from tests.factories import SignedIn
from tests.graph.conftest import House
from tests.graph.operations import SCHEMA, run
from tests.servers import RunningServer

OPERATIONS: Final = {
    # Lists that stand by themselves.
    "{ __typename }": 0,
    "{ viewer { id name } }": 1,
    "{ tasks(first: 50) { nodes { id title } } }": 1,
    "{ tasks(first: 50) { edges { cursor node { id title } } pageInfo { endCursor } nodes { title } } }": 1,
    "{ tasks(first: 50) { pageInfo { hasNextPage } } }": 1,
    "{ tasks { totalCount } }": 1,
    "{ tasks { __typename } }": 0,
    "{ tasks(first: 50) { totalCount nodes { id } } }": 2,
    "{ a: tasks(first: 1) { nodes { id } } b: tasks(last: 50) { nodes { id } } }": 2,
    "{ conversations { totalCount } }": 1,
    "{ conversations(first: 50) { totalCount edges { node { id } } } }": 2,
    "{ users { totalCount } }": 1,
    "{ users(last: 50) { totalCount nodes { id } } }": 2,
    # Relations of tasks.
    "{ tasks(first: 50) { nodes { owner { id name } } } }": 2,
    "{ tasks(first: 50, filter: {isSubtask: true}) { nodes { parent { title } } } }": 2,
    "{ tasks(first: 50, filter: {isSubtask: true}) { nodes { parentId } } }": 1,
    "{ tasks(first: 50) { nodes { subtasks(first: 50) { nodes { title } } } } }": 2,
    "{ tasks(first: 50) { nodes { subtasks(last: 2) { edges { cursor node { title } } } } } }": 2,
    "{ tasks(first: 50) { nodes { subtasks { totalCount } } } }": 2,
    "{ tasks(first: 50) { nodes { subtasks { totalCount nodes { id } } } } }": 3,
    "{ tasks(first: 50) { nodes { a: subtasks(first: 1) { nodes { id } } b: subtasks { nodes { id } } } } }": 3,
    "{ tasks(first: 50) { nodes { subtasks { nodes { parent { owner { id } } } } } } }": 4,
    "{ tasks(first: 50) { nodes { subtasks { nodes { subtasks { nodes { subtasks { nodes { id } } } } } } } } }": 4,
    """{ tasks(first: 50, filter: {isSubtask: false}) { totalCount nodes {
            low: subtasks(first: 2, filter: {priority: LOW}) { totalCount nodes { title } }
            done: subtasks(orderBy: {field: DUE_AT}) { totalCount nodes { subtasks { totalCount nodes { title } } } }
        } } }""": 8,
    "{ tasks(first: 50) { nodes { history { nodes { kind createdAt by fields { name before after } } } } } }": 2,
    "{ tasks(first: 50) { nodes { history(last: 1) { totalCount edges { cursor node { id } } } } } }": 3,
    # Relations of conversations and messages.
    "{ conversations(first: 50) { nodes { messages { nodes { content } } } } }": 2,
    "{ conversations(first: 50) { nodes { messages { totalCount } } } }": 2,
    "{ conversations(first: 50) { nodes { messages(last: 1) { totalCount nodes { id } } } } }": 3,
    "{ conversations(first: 50) { nodes { lastMessage { content } } } }": 2,
    "{ conversations(first: 50) { nodes { messages { nodes { conversation { title owner { id } } } } } } }": 4,
    """{ conversations(first: 50) { nodes {
            lastMessage { conversation { lastMessage { id } } } a: messages(first: 1) { nodes { id } }
            b: messages(orderBy: {field: CREATED_AT, direction: DESC}) { nodes { conversation { id } } } owner { id }
        } } }""": 7,
    # A user's lists, however many rows that user stands on.
    "{ viewer { tasks(first: 50) { nodes { id } } } }": 2,
    "{ viewer { tasks { totalCount } conversations { totalCount nodes { id } } } }": 4,
    "{ tasks(first: 50) { nodes { owner { tasks { nodes { id } } } } } }": 3,
    "{ tasks(first: 50) { nodes { owner { tasks { totalCount } conversations { nodes { id } } } } } }": 4,
    # One fragment in two places: what it has loaded in the first need not be loaded in the second.
    """{ tasks(first: 50) { nodes { ...Family subtasks { nodes { ...Family } } } } }
        fragment Family on Task { parent { id } owner { name } }""": 4,
}


async def assert_count(server: RunningServer, user: SignedIn, query: str, count: int, **variables: Any) -> Any:
    """Return the data of an operation, which must take so many statements, by both executors."""
    found = []
    for execute in (breadth_first, depth_first):
        with counted() as statements:
            context = Context(server.runtime, user.caller, "test", "127.0.0.1")
            result = await execute(SCHEMA, query, None, context, variables=variables)
        assert (result.errors, len(statements)) == (None, count), query
        found.append(result.data)
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("query", OPERATIONS)
async def test_statement_count_is_independent_of_the_number_of_rows(
    server: RunningServer, one_of_each: House, fifty_of_each: House, query: str
) -> None:
    for house in (one_of_each, fifty_of_each):
        await assert_count(server, house.owner, query, OPERATIONS[query])


ROWS: Final = [
    ("task", "task_ids", "title", 1),
    ("task", "task_ids", "parent { id } owner { id } subtasks { nodes { id } }", 3),
    ("conversation", "conversation_ids", "title", 1),
    ("conversation", "conversation_ids", "messages(first: 100) { nodes { id } }", 2),
    ("node", "task_ids", "id", 1),
    ("node", "task_ids", "... on Task { owner { name } }", 2),
    ("node", "message_ids", "id ... on Message { conversation { title } }", 2),
    ("node", "task_ids", "id ... on Message { content }", 1),
]
NODES: Final = [
    ("{ id }", 2),
    ("{ ... on Task { subtasks { nodes { id } } } ... on Conversation { lastMessage { id } } }", 4),
    ("{ ... on Task { owner { id } } ... on Conversation { owner { id } } }", 2),
    ("{ ... on User { tasks { nodes { id } } } ... on Message { conversation { id } } }", 4),
]
OF_NODES: Final = "query ($ids: [ID!]!) { nodes(ids: $ids) %s }"


async def test_statement_count_of_one_row(server: RunningServer, fifty_of_each: House) -> None:
    for field, kind, selected, count in ROWS:
        query = f"query ($id: ID!) {{ {field}(id: $id) {{ {selected} }} }}"
        await assert_count(server, fifty_of_each.owner, query, count, id=getattr(fifty_of_each, kind)[0])
    for second, count in (("title", 1), ("tags", 2)):
        query = f"query ($id: ID!) {{ a: task(id: $id) {{ title }} b: task(id: $id) {{ {second} }} }}"
        await assert_count(server, fifty_of_each.owner, query, count, id=fifty_of_each.task_ids[0])


async def test_statement_count_of_nodes(server: RunningServer, one_of_each: House, fifty_of_each: House) -> None:
    for house, limit in ((one_of_each, 1), (fifty_of_each, 32)):
        owner, user_id = house.owner, house.owner.user.id
        ids = [*house.task_ids[:limit], *house.conversation_ids[:limit], *house.message_ids[:limit], user_id, user_id]
        for selection, count in NODES:
            nodes = (await assert_count(server, owner, OF_NODES % selection, count, ids=ids))["nodes"]
            assert (len(nodes), None in nodes) == (len(ids), False)
        await assert_count(server, owner, OF_NODES % "{ ... on Task { title } }", 1, ids=house.task_ids)
    # The caller on many rows.
    query = OF_NODES % "{ ... on User { name tasks { totalCount nodes { id } } } }"
    await assert_count(server, fifty_of_each.owner, query, 3, ids=[fifty_of_each.owner.user.id] * 50)


async def test_lists_of_the_admin_among_all_users_take_two_statements(server: RunningServer, admin: SignedIn) -> None:
    query = "{ users(last: 50) { nodes { id tasks { nodes { id } } conversations { totalCount } } } }"
    done = await run(server, admin, query)
    assert (done.data["users"]["nodes"][-1]["id"], len(done.statements)) == (admin.user.id, 3)


async def test_anonymous_viewer_takes_no_statement(server: RunningServer) -> None:
    assert (await run(server, None, "{ viewer { id tasks { totalCount } } }")).statements == []


@pytest.mark.parametrize("is_anonymous", [False, True])
async def test_errors_are_the_same_by_both_executors(
    server: RunningServer, one_of_each: House, is_anonymous: bool
) -> None:
    for query in (
        "{ tasks { nodes { id } } viewer { id } a: __typename }",
        '{ tasks { nodes { subtasks(after: "nowhere") { nodes { id } } title } } }',
        """mutation {
            a: createTask(input: {title: ""}) { task { id } errors { code path message } }
            b: updateTask(input: {id: "unknown", title: "x"}) { task { id } errors { code path message } }
        }""",
    ):
        context = Context(server.runtime, None if is_anonymous else one_of_each.owner.caller, "test", "127.0.0.1")
        found, expected = [await execute(SCHEMA, query, None, context) for execute in (breadth_first, depth_first)]
        assert found.data == expected.data
        assert sorted(described(found.errors), key=repr) == sorted(described(expected.errors), key=repr)
        assert bool(found.errors) is (is_anonymous or "nowhere" in query)
