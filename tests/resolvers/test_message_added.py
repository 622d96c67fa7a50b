"""messageAdded: each message of a conversation once, in order, from any cursor, whoever writes meanwhile."""

import asyncio
from functools import partial
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from services.conversations.conversations import conversations as conversation_service
from services.conversations.messages import MessageCursor, NewMessage, add_message
from services.sync.changes import Cursor
from tests.factories import SignedIn, make_conversation, make_message
from tests.servers import RunningServer
from tests.services.rows import all_statements
from tests.socket_client import SocketClient, signed_in_socket
from tests.waiting import until

QUERY: Final = """subscription ($id: ID!, $after: String) {
    messageAdded(conversationId: $id, after: $after) { cursor message { id content revision } }
}"""
Event = dict[str, Any]


async def begin(
    server: RunningServer, socket: SocketClient, user: SignedIn, conversation_id: str, after: str | None = None
) -> None:
    """Subscribe, and wait until that has come about."""
    await socket.subscribe(QUERY, {"id": conversation_id, "after": after})
    await until(lambda: user.user.id in server.runtime.live.hub.users)


async def event(socket: SocketClient) -> Event:
    added: Event = (await socket.data())["messageAdded"]
    return added


async def contents(socket: SocketClient, count: int) -> list[str]:
    """Return what the next messages say; after them there must be nothing."""
    found = [(await event(socket))["message"]["content"] for _ in range(count)]
    await socket.round_trip()
    return found


async def test_message_added_resumes_from_every_cursor(server: RunningServer, user: SignedIn) -> None:
    database = server.runtime.database
    conversation = await make_conversation(database, user.caller)
    await make_message(database, user.caller, conversation.id, "before")
    async with signed_in_socket(server, user.token) as socket:
        await begin(server, socket, user, conversation.id.upper())
        for number in range(5):
            await make_message(database, user.caller, conversation.id, str(number))
        cursors = [(await event(socket))["cursor"] for _ in range(5)]
        assert len(set(cursors)) == 5
        await socket.complete()
        for index, cursor in enumerate(cursors):
            await socket.subscribe(QUERY, {"id": conversation.id, "after": cursor})
            assert await contents(socket, 4 - index) == list("01234")[index + 1 :]
            await socket.complete()


async def test_messages_of_one_transaction_have_cursors_of_their_own(server: RunningServer, user: SignedIn) -> None:
    database = server.runtime.database
    conversation = await make_conversation(database, user.caller)

    async def add(session: AsyncSession) -> None:
        for number in range(250):
            await add_message(session, user.caller, NewMessage(conversation.id, str(number)))

    async with signed_in_socket(server, user.token) as socket:
        await begin(server, socket, user, conversation.id)
        await database.write(add)
        events = [await event(socket) for _ in range(250)]
        await socket.complete()
        assert [each["message"]["content"] for each in events] == [str(number) for number in range(250)]
        assert len({each["message"]["revision"] for each in events}) == 1
        # A cursor within the transaction knows what came before it, and no more.
        await socket.subscribe(QUERY, {"id": conversation.id, "after": events[120]["cursor"]})
        assert await contents(socket, 129) == [str(number) for number in range(121, 250)]


async def test_no_message_is_lost_between_backlog_and_new_ones(server: RunningServer, user: SignedIn) -> None:
    database = server.runtime.database
    conversation = await make_conversation(database, user.caller)
    start, said = MessageCursor(1).write(), 0

    async def write(count: int) -> None:
        nonlocal said
        for _ in range(count):
            await make_message(database, user.caller, conversation.id, str(said))
            said += 1

    async with signed_in_socket(server, user.token) as socket:
        for round_ in range(6):
            # While some are written, who subscribes sees all there were, are and will be.
            already = said
            await asyncio.gather(write(6), socket.subscribe(QUERY, {"id": conversation.id, "after": start}))
            assert await contents(socket, already + 6) == [str(number) for number in range(already + 6)], round_
            await socket.complete()


CURSORS: Final = [
    ("", "BAD_USER_INPUT"),
    ("x", "BAD_USER_INPUT"),
    ("\0", "BAD_USER_INPUT"),
    ("\N{ROCKET}", "BAD_USER_INPUT"),
    ("W10", "BAD_USER_INPUT"),
    (Cursor(1).write(), "BAD_USER_INPUT"),
    ("x" * 100_000, "BAD_USER_INPUT"),
    # An account that was restored knows less than its clients.
    (MessageCursor(1_000_000).write(), "CURSOR_EXPIRED"),
]


async def test_invalid_and_expired_cursors_are_refused(server: RunningServer, user: SignedIn) -> None:
    conversation = await make_conversation(server.runtime.database, user.caller)
    async with signed_in_socket(server, user.token) as socket:
        for cursor, code in CURSORS:
            await socket.subscribe(QUERY, {"id": conversation.id, "after": cursor})
            assert await socket.codes() == [code]


async def test_event_costs_one_read_and_holds_no_connection(
    server: RunningServer, user: SignedIn, database: Database
) -> None:
    conversation = await make_conversation(database, user.caller)
    connections = server.runtime.database.pool
    async with signed_in_socket(server, user.token) as socket:
        await begin(server, socket, user, conversation.id)
        await make_message(server.runtime.database, user.caller, conversation.id, "warm")
        assert await contents(socket, 1) == ["warm"]
        # No connection is held while there is nothing to do.
        await until(lambda: connections.in_use == 0)
        with all_statements(server.runtime.database) as statements:
            await make_message(server.runtime.database, user.caller, conversation.id, "counted")
            assert await contents(socket, 1) == ["counted"]
        reads = [each for each in statements if "FROM messages" in each]
        assert len(reads) == 1
        assert "role" not in reads[0]
        await until(lambda: connections.in_use == 0)


async def test_message_added_ends_with_its_conversation(server: RunningServer, user: SignedIn) -> None:
    database = server.runtime.database
    conversation = await make_conversation(database, user.caller)
    async with signed_in_socket(server, user.token) as socket:
        await begin(server, socket, user, conversation.id)
        await database.write(partial(conversation_service.delete, caller=user.caller, row_id=conversation.id))
        assert await socket.codes() == ["NOT_FOUND"]
    await until(lambda: user.user.id not in server.runtime.live.hub.users)
