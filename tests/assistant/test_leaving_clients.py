"""Who waits for a reply and leaves: the waiting ends with them, the run does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from core.settings import Settings
from tests.assistant.chat import Chat, refusals
from tests.assistant.provider import Provider, Stall, Text
from tests.databases import only_sqlite
from tests.event_client import open_events
from tests.servers import RunningServer, serve_with
from tests.socket_client import signed_in_socket
from tests.waiting import until

SEND: Final = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { run { id status } } }"
GIVEN: Final = {"input": {"content": "count", "idempotencyKey": "count"}}


@asynccontextmanager
async def waiting(how: str, server: RunningServer, chat: Chat) -> AsyncIterator[None]:
    if how == "http":
        sending = asyncio.create_task(chat.client.query(SEND, GIVEN, as_=chat.user))
        yield
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    elif how == "event stream":
        async with open_events(server, SEND, GIVEN, token=chat.user.token):
            yield
    else:
        async with signed_in_socket(server, chat.user.token) as socket:
            await socket.subscribe(SEND, GIVEN)
            yield
            if how == "socket that stays":
                await socket.complete()
                await socket.round_trip()


@only_sqlite
@pytest.mark.parametrize("how", ["http", "socket", "socket that stays", "event stream"])
async def test_waiting_ends_with_the_client_but_the_run_goes_on(
    server: RunningServer, chat: Chat, provider: Provider, how: str
) -> None:
    provider.script([Text(["One, "]), Stall(), Text(["two."])])
    waiters, user_id = server.runtime.live.hub, chat.user.user.id
    async with waiting(how, server, chat):
        await until(lambda: provider.open_streams and user_id in waiters.users)
    await until(lambda: user_id not in waiters.users)
    assert provider.open_streams == 1
    running = await chat.send("count", idempotencyKey="count", wait=False)
    assert running["run"]["status"] == "RUNNING"
    provider.go_on.set()
    again = await chat.send("count", idempotencyKey="count")
    assert (again["run"]["id"], again["reply"]["content"]) == (running["run"]["id"], "One, two.")
    assert len(provider.requests) == 1


@only_sqlite
async def test_server_stops_after_a_waiting_client_has_left(
    settings: Settings, chat: Chat, provider: Provider, provider_settings: dict[str, Any]
) -> None:
    provider.script([Stall()])
    # The server's end waits for every mutation to end by itself.
    async with serve_with(settings, **provider_settings) as server:
        async with waiting("socket", server, chat):
            await until(lambda: provider.open_streams)
        await until(lambda: chat.user.user.id not in server.runtime.live.hub.users)


async def test_deleted_conversation_ends_the_waiting(chat: Chat, provider: Provider) -> None:
    provider.script([Stall(), Text(["Too late."])])
    conversation = (await chat.client.mutate("createConversation", {}, as_=chat.user))["conversation"]
    sending = asyncio.create_task(chat.send("hello", conversationId=conversation["id"]))
    await until(lambda: provider.open_streams)
    await chat.client.mutate("deleteConversation", {"id": conversation["id"]}, as_=chat.user)
    answer = await sending
    assert refusals(answer) == [("NOT_FOUND", "The conversation was deleted before the reply was complete.")]
    assert (answer["conversation"], answer["run"]) == (None, None)
    await until(lambda: provider.open_streams == 0)
