"""Anything by its id: each entity is a node, comes in changes, and leaves a tombstone and its history."""

from functools import partial
from typing import Any, Final

import pytest
from graphql import GraphQLInterfaceType

from core.ids import new_id
from models import ENTITIES, Conversation, HistoryAction, Run, ToolCall
from models.base import Editable, Entity
from services.entities.service import EntityService
from tests.factories import SignedIn, make_each_entity
from tests.histories import history_of
from tests.resolvers.user_api import UserApi
from tests.schema_walk import SCHEMA

FIELDS: Final = """__typename id
    ... on Task { title owner { id } }
    ... on Conversation { name: title lastMessage { content } }
    ... on Message { content conversation { id } }
    ... on Run { model toolCalls { id } }
    ... on ToolCall { name calledBy: run { id } }
    ... on User { email }
"""
NODE: Final = f"query ($id: ID!) {{ node(id: $id) {{ {FIELDS} }} }}"
NODES: Final = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ {FIELDS} }} }}"
CHANGES: Final = "query ($since: String) { changes(since: $since) { changed { __typename id } deletedIds cursor } }"


async def expected_nodes(api: UserApi) -> dict[str, dict[str, Any]]:
    """Make a row of each entity, and return what is shown of each, and of the user."""
    ids = await make_each_entity(api.database, api.user)
    shown: dict[str, dict[str, Any]] = {
        "Task": {"title": "Water the plants", "owner": {"id": api.user_id}},
        "Conversation": {"name": "Plans", "lastMessage": {"content": "Done."}},
        "Message": {"content": "Done.", "conversation": {"id": ids[Conversation]}},
        "Run": {"model": "offline", "toolCalls": [{"id": ids[ToolCall]}]},
        "ToolCall": {"name": "add_task", "calledBy": {"id": ids[Run]}},
    }
    nodes = {
        row_id: {"__typename": model.__name__, "id": row_id} | shown[model.__name__] for model, row_id in ids.items()
    }
    return nodes | {api.user_id: {"__typename": "User", "id": api.user_id, "email": api.user.user.email}}


async def test_nodes_come_in_the_order_of_their_ids(api: UserApi, stranger: SignedIn) -> None:
    nodes, theirs = await expected_nodes(api), await expected_nodes(api.as_(stranger))
    ids = [*nodes, *theirs, new_id(), "", "x", "\0", "é" * 36, *reversed(nodes)]
    assert (await api.query(NODES, ids=ids))["nodes"] == [nodes.get(node_id) for node_id in ids]


async def test_nodes_takes_at_most_a_hundred_ids(api: UserApi) -> None:
    task = await api.task()
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert await api.query(query, ids=[task.id] * 100) == {"nodes": [{"id": task.id}] * 100}
    assert await api.query(query, ids=[]) == {"nodes": []}
    refused = await api.execute(query, ids=[task.id] * 101)
    assert (refused.codes, refused.errors[0]["message"]) == (["BAD_USER_INPUT"], "ids takes at most 100; it has 101.")


async def test_admin_finds_users_but_no_rows_of_theirs(api: UserApi, admin: SignedIn) -> None:
    nodes, as_admin = await expected_nodes(api), api.as_(admin)
    own = {"__typename": "User", "id": admin.user.id, "email": admin.user.email}
    ids = [*nodes, admin.user.id, new_id(), "", "\0", "x" * 1_000]
    shown = {api.user_id: nodes[api.user_id], admin.user.id: own}
    assert (await as_admin.query(NODES, ids=ids))["nodes"] == [shown.get(node_id) for node_id in ids]
    assert await as_admin.query(NODE, id=api.user_id) == {"node": nodes[api.user_id]}


def test_nodes_of_the_schema_are_the_entities_and_users() -> None:
    node = SCHEMA.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    possible = {named.name for named in SCHEMA.get_possible_types(node)}
    assert possible == {entity.__name__ for entity in ENTITIES} | {"User", "Session"}


@pytest.mark.parametrize("entity", ENTITIES)
async def test_row_of_each_entity_is_a_node_until_it_leaves_a_tombstone(api: UserApi, entity: type[Entity]) -> None:
    ids = await make_each_entity(api.database, api.user)
    assert entity in ids, f"tests.factories.make_each_entity makes no {entity.__name__}"
    row_id = ids[entity]
    expected = {"__typename": entity.__name__, "id": row_id}
    assert expected.items() <= (await api.query(NODE, id=row_id))["node"].items()
    seen = (await api.query(CHANGES))["changes"]
    assert expected in seen["changed"]
    # What is not edited by its owner goes with what it belongs to.
    for model in [model for model in ids if issubclass(model, Editable)]:
        await api.database.write(partial(EntityService(model).delete, caller=api.caller, row_id=ids[model]))
    assert (await api.state()).deletions[row_id].kind == entity.entity_kind()
    assert row_id in (await api.query(CHANGES, since=seen["cursor"]))["changes"]["deletedIds"]
    assert await api.query(NODE, id=row_id) == {"node": None}


@pytest.mark.parametrize("entity", [entity for entity in ENTITIES if entity.has_history])
async def test_history_has_each_change_of_each_entity_that_has_one(api: UserApi, entity: type[Editable]) -> None:
    row_id = (await make_each_entity(api.database, api.user))[entity]
    await api.database.write(partial(EntityService(entity).delete, caller=api.caller, row_id=row_id))
    entries = await history_of(api.database, api.caller, row_id)
    kinds = [HistoryAction.CREATED, HistoryAction.DELETED]
    assert [(entry.entity, entry.kind) for entry in entries] == [(entity.entity_kind(), kind) for kind in kinds]
