"""replyStream: a reply's text from any place, live, over sockets and event streams, whichever process writes it."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

import pytest

from core.database import Database
from live.hub import WakeUp
from models import RunStatus, ToolCallStatus
from services.conversations.conversations import conversations as conversation_service
from services.runs.progress import Outcome, Pause, Progress, Tokens, finish_run, pause_run, write_reply
from services.runs.run import cancel_run
from tests.event_client import open_events
from tests.factories import Answered, SignedIn, answered_rows, make_conversation, store_answered, tool_call_row
from tests.servers import RunningServer
from tests.socket_client import SocketClient, signed_in_socket
from tests.waiting import until

QUERY: Final = """subscription ($id: ID!, $from: Int! = 0) {
    replyStream(messageId: $id, fromOffset: $from) { messageId offset text status nextOffset }
}"""
TEXT: Final = "Ünï\N{ROCKET}c\u0301ode, " * 20
Chunk = dict[str, Any]


class Writer:
    """Writes a reply as a run does, in the server's process or as if it were in another."""

    def __init__(self, database: Database, server: RunningServer | None, user: SignedIn, answered: Answered) -> None:
        self._database = database
        self._server = server
        self._caller = user.caller
        self.run_id = answered.run.id
        self.reply_id = answered.reply.id
        self.conversation_id = answered.run.conversation_id
        self.text = ""

    async def write(self, text: str) -> None:
        self.text += text
        await self._database.write(partial(write_reply, caller=self._caller, reply_id=self.reply_id, text=self.text))
        if self._server is not None:
            self._server.runtime.live.replies.wake({self.reply_id: len(self.text)}, WakeUp.LOCAL)

    async def finish(self, status: RunStatus = RunStatus.COMPLETED) -> None:
        progress = Progress(self.text, Tokens())
        await self._database.write(
            partial(finish_run, caller=self._caller, run_id=self.run_id, progress=progress, outcome=Outcome(status))
        )


async def streaming(database: Database, user: SignedIn, **values: Any) -> Answered:
    conversation = await make_conversation(database, user.caller)
    answered = answered_rows(user, conversation.id, **{"status": RunStatus.RUNNING} | values)
    await store_answered(database, answered)
    return answered


@pytest.fixture(params=["here", "elsewhere"])
async def writer(request: pytest.FixtureRequest, server: RunningServer, database: Database, user: SignedIn) -> Writer:
    """Give who writes a reply: the server's process, whose followers are told, or another one."""
    answered = await streaming(database, user)
    if request.param == "here":
        return Writer(server.runtime.database, server, user, answered)
    return Writer(database, None, user, answered)


async def chunk(socket: SocketClient) -> Chunk:
    found: Chunk = (await socket.data())["replyStream"]
    assert found["nextOffset"] == found["offset"] + len(found["text"])
    return found


async def chunks(socket: SocketClient) -> AsyncIterator[Chunk]:
    """Yield the chunks up to the end, after which the server must say so."""
    while True:
        found = await chunk(socket)
        yield found
        if found["status"] != "STREAMING":
            assert (await socket.receive())["type"] == "complete"
            return


def joined(found: list[Chunk], start: int = 0) -> str:
    """Return the whole text; no piece may be missing or come twice."""
    place = start
    for each in found:
        assert each["offset"] == place
        place = each["nextOffset"]
    return "".join(each["text"] for each in found)


async def test_reply_stream_sends_each_piece_as_it_is_written(
    server: RunningServer, user: SignedIn, writer: Writer
) -> None:
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(QUERY, {"id": writer.reply_id.upper()})
        for start in range(0, len(TEXT), 70):
            piece = TEXT[start : start + 70]
            await writer.write(piece)
            assert await chunk(socket) == {
                "messageId": writer.reply_id,
                "offset": start,
                "text": piece,
                "status": "STREAMING",
                "nextOffset": start + len(piece),
            }
        await writer.finish()
        assert await chunk(socket) == {
            "messageId": writer.reply_id,
            "offset": len(TEXT),
            "text": "",
            "status": "COMPLETE",
            "nextOffset": len(TEXT),
        }
        assert (await socket.receive())["type"] == "complete"
    await until(lambda: writer.reply_id not in server.runtime.live.replies.users)


async def test_resumed_reply_stream_misses_nothing(server: RunningServer, user: SignedIn, writer: Writer) -> None:
    async def write() -> None:
        for start in range(0, len(TEXT), 7):
            await writer.write(TEXT[start : start + 7])
        await writer.finish()

    async def follow() -> str:
        """Leave after every chunk, and go on from there."""
        text = ""
        async with signed_in_socket(server, user.token) as socket:
            for number in range(1_000):
                name = str(number)
                await socket.subscribe(QUERY, {"id": writer.reply_id, "from": len(text)}, name)
                found = (await socket.data(name))["replyStream"]
                assert found["offset"] == len(text)
                text += str(found["text"])
                if found["status"] != "STREAMING":
                    return text
                await socket.complete(name)
                # What was on its way is dropped with the operation.
                while (await _next_but(socket, name)) is not None:
                    pass
        return text

    texts = await asyncio.gather(*(follow() for _ in range(3)), write())
    assert texts[:3] == [TEXT] * 3


async def _next_but(socket: SocketClient, name: str) -> Any:
    """Return what is still on its way, up to the answer to a ping."""
    await socket.send({"type": "ping"})
    found = None
    while (message := await socket.receive())["type"] != "pong":
        assert message["id"] == name
        found = message
    return found


async def test_finished_reply_can_be_read_from_every_offset(
    server: RunningServer, user: SignedIn, writer: Writer
) -> None:
    text = TEXT[:12]
    await writer.write(text)
    await writer.finish(RunStatus.FAILED)
    async with signed_in_socket(server, user.token) as socket:
        for start in range(len(text) + 1):
            await socket.subscribe(QUERY, {"id": writer.reply_id, "from": start})
            (found,) = [each async for each in chunks(socket)]
            assert (found["offset"], found["text"], found["status"]) == (start, text[start:], "FAILED")
        for beyond in (len(text) + 1, 100_001, 2**31 - 1):
            await socket.subscribe(QUERY, {"id": writer.reply_id, "from": beyond})
            (found,) = [each async for each in chunks(socket)]
            assert (found["offset"], found["text"], found["nextOffset"]) == (len(text), "", len(text))


async def test_reply_stream_ends_when_its_run_is_cancelled(
    server: RunningServer, user: SignedIn, writer: Writer
) -> None:
    await writer.write("So far")
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(QUERY, {"id": writer.reply_id})
        assert (await chunk(socket))["text"] == "So far"
        await server.runtime.database.write(partial(cancel_run, caller=user.caller, run_id=writer.run_id))
        (found,) = [each async for each in chunks(socket)]
        assert (found["offset"], found["text"], found["status"]) == (6, "", "CANCELLED")


async def test_reply_stream_waits_while_its_run_is_paused(
    server: RunningServer, database: Database, user: SignedIn, writer: Writer
) -> None:
    call = tool_call_row((await streaming(database, user)).run, status=ToolCallStatus.AWAITING_APPROVAL)
    call.run_id = writer.run_id
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(QUERY, {"id": writer.reply_id})
        await writer.write("Before. ")
        assert (await chunk(socket))["text"] == "Before. "
        pause = partial(pause_run, progress=Progress(writer.text, Tokens()), pause=Pause("{}", [call]))
        await database.write(partial(pause, caller=user.caller, run_id=writer.run_id))
        await socket.round_trip()
        await database.write(partial(cancel_run, caller=user.caller, run_id=writer.run_id))
        (found,) = [each async for each in chunks(socket)]
        assert (found["text"], found["status"]) == ("", "CANCELLED")


async def test_reply_stream_ends_with_its_conversation(
    server: RunningServer, database: Database, user: SignedIn, writer: Writer
) -> None:
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(QUERY, {"id": writer.reply_id})
        await writer.write("So far")
        await chunk(socket)
        await database.write(partial(conversation_service.delete, caller=user.caller, row_id=writer.conversation_id))
        assert await socket.codes() == ["NOT_FOUND"]


async def test_reply_stream_over_server_sent_events(server: RunningServer, user: SignedIn, writer: Writer) -> None:
    await writer.write("First, ")
    async with open_events(server, QUERY, {"id": writer.reply_id}, token=user.token) as events:
        found = [(await events.data())["replyStream"]]
        await writer.write("second.")
        found.append((await events.data())["replyStream"])
        await writer.finish()
        found.append((await events.data())["replyStream"])
        await events.complete()
    assert joined(found) == "First, second."
    assert found[-1]["status"] == "COMPLETE"


async def test_waiting_reply_streams_hold_no_connection(
    server: RunningServer, database: Database, user: SignedIn
) -> None:
    answered = await streaming(database, user, status=RunStatus.AWAITING_APPROVAL)
    connections = server.runtime.database.pool
    async with signed_in_socket(server, user.token) as socket:
        for number in range(50):
            await socket.subscribe(QUERY, {"id": answered.reply.id}, str(number))
        replies = server.runtime.live.replies
        await until(lambda: answered.reply.id in replies.users)
        await socket.round_trip()
        await until(lambda: connections.in_use == 0)
