"""Offers a server ten times of what it can take, and measures what it still answers, refuses, and executes in vain.

Clients of several processes send requests at a fixed rate, each over a connection that is idle or a new one, and leave
when they have no answer after a second. Where clients and server share the cores, the clients' part is not the
server's: the table shows the processor time that the server had.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import orjson

from bench.processes import cpu_s
from bench.servers import SECRET_KEY, running, tasktalk
from core.database import Database
from services.tasks.tasks import tasks
from tests.databases import PostgresDatabases, SqliteDatabases, make_settings, postgres_server, run_sql
from tests.factories import new_task, sign_in

_PATIENCE_S: Final = 1.0
# What is sent later is the clients' fault.
_LATEST_S: Final = 0.1
_USERS: Final = 40
_LISTS: Final = " ".join(
    f"a{n}: tasks(first: 100) {{ nodes {{ id title priority createdAt tags }} }}" for n in range(4)
)
_READ: Final = orjson.dumps({"query": f"{{ {_LISTS} }}"})
_WRITE: Final = orjson.dumps({"query": 'mutation { createTask(input: {title: "written"}) { errors { code } } }'})
_WRITE_EACH: Final = 10
_CLIENTS: Final = 3


@dataclass(slots=True)
class Outcome:
    """What became of the requests: times in seconds, and how many had no answer in time or an unexpected one."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    left: int = 0
    failed: int = 0
    unsent: int = 0
    written: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.answered + other.answered,
            self.refused + other.refused,
            self.left + other.left,
            self.failed + other.failed,
            self.unsent + other.unsent,
            self.written + other.written,
        )


class _Client(asyncio.Protocol):
    """A connection, with one request on its way at most."""

    def __init__(self, driver: "_Driver") -> None:
        self._driver = driver
        self._received = b""
        self._began_s = 0.0
        self._is_write = False
        self._timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream's

    def send(self, began_s: float, request: bytes, *, is_write: bool) -> None:
        self._began_s, self._received, self._is_write = began_s, b"", is_write
        left_s = max(0.0, began_s + _PATIENCE_S - time.perf_counter())
        self._timer = asyncio.get_running_loop().call_later(left_s, self._leave)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        self._end(head, body)
        self._driver.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio says what it is given
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._driver.outcome.failed += 1
        if self in self._driver.idle:
            self._driver.idle.remove(self)

    def _end(self, head: bytes, body: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        outcome, took_s = self._driver.outcome, time.perf_counter() - self._began_s
        if head.startswith(b"HTTP/1.1 200") and b'"errors":[{' not in body:
            outcome.answered.append(took_s)
            outcome.written += self._is_write
        elif head[9:12] in {b"503", b"429"} and b"retry-after:" in head.lower():
            outcome.refused.append(took_s)
        else:
            outcome.failed += 1

    def _leave(self) -> None:
        self._timer = None
        self._driver.outcome.left += 1
        self.transport.abort()


class _Driver:
    """Sends requests at a fixed rate from one process."""

    def __init__(self, port: int, tokens: Sequence[str]) -> None:
        self._port = port
        self._requests = [(_request(body, token), body is _WRITE) for token in tokens for body in _BODIES]
        self._connecting: set[asyncio.Task[None]] = set()
        self.idle: list[_Client] = []
        self.outcome = Outcome()

    async def run(self, rate: float, seconds: float) -> Outcome:
        began_s = time.perf_counter()
        for number in range(round(rate * seconds)):
            due_s = began_s + number / rate
            if (wait_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            if self.idle:
                self._send(self.idle.pop(), number, due_s)
            else:
                task = asyncio.create_task(self._connect(number, due_s))
                self._connecting.add(task)
                task.add_done_callback(self._connecting.discard)
        await asyncio.sleep(2 * _PATIENCE_S)
        return self.outcome

    async def _connect(self, number: int, due_s: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                _, client = await loop.create_connection(lambda: _Client(self), "127.0.0.1", self._port)
        except (OSError, TimeoutError):
            self.outcome.left += 1
        else:
            self._send(client, number, due_s)

    def _send(self, client: _Client, number: int, due_s: float) -> None:
        if time.perf_counter() - due_s > _LATEST_S:
            self.outcome.unsent += 1
            self.idle.append(client)
            return
        request, is_write = self._requests[number % len(self._requests)]
        client.send(due_s, request, is_write=is_write)


_BODIES: Final = (_WRITE, *[_READ] * (_WRITE_EACH - 1))


def _request(body: bytes, token: str) -> bytes:
    head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n"
    return head.format(token).encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _drive(port: int, tokens: Sequence[str], rate: float, seconds: float) -> Outcome:
    return asyncio.run(_Driver(port, tokens).run(rate, seconds))


@dataclass(frozen=True, slots=True)
class Bench:
    """A server, the processes of its clients, and the tokens that they send."""

    port: int
    pid: int
    clients: ProcessPoolExecutor
    tokens: Sequence[str]

    async def offer(self, title: str, rate: float, seconds: float) -> Outcome:
        """Offer a rate of requests, print what became of them, and return it."""
        loop, before_s = asyncio.get_running_loop(), cpu_s(self.pid)
        drive = partial(_drive, self.port, self.tokens, rate / _CLIENTS, seconds)
        parts = await asyncio.gather(*(loop.run_in_executor(self.clients, drive) for _ in range(_CLIENTS)))
        outcome = sum(parts, Outcome())
        used = (cpu_s(self.pid) - before_s) / seconds
        sent = len(outcome.answered) + len(outcome.refused) + outcome.left + outcome.failed
        columns = (
            f"{sent / seconds:.0f}",
            f"{len(outcome.answered) / seconds:.0f}",
            _times(outcome.answered),
            f"{len(outcome.refused) / seconds:.0f}",
            _times(outcome.refused),
            f"{outcome.left / seconds:.1f}",
            f"{outcome.failed / seconds:.1f}",
            f"{outcome.unsent / seconds:.1f}",
            f"{used:.2f}",
        )
        print(f"| {title} | {' | '.join(columns)} |", flush=True)
        return outcome


def _times(times_s: Sequence[float]) -> str:
    if len(times_s) < 2:  # noqa: PLR2004
        return "-"
    cuts = statistics.quantiles(times_s, n=100)
    return f"{1e3 * cuts[49]:.0f} / {1e3 * cuts[98]:.0f} / {1e3 * max(times_s):.0f}"


async def _capacity(bench: Bench) -> float:
    """Return the rate that is answered when twice as much is offered as before, until no more is answered."""
    rate, best = 40.0, 0.0
    while True:
        outcome = await bench.offer(f"up to capacity: {rate:.0f}", rate, 5)
        answered = len(outcome.answered) / 5
        if answered < 0.9 * rate:
            return max(best, answered)
        best, rate = answered, rate * 1.5


async def _measure(url: str, workers: int, seconds: float, factor: float, cores: Sequence[int]) -> None:
    settings = make_settings(url, secret_key=SECRET_KEY, environment="production", access_token_expire_minutes=600)
    database = Database(settings)
    users = [await sign_in(database, settings) for _ in range(_USERS)]
    for user in users:
        rows = [new_task(f"Task {number}") for number in range(100)]
        await database.transaction(partial(tasks.create_many, caller=user.caller, new=rows))
    with ProcessPoolExecutor(_CLIENTS, get_context("spawn")) as clients:
        async with running(tasktalk("tasktalk", workers=workers), url, cores) as server:
            bench = Bench(server.port, server.process.pid, clients, [user.token for user in users])
            await bench.offer("warm-up", 20, 3)
            capacity = await _capacity(bench)
            count = "SELECT count(*) FROM tasks WHERE title = 'written'"
            before = await database.write(lambda session: run_sql(session, count))
            outcome = await bench.offer(f"{factor:g} x {capacity:.0f}", capacity * factor, seconds)
            stored = await database.write(lambda session: run_sql(session, count)) - before
            await bench.offer("half of capacity, 2 s later", capacity / 2, 5)
    await database.close()
    print(f"writes stored: {stored}, acknowledged: {outcome.written}", flush=True)


async def _main(options: argparse.Namespace) -> None:
    cores = [int(core) for core in options.cores.split(",")]
    measure = partial(_measure, workers=options.workers, seconds=options.seconds, factor=options.factor, cores=cores)
    print(f"{options.database}, {options.workers} workers; times in ms: p50 / p99 / worst; rates a second\n")
    print("| load | sent | answered | times | refused | times | left | failed | unsent | server's processor |")
    print(f"| --- |{' ---: |' * 9}")
    if options.database == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            await measure(await (await SqliteDatabases.migrated(Path(folder))).create())
        return
    with postgres_server() as postgres:
        await measure(await (await PostgresDatabases.migrated(postgres)).create())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30, help="how long the overload lasts")
    parser.add_argument("--factor", type=float, default=10, help="how many times of its capacity is offered")
    parser.add_argument("--cores", default="0,1", help="those that the server may use")
    asyncio.run(_main(parser.parse_args()))
