"""Measures live updates: one server process, many sockets, one or several subscribed to the conversation of a user.

Messages are written straight into PostgreSQL, as by another process, with the signal that such a process gives.
"""

import argparse
import asyncio
import os
import random
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import asyncpg
import httpx2
import orjson
from sqlmodel.ext.asyncio.session import AsyncSession
from websockets.asyncio.client import ClientConnection, connect

from bench.processes import cpu_s, memory_mib, until_idle
from core.clock import utc_now
from core.database import Database
from core.ids import new_id
from core.settings import Settings
from live.broker import CHANNEL, Signals
from models import Conversation
from tests.databases import PostgresDatabases, make_settings, postgres_server
from tests.factories import SignedIn, sign_in

_QUERY: Final = (
    "subscription($id: ID!) { messageAdded(conversationId: $id) { cursor message { id content createdAt } } }"
)
_SIGNALS: Final = Signals()
_OPENING_AT_ONCE: Final = 20
_OPENING_TIMEOUT_S: Final = 60
_SETTLE_S: Final = 5.0
_KIB: Final = 1024


@dataclass(slots=True)
class Subscriber:
    """A user, their conversation, and how late its messages came."""

    signed_in: SignedIn
    conversation_id: str
    lags_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Server:
    """The process that is measured."""

    process: subprocess.Popen[bytes]
    port: int


async def _main(counts: list[int], per_user: int, rate: int, seconds: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(
        "| sockets | KiB a socket | messages/s | delivered | p50 ms | p99 ms | CPU % | ms of CPU each |\n"
        + "| --- " * 8
        + "|"
    )
    with postgres_server() as postgres:
        databases = await PostgresDatabases.migrated(postgres)
        for count in counts:
            await _measure(databases, count, per_user, rate, seconds)


async def _measure(databases: PostgresDatabases, count: int, per_user: int, rate: int, seconds: int) -> None:
    settings = make_settings(await databases.create(), environment="production", access_token_expire_minutes=600)
    subscribers = await _subscribers(settings, count // per_user)
    followers = [subscriber for subscriber in subscribers for _ in range(per_user)]
    async with _serving(settings, per_user) as server:
        before = memory_mib(server.process.pid)
        sockets = await _open_all(server.port, followers)
        await asyncio.sleep(_SETTLE_S)
        socket_kib = (memory_mib(server.process.pid) - before) * _KIB / count
        readers = [
            asyncio.create_task(_read(socket, subscriber))
            for socket, subscriber in zip(sockets, followers, strict=True)
        ]
        used_s, began = cpu_s(server.process.pid), time.perf_counter()
        written = await _write(settings, subscribers, rate, seconds)
        elapsed_s = time.perf_counter() - began
        cpu = 100 * (cpu_s(server.process.pid) - used_s) / elapsed_s
        await asyncio.sleep(_SETTLE_S)
        used_ms = 1_000 * (cpu_s(server.process.pid) - used_s)
        for reader in readers:
            reader.cancel()
        lags_ms = sorted(1_000 * lag for subscriber in subscribers for lag in subscriber.lags_s)
        p50, p99 = statistics.median(lags_ms), lags_ms[int(len(lags_ms) * 0.99)]
        print(
            f"| {count} | {socket_kib:.1f} | {written / elapsed_s:.0f} | {len(lags_ms)} of {written * per_user} "
            f"| {p50:.1f} | {p99:.1f} | {cpu:.0f} | {used_ms / len(lags_ms):.2f} |",
            flush=True,
        )
        await asyncio.gather(*(socket.close() for socket in sockets))


async def _subscribers(settings: Settings, count: int) -> list[Subscriber]:
    database = Database(settings)
    subscribers = []
    for _ in range(count):
        signed_in = await sign_in(database, settings)
        conversation = Conversation(user_id=signed_in.user.id, id=new_id(), title="Live", revision=0)
        await database.write(_storing(conversation))
        subscribers.append(Subscriber(signed_in, conversation.id))
    await database.close()
    return subscribers


def _storing(row: Conversation) -> Any:
    async def store(session: AsyncSession) -> None:
        session.add(row)

    return store


@asynccontextmanager
async def _serving(settings: Settings, per_user: int) -> AsyncIterator[Server]:
    environment = os.environ | {
        "ENVIRONMENT": "production",
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": settings.secret_key,
        "MAX_SOCKETS_PER_USER": str(per_user),
        "MAX_SUBSCRIPTIONS_PER_USER": str(per_user),
    }
    command = [sys.executable, "-m", "server.cli", "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: ASYNC220, S603
    output: Any = process.stdout
    greeting = await asyncio.to_thread(output.readline)
    server = Server(process, int(greeting.decode().rsplit(":", 1)[1].split("/")[0]))
    # What nobody reads would fill the pipe, and stop the server.
    threading.Thread(target=output.read, daemon=True).start()
    try:
        await _until_ready(server.port)
        await asyncio.sleep(_SETTLE_S)
        await until_idle(process.pid)
        yield server
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


async def _until_ready(port: int) -> None:
    """Return once the server answers: until then it loads modules, which would count as memory of the sockets."""
    async with httpx2.AsyncClient() as client:
        while not (await client.get(f"http://127.0.0.1:{port}/ready", timeout=_OPENING_TIMEOUT_S)).is_success:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(1)


async def _open_all(port: int, subscribers: list[Subscriber]) -> list[ClientConnection]:
    places = asyncio.Semaphore(_OPENING_AT_ONCE)

    async def open_one(subscriber: Subscriber) -> ClientConnection:
        async with places:
            return await _open(port, subscriber)

    return await asyncio.gather(*(open_one(subscriber) for subscriber in subscribers))


async def _open(port: int, subscriber: Subscriber) -> ClientConnection:
    socket = await connect(
        f"ws://127.0.0.1:{port}/graphql",
        subprotocols=["graphql-transport-ws"],  # type: ignore[list-item]  # a text with a name of its own
        compression=None,
        ping_interval=None,
        open_timeout=_OPENING_TIMEOUT_S,
    )
    token = {"Authorization": f"Bearer {subscriber.signed_in.token}"}
    await socket.send(orjson.dumps({"type": "connection_init", "payload": token}).decode())
    await socket.recv()
    payload = {"query": _QUERY, "variables": {"id": subscriber.conversation_id}}
    await socket.send(orjson.dumps({"type": "subscribe", "id": "1", "payload": payload}).decode())
    return socket


async def _read(socket: ClientConnection, subscriber: Subscriber) -> None:
    async for text in socket:
        arrived = utc_now()
        message = orjson.loads(text)["payload"]["data"]["messageAdded"]["message"]
        subscriber.lags_s.append((arrived - datetime.fromisoformat(message["createdAt"])).total_seconds())


async def _write(settings: Settings, subscribers: list[Subscriber], rate: int, seconds: int) -> int:
    pool = await asyncpg.create_pool(settings.database_url, min_size=8, max_size=8)
    chance = random.Random(1)
    total = rate * seconds
    writes = []
    began = time.perf_counter()
    for number in range(total):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        writes.append(asyncio.create_task(_write_one(pool, chance.choice(subscribers))))
    await asyncio.gather(*writes)
    await pool.close()
    return total


async def _write_one(pool: Any, subscriber: Subscriber) -> None:
    user_id = subscriber.signed_in.user.id
    async with pool.acquire() as connection:
        async with connection.transaction():
            revision = await connection.fetchval(
                "UPDATE users SET revision = revision + 1 WHERE id = $1 RETURNING revision", user_id
            )
            await connection.execute(
                "INSERT INTO messages (user_id, id, conversation_id, role, content, status, revision, created_at) "
                "VALUES ($1, $2, $3, 'USER', 'A message of a usual length, as people write them.', 'COMPLETE', $4, $5)",
                user_id,
                new_id(),
                subscriber.conversation_id,
                revision,
                utc_now(),
            )
        (signal,) = _SIGNALS.write({user_id: revision})
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, signal)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, nargs="+", default=[1_000, 5_000])
    parser.add_argument("--per-user", type=int, default=1, help="sockets of each user")
    parser.add_argument("--rate", type=int, default=200, help="messages a second")
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    asyncio.run(_main(options.sockets, options.per_user, options.rate, options.seconds))
