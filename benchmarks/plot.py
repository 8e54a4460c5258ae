"""Results as one SVG: bars on a common scale for each figure worth a look, curves where something grows.

Written by hand, as it is a few rectangles and lines, and its colours fit light and dark pages alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from benchmarks.report import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.result import Figure, Result

_WIDTH: Final = 480
_LABELS: Final = 80
_VALUES: Final = 70
_MARGIN: Final = 24
_COLUMNS: Final = 2
_BAR: Final = 18
_GAP: Final = 6
_HEAD: Final = 34
_COLOURS: Final = {
    "sns-sqs": "#e8590c",
    "sqs": "#adb5bd",
    "sqs-tuned": "#868e96",
    "redis": "#c2255c",
    "rabbitmq": "#1c7ed6",
}
_CURVES: Final = 170
#: How far apart two lines of text have to be.
_LINE: Final = 14
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#495057}.t{font-weight:600;font-size:13px}.v{font-variant-numeric:"
    "tabular-nums}@media(prefers-color-scheme:dark){text{fill:#ced4da}}"
)
#: What is drawn, by benchmark and figure; the tables have the rest.
_BARS: Final = {
    "drain": ("rate", "main process CPU"),
    "publish": ("rate", "producer CPU"),
    "calls": ("all", "polls"),
    "latency": ("median", "last", "a message every"),
    "memory": ("at the end",),
}
_GROWING: Final = "scaling"


@dataclass(frozen=True)
class Panel:
    """A drawing of known height, its upper left corner at the origin."""

    height: int
    svg: str


def draw(results: Sequence[Result]) -> str:
    """Draw all that is worth a look."""
    panels = [panel for result in results for panel in _panels(result)]
    parts, heights = [], [_MARGIN] * _COLUMNS
    for panel in panels:
        column = heights.index(min(heights))
        x, y = _MARGIN + column * (_WIDTH + _MARGIN), heights[column]
        parts.append(f'<g transform="translate({x} {y})">{panel.svg}</g>')
        heights[column] += panel.height
    width, height = _MARGIN + _COLUMNS * (_WIDTH + _MARGIN), max(heights) + _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _panels(result: Result) -> list[Panel]:
    if result.benchmark == _GROWING:
        return _growth(result)
    groups: dict[tuple[str, str, str], list[Figure]] = {}
    for figure in result.figures:
        wanted = figure.name in _BARS.get(result.benchmark, ()) or result.benchmark == "instructions"
        if wanted:
            groups.setdefault((figure.name, figure.condition, figure.unit), []).append(figure)
    return [
        _bars(f"{result.benchmark}, {condition}: {name}, {unit}", figures)
        for (name, condition, unit), figures in groups.items()
    ]


def _bars(title: str, figures: Sequence[Figure]) -> Panel:
    top = max(figure.value for figure in figures) or 1.0
    room = _WIDTH - _LABELS - _VALUES
    parts = [_text(0, 14, title.rstrip(", "), kind="t")]
    for row, figure in enumerate(figures):
        y = _HEAD - 10 + row * (_BAR + _GAP)
        width = max(1.0, figure.value / top * room)
        colour = _COLOURS.get(figure.contender, "#495057")
        parts.append(_text(_LABELS - 8, y + 13, figure.contender, anchor="end"))
        parts.append(f'<rect x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>')
        parts.append(_text(_LABELS + width + 6, y + 13, number(figure.value), kind="v"))
    return Panel(_HEAD + len(figures) * (_BAR + _GAP) + 8, "".join(parts))


def _growth(result: Result) -> list[Panel]:
    """Curves over the number of messages, or of queues, which a condition begins with; both axes logarithmic."""
    series: dict[tuple[str, str, str], dict[str, list[tuple[float, float]]]] = {}
    for figure in result.figures:
        count, _, what = figure.condition.partition(" ")
        curves = series.setdefault((figure.name, what, figure.unit), {})
        curves.setdefault(figure.contender, []).append((float(count.replace(",", "")), figure.value))
    return [_curves(f"scaling: {name}, {unit}, over {what}", curves) for (name, what, unit), curves in series.items()]


def _curves(title: str, curves: dict[str, list[tuple[float, float]]]) -> Panel:
    points = [point for curve in curves.values() for point in curve]
    left, right, top, bottom = _LABELS, _WIDTH - _VALUES - 50, _HEAD, _HEAD + _CURVES - 40
    across = _Scale([x for x, _ in points], left, right)
    down = _Scale(_decades([y for _, y in points]), bottom, top)
    parts = [_text(0, 14, title, kind="t")]
    parts.append(f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#adb5bd"/>')
    parts += [_text(across(x), bottom + 16, f"{x:,.0f}", anchor="middle") for x in sorted({x for x, _ in points})]
    parts += [_text(left - 8, down(y) + 4, number(y), anchor="end") for y in _decades([y for _, y in points])]
    for name, curve in curves.items():
        colour = _COLOURS.get(name, "#495057")
        path = "L".join(f"{across(x):.1f} {down(y):.1f}" for x, y in curve)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="3" fill="{colour}"/>' for x, y in curve]
    ends = {name: (across(curve[-1][0]), down(curve[-1][1])) for name, curve in curves.items()}
    lowest = 0.0
    for name in sorted(ends, key=lambda one: ends[one][1]):
        x, y = ends[name]
        lowest = max(y, lowest + _LINE)
        parts.append(_text(x + 8, lowest + 4, f"{name} {number(curves[name][-1][1])}", kind="v"))
    return Panel(_HEAD + _CURVES, "".join(parts))


def _decades(values: Sequence[float]) -> list[float]:
    """The powers of ten around and between these numbers: an axis from one to the next makes nothing look steep."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


class _Scale:
    """Maps positive numbers to a stretch of an axis by their logarithms."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        positive = [value for value in values if value > 0] or [1.0]
        self.low, self.high = min(positive), max(positive)
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        span = math.log(self.high / self.low) or 1.0
        return self._start + (self._end - self._start) * math.log(max(value, self.low) / self.low) / span


def _text(x: float, y: float, text: str, *, kind: str = "", anchor: str = "start") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{shown}>{escape(text)}</text>'
