"""Metrics for Prometheus: requests, operations, SQL statements, the pool, caches, WebSockets and subscriptions."""

import asyncio
import os
from datetime import datetime
from functools import cache, partial
from hmac import compare_digest
from pathlib import Path
from typing import Any, Final, TypeVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from core.cache import LRUCache
from core.clock import utc_now
from core.connection_pool import ConnectionPool
from core.settings import Settings
from live.hub import WakeUp
from server.observability.request_log import RequestRecord

_READ_EVERY_S: Final = 5.0
_Metric = TypeVar("_Metric", Counter, Histogram)
_OTHER: Final = "other"
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_PATHS: Final = frozenset({"/docs", "/graphql", "/health", "/mcp", "/metrics", "/openapi.json", "/ready"})
_ASSETS: Final = ("/docs/assets", "/graphiql/assets")
# Each name is a handful of series; names are the clients' to choose, so their number must have an end.
_MAX_OPERATION_NAMES: Final = 100
_MAX_OPERATION_NAME_LENGTH: Final = 64


class StreamMetrics:
    """The counters of what stays open."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        gauge = partial(Gauge, multiprocess_mode="livesum", registry=registry)
        self.sockets = gauge("tasktalk_sockets", "Open sockets.")
        self.subscriptions = gauge("tasktalk_subscriptions", "Running subscriptions.")
        self._events = Counter("tasktalk_events_delivered", "Events sent to subscribers.", registry=registry)
        self._lags = Histogram(
            "tasktalk_event_lag_seconds", "From a message's writing to its delivery.", registry=registry
        )
        wake_ups = Counter("tasktalk_wake_ups", "Waiting subscribers woken.", ("kind",), registry=registry)
        self._wake_ups_of = cache(wake_ups.labels)

    def count_wake_up(self, kind: WakeUp) -> None:
        """Count a subscriber that was woken."""
        self._wake_ups_of(kind).inc()

    def count_event(self, happened_at: datetime | None) -> None:
        """Count an event that was sent, and how long it took to get there, where that is known."""
        self._events.inc()
        if happened_at is not None:
            self._lags.observe((utc_now() - happened_at).total_seconds())


class Metrics:
    """The counters of one application; with PROMETHEUS_MULTIPROC_DIR set, shared with its other workers."""

    def __init__(self) -> None:
        self._folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        self._registry = CollectorRegistry()
        registry = None if self._folder else self._registry
        counter, histogram = partial(Counter, registry=registry), partial(Histogram, registry=registry)
        gauge = partial(Gauge, multiprocess_mode="livesum", registry=registry)
        self._requests = counter("tasktalk_http_requests", "HTTP requests.", ("method", "path", "status"))
        self._durations = histogram("tasktalk_http_request_duration_seconds", "Time to answer.", ("path",))
        self._operations = counter("tasktalk_graphql_operations", "GraphQL operations.", ("name", "outcome"))
        self._operation_durations = histogram(
            "tasktalk_graphql_operation_duration_seconds", "Time to answer.", ("name",)
        )
        self._statements = counter("tasktalk_sql_statements", "SQL statements.")
        self._connections_in_use = gauge("tasktalk_pool_connections_in_use", "Database connections in use.")
        self._connections_allowed = gauge(
            "tasktalk_pool_connections_allowed", "Most database connections that may be open."
        )
        self._cache_bytes = gauge("tasktalk_cache_bytes", "Bytes in a cache.", ("cache",))
        self._cache_lookups = counter("tasktalk_cache_lookups", "Lookups in a cache.", ("cache", "result"))
        self._cache_evictions = counter("tasktalk_cache_evictions", "Entries evicted from a full cache.", ("cache",))
        self._caches: dict[str, tuple[LRUCache[Any, Any], tuple[int, int, int]]] = {}
        self.streams = StreamMetrics(registry)
        self._operation_names: set[str] = set()
        # Looking labels up is most of the cost of counting; their number is bounded.
        self._label = cache(_label)

    def watch_pool(self, pool: ConnectionPool, settings: Settings) -> None:
        """Measure the connections to the database from now on."""
        self._connections_allowed.set(settings.database_pool_size + settings.database_max_overflow)
        self._connections_in_use.set(pool.in_use)
        pool.on_sample = self._connections_in_use.set

    def watch_caches(self, *caches: LRUCache[Any, Any]) -> None:
        """Measure caches from now on."""
        self._caches |= {lru.name: (lru, (0, 0, 0)) for lru in caches}

    def _read_caches(self) -> None:
        for name, (lru, before) in self._caches.items():
            counts = (lru.hits, lru.misses, lru.evictions)
            hits, misses, evictions = (now - then for now, then in zip(counts, before, strict=True))
            self._cache_bytes.labels(name).set(lru.size_bytes)
            self._cache_lookups.labels(name, "hit").inc(hits)
            self._cache_lookups.labels(name, "miss").inc(misses)
            self._cache_evictions.labels(name).inc(evictions)
            self._caches[name] = lru, counts

    async def run(self) -> None:
        """Read what other workers show now and then, until cancelled."""
        while True:
            await asyncio.sleep(_READ_EVERY_S)
            self._read_caches()

    def observe(self, scope: Scope, record: RequestRecord, status: int, duration_s: float) -> None:
        """Count a request that has ended."""
        method, path = scope["method"], _path_label(scope)
        self._label(self._requests, method if method in _METHODS else _OTHER, path, status).inc()
        self._label(self._durations, path).observe(duration_s)
        if record.outcome is not None:
            name = self._name_label(record.operation)
            self._label(self._operations, name, record.outcome).inc()
            self._label(self._operation_durations, name).observe(duration_s)
        self._statements.inc(len(record.statements))

    async def serve(self, request: Request) -> Response:
        """Answer /metrics: to those who have the token, where there is one."""
        settings: Settings = request.app.state.runtime.settings
        if settings.metrics_token is not None:
            sent = request.headers.get("authorization", "").encode("utf-8", "surrogatepass")
            if not compare_digest(sent, f"Bearer {settings.metrics_token}".encode()):
                raise HTTPException(401, "Send METRICS_TOKEN as a bearer token.", {"www-authenticate": "Bearer"})
        elif settings.is_production:
            raise HTTPException(404)
        self._read_caches()
        registry = self._registry
        if self._folder:
            _forget_dead_workers(Path(self._folder))
            registry = CollectorRegistry()
            MultiProcessCollector(registry, self._folder)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    def close(self) -> None:
        """Take this worker's gauges out of the sums over workers."""
        if self._folder:
            mark_process_dead(os.getpid(), self._folder)  # type: ignore[no-untyped-call]

    def _name_label(self, name: str | None) -> str:
        if name is None:
            return "unknown"
        if name not in self._operation_names:
            if len(self._operation_names) >= _MAX_OPERATION_NAMES or len(name) > _MAX_OPERATION_NAME_LENGTH:
                return _OTHER
            self._operation_names.add(name)
        return name


def _label(metric: _Metric, *labels: object) -> _Metric:
    return metric.labels(*labels)


def _path_label(scope: Scope) -> str:
    path: str = scope["path"]
    if path in _PATHS:
        return path
    if path.startswith("/api/") and (route := scope.get("route")) is not None:
        # With the names of what stands in it, of which there is no end.
        return str(route.path)
    return next((assets for assets in _ASSETS if path.startswith(f"{assets}/")), _OTHER)


def _forget_dead_workers(folder: Path) -> None:
    """Drop the gauges of workers that were killed, and so could not do it themselves."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            continue
