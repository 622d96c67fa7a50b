"""Offers a server ten times of what it can take, and measures what it still answers, refuses, and executes in vain.

One process sends requests by a schedule, whatever becomes of those before, over connections that stay open; times count
from when a request was due. A client leaves, and connects again, when it has no answer a second after that. What the
server can take is measured by the same process just before, by clients that send their next request when they have an
answer. Where all share the cores the processor time of each is shown, and how late the clients themselves were.
"""

import argparse
import asyncio
import math
import os
import resource
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import orjson
import uvloop

from bench.processes import cpu_s, until_idle
from bench.servers import SECRET_KEY, running, tasktalk
from core.database import Database
from services.tasks.tasks import tasks
from tests.databases import PostgresDatabases, SqliteDatabases, make_settings, postgres_server, run_sql
from tests.factories import new_task, sign_in

_PATIENCE_S: Final = 1.0
_RECONNECT_S: Final = 0.1
_USERS: Final = 40
_LISTS: Final = " ".join(
    f"a{n}: tasks(first: 100) {{ nodes {{ id title priority createdAt tags }} }}" for n in range(4)
)
_READ: Final = orjson.dumps({"query": f"{{ {_LISTS} }}"})
_WRITE: Final = orjson.dumps({"query": 'mutation { createTask(input: {title: "written"}) { errors { code } } }'})
_MIXES: Final = {"mixed": (_WRITE, *[_READ] * 9), "reads": (_READ,), "writes": (_WRITE,)}
_MAX_CONNECTIONS: Final = 3_000
# As many clients as keep the server busy, each with one request at a time; none of them is to be refused.
_AT_ONCE: Final = 64
_FIGURES: Final = (
    "capacity a second",
    "goodput, % of it",
    "goodput for each second of the server's processor time, % of that at capacity",
    "answered p50 ms",
    "answered p99 ms",
    "refused a second",
    "refused p50 ms",
    "refused p99 ms",
    "left a second",
    "writes stored in vain",
    "half of it, 2 s later: p99 ms",
    "refused then, and in measuring the capacity",
)


@dataclass(slots=True)
class Outcome:
    """What became of the requests: times in seconds; how many had no answer in time, and how many an unexpected one."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    # Answers that came when no more was sent, and are no measure of what the server can take.
    after: int = 0
    left: int = 0
    failed: int = 0
    # No connection was free.
    unsent: int = 0
    written: int = 0
    # By how much the clients sent later than they should have.
    late: list[float] = field(default_factory=list)
    clients_cpu_s: float = 0.0
    server_cpu_s: float = 0.0

    @property
    def goodput(self) -> int:
        """Return how many were answered while more was sent."""
        return len(self.answered) - self.after


class _Client(asyncio.Protocol):
    """A connection, with one request on its way at most."""

    def __init__(self, driver: "_Driver") -> None:
        self._driver = driver
        self._received: list[bytes] = []
        self._missing_bytes = 0
        self._began_s = 0.0
        self._is_write = False
        self._timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream's

    def send(self, began_s: float, request: bytes, *, is_write: bool) -> None:
        self._began_s, self._is_write = began_s, is_write
        self._received.clear()
        patience_s = began_s + _PATIENCE_S - time.perf_counter()
        self._timer = asyncio.get_running_loop().call_later(patience_s, self._leave)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self._received:
            head, _, body = data.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._missing_bytes = int(length) - len(body)
        else:
            self._missing_bytes -= len(data)
        self._received.append(data)
        if self._missing_bytes <= 0:
            self._end(self._received[0])
            self._driver.release(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio says what it is given
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._driver.outcome.failed += 1
        self._driver.lose(self)

    def _end(self, start: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        outcome, took_s = self._driver.outcome, time.perf_counter() - self._began_s
        if start.startswith(b"HTTP/1.1 200") and b'"errors":[{' not in self._received[-1]:
            outcome.answered.append(took_s)
            outcome.after += self._driver.is_over
            outcome.written += self._is_write
        elif start[9:12] in {b"503", b"429"} and b"retry-after:" in start.lower():
            outcome.refused.append(took_s)
        else:
            outcome.failed += 1

    def _leave(self) -> None:
        self._timer = None
        self._driver.outcome.left += 1
        self.transport.abort()


class _Driver:
    """Sends requests from one process: at a fixed rate, or without one each client its next after its answer."""

    def __init__(self, port: int, requests: Sequence[tuple[bytes, bool]], rate: float | None) -> None:
        self._port = port
        self._requests = requests
        self._rate = rate
        self._sent = 0
        self.is_over = rate is None
        self._connecting: set[asyncio.Task[None]] = set()
        self._idle: deque[_Client] = deque()
        self.outcome = Outcome()

    async def run(self, seconds: float) -> Outcome:
        # A request takes a connection for a second at most.
        connections = _AT_ONCE if self._rate is None else min(_MAX_CONNECTIONS, round(self._rate * _PATIENCE_S) + 100)
        for _ in range(connections):
            await self._connect()
        began_cpu_s = time.process_time()
        if self._rate is None:
            self.is_over = False
            for _ in range(connections):
                self._send(self._idle.popleft(), time.perf_counter())
            await asyncio.sleep(seconds)
        else:
            await self._send_at_rate(self._rate, seconds)
        self.is_over = True
        self.outcome.clients_cpu_s = time.process_time() - began_cpu_s
        await asyncio.sleep(1.5 * _PATIENCE_S)
        for client in self._idle:
            client.transport.abort()
        return self.outcome

    async def _send_at_rate(self, rate: float, seconds: float) -> None:
        began_s = time.perf_counter()
        for number in range(round(rate * seconds)):
            due_s = began_s + number / rate
            if (wait_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            if self._idle:
                self.outcome.late.append(time.perf_counter() - due_s)
                self._send(self._idle.popleft(), due_s)
            else:
                self.outcome.unsent += 1

    def release(self, client: _Client) -> None:
        if self._rate is None and not self.is_over:
            self._send(client, time.perf_counter())
        else:
            self._idle.append(client)

    def lose(self, client: _Client) -> None:
        if client in self._idle:
            self._idle.remove(client)
        if not self.is_over:
            task = asyncio.create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                _, client = await loop.create_connection(lambda: _Client(self), "127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(_RECONNECT_S)
            else:
                self.release(client)
                return

    def _send(self, client: _Client, began_s: float) -> None:
        request, is_write = self._requests[self._sent % len(self._requests)]
        self._sent += 1
        client.send(began_s, request, is_write=is_write)


def _request(body: bytes, token: str) -> bytes:
    head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n"
    return head.format(token).encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _drive(port: int, requests: Sequence[tuple[bytes, bool]], rate: float | None, seconds: float) -> Outcome:
    return uvloop.run(_Driver(port, requests, rate).run(seconds))


@dataclass(frozen=True, slots=True)
class Bench:
    """A server, the process of its clients, and the requests that they send, each with whether it is a write."""

    port: int
    pid: int
    clients: ProcessPoolExecutor
    requests: Sequence[tuple[bytes, bool]]

    async def offer(self, title: str, rate: float | None, seconds: float) -> Outcome:
        """Offer requests at a rate, or as many as are answered; print what became of them, and return it."""
        before_s = cpu_s(self.pid)
        drive = partial(_drive, self.port, self.requests, rate, seconds)
        outcome = await asyncio.get_running_loop().run_in_executor(self.clients, drive)
        outcome.server_cpu_s = cpu_s(self.pid) - before_s
        sent = len(outcome.answered) + len(outcome.refused) + outcome.left + outcome.failed
        columns = (
            f"{(sent + outcome.unsent) / seconds:.0f}",
            f"{outcome.goodput / seconds:.0f}",
            _times(outcome.answered),
            f"{len(outcome.refused) / seconds:.0f}",
            _times(outcome.refused),
            f"{outcome.left / seconds:.1f}",
            f"{outcome.failed / seconds:.1f}",
            f"{outcome.unsent / seconds:.1f}",
            f"{outcome.server_cpu_s / seconds:.2f} / {outcome.clients_cpu_s / seconds:.2f}",
            "-" if rate is None else f"{1e3 * _percentile(outcome.late, 99):.0f}",
        )
        print(f"| {title} | {' | '.join(columns)} |", flush=True)
        return outcome


def _percentile(times_s: Sequence[float], percent: int) -> float:
    return sorted(times_s)[len(times_s) * percent // 100] if times_s else math.nan


def _times(times_s: Sequence[float]) -> str:
    if not times_s:
        return "-"
    return f"{1e3 * _percentile(times_s, 50):.0f} / {1e3 * _percentile(times_s, 99):.0f} / {1e3 * max(times_s):.0f}"


async def _measure(url: str, options: argparse.Namespace) -> None:
    settings = make_settings(url, secret_key=SECRET_KEY, environment="production", access_token_expire_minutes=600)
    database = Database(settings)
    users = [await sign_in(database, settings) for _ in range(_USERS)]
    for user in users:
        rows = [new_task(f"Task {number}") for number in range(100)]
        await database.transaction(partial(tasks.create_many, caller=user.caller, new=rows))
    requests = [(_request(body, user.token), body is _WRITE) for user in users for body in _MIXES[options.mix]]
    cores = [int(core) for core in options.cores.split(",")]
    with ProcessPoolExecutor(1, get_context("spawn")) as clients:
        async with running(tasktalk("tasktalk", workers=options.workers), url, cores) as server:
            bench = Bench(server.port, server.process.pid, clients, requests)
            await bench.offer("warm-up", 20, 3)
            await until_idle(bench.pid)
            summaries = [await _overload(bench, database, options) for _ in range(options.rounds)]
    await database.close()
    for name, figures in zip(_FIGURES, zip(*summaries, strict=True), strict=True):
        print(f"{name}: {statistics.median(figures):.4g} (median of {', '.join(f'{each:.4g}' for each in figures)})")


async def _overload(bench: Bench, database: Database, options: argparse.Namespace) -> tuple[float, ...]:
    """Measure the capacity, what becomes of too much, and what of half of it two seconds later."""
    at_capacity = await bench.offer("capacity", None, 5)
    capacity = at_capacity.goodput / 5
    count = "SELECT count(*) FROM tasks WHERE title = 'written'"
    before = await database.write(lambda session: run_sql(session, count))
    outcome = await bench.offer(f"{options.factor:g} times", capacity * options.factor, options.seconds)
    stored = await database.write(lambda session: run_sql(session, count)) - before
    half = await bench.offer("half, 2 s later", capacity / 2, 5)
    return (
        capacity,
        100 * outcome.goodput / options.seconds / capacity,
        100 * outcome.goodput / outcome.server_cpu_s / at_capacity.goodput * at_capacity.server_cpu_s,
        1e3 * _percentile(outcome.answered, 50),
        1e3 * _percentile(outcome.answered, 99),
        len(outcome.refused) / options.seconds,
        1e3 * _percentile(outcome.refused, 50),
        1e3 * _percentile(outcome.refused, 99),
        outcome.left / options.seconds,
        stored - outcome.written,
        1e3 * _percentile(half.answered, 99),
        len(half.refused) + len(at_capacity.refused),
    )


async def _main(options: argparse.Namespace) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    print(f"{options.database}, {options.workers} workers, {options.mix}; times in ms: p50 / p99 / worst")
    print(f"rates a second, processors of server / clients; load of the machine {os.getloadavg()[0]:.1f}\n")
    print("| load | offered | answered | times | refused | times | left | failed | unsent | processors | late |")
    print(f"| --- |{' ---: |' * 10}")
    if options.database == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            await _measure(await (await SqliteDatabases.migrated(Path(folder))).create(), options)
        return
    with postgres_server() as postgres:
        await _measure(await (await PostgresDatabases.migrated(postgres)).create(), options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30, help="how long the overload lasts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--factor", type=float, default=10, help="how many times of its capacity is offered")
    parser.add_argument("--mix", choices=list(_MIXES), default="mixed", help="which requests; mixed: each tenth writes")
    parser.add_argument("--cores", default="0,1", help="those that the server may use")
    asyncio.run(_main(parser.parse_args()))
