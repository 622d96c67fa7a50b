"""Counts requests of one kind in plain numbers, which cost less than the counters that Prometheus reads."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from prometheus_client import Counter, Histogram

_BOUNDS_S: Final = Histogram.DEFAULT_BUCKETS


class Durations(Histogram):
    """A histogram that takes many durations at once."""

    def add(self, counts: Sequence[int], total_s: float) -> None:
        """Count durations by the buckets that they fall into."""
        self._sum.inc(total_s)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)


class Tally:
    """What has been counted since it was handed over last."""

    __slots__ = ("_counters", "_counts", "_durations", "_total_s")

    def __init__(self, counters: Sequence[Counter], durations: Sequence[Durations]) -> None:
        self._counters = counters
        self._durations = durations
        self._begin()

    def _begin(self) -> None:
        self._counts = [0] * len(_BOUNDS_S)
        self._total_s = 0.0

    def count(self, duration_s: float) -> None:
        """Count a request."""
        self._counts[bisect_left(_BOUNDS_S, duration_s)] += 1
        self._total_s += duration_s

    def hand_over(self) -> None:
        """Let the counters know."""
        if number := sum(self._counts):
            for counter in self._counters:
                counter.inc(number)
            for durations in self._durations:
                durations.add(self._counts, self._total_s)
            self._begin()
