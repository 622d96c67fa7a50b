"""Findings are written as tables and drawn as pictures."""

from xml.etree import ElementTree as ET

from bench.findings import Findings
from bench.growth import Grown
from bench.load import Figures
from bench.picture import latencies_picture, rates_picture
from bench.report import tables

FINDINGS = Findings(
    operations=["50 tasks", "20 x 20"],
    keys=["ours", "mercurius"],
    medians={
        ("50 tasks", "ours"): Figures(3_000, 9.5, 20, 1),
        ("50 tasks", "mercurius"): Figures(2_000, 12, 1_234, 1),
        ("20 x 20", "ours"): Figures(400, 80, 200, 1),
        ("20 x 20", "mercurius"): Figures(500, 60, 100, 1),
    },
    ratios={("50 tasks", "mercurius"): 1.5, ("20 x 20", "mercurius"): 0.8},
    memory={"ours": (100.4, 120.6), "mercurius": (80, 300)},
    connections=[Grown(256, "ours", Figures(2_900, 88, 120, 1))],
)


def test_tables() -> None:
    assert tables(FINDINGS) == {
        "rates": (
            "| requests a second | Tasktalk | Mercurius + JIT |\n| --- | ---: | ---: |\n"
            "| 50 tasks | 3,000 | 2,000 |\n| 20 x 20 | 400 | 500 |"
        ),
        "ratios": (
            "| Tasktalk beside | Mercurius + JIT |\n| --- | ---: |\n"
            "| 50 tasks | 1.50 (aim 1, met) |\n| 20 x 20 | 0.80 (aim 1, missed) |"
        ),
        "latencies": (
            "| ms, p50 / p99 | Tasktalk | Mercurius + JIT |\n| --- | ---: | ---: |\n"
            "| 50 tasks | 9.5 / 20 | 12 / 1,234 |\n| 20 x 20 | 80 / 200 | 60 / 100 |"
        ),
        "memory": (
            "| MiB | Tasktalk | Mercurius + JIT |\n| --- | ---: | ---: |\n"
            "| fresh | 100 | 80 |\n| after the load | 121 | 300 |"
        ),
        "connections": "| connections | Tasktalk |\n| --- | ---: |\n| 256 | 2,900 (88 ms) |",
    }


def test_pictures_show_every_figure() -> None:
    rates = ET.fromstring(rates_picture(FINDINGS))  # noqa: S314 - our own
    shown = {element.text for element in rates.iter() if element.tag.endswith("text")}
    assert shown == {"Tasktalk", "Mercurius + JIT", "50 tasks", "20 x 20", "3,000", "2,000", "400", "500"}
    latencies = ET.fromstring(latencies_picture(FINDINGS))  # noqa: S314 - our own
    assert sum(element.tag.endswith("circle") for element in latencies.iter()) == 4
