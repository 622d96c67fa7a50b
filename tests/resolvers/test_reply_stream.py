"""replyStream: a reply's text from any place, live, over sockets and event streams, whichever process writes it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pytest

from core.database import Database
from live.hub import WakeUp
from models import Run, RunStatus, ToolCallStatus
from services.accounts.caller import Caller
from services.conversations.conversations import conversations as conversation_service
from services.runs.progress import Outcome, Pause, Progress, Tokens, finish_run, pause_run, write_reply
from services.runs.run import cancel_run
from tests.event_client import open_events
from tests.factories import SignedIn, answered_rows, make_conversation, store_answered, tool_call_row
from tests.servers import RunningServer
from tests.socket_client import SocketClient, signed_in_socket
from tests.waiting import until

QUERY: Final = """subscription ($id: ID!, $from: Int! = 0) {
    replyStream(messageId: $id, fromOffset: $from) { messageId offset text status nextOffset }
}"""
TEXT: Final = "Ünï\N{ROCKET}c\u0301ode, " * 20
Chunk = dict[str, Any]


@dataclass
class Writer:
    """Writes a reply as a run does, in the server's process or as if it were in another."""

    database: Database
    server: RunningServer | None
    caller: Caller
    run: Run
    text: str = ""

    @property
    def reply_id(self) -> str:
        return self.run.reply_id

    async def do(self, work: Callable[..., Any], **given: Any) -> None:
        await self.database.write(partial(work, caller=self.caller, **given))

    async def write(self, text: str) -> None:
        self.text += text
        await self.do(write_reply, reply_id=self.reply_id, text=self.text)
        if self.server is not None:
            self.server.runtime.live.replies.wake({self.reply_id: len(self.text)}, WakeUp.LOCAL)

    async def finish(self, status: RunStatus = RunStatus.COMPLETED) -> None:
        await self.do(finish_run, run_id=self.run.id, progress=Progress(self.text, Tokens()), outcome=Outcome(status))


async def streaming(database: Database, user: SignedIn, status: RunStatus = RunStatus.RUNNING) -> Run:
    answered = answered_rows(user, (await make_conversation(database, user.caller)).id, status=status)
    await store_answered(database, answered)
    return answered.run


@pytest.fixture(params=["here", "elsewhere"])
async def writer(request: pytest.FixtureRequest, server: RunningServer, database: Database, user: SignedIn) -> Writer:
    """Give who writes a reply: the server's process, whose followers are told, or another one."""
    run = await streaming(database, user)
    if request.param == "here":
        return Writer(server.runtime.database, server, user.caller, run)
    return Writer(database, None, user.caller, run)


async def chunk(socket: SocketClient) -> Chunk:
    found: Chunk = (await socket.data())["replyStream"]
    assert found["nextOffset"] == found["offset"] + len(found["text"])
    return found


async def last_chunk(socket: SocketClient) -> Chunk:
    found = await chunk(socket)
    assert (await socket.receive())["type"] == "complete"
    return found


async def test_reply_stream_sends_each_piece_as_it_is_written(
    server: RunningServer, user: SignedIn, writer: Writer
) -> None:
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(QUERY, {"id": writer.reply_id.upper()})
        for start in range(0, len(TEXT), 70):
            piece = TEXT[start : start + 70]
            await writer.write(piece)
            found = await chunk(socket)
            assert found.pop("nextOffset") == start + len(piece)
            assert found == {"messageId": writer.reply_id, "offset": start, "text": piece, "status": "STREAMING"}
        await writer.finish()
        found = await last_chunk(socket)
        assert (found["offset"], found["text"], found["status"]) == (len(TEXT), "", "COMPLETE")
    await until(lambda: writer.reply_id not in server.runtime.live.replies.users)


async def test_resumed_reply_stream_misses_nothing(server: RunningServer, user: SignedIn, writer: Writer) -> None:
    async def write() -> None:
        for start in range(0, len(TEXT), 7):
            await writer.write(TEXT[start : start + 7])
        await writer.finish()

    async def follow() -> str:
        """Leave after every chunk, and go on from there."""
        text, status = "", "STREAMING"
        async with signed_in_socket(server, user.token) as socket:
            while status == "STREAMING":
                name = str(len(text))
                await socket.subscribe(QUERY, {"id": writer.reply_id, "from": len(text)}, name)
                found = (await socket.data(name))["replyStream"]
                assert found["offset"] == len(text)
                text, status = text + str(found["text"]), found["status"]
                await socket.complete(name)
                # What was on its way is dropped with the operation.
                await socket.send({"type": "ping"})
                while (message := await socket.receive())["type"] != "pong":
                    assert message["id"] == name
        return text

    texts = await asyncio.gather(*(follow() for _ in range(3)), write())
    assert texts[:3] == [TEXT] * 3


async def test_finished_reply_can_be_read_from_every_offset(
    server: RunningServer, user: SignedIn, writer: Writer
) -> None:
    text = TEXT[:12]
    await writer.write(text)
    await writer.finish(RunStatus.FAILED)
    async with signed_in_socket(server, user.token) as socket:
        for start in (*range(len(text) + 2), 100_001, 2**31 - 1):
            await socket.subscribe(QUERY, {"id": writer.reply_id, "from": start})
            found = await last_chunk(socket)
            assert (found["offset"], found["text"], found["status"]) == (min(start, 12), text[start:], "FAILED")


async def test_reply_stream_waits_for_a_paused_run_until_it_is_cancelled(
    server: RunningServer, database: Database, user: SignedIn, writer: Writer
) -> None:
    call = tool_call_row(await streaming(database, user), status=ToolCallStatus.AWAITING_APPROVAL)
    call.run_id = writer.run.id
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(QUERY, {"id": writer.reply_id})
        await writer.write("Before. ")
        assert (await chunk(socket))["text"] == "Before. "
        progress = Progress(writer.text, Tokens())
        await writer.do(pause_run, run_id=writer.run.id, progress=progress, pause=Pause("{}", [call]))
        await socket.round_trip()
        await writer.do(cancel_run, run_id=writer.run.id)
        found = await last_chunk(socket)
        assert (found["offset"], found["text"], found["status"]) == (8, "", "CANCELLED")


async def test_reply_stream_ends_with_its_conversation(server: RunningServer, user: SignedIn, writer: Writer) -> None:
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(QUERY, {"id": writer.reply_id})
        await writer.write("So far")
        await chunk(socket)
        await writer.do(conversation_service.delete, row_id=writer.run.conversation_id)
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
    assert [(each["offset"], each["text"]) for each in found] == [(0, "First, "), (7, "second."), (14, "")]
    assert found[-1]["status"] == "COMPLETE"


async def test_waiting_reply_streams_hold_no_connection(
    server: RunningServer, database: Database, user: SignedIn
) -> None:
    run = await streaming(database, user, RunStatus.AWAITING_APPROVAL)
    async with signed_in_socket(server, user.token) as socket:
        for number in range(50):
            await socket.subscribe(QUERY, {"id": run.reply_id}, str(number))
        await until(lambda: run.reply_id in server.runtime.live.replies.users)
        await socket.round_trip()
        await until(lambda: server.runtime.database.pool.in_use == 0)
