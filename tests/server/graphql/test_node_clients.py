"""npm packages: the audits of graphql-http, clients that follow subscriptions, clients with persisted queries."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from core.database import Database
from core.settings import Settings
from server.app import create_app
from tests.databases import only_sqlite
from tests.examples.cuttable import Cuttable
from tests.factories import SignedIn, make_conversation, make_message, make_task
from tests.live.processes import program
from tests.npm import NODE, NODE_PROGRAMS, install_node_programs, needs_node
from tests.server import sample
from tests.servers import RunningServer, serve, serve_with
from tests.waiting import START_PATIENCE_S

# What these clients do depends on no database.
pytestmark = [needs_node, pytest.mark.usefixtures("node_clients")]
either_transport = pytest.mark.parametrize("transport", ["graphql-ws", "graphql-sse"])

MESSAGES: Final = """subscription ($id: ID!, $cursor: String) {
    messageAdded(conversationId: $id, after: $cursor) { cursor message { content } }
}"""
CHANGES: Final = """subscription ($cursor: String) {
    changes(since: $cursor) { cursor changed { ... on Task { title } } }
}"""


@pytest.fixture(scope="session")
async def node_clients() -> None:
    await install_node_programs()


def running(*command: str) -> AbstractAsyncContextManager[Process]:
    return program(str(NODE), *command, cwd=NODE_PROGRAMS, stderr=PIPE)


async def output_of(*command: str) -> Any:
    async with running(*command) as process:
        output, errors = await asyncio.wait_for(process.communicate(), START_PATIENCE_S)
        assert process.returncode == 0, errors
    return json.loads(output)


@only_sqlite
async def test_every_audit_is_ok(server: RunningServer) -> None:
    audits = await output_of("audit.mjs", f"{server.url}/graphql")
    not_ok = [audit for audit in audits if audit["status"] != "ok"]
    assert not not_ok, "\n".join("{status} {id} {name}: {reason}".format(**audit) for audit in not_ok)
    assert len(audits) == 61


@pytest.mark.parametrize("library", ["apollo", "urql"])
@pytest.mark.parametrize("get", [False, True])
async def test_clients_use_persisted_queries(tmp_path: Path, library: str, get: bool) -> None:
    async with serve(create_app(sample.sample_settings(tmp_path), sample.schema)) as server:
        given = {"library": library, "url": f"{server.url}/graphql", "get": get, "query": "query Greet { hello }"}
        told = await output_of("persisted.mjs", json.dumps(given))
    by_hash = "GET hash" if get else "POST hash"
    by_query = "GET query" if get and library == "urql" else "POST query"
    assert told == {"answers": ["Hello, world!"] * 3, "sent": [by_hash, by_query, by_hash, by_hash]}


@dataclass(frozen=True, slots=True)
class NodeClient:
    process: Process

    async def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(START_PATIENCE_S):
            line = await self.process.stdout.readline()
        assert line, "the client has ended"
        printed: dict[str, Any] = json.loads(line)
        return printed

    async def contents(self, count: int) -> list[str]:
        return [(await self.line())["data"]["messageAdded"]["message"]["content"] for _ in range(count)]

    async def titles(self, count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            found += [row["title"] for row in (await self.line())["data"]["changes"]["changed"] if row]
        return found


@asynccontextmanager
async def node_client(
    transport: str, url: str, user: SignedIn, query: str, field: str, **variables: str
) -> AsyncIterator[NodeClient]:
    given = {"transport": transport, "url": f"{url}/graphql", "token": user.token, "query": query, "field": field}
    async with running("follow.mjs", json.dumps(given | {"variables": variables})) as process:
        yield NodeClient(process)


@only_sqlite
@either_transport
async def test_messages_continue_after_a_disconnect(server: RunningServer, user: SignedIn, transport: str) -> None:
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
        await server.until_followed(user.user.id)
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


@only_sqlite
@either_transport
async def test_changes_survive_shutdown(settings: Settings, database: Database, user: SignedIn, transport: str) -> None:
    async with serve_with(settings) as first, serve_with(settings) as second:
        way = Cuttable(first.url)
        await way.mend()
        async with node_client(transport, way.url, user, CHANGES, "changes") as client:
            await first.until_followed(user.user.id)
            await make_task(first.runtime.database, user.caller, "before")
            assert await client.titles(1) == ["before"]
            way.turn_to(second.url)
            first.app.state.connections.close_all()
            await make_task(database, user.caller, "while away")
            assert await client.titles(1) == ["while away"]
            await make_task(second.runtime.database, user.caller, "after")
            assert await client.titles(1) == ["after"]
        await way.cut()
