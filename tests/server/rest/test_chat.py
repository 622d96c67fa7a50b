"""The assistant over REST, with a provider that speaks from a script."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import httpx2
import pytest

from core.database import Database
from core.settings import Settings
from server.rest.chat_stream import EVENTS
from tests.assistant.provider import Provider, Stall, Text, UseTool
from tests.databases import only_sqlite
from tests.event_client import blocks_of
from tests.factories import NOBODYS_ID, SignedIn, make_task
from tests.server.rest.client import RestClient, refusal
from tests.servers import RunningServer, serve_with
from tests.waiting import PATIENCE_S, until, until_so


@dataclass
class ChatEvents:
    status: int
    blocks: AsyncIterator[list[str]]
    seen: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the pieces that have come, which must follow each other."""
        pieces = [event["data"] for event in self.seen if event["event"] == "text"]
        for piece, following in pairwise(pieces):
            assert following["offset"] == piece["offset"] + len(piece["delta"])
        return "".join(piece["delta"] for piece in pieces)

    async def next(self) -> dict[str, Any] | None:
        async with asyncio.timeout(PATIENCE_S):
            async for lines in self.blocks:
                parts = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
                if parts:
                    event: dict[str, Any] = parts | {"data": json.loads(parts["data"])}
                    self.seen.append(event)
                    return event
        return None

    async def until(self, name: str) -> None:
        """Read up to the first event of a name; an answer without events has none."""
        while (event := await self.next()) is not None:
            if event["event"] == name:
                return
        assert self.status == httpx2.codes.NO_CONTENT, f"the stream ended before {name}: {self.seen}"


@asynccontextmanager
async def events_of(
    client: RestClient, path: str = "", *, body: Any = None, last: str | None = None
) -> AsyncIterator[ChatEvents]:
    """Ask, or follow the answer that the path names, from the last event that came on."""
    headers = {**(client.user.headers if client.user else {})} | ({} if last is None else {"Last-Event-ID": last})
    method = "GET" if body is None else "POST"
    async with client.http.stream(method, f"/api/chat/stream{path}", json=body, headers=headers) as response:
        yield ChatEvents(response.status_code, blocks_of(response))


WORDS: Final = ["Ünï\N{ROCKET}c\u0301ode ", "is ", "kept."]
SAID: Final = "".join(WORDS)


@pytest.fixture(scope="module")
async def shared_server(settings: Settings, provider_settings: dict[str, Any]) -> AsyncIterator[RunningServer]:
    async with serve_with(settings, **provider_settings) as running:
        yield running


@pytest.fixture
async def served(shared_server: RunningServer, provider: Provider) -> AsyncIterator[RunningServer]:
    yield shared_server
    provider.end()
    await until(lambda: not shared_server.runtime.assistant._executions)  # noqa: SLF001 - only tests ask for it


@pytest.fixture
async def talk(served: RunningServer, user: SignedIn) -> AsyncIterator[RestClient]:
    async with served.client() as http:
        yield RestClient(http, user)


REFUSED: Final[list[tuple[dict[str, Any], tuple[int, str, str]]]] = [
    ({}, (422, "BAD_USER_INPUT", "#/message")),
    ({"message": " "}, (422, "BAD_USER_INPUT", "#/message")),
    ({"message": "x", "time_zone": "Mars/Olympus"}, (422, "BAD_USER_INPUT", "#/time_zone")),
    ({"message": "x", "time_zone": "../etc/passwd"}, (422, "BAD_USER_INPUT", "#/time_zone")),
    ({"message": "x", "conversation_id": "x"}, (404, "NOT_FOUND", "#/conversation_id")),
    ({"message": "x", "conversation_id": 1}, (422, "BAD_USER_INPUT", "#/conversation_id")),
]


@only_sqlite
async def test_invalid_messages_are_refused(rest: RestClient) -> None:
    for path in ("/chat", "/chat/stream"):
        for body, expected in REFUSED:
            assert refusal(await rest.problem("POST", path, body)) == expected
    assert (await rest.ok("GET", "/conversations"))["items"] == []


async def test_tool_call_is_approved(talk: RestClient, provider: Provider, database: Database, user: SignedIn) -> None:
    task = await make_task(database, user.caller)
    provider.script([UseTool("delete_task", {"task_id": task.id}, "call_1")], [Text(["Gone."])])
    answer = await talk.ok("POST", "/chat", {"message": "delete it"})
    assert answer["status"] == "AWAITING_APPROVAL"
    (call,) = answer["tool_calls"]
    assert (call["status"], call["arguments"]) == ("AWAITING_APPROVAL", {"task_id": task.id})
    busy = await talk.problem("POST", "/chat", {"message": "and?", "conversation_id": answer["conversation_id"]})
    assert refusal(busy) == (409, "CONFLICT", "#/conversation_id")
    async with events_of(talk, f"/{answer['run_id']}") as events:
        await events.until("approval_needed")
        assert [event["event"] for event in events.seen] == ["run", "approval_needed"]
        run = await talk.ok("POST", f"/tool-calls/{call['id']}/resolve", {"approve": True})
        assert (run["id"], run["status"]) == (answer["run_id"], "RUNNING")
        await events.until("done")
        assert events.seen[-1]["data"]["response"].endswith("Gone.")
    assert refusal(await talk.problem("GET", f"/tasks/{task.id}")) == (404, "NOT_FOUND", None)
    problem = await talk.problem("POST", f"/tool-calls/{call['id']}/resolve", {"approve": True})
    assert (refusal(problem)[:2], problem["current"]["status"]) == ((409, "CONFLICT"), "COMPLETED")


async def test_cancelled_run_ends_its_stream(talk: RestClient, provider: Provider) -> None:
    provider.script([Text(["So far"]), Stall()])
    async with events_of(talk, body={"message": "hello"}) as events:
        await events.until("text")
        run_id = events.seen[0]["data"]["run_id"]
        assert (await talk.ok("POST", f"/runs/{run_id}/cancel"))["status"] == "CANCELLED"
        await events.until("done")
    assert (events.seen[-1]["data"]["status"], events.text) == ("CANCELLED", "So far")
    problem = await talk.problem("POST", f"/runs/{run_id}/cancel")
    assert (refusal(problem)[:2], problem["current"]["status"]) == ((409, "CONFLICT"), "CANCELLED")


async def test_stream_sends_the_answer_as_it_is_written(talk: RestClient, provider: Provider) -> None:
    provider.script([UseTool("add_task", {"title": "Buy milk"}, "call_1")], [Text(WORDS[:1]), Stall(), Text(WORDS[1:])])
    async with events_of(talk, body={"message": "add buy milk"}) as events:
        await events.until("text")
        assert (events.seen[0]["event"], events.seen[0]["data"]["status"]) == ("run", "RUNNING")
        assert SAID.startswith(events.text)
        provider.go_on.set()
        await events.until("done")
        assert await events.next() is None
    assert (events.text, events.seen[-1]["data"]["response"]) == (SAID, SAID)
    calls = [event["data"] for event in events.seen if event["event"] == "tool_call"]
    assert (calls[-1]["name"], calls[-1]["status"]) == ("add_task", "COMPLETED")
    assert events.seen[-1]["data"]["tool_calls"] == calls[-1:]
    for event in events.seen:
        assert EVENTS[event["event"]].model_validate(event["data"]).model_dump(mode="json") == event["data"]


async def test_run_is_shown_with_its_reply_and_taken_back(talk: RestClient, provider: Provider) -> None:
    provider.script([UseTool("add_task", {"title": "Buy milk"}, "call_1")], [Text(["Added."])])
    answer = await talk.ok("POST", "/chat", {"message": "add buy milk"})
    path = f"/conversations/{answer['conversation_id']}/messages"
    question, reply = (await talk.ok("GET", path))["items"]
    assert (question["run_id"], question["tool_calls"]) == (None, [])
    assert (reply["run_id"], reply["tool_calls"]) == (answer["run_id"], answer["tool_calls"])
    (task,) = (await talk.ok("GET", "/tasks"))["items"]
    undone = await talk.ok("POST", f"/runs/{answer['run_id']}/undo")
    assert (undone["tasks"], undone["deleted_ids"], undone["kept"]) == ([], [task["id"]], [])
    assert (undone["run"]["id"], (await talk.ok("GET", "/tasks"))["items"]) == (answer["run_id"], [])
    problem = await talk.problem("POST", f"/runs/{answer['run_id']}/undo")
    assert (refusal(problem)[:2], problem["current"]["id"]) == ((409, "CONFLICT"), answer["run_id"])


@pytest.mark.parametrize(("method", "is_elsewhere"), [("GET", True), ("POST", False)])
async def test_resumed_stream_loses_and_repeats_nothing(
    talk: RestClient, shared_server: RunningServer, provider: Provider, *, method: str, is_elsewhere: bool
) -> None:
    adding = [UseTool("add_task", {"title": title}, f"call_{title}") for title in ("a", "b")]
    provider.script(adding, [Text(WORDS[:1]), Stall(), Text(WORDS[1:])])
    body = {"message": "add a and b"}
    async with events_of(talk, body=body) as events:
        await events.until("text")
    provider.go_on.set()
    run_path = f"/{events.seen[0]['data']['run_id']}"
    whole = await followed(talk, run_path)
    async with serve_with(shared_server.runtime.settings) as other, other.client() as http:
        client = RestClient(http if is_elsewhere else talk.http, talk.user)
        for event in (*whole.seen, *events.seen):
            path, sent = (run_path, None) if method == "GET" else ("", body)
            rest = await followed(client, path, body=sent, last=event["id"])
            if event["event"] == "done":
                assert (rest.status, rest.seen) == (204, [])
                continue
            offset = int(event["id"].split(":")[1])
            assert (rest.text, rest.seen[-1]["data"]) == (SAID[offset:], whole.seen[-1]["data"])
    for place, event in enumerate(whole.seen[:-1]):
        rest = await followed(talk, run_path, last=event["id"])
        assert calls_in(rest.seen) == calls_in(whole.seen[place + 1 :])
    assert [name for name, _ in calls_in(whole.seen)] == ["a", "b"]


async def followed(client: RestClient, path: str, *, body: Any = None, last: str | None = None) -> ChatEvents:
    async with events_of(client, path, body=body, last=last) as events:
        await events.until("done")
    return events


def calls_in(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    calls = [event["data"] for event in events if event["event"] == "tool_call"]
    return [(call["arguments"]["title"], call["status"]) for call in calls]


@only_sqlite
async def test_unknown_last_event_id_is_refused(talk: RestClient, provider: Provider) -> None:
    provider.script([Text(["Hello."])])
    run_id = (await talk.ok("POST", "/chat", {"message": "hello"}))["run_id"]
    refused = (422, "BAD_USER_INPUT", "Last-Event-ID")
    for last in ("nonsense", "", ":", f"{NOBODYS_ID}:0:0:0", f"{NOBODYS_ID}:9999999:0:0", "x" * 5_000):
        headers = {"Last-Event-ID": last}
        assert refusal(await talk.problem("GET", f"/chat/stream/{run_id}", headers=headers)) == refused
        problem = await talk.problem("POST", "/chat/stream", {"message": "hello"}, headers=headers)
        assert refusal(problem) in {refused, (404, "NOT_FOUND", "Last-Event-ID")}
    assert len(provider.requests) == 1


async def test_run_goes_on_after_its_client_has_left(talk: RestClient, provider: Provider) -> None:
    provider.script([Text(WORDS[:1]), Stall(), Text(WORDS[1:])])
    leaving = asyncio.create_task(talk.send("POST", "/chat", {"message": "hello"}))
    await until(lambda: provider.open_streams)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    (conversation,) = (await talk.ok("GET", "/conversations"))["items"]
    provider.go_on.set()

    async def is_complete() -> bool:
        last = (await talk.ok("GET", f"/conversations/{conversation['id']}/messages"))["items"][-1]
        return (last["status"], last["content"]) == ("COMPLETE", SAID)

    await until_so(is_complete)


async def test_stream_ends_with_its_session(talk: RestClient, provider: Provider, served: RunningServer) -> None:
    provider.script([Text(["So far"]), Stall()])
    async with events_of(talk, body={"message": "hello"}) as events:
        await events.until("text")
        assert len(served.app.state.connections.connections) == 1
        await talk.ok("POST", "/auth/logout")
        await events.until("problem")
        assert events.seen[-1]["data"]["code"] == "UNAUTHENTICATED"
        assert await events.next() is None
    await served.until_unconnected()


async def test_oldest_of_too_many_streams_of_one_user_ends(
    settings: Settings, provider: Provider, provider_settings: dict[str, Any], user: SignedIn
) -> None:
    provider.script([Stall()])
    async with (
        serve_with(settings, **provider_settings, max_sockets_per_user=1) as server,
        server.client() as http,
        events_of(RestClient(http, user), body={"message": "hello"}) as events,
    ):
        await events.until("run")
        async with events_of(RestClient(http, user), f"/{events.seen[0]['data']['run_id']}") as newer:
            await newer.until("run")
            await events.until("problem")
            assert (events.seen[-1]["data"]["code"], events.seen[-1]["retry"]) == ("RATE_LIMITED", "60000")
            assert await events.next() is None
