"""Metrics for Prometheus: requests, operations, SQL statements, the pool, caches, WebSockets and subscriptions."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from hmac import compare_digest
from pathlib import Path
from typing import Any, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from core.cache import LRUCache
from core.clock import utc_now
from core.connection_pool import ConnectionPool
from core.settings import Settings
from live.hub import WakeUp
from server.observability.exposition import CONTENT_TYPE, Counter, Gauge, Histogram, Metric, Series, sum_series
from server.observability.request_log import OperationOutcome, RequestRecord

# The folder in which the workers of a server share their metrics.
FOLDER_VARIABLE: Final = "TASKTALK_METRICS_FOLDER"
_SHARED_EVERY_S: Final = 1.0
_OTHER: Final = "other"
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_PATHS: Final = frozenset({"/docs", "/graphql", "/health", "/mcp", "/metrics", "/openapi.json", "/ready"})
_ASSETS: Final = ("/docs/assets", "/graphiql/assets")
# Each name is two dozen lines of a scrape; names are the clients' to choose, so their number must have an end.
_BYTES_PER_NAME: Final = 10_000
_MAX_OPERATION_NAMES: Final = 100
_MAX_OPERATION_NAME_LENGTH: Final = 64


class StreamMetrics:
    """The counters of what stays open."""

    def __init__(self) -> None:
        self.sockets = Gauge("tasktalk_sockets", "Open sockets.")
        self.subscriptions = Gauge("tasktalk_subscriptions", "Running subscriptions.")
        self.events = Counter("tasktalk_events_delivered_total", "Events sent to subscribers.")
        self.lags = Histogram("tasktalk_event_lag_seconds", "From a message's writing to its delivery.")
        self.wake_ups = Counter("tasktalk_wake_ups_total", "Waiting subscribers woken.", "kind")

    def count_wake_up(self, kind: WakeUp) -> None:
        """Count a subscriber that was woken."""
        self.wake_ups.inc(kind)

    def count_event(self, happened_at: datetime | None) -> None:
        """Count an event that was sent, and how long it took to get there, where that is known."""
        self.events.inc()
        if happened_at is not None:
            self.lags.observe((utc_now() - happened_at).total_seconds())


class Metrics:
    """The counters of one application, shared with its other workers where it has some.

    Each worker writes its own to a file, and whoever is asked sums all files up.
    """

    def __init__(self) -> None:
        folder = os.environ.get(FOLDER_VARIABLE)
        self._folder = Path(folder) if folder else None
        self._requests = Counter("tasktalk_http_requests_total", "HTTP requests.", "method", "path", "status")
        self._durations = Histogram("tasktalk_http_request_duration_seconds", "Time to answer.", "path")
        self._operations = Counter("tasktalk_graphql_operations_total", "GraphQL operations.", "name", "outcome")
        self._operation_durations = Histogram("tasktalk_graphql_operation_duration_seconds", "Time to answer.", "name")
        self._statements = Counter("tasktalk_sql_statements_total", "SQL statements.")
        self._connections_in_use = Gauge("tasktalk_pool_connections_in_use", "Database connections in use.")
        self._connections_allowed = Gauge(
            "tasktalk_pool_connections_allowed", "Most database connections that may be open."
        )
        self._cache_bytes = Gauge("tasktalk_cache_bytes", "Bytes in a cache.", "cache")
        self._cache_lookups = Counter("tasktalk_cache_lookups_total", "Lookups in a cache.", "cache", "result")
        self._cache_evictions = Counter("tasktalk_cache_evictions_total", "Entries evicted from a full cache.", "cache")
        self.streams = StreamMetrics()
        each = (*vars(self).values(), *vars(self.streams).values())
        self._metrics = [metric for metric in each if isinstance(metric, Metric)]
        self._names: LRUCache[str, str] = LRUCache("operation_names", max_bytes=_MAX_OPERATION_NAMES * _BYTES_PER_NAME)
        self._caches: list[LRUCache[Any, Any]] = [self._names]

    def watch_pool(self, pool: ConnectionPool, settings: Settings) -> None:
        """Measure the connections to the database from now on."""
        self._connections_allowed.set(settings.database_pool_size + settings.database_max_overflow)
        self._connections_in_use.set(pool.in_use)
        pool.on_sample = self._connections_in_use.set

    def watch_caches(self, *caches: LRUCache[Any, Any]) -> None:
        """Measure caches from now on."""
        self._caches += caches

    def observe(self, scope: Scope, record: RequestRecord, status: int, duration_s: float) -> None:
        """Count a request that has ended."""
        path = _path_label(scope["path"], scope.get("route"))
        self._count(scope["method"], path, status)
        self._durations.observe(duration_s, path)
        if record.outcome is not None:
            name = self._name_label(record)
            self._operations.inc(name, record.outcome)
            self._operation_durations.observe(duration_s, name)
        self._statements.inc(by=len(record.statements))

    def count_refused(self, method: str, path: str, status: int) -> None:
        """Count a request that was refused unread: it took no time, which would make durations look shorter."""
        self._count(method, _path_label(path), status)

    def _count(self, method: str, path_label: str, status: int) -> None:
        self._requests.inc(method if method in _METHODS else _OTHER, path_label, status)

    async def serve(self, request: Request) -> Response:
        """Answer /metrics: to those who have the token, where there is one."""
        settings: Settings = request.app.state.runtime.settings
        if settings.metrics_token is not None:
            sent = request.headers.get("authorization", "").encode("utf-8", "surrogatepass")
            if not compare_digest(sent, f"Bearer {settings.metrics_token}".encode()):
                raise HTTPException(401, "Send METRICS_TOKEN as a bearer token.", {"www-authenticate": "Bearer"})
        elif settings.is_production:
            raise HTTPException(404)
        return Response(self.render(), headers={"content-type": CONTENT_TYPE})

    def render(self) -> str:
        """Return the metrics of all workers as text."""
        self._read_caches()
        workers: list[dict[str, Series]] = []
        if self._folder is not None:
            # Its own are written first: what one worker has told must not be less when another is asked.
            self._share(self._folder)
            workers += _read_shared(self._folder, {metric.name for metric in self._metrics if metric.is_of_now})
        lines: list[str] = []
        for metric in self._metrics:
            shared = sum_series(worker.get(metric.name, {}) for worker in workers)
            lines += metric.render(metric.series if self._folder is None else shared)
        return "".join(lines)

    async def run(self) -> None:
        """Share them with other workers now and then, until cancelled."""
        while self._folder is not None:
            await asyncio.sleep(_SHARED_EVERY_S)
            self._read_caches()
            self._share(self._folder)

    def close(self) -> None:
        """Take this worker's gauges out of the sums over workers."""
        if self._folder is not None:
            self._metrics = [metric for metric in self._metrics if not metric.is_of_now]
            self._share(self._folder)

    def _share(self, folder: Path) -> None:
        shared = {metric.name: metric.series for metric in self._metrics}
        file, unfinished = folder / f"{os.getpid()}.json", folder / f"{os.getpid()}.unfinished"
        # On a full disk its last ones count on, and it writes again when there is room.
        with suppress(OSError):
            unfinished.write_bytes(orjson.dumps(shared))
            unfinished.replace(file)

    def _read_caches(self) -> None:
        for cache in self._caches:
            self._cache_bytes.set(cache.size_bytes, cache.name)
            self._cache_lookups.of((cache.name, "hit"))[0] = cache.hits
            self._cache_lookups.of((cache.name, "miss"))[0] = cache.misses
            self._cache_evictions.of((cache.name,))[0] = cache.evictions

    def _name_label(self, record: RequestRecord) -> str:
        """Return the name that an operation is counted by: those that signed-in callers have used last have theirs."""
        if (name := record.operation) is None:
            return "unknown"
        if record.user_id is None:
            return name if name in self._names else _OTHER
        if len(name) > _MAX_OPERATION_NAME_LENGTH:
            return _OTHER
        if self._names.get(name) is None:
            for evicted, _ in self._names.put(name, name, _BYTES_PER_NAME):
                self._operation_durations.remove(evicted)
                for outcome in OperationOutcome:
                    self._operations.remove(evicted, outcome)
        return name


def _read_shared(folder: Path, gauges: set[str]) -> Iterator[dict[str, Series]]:
    """Yield the series of each worker, without the gauges of those that were killed."""
    for file in folder.glob("*.json"):
        shared = orjson.loads(file.read_bytes())
        names = shared.keys() if _is_alive(int(file.stem)) else shared.keys() - gauges
        yield {name: shared[name] for name in names}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _path_label(path: str, route: Any = None) -> str:
    if path in _PATHS:
        return path
    if path.startswith("/api/") and route is not None:
        # With the names of what stands in it, of which there is no end.
        return str(route.path)
    return next((assets for assets in _ASSETS if path.startswith(f"{assets}/")), _OTHER)
