"""What is measured, for Prometheus: requests, GraphQL operations, SQL statements and the pool."""

import asyncio
import os
from pathlib import Path
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from core.connection_pool import ConnectionPool
from core.settings import Settings
from server.request_record import Outcome, RequestRecord
from server.stream_metrics import StreamMetrics
from server.tally import Durations, Tally

_OTHER: Final = "other"
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_PATHS: Final = frozenset({"/docs", "/graphql", "/health", "/mcp", "/metrics", "/openapi.json", "/ready"})
_ASSETS: Final = ("/docs/assets", "/graphiql/assets")
# Each name is a handful of series; names are the clients' to choose, so their number must have an end.
_MOST_OPERATION_NAMES: Final = 100
_LONGEST_OPERATION_NAME: Final = 64
# How late another worker may read what this one has counted, and how much of it is lost where this one is killed.
_SHARED_EVERY_S: Final = 0.2
_Kind = tuple[str, str, int, str | None, Outcome | None]
# As a kind is, but in the client's words.
_Told = tuple[str, str, int, str | None, Outcome | None]


class Metrics:
    """The counters of one application; with PROMETHEUS_MULTIPROC_DIR set, shared with its other workers."""

    def __init__(self) -> None:
        self._folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        self._registry = CollectorRegistry()
        registry = None if self._folder else self._registry
        self._requests = Counter(
            "tasktalk_http_requests", "HTTP requests.", ("method", "path", "status"), registry=registry
        )
        self._durations = Durations(
            "tasktalk_http_request_duration_seconds", "Time to answer.", ("path",), registry=registry
        )
        self._operations = Counter(
            "tasktalk_graphql_operations", "GraphQL operations.", ("name", "outcome"), registry=registry
        )
        self._operation_durations = Durations(
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
        # Bounded, as labels are.
        self._tallies: dict[_Kind, Tally] = {}
        self._known_tallies: dict[_Told, Tally] = {}
        self._uncounted_statements = 0
        self._is_sharing_due = False

    def watch_pool(self, pool: ConnectionPool, settings: Settings) -> None:
        """Measure the connections to the database from now on."""
        self._connections_allowed.set(settings.database_pool_size + settings.database_max_overflow)
        self._connections_in_use.set(pool.in_use)
        pool.on_sample = self._connections_in_use.set

    def observe(self, scope: Scope, record: RequestRecord, status: int, duration_s: float, statements: int) -> None:
        """Count a request that has ended."""
        told = (scope["method"], scope["path"], status, record.operation, record.outcome)
        tally = self._known_tallies.get(told) or self._find_tally(scope, told)
        tally.count(duration_s)
        self._uncounted_statements += statements
        if self._folder and not self._is_sharing_due:
            self._is_sharing_due = True
            asyncio.get_running_loop().call_later(_SHARED_EVERY_S, self._hand_over)

    def _find_tally(self, scope: Scope, told: _Told) -> Tally:
        """Return the tally of a request; remember it for what tells as much, unless there is no end of that."""
        method, path, status, operation, outcome = told
        name = None if outcome is None else self._name_label(operation)
        kind = (method if method in _METHODS else _OTHER, _path_label(scope), status, name, outcome)
        if (tally := self._tallies.get(kind)) is None:
            tally = self._tallies[kind] = self._make_tally(*kind)
        if path in _PATHS and method in _METHODS and (operation is None or operation in self._operation_names):
            self._known_tallies[told] = tally
        return tally

    def _make_tally(self, method: str, path: str, status: int, name: str | None, outcome: Outcome | None) -> Tally:
        counters, durations = [self._requests.labels(method, path, status)], [self._durations.labels(path)]
        if name is not None:
            counters.append(self._operations.labels(name, outcome))
            durations.append(self._operation_durations.labels(name))
        return Tally(counters, durations)

    def _hand_over(self) -> None:
        """Let Prometheus' counters, which cost more than many a request, know what was counted since the last time."""
        self._is_sharing_due = False
        for tally in self._tallies.values():
            tally.hand_over()
        self._statements.inc(self._uncounted_statements)
        self._uncounted_statements = 0

    async def serve(self, _request: Request) -> Response:
        """Answer /metrics."""
        self._hand_over()
        registry = self._registry
        if self._folder:
            _forget_dead_workers(Path(self._folder))
            registry = CollectorRegistry()
            MultiProcessCollector(registry, self._folder)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    def close(self) -> None:
        """Leave what was counted to the other workers, and take this worker's connections out of the sum."""
        if self._folder:
            self._hand_over()
            mark_process_dead(os.getpid(), self._folder)  # type: ignore[no-untyped-call]

    def _name_label(self, name: str | None) -> str:
        if name is None:
            return "unknown"
        if name not in self._operation_names:
            if len(self._operation_names) >= _MOST_OPERATION_NAMES or len(name) > _LONGEST_OPERATION_NAME:
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
