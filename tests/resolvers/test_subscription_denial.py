"""Subscriptions to the rows of another user are refused as if these did not exist."""

from typing import Final

import pytest
from graphql import get_named_type

from core.database import Database
from core.ids import new_id
from models import RunStatus
from tests.factories import SignedIn, make_answered, make_conversation, make_task
from tests.schema_walk import SCHEMA
from tests.servers import RunningServer
from tests.socket_client import signed_in_socket
from tests.state import state_of

FOLLOWED: Final = {
    "messageAdded": ("subscription ($id: ID!) { messageAdded(conversationId: $id) { cursor } }", "conversation"),
    "replyStream": ("subscription ($id: ID!) { replyStream(messageId: $id) { text } }", "message"),
}


def test_each_subscription_that_takes_an_id_is_tried() -> None:
    root = SCHEMA.subscription_type
    assert root is not None
    taking = {
        name
        for name, field in root.fields.items()
        if any(get_named_type(argument.type).name == "ID" for argument in field.args.values())
    }
    assert taking == FOLLOWED.keys()


async def ids_of(database: Database, owner: SignedIn, status: RunStatus) -> list[str]:
    """Return the ids of one of everything that is the owner's."""
    conversation = await make_conversation(database, owner.caller)
    answered = await make_answered(database, owner, conversation.id, 1, status=status)
    task = await make_task(database, owner.caller)
    rows = (conversation, answered.message, answered.reply, answered.run, answered.calls[0], task, owner.user)
    return [row.id for row in rows]


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.AWAITING_APPROVAL])
@pytest.mark.parametrize("name", FOLLOWED)
async def test_following_rows_of_another_user_is_refused(
    server: RunningServer, user: SignedIn, database: Database, stranger: SignedIn, *, name: str, status: RunStatus
) -> None:
    query, kind = FOLLOWED[name]
    tried = [*await ids_of(database, stranger, status), new_id(), "", "x", "\0"]
    before = await state_of(database, stranger.user.id)
    async with signed_in_socket(server, user.token) as socket:
        for row_id in tried:
            await socket.subscribe(query, {"id": row_id})
            refused = await socket.receive()
            (error,) = refused["payload"]
            told = (refused["type"], error["extensions"]["code"], error["message"])
            assert told == ("error", "NOT_FOUND", f"There is no such {kind}."), row_id
        await socket.round_trip()
    assert await state_of(database, stranger.user.id) == before
