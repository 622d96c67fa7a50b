"""What is another user's is as if it did not exist; the places to try are read from the schema."""

import json
import re
from typing import Any, Final

import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type

from core.database import Database
from core.ids import new_id
from tests.factories import SignedIn, make_answered, make_conversation, make_message, make_task
from tests.graph_client import GraphClient
from tests.schema_walk import SCHEMA, SOME_ID, Place, operations
from tests.state import state_of

MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT[^\"]+")
OPEN_TO_ALL: Final = {"viewer", "signUp", "signIn", "refreshSession"}
# What changes something of a row, or refuses to, where the row is the caller's.
AGREEABLE: Final = {"title": "Mine", "content": "Mine", "expectedRevision": 1}

# Each place that takes an id; operations that create something take a new id of the client's.
PLACES: Final = [place for operation in operations() for place in operation.places if place.type_name == "ID"]


def is_new(place: Place) -> bool:
    return place.operation.name.startswith("create") and place.path[-1] == "id"


def variables(place: Place, tried: str, own: str) -> Any:
    """Return variables with the id to try in the place, and one of the caller's own tasks wherever another must be."""
    given = place.variables([own, tried] if place.is_list else tried)
    for inputs in given.values():
        if isinstance(inputs, dict):
            inputs |= {name: value for name, value in AGREEABLE.items() if name in fields_of(place)}
    return json.loads(json.dumps(given).replace(SOME_ID, own))


def fields_of(place: Place) -> set[str]:
    arguments = place.operation.field.args.values()
    inputs = [get_named_type(argument.type) for argument in arguments]
    return {name for each in inputs if isinstance(each, GraphQLInputObjectType) for name in each.fields}


def test_only_fields_of_roots_take_ids() -> None:
    of_types = [named for named in SCHEMA.type_map.values() if isinstance(named, GraphQLObjectType)]
    roots = {SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type}
    arguments = [
        f"{named.name}.{name}({argument})"
        for named in of_types
        if named not in roots
        for name, field in named.fields.items()
        for argument, each in field.args.items()
        if get_named_type(each.type).name == "ID"
    ]
    assert arguments == []


async def answers(client: GraphClient, place: Place, tried: str, own: str, caller: SignedIn) -> Any:
    answer = await client.execute(place.operation.document, variables(place, tried, own), as_=caller)
    seen = json.dumps([answer.status, answer.data, answer.errors])
    assert "INTERNAL_SERVER_ERROR" not in seen
    return json.loads(seen.replace(tried, "the id that was tried"))


@pytest.mark.parametrize("place", PLACES, ids=str)
async def test_id_of_another_user_is_answered_as_an_unknown_one(
    client: GraphClient, database: Database, user: SignedIn, stranger: SignedIn, *, place: Place
) -> None:
    own = (await make_task(database, user.caller, id=new_id())).id
    conversation = await make_conversation(database, stranger.caller)
    answered = await make_answered(database, stranger, conversation.id, 1)
    theirs = [
        (await make_task(database, stranger.caller)).id,
        conversation.id,
        answered.message.id,
        answered.reply.id,
        answered.run.id,
        answered.calls[0].id,
    ]
    if not is_new(place):
        theirs.append(stranger.user.id)
    before = [await state_of(database, each.user.id) for each in (user, stranger)]
    expected = await answers(client, place, new_id(), own, user)
    if is_new(place):
        before[0] = await state_of(database, user.user.id)
    for tried in theirs:
        assert await answers(client, place, tried, own, user) == expected
        if not is_new(place):
            assert await state_of(database, user.user.id) == before[0]
        assert await state_of(database, stranger.user.id) == before[1]
    if is_new(place):
        assert set((await state_of(database, user.user.id)).rows) == {*before[0].rows, *theirs}


async def test_rows_of_the_same_id_are_each_users_own(
    client: GraphClient, database: Database, user: SignedIn, stranger: SignedIn
) -> None:
    root, child, talk = new_id(), new_id(), new_id()
    for each, name in ((user, "mine"), (stranger, "theirs")):
        await make_task(database, each.caller, name, id=root)
        await make_task(database, each.caller, name, id=child, parent_id=root)
        await client.mutate("createConversation", {"id": talk, "title": name}, as_=each)
        await client.mutate("addMessage", {"conversationId": talk, "content": name}, as_=each)
    task = """title history { nodes { fields { after } } } owner { id } parent { title }
        subtasks { totalCount nodes { title parent { title } } }"""
    talks = (
        "title owner { id } lastMessage { content } messages { totalCount nodes { content conversation { title } } }"
    )
    query = f"""query ($root: ID!, $child: ID!, $talk: ID!) {{
        task(id: $root) {{ {task} }}
        node(id: $child) {{ ... on Task {{ {task} }} }}
        conversation(id: $talk) {{ {talks} }}
        nodes(ids: [$root, $talk]) {{ ... on Task {{ {task} }} ... on Conversation {{ {talks} }} }}
        tasks {{ totalCount nodes {{ {task} }} }}
        conversations {{ totalCount edges {{ node {{ {talks} }} }} }}
        viewer {{ tasks {{ totalCount nodes {{ title }} }} conversations {{ totalCount nodes {{ title }} }} }}
        changes {{ changed {{ ... on Task {{ title }} ... on Conversation {{ title }} ... on Message {{ content }} }} }}
    }}"""
    ids = {"root": root, "child": child, "talk": talk}

    async def read(caller: SignedIn) -> str:
        return MOMENT.sub("a moment", json.dumps(await client.query(query, ids, as_=caller)))

    seen = await read(user)
    assert ("theirs" in seen, stranger.user.id in seen) == (False, False)
    theirs = await read(stranger)
    assert theirs == seen.replace("mine", "theirs").replace(user.user.id, stranger.user.id)


async def test_deletion_leaves_rows_of_the_same_id_of_another_user(
    client: GraphClient, database: Database, user: SignedIn, stranger: SignedIn
) -> None:
    root, talk = new_id(), new_id()
    for each in (user, stranger):
        await make_task(database, each.caller, id=root)
        await client.mutate("createConversation", {"id": talk}, as_=each)
    await make_task(database, stranger.caller, parent_id=root)
    await make_message(database, stranger.caller, talk)
    before = await state_of(database, stranger.user.id)
    child = await client.mutate("createTask", {"title": "x", "parentId": root}, as_=user)
    for name, row_id, below in (("deleteTask", root, [child["task"]["id"]]), ("deleteConversation", talk, [])):
        payload = await client.mutate(name, {"id": row_id}, as_=user)
        assert payload == {"deletedIds": [row_id, *below], "errors": []}
    state = await state_of(database, user.user.id)
    assert (state.rows, set(state.deletions)) == ({}, {root, talk, child["task"]["id"]})
    assert await state_of(database, stranger.user.id) == before


async def test_operation_without_a_caller_is_refused(client: GraphClient) -> None:
    assert {operation.name for operation in operations()} > OPEN_TO_ALL
    for operation in operations():
        if operation.name not in OPEN_TO_ALL:
            answer = await client.execute(operation.document, operation.least_variables)
            assert (answer.codes, any((answer.data or {}).values())) == (["UNAUTHENTICATED"], False), operation
            assert answer.errors[0]["message"].startswith("Sign in first")
