"""Loads a server with wrk, which keeps a number of connections busy."""

import asyncio
import math
import shutil
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import orjson

from bench.asking import BenchError, Request
from bench.servers import Server

_SCRIPT: Final = Path(__file__).with_name("wrk.lua")
_TIMEOUT_S: Final = 30
_SHOWN: Final = 100
_LEAST_PART: Final = 0.95


@dataclass(frozen=True, slots=True)
class Figures:
    """What a load gave, or what is typical of several: requests a second, how long they took, how busy the core was."""

    rate: float
    p50_ms: float
    p99_ms: float
    busy: float

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, {self.busy:.0%} busy"


def require_wrk() -> None:
    """Say how to get wrk where there is none."""
    if shutil.which("wrk") is None:
        raise BenchError(
            "wrk was not found; install it (on Debian and Ubuntu: apt-get install wrk) and run this again."
        )


async def load(server: Server, requests: Sequence[Request], connections: int, seconds: float) -> Figures:
    """Post the requests in turn, again and again, over so many connections; any failure ends the measurement."""
    size = _size(await server.respond(requests[0]))
    cpu_s, began = server.cpu_s(), time.perf_counter()
    with tempfile.NamedTemporaryFile() as file:
        for request in requests:
            file.write(request.token.encode() + b"\n" + orjson.dumps(request.body) + b"\n")
        file.flush()
        process = await asyncio.create_subprocess_exec(
            *("wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{math.ceil(seconds)}s"),
            *("--timeout", f"{_TIMEOUT_S}s", "--script", str(_SCRIPT), server.url, "--", file.name),
            stdout=PIPE,
            stderr=PIPE,
        )
        output, errors = await process.communicate()
    busy = (server.cpu_s() - cpu_s) / (time.perf_counter() - began)
    line = next((line for line in output.decode().splitlines() if line.startswith("figures ")), None)
    if line is None:
        raise BenchError(f"wrk gave no figures: {errors.decode().strip() or output.decode().strip()}")
    count, received, duration_us, failed, p50_us, p99_us = map(int, line.split()[1:])
    name = str(requests[0].body["query"])[:_SHOWN]
    if failed or not count:
        raise BenchError(f"{count} requests were answered and {failed} failed, of: {name}")
    # An error of GraphQL's counts as answered; what it leaves out is missed here.
    if received / count < size * _LEAST_PART:
        raise BenchError(f"Answers were {received / count:.0f} bytes long, in place of {size}, of: {name}")
    return Figures(count / duration_us * 1e6, p50_us / 1e3, p99_us / 1e3, busy)


def _size(response: httpx2.Response) -> int:
    headers = sum(len(name) + len(value) + len(": \r\n") for name, value in response.headers.raw)
    return headers + len(response.content)
