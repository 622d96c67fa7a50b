"""What is another user's is as if it did not exist; the places to try are read from the schema."""

import json
import re
from typing import Any, Final

import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type

from core.database import Database
from core.ids import new_id
from models import RunStatus
from tests.factories import SignedIn, make_answered, make_conversation, make_task
from tests.graph_client import GraphClient
from tests.resolvers.user_api import UserApi
from tests.schema_walk import SCHEMA, SOME_ID, Place, operations
from tests.servers import RunningServer
from tests.socket_client import signed_in_socket
from tests.state import state_of

MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT[^\"]+")
OPEN_TO_ALL: Final = {
    *("viewer", "signUp", "signIn", "refreshSession"),
    *("verifyEmail", "requestPasswordReset", "resetPassword"),
}
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


def takers_of_ids(named: GraphQLObjectType) -> set[str]:
    fields = named.fields.items()
    return {name for name, field in fields for each in field.args.values() if get_named_type(each.type).name == "ID"}


def test_all_fields_that_take_ids_are_tried() -> None:
    of_types = [named for named in SCHEMA.type_map.values() if isinstance(named, GraphQLObjectType)]
    taking = {named.name: takers_of_ids(named) for named in of_types if takers_of_ids(named)}
    assert taking.pop("Subscription") == FOLLOWED.keys()
    assert taking.keys() <= {"Query", "Mutation"}


async def answers(client: GraphClient, place: Place, tried: str, own: str, caller: SignedIn) -> Any:
    answer = await client.execute(place.operation.document, variables(place, tried, own), as_=caller)
    seen = json.dumps([answer.status, answer.data, answer.errors])
    assert "INTERNAL_SERVER_ERROR" not in seen
    return json.loads(seen.replace(tried, "the id that was tried"))


async def rows_of(database: Database, owner: SignedIn, status: RunStatus = RunStatus.COMPLETED) -> list[str]:
    """Return the ids of one of everything that is the owner's."""
    talk = await make_conversation(database, owner.caller)
    answered = await make_answered(database, owner, talk.id, 1, status=status)
    task = await make_task(database, owner.caller)
    return [row.id for row in (talk, answered.message, answered.reply, answered.run, answered.calls[0], task)]


@pytest.mark.parametrize("place", PLACES, ids=str)
async def test_id_of_another_user_is_answered_as_an_unknown_one(
    client: GraphClient, database: Database, user: SignedIn, stranger: SignedIn, *, place: Place
) -> None:
    own = (await make_task(database, user.caller, id=new_id())).id
    theirs = await rows_of(database, stranger)
    if not is_new(place):
        theirs.append(stranger.user.id)
    before = await state_of(database, stranger.user.id)
    mine = await state_of(database, user.user.id)
    expected = await answers(client, place, new_id(), own, user)
    if is_new(place):
        mine = await state_of(database, user.user.id)
    for tried in theirs:
        assert await answers(client, place, tried, own, user) == expected
    assert await state_of(database, stranger.user.id) == before
    after = await state_of(database, user.user.id)
    if is_new(place):
        assert set(after.rows) == {*mine.rows, *theirs}
    else:
        assert after == mine


FOLLOWED: Final = {
    "messageAdded": ("subscription ($id: ID!) { messageAdded(conversationId: $id) { cursor } }", "conversation"),
    "replyStream": ("subscription ($id: ID!) { replyStream(messageId: $id) { text } }", "message"),
}


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.AWAITING_APPROVAL])
@pytest.mark.parametrize("name", FOLLOWED)
async def test_following_rows_of_another_user_is_refused(
    server: RunningServer, user: SignedIn, database: Database, stranger: SignedIn, *, name: str, status: RunStatus
) -> None:
    query, kind = FOLLOWED[name]
    theirs = await rows_of(database, stranger, status)
    before = await state_of(database, stranger.user.id)
    async with signed_in_socket(server, user.token) as socket:
        for row_id in (*theirs, stranger.user.id, new_id(), "", "x", "\0"):
            await socket.subscribe(query, {"id": row_id})
            refused = await socket.receive()
            (error,) = refused["payload"]
            told = (refused["type"], error["extensions"]["code"], error["message"])
            assert told == ("error", "NOT_FOUND", f"There is no such {kind}."), row_id
        await socket.round_trip()
    assert await state_of(database, stranger.user.id) == before


async def test_rows_of_the_same_id_are_each_users_own(api: UserApi, stranger: SignedIn) -> None:
    root, child, talk = new_id(), new_id(), new_id()
    theirs = api.as_(stranger)
    for each, name in ((api, "mine"), (theirs, "theirs")):
        await each.task(name, id=root)
        await each.task(name, id=child, parent_id=root)
        await each.ok("createConversation", id=talk, title=name)
        await each.ok("addMessage", conversationId=talk, content=name)
    query = """query ($root: ID!, $child: ID!, $talk: ID!) {
        task(id: $root) { ...OfTask } node(id: $child) { ...OfTask } conversation(id: $talk) { ...OfTalk }
        nodes(ids: [$root, $talk]) { ...OfTask ...OfTalk }
        tasks { totalCount nodes { ...OfTask } } conversations { totalCount edges { node { ...OfTalk } } }
        viewer { tasks { totalCount nodes { title } } conversations { totalCount nodes { title } } }
        changes { changed { ... on Task { title } ... on Conversation { title } ... on Message { content } } }
    }
    fragment OfTask on Task {
        title history { nodes { fields { after } } } owner { id } parent { title }
        subtasks { totalCount nodes { title parent { title } } }
    }
    fragment OfTalk on Conversation {
        title owner { id } lastMessage { content } messages { totalCount nodes { content conversation { title } } }
    }"""
    found = [json.dumps(await each.query(query, root=root, child=child, talk=talk)) for each in (api, theirs)]
    seen, seen_by_them = (MOMENT.sub("a moment", each) for each in found)
    assert ("theirs" in seen, stranger.user.id in seen) == (False, False)
    assert seen_by_them == seen.replace("mine", "theirs").replace(api.user_id, stranger.user.id)
    # What one deletes, the other keeps.
    before = await theirs.state()
    assert await api.ok("deleteTask", id=root) == {"deletedIds": [root, child]}
    assert (await api.ok("deleteConversation", id=talk))["deletedIds"][0] == talk
    assert (await api.state()).rows == {}
    assert await theirs.state() == before


async def test_operation_without_a_caller_is_refused(client: GraphClient) -> None:
    assert {operation.name for operation in operations()} > OPEN_TO_ALL
    for operation in operations():
        if operation.name not in OPEN_TO_ALL:
            answer = await client.execute(operation.document, operation.least_variables)
            assert (answer.codes, any((answer.data or {}).values())) == (["UNAUTHENTICATED"], False), operation
            assert answer.errors[0]["message"].startswith("Sign in first")
