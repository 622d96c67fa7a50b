"""Counters, gauges and histograms in the text format of Prometheus, summed over the workers of a server.

A scrape takes a few milliseconds, however many labels there are: the loop waits for it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from operator import add
from typing import Any, ClassVar, Final, TypeAlias

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# The values of a metric's series, by their labels in the text format.
Series: TypeAlias = Mapping[str, Sequence[float]]

_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_BUCKET_LABELS: Final = [f'le="{bound}"' for bound in (*_BUCKETS_S, "+Inf")]
_ESCAPED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Metric:
    """A metric with its series, one for each combination of its labels' values."""

    kind: ClassVar[str]
    width: ClassVar[int] = 1
    # Whether it is a number of now, which a worker that has ended has none of.
    is_of_now: ClassVar[bool] = False

    def __init__(self, name: str, description: str, *labels: str) -> None:
        self.name = name
        self.series: dict[str, list[float]] = {}
        self._by_labels: dict[tuple[Any, ...], list[float]] = {}
        self._head = f"# HELP {name} {description}\n# TYPE {name} {self.kind}\n"
        self._labels = labels
        if not labels:
            self.of(())

    def of(self, labels: tuple[Any, ...]) -> list[float]:
        """Return the values of a series."""
        if (values := self._by_labels.get(labels)) is None:
            values = self._by_labels[labels] = self.series[self._text_of(labels)] = [0] * self.width
        return values

    def remove(self, *labels: object) -> None:
        """Remove a series."""
        if self._by_labels.pop(labels, None) is not None:
            del self.series[self._text_of(labels)]

    def render(self, series: Series) -> Iterator[str]:
        """Yield the lines of the metric with these series."""
        yield self._head
        for labels, values in series.items():
            yield from self._render_one(labels, values)

    def _render_one(self, labels: str, values: Sequence[float]) -> Iterator[str]:
        yield f"{self.name}{_braced(labels)} {values[0]}\n"

    def _text_of(self, labels: tuple[Any, ...]) -> str:
        pairs = zip(self._labels, labels, strict=True)
        return ",".join(f'{name}="{str(value).translate(_ESCAPED)}"' for name, value in pairs)


class Counter(Metric):
    """A number that only grows."""

    kind = "counter"

    def inc(self, *labels: object, by: float = 1) -> None:
        """Add to it."""
        self.of(labels)[0] += by


class Gauge(Metric):
    """A number that grows and shrinks."""

    kind = "gauge"
    is_of_now = True

    def set(self, value: float, *labels: object) -> None:
        """Set it."""
        self.of(labels)[0] = value

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count one more while the block runs."""
        self.of(())[0] += 1
        try:
            yield
        finally:
            self.of(())[0] -= 1


class Histogram(Metric):
    """How many durations were how long; its values are the count of each bucket, and the sum."""

    kind = "histogram"
    width = len(_BUCKET_LABELS) + 1

    def observe(self, duration_s: float, *labels: object) -> None:
        """Count a duration."""
        values = self.of(labels)
        values[bisect_left(_BUCKETS_S, duration_s)] += 1
        values[-1] += duration_s

    def _render_one(self, labels: str, values: Sequence[float]) -> Iterator[str]:
        before = f"{self.name}_bucket{{{labels}{',' if labels else ''}"
        counts = list(accumulate(values[:-1]))
        for bound, count in zip(_BUCKET_LABELS, counts, strict=True):
            yield f"{before}{bound}}} {count}\n"
        yield f"{self.name}_count{_braced(labels)} {counts[-1]}\n{self.name}_sum{_braced(labels)} {values[-1]}\n"


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def sum_series(several: Iterable[Series]) -> Series:
    """Return the sums of the series of several workers."""
    total: dict[str, Sequence[float]] = {}
    for series in several:
        for labels, values in series.items():
            total[labels] = list(map(add, total[labels], values)) if labels in total else values
    return total
