"""What Prometheus reads: requests, operations, durations, statements and the pool, with labels that have an end."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Final

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from core.settings import Settings
from tests.factories import SignedIn
from tests.live.processes import ROOT
from tests.server.sample import open_api, sample_settings
from tests.servers import serve_with
from tests.waiting import START_PATIENCE_S, until_so

PACKAGES: Final = ("core", "models", "services", "live", "assistant", "engine", "graph", "resolvers", "server")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
async def fresh_api(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_api(sample_settings(tmp_path)) as client:
        yield client


async def read(client: httpx2.AsyncClient) -> Samples:
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(response.text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(samples: Samples, metric: str, /, **labels: str) -> float:
    return samples.get((f"tasktalk_{metric}", frozenset(labels.items())), 0)


async def test_requests_are_counted_by_path_and_status(fresh_api: httpx2.AsyncClient) -> None:
    await fresh_api.get("/health")
    await fresh_api.get("/health")
    await fresh_api.post("/graphql")
    for n in range(5):
        await fresh_api.get(f"/nothing/{n}")
    await fresh_api.request("PROPFIND", "/nothing")
    samples = await read(fresh_api)
    count = "http_requests_total"
    assert value(samples, count, method="GET", path="/health", status="200") == 2
    assert value(samples, count, method="POST", path="/graphql", status="415") == 1
    assert value(samples, count, method="GET", path="other", status="404") == 5
    assert value(samples, count, method="other", path="other", status="404") == 1
    assert value(samples, "http_request_duration_seconds_count", path="/health") == 2
    assert value(await read(fresh_api), count, method="GET", path="/health", status="200") == 2


async def test_operations_are_counted_by_name_and_outcome(fresh_api: httpx2.AsyncClient) -> None:
    for query in ("query A { hello }", "query A { hello }", 'query A { fail(how: "gone") }', "{ hello }", "{ nope }"):
        await fresh_api.post("/graphql", json={"query": query})
    samples = await read(fresh_api)
    count = "graphql_operations_total"
    assert value(samples, count, name="A", outcome="ok") == 2
    assert value(samples, count, name="A", outcome="errors") == 1
    assert value(samples, count, name="anonymous", outcome="ok") == 1
    assert value(samples, count, name="unknown", outcome="refused") == 1
    assert value(samples, "graphql_operation_duration_seconds_count", name="A") == 3


async def test_operation_names_are_bounded(fresh_api: httpx2.AsyncClient) -> None:
    names = ["N" * 65, *(f"N{n}" for n in range(110)), "N0"]
    for name in names:
        await fresh_api.post("/graphql", json={"query": f"query {name} {{ hello }}"})
    samples = await read(fresh_api)
    seen = {dict(labels)["name"] for metric, labels in samples if metric == "tasktalk_graphql_operations_total"}
    assert len(seen) == 101
    assert value(samples, "graphql_operations_total", name="other", outcome="ok") == 11
    assert value(samples, "graphql_operations_total", name="N0", outcome="ok") == 2


async def test_every_cache_is_measured(fresh_api: httpx2.AsyncClient) -> None:
    for _ in range(3):
        await fresh_api.post("/graphql", json={"query": "{ hello }"})
    samples = await read(fresh_api)
    assert value(samples, "cache_lookups_total", cache="documents", result="hit") == 2
    assert value(samples, "cache_lookups_total", cache="documents", result="miss") == 1
    assert value(samples, "cache_evictions_total", cache="documents") == 0
    assert value(samples, "cache_bytes", cache="documents") == 3 * 1_000 + 4 * 9
    measured = {dict(labels)["cache"] for metric, labels in samples if metric == "tasktalk_cache_bytes"}
    sources = [path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py")]
    assert measured == {name for path in sources for name in re.findall(r'\bLRUCache\(\s*"(\w+)"', path.read_text())}


async def test_statements_and_pool_connections_are_counted(settings: Settings, user: SignedIn) -> None:
    # A server whose pool nobody else uses, not even to look for dead runs.
    async with serve_with(settings, run_lease_s=3600.0) as server, server.client() as http:
        before = value(await read(http), "sql_statements_total")
        await http.post("/graphql", json={"query": "{ viewer { id } }"}, headers=user.headers)
        samples = await read(http)
        assert value(samples, "sql_statements_total") > before
        assert value(samples, "pool_connections_in_use") == 0
        allowed = settings.database_pool_size + settings.database_max_overflow
        assert value(samples, "pool_connections_allowed") == allowed

        async def are_in_use(count: int) -> bool:
            return value(await read(http), "pool_connections_in_use") == count

        async with server.runtime.database.read() as session:
            await session.connection()
            await until_so(partial(are_in_use, 1))
        await until_so(partial(are_in_use, 0))


WORKER = """
import asyncio, sys, time
from pathlib import Path
import httpx2
from tests.live.processes import ROOT
from tests.server.sample import open_api, sample_settings
from tests.server.observability.test_metrics import read, value

async def main() -> None:
    async with open_api(sample_settings(Path(sys.argv[1]))) as api:
        for _ in range(3):
            await api.post("/graphql", json={"query": "query Shared { hello }"})
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            samples = await read(api)
            count = value(samples, "graphql_operations_total", name="Shared", outcome="ok")
            print("shown", int(count), int(value(samples, "pool_connections_allowed")), flush=True)

asyncio.run(main())
"""


async def test_workers_share_their_metrics(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    command = (sys.executable, "-c", WORKER, str(tmp_path))
    workers = [
        await asyncio.create_subprocess_exec(*command, env=environment, stdin=PIPE, stdout=PIPE) for _ in range(2)
    ]
    first, second = workers
    try:
        for worker in workers:
            await told(worker, b"ready")
        assert await shown(second) == ["6", "30"]
        # A worker that is killed takes its gauges along; its counters stay.
        second.kill()
        await second.wait()
        assert await shown(first) == ["6", "15"]
        # So does one that ends by itself.
        await first.communicate(b"")
    finally:
        for worker in workers:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    labels = {"name": "Shared", "outcome": "ok"}
    assert registry.get_sample_value("tasktalk_graphql_operations_total", labels) == 6
    assert registry.get_sample_value("tasktalk_pool_connections_allowed") is None


async def shown(worker: Process) -> list[str]:
    """Return what the worker reads at /metrics: the operations counted, the connections allowed."""
    assert worker.stdin is not None
    worker.stdin.write(b"\n")
    return await told(worker, b"shown ")


async def told(worker: Process, beginning: bytes) -> list[str]:
    """Return the words behind the beginning of the next line that begins so."""
    assert worker.stdout is not None
    async with asyncio.timeout(START_PATIENCE_S):
        while not (line := await worker.stdout.readline()).startswith(beginning):
            assert line, "the worker has ended"
    return line.decode().split()[1:]
