"""Draws the findings as SVG that can be read on light and on dark pages."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from bench.findings import Findings, shown
from bench.servers import KINDS

_COLOURS: Final = {
    "ours": "#2f81f7",
    "conventional": "#bf8700",
    "mercurius": "#1a9e54",
    "postgraphile": "#a371f7",
    "bare": "#8b949e",
}
_WIDTH: Final = 800
_LEFT: Final = 170
_RIGHT: Final = 90
_LINE: Final = 15
_BAR: Final = 11
_GAP: Final = 12
_TOP: Final = 44
_STYLE: Final = """<style>
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .small { font-size: 11px; fill: #59636e; }
  .grid { stroke: #8b949e; stroke-opacity: 0.3; }
  @media (prefers-color-scheme: dark) { text { fill: #f0f6fc; } .small { fill: #9198a1; } }
</style>"""


def rates_picture(findings: Findings) -> str:
    """Return a picture of the requests a second: bars as long as the rate beside the fastest of the operation."""
    space = _WIDTH - _LEFT - _RIGHT
    parts = []
    for operation, key, y in _lines(findings):
        fastest = max(findings.medians[operation, each].rate for each in findings.keys)
        rate = findings.medians[operation, key].rate
        length = max(1.0, space * rate / fastest)
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2" fill="{_COLOURS[key]}"/>')
        parts.append(_text(_LEFT + length + 6, y + 10, shown(rate), "small"))
    return _picture(findings, "Requests a second; a bar is as long as it is fast beside the others", parts)


def latencies_picture(findings: Findings) -> str:
    """Return a picture of the latencies: from p50, a dot, to p99, on a scale of powers of ten."""
    values = [value for each in findings.medians.values() for value in (each.p50_ms, each.p99_ms)]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    space = _WIDTH - _LEFT - _RIGHT

    def x_of(milliseconds: float) -> float:
        return _LEFT + space * (math.log10(milliseconds) - low) / (high - low)

    bottom = _height(findings) - _GAP
    parts = []
    for power in range(low, high + 1):
        x = x_of(10.0**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 4}" y2="{bottom}"/>')
        parts.append(_text(x + 3, bottom + 8, f"{10.0**power:,g} ms", "small"))
    for operation, key, y in _lines(findings):
        medians = findings.medians[operation, key]
        begin, end, middle = x_of(medians.p50_ms), x_of(medians.p99_ms), y + _BAR / 2
        stroke = f'stroke="{_COLOURS[key]}" stroke-width="4" stroke-opacity="0.55"'
        parts.append(f'<line x1="{begin:.1f}" x2="{end:.1f}" y1="{middle}" y2="{middle}" {stroke}/>')
        parts.append(f'<circle cx="{begin:.1f}" cy="{middle}" r="4.5" fill="{_COLOURS[key]}"/>')
    return _picture(findings, "Latency: a dot at p50, a line up to p99", parts)


def _lines(findings: Findings) -> Iterable[tuple[str, str, float]]:
    y = float(_TOP)
    for operation in findings.operations:
        for key in findings.keys:
            yield operation, key, y
            y += _LINE
        y += _GAP


def _height(findings: Findings) -> int:
    return _TOP + len(findings.operations) * (len(findings.keys) * _LINE + _GAP) + _GAP


def _picture(findings: Findings, title: str, parts: Sequence[str]) -> str:
    height = _height(findings)
    group = len(findings.keys) * _LINE + _GAP
    names = [
        _text(8, _TOP + number * group + (group - _GAP) / 2 + 4, operation)
        for number, operation in enumerate(findings.operations)
    ]
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
    title_line = f"<title>{escape(title)}</title>"
    return "\n".join([opening, title_line, _STYLE, *_legend(findings.keys), *names, *parts, "</svg>"]) + "\n"


def _legend(keys: Sequence[str]) -> Iterable[str]:
    x = 8.0
    for key in keys:
        yield f'<rect x="{x}" y="10" width="12" height="12" rx="2" fill="{_COLOURS[key]}"/>'
        yield _text(x + 17, 20, KINDS[key].name)
        x += 38 + 6.6 * len(KINDS[key].name)


def _text(x: float, y: float, text: str, style: str = "") -> str:
    given = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{given}>{escape(text)}</text>'
