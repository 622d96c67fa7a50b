"""Only the columns that an operation selects are read, with those that a cursor or a relation needs."""

import gc
from typing import Final
from weakref import ref

from graphql import GraphQLObjectType, parse

import engine
from graph.context import Context
from models import Task, User
from models.columns import Kind, public_columns
from server.graphql.schema import core_schema, schema
from tests.graph.conftest import House
from tests.graph.operations import run
from tests.servers import RunningServer

OF_TASK: Final = {
    column.api_name: {column.name} for column in public_columns(Task) if column.kind is not Kind.REFERENCE
} | {
    "__typename": set(),
    "id": set(),
    "parent { id }": {"parent_id"},
    "parentId": {"parent_id"},
    "owner { id }": {"user_id"},
    "subtasks { nodes { title } }": set(),
    "history { nodes { kind } }": set(),
}


async def test_field_of_a_task_reads_its_columns_only(server: RunningServer, one_of_each: House) -> None:
    task = core_schema(schema).type_map["Task"]
    assert isinstance(task, GraphQLObjectType)
    assert {field.partition(" ")[0] for field in OF_TASK} == {"__typename", *task.fields}
    for field, columns in OF_TASK.items():
        by_id = f"query ($id: ID!) {{ task(id: $id) {{ {field} }} }}"
        found = await run(server, one_of_each.owner, by_id, {"id": one_of_each.task_ids[0]})
        assert found.columns[0] == {"id"} | columns, field
        for below in (f"nodes {{ {field} }}", f"edges {{ node {{ {field} }} }}"):
            listed = await run(server, one_of_each.owner, f"{{ tasks {{ {below} }} }}")
            assert listed.columns[0] == {"id", "created_at"} | columns, field
            nested = await run(server, one_of_each.owner, f"{{ tasks {{ nodes {{ subtasks {{ {below} }} }} }} }}")
            assert nested.columns[1] == {"id", "created_at"} | columns, field


IN_ORDER: Final = {"id", "created_at"}
OPERATIONS: Final[dict[str, list[set[str]]]] = {
    "{ tasks(orderBy: {field: DUE_AT}) { nodes { title } } }": [{"id", "due_at", "title"}],
    "{ tasks(orderBy: [{field: TITLE}, {field: PRIORITY, direction: DESC}]) { pageInfo { endCursor } } }": [
        {"id", "title", "priority"}
    ],
    '{ tasks(filter: {search: "a", tags: ["b"], completed: true}) { nodes { id } } }': [IN_ORDER],
    "{ tasks { totalCount } }": [set()],
    "{ tasks { edges { cursor } } }": [IN_ORDER],
    "{ tasks { nodes { title } edges { node { tags } } } }": [IN_ORDER | {"title", "tags"}],
    """{ tasks { ...Page } } fragment Page on TaskConnection { nodes { ...Row ... { tags } } }
        fragment Row on Task { ... on Task { title } ... on Node { id } }""": [IN_ORDER | {"title", "tags"}],
    "{ conversations { nodes { id lastMessage { content } } } }": [{"id", "updated_at"}, IN_ORDER | {"content"}],
    "{ conversations { nodes { messages { nodes { role conversation { title } } } } } }": [
        *({"id", "updated_at"}, IN_ORDER | {"role", "conversation_id"}, {"id", "title"})
    ],
    "{ tasks { nodes { history { nodes { kind by } } } } }": [IN_ORDER, IN_ORDER | {"kind", "run_id"}],
    "{ viewer { id tasks { nodes { id } } } }": [{"id"}, IN_ORDER],
    "{ users { nodes { email isAdmin } } }": [IN_ORDER | {"email", "is_admin"}],
    "{ tasks { nodes { owner { image } } } }": [IN_ORDER | {"user_id"}, {"id", "image"}],
}


async def test_operation_reads_selected_columns_only(server: RunningServer, one_of_each: House) -> None:
    for query, columns in OPERATIONS.items():
        assert (await run(server, one_of_each.owner, query)).columns == columns


async def test_node_is_read_with_the_columns_of_all_fragments(server: RunningServer, one_of_each: House) -> None:
    query = "query ($id: ID!) { node(id: $id) { id ... on Task { title } ... on Message { content } } }"
    found = await run(server, one_of_each.owner, query, {"id": one_of_each.task_ids[0]})
    assert found.columns == [{"id", "title", "content"}]


async def test_no_statement_reads_internal_columns(server: RunningServer, one_of_each: House) -> None:
    shown = {
        model: " ".join(column.api_name for column in public_columns(model) if column.kind is not Kind.REFERENCE)
        for model in (User, Task)
    }
    everything = f"{{ users {{ nodes {{ {shown[User]} }} }} tasks {{ nodes {{ {shown[Task]} }} }} }}"
    done = await run(server, one_of_each.owner, everything)
    assert not any(secret in statement for secret in ("password_hash", "words") for statement in done.statements)


async def test_released_operation_is_collected(server: RunningServer, one_of_each: House) -> None:
    document = parse("{ tasks { nodes { id title } pageInfo { endCursor } } }")
    plan = engine.Plan(core_schema(schema), document)
    context = Context(server.runtime, one_of_each.owner.caller, "test", "127.0.0.1")
    assert not (await plan.execute(None, context)).errors
    operation = ref(document.definitions[0])
    del document, plan, context
    gc.collect()
    assert operation() is None
