"""Replies that are written anew: what the run that broke off has done is known, and not done again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from core.settings import Settings
from tests.assistant.chat import Chat, chatting, chatting_at, codes
from tests.assistant.provider import Cut, Provider, Refuse, Stall, Step, Text, UseTool, serve_provider
from tests.factories import SignedIn
from tests.server.rest.client import RestClient
from tests.servers import RunningServer, serve_with

TITLES: Final = ("Milk", "Bread", "Eggs")
DONE: Final = [Text(["All three."])]


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with serve_provider() as provider:
        yield provider


@pytest.fixture
async def server(settings: Settings, provider: Provider) -> AsyncIterator[RunningServer]:
    async with serve_with(settings, openai_api_key="sk-test", openai_base_url=provider.url) as server:
        yield server


@pytest.fixture
async def chat(server: RunningServer, user: SignedIn) -> AsyncIterator[Chat]:
    async with chatting_at(server.url, user) as chat:
        yield chat


def adding(titles: tuple[str, ...], attempt: str) -> list[Step]:
    """Return calls whose ids differ from those of other attempts, as a provider's do."""
    return [UseTool("add_task", {"title": title}, f"{attempt}_{title}") for title in titles]


def outputs(request: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the calls in a request with their results, after the last message of the person."""
    messages = request["messages"]
    last = max(place for place, message in enumerate(messages) if message["role"] == "user")
    calls = [call for message in messages[last:] for call in message.get("tool_calls") or ()]
    results = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    return [(call["function"]["arguments"], results[call["id"]]) for call in calls]


@pytest.mark.parametrize("failure", [[Refuse(401)], [Text(["I have"]), Cut()]], ids=["refused", "cut off"])
@pytest.mark.parametrize("done", [0, 1, 2, 3])
async def test_model_that_repeats_completed_calls_adds_nothing_twice(
    chat: Chat, provider: Provider, failure: list[Step], done: int
) -> None:
    provider.script(*([adding(TITLES[:done], "first")] if done else []), failure)
    failed = await chat.send("add milk, bread and eggs")
    assert failed["run"]["status"] == "FAILED"
    provider.script(adding(TITLES, "second"), DONE)
    again = await chat.ask_again(failed["message"]["id"])
    assert again["reply"]["content"] == "All three."
    assert [call["status"] for call in again["run"]["toolCalls"]] == ["COMPLETED"] * 3
    assert [call["result"]["task"]["title"] for call in again["run"]["toolCalls"]] == list(TITLES)
    assert Counter(await chat.titles()) == Counter(TITLES)
    # What is asked for after a reply that came to its end is new.
    provider.script(adding(TITLES, "third"), DONE)
    await chat.ask_again(failed["message"]["id"])
    assert Counter(await chat.titles()) == Counter(2 * TITLES)


async def test_model_sees_the_completed_calls_of_all_runs_that_broke_off(chat: Chat, provider: Provider) -> None:
    looking = UseTool("list_tasks", {}, "look")
    provider.script([looking], adding(TITLES[:1], "first"), [looking], [Refuse(401)])
    message_id = (await chat.send("add milk, bread and eggs"))["message"]["id"]
    provider.script(adding(TITLES[1:2], "second"), [Text(["So"]), Stall()])
    begun = (await chat.ask_again(message_id, wait=False))["run"]["id"]
    await chat.until_written(begun, "So")
    await chat.cancel(begun)
    provider.script(adding(TITLES[2:], "third"), DONE)
    assert (await chat.ask_again(message_id))["run"]["status"] == "COMPLETED"
    seen = outputs(provider.requests[-2])
    # What was read after the last change is read again.
    assert [arguments for arguments, _ in seen] == ["{}", '{"title":"Milk"}', '{"title":"Bread"}']
    assert all(title in result for title, (_, result) in zip(TITLES, seen[1:], strict=False))
    assert Counter(await chat.titles()) == Counter(TITLES)


@pytest.mark.parametrize("done", [1, 2, 3])
async def test_offline_model_goes_on_where_a_run_broke_off(
    chat: Chat, provider: Provider, settings: Settings, user: SignedIn, done: int
) -> None:
    provider.script(adding(TITLES[:done], "first"), [Refuse(401)])
    failed = await chat.send("add Milk, Bread and Eggs")
    async with chatting(settings, user) as offline:
        again = await offline.ask_again(failed["message"]["id"])
    assert [call["arguments"]["title"] for call in again["run"]["toolCalls"]] == list(TITLES[done:])
    assert all(title in again["reply"]["content"] for title in TITLES)
    assert Counter(await chat.titles()) == Counter(TITLES)


async def test_what_was_undone_is_done_again(chat: Chat, provider: Provider) -> None:
    provider.script(adding(TITLES, "first"), [Refuse(401)])
    failed = await chat.send("add milk, bread and eggs")
    await chat.client.mutate("undoRun", {"id": failed["run"]["id"]}, as_=chat.user)
    assert await chat.titles() == []
    provider.script(adding(TITLES, "second"), DONE)
    await chat.ask_again(failed["message"]["id"])
    assert outputs(provider.requests[-2]) == []
    assert Counter(await chat.titles()) == Counter(TITLES)


async def test_reply_is_regenerated_once_for_an_idempotency_key(
    server: RunningServer, chat: Chat, provider: Provider
) -> None:
    provider.script([Refuse(401)])
    message_id = (await chat.send("add milk"))["message"]["id"]
    provider.script(adding(TITLES[:1], "first"), [Text(["Added."])])
    first, *others = await asyncio.gather(*(chat.ask_again(message_id, idempotencyKey="once") for _ in range(5)))
    async with server.client() as http:
        sent = {"message_id": message_id}, {"Idempotency-Key": "once"}
        answer = await RestClient(http, chat.user).ok("POST", "/chat/regenerate", sent[0], headers=sent[1])
    assert (answer["run_id"], answer["response"]) == (first["run"]["id"], "Added.")
    assert {answer["run"]["id"] for answer in others} == {first["run"]["id"]}
    assert codes(await chat.ask_again(first["reply"]["id"], idempotencyKey="once")) == ["CONFLICT"]
    assert await chat.titles() == ["Milk"]
    assert len(provider.requests) == 3
