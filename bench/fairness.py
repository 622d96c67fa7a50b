"""Plays attacks beside a steady user and measures what that user notices, and what the server keeps.

One worker on one core; the steady user reads ten tasks twenty times a second over a connection of their own.
"""

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import httpx2
import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from bench.processes import memory_mib
from bench.servers import ROOT, SECRET_KEY, Server, running, tasktalk
from core.database import Database
from services.tasks.tasks import tasks
from tests.databases import PostgresDatabases, make_settings, postgres_server
from tests.factories import SignedIn, new_task, sign_in

_STEADY: Final = orjson.dumps({"query": "{ tasks(first: 10) { nodes { id title } } }"})
_EVERY_S: Final = 0.05
_TASKS: Final = 500
_numbers: Final = itertools.count()
_SPREADS: Final = "".join(f"fragment F{n} on Query {{ a{n}: viewer {{ id }} ...F{n + 1} }} " for n in range(60)) + (
    "fragment F60 on Query { __typename }"
)
_OPERATIONS: Final = " ".join(f"query Q{n} {{ ...F0 }}" for n in range(600)) + _SPREADS


@dataclass(frozen=True, slots=True)
class Target:
    """The server, the user who attacks it, and the steady one."""

    server: Server
    attacker: SignedIn
    steady: SignedIn

    @property
    def port(self) -> int:
        """Return the port of the server."""
        return self.server.port

    async def post(self, query: str, *, signed_in: bool = True, **variables: Any) -> None:
        """Send an operation and wait for whatever comes."""
        headers = self.attacker.headers if signed_in else {}
        body = {"query": query, "variables": variables}
        try:
            async with httpx2.AsyncClient(timeout=30) as client:
                await client.post(f"http://127.0.0.1:{self.port}/graphql", json=body, headers=headers)
        except httpx2.HTTPError:
            return

    async def send(self, *pieces: bytes, hold_s: float = 0.0) -> None:
        """Send bytes on a connection of their own, and read nothing for a while."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            await asyncio.sleep(hold_s)
            writer.transport.abort()
        except OSError:
            return


Attack = Callable[[Target], Awaitable[None]]


async def _nothing(_target: Target) -> None:
    await asyncio.sleep(1)


async def _many_operations(target: Target) -> None:
    await target.post(_OPERATIONS, signed_in=False)


async def _new_documents(target: Target) -> None:
    await target.post(f"{{ a{next(_numbers)}: tasks(first: 1) {{ nodes {{ id title priority }} }} }}")


async def _large_new_documents(target: Target) -> None:
    fields = " ".join(f"a{next(_numbers)}: title" for _ in range(95))
    await target.post(f"{{ tasks(first: 1) {{ nodes {{ {fields} }} }} }}")


async def _counted_lists(target: Target) -> None:
    field = 'tasks(first: 50, filter: {search: "a"}) { totalCount nodes { id } }'
    await target.post("{" + " ".join(f"a{n}: {field}" for n in range(99)) + "}")


async def _bulk_writes(target: Target) -> None:
    rows = [{"title": f"Task {n}"} for n in range(100)]
    await target.post(
        "mutation ($tasks: [CreateTaskInput!]!) { createTasks(input: {tasks: $tasks}) { errors { code } } }", tasks=rows
    )


async def _sign_ups(target: Target) -> None:
    person = {"email": f"{next(_numbers)}@example.com", "password": "a long one", "name": "Ada"}
    document = "mutation ($input: SignUpInput!) { signUp(input: $input) { errors { code } } }"
    await target.post(document, signed_in=False, input=person)


async def _large_heads(target: Target) -> None:
    await target.send(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ", *[b"a" * 65_536] * 64, hold_s=1)


async def _trailers(target: Target) -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    await target.send(head + b"1a\r\n" + b'{"query":"{ __typename }"}' + b"\r\n0\r\n", *[b"X-A: " + b"a" * 60_000] * 64)


async def _many_values(target: Target) -> None:
    body = b"[" + b"{}," * 340_000 + b"{}]"
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
    await target.send(head + b"%d\r\n\r\n" % len(body) + body, hold_s=0.1)


async def _unread_answers(target: Target) -> None:
    query = b'{"query":"{ tasks(first: 100) { nodes { id title description createdAt updatedAt } } }"}'
    head = (
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n" % (target.attacker.token.encode(), len(query))
    )
    await target.send(*[head + query] * 200, hold_s=3)


async def _subscriptions(target: Target) -> None:
    """Follow all changes by as many subscriptions as there may be, and make one."""
    subscribe = [
        orjson.dumps({"type": "subscribe", "id": str(n), "payload": {"query": "subscription { changes { cursor } }"}})
        for n in range(100)
    ]
    payload = {"Authorization": f"Bearer {target.attacker.token}"}
    try:
        async with connect(f"ws://127.0.0.1:{target.port}/graphql", subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
            await socket.send(orjson.dumps({"type": "connection_init", "payload": payload}).decode())
            for message in subscribe:
                await socket.send(message.decode())
            for _ in range(20):
                await target.post('mutation { createTask(input: {title: "Task"}) { errors { code } } }')
    except (OSError, WebSocketException):
        return


# What is played, by how many clients at once.
Scenario = tuple[str, int, Attack]
ATTACKS: Final[Sequence[Scenario]] = (
    ("none", 1, _nothing),
    ("600 operations that share fragments, anonymous", 8, _many_operations),
    ("new documents", 8, _new_documents),
    ("new documents of 95 aliases", 8, _large_new_documents),
    ("99 filtered, counted lists in one document", 8, _counted_lists),
    ("100 tasks made by each request", 64, _bulk_writes),
    ("sign-ups", 50, _sign_ups),
    ("heads of 4 MiB", 8, _large_heads),
    ("trailers of 4 MB", 8, _trailers),
    ("JSON of 340,000 objects", 8, _many_values),
    ("answers that are not read", 40, _unread_answers),
    ("2,000 subscriptions of one user", 20, _subscriptions),
)


async def _main(seconds: float, root: Path, only: str) -> None:
    print("| attack | p50 ms | worst ms | refused | memory MiB |\n| --- | ---: | ---: | ---: | ---: |")
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    pool.submit(time.perf_counter).result()
    with postgres_server() as postgres, pool:
        databases = await PostgresDatabases.migrated(postgres)
        kind = tasktalk("tasktalk", root)
        # Here it keeps all its limits.
        kind = replace(kind, environment={k: v for k, v in kind.environment.items() if not k.startswith("GRAPHQL_")})
        for scenario in (each for each in ATTACKS if only in each[0]):
            url = await databases.create()
            async with running(kind, url, [0]) as server:
                target = await _prepare(server, url)
                print(await _measure(pool, target, scenario, seconds), flush=True)


async def _prepare(server: Server, url: str) -> Target:
    settings = make_settings(url, secret_key=SECRET_KEY, environment="production", access_token_expire_minutes=600)
    database = Database(settings)
    attacker, steady = await sign_in(database, settings), await sign_in(database, settings)
    for user in (attacker, steady):
        rows = [new_task(f"Task {number}") for number in range(100)]
        for _ in range(_TASKS // 100):
            await database.transaction(partial(tasks.create_many, caller=user.caller, new=rows))
    await database.close()
    return Target(server, attacker, steady)


async def _measure(pool: Executor, target: Target, scenario: Scenario, seconds: float) -> str:
    title, clients, attack = scenario
    deadline = time.perf_counter() + seconds

    async def repeat() -> None:
        while time.perf_counter() < deadline:
            await attack(target)

    attacking = [asyncio.create_task(repeat()) for _ in range(clients)]
    steady = asyncio.get_running_loop().run_in_executor(pool, _read_steadily, target.port, target.steady.token, seconds)
    memory = 0.0
    while not steady.done():
        memory = max(memory, memory_mib(target.server.process.pid))
        await asyncio.sleep(_EVERY_S)
    for task in attacking:
        task.cancel()
    await asyncio.gather(*attacking, return_exceptions=True)
    latencies_ms, refused = await steady
    p50, worst = statistics.median(latencies_ms), max(latencies_ms)
    return f"| {title} | {p50:.0f} | {worst:.0f} | {refused} of {len(latencies_ms)} | {memory:.0f} |"


def _read_steadily(port: int, token: str, seconds: float) -> tuple[list[float], int]:
    """Return the latencies of the steady user, who is a process of their own, and how many requests were refused."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    latencies_ms, refused, deadline = list[float](), 0, time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        began = time.perf_counter()
        connection.request("POST", "/graphql", _STEADY, headers)
        response = connection.getresponse()
        response.read()
        latencies_ms.append(1_000 * (time.perf_counter() - began))
        refused += response.status != HTTPStatus.OK
        time.sleep(_EVERY_S)
    return latencies_ms, refused


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="how long each attack lasts")
    parser.add_argument("--only", default="", help="those attacks alone whose name has this in it")
    parser.add_argument("--tasktalk-root", type=Path, default=ROOT, help="another checkout with the same migrations")
    options = parser.parse_args()
    asyncio.run(_main(options.seconds, options.tasktalk_root, options.only))
