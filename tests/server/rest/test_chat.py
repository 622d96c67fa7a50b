"""The assistant over REST, with a provider that speaks from a script."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
import pytest

from core.database import Database
from core.settings import Settings
from tests.assistant.provider import Provider, Stall, Text, UseTool, serve_provider
from tests.databases import only_sqlite
from tests.factories import NOBODYS_ID, SignedIn, make_task
from tests.server.rest.client import RestClient, problem_of, refusal
from tests.server.rest.events import ChatEvents, events_of
from tests.servers import RunningServer, serve_with
from tests.waiting import PATIENCE_S, until

WORDS: Final = ["Ünï\N{ROCKET}c\u0301ode ", "is ", "kept."]
SAID: Final = "".join(WORDS)


@pytest.fixture(scope="module")
async def shared_provider() -> AsyncIterator[Provider]:
    async with serve_provider() as serving:
        yield serving


@pytest.fixture
async def provider(shared_provider: Provider) -> AsyncIterator[Provider]:
    shared_provider.reset()
    yield shared_provider
    shared_provider.end()


@asynccontextmanager
async def asking(settings: Settings, provider: Provider) -> AsyncIterator[RunningServer]:
    """Serve an assistant that uses the provider."""
    overrides = {"openai_api_key": "sk-test", "openai_base_url": provider.url}
    async with serve_with(settings, **overrides) as running:
        yield running


@pytest.fixture(scope="module")
async def shared_server(settings: Settings, shared_provider: Provider) -> AsyncIterator[RunningServer]:
    async with asking(settings, shared_provider) as running:
        yield running


@pytest.fixture
async def served(shared_server: RunningServer, provider: Provider) -> AsyncIterator[RunningServer]:
    yield shared_server
    provider.end()
    await until(lambda: not shared_server.runtime.assistant._executions)  # noqa: SLF001 - only tests ask for it


@pytest.fixture
async def talk(served: RunningServer, user: SignedIn) -> AsyncIterator[RestClient]:
    """Give the user's client of the server that asks the provider."""
    async with httpx2.AsyncClient(base_url=served.url, timeout=30) as http:
        yield RestClient(http, user)


async def test_chat_returns_the_answer(talk: RestClient, provider: Provider) -> None:
    provider.script([UseTool("add_task", {"title": "Buy milk"}, "call_1")], [Text(WORDS)])
    answer = await talk.ok("POST", "/chat", {"message": "add buy milk", "time_zone": "Europe/Berlin"})
    assert (answer["status"], answer["response"], answer["error"]) == ("COMPLETED", SAID, None)
    (call,) = answer["tool_calls"]
    assert (call["name"], call["arguments"], call["status"]) == ("add_task", {"title": "Buy milk"}, "COMPLETED")
    assert [task["title"] for task in (await talk.ok("GET", "/tasks"))["items"]] == ["Buy milk"]
    messages = await talk.ok("GET", f"/conversations/{answer['conversation_id']}/messages")
    assert [(each["id"], each["content"]) for each in messages["items"]] == [
        (answer["message_id"], "add buy milk"),
        (answer["reply_id"], SAID),
    ]
    assert await talk.ok("GET", f"/runs/{answer['run_id']}") == answer


REFUSED: Final[list[tuple[dict[str, Any], tuple[int, str, str]]]] = [
    ({}, (422, "BAD_USER_INPUT", "#/message")),
    ({"message": " "}, (422, "BAD_USER_INPUT", "#/message")),
    ({"message": "\0"}, (422, "BAD_USER_INPUT", "#/message")),
    ({"message": "x" * 100_001}, (422, "BAD_USER_INPUT", "#/message")),
    ({"message": "x", "time_zone": "Mars/Olympus"}, (422, "BAD_USER_INPUT", "#/time_zone")),
    ({"message": "x", "time_zone": "../etc/passwd"}, (422, "BAD_USER_INPUT", "#/time_zone")),
    ({"message": "x", "conversation_id": "x"}, (404, "NOT_FOUND", "#/conversation_id")),
    ({"message": "x", "conversation_id": 1}, (422, "BAD_USER_INPUT", "#/conversation_id")),
]


@only_sqlite
@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
async def test_invalid_messages_are_refused(rest: RestClient, path: str) -> None:
    for body, expected in REFUSED:
        assert refusal(await rest.problem("POST", path, body)) == expected
    assert (await rest.ok("GET", "/conversations"))["items"] == []


async def test_tool_call_is_approved_over_rest(
    talk: RestClient, provider: Provider, database: Database, user: SignedIn
) -> None:
    task = await make_task(database, user.caller)
    provider.script([UseTool("delete_task", {"task_id": task.id}, "call_1")], [Text(["Gone."])])
    answer = await talk.ok("POST", "/chat", {"message": "delete it"})
    assert answer["status"] == "AWAITING_APPROVAL"
    (call,) = answer["tool_calls"]
    assert (call["status"], call["arguments"]) == ("AWAITING_APPROVAL", {"task_id": task.id})
    busy = await talk.problem("POST", "/chat", {"message": "and?", "conversation_id": answer["conversation_id"]})
    assert refusal(busy) == (409, "CONFLICT", "#/conversation_id")
    async with events_of(talk, f"/{answer['run_id']}") as events:
        assert [name async for name in events.names("approval_needed")] == ["run", "approval_needed"]
        run = await talk.ok("POST", f"/tool-calls/{call['id']}/resolve", {"approve": True})
        assert (run["id"], run["status"]) == (answer["run_id"], "RUNNING")
        await events.until("done")
        assert events.last["data"]["response"].endswith("Gone.")
    assert refusal(await talk.problem("GET", f"/tasks/{task.id}")) == (404, "NOT_FOUND", None)
    problem = await talk.problem("POST", f"/tool-calls/{call['id']}/resolve", {"approve": True})
    assert (refusal(problem)[:2], problem["current"]["status"]) == ((409, "CONFLICT"), "COMPLETED")


async def test_cancelled_run_ends_its_stream(talk: RestClient, provider: Provider) -> None:
    provider.script([Text(["So far"]), Stall()])
    async with events_of(talk, body={"message": "hello"}) as events:
        await events.until("text")
        run_id = events.first["data"]["run_id"]
        assert (await talk.ok("POST", f"/runs/{run_id}/cancel"))["status"] == "CANCELLED"
        await events.until("done")
    assert (events.last["data"]["status"], events.text) == ("CANCELLED", "So far")
    problem = await talk.problem("POST", f"/runs/{run_id}/cancel")
    assert (refusal(problem)[:2], problem["current"]["status"]) == ((409, "CONFLICT"), "CANCELLED")


async def test_stream_sends_the_answer_as_it_is_written(talk: RestClient, provider: Provider) -> None:
    provider.script([UseTool("add_task", {"title": "Buy milk"}, "call_1")], [Text(WORDS[:1]), Stall(), Text(WORDS[1:])])
    async with events_of(talk, body={"message": "add buy milk"}) as events:
        await events.until("text")
        assert (events.first["event"], events.first["data"]["status"]) == ("run", "RUNNING")
        assert SAID.startswith(events.text)
        provider.go_on.set()
        await events.until("done")
        assert await events.next() is None
    assert (events.text, events.last["data"]["response"]) == (SAID, SAID)
    calls = [event["data"] for event in events.seen if event["event"] == "tool_call"]
    assert (calls[-1]["name"], calls[-1]["status"]) == ("add_task", "COMPLETED")
    assert events.last["data"]["tool_calls"] == calls[-1:]


@pytest.mark.parametrize(("method", "is_elsewhere"), [("GET", True), ("POST", False)])
async def test_resumed_stream_loses_and_repeats_nothing(
    talk: RestClient, settings: Settings, provider: Provider, *, method: str, is_elsewhere: bool
) -> None:
    provider.script(
        [UseTool("add_task", {"title": title}, f"call_{title}") for title in ("a", "b")],
        [Text(WORDS[:1]), Stall(), Text(WORDS[1:])],
    )
    body = {"message": "add a and b"}
    async with events_of(talk, body=body) as events:
        await events.until("text")
    provider.go_on.set()
    run_id = events.first["data"]["run_id"]
    whole = await _followed(talk, f"/{run_id}")
    async with asking(settings, provider) as other:
        url = other.url if is_elsewhere else str(talk.http.base_url)
        async with httpx2.AsyncClient(base_url=url, timeout=30) as http:
            client = RestClient(http, talk.user)
            for event in (*whole.seen, *events.seen):
                path, sent = (f"/{run_id}", None) if method == "GET" else ("", body)
                rest = await _followed(client, path, body=sent, last=event["id"])
                if event["event"] == "done":
                    assert (rest.status, rest.seen) == (204, [])
                    continue
                assert rest.text == SAID[_offset(event["id"]) :]
                assert rest.last["data"] == whole.last["data"]
    for place, event in enumerate(whole.seen[:-1]):
        rest = await _followed(talk, f"/{run_id}", last=event["id"])
        assert _calls(rest.seen) == _calls(whole.seen[place + 1 :])
    assert [name for name, _ in _calls(whole.seen)] == ["a", "b"]


async def _followed(client: RestClient, path: str, *, body: Any = None, last: str | None = None) -> ChatEvents:
    async with events_of(client, path, body=body, last=last) as events:
        await events.until("done")
    return events


def _calls(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    calls = [event["data"] for event in events if event["event"] == "tool_call"]
    return [(call["arguments"]["title"], call["status"]) for call in calls]


def _offset(event_id: str) -> int:
    return int(event_id.split(":")[1])


@only_sqlite
async def test_unknown_last_event_id_is_refused(talk: RestClient, provider: Provider) -> None:
    provider.script([Text(["Hello."])])
    run_id = (await talk.ok("POST", "/chat", {"message": "hello"}))["run_id"]
    for last in ("nonsense", "", ":", f"{NOBODYS_ID}:0:0:0", f"{NOBODYS_ID}:9999999:0:0", "x" * 5_000):
        headers = {"Last-Event-ID": last}
        problem = await talk.problem("GET", f"/chat/stream/{run_id}", headers=headers)
        assert refusal(problem) == (422, "BAD_USER_INPUT", "Last-Event-ID")
        problem = await talk.problem("POST", "/chat/stream", {"message": "hello"}, headers=headers)
        assert refusal(problem) in {(422, "BAD_USER_INPUT", "Last-Event-ID"), (404, "NOT_FOUND", "Last-Event-ID")}
    assert len(provider.requests) == 1


async def test_run_goes_on_after_its_client_has_left(talk: RestClient, provider: Provider) -> None:
    provider.script([Text(WORDS[:1]), Stall(), Text(WORDS[1:])])
    leaving = asyncio.create_task(talk.send("POST", "/chat", {"message": "hello"}))
    await until(lambda: provider.open_streams)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    (conversation,) = (await talk.ok("GET", "/conversations"))["items"]
    provider.go_on.set()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            messages = (await talk.ok("GET", f"/conversations/{conversation['id']}/messages"))["items"]
            if messages[-1]["status"] == "COMPLETE":
                break
    assert messages[-1]["content"] == SAID


async def test_stream_ends_with_its_session(talk: RestClient, provider: Provider, served: RunningServer) -> None:
    provider.script([Text(["So far"]), Stall()])
    async with events_of(talk, body={"message": "hello"}) as events:
        await events.until("text")
        assert len(served.app.state.connections.connections) == 1
        await talk.ok("POST", "/auth/logout")
        await events.until("problem")
        assert events.last["data"]["code"] == "UNAUTHENTICATED"
        assert await events.next() is None
    await until(lambda: not served.app.state.connections.connections)


async def test_streams_of_one_user_are_limited(settings: Settings, provider: Provider, user: SignedIn) -> None:
    provider.script([Stall()])
    overrides = {"openai_api_key": "sk-test", "openai_base_url": provider.url, "max_sockets_per_user": 1}
    async with (
        serve_with(settings, **overrides) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as http,
    ):
        talk = RestClient(http, user)
        async with events_of(talk, body={"message": "hello"}) as events:
            await events.until("run")
            path = f"/api/chat/stream/{events.first['data']['run_id']}"
            response = await http.get(path, headers=user.headers)
            assert refusal(problem_of(response)) == (429, "RATE_LIMITED", None)
            assert response.headers["retry-after"]
