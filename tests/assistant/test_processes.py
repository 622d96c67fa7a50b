"""Runs over several processes: killed, stopped, cancelled from elsewhere, approved after a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx2
import pytest
from sqlalchemy import update
from sqlmodel.ext.asyncio.session import AsyncSession

from assistant.assistant import DIED
from assistant.execution import RESTARTED
from core.clock import utc_now
from core.database import Database
from core.settings import Settings
from models import Run
from services.query.sql import execute, table_of
from tests.assistant.chat import Chat
from tests.assistant.provider import Provider, Stall, Text, UseTool
from tests.factories import SignedIn, make_task
from tests.graph_client import GraphClient
from tests.live.processes import serving, start
from tests.servers import serve_with
from tests.waiting import SHORT_LIVED, until

ADD_MILK = UseTool("add_task", {"title": "Buy milk"}, "call_1")


@pytest.fixture
def variables(provider: Provider) -> dict[str, Any]:
    """Give what a process is to be started with."""
    return {
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": provider.url,
    }


@asynccontextmanager
async def elsewhere_served(settings: Settings, variables: dict[str, Any], **overrides: Any) -> AsyncIterator[str]:
    """Serve the same database from here, which is another process than the one that a test starts."""
    given = {name.lower(): value for name, value in variables.items()}
    changed = Settings.model_validate(settings.model_dump() | given | overrides)
    async with serve_with(changed) as server:
        yield server.url


@asynccontextmanager
async def chatting(url: str, user: SignedIn) -> AsyncIterator[Chat]:
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=SHORT_LIVED) as http:
        yield Chat(GraphClient(http), user)


async def end_lease(session: AsyncSession, run_id: str) -> None:
    runs = table_of(Run)
    await execute(session, update(runs).where(runs.c.id == run_id).values(lease_until=utc_now()))


async def test_killed_in_mid_run(
    settings: Settings, database: Database, chat: Chat, provider: Provider, variables: dict[str, Any]
) -> None:
    user, calm = chat.user, chat
    async with (
        elsewhere_served(settings, variables, run_lease_s=3.0) as neighbour,
        chatting(neighbour, user) as elsewhere,
    ):
        doomed = await start(settings, **variables)
        provider.script([ADD_MILK], [Text(["Half a"]), Stall()])
        async with chatting(doomed.url, user) as there:
            begun = await there.send("add milk", wait=False)
        run_id = begun["run"]["id"]
        await elsewhere.until_written(run_id, "Half a")
        await doomed.kill()
        # Nobody renews it any more: its time has come, however long it was.
        await database.write(partial(end_lease, run_id=run_id))
        run = await elsewhere.until(run_id, "FAILED")
        assert (run["error"], run["reply"]["content"], run["reply"]["status"]) == (DIED, "Half a", "FAILED")
        assert [call["status"] for call in run["toolCalls"]] == ["COMPLETED"]
        assert await elsewhere.titles() == ["Buy milk"]
        provider.script([Text(["It is on your list already."])])
        again = await calm.ask_again(begun["message"]["id"])
        assert again["reply"]["content"] == "It is on your list already."
        said = await elsewhere.messages(begun["conversation"]["id"])
        assert [message["status"] for message in said] == ["COMPLETE", "FAILED", "COMPLETE"]


async def test_cancelled_from_another_process(
    settings: Settings, user: SignedIn, provider: Provider, variables: dict[str, Any]
) -> None:
    async with (
        serving(settings, **variables) as first,
        elsewhere_served(settings, variables) as second,
        chatting(first.url, user) as chat,
        chatting(second, user) as elsewhere,
    ):
        provider.script([Text(["So far."]), Stall(), Text(["Not this."]), ADD_MILK])
        begun = await chat.send("add milk", wait=False)
        run_id = begun["run"]["id"]
        await elsewhere.until_written(run_id, "So far.")
        cancelled = await elsewhere.cancel(run_id)
        assert (cancelled["errors"], cancelled["run"]["status"]) == ([], "CANCELLED")
        # Its process lets go of the provider, for nothing else would end that request.
        await until(lambda: provider.open_streams == 0)
        provider.go_on.set()
        provider.script([Text(["Hello."])])
        assert (await chat.send("hello", conversationId=begun["conversation"]["id"]))["reply"]["content"] == "Hello."
        assert (await elsewhere.run(run_id))["reply"] == cancelled["run"]["reply"]
        assert cancelled["run"]["reply"]["content"] == "So far."
        assert await chat.titles() == []


async def awaiting_deletion(chat: Chat, provider: Provider, task_id: str) -> dict[str, Any]:
    provider.script([Text(["Shall I? "]), UseTool("delete_task", {"task_id": task_id}, "call_1")])
    answer = await chat.send("delete it")
    assert answer["run"]["status"] == "AWAITING_APPROVAL"
    assert answer["reply"]["status"] == "STREAMING"
    (call,) = answer["run"]["toolCalls"]
    assert (call["status"], call["arguments"]) == ("AWAITING_APPROVAL", {"task_id": task_id})
    return answer


async def test_an_approval_outlives_a_restart_and_executes_once(
    settings: Settings, database: Database, user: SignedIn, provider: Provider, variables: dict[str, Any]
) -> None:
    task = await make_task(database, user.caller)
    async with serving(settings, **variables) as first, chatting(first.url, user) as chat:
        asked = await awaiting_deletion(chat, provider, task.id)
    provider.script([Text(["It is gone."])])
    call_id = asked["run"]["toolCalls"][0]["id"]
    async with (
        elsewhere_served(settings, variables) as second,
        elsewhere_served(settings, variables) as third,
        chatting(second, user) as chat,
        chatting(third, user) as elsewhere,
    ):
        assert (await chat.run(asked["run"]["id"]))["status"] == "AWAITING_APPROVAL"
        assert await chat.titles() == [task.title]
        resolved = await asyncio.gather(*(door.resolve(call_id, approve=True) for door in (chat, elsewhere)))
        assert sorted(len(answer["errors"]) for answer in resolved) == [0, 1]
        run = await chat.until(asked["run"]["id"], "COMPLETED")
        assert run["reply"]["content"] == "Shall I? \n\nIt is gone."
        assert [(call["status"], call["result"]) for call in run["toolCalls"]] == [
            ("COMPLETED", {"deleted_ids": [task.id]})
        ]
        assert await elsewhere.titles() == []
        late = await elsewhere.resolve(call_id, approve=False)
        assert [error["code"] for error in late["errors"]] == ["CONFLICT"]


async def test_a_server_that_stops_says_so(
    settings: Settings, user: SignedIn, provider: Provider, variables: dict[str, Any]
) -> None:
    async with elsewhere_served(settings, variables) as neighbour, chatting(neighbour, user) as elsewhere:
        async with serving(settings, **variables) as leaving, chatting(leaving.url, user) as chat:
            provider.script([Text(["Half a"]), Stall()])
            begun = await chat.send("hello", wait=False)
            await chat.until_written(begun["run"]["id"], "Half a")
        run = await elsewhere.run(begun["run"]["id"])
        assert (run["status"], run["error"], run["reply"]["content"]) == ("FAILED", RESTARTED, "Half a")
