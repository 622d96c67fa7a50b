"""Conversations and what the assistant does in them come to the same over GraphQL and REST."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from core.settings import Settings
from models import RunStatus
from tests.factories import SignedIn, make_answered, make_task, sign_in
from tests.graph_client import GraphClient
from tests.parity.conversation_apis import ConversationAPI, GraphQLConversations, RestConversations
from tests.parity.task_apis import RefusedError, Served
from tests.server.rest.client import RestClient
from tests.state import state_of
from tests.waiting import PATIENCE_S

OWN: Final = "0190aaaa-0000-7000-8000-000000000011"
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def apis(served: Served, user: SignedIn) -> tuple[ConversationAPI, ConversationAPI]:
    return GraphQLConversations(GraphClient(served.http), user), RestConversations(RestClient(served.http, user))


def without_ids(shown: Any) -> Any:
    """Return what was shown with each id named by its place among them."""
    names: dict[str, str] = {}
    text = _ID.sub(lambda found: names.setdefault(found[0], f"id {len(names)}"), json.dumps(shown, sort_keys=True))
    return json.loads(text)


async def test_conversations_are_the_same_over_graphql_and_rest(served: Served, user: SignedIn) -> None:
    for writing, reading in (apis(served, user), apis(served, user)[::-1]):
        made, untitled = await writing.make(title=" Plans "), await writing.make()
        assert made == {"id": made["id"], "title": "Plans"}
        assert await reading.titles() == await writing.titles() == ["New conversation", "Plans"]
        renamed = await writing.rename(made["id"], "Trips")
        assert renamed == await reading.read(made["id"].upper()) == {"id": made["id"], "title": "Trips"}
        # The latest active first.
        assert await reading.titles() == await writing.titles() == ["Trips", "New conversation"]
        for each in (made, untitled):
            assert await writing.delete(each["id"]) == [each["id"]]
        assert await reading.titles() == []


async def ended(api: ConversationAPI, run_id: str) -> dict[str, Any]:
    """Return a run that goes on by itself once it has ended."""
    async with asyncio.timeout(PATIENCE_S):
        while (run := await api.run(run_id))["status"] == "RUNNING":  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.01)
    return run


async def talk_it_through(api: ConversationAPI) -> list[Any]:
    """Say things, decide on what asks, and return all that was shown on the way."""
    shown: list[Any] = []
    given = {"time_zone": "Europe/Berlin"}
    deletions = 0
    for message in (
        *("add buy milk !high #shop and tell me what's still open", "add bread", "complete it"),
        *("what is high priority?", "find nothing of the kind", "sing a song", "delete bread", "delete bread"),
    ):
        asked = await api.ask(message, **given)
        given = {"conversation_id": asked["conversation_id"]}
        shown.append(asked)
        if asked["status"] == "AWAITING_APPROVAL":
            shown.append(await api.resolve(asked["tool_calls"][-1]["id"], approve=deletions > 0))
            shown.append(await ended(api, asked["run_id"]))
            deletions += 1
    assert deletions == 2
    return [*shown, await api.messages(given["conversation_id"]), await api.titles()]


async def test_answers_are_the_same_over_graphql_and_rest(served: Served, settings: Settings) -> None:
    talks = []
    for index in range(2):
        user = await sign_in(served.database, settings)
        await make_task(served.database, user.caller, "Sweep")
        talks.append(without_ids(await talk_it_through(apis(served, user)[index])))
    for over_graphql, over_rest in zip(*talks, strict=True):
        assert over_graphql == over_rest
    first = talks[0][0]
    assert [call["name"] for call in first["tool_calls"]] == ["add_task", "list_tasks"]
    assert first["response"].startswith("Added \u201cbuy milk\u201d")
    assert "2 open tasks" in first["response"]


async def test_run_started_over_one_api_continues_over_the_other(served: Served, user: SignedIn) -> None:
    for one, other in (apis(served, user), apis(served, user)[::-1]):
        key = type(one).__name__
        asked = await one.ask("add milk, eggs and bread", key=key)
        assert await other.ask("add milk, eggs and bread", key=key) == asked
        deleting = await other.ask("delete the second one", conversation_id=asked["conversation_id"])
        assert deleting["status"] == "AWAITING_APPROVAL"
        assert await one.cancel(deleting["run_id"]) == "CANCELLED"
        for run in (asked, deleting):
            assert await one.run(run["run_id"]) == await other.run(run["run_id"])
        assert await one.messages(asked["conversation_id"]) == await other.messages(asked["conversation_id"])
        await one.delete(asked["conversation_id"])


MARS: Final = "'Mars/Olympus' is no time zone; write a name such as Europe/Berlin or UTC."
WAITS: Final = "The assistant waits for your approval in this conversation; decide on it, or cancel the run, first."
REFUSALS: Final[list[tuple[Callable[[ConversationAPI], Awaitable[Any]], str, str]]] = [
    (lambda api: api.make(title=" "), "BAD_USER_INPUT", "title must be 1 to 500 characters long; it has 0."),
    (lambda api: api.rename(OWN, "x" * 501), "BAD_USER_INPUT", "500 characters long; it has 501."),
    (lambda api: api.rename(OWN, "\0"), "BAD_USER_INPUT", "title contains a NUL character"),
    (lambda api: api.ask(" "), "BAD_USER_INPUT", "is empty; write something."),
    (lambda api: api.ask("x" * 100_001), "BAD_USER_INPUT", "100000 characters long; it has 100001."),
    (lambda api: api.ask("\0"), "BAD_USER_INPUT", "contains a NUL character"),
    (lambda api: api.ask("hello", time_zone="Mars/Olympus"), "BAD_USER_INPUT", MARS),
    (lambda api: api.ask("hello", conversation_id=OWN), "CONFLICT", WAITS),
]


async def test_graphql_and_rest_refuse_alike_and_change_nothing(served: Served, user: SignedIn) -> None:
    await apis(served, user)[0].make(id=OWN)
    await make_answered(served.database, user, OWN, 1, status=RunStatus.AWAITING_APPROVAL)
    before = await state_of(served.database, user.user.id)
    for ask, code, message in REFUSALS:
        for api in apis(served, user):
            with pytest.raises(RefusedError) as refused:
                await ask(api)
            assert (refused.value.code, message in refused.value.message) == (code, True), refused.value
    assert await state_of(served.database, user.user.id) == before
