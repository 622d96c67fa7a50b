"""What is asked of a server that runs: its metrics for Prometheus, /health and /ready."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Final

import httpx2
import orjson
import pytest
from httpx2 import AsyncClient
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import CapturingLogger

from core.clock import utc_now
from core.settings import Settings
from server.observability.exposition import Histogram
from server.observability.health import Readiness
from server.observability.metrics import FOLDER_VARIABLE, Metrics
from server.observability.request_log import OperationOutcome, RequestRecord
from tests.databases import make_settings, only_sqlite, opened, run_sql
from tests.event_client import open_events
from tests.factories import SignedIn, make_conversation, make_message
from tests.live.processes import ROOT
from tests.server.sample import open_api, sample_settings
from tests.servers import serve_with
from tests.socket_client import signed_in_socket
from tests.waiting import until, until_so

PACKAGES: Final = ("core", "models", "services", "live", "assistant", "engine", "graph", "resolvers", "server")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
async def fresh_api(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    async with open_api(sample_settings(tmp_path)) as client:
        yield client


async def read(client: AsyncClient) -> Samples:
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    return parsed(response.text)


def parsed(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(samples: Samples, metric: str, /, **labels: str) -> float:
    return samples.get((f"tasktalk_{metric}", frozenset(labels.items())), 0)


def counts(samples: Samples, metric: str, *labels: str) -> dict[tuple[str, ...], float]:
    found = {given: count for (name, given), count in samples.items() if name == f"tasktalk_{metric}"}
    return {tuple(dict(given)[label] for label in labels): count for given, count in found.items()}


async def test_requests_are_counted_by_path_and_status(fresh_api: AsyncClient) -> None:
    await fresh_api.get("/health")
    await fresh_api.get("/health")
    await fresh_api.post("/graphql")
    for n in range(5):
        await fresh_api.get(f"/nothing/{n}")
    await fresh_api.request("PROPFIND", "/nothing")
    samples = await read(fresh_api)
    others = {("GET", "other", "404"): 5, ("other", "other", "404"): 1}
    known = {("GET", "/health", "200"): 2, ("POST", "/graphql", "415"): 1}
    assert counts(samples, "http_requests_total", "method", "path", "status") == known | others
    assert value(samples, "http_request_duration_seconds_count", path="/health") == 2


async def test_operations_are_counted_by_outcome(fresh_api: AsyncClient) -> None:
    for query in ("query A { hello }", "query A { hello }", 'query A { fail(how: "gone") }', "{ nope }"):
        await fresh_api.post("/graphql", json={"query": query})
    samples = await read(fresh_api)
    # Those of strangers have no names of their own.
    counted = {("other", "ok"): 2, ("other", "errors"): 1, ("unknown", "refused"): 1}
    assert counts(samples, "graphql_operations_total", "name", "outcome") == counted
    assert value(samples, "graphql_operation_duration_seconds_count", name="other") == 3


def operate(metrics: Metrics, name: str, user_id: str | None = "ada") -> None:
    record = RequestRecord("id")
    record.operation, record.outcome, record.user_id = name, OperationOutcome.OK, user_id
    metrics.observe({"method": "POST", "path": "/graphql"}, record, 200, 0.02)


def test_operations_are_counted_by_the_names_that_signed_in_callers_used_last() -> None:
    metrics = Metrics()
    for number in range(200):
        operate(metrics, f"Stranger{number}", None)
    for name in ("N" * 65, *(f"N{number}" for number in range(110)), "N109"):
        operate(metrics, name)
    operate(metrics, "N20", None)
    counted = counts(parsed(metrics.render()), "graphql_operations_total", "name")
    assert counted.keys() == {("other",), *((f"N{number}",) for number in range(10, 110))}
    assert [counted[name,] for name in ("other", "N20", "N109")] == [201, 2, 2]
    # Series that nobody uses any more make place for others, so that a scrape has an end.
    lines = metrics.render().count("\n")
    for number in range(1_000):
        operate(metrics, f"M{number}")
    assert metrics.render().count("\n") == lines


def test_labels_are_escaped_and_buckets_are_cumulative() -> None:
    histogram = Histogram("tasktalk_test_seconds", "A test.", "name")
    for duration_s in (0.005, 0.03, 0.04, 11.0):
        histogram.observe(duration_s, '\\"\n')
    samples = parsed("".join(histogram.render(histogram.series)))
    buckets = {
        bound: value(samples, "test_seconds_bucket", name='\\"\n', le=bound) for bound in ("0.005", "0.05", "10.0")
    }
    assert buckets == {"0.005": 1, "0.05": 3, "10.0": 3}
    assert value(samples, "test_seconds_bucket", name='\\"\n', le="+Inf") == 4
    assert value(samples, "test_seconds_sum", name='\\"\n') == pytest.approx(11.075)


async def test_every_cache_is_measured(fresh_api: AsyncClient) -> None:
    for _ in range(3):
        await fresh_api.post("/graphql", json={"query": "{ hello }"})
    samples = await read(fresh_api)
    assert value(samples, "cache_lookups_total", cache="documents", result="hit") == 2
    assert value(samples, "cache_lookups_total", cache="documents", result="miss") == 1
    assert value(samples, "cache_evictions_total", cache="documents") == 0
    # Its tokens and characters, and the field of its plan.
    assert value(samples, "cache_bytes", cache="documents") == 3 * 1_000 + 4 * 9 + 3_500
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


async def test_workers_are_summed_up_and_gauges_of_ended_ones_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    dead = await asyncio.create_subprocess_exec("true")
    await dead.wait()
    own = tmp_path / f"{os.getpid()}.json"
    for pid in (dead.pid, os.getppid()):
        shared = {"tasktalk_sockets": {"": [5]}, "tasktalk_wake_ups_total": {'kind="poll"': [7]}}
        (tmp_path / f"{pid}.json").write_bytes(orjson.dumps(shared))
    async with open_api(sample_settings(tmp_path)) as api:
        samples = await read(api)
        assert value(samples, "sockets") == 5
        assert value(samples, "wake_ups_total", kind="poll") == 14
        assert value(samples, "pool_connections_allowed") > 0
        # What a worker has told is in its file, for the others.
        assert orjson.loads(own.read_bytes())["tasktalk_pool_connections_allowed"]
    assert "tasktalk_pool_connections_allowed" not in orjson.loads(own.read_bytes())


async def test_full_disk_of_shared_metrics_is_outlasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr("server.observability.metrics._SHARED_EVERY_S", 0)
    metrics, own = Metrics(), tmp_path / f"{os.getpid()}.json"
    own.with_suffix(".unfinished").symlink_to("/dev/full")
    sharing = asyncio.create_task(metrics.run())
    for _ in range(5):
        await asyncio.sleep(0)
    assert "tasktalk_sockets" in metrics.render()
    own.with_suffix(".unfinished").unlink()
    await until(own.exists)
    sharing.cancel()


CHANGES = "subscription { changes { changed { id } } }"
MESSAGES = """subscription ($id: ID!, $after: String) {
    messageAdded(conversationId: $id, after: $after) { cursor }
}"""


@only_sqlite
async def test_sockets_subscriptions_and_events_are_counted(settings: Settings, user: SignedIn) -> None:
    # By the poll a change may be seen before this process notifies of it.
    async with serve_with(settings, poll_s=3_600) as server, server.client() as http:
        database = server.runtime.database
        conversation = await make_conversation(database, user.caller)
        variables = {"id": conversation.id}
        async with signed_in_socket(server, user.token) as socket, signed_in_socket(server, None):
            await socket.subscribe(MESSAGES, variables)
            async with open_events(server, CHANGES, token=user.token) as events:
                await server.until_followed(user.user.id, 2)
                samples = await read(http)
                assert (value(samples, "sockets"), value(samples, "subscriptions")) == (2, 2)
                cursor, begun_at = None, utc_now()
                for _ in range(3):
                    await make_message(database, user.caller, conversation.id)
                    cursor = (await socket.data())["messageAdded"]["cursor"]
                took_s = (utc_now() - begun_at).total_seconds()
                await events.data()
            await socket.complete()
            await socket.round_trip()
        await server.until_unconnected()
        samples = await read(http)
        assert (value(samples, "sockets"), value(samples, "subscriptions")) == (0, 0)
        assert value(samples, "events_delivered_total") >= 4
        assert value(samples, "event_lag_seconds_count") == 3
        assert 0 < value(samples, "event_lag_seconds_sum") < 3 * took_s
        # Each change wakes one or both of two waiters; one that already reads is not woken.
        assert value(samples, "wake_ups_total", kind="local") >= 4
        assert value(samples, "wake_ups_total", kind="poll") == 0
        # An event that was missed during a disconnect has no lag.
        await make_message(database, user.caller, conversation.id)
        async with signed_in_socket(server, user.token) as socket:
            await socket.subscribe(MESSAGES, {**variables, "after": cursor})
            await socket.data()
        assert value(await read(http), "event_lag_seconds_count") == 3


async def test_health_and_ready_answer_ok(http: httpx2.AsyncClient) -> None:
    for path in ("/health", "/ready", "/metrics"):
        response = await http.post(path)
        assert response.status_code == 405
        assert response.json()["errors"][0]["extensions"] == {"code": "METHOD_NOT_ALLOWED"}
    for path in ("/health", "/ready"):
        response = await http.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def change(settings: Settings, statement: str) -> None:
    async with opened(settings) as database:
        await database.write(partial(run_sql, statement=statement))


@pytest.mark.parametrize(
    ("statement", "found"),
    [("UPDATE alembic_version SET version_num = '0001'", "0001"), ("DROP TABLE alembic_version", "none")],
)
async def test_ready_fails_before_the_migrations(fresh_settings: Settings, statement: str, found: str) -> None:
    await change(fresh_settings, statement)
    async with open_api(fresh_settings) as api:
        assert (await api.get("/health")).status_code == 200
        response = await api.get("/ready")
    assert (response.status_code, response.json()["status"]) == (503, "not ready")
    assert response.json()["reason"].startswith(f"The database is at migration {found}, the code expects ")


async def test_missing_migration_is_logged(fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("server.observability.health._log", log)
    async with opened(fresh_settings) as database:
        await Readiness(database, fresh_settings).warn()
        assert log.calls == []
        await change(fresh_settings, "DELETE FROM alembic_version")
        await Readiness(database, fresh_settings).warn()
    (call,) = log.calls
    assert (call.method_name, call.args) == ("warning", ("not ready",))
    assert call.kwargs["reason"].endswith("run `tasktalk migrate`.")


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:///{folder}/missing/none.db"])
async def test_ready_fails_without_a_database(url: str, tmp_path: Path) -> None:
    async with open_api(make_settings(url.format(folder=tmp_path))) as api:
        assert (await api.get("/health")).status_code == 200
        response = await api.get("/ready")
    told = {"status": "not ready", "reason": "The database does not answer."}
    assert (response.status_code, response.json()) == (503, told)
