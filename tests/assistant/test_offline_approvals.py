"""Deletions over a server without a key: asked about, decided on, or never decided on."""

import asyncio
from typing import Any, Final

import pytest

from core.database import Database
from tests.assistant.chat import Chat
from tests.factories import make_task
from tests.servers import RunningServer
from tests.socket_client import signed_in_socket

ASKS: Final = "Shall I delete \u201cSweep\u201d? That needs your approval."
WAITS: Final = "The assistant waits for your approval in this conversation; decide on it, or cancel the run, first."


@pytest.fixture
def provider_settings() -> dict[str, Any]:
    """Give no provider, as a server has none at first."""
    return {}


@pytest.fixture
async def asked(chat: Chat, database: Database) -> dict[str, Any]:
    """Give the answer to someone who wants a task deleted."""
    task = await make_task(database, chat.user.caller, "Sweep")
    await make_task(database, chat.user.caller, "Cook")
    answer = await chat.send("delete sweep")
    run = answer["run"]
    assert (run["status"], run["finishedAt"], answer["reply"]["content"]) == ("AWAITING_APPROVAL", None, ASKS)
    assert answer["reply"]["status"] == "STREAMING"
    call = waiting_calls(run)[0]
    assert (call["name"], call["arguments"], call["result"]) == ("delete_task", {"task_id": task.id}, None)
    return answer


def waiting_calls(run: dict[str, Any]) -> list[dict[str, Any]]:
    return [call for call in run["toolCalls"] if call["status"] == "AWAITING_APPROVAL"]


def refusals(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(error["code"], error["message"]) for error in answer["errors"]]


@pytest.mark.parametrize(
    ("approve", "ending", "status", "left"),
    [
        (True, "Deleted \u201cSweep\u201d.", "COMPLETED", ["Cook"]),
        (False, "I left \u201cSweep\u201d as it is.", "REJECTED", ["Sweep", "Cook"]),
    ],
)
async def test_deciding(
    chat: Chat, asked: dict[str, Any], *, approve: bool, ending: str, status: str, left: list[str]
) -> None:
    call = waiting_calls(asked["run"])[0]
    resolved = await chat.resolve(call["id"], approve=approve)
    assert resolved["errors"] == []
    run = await chat.until(asked["run"]["id"], "COMPLETED", "FAILED")
    assert (run["status"], run["reply"]["status"]) == ("COMPLETED", "COMPLETE")
    assert run["reply"]["content"].endswith(ending)
    assert [each["status"] for each in run["toolCalls"] if each["id"] == call["id"]] == [status]
    assert await chat.titles() == left
    late = await chat.resolve(call["id"], approve=True)
    assert refusals(late) == [("CONFLICT", "This tool call does not wait for approval, or no longer.")]
    assert await chat.titles() == left


async def test_cancelling_instead(chat: Chat, asked: dict[str, Any]) -> None:
    cancelled = await chat.cancel(asked["run"]["id"])
    assert (cancelled["errors"], cancelled["run"]["status"]) == ([], "CANCELLED")
    assert cancelled["run"]["reply"] == {"id": asked["reply"]["id"], "content": ASKS, "status": "CANCELLED"}
    late = await chat.resolve(waiting_calls(asked["run"])[0]["id"], approve=True)
    assert [code for code, _ in refusals(late)] == ["CONFLICT"]
    assert await chat.titles() == ["Sweep", "Cook"]
    again = await chat.send("complete sweep", conversationId=asked["conversation"]["id"])
    assert again["reply"]["content"] == "Completed \u201cSweep\u201d."


async def test_nothing_else_is_said_meanwhile(chat: Chat, asked: dict[str, Any]) -> None:
    talk = asked["conversation"]["id"]
    for given in ({}, {"wait": False}, {"idempotencyKey": "new"}):
        refused = await chat.send("delete cook", conversationId=talk, **given)
        assert refusals(refused) == [("CONFLICT", WAITS)]
    for message in (asked["message"], asked["reply"]):
        assert refusals(await chat.ask_again(message["id"])) == [("CONFLICT", WAITS)]
    assert [message["content"] for message in await chat.messages(talk)] == ["delete sweep", ASKS]
    # In another conversation, life goes on.
    assert (await chat.send("complete cook"))["reply"]["content"] == "Completed \u201cCook\u201d."


async def test_each_of_several_is_decided_on(chat: Chat, database: Database) -> None:
    for title in ("milk", "eggs", "bread"):
        await make_task(database, chat.user.caller, title)
    answer = await chat.send("delete everything")
    calls = waiting_calls(answer["run"])
    assert len(calls) == 3
    for call, approve in zip(calls[:2], (True, False), strict=True):
        assert (await chat.resolve(call["id"], approve=approve))["run"]["status"] == "AWAITING_APPROVAL"
        # Nothing is done by halves.
        assert await chat.titles() == ["milk", "eggs", "bread"]
    await chat.resolve(calls[2]["id"], approve=True)
    run = await chat.until(answer["run"]["id"], "COMPLETED", "FAILED")
    assert await chat.titles() == ["eggs"]
    assert "I left \u201ceggs\u201d as it is." in run["reply"]["content"]
    statuses = [call["status"] for call in run["toolCalls"] if call["name"] == "delete_task"]
    assert statuses == ["COMPLETED", "REJECTED", "COMPLETED"]


async def test_two_who_decide_at_once(chat: Chat, asked: dict[str, Any]) -> None:
    call_id = waiting_calls(asked["run"])[0]["id"]
    both = await asyncio.gather(*(chat.resolve(call_id, approve=approve) for approve in (True, False)))
    assert sorted(len(each["errors"]) for each in both) == [0, 1]
    run = await chat.until(asked["run"]["id"], "COMPLETED", "FAILED")
    approved = both[0]["errors"] == []
    assert await chat.titles() == (["Cook"] if approved else ["Sweep", "Cook"])
    assert run["status"] == "COMPLETED"


async def test_who_follows_the_reply_hears_the_question_and_the_end(
    server: RunningServer, chat: Chat, asked: dict[str, Any]
) -> None:
    query = "subscription ($id: ID!) { replyStream(messageId: $id) { text status } }"
    async with signed_in_socket(server, chat.user.token) as socket:
        await socket.subscribe(query, {"id": asked["reply"]["id"]})
        assert (await socket.data())["replyStream"] == {"text": ASKS, "status": "STREAMING"}
        await chat.resolve(waiting_calls(asked["run"])[0]["id"], approve=True)
        text, status = ASKS, "STREAMING"
        while status == "STREAMING":
            chunk = (await socket.data())["replyStream"]
            text, status = text + chunk["text"], chunk["status"]
        assert (await socket.receive())["type"] == "complete"
    (_, reply) = await chat.messages(asked["conversation"]["id"])
    assert (text, status) == (reply["content"], "COMPLETE")


async def test_a_task_that_is_gone_by_then(chat: Chat, asked: dict[str, Any]) -> None:
    call = waiting_calls(asked["run"])[0]
    await chat.client.mutate("deleteTask", {"id": call["arguments"]["task_id"]}, as_=chat.user)
    await chat.resolve(call["id"], approve=True)
    run = await chat.until(asked["run"]["id"], "COMPLETED", "FAILED")
    assert run["status"] == "COMPLETED"
    (decided,) = [each for each in run["toolCalls"] if each["id"] == call["id"]]
    assert (decided["status"], decided["result"]) == ("FAILED", {"error": "There is no such task."})
    assert await chat.titles() == ["Cook"]
