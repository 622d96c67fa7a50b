"""What is measured, for Prometheus: requests, GraphQL operations, SQL statements and the pool."""

import os
from pathlib import Path
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from core.connections import Connections
from core.settings import Settings
from server.request_record import RequestRecord
from server.stream_metrics import StreamMetrics

_OTHER: Final = "other"
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_PATHS: Final = frozenset({"/docs", "/graphql", "/health", "/mcp", "/metrics", "/openapi.json", "/ready"})
_ASSETS: Final = ("/docs/assets", "/graphiql/assets")
# Each name is a handful of series; names are the clients' to choose, so their number must have an end.
_MAX_OPERATION_NAMES: Final = 100
_MAX_OPERATION_NAME_LENGTH: Final = 64


class Metrics:
    """The counters of one application; with PROMETHEUS_MULTIPROC_DIR set, shared with its other workers."""

    def __init__(self) -> None:
        self._folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        self._registry = CollectorRegistry()
        registry = None if self._folder else self._registry
        self._requests = Counter(
            "tasktalk_http_requests", "HTTP requests.", ("method", "path", "status"), registry=registry
        )
        self._durations = Histogram(
            "tasktalk_http_request_duration_seconds", "Time to answer.", ("path",), registry=registry
        )
        self._operations = Counter(
            "tasktalk_graphql_operations", "GraphQL operations.", ("name", "outcome"), registry=registry
        )
        self._operation_durations = Histogram(
            "tasktalk_graphql_operation_duration_seconds", "Time to answer.", ("name",), registry=registry
        )
        self._statements = Counter("tasktalk_sql_statements", "SQL statements.", registry=registry)
        self._connections_in_use = Gauge(
            "tasktalk_pool_connections_in_use",
            "Database connections in use.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._connections_allowed = Gauge(
            "tasktalk_pool_connections_allowed",
            "Most database connections that may be open.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.streams = StreamMetrics(registry)
        self._operation_names: set[str] = set()

    def watch_pool(self, connections: Connections, settings: Settings) -> None:
        """Measure the connections to the database from now on."""
        self._connections_allowed.set(settings.database_pool_size + settings.database_max_overflow)
        self._connections_in_use.set(connections.in_use)
        connections.on_look = self._connections_in_use.set

    def observe(self, scope: Scope, record: RequestRecord, status: int, duration_s: float) -> None:
        """Count a request that has ended."""
        method, path = scope["method"], _path_label(scope)
        self._requests.labels(method if method in _METHODS else _OTHER, path, status).inc()
        self._durations.labels(path).observe(duration_s)
        if record.outcome is not None:
            name = self._name_label(record.operation)
            self._operations.labels(name, record.outcome).inc()
            self._operation_durations.labels(name).observe(duration_s)
        self._statements.inc(len(record.statements))

    async def serve(self, _request: Request) -> Response:
        """Answer /metrics."""
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
