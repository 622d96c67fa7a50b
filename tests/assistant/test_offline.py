"""The offline model over a server: approvals, the stream of a reply that waits, time zones, titles."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from core.clock import utc_now
from core.database import Database
from tests.assistant.chat import Chat, refusals
from tests.databases import only_sqlite
from tests.factories import make_task
from tests.servers import RunningServer
from tests.socket_client import signed_in_socket

ASKS: Final = "Shall I delete \u201cSweep\u201d? That needs your approval."
WAITS: Final = "The assistant waits for your approval in this conversation; decide on it, or cancel the run, first."
DECIDED: Final = [("CONFLICT", "This tool call does not wait for approval, or no longer.")]
REPLY: Final = "subscription ($id: ID!) { replyStream(messageId: $id) { offset text status } }"


@pytest.fixture
def provider_settings() -> dict[str, Any]:
    return {}


@pytest.fixture
async def asked(chat: Chat, database: Database) -> dict[str, Any]:
    task = await make_task(database, chat.user.caller, "Sweep")
    await make_task(database, chat.user.caller, "Cook")
    answer = await chat.send("delete sweep")
    run = answer["run"]
    assert (run["status"], run["finishedAt"], answer["reply"]["content"]) == ("AWAITING_APPROVAL", None, ASKS)
    (call,) = waiting_calls(answer)
    assert (call["name"], call["arguments"], call["result"]) == ("delete_task", {"task_id": task.id}, None)
    return answer


def waiting_calls(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [call for call in answer["run"]["toolCalls"] if call["status"] == "AWAITING_APPROVAL"]


@pytest.mark.parametrize(
    ("approve", "ending", "status", "left"),
    [
        (True, "Deleted \u201cSweep\u201d.", "COMPLETED", ["Cook"]),
        (False, "I left \u201cSweep\u201d as it is.", "REJECTED", ["Sweep", "Cook"]),
    ],
)
async def test_deletion_is_carried_out_as_decided(
    chat: Chat, asked: dict[str, Any], *, approve: bool, ending: str, status: str, left: list[str]
) -> None:
    (call,) = waiting_calls(asked)
    assert (await chat.resolve(call["id"], approve=approve))["errors"] == []
    run = await chat.ended(asked["run"]["id"])
    assert (run["status"], run["reply"]["status"]) == ("COMPLETED", "COMPLETE")
    assert run["reply"]["content"] == f"{ASKS}\n\n{ending}"
    assert [each["status"] for each in run["toolCalls"] if each["id"] == call["id"]] == [status]
    assert refusals(await chat.resolve(call["id"], approve=True)) == DECIDED
    assert await chat.titles() == left


@only_sqlite
async def test_conversation_that_waits_takes_no_other_message(chat: Chat, asked: dict[str, Any]) -> None:
    talk = asked["conversation"]["id"]
    for given in ({}, {"wait": False}, {"idempotencyKey": "new"}):
        assert refusals(await chat.send("delete cook", conversationId=talk, **given)) == [("CONFLICT", WAITS)]
    for message in (asked["message"], asked["reply"]):
        assert refusals(await chat.ask_again(message["id"])) == [("CONFLICT", WAITS)]
    assert [message["content"] for message in await chat.messages(talk)] == ["delete sweep", ASKS]
    assert (await chat.send("complete cook"))["reply"]["content"] == "Completed \u201cCook\u201d."


async def test_nothing_is_deleted_before_the_last_call_is_decided(chat: Chat, asked: dict[str, Any]) -> None:
    await chat.cancel(asked["run"]["id"])
    answer = await chat.send("delete everything")
    approved, rejected = waiting_calls(answer)
    waiting = (await chat.resolve(approved["id"], approve=True))["run"]
    assert waiting["status"] == "AWAITING_APPROVAL"
    assert [call["status"] for call in waiting["toolCalls"][-2:]] == ["RUNNING", "AWAITING_APPROVAL"]
    assert await chat.titles() == ["Sweep", "Cook"]
    await chat.resolve(rejected["id"], approve=False)
    run = await chat.ended(answer["run"]["id"])
    assert run["reply"]["content"].endswith("Deleted \u201cSweep\u201d.\nI left \u201cCook\u201d as it is.")
    assert await chat.titles() == ["Cook"]


async def test_two_decisions_at_once_count_once(chat: Chat, asked: dict[str, Any]) -> None:
    (call,) = waiting_calls(asked)
    both = await asyncio.gather(*(chat.resolve(call["id"], approve=approve) for approve in (True, False)))
    assert sorted(len(each["errors"]) for each in both) == [0, 1]
    assert (await chat.ended(asked["run"]["id"]))["status"] == "COMPLETED"
    assert await chat.titles() == (["Cook"] if both[0]["errors"] == [] else ["Sweep", "Cook"])


@only_sqlite
async def test_task_that_is_gone_before_the_approval_is_told(
    server: RunningServer, chat: Chat, asked: dict[str, Any]
) -> None:
    (call,) = waiting_calls(asked)
    await chat.client.mutate("deleteTask", {"id": call["arguments"]["task_id"]}, as_=chat.user)
    async with signed_in_socket(server, chat.user.token) as socket:
        await socket.subscribe(REPLY, {"id": asked["reply"]["id"]})
        seen = [(await socket.data())["replyStream"]]
        assert seen == [{"offset": 0, "text": ASKS, "status": "STREAMING"}]
        await chat.resolve(call["id"], approve=True)
        while seen[-1]["status"] == "STREAMING":
            seen.append((await socket.data())["replyStream"])
    run = await chat.ended(asked["run"]["id"])
    (decided,) = [each for each in run["toolCalls"] if each["id"] == call["id"]]
    assert (decided["status"], decided["result"]) == ("FAILED", {"error": "There is no such task."})
    told = f"{ASKS}\n\nI could not delete \u201cSweep\u201d: There is no such task."
    assert run["reply"]["content"] == "".join(piece["text"] for piece in seen) == told


@only_sqlite
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
async def test_tomorrow_is_read_in_the_time_zone_of_the_message(chat: Chat, zone: str) -> None:
    begun_at = utc_now()
    answer = await chat.send("add buy milk for tomorrow", timeZone=zone)
    assert answer["reply"]["content"] == "Added \u201cbuy milk\u201d, due tomorrow."
    (task,) = await chat.tasks()
    due = datetime.fromisoformat(task["dueAt"]).astimezone(ZoneInfo(zone))
    # A day may have begun meanwhile.
    nows = (begun_at.astimezone(ZoneInfo(zone)), datetime.now(ZoneInfo(zone)))
    assert due.date() in {(now + timedelta(days=1)).date() for now in nows}
    assert due.strftime("%H:%M") == "23:59"


@only_sqlite
async def test_conversation_is_called_after_its_first_message(chat: Chat) -> None:
    for content, title in (
        ("  add\n\n milk ", "add milk"),
        ("what is " + "very " * 30 + "urgent?", "what is very very very very very very very very very very \u2026"),
        ("hello " + "\u8cb7" * 70, "hello " + "\u8cb7" * 53 + "\u2026"),
    ):
        conversation = (await chat.send(content))["conversation"]
        again = await chat.send("and now?", conversationId=conversation["id"])
        assert conversation["title"] == again["conversation"]["title"] == title
