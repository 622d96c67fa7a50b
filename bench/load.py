"""Load generator: HTTP/1.1 over open connections, in a closed loop or at a fixed rate of arrivals."""

import asyncio
import itertools
import re
import statistics
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

COUNTER: Final = "@@@@@@@@"
_COUNTER_DIGITS: Final = len(COUNTER)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OK: Final = b"HTTP/1.1 200"
_GIVE_UP_S: Final = 300.0
_SHOWN: Final = 2_000
# Shared by all loads, so that no request is ever sent twice.
_numbers: Final = itertools.count(1)

# A request as bytes, split where the number of the request goes; sent as it is where there is one part.
Template = Sequence[bytes]


class BenchError(Exception):
    """The measurement cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load gave."""

    requests: int
    duration_s: float
    latencies_ms: Sequence[float]

    @property
    def rate(self) -> float:
        """Return the requests a second."""
        return self.requests / self.duration_s

    def percentile_ms(self, percent: int) -> float:
        """Return a percentile of the latencies."""
        return statistics.quantiles(self.latencies_ms, n=100, method="inclusive")[percent - 1]


class _Connection(asyncio.Protocol):
    """One connection, with one request on its way at most."""

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._needed = 0
        self._sent: bytes = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's

    def send(self, began: float) -> None:
        """Send the next request; its latency counts from `began`."""
        template = next(self._run.templates)
        number = b"%08d" % (next(_numbers) % 10**_COUNTER_DIGITS)
        self._sent = number.join(template)
        self._began = began
        self._transport.write(self._sent)  # type: ignore[union-attr]  # it is connected

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if not self._needed:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            found = _LENGTH.search(self._received, 0, end + 2)
            if found is None or not self._received.startswith(_OK):
                self._fail()
                return
            self._needed = end + 4 + int(found[1])
        if len(self._received) < self._needed:
            return
        if b'"errors":[{' in self._received or b'"data":null' in self._received:
            self._fail()
            return
        self._received, self._needed, self._sent = b"", 0, b""
        self._run.answered(self, time.perf_counter() - self._began)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._sent:
            self._run.fail(f"A connection was closed before its answer: {exc}")
        else:
            self._run.lost(self)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()  # type: ignore[union-attr]  # it is connected

    def _fail(self) -> None:
        request, answer = (text[:_SHOWN].decode(errors="replace") for text in (self._sent, self._received))
        self._run.fail(f"A request failed.\n{request}\n\n{answer}")


class _Run:
    """What all connections of one load share."""

    def __init__(self, templates: Iterator[Template]) -> None:
        self.templates = templates
        self.latencies_s: list[float] = []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.connections: list[_Connection] = []

    async def connect(self, port: int, count: int) -> None:
        self._port = port
        self.connections = [await self._connect() for _ in range(count)]

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        return connection

    def answered(self, connection: _Connection, latency_s: float) -> None:
        """Keep the latency of an answer, and go on."""
        self.latencies_s.append(latency_s)
        self.idle(connection)

    def idle(self, connection: _Connection) -> None:
        """Use a connection that waits for no answer."""
        raise NotImplementedError

    def lost(self, connection: _Connection) -> None:
        """Take note of a connection that was closed while it waited for no answer."""

    def fail(self, message: str) -> None:
        """End the load with an error."""
        if not self.finished.done():
            self.finished.set_exception(BenchError(message))

    async def wait(self, seconds: float) -> float:
        """Return when the last answer came, with the connections closed."""
        try:
            await asyncio.wait_for(self.finished, seconds + _GIVE_UP_S)
            return time.perf_counter()
        except TimeoutError:
            raise BenchError(f"A load of {seconds:g} s had not ended {_GIVE_UP_S:g} s later.") from None
        finally:
            for connection in self.connections:
                connection.close()


class _ClosedLoop(_Run):
    """Every connection sends its next request as soon as it has the answer to the last."""

    def start(self, seconds: float, min_requests: int) -> None:
        self._until = time.perf_counter() + seconds
        self._min_requests = min_requests
        self._busy = len(self.connections)
        for connection in self.connections:
            connection.send(time.perf_counter())

    def idle(self, connection: _Connection) -> None:
        now = time.perf_counter()
        if now < self._until or len(self.latencies_s) < self._min_requests:
            connection.send(now)
            return
        self._busy -= 1
        if not self._busy and not self.finished.done():
            self.finished.set_result(None)


class _OpenLoop(_Run):
    """Requests arrive at a fixed rate, whether or not the server keeps up."""

    def start(self, seconds: float, rate: float) -> None:
        self._began = time.perf_counter()
        self._interval_s = 1 / rate
        self._total = max(2, round(seconds * rate))
        self._scheduled = 0
        self._waiting: deque[float] = deque()
        self._idle = list(self.connections)
        self._arrive()

    def _arrive(self) -> None:
        """Send what is due by now; try again in a millisecond, the clock of the event loop."""
        if self.finished.done():
            return
        due = min(self._total, int((time.perf_counter() - self._began) / self._interval_s) + 1)
        for number in range(self._scheduled, due):
            self._waiting.append(self._began + number * self._interval_s)
        self._scheduled = due
        while self._waiting and self._idle:
            self._idle.pop().send(self._waiting.popleft())
        if self._scheduled < self._total:
            asyncio.get_running_loop().call_later(0.001, self._arrive)

    def idle(self, connection: _Connection) -> None:
        if self._waiting:
            connection.send(self._waiting.popleft())
            return
        self._idle.append(connection)
        if len(self.latencies_s) == self._total and not self.finished.done():
            self.finished.set_result(None)

    def lost(self, connection: _Connection) -> None:
        # Servers close what has been idle for some seconds.
        if not self.finished.done():
            self._idle.remove(connection)
            self._reconnecting = asyncio.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        connection = await self._connect()
        self.connections.append(connection)
        self.idle(connection)


async def closed_loop(
    port: int, templates: Iterator[Template], connections: int, seconds: float, min_requests: int = 0
) -> Load:
    """Keep the connections busy for so many seconds, and until so many requests are answered.

    What is on its way then is answered and counted too.
    """
    run = _ClosedLoop(templates)
    await run.connect(port, connections)
    began = time.perf_counter()
    run.start(seconds, min_requests)
    return _load(run, await run.wait(seconds) - began)


async def open_loop(port: int, templates: Iterator[Template], connections: int, seconds: float, rate: float) -> Load:
    """Send requests at a fixed rate; latencies count from the moment at which a request was due."""
    run = _OpenLoop(templates)
    await run.connect(port, connections)
    began = time.perf_counter()
    run.start(seconds, rate)
    return _load(run, await run.wait(seconds) - began)


def _load(run: _Run, duration_s: float) -> Load:
    return Load(len(run.latencies_s), duration_s, [latency * 1e3 for latency in run.latencies_s])
