"""The exact number of SQL statements of each list and relation: the same for one row and for fifty."""

from typing import Final

from core.database import Database
from core.settings import Settings
from tests.factories import make_user, sign_in
from tests.graph.conftest import House
from tests.graph.operations import run
from tests.servers import RunningServer

OPERATIONS: Final = [
    # Lists that stand by themselves.
    ("{ __typename }", 0),
    ("{ viewer { id name } }", 1),
    ("{ tasks(first: 50) { nodes { id title } } }", 1),
    ("{ tasks(first: 50) { edges { cursor node { id title } } pageInfo { endCursor } nodes { title } } }", 1),
    ("{ tasks(first: 50) { pageInfo { hasNextPage } } }", 1),
    ("{ tasks(first: 50) { edges { cursor } } }", 1),
    ("{ tasks { totalCount } }", 1),
    ("{ tasks { __typename totalCount } }", 1),
    ("{ tasks { __typename } }", 0),
    ("{ tasks(first: 50) { totalCount nodes { id } } }", 2),
    ("{ a: tasks(first: 1) { nodes { id } } b: tasks(last: 50) { nodes { id } } }", 2),
    ("{ conversations(first: 50) { nodes { id title } } }", 1),
    ("{ conversations { totalCount } }", 1),
    ("{ conversations(first: 50) { totalCount edges { node { id } } } }", 2),
    ("{ users(first: 50) { nodes { id name } } }", 1),
    ("{ users { totalCount } }", 1),
    ("{ users(last: 50) { totalCount nodes { id } } }", 2),
    # Relations of tasks.
    ("{ tasks(first: 50) { nodes { owner { id name } } } }", 2),
    ("{ tasks(first: 50, filter: {isSubtask: true}) { nodes { parent { title } } } }", 2),
    ("{ tasks(first: 50) { nodes { subtasks(first: 50) { nodes { title } } } } }", 2),
    ("{ tasks(first: 50) { nodes { subtasks(last: 2) { edges { cursor node { title } } } } } }", 2),
    ("{ tasks(first: 50) { nodes { subtasks { totalCount } } } }", 2),
    ("{ tasks(first: 50) { nodes { subtasks { totalCount nodes { id } } } } }", 3),
    ("{ tasks(first: 50) { nodes { a: subtasks(first: 1) { nodes { id } } b: subtasks { nodes { id } } } } }", 3),
    ("{ tasks(first: 50) { nodes { subtasks { nodes { parent { owner { id } } } } } } }", 4),
    ("{ tasks(first: 50) { nodes { subtasks { nodes { subtasks { nodes { subtasks { nodes { id } } } } } } } } }", 4),
    (
        """{ tasks(first: 50, filter: {isSubtask: false}) { totalCount nodes {
            low: subtasks(first: 2, filter: {priority: LOW}) { totalCount nodes { title } }
            done: subtasks(orderBy: {field: DUE_AT}) { totalCount nodes { subtasks { totalCount nodes { title } } } }
        } } }""",
        8,
    ),
    ("{ tasks(first: 50) { nodes { history { nodes { kind createdAt by fields { name before after } } } } } }", 2),
    ("{ tasks(first: 50) { nodes { history(last: 1) { totalCount edges { cursor node { id } } } } } }", 3),
    ("{ tasks(first: 50) { nodes { history { totalCount } } } }", 2),
    # Relations of conversations and messages.
    ("{ conversations(first: 50) { nodes { messages { nodes { content } } } } }", 2),
    ("{ conversations(first: 50) { nodes { messages { totalCount } } } }", 2),
    ("{ conversations(first: 50) { nodes { messages(last: 1) { totalCount nodes { id } } } } }", 3),
    ("{ conversations(first: 50) { nodes { lastMessage { content } } } }", 2),
    ("{ conversations(first: 50) { nodes { owner { name } } } }", 2),
    ("{ conversations(first: 50) { nodes { messages { nodes { conversation { title owner { id } } } } } } }", 4),
    (
        """{ conversations(first: 50) { nodes {
            lastMessage { conversation { lastMessage { id } } } a: messages(first: 1) { nodes { id } }
            b: messages(orderBy: {field: CREATED_AT, direction: DESC}) { nodes { conversation { id } } } owner { id }
        } } }""",
        7,
    ),
    # A user's lists, however many rows that user stands on.
    ("{ viewer { tasks(first: 50) { nodes { id } } } }", 2),
    ("{ viewer { tasks { totalCount } conversations { totalCount nodes { id } } } }", 4),
    ("{ tasks(first: 50) { nodes { owner { tasks { nodes { id } } } } } }", 3),
    ("{ tasks(first: 50) { nodes { owner { tasks { totalCount } conversations { nodes { id } } } } } }", 4),
    # One fragment in two places: what it has loaded in the first need not be loaded in the second.
    (
        """{ tasks(first: 50) { nodes { ...Family subtasks { nodes { ...Family } } } } }
        fragment Family on Task { parent { id } owner { name } }""",
        4,
    ),
]


async def test_statement_count_is_independent_of_the_number_of_rows(
    server: RunningServer, one_of_each: House, fifty_of_each: House
) -> None:
    for query, statements in OPERATIONS:
        for house in (one_of_each, fifty_of_each):
            assert len((await run(server, house.owner, query)).statements) == statements, query


ROWS: Final = [
    ("query ($id: ID!) { task(id: $id) { title } }", "task_ids", 1),
    ("query ($id: ID!) { task(id: $id) { parent { id } owner { id } subtasks { nodes { id } } } }", "task_ids", 3),
    ("query ($id: ID!) { a: task(id: $id) { title } b: task(id: $id) { title } }", "task_ids", 1),
    ("query ($id: ID!) { a: task(id: $id) { title } b: task(id: $id) { tags } }", "task_ids", 2),
    ("query ($id: ID!) { conversation(id: $id) { title } }", "conversation_ids", 1),
    ("query ($id: ID!) { conversation(id: $id) { messages(first: 100) { nodes { id } } } }", "conversation_ids", 2),
    ("query ($id: ID!) { node(id: $id) { id } }", "task_ids", 1),
    ("query ($id: ID!) { node(id: $id) { ... on Task { owner { name } } } }", "task_ids", 2),
    ("query ($id: ID!) { node(id: $id) { id ... on Message { conversation { title } } } }", "message_ids", 2),
    ("query ($id: ID!) { node(id: $id) { id ... on Message { content } } }", "task_ids", 1),
]


async def test_statement_count_of_one_row(server: RunningServer, fifty_of_each: House) -> None:
    for query, kind, statements in ROWS:
        row_id = getattr(fifty_of_each, kind)[0]
        assert len((await run(server, fifty_of_each.owner, query, {"id": row_id})).statements) == statements, query


NODES: Final = [
    ("{ id }", 2),
    ("{ ... on Task { subtasks { nodes { id } } } ... on Conversation { lastMessage { id } } }", 4),
    ("{ ... on Task { owner { id } } ... on Conversation { owner { id } } }", 2),
    ("{ ... on User { tasks { nodes { id } } } ... on Message { conversation { id } } }", 4),
]


async def test_statement_count_of_nodes_of_every_type(
    server: RunningServer, one_of_each: House, fifty_of_each: House
) -> None:
    for selection, statements in NODES:
        query = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {selection} }}"
        for house, limit in ((one_of_each, 1), (fifty_of_each, 32)):
            ids = [*house.task_ids[:limit], *house.conversation_ids[:limit], *house.message_ids[:limit]]
            done = await run(server, house.owner, query, {"ids": [*ids, house.owner.user.id, house.owner.user.id]})
            assert len(done.data["nodes"]) == len(ids) + 2
            assert None not in done.data["nodes"]
            assert len(done.statements) == statements


async def test_nodes_of_one_type_take_one_statement(
    server: RunningServer, one_of_each: House, fifty_of_each: House
) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Task { title } } }"
    for house in (one_of_each, fifty_of_each):
        assert len((await run(server, house.owner, query, {"ids": house.task_ids})).statements) == 1


async def test_caller_on_many_rows_takes_three_statements(server: RunningServer, fifty_of_each: House) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on User { name tasks { totalCount nodes { id } } } } }"
    ids = [fifty_of_each.owner.user.id] * 50
    assert len((await run(server, fifty_of_each.owner, query, {"ids": ids})).statements) == 3


async def test_lists_of_the_admin_among_all_users_take_two_statements(
    server: RunningServer, database: Database, settings: Settings
) -> None:
    query = "{ users(last: 50) { nodes { id tasks { nodes { id } } conversations { totalCount } } } }"
    admin = await sign_in(database, settings, await make_user(database, is_admin=True))
    done = await run(server, admin, query)
    assert done.data["users"]["nodes"][-1]["id"] == admin.user.id
    assert len(done.statements) == 3


async def test_anonymous_viewer_takes_no_statement(server: RunningServer) -> None:
    assert (await run(server, None, "{ viewer { id tasks { totalCount } } }")).statements == []
