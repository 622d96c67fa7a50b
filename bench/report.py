"""Writes the findings as tables, and docs/benchmarks.md with its pictures."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Final

from bench.findings import Findings, shown
from bench.growth import Grown
from bench.picture import latencies_picture, rates_picture
from bench.servers import KINDS

# What ours is to reach beside these, and how many times as many requests: by operation.
_BESIDE: Final = ("conventional", "mercurius", "bare")
_AIMS: Final = {
    "scalar": (15.0, 1.0, 0.6),
    "viewer": (15.0, 1.0, 0.6),
    "50 tasks": (15.0, 1.0, 0.8),
    "20 x 20": (12.0, 1.0, 0.8),
    "createTask": (3.0, 1.0, 0.7),
}
_ROOT: Final = Path(__file__).parents[1]
_TEMPLATE: Final = Path(__file__).with_name("benchmarks.md")
_PAGE: Final = _ROOT / "docs" / "benchmarks.md"
_PICTURES: Final = _ROOT / "docs" / "images"
_TOO_FEW_CORES: Final = "Not measured: it takes four cores."


def tables(findings: Findings) -> dict[str, str]:
    """Return each table by its name in the page."""
    found = {
        "rates": _rates(findings),
        "ratios": _ratios(findings),
        "latencies": _latencies(findings),
        "memory": _memory(findings),
        "rows": _grown("messages in the answer", findings.rows),
        "connections": _grown("connections", findings.connections),
        "workers": _grown("workers", findings.workers),
    }
    return {name: table for name, table in found.items() if table}


def write_page(findings: Findings, setting: str) -> None:
    """Write docs/benchmarks.md and its pictures."""
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    _PAGE.write_text(
        template.substitute({"workers": _TOO_FEW_CORES} | tables(findings), setting=setting), encoding="utf-8"
    )
    for name, picture in (("rates", rates_picture(findings)), ("latencies", latencies_picture(findings))):
        (_PICTURES / f"benchmarks-{name}.svg").write_text(picture, encoding="utf-8")


def _rates(findings: Findings) -> str:
    rows = (
        [operation, *(shown(findings.medians[operation, key].rate) for key in findings.keys)]
        for operation in findings.operations
    )
    return _table(["requests a second", *_names(findings.keys)], rows)


def _ratios(findings: Findings) -> str:
    others = [key for key in findings.keys if key != "ours"]
    if not findings.ratios:
        return ""
    rows = (
        [operation, *(_beside_aim(findings, operation, key) for key in others)] for operation in findings.operations
    )
    return _table(["Tasktalk beside", *_names(others)], rows)


def _beside_aim(findings: Findings, operation: str, key: str) -> str:
    ratio = findings.ratios[operation, key]
    text = f"{ratio:.2f}"
    if key not in _BESIDE or operation not in _AIMS:
        return text
    aim = _AIMS[operation][_BESIDE.index(key)]
    return f"{text} (aim {aim:g}, {'met' if ratio >= aim else 'missed'})"


def _latencies(findings: Findings) -> str:
    rows = (
        [operation, *(_p50_p99(findings, operation, key) for key in findings.keys)] for operation in findings.operations
    )
    return _table(["ms, p50 / p99", *_names(findings.keys)], rows)


def _p50_p99(findings: Findings, operation: str, key: str) -> str:
    medians = findings.medians[operation, key]
    return f"{shown(medians.p50_ms)} / {shown(medians.p99_ms)}"


def _memory(findings: Findings) -> str:
    rows = (
        [name, *(f"{findings.memory[key][index]:.0f}" for key in findings.keys)]
        for index, name in enumerate(("fresh", "after the load"))
    )
    return _table(["MiB", *_names(findings.keys)], rows)


def _grown(unit: str, grown: Sequence[Grown]) -> str:
    if not grown:
        return ""
    keys = list(dict.fromkeys(each.key for each in grown))
    found = {(each.size, each.key): each.medians for each in grown}
    sizes = dict.fromkeys(each.size for each in grown)
    rows = (
        [
            f"{size:,}",
            *(f"{shown(found[size, key].rate)} ({shown(found[size, key].p50_ms)} ms)" for key in keys),
        ]
        for size in sizes
    )
    return _table([unit, *_names(keys)], rows)


def _names(keys: Iterable[str]) -> list[str]:
    return [KINDS[key].name for key in keys]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
