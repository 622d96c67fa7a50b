"""A server as it comes, without a key: what people say changes their tasks, and the answer streams."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from core.clock import utc_now
from core.database import Database
from tests.assistant.chat import Chat
from tests.factories import make_conversation, make_task
from tests.servers import RunningServer
from tests.socket_client import SocketClient, signed_in_socket

SENTENCE: Final = "add buy milk for tomorrow and tell me what's still open"
REPLY: Final = """subscription ($id: ID!, $from: Int! = 0) {
    replyStream(messageId: $id, fromOffset: $from) { offset text status nextOffset }
}"""
MESSAGES: Final = """subscription ($id: ID!, $after: String) {
    messageAdded(conversationId: $id, after: $after) { cursor message { id role content status } }
}"""


@pytest.fixture
def provider_settings() -> dict[str, Any]:
    """Give no provider, as a server has none at first."""
    return {}


def days_after_today(zone: str, days: int) -> set[str]:
    """Return the day that so many days from now is; two, where one has just begun."""
    now = datetime.now(ZoneInfo(zone))
    return {str((moment + timedelta(days=days)).date()) for moment in (now, now - timedelta(minutes=1))}


async def test_the_sentence_of_the_wish(chat: Chat, database: Database) -> None:
    await make_task(database, chat.user.caller, "Sweep")
    answer = await chat.send(SENTENCE)
    assert answer["errors"] == []
    assert answer["conversation"]["title"] == SENTENCE
    assert answer["reply"]["content"] == (
        "Added \u201cbuy milk\u201d, due tomorrow.\n\nYou have 2 open tasks:\n1. Sweep\n2. buy milk \u00b7 due tomorrow"
    )
    assert (answer["run"]["status"], answer["reply"]["status"]) == ("COMPLETED", "COMPLETE")
    sweep, milk = await chat.tasks()
    assert milk["title"] == "buy milk"
    adding, listing = answer["run"]["toolCalls"]
    assert (adding["name"], adding["status"], adding["arguments"].keys()) == (
        "add_task",
        "COMPLETED",
        {"title", "due_at"},
    )
    assert (adding["result"]["task"]["id"], adding["result"]["task"]["due_at"]) == (milk["id"], milk["dueAt"])
    assert (listing["name"], listing["status"]) == ("list_tasks", "COMPLETED")
    assert [task["id"] for task in listing["result"]["tasks"]] == [sweep["id"], milk["id"]]
    query = "query ($id: ID!) { node(id: $id) { ... on ToolCall { name run { id } } } }"
    node = (await chat.client.query(query, {"id": adding["id"]}, as_=chat.user))["node"]
    assert node == {"name": "add_task", "run": {"id": answer["run"]["id"]}}


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu"])
async def test_tomorrow_is_where_the_person_is(chat: Chat, zone: str) -> None:
    begun_at = utc_now()
    answer = await chat.send("add buy milk for tomorrow", timeZone=zone)
    assert answer["reply"]["content"] == "Added \u201cbuy milk\u201d, due tomorrow."
    (task,) = await chat.tasks()
    due = datetime.fromisoformat(task["dueAt"])
    assert str(due.astimezone(ZoneInfo(zone)).date()) in days_after_today(zone, 1)
    assert due.astimezone(ZoneInfo(zone)).strftime("%H:%M") == "23:59"
    assert timedelta(days=1) <= due - begun_at + timedelta(minutes=1) <= timedelta(days=2, hours=1)


TITLES: Final[list[tuple[str, str]]] = [
    ("hello", "hello"),
    ("  add\n\n milk ", "add milk"),
    ("what is " + "very " * 30 + "urgent?", "what is very very very very very very very very very very \u2026"),
    ("x" * 70, "x" * 59 + "\u2026"),
    ("hello " + "\u8cb7" * 70, "hello " + "\u8cb7" * 53 + "\u2026"),
]


@pytest.mark.parametrize(("content", "title"), TITLES, ids=range(len(TITLES)))
async def test_a_conversation_is_called_after_its_first_message(chat: Chat, content: str, title: str) -> None:
    answer = await chat.send(content)
    assert answer["conversation"]["title"] == title
    again = await chat.send("and now?", conversationId=answer["conversation"]["id"])
    assert again["conversation"]["title"] == title


async def test_what_was_said_before_is_understood(chat: Chat) -> None:
    talk = (await chat.send("add milk, eggs and bread"))["conversation"]["id"]
    for message, reply in (
        ("complete the second one", "Completed \u201ceggs\u201d."),
        ("reopen it", "Reopened \u201ceggs\u201d."),
        ("rename it to brown eggs", "Renamed \u201ceggs\u201d to \u201cbrown eggs\u201d."),
    ):
        assert (await chat.send(message, conversationId=talk))["reply"]["content"] == reply
    elsewhere = await chat.send("complete it")
    assert elsewhere["run"]["toolCalls"] == []
    assert elsewhere["reply"]["content"].startswith("Which task do you mean?")
    assert [(task["title"], task["completed"]) for task in await chat.tasks()] == [
        ("milk", False),
        ("brown eggs", False),
        ("bread", False),
    ]


async def test_a_reply_anew_reads_what_there_is_by_then(chat: Chat, database: Database) -> None:
    first = await chat.send("what is open?")
    assert first["reply"]["content"] == "You have no open tasks."
    await make_task(database, chat.user.caller, "Sweep")
    again = await chat.ask_again(first["reply"]["id"])
    assert again["reply"]["content"] == "You have 1 open task:\n1. Sweep"
    assert again["message"]["id"] == first["message"]["id"]
    # What was superseded is not what "the first one" means.
    done = await chat.send("complete the first one", conversationId=first["conversation"]["id"])
    assert done["reply"]["content"] == "Completed \u201cSweep\u201d."
    said = await chat.messages(first["conversation"]["id"])
    assert [message["role"] for message in said] == ["USER", "ASSISTANT", "ASSISTANT", "USER", "ASSISTANT"]


async def pieces(socket: SocketClient, reply_id: str, offset: int = 0) -> list[dict[str, Any]]:
    """Follow a reply to its end."""
    await socket.subscribe(REPLY, {"id": reply_id, "from": offset}, f"from {offset}")
    found: list[dict[str, Any]] = []
    while not found or found[-1]["status"] == "STREAMING":
        found.append((await socket.data(f"from {offset}"))["replyStream"])
    assert await socket.receive() == {"type": "complete", "id": f"from {offset}"}
    return found


def joined(found: Sequence[dict[str, Any]], start: int) -> str:
    """Return the text of pieces that follow each other without a gap."""
    for piece in found:
        assert (piece["offset"], piece["nextOffset"]) == (start, start + len(piece["text"]))
        start = piece["nextOffset"]
    return "".join(piece["text"] for piece in found)


async def test_the_answer_streams_from_any_place(server: RunningServer, chat: Chat, database: Database) -> None:
    for number in range(15):
        await make_task(database, chat.user.caller, f"\N{ROCKET}\u00dcn\u0308 number {number}")
    begun = await chat.send("what is open?", wait=False)
    reply_id = begun["reply"]["id"]
    assert begun["reply"]["status"] == "STREAMING"
    async with signed_in_socket(server, chat.user.token) as socket:
        found = await pieces(socket, reply_id)
        (_, reply) = await chat.messages(begun["conversation"]["id"])
        content = reply["content"]
        assert (joined(found, 0), found[-1]["status"]) == (content, "COMPLETE")
        assert content.startswith("You have 15 open tasks:\n1. \N{ROCKET}")
        places = [piece["nextOffset"] for piece in found]
        for place in {*places, 1, len(content) // 2, len(content) - 1, len(content)}:
            assert joined(await pieces(socket, reply_id, place), place) == content[place:]


async def test_the_reply_comes_once_as_a_message(server: RunningServer, chat: Chat, database: Database) -> None:
    conversation = await make_conversation(database, chat.user.caller)
    async with signed_in_socket(server, chat.user.token) as socket:
        await socket.subscribe(MESSAGES, {"id": conversation.id})
        await socket.round_trip()
        answer = await chat.send(SENTENCE, conversationId=conversation.id)
        events = [(await socket.data())["messageAdded"] for _ in range(2)]
        await socket.round_trip()
        messages = [event["message"] for event in events]
        assert messages == [
            {"id": answer["message"]["id"], "role": "USER", "content": SENTENCE, "status": "COMPLETE"},
            {
                "id": answer["reply"]["id"],
                "role": "ASSISTANT",
                "content": answer["reply"]["content"],
                "status": "COMPLETE",
            },
        ]
        # Who was cut off between the two gets the other, and neither twice.
        await socket.subscribe(MESSAGES, {"id": conversation.id, "after": events[0]["cursor"]}, "2")
        assert (await socket.data("2"))["messageAdded"]["message"] == messages[1]
        await socket.round_trip()
