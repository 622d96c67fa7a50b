"""Results are written as tables and as JSON."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import report
from bench.report import Measurement, Results, markdown, write_json


def figures(server_us: float, rate: float) -> dict[str, float]:
    counted = {"requests": 900, "rate": rate, "p50_ms": 9.5, "p99_ms": 1_234}
    return counted | {"server_us": server_us, "database_us": 100, "total_us": server_us + 2 * 100}


RESULTS = Results(
    measurements=[
        Measurement(1, "tasks", "tasktalk", figures(500, 2_000), {"rate": 1_000, "p50_ms": 1, "p99_ms": 20}),
        Measurement(2, "tasks", "tasktalk", figures(600, 1_000)),
        Measurement(3, "tasks", "tasktalk", figures(700, 900)),
        Measurement(1, "tasks", "bare", figures(400, 3_000)),
    ],
    memory_mib={"tasktalk": (100.4, 120.6), "bare": (50, 51)},
    titles={"tasktalk": "Tasktalk", "bare": "bare asyncpg"},
    setting="2 cores.",
)


def test_markdown_shows_medians_and_compares_several_servers() -> None:
    text = markdown(RESULTS)
    assert "|  | Tasktalk | bare asyncpg |\n| --- | ---: | ---: |\n" in text
    assert "| 50 tasks | 600 + 100 = 800 | 400 + 100 = 600 |" in text
    assert "| 50 tasks | 1.00 | 0.75 |" in text
    assert "| 50 tasks | 1,000 (9.5 / 1,234) | 3,000 (9.5 / 1,234) |" in text
    assert "| 50 tasks | 1.0 / 20 | - |" in text
    assert "| before | 100 | 50 |\n| after | 121 | 51 |" in text
    assert "Identical requests" not in text
    assert text.endswith("2 cores.")
    assert "times that of" not in markdown(replace(RESULTS, titles={"tasktalk": "Tasktalk"}))


def test_page_keeps_what_stands_around_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("Before.\n<!-- results -->\nold\n<!-- end of results -->\nAfter.\n")
    monkeypatch.setattr(report, "_PAGE", page)
    report.write_page("new")
    assert page.read_text() == "Before.\n<!-- results -->\n\nnew\n\n<!-- end of results -->\nAfter.\n"


def test_json_has_the_figures_of_every_round(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(RESULTS, path)
    written = json.loads(path.read_text())
    assert [each["varied"]["rate"] for each in written["measurements"]] == [2_000, 1_000, 900, 3_000]
    assert written["titles"]["bare"] == "bare asyncpg"
