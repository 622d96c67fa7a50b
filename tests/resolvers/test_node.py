"""Anything by its id."""

from typing import Any

from core.database import Database
from core.ids import new_id
from tests.factories import SignedIn, make_answered, make_conversation, make_message, make_task
from tests.graph_client import GraphClient

FIELDS = """__typename id
    ... on Task { title owner { id } }
    ... on Conversation { name: title lastMessage { content } }
    ... on Message { content conversation { id } }
    ... on Run { model toolCalls { id } }
    ... on ToolCall { name calledBy: run { id } }
    ... on User { email }
"""
NODE = f"query ($id: ID!) {{ node(id: $id) {{ {FIELDS} }} }}"
NODES = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ {FIELDS} }} }}"


async def expected_nodes(database: Database, user: SignedIn) -> dict[str, dict[str, Any]]:
    conversation = await make_conversation(database, user.caller)
    message = await make_message(database, user.caller, conversation.id)
    task = await make_task(database, user.caller)
    answered = await make_answered(database, user, (await make_conversation(database, user.caller)).id, 1)
    run, (call,) = answered.run, answered.calls
    nodes: list[dict[str, Any]] = [
        {"__typename": "Task", "id": task.id, "title": "Water the plants", "owner": {"id": user.user.id}},
        {"__typename": "Conversation", "id": conversation.id, "name": "Plans", "lastMessage": {"content": "Hello"}},
        {"__typename": "Message", "id": message.id, "content": "Hello", "conversation": {"id": conversation.id}},
        {"__typename": "Run", "id": run.id, "model": "offline", "toolCalls": [{"id": call.id}]},
        {"__typename": "ToolCall", "id": call.id, "name": "add_task", "calledBy": {"id": run.id}},
        {"__typename": "User", "id": user.user.id, "email": user.user.email},
    ]
    return {node["id"]: node for node in nodes}


async def test_nodes_come_in_the_order_of_their_ids(
    client: GraphClient, database: Database, user: SignedIn, stranger: SignedIn
) -> None:
    nodes, theirs = await expected_nodes(database, user), await expected_nodes(database, stranger)
    ids = [*nodes, *theirs, new_id(), "", "x", "\0", "é" * 36, *reversed(nodes)]
    answer = await client.query(NODES, {"ids": ids}, as_=user)
    assert answer["nodes"] == [nodes.get(node_id) for node_id in ids]


async def test_nodes_takes_at_most_a_hundred_ids(client: GraphClient, database: Database, user: SignedIn) -> None:
    task = await make_task(database, user.caller)
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    answer = await client.query(query, {"ids": [task.id] * 100}, as_=user)
    assert answer["nodes"] == [{"id": task.id}] * 100
    assert await client.query(query, {"ids": []}, as_=user) == {"nodes": []}
    refused = await client.execute(query, {"ids": [task.id] * 101}, as_=user)
    assert refused.codes == ["BAD_USER_INPUT"]
    assert refused.errors[0]["message"] == "ids takes at most 100; it has 101."


async def test_admin_finds_users_but_no_rows_of_theirs(
    client: GraphClient, database: Database, stranger: SignedIn, admin: SignedIn
) -> None:
    nodes = await expected_nodes(database, stranger)
    ids = [*nodes, admin.user.id, new_id(), "", "\0", "x" * 1_000]
    answer = await client.query(NODES, {"ids": ids}, as_=admin)
    assert answer["nodes"] == [
        *[None] * 5,
        nodes[stranger.user.id],
        {"__typename": "User", "id": admin.user.id, "email": admin.user.email},
        *[None] * 4,
    ]
    assert await client.query(NODE, {"id": stranger.user.id}, as_=admin) == {"node": nodes[stranger.user.id]}
