"""What bounds the assistant: tokens a day, one run at a time in a conversation, runs at once, time."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Final

import pytest
from sqlalchemy import insert, select, update

from core.clock import utc_now
from core.database import Database
from models import TokenUsage
from services.accounts.audit import NO_CLIENT
from services.accounts.users import set_active
from services.query.sql import execute, fetch_all, table_of
from tests.assistant.chat import Chat, codes, refusals
from tests.assistant.conftest import ChatWith
from tests.assistant.provider import Provider, Stall, Text, UseTool
from tests.databases import only_sqlite
from tests.factories import SignedIn, make_conversation, make_task
from tests.waiting import until

USAGE: Final = table_of(TokenUsage)
# What the scripted provider says that a turn has used.
A_TURN: Final = 110
BUSY: Final = "The assistant is still answering in this conversation; wait for the reply, or cancel the run, first."


async def usage(database: Database, user: SignedIn) -> dict[date, tuple[int, int]]:
    async with database.read() as session:
        rows = await fetch_all(session, select(USAGE).where(USAGE.c.user_id == user.user.id))
    return {row.day: (row.input_tokens, row.output_tokens) for row in rows}


def next_midnights() -> set[datetime]:
    """Return the next midnight of UTC; two, where a day has just begun."""
    moments = (utc_now(), utc_now() - timedelta(minutes=1))
    return {datetime.combine(moment.date() + timedelta(days=1), time(), UTC) for moment in moments}


async def test_daily_tokens_limit_new_runs(
    chat_with: ChatWith, user: SignedIn, stranger: SignedIn, database: Database, provider: Provider
) -> None:
    provider.script([Text(["One."])], [Text(["Two."])])
    async with chat_with(assistant_daily_tokens=2 * A_TURN) as chat:
        first = await chat.send("one", idempotencyKey="one")
        await chat.send("two")
        assert list((await usage(database, user)).values()) == [(200, 20)]
        talk = first["conversation"]["id"]
        for refused in (
            await chat.send("three"),
            await chat.send("three", conversationId=talk, wait=False),
            await chat.ask_again(first["reply"]["id"]),
        ):
            (error,) = refused["errors"]
            assert error["code"] == "RATE_LIMITED"
            assert error["message"].startswith("You have used today's 220 tokens of the assistant; it answers again at")
            assert datetime.fromisoformat(error["retryAt"]) in next_midnights()
        # What was answered before is answered still, and another user is.
        assert await chat.send("one", idempotencyKey="one") == first
        assert [message["content"] for message in await chat.messages(talk)] == ["one", "One."]
        provider.script([Text(["Hello."])])
        assert (await Chat(chat.client, stranger).send("hello"))["reply"]["content"] == "Hello."
    assert len(provider.requests) == 3


@only_sqlite
async def test_tokens_of_another_day_do_not_count(
    chat_with: ChatWith, user: SignedIn, database: Database, provider: Provider
) -> None:
    yesterday = utc_now().date() - timedelta(days=1)
    row = {"user_id": user.user.id, "day": yesterday, "input_tokens": 9_000, "output_tokens": 9_000}
    await database.write(lambda session: execute(session, insert(USAGE), row))
    provider.script([Text(["One."])])
    async with chat_with(assistant_daily_tokens=1) as chat:
        assert (await chat.send("one"))["errors"] == []
        assert codes(await chat.send("two")) == ["RATE_LIMITED"]
        used = await usage(database, user)
        assert (used.pop(yesterday), list(used.values())) == ((9_000, 9_000), [(100, 10)])
        # As if the day had ended.
        aged = update(USAGE).where(USAGE.c.user_id == user.user.id, USAGE.c.day > yesterday)
        await database.write(lambda session: execute(session, aged.values(day=yesterday - timedelta(days=1))))
        provider.script([Text(["Two."])])
        assert (await chat.send("two"))["errors"] == []


@only_sqlite
async def test_approved_run_is_finished_beyond_the_daily_tokens(
    chat_with: ChatWith, user: SignedIn, database: Database, provider: Provider
) -> None:
    task = await make_task(database, user.caller)
    provider.script([UseTool("delete_task", {"task_id": task.id}, "call_1")], [Text(["Gone."])])
    async with chat_with(assistant_daily_tokens=1) as chat:
        asked = (await chat.send("delete it"))["run"]
        assert asked["status"] == "AWAITING_APPROVAL"
        assert list((await usage(database, user)).values()) == [(100, 10)]
        await chat.resolve(asked["toolCalls"][0]["id"], approve=True)
        run = await chat.until(asked["id"], "COMPLETED", "FAILED")
        assert (run["status"], run["reply"]["content"]) == ("COMPLETED", "Gone.")
        assert (run["inputTokens"], run["outputTokens"]) == (200, 20)
        assert list((await usage(database, user)).values()) == [(200, 20)]


async def test_one_of_two_concurrent_messages_in_a_conversation_is_refused(
    chat_with: ChatWith, user: SignedIn, database: Database, provider: Provider
) -> None:
    talk = (await make_conversation(database, user.caller)).id
    async with chat_with() as one, chat_with() as other:
        for turn, second in enumerate((one, other, other)):
            provider.script([Stall(), Text(["Once."])])
            said = [chat.send(f"turn {turn}", conversationId=talk, wait=False) for chat in (one, second)]
            both = await asyncio.gather(*said)
            (begun,) = [answer for answer in both if not answer["errors"]]
            (refused,) = [answer for answer in both if answer["errors"]]
            again = await one.ask_again(begun["message"]["id"])
            assert refusals(refused) == refusals(again) == [("CONFLICT", BUSY)]
            provider.go_on.set()
            await one.until(begun["run"]["id"], "COMPLETED")
            provider.go_on.clear()
        contents = [message["content"] for message in await other.messages(talk)]
        assert contents == [text for turn in range(3) for text in (f"turn {turn}", "Once.")]
    assert len(provider.requests) == 3


@only_sqlite
async def test_runs_beyond_the_slots_are_queued(chat_with: ChatWith, provider: Provider) -> None:
    provider.script([Stall(), Text(["One."])], [Text(["Two."])], [Text(["Three."])])
    async with chat_with(assistant_max_runs=1) as chat:
        first = await chat.send("one", wait=False)
        await until(lambda: provider.open_streams == 1)
        second, third = await chat.send("two", wait=False), await chat.send("three", wait=False)
        assert [answer["run"]["status"] for answer in (first, second, third)] == ["RUNNING", "QUEUED", "QUEUED"]
        # Who waits in the queue can be done without.
        cancelled = (await chat.cancel(third["run"]["id"]))["run"]
        assert (cancelled["status"], cancelled["reply"]["status"]) == ("CANCELLED", "CANCELLED")
        assert codes(await chat.send("two?", conversationId=second["conversation"]["id"])) == ["CONFLICT"]
        assert ((await chat.run(second["run"]["id"]))["status"], len(provider.requests)) == ("QUEUED", 1)
        provider.go_on.set()
        for begun, reply in ((first, "One."), (second, "Two.")):
            assert (await chat.until(begun["run"]["id"], "COMPLETED"))["reply"]["content"] == reply
        assert ((await chat.run(third["run"]["id"]))["status"], len(provider.requests)) == ("CANCELLED", 2)


@only_sqlite
async def test_runs_of_one_user_are_limited(
    chat_with: ChatWith, database: Database, user: SignedIn, stranger: SignedIn, provider: Provider
) -> None:
    task = await make_task(database, user.caller)
    provider.script([Text(["Hello."])], [UseTool("delete_task", {"task_id": task.id}, "call_1")])
    async with chat_with(assistant_max_runs_per_user=2) as chat:
        answered = await chat.send("hello")
        paused = await chat.send("delete it")
        call_id = paused["run"]["toolCalls"][0]["id"]
        provider.script([Stall(), Text(["Late."])], [Stall(), Text(["Late."])])
        begun = [await chat.send("hello", wait=False) for _ in range(2)]
        assert [codes(answer) for answer in begun] == [[], []]
        message = "The assistant is writing 2 replies to you already; wait for one of them, or cancel it, first."
        for further in (
            await chat.send("hello", wait=False),
            await chat.ask_again(answered["message"]["id"]),
            await chat.resolve(call_id, approve=True),
        ):
            assert refusals(further) == [("CONFLICT", message)]
        assert (await chat.run(paused["run"]["id"]))["status"] == "AWAITING_APPROVAL"
        # Others are not kept waiting, and a place that is given up can be taken.
        provider.script([Text(["Hello."])], [Text(["Deleted."])])
        assert (await Chat(chat.client, stranger).send("hello"))["reply"]["content"] == "Hello."
        await chat.cancel(begun[0]["run"]["id"])
        await chat.resolve(call_id, approve=True)
        await chat.until(paused["run"]["id"], "COMPLETED")
        assert await chat.titles() == []


@only_sqlite
async def test_run_of_a_deactivated_user_stops(
    chat_with: ChatWith, database: Database, user: SignedIn, admin: SignedIn, provider: Provider
) -> None:
    provider.script([Text(["Half a"]), Stall()])
    async with chat_with(assistant_stall_s=60.0) as chat:
        await chat.send("hello", wait=False)
        await until(lambda: provider.open_streams == 1)
        deactivate = partial(set_active, caller=admin.caller, user_id=user.user.id, client=NO_CLIENT, is_active=False)
        await database.write(deactivate)
        await until(lambda: provider.open_streams == 0)


@only_sqlite
async def test_run_beyond_its_timeout_fails(chat: Chat, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts: list[asyncio.Timeout] = []

    def recorded(delay: float | None) -> asyncio.Timeout:
        timeouts.append(asyncio.timeout(delay))
        return timeouts[-1]

    monkeypatch.setattr("assistant.execution.asyncio", SimpleNamespace(**vars(asyncio) | {"timeout": recorded}))
    provider.script([UseTool("add_task", {"title": "Buy milk"}, "call_1")], [Text(["Half a"]), Stall()])
    begun = await chat.send("add milk", wait=False)
    await until(lambda: len(provider.requests) == 2)
    timeouts[0].reschedule(asyncio.get_running_loop().time())
    run = await chat.until(begun["run"]["id"], "FAILED", "COMPLETED")
    assert (run["status"], run["error"]) == ("FAILED", "The assistant took too long to answer. Ask again.")
    assert run["reply"]["status"] == "FAILED"
    await until(lambda: provider.open_streams == 0)
    # What was done by then stays; what people decide on may take as long as it takes.
    assert await chat.titles() == ["Buy milk"]
    provider.script([Text(["Here."])])
    again = await chat.ask_again(begun["message"]["id"])
    assert again["reply"]["content"] == "Here."
