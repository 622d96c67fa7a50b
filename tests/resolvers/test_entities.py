"""Each entity of the registry is found by its id, comes in changes, and leaves a tombstone and its history."""

from functools import partial
from typing import Any, Final

import pytest
from graphql import GraphQLInterfaceType

from core.database import Database
from models import ENTITIES, HistoryAction
from models.base import Editable, Entity
from services.entities.service import EntityService
from tests.factories import SignedIn, make_each_entity
from tests.graph_client import GraphClient
from tests.histories import history_of
from tests.schema_walk import SCHEMA
from tests.state import state_of

CHANGES: Final = """query ($since: String) {
    changes(since: $since) { changed { __typename id } deletedIds cursor hasMore }
}"""
NODE: Final = "query ($id: ID!) { node(id: $id) { __typename id } }"
each_entity: Final = pytest.mark.parametrize("entity", ENTITIES)


async def changes(client: GraphClient, user: SignedIn, since: str | None = None) -> Any:
    return (await client.query(CHANGES, {"since": since}, as_=user))["changes"]


async def make(database: Database, user: SignedIn, entity: type[Entity]) -> tuple[str, dict[type[Entity], str]]:
    """Return the id of a row of the entity, and those of all; whoever adds an entity adds it to the factories."""
    ids = await make_each_entity(database, user)
    assert entity in ids, f"tests.factories.make_each_entity makes no {entity.__name__}"
    return ids[entity], ids


def test_nodes_of_the_schema_are_the_entities_and_users() -> None:
    node = SCHEMA.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    possible = {named.name for named in SCHEMA.get_possible_types(node)}
    assert possible == {entity.__name__ for entity in ENTITIES} | {"User"}


@each_entity
async def test_row_of_each_entity_is_a_node_and_comes_in_changes(
    client: GraphClient, database: Database, user: SignedIn, entity: type[Entity]
) -> None:
    row_id, _ = await make(database, user, entity)
    expected = {"__typename": entity.__name__, "id": row_id}
    assert (await client.query(NODE, {"id": row_id}, as_=user))["node"] == expected
    assert expected in (await changes(client, user))["changed"]


@each_entity
async def test_deleted_row_of_each_entity_leaves_a_tombstone_and_no_node(
    client: GraphClient, database: Database, user: SignedIn, entity: type[Entity]
) -> None:
    row_id, ids = await make(database, user, entity)
    cursor = (await changes(client, user))["cursor"]
    # What is not edited by its owner goes with what it belongs to.
    for model in [model for model in ids if issubclass(model, Editable)]:
        await database.write(partial(EntityService(model).delete, caller=user.caller, row_id=ids[model]))
    deletion = (await state_of(database, user.user.id)).deletions[row_id]
    assert deletion.kind == entity.entity_kind()
    assert row_id in (await changes(client, user, cursor))["deletedIds"]
    assert (await client.query(NODE, {"id": row_id}, as_=user))["node"] is None


@pytest.mark.parametrize("entity", [entity for entity in ENTITIES if entity.has_history])
async def test_history_has_each_change_of_each_entity_that_has_one(
    database: Database, user: SignedIn, entity: type[Editable]
) -> None:
    row_id, _ = await make(database, user, entity)
    await database.write(partial(EntityService(entity).delete, caller=user.caller, row_id=row_id))
    entries = await history_of(database, user.caller, row_id)
    assert [(entry.entity, entry.kind) for entry in entries] == [
        (entity.entity_kind(), HistoryAction.CREATED),
        (entity.entity_kind(), HistoryAction.DELETED),
    ]
