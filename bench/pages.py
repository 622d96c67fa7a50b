"""Measures the two pages that a client opens with, on both databases: seconds over HTTP, and SQL statements."""

import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx2
from sqlmodel.ext.asyncio.session import AsyncSession

from core.ids import new_ids
from models import Conversation, Message, MessageRole, Task
from server.app import create_app
from tests.databases import Databases, PostgresDatabases, SqliteDatabases, make_settings, postgres_server
from tests.factories import SignedIn, sign_in
from tests.graph.operations import run
from tests.servers import RunningServer, serve

_ROUNDS: Final = 200
_WARM_UP: Final = 20
_OPERATIONS: Final = {
    "viewer": "{ viewer { id name email } }",
    "50 tasks": """{ tasks(first: 50) {
        nodes { id title description completed priority dueAt tags revision createdAt updatedAt }
        pageInfo { hasNextPage endCursor } } }""",
    "50 tasks, filtered, ordered, counted": """{ tasks(
        first: 50, filter: {completed: false, priority: [HIGH, MEDIUM]}, orderBy: {field: DUE_AT}) {
        totalCount nodes { id title priority dueAt } pageInfo { hasNextPage endCursor } } }""",
    "20 conversations x 20 messages": """{ conversations(first: 20) {
        nodes { id title messages(first: 20) { nodes { id role content createdAt } } } } }""",
}


async def _fill(server: RunningServer) -> SignedIn:
    runtime = server.runtime
    signed_in = await sign_in(runtime.database, runtime.settings)
    user_id = signed_in.user.id

    async def store(session: AsyncSession) -> None:
        session.add_all(
            Task(user_id=user_id, id=row_id, title=f"Task {number}", description="More about it.", revision=1)
            for number, row_id in enumerate(new_ids(1_000))
        )
        conversations = [
            Conversation(user_id=user_id, id=row_id, title="A conversation", revision=1) for row_id in new_ids(50)
        ]
        session.add_all(conversations)
        await session.flush()
        session.add_all(
            Message(
                user_id=user_id,
                id=row_id,
                conversation_id=conversation.id,
                role=MessageRole.USER,
                content="A message of a usual length, as people write them to an assistant.",
                revision=1,
            )
            for conversation in conversations
            for row_id in new_ids(100)
        )

    await runtime.database.write(store)
    return signed_in


async def _seconds(client: httpx2.AsyncClient, query: str) -> list[float]:
    durations = []
    for _ in range(_WARM_UP + _ROUNDS):
        began = time.perf_counter()
        response = await client.post("/graphql", json={"query": query})
        durations.append(time.perf_counter() - began)
        response.raise_for_status()
        if "errors" in response.json():
            raise RuntimeError(response.text)
    return durations[_WARM_UP:]


async def _measure(name: str, databases: Databases) -> None:
    settings = make_settings(await databases.create(), environment="production")
    app = create_app(settings)
    logging.disable()
    async with serve(app) as server:
        signed_in = await _fill(server)
        async with httpx2.AsyncClient(base_url=server.url, headers=signed_in.headers) as client:
            for operation, query in _OPERATIONS.items():
                milliseconds = sorted(1_000 * each for each in await _seconds(client, query))
                median, p99 = statistics.median(milliseconds), milliseconds[int(len(milliseconds) * 0.99)]
                statements = len((await run(server, signed_in, query)).statements)
                print(f"| {name} | {operation} | {median:.1f} | {p99:.1f} | {statements} |")


@asynccontextmanager
async def _each() -> AsyncIterator[dict[str, Databases]]:
    with tempfile.TemporaryDirectory() as folder, postgres_server() as server:
        yield {
            "SQLite": await SqliteDatabases.migrated(Path(folder)),
            "PostgreSQL": await PostgresDatabases.migrated(server),
        }


async def _main() -> None:
    print("| database | operation | median ms | p99 ms | statements |\n| --- | --- | --- | --- | --- |")
    async with _each() as each:
        for name, databases in each.items():
            await _measure(name, databases)


if __name__ == "__main__":
    asyncio.run(_main())
