"""What caches of clients need of payloads: edges, the viewer, and ids that are read without what they name."""

from typing import Final

from graphql import GraphQLObjectType

from models import ToolCallStatus
from server.graphql.schema import core_schema, schema
from services.sync.changes import MODELS
from tests.factories import SignedIn, answered_rows, store_answered, tool_call_row
from tests.graph.operations import run
from tests.resolvers.user_api import UserApi
from tests.servers import RunningServer

TYPES: Final = core_schema(schema).type_map
CREATE: Final = """mutation ($title: String!, $key: String) {
    createTask(input: {title: $title, idempotencyKey: $key}) {
        task { id } taskEdge { cursor node { id title } } viewer { tasks { totalCount } } errors { code }
} }"""


async def test_new_rows_come_with_their_edges_and_the_viewer(api: UserApi) -> None:
    await api.task()
    made = (await api.query(CREATE, title="Sweep"))["createTask"]
    assert made["viewer"] == {"tasks": {"totalCount": 2}}
    listed = (await api.query("{ tasks { edges { cursor node { id title } } } }"))["tasks"]["edges"]
    assert made["taskEdge"] == listed[1]
    refused = (await api.query(CREATE, title=""))["createTask"]
    assert (refused["task"], refused["taskEdge"], refused["errors"]) == (None, None, [{"code": "BAD_USER_INPUT"}])
    talk = (
        await api.query(
            """mutation { createConversation(input: {}) {
                conversationEdge { cursor node { id } } viewer { conversations { totalCount } } } }"""
        )
    )["createConversation"]
    conversations = (await api.query("{ conversations { edges { cursor node { id } } } }"))["conversations"]
    assert (talk["conversationEdge"], talk["viewer"]["conversations"]["totalCount"]) == (conversations["edges"][0], 1)


async def test_edge_takes_no_statement_and_the_viewer_one(server: RunningServer, user: SignedIn) -> None:
    counts = []
    for selected in ("task { id }", "taskEdge { cursor node { id parentId } }", "viewer { id }"):
        done = await run(server, user, f'mutation {{ createTask(input: {{title: "x"}}) {{ {selected} }} }}')
        counts.append(len(done.statements))
    assert counts == [counts[0], counts[0], counts[0] + 1]


async def test_call_that_waits_names_the_task_by_its_title(api: UserApi) -> None:
    task, talk = await api.task("Buy milk"), await api.conversation()
    answered = answered_rows(api.user, talk.id)
    waiting = {"name": "delete_task", "result": None, "status": ToolCallStatus.AWAITING_APPROVAL}
    for position, task_id in enumerate((task.id, "gone")):
        call = tool_call_row(answered.run, position, **waiting | {"arguments": {"task_id": task_id}})
        answered.calls.append(call)
    await store_answered(api.database, answered)
    query = "query ($id: ID!) { node(id: $id) { ... on Run { conversationId toolCalls { runId title summary } } } }"
    shown = (await api.query(query, id=answered.run.id))["node"]
    assert shown["conversationId"] == talk.id
    assert [call["title"] for call in shown["toolCalls"]] == ["Delete the task “Buy milk”", "Delete a task"]
    assert {(call["runId"], call["summary"]) for call in shown["toolCalls"]} == {
        (answered.run.id, "Waits for your approval")
    }


def test_connections_have_edges_and_nodes_and_changes_are_of_every_kind() -> None:
    for name, named in TYPES.items():
        if isinstance(named, GraphQLObjectType) and name.endswith("Connection"):
            assert {"edges", "nodes", "pageInfo", "totalCount"} <= named.fields.keys()
    union = core_schema(schema).get_possible_types(TYPES["Change"])  # type: ignore[arg-type]  # it is a union
    assert {each.name for each in union} == {model.__name__ for model in MODELS.values()}
