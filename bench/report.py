"""The results of a measurement, as tables in Markdown and as JSON."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from bench.workload import OPERATIONS

_PRECISE_BELOW: Final = 10
_PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_BEGIN: Final = "<!-- results -->"
_END: Final = "<!-- end of results -->"

Figures = Mapping[str, float]


@dataclass(slots=True)
class Measurement:
    """The figures of one operation on one server in one round."""

    round: int
    operation: str
    server: str
    varied: Figures = field(default_factory=dict)
    open_loop: Figures = field(default_factory=dict)
    identical: Figures = field(default_factory=dict)

    def __str__(self) -> str:
        loads = (figures for figures in (self.varied, self.identical) if figures)
        return "; identical: ".join(f"{_rate_cell(each, each)}, {_cpu_cell(each, each)} µs" for each in loads)


@dataclass(frozen=True, slots=True)
class Results:
    """All measurements, the memory of each server before and after, and the setting."""

    measurements: Sequence[Measurement]
    memory_mib: Mapping[str, tuple[float, float]]
    titles: Mapping[str, str]
    setting: str

    def medians(self, operation: str, server: str, load: str) -> Figures:
        """Return the median of each figure over the rounds; nothing where the load was not measured."""
        rounds = [
            figures
            for each in self.measurements
            if each.operation == operation and each.server == server and (figures := getattr(each, load))
        ]
        return {name: statistics.median(figures[name] for figures in rounds) for name in (rounds[0] if rounds else ())}


def write_json(results: Results, path: Path) -> None:
    """Write the figures of every round."""
    path.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")


def write_page(tables: str) -> None:
    """Replace the results in docs/benchmarks.md."""
    before, _, rest = _PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    _PAGE.write_text(f"{before}{_BEGIN}\n\n{tables}\n\n{_END}{after}", encoding="utf-8")


def markdown(results: Results) -> str:
    """Return all tables, each under its heading."""
    first, *others = results.titles
    compared = f"server + 2 x PostgreSQL, times that of {results.titles[first]}"
    parts: list[tuple[str, str, Callable[[Figures, Figures], str]]] = [
        ("Processor time a request, µs: server + PostgreSQL = server + 2 x PostgreSQL", "varied", _cpu_cell),
        *([(f"Processor time a request: {compared}", "varied", _ratio_cell)] if others else []),
        ("Requests a second (p50 / p99 in ms)", "varied", _rate_cell),
        ("Latency at half of the capacity: p50 / p99 in ms", "open_loop", _latency_cell),
        ("Identical requests: processor time, as above", "identical", _cpu_cell),
        ("Identical requests: requests a second (p50 / p99 in ms)", "identical", _rate_cell),
    ]
    tables = [
        f"### {heading}\n\n{_operations_table(results, load, cell)}"
        for heading, load, cell in parts
        if any(getattr(each, load) for each in results.measurements)
    ]
    return "\n\n".join([*tables, f"### Memory, MiB\n\n{_memory_table(results)}", results.setting])


def _operations_table(results: Results, load: str, cell: Callable[[Figures, Figures], str]) -> str:
    rows = []
    for operation in OPERATIONS:
        medians = [results.medians(operation.name, server, load) for server in results.titles]
        if any(medians):
            rows.append([operation.title, *(cell(each, medians[0]) if each else "-" for each in medians)])
    return _table(["", *results.titles.values()], rows)


def _cpu_cell(figures: Figures, _first: Figures) -> str:
    return f"{figures['server_us']:,.0f} + {figures['database_us']:,.0f} = {figures['total_us']:,.0f}"


def _ratio_cell(figures: Figures, first: Figures) -> str:
    return f"{figures['total_us'] / first['total_us']:.2f}" if first else "-"


def _rate_cell(figures: Figures, first: Figures) -> str:
    return f"{figures['rate']:,.0f} ({_latency_cell(figures, first)})"


def _latency_cell(figures: Figures, _first: Figures) -> str:
    return f"{_short(figures['p50_ms'])} / {_short(figures['p99_ms'])}"


def _memory_table(results: Results) -> str:
    rows = [
        [name, *(f"{results.memory_mib[server][index]:,.0f}" for server in results.titles)]
        for index, name in enumerate(("before", "after"))
    ]
    return _table(["", *results.titles.values()], rows)


def _short(value: float) -> str:
    return f"{value:.1f}" if value < _PRECISE_BELOW else f"{value:,.0f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; all columns but the first hold figures."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
