"""What is measured of sockets, event streams and subscriptions."""

from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core.clock import utc_now
from live.hub import WakeUp


class StreamMetrics:
    """The counters of what stays open."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._sockets = Gauge("tasktalk_sockets", "Open sockets.", multiprocess_mode="livesum", registry=registry)
        self._subscriptions = Gauge(
            "tasktalk_subscriptions", "Running subscriptions.", multiprocess_mode="livesum", registry=registry
        )
        self._events = Counter("tasktalk_events_delivered", "Events sent to subscribers.", registry=registry)
        self._lags = Histogram(
            "tasktalk_event_lag_seconds", "From a message's writing to its delivery.", registry=registry
        )
        self._wake_ups = Counter("tasktalk_wake_ups", "Waiting subscribers woken.", ("kind",), registry=registry)
        self._wake_ups_of = cache(self._wake_ups.labels)

    def count_wake_up(self, kind: WakeUp) -> None:
        """Count a subscriber that was told to look."""
        self._wake_ups_of(kind).inc()

    def socket(self) -> AbstractContextManager[None]:
        """Count a socket while it is open."""
        return self._sockets.track_inprogress()

    def subscription(self) -> AbstractContextManager[None]:
        """Count a subscription while it runs."""
        return self._subscriptions.track_inprogress()

    def count_event(self, happened_at: datetime | None) -> None:
        """Count an event that was sent, and how long it took to get there, where that is known."""
        self._events.inc()
        if happened_at is not None:
            self._lags.observe((utc_now() - happened_at).total_seconds())
