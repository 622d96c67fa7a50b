"""Conversations and what the assistant does in them come to the same over GraphQL and REST."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from core.settings import Settings
from models import RunStatus
from tests.factories import NOBODYS_ID, SignedIn, make_answered, make_conversation, make_task, sign_in
from tests.graph_client import GraphClient
from tests.parity.doors import House, RefusedError
from tests.parity.talks import GraphQLTalk, RestTalk, TalkDoor
from tests.server.rest.client import RestClient
from tests.state import state_of
from tests.waiting import PATIENCE_S

OWN: Final = "0190aaaa-0000-7000-8000-000000000011"
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def doors(house: House, user: SignedIn) -> tuple[TalkDoor, TalkDoor]:
    return GraphQLTalk(GraphClient(house.http), user), RestTalk(RestClient(house.http, user))


def without_ids(shown: Any) -> Any:
    """Return what was shown with each id named by its place among them."""
    names: dict[str, str] = {}
    text = _ID.sub(lambda found: names.setdefault(found[0], f"id {len(names)}"), json.dumps(shown, sort_keys=True))
    return json.loads(text)


async def test_conversations(house: House, user: SignedIn) -> None:
    for writing, reading in (doors(house, user), doors(house, user)[::-1]):
        made = await writing.make(title=" Plans ")
        assert made == {"id": made["id"], "title": "Plans"}
        untitled = await writing.make()
        assert await reading.titles() == await writing.titles() == ["New conversation", "Plans"]
        renamed = await writing.rename(made["id"], "Trips")
        assert renamed == await reading.read(made["id"].upper()) == {"id": made["id"], "title": "Trips"}
        # The latest active first.
        assert await reading.titles() == await writing.titles() == ["Trips", "New conversation"]
        for each in (made, untitled):
            assert await writing.delete(each["id"]) == [each["id"]]
        assert await reading.titles() == []


async def ended(door: TalkDoor, run_id: str) -> dict[str, Any]:
    """Return a run that goes on by itself once it has ended."""
    async with asyncio.timeout(PATIENCE_S):
        while (run := await door.run(run_id))["status"] == "RUNNING":  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.01)
    return run


async def talk_it_through(door: TalkDoor) -> list[Any]:
    """Say things, decide on what asks, and return all that was shown on the way."""
    shown: list[Any] = []
    asked: dict[str, Any] = {}
    for message in (
        "add buy milk !high #shop and tell me what's still open",
        "add bread",
        "complete it",
        "what is high priority?",
        "find nothing of the kind",
        "sing a song",
        "delete bread",
        "delete bread",
    ):
        given = {"conversation_id": asked["conversation_id"]} if asked else {"time_zone": "Europe/Berlin"}
        asked = await door.ask(message, **given)
        shown.append(asked)
        if asked["status"] == "AWAITING_APPROVAL":
            call = asked["tool_calls"][-1]
            shown.append(await door.resolve(call["id"], approve=message in str(shown[:-1])))
            shown.append(await ended(door, asked["run_id"]))
    shown.append(await door.messages(asked["conversation_id"]))
    shown.append(await door.titles())
    return shown


async def test_talks(house: House, settings: Settings) -> None:
    talks = []
    for index in range(2):
        user = await sign_in(house.database, settings)
        await make_task(house.database, user.caller, "Sweep")
        talks.append(without_ids(await talk_it_through(doors(house, user)[index])))
    over_graphql, over_rest = talks
    assert len(over_graphql) == len(over_rest)
    for seen in zip(over_graphql, over_rest, strict=True):
        assert seen[0] == seen[1]
    first = over_graphql[0]
    assert [call["name"] for call in first["tool_calls"]] == ["add_task", "list_tasks"]
    assert first["response"].startswith("Added \u201cbuy milk\u201d")
    assert "2 open tasks" in first["response"]


async def test_what_one_door_began_the_other_goes_on_with(house: House, user: SignedIn) -> None:
    over_graphql, over_rest = doors(house, user)
    for one, other in ((over_graphql, over_rest), (over_rest, over_graphql)):
        key = type(one).__name__
        asked = await one.ask("add milk, eggs and bread", key=key)
        assert await other.ask("add milk, eggs and bread", key=key) == asked
        assert await other.run(asked["run_id"]) == await one.run(asked["run_id"])
        deleting = await other.ask("delete the second one", conversation_id=asked["conversation_id"])
        assert deleting["status"] == "AWAITING_APPROVAL"
        assert await one.cancel(deleting["run_id"]) == "CANCELLED"
        assert await one.run(deleting["run_id"]) == await other.run(deleting["run_id"])
        assert await one.messages(asked["conversation_id"]) == await other.messages(asked["conversation_id"])
        await one.delete(asked["conversation_id"])


Asking = Callable[[TalkDoor], Awaitable[Any]]
TITLE: Final = "title must be 1 to 500 characters long; it has"
CONTENT: Final = "100000 characters long; it has 100001."
WAITS: Final = "The assistant waits for your approval in this conversation; decide on it, or cancel the run, first."
REFUSALS: Final[dict[str, tuple[Asking, str, str]]] = {
    "no title": (lambda door: door.make(title=" "), "BAD_USER_INPUT", f"{TITLE} 0."),
    "long title": (lambda door: door.rename(OWN, "x" * 501), "BAD_USER_INPUT", "500 characters long; it has 501."),
    "NUL": (lambda door: door.rename(OWN, "\0"), "BAD_USER_INPUT", "title contains a NUL character"),
    "no message": (lambda door: door.ask(" "), "BAD_USER_INPUT", "is empty; write something."),
    "long message": (lambda door: door.ask("x" * 100_001), "BAD_USER_INPUT", CONTENT),
    "NUL in a message": (lambda door: door.ask("\0"), "BAD_USER_INPUT", "contains a NUL character"),
    "time zone": (
        lambda door: door.ask("hello", time_zone="Mars/Olympus"),
        "BAD_USER_INPUT",
        "'Mars/Olympus' is no time zone; write a name such as Europe/Berlin or UTC.",
    ),
    "while it waits": (lambda door: door.ask("hello", conversation_id=OWN), "CONFLICT", WAITS),
}
PLACES: Final[dict[str, Callable[[TalkDoor, str], Awaitable[Any]]]] = {
    "conversation read": lambda door, row_id: door.read(row_id),
    "conversation messages": lambda door, row_id: door.messages(row_id),
    "conversation rename": lambda door, row_id: door.rename(row_id, "Mine"),
    "conversation delete": lambda door, row_id: door.delete(row_id),
    "conversation ask": lambda door, row_id: door.ask("hello", conversation_id=row_id),
    "run read": lambda door, row_id: door.run(row_id),
    "run cancel": lambda door, row_id: door.cancel(row_id),
    "tool call approve": lambda door, row_id: door.resolve(row_id, approve=True),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_refusals(house: House, user: SignedIn, name: str) -> None:
    ask, code, words = REFUSALS[name]
    await GraphQLTalk(GraphClient(house.http), user).make(id=OWN)
    await make_answered(house.database, user, OWN, 1, status=RunStatus.AWAITING_APPROVAL)
    before = await state_of(house.database, user.user.id)
    for door in doors(house, user):
        with pytest.raises(RefusedError) as refused:
            await ask(door)
        assert (refused.value.code, words in refused.value.message) == (code, True), refused.value
    assert await state_of(house.database, user.user.id) == before


@pytest.mark.parametrize("place", PLACES)
async def test_ids_of_others(house: House, user: SignedIn, stranger: SignedIn, place: str) -> None:
    conversation = await make_conversation(house.database, stranger.caller)
    theirs = await make_answered(house.database, stranger, conversation.id, 1)
    of = place.rpartition(" ")[0]
    ids = {"conversation": conversation.id, "run": theirs.run.id, "tool call": theirs.calls[0].id}
    before = [await state_of(house.database, each.user.id) for each in (user, stranger)]
    for row_id in (ids[of], NOBODYS_ID, user.user.id, "x"):
        for door in doors(house, user):
            with pytest.raises(RefusedError) as refused:
                await PLACES[place](door, row_id)
            assert refused.value == RefusedError("NOT_FOUND", f"There is no such {of}."), place
    assert [await state_of(house.database, each.user.id) for each in (user, stranger)] == before
