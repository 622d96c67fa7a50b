"""The results of a measurement, as tables in Markdown and as JSON."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.workload import OPERATIONS

_PRECISE_BELOW = 10


@dataclass(slots=True)
class Measurement:
    """The figures of one operation on one server in one round."""

    round: int
    operation: str
    server: str
    varied: dict[str, float] = field(default_factory=dict)
    open_loop: dict[str, float] = field(default_factory=dict)
    identical: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return _describe(self.varied)


@dataclass(frozen=True, slots=True)
class Results:
    """All measurements, the memory of each server before and after, and the setting."""

    measurements: Sequence[Measurement]
    memory_mib: Mapping[str, tuple[float, float]]
    titles: Mapping[str, str]
    setting: str

    def median(self, operation: str, server: str, kind: str, figure: str) -> float | None:
        """Return the median of a figure over the rounds."""
        found = [
            getattr(each, kind)[figure]
            for each in self.measurements
            if each.operation == operation and each.server == server and getattr(each, kind)
        ]
        return statistics.median(found) if found else None


def write_json(results: Results, path: Path) -> None:
    """Write the figures of every round."""
    path.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")


def markdown(results: Results) -> str:
    """Return all tables, each under its heading."""
    parts = [
        ("Processor time a request: server + PostgreSQL = server + 2 x PostgreSQL, in µs", "varied", _cpu_cell),
        ("Requests a second (p50 / p99 in ms)", "varied", _rate_cell),
        ("Latency at half of the capacity, at a fixed rate of arrivals: p50 / p99 in ms", "open_loop", _latency_cell),
        ("Identical requests: processor time as above", "identical", _cpu_cell),
        ("Identical requests: requests a second (p50 / p99 in ms)", "identical", _rate_cell),
    ]
    tables = [
        f"### {heading}\n\n{_operations_table(results, kind, cell)}"
        for heading, kind, cell in parts
        if any(getattr(each, kind) for each in results.measurements)
    ]
    return "\n\n".join([*tables, f"### Memory in MiB\n\n{_memory_table(results)}", results.setting])


Figures = Callable[[str], float | None]


def _operations_table(results: Results, kind: str, cell: Callable[[Mapping[str, float]], str]) -> str:
    names = {each.operation for each in results.measurements}
    rows = []
    for operation in OPERATIONS:
        if operation.name in names:
            cells = [_cell(results, operation.name, server, kind, cell) for server in results.titles]
            rows.append([operation.title, *cells])
    return table(["", *results.titles.values()], rows)


def _cell(results: Results, operation: str, server: str, kind: str, cell: Callable[[Mapping[str, float]], str]) -> str:
    figures = ("rate", "p50_ms", "p99_ms", "server_us", "database_us", "total_us")
    first = next((each for each in results.measurements if each.operation == operation and each.server == server), None)
    if first is None or not getattr(first, kind):
        return "-"
    medians = {
        figure: results.median(operation, server, kind, figure) or 0.0
        for figure in figures
        if figure in getattr(first, kind)
    }
    return cell(medians)


def _cpu_cell(figures: Mapping[str, float]) -> str:
    return f"{figures['server_us']:,.0f} + {figures['database_us']:,.0f} = {figures['total_us']:,.0f}"


def _rate_cell(figures: Mapping[str, float]) -> str:
    return f"{figures['rate']:,.0f} ({_latency_cell(figures)})"


def _latency_cell(figures: Mapping[str, float]) -> str:
    return f"{_short(figures['p50_ms'])} / {_short(figures['p99_ms'])}"


def _describe(figures: Mapping[str, float]) -> str:
    return f"{_rate_cell(figures)}, {_cpu_cell(figures)} µs"


def _memory_table(results: Results) -> str:
    rows = [
        [name, *(f"{results.memory_mib[server][index]:,.0f}" for server in results.titles)]
        for index, name in enumerate(("before", "after"))
    ]
    return table(["", *results.titles.values()], rows)


def _short(value: float) -> str:
    return f"{value:.1f}" if value < _PRECISE_BELOW else f"{value:,.0f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; all columns but the first are figures."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
