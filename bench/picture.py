"""The same as a picture (SVG): small requests that a second of CPU serves, by proxy; ratios to nginx, by scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.peers.nginx import NGINX
from bench.results import Results
from bench.scenarios import SCENARIOS

WIDTH, NAMES, VALUES = 760, 290, 60
BAR, STEP, TITLE = 14, 20, 34
OWN, OTHER, MARK = "#2f6fde", "#9aa5b1", "#d1495b"
# Readable on white and on black.
TEXT = "#6b7580"


@dataclass(frozen=True, slots=True)
class Bar:
    """One line: its name, its value and how that is written; `mark`: a target on the same scale."""

    name: str
    value: float
    shown: str
    own: bool = True
    mark: float | None = None


def picture(results: Results, ours: str) -> str:
    """Both charts, one above the other."""
    first = SCENARIOS[0]
    served = [
        Bar(name, 1 / cpu, f"{1 / cpu:,.0f}", own=name == ours)
        for name in results.samples.get(first.key, {})
        if (cpu := results.cpu(first.key, name))
    ]
    ratios = [
        Bar(one.title, ratio, f"{ratio:.2f}", mark=one.target)
        for one in SCENARIOS
        if (ratio := results.ratio(one.key, NGINX.name, ours)) is not None
    ]
    charts = [
        (f"{first.title.capitalize()}: requests that a second of the proxy's CPU serves", served),
        (f"nginx's CPU divided by that of {ours} (line: target)", ratios),
    ]
    lines, top = [], 0
    for title, bars in charts:
        lines += _chart(title, bars, top)
        top += TITLE + STEP * len(bars) + STEP
    style = 'font-family="sans-serif" font-size="12"'
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>', *lines, "</svg>", ""])


def _chart(title: str, bars: Sequence[Bar], top: int) -> list[str]:
    most = max((max(bar.value, bar.mark or 0.0) for bar in bars), default=1.0)
    scale = (WIDTH - NAMES - VALUES) / most
    lines = [f'<text x="0" y="{top + 20}" font-weight="bold" fill="{TEXT}">{escape(title)}</text>']
    for number, bar in enumerate(bars):
        y = top + TITLE + STEP * number
        lines += _bar(bar, y, scale)
    return lines


def _bar(bar: Bar, y: int, scale: float) -> list[str]:
    length = bar.value * scale
    colour = OWN if bar.own else OTHER
    lines = [
        f'<text x="{NAMES - 8}" y="{y + 11}" text-anchor="end" fill="{TEXT}">{escape(bar.name)}</text>',
        f'<rect x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
    ]
    end = length
    if bar.mark is not None:
        x = NAMES + bar.mark * scale
        lines.append(f'<rect x="{x:.1f}" y="{y - 2}" width="2" height="{BAR + 4}" fill="{MARK}"/>')
        end = max(length, bar.mark * scale + 2)
    return [*lines, f'<text x="{NAMES + end + 6:.1f}" y="{y + 11}" fill="{TEXT}">{escape(bar.shown)}</text>']
