"""Runs over several processes: cancelled from elsewhere, killed, approved after a restart, stopped."""

import asyncio
from functools import partial
from typing import Any

from sqlalchemy import update
from sqlmodel.ext.asyncio.session import AsyncSession

from assistant.assistant import DIED
from assistant.execution import RESTARTED
from core.clock import utc_now
from core.database import Database
from core.settings import Settings
from models import Run
from services.query.sql import execute, table_of
from tests.assistant.chat import Chat, chatting_at, codes
from tests.assistant.conftest import ChatWith
from tests.assistant.provider import Provider, Stall, Text, UseTool
from tests.databases import only_postgresql
from tests.factories import SignedIn, make_task
from tests.live.processes import start
from tests.waiting import until

ADD_MILK = UseTool("add_task", {"title": "Buy milk"}, "call_1")


async def end_lease(session: AsyncSession, run_id: str) -> None:
    runs = table_of(Run)
    await execute(session, update(runs).where(runs.c.id == run_id).values(lease_until=utc_now()))


async def assert_cancelled_from_elsewhere(chat: Chat, elsewhere: Chat, provider: Provider) -> None:
    provider.script([Text(["So far."]), Stall(), Text(["Not this."]), ADD_MILK])
    begun = await chat.send("add milk", wait=False)
    run_id = begun["run"]["id"]
    await elsewhere.until_written(run_id, "So far.")
    cancelled = await elsewhere.cancel(run_id)
    assert (cancelled["errors"], cancelled["run"]["status"]) == ([], "CANCELLED")
    # Its process closes the provider's stream, for nothing else would end that request.
    await until(lambda: provider.open_streams == 0)
    provider.go_on.set()
    provider.script([Text(["Hello."])])
    assert (await chat.send("hello", conversationId=begun["conversation"]["id"]))["reply"]["content"] == "Hello."
    assert (await elsewhere.run(run_id))["reply"] == cancelled["run"]["reply"]
    assert cancelled["run"]["reply"]["content"] == "So far."
    assert await chat.titles() == []
    provider.reset()


async def assert_ended_after_kill(elsewhere: Chat, provider: Provider, begun: dict[str, Any]) -> None:
    run = await elsewhere.until(begun["run"]["id"], "FAILED")
    assert (run["error"], run["reply"]["content"], run["reply"]["status"]) == (DIED, "Half a", "FAILED")
    assert [call["status"] for call in run["toolCalls"]] == ["COMPLETED"]
    assert "Buy milk" in await elsewhere.titles()
    # A model that repeats what is done changes nothing, though its call has another id.
    provider.script([ADD_MILK._replace(call_id="call_2")], [Text(["It is on your list already."])])
    again = await elsewhere.ask_again(begun["message"]["id"])
    assert again["reply"]["content"] == "It is on your list already."
    assert (await elsewhere.titles()).count("Buy milk") == 1
    said = await elsewhere.messages(begun["conversation"]["id"])
    assert [message["status"] for message in said] == ["COMPLETE", "FAILED", "COMPLETE"]


async def assert_approved_once(chats: tuple[Chat, Chat], provider: Provider, paused: dict[str, Any], task: str) -> None:
    run_id, (call,) = paused["run"]["id"], paused["run"]["toolCalls"]
    assert (await chats[0].run(run_id))["status"] == "AWAITING_APPROVAL"
    provider.script([Text(["It is gone."])])
    resolved = await asyncio.gather(*(chat.resolve(call["id"], approve=True) for chat in chats))
    assert sorted(len(answer["errors"]) for answer in resolved) == [0, 1]
    run = await chats[0].until(run_id, "COMPLETED")
    assert run["reply"]["content"] == "Shall I? \n\nIt is gone."
    assert [(call["status"], call["result"]) for call in run["toolCalls"]] == [("COMPLETED", {"deleted_ids": [task]})]
    assert await chats[1].titles() == ["Buy milk"]
    assert codes(await chats[1].resolve(call["id"], approve=False)) == ["CONFLICT"]


@only_postgresql
async def test_runs_survive_cancellation_and_kill_of_their_process(
    *,
    settings: Settings,
    database: Database,
    user: SignedIn,
    chat_with: ChatWith,
    provider: Provider,
    provider_settings: dict[str, Any],
) -> None:
    variables = {name.upper(): value for name, value in provider_settings.items()}
    async with chat_with(run_lease_s=3.0) as elsewhere, chat_with(run_lease_s=3.0) as another:
        # In production a server loads the SDK before it is ready.
        doomed = await start(settings, ENVIRONMENT="production", **variables)
        try:
            async with chatting_at(doomed.url, user) as chat:
                await assert_cancelled_from_elsewhere(chat, elsewhere, provider)
                task = await make_task(database, user.caller)
                deleting = UseTool("delete_task", {"task_id": task.id}, "call_1")
                provider.script([Text(["Shall I? "]), deleting])
                paused = await chat.send("delete it")
                (call,) = paused["run"]["toolCalls"]
                assert (paused["run"]["status"], paused["reply"]["status"]) == ("AWAITING_APPROVAL", "STREAMING")
                assert (call["status"], call["arguments"]) == ("AWAITING_APPROVAL", {"task_id": task.id})
                provider.script([ADD_MILK], [Text(["Half a"]), Stall()])
                begun = await chat.send("add milk", wait=False)
            await elsewhere.until_written(begun["run"]["id"], "Half a")
        finally:
            await doomed.kill()
        # Nobody renews the lease any more: it ends, however long it was.
        await database.write(partial(end_lease, run_id=begun["run"]["id"]))
        await assert_ended_after_kill(elsewhere, provider, begun)
        await assert_approved_once((elsewhere, another), provider, paused, task.id)


async def test_server_that_stops_fails_its_runs(chat: Chat, chat_with: ChatWith, provider: Provider) -> None:
    async with chat_with() as there:
        provider.script([Text(["Half a"]), Stall()])
        begun = await there.send("hello", wait=False)
        await there.until_written(begun["run"]["id"], "Half a")
    run = await chat.run(begun["run"]["id"])
    assert (run["status"], run["error"], run["reply"]["content"]) == ("FAILED", RESTARTED, "Half a")
