"""Subscriptions to changes, messages and replies: what lies beyond a cursor, then all that comes, once and in order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from live.hub import WakeUp
from models import Run, RunStatus, ToolCallStatus
from services.accounts.caller import Caller
from services.conversations.conversations import conversations as conversation_service
from services.conversations.messages import MessageCursor, NewMessage, add_message
from services.runs.progress import Outcome, Pause, Progress, Tokens, finish_run, pause_run, write_reply
from services.runs.run import cancel_run
from services.sync.changes import Cursor
from services.tasks.tasks import tasks as task_service
from tests.factories import SignedIn, answered_rows, make_conversation, store_answered, tool_call_row
from tests.resolvers.user_api import UserApi
from tests.servers import RunningServer
from tests.services.rows import all_statements, change_user
from tests.socket_client import SocketClient, signed_in_socket
from tests.waiting import until

CHANGES: Final = """subscription ($since: String) { changes(since: $since) {
    changed { id ... on Task { text: title subtasks { totalCount } } } deletedIds cursor hasMore
} }"""
MESSAGES: Final = """subscription ($id: ID!, $since: String) { messageAdded(conversationId: $id, after: $since) {
    cursor message { id text: content revision }
} }"""


@pytest.fixture
def api(api: UserApi, server: RunningServer) -> UserApi:
    """Give the API with the server's own database, whose changes wake its followers."""
    return replace(api, database=server.runtime.database)


async def begin(server: RunningServer, socket: SocketClient, api: UserApi, query: str, **given: Any) -> None:
    """Subscribe, and wait until that has come about."""
    await socket.subscribe(query, given)
    await until(lambda: api.user_id in server.runtime.live.hub.users)


async def event(socket: SocketClient) -> dict[str, Any]:
    (found,) = (await socket.data()).values()
    return dict(found)


async def collect(socket: SocketClient, count: int) -> list[str]:
    """Return the texts of the next rows; after them there must be nothing."""
    texts: list[str] = []
    while len(texts) < count:
        found = await event(socket)
        texts += [row["text"] for row in found.get("changed") or [found["message"]]]
    await socket.round_trip()
    return texts


async def test_changes_without_a_cursor_begin_now(server: RunningServer, api: UserApi) -> None:
    await api.task()
    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, CHANGES)
        await socket.round_trip()
        task = await api.task("Sweep")
        found = await event(socket)
        assert found["changed"] == [{"id": task.id, "text": "Sweep", "subtasks": {"totalCount": 0}}]
        assert (found["deletedIds"], found["hasMore"]) == ([], False)
        await api.ok("deleteTask", id=task.id)
        found = await event(socket)
        assert (found["changed"], found["deletedIds"]) == ([], [task.id])
        await change_user(api.database, api.user_id, name="no change that is counted")
        await socket.round_trip()


async def test_changes_from_a_cursor_come_page_by_page(server: RunningServer, api: UserApi) -> None:
    made = [str(number) for number in range(270)]
    for begin_at in range(0, 270, 90):
        await api.ok("createTasks", tasks=[{"title": title} for title in made[begin_at : begin_at + 90]])
    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, CHANGES, since=Cursor(0).write())
        pages = [await event(socket) for _ in range(3)]
        assert [(len(each["changed"]), each["hasMore"]) for each in pages] == [(100, True), (100, True), (70, False)]
        assert [row["text"] for each in pages for row in each["changed"]] == made
        await socket.round_trip()
        await socket.complete()
        for each, rest in zip(pages, (170, 70, 0), strict=True):
            await socket.subscribe(CHANGES, {"since": each["cursor"]})
            assert await collect(socket, rest) == made[270 - rest :]
            await socket.complete()


@pytest.mark.parametrize("query", [CHANGES, MESSAGES], ids=["changes", "messages"])
async def test_nothing_is_lost_between_backlog_and_new_rows(server: RunningServer, api: UserApi, query: str) -> None:
    talk, made = await api.conversation(), list[str]()
    given = {"since": Cursor(1).write()} if query == CHANGES else {"id": talk.id, "since": MessageCursor(1).write()}

    async def write(count: int) -> None:
        for _ in range(count):
            made.append(str(len(made)))
            await (api.task(made[-1]) if query == CHANGES else api.message(talk.id, made[-1]))

    async with signed_in_socket(server, api.user.token) as socket:
        for _ in range(6):
            already = len(made)
            await asyncio.gather(write(6), socket.subscribe(query, given))
            assert await collect(socket, already + 6) == made
            await socket.complete()


async def test_changes_of_one_row_come_in_order(server: RunningServer, api: UserApi) -> None:
    task = await api.task("0")
    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, CHANGES)
        for number in range(1, 30):
            changes = {"title": str(number)}
            await api.database.write(partial(task_service.update, caller=api.caller, row_id=task.id, changes=changes))
        titles: list[str] = []
        while titles[-1:] != ["29"]:
            titles += [row["text"] for row in (await event(socket))["changed"]]
        # Some were passed over for later ones; none came twice, and none after its successor.
        assert titles == sorted(set(titles), key=int)
        await socket.round_trip()


async def test_malformed_and_expired_cursors_are_refused(server: RunningServer, api: UserApi) -> None:
    talk = await api.conversation()
    await change_user(api.database, api.user_id, revision=9, forgotten_revision=5)
    cursors: dict[str, tuple[list[Any], list[Any]]] = {
        CHANGES: ([MessageCursor(0), ""], [Cursor(4), Cursor(5, "x"), Cursor(10)]),
        # An account that was restored knows less than its clients.
        MESSAGES: ([Cursor(1), "", "x", "\0", "\N{ROCKET}", "W10", "x" * 100_000], [MessageCursor(1_000_000)]),
    }
    async with signed_in_socket(server, api.user.token) as socket:
        for query, (malformed, expired) in cursors.items():
            for code, tried in (("BAD_USER_INPUT", malformed), ("CURSOR_EXPIRED", expired)):
                for cursor in tried:
                    text = cursor if isinstance(cursor, str) else cursor.write()
                    await socket.subscribe(query, {"id": talk.id, "since": text})
                    assert await socket.codes() == [code]
        assert api.user_id not in server.runtime.live.hub.users


async def test_messages_of_one_transaction_have_cursors_of_their_own(server: RunningServer, api: UserApi) -> None:
    talk, said = await api.conversation(), [str(number) for number in range(250)]

    async def add(session: AsyncSession) -> None:
        for content in said:
            await add_message(session, api.caller, NewMessage(talk.id, content))

    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, MESSAGES, id=talk.id.upper())
        await api.database.write(add)
        events = [await event(socket) for _ in said]
        await socket.complete()
        assert [each["message"]["text"] for each in events] == said
        assert len({each["message"]["revision"] for each in events}) == 1
        # A cursor within the transaction knows what came before it, and no more.
        await socket.subscribe(MESSAGES, {"id": talk.id, "since": events[120]["cursor"]})
        assert await collect(socket, 129) == said[121:]


def reads_changes(statement: str) -> bool:
    """Tell whether a statement reads changes: not what a mutation reads for itself, nor what is read by the clock."""
    is_by_the_clock = statement.startswith(("SELECT users.id, users.revision", "SELECT sessions.id"))
    has_changes = any(word in statement for word in ("merged", "json_each", "LATERAL"))
    return statement.startswith("SELECT") and has_changes and not is_by_the_clock


@pytest.mark.parametrize("query", [CHANGES, MESSAGES], ids=["changes", "messages"])
async def test_event_takes_few_reads_and_holds_no_connection(server: RunningServer, api: UserApi, query: str) -> None:
    talk, pool = await api.conversation(), api.database.pool
    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, query, id=talk.id)
        await api.message(talk.id, "warm")
        await event(socket)
        # No connection is held while there is nothing to do.
        await until(lambda: pool.in_use == 0)
        with all_statements(api.database) as statements:
            await api.message(talk.id, "counted")
            found = await event(socket)
        if query == MESSAGES:
            reads = [each for each in statements if "FROM messages" in each]
            assert (found["message"]["text"], len(reads), "role" in reads[0]) == ("counted", 1, False)
        else:
            # Which rows there are, then one for each kind.
            assert (len(found["changed"]), len([each for each in statements if reads_changes(each)])) == (2, 3)
        await until(lambda: pool.in_use == 0)


async def test_message_added_ends_with_its_conversation(server: RunningServer, api: UserApi) -> None:
    talk = await api.conversation()
    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, MESSAGES, id=talk.id)
        await api.ok("deleteConversation", id=talk.id)
        assert await socket.codes() == ["NOT_FOUND"]
    await until(lambda: api.user_id not in server.runtime.live.hub.users)


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
