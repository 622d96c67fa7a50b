"""The npm clients graphql-ws and graphql-sse: subscriptions resume by their cursor after each disconnect."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from core.database import Database
from core.settings import Settings
from tests.examples.cuttable import Cuttable
from tests.factories import SignedIn, make_conversation, make_message, make_task
from tests.npm import NPM
from tests.server.graphql.test_http_audit import NODE, NODE_CLIENTS, node_clients
from tests.servers import RunningServer, serve_with
from tests.waiting import START_PATIENCE_S, until

__all__ = ["node_clients"]

pytestmark = [
    pytest.mark.skipif(NODE is None or NPM is None, reason="needs Node: node or npm is not on the path"),
    pytest.mark.usefixtures("node_clients"),
    pytest.mark.parametrize("transport", ["graphql-ws", "graphql-sse"]),
]

MESSAGES: Final = """subscription ($id: ID!, $cursor: String) {
    messageAdded(conversationId: $id, after: $cursor) { cursor message { content } }
}"""
CHANGES: Final = """subscription ($cursor: String) {
    changes(since: $cursor) { cursor changed { ... on Task { title } } }
}"""


@dataclass(frozen=True, slots=True)
class NodeClient:
    """A process that follows a subscription."""

    process: Process

    async def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(START_PATIENCE_S):
            line = await self.process.stdout.readline()
        assert line, "the client has ended"
        printed: dict[str, Any] = json.loads(line)
        return printed

    async def contents(self, count: int) -> list[str]:
        """Return what the next messages say."""
        return [(await self.line())["data"]["messageAdded"]["message"]["content"] for _ in range(count)]

    async def titles(self, count: int) -> list[str]:
        """Return the titles of the next changed tasks."""
        found: list[str] = []
        while len(found) < count:
            found += [row["title"] for row in (await self.line())["data"]["changes"]["changed"] if row]
        return found


@asynccontextmanager
async def node_client(
    transport: str, url: str, user: SignedIn, query: str, field: str, **variables: str
) -> AsyncIterator[NodeClient]:
    given = {"transport": transport, "url": f"{url}/graphql", "token": user.token, "query": query, "field": field}
    process = await asyncio.create_subprocess_exec(
        *(str(NODE), "follow.mjs", json.dumps(given | {"variables": variables})), cwd=NODE_CLIENTS, stdout=PIPE
    )
    try:
        yield NodeClient(process)
    finally:
        process.kill()
        await process.wait()


async def followed(server: RunningServer, user: SignedIn) -> None:
    await until(lambda: user.user.id in server.runtime.live.hub.users)


async def test_messages_continue_after_a_broken_connection(
    server: RunningServer, user: SignedIn, transport: str
) -> None:
    database = server.runtime.database
    conversation = await make_conversation(database, user.caller)
    said: list[str] = []

    async def say(count: int) -> None:
        for _ in range(count):
            said.append(str(len(said)))
            await make_message(database, user.caller, conversation.id, said[-1])

    way = Cuttable(server.url)
    await way.mend()
    heard: list[str] = []
    async with node_client(transport, way.url, user, MESSAGES, "messageAdded", id=conversation.id) as client:
        await followed(server, user)
        for _ in range(2):
            await say(5)
            heard += await client.contents(5)
            # Cut in the middle of what is being said; what is said meanwhile waits for the client.
            saying = asyncio.create_task(say(60))
            heard += await client.contents(10)
            await way.cut()
            await saying
            await say(20)
            await way.mend()
            heard += await client.contents(70)
        assert heard == said
    await way.cut()


async def test_changes_continue_after_a_shutdown(
    settings: Settings, database: Database, user: SignedIn, transport: str
) -> None:
    async with serve_with(settings) as first, serve_with(settings) as second:
        way = Cuttable(first.url)
        await way.mend()
        async with node_client(transport, way.url, user, CHANGES, "changes") as client:
            await followed(first, user)
            await make_task(first.runtime.database, user.caller, "before")
            assert await client.titles(1) == ["before"]
            way.turn_to(second.url)
            first.app.state.connections.close_all()
            await make_task(database, user.caller, "while away")
            assert await client.titles(1) == ["while away"]
            await make_task(second.runtime.database, user.caller, "after")
            assert await client.titles(1) == ["after"]
        await way.cut()


async def test_validation_error_reaches_the_client(server: RunningServer, user: SignedIn, transport: str) -> None:
    async with node_client(transport, server.url, user, "subscription { nope }", "nope") as client:
        line = await client.line()
    errors = line["failed"] if transport == "graphql-ws" else line["errors"]
    assert errors[0]["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
