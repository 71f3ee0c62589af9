"""A line chart as inline SVG: no script, no font, no file beside it; colours come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 860, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 34
MAX_POINTS = 600

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A named line; ``style`` is its class in the page's style sheet. ``dots`` marks each point."""

    name: str
    points: Sequence[Point]
    style: str
    dots: bool = False


@dataclass(frozen=True)
class _Frame:
    """The axes: from data to pixels."""

    x0: float
    x1: float
    y0: float
    y1: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)


def line_chart(series: Sequence[Series], *, title: str, x_label: str = "step") -> str:
    """The chart of all series on shared axes, with a legend; empty where no series has a point."""
    drawn = [Series(line.name, thin(line.points), line.style, line.dots) for line in series if line.points]
    if not drawn:
        return ""
    frame = _frame([point for line in drawn for point in line.points])
    parts = [*_grid(frame), *(part for line in drawn for part in _line(line, frame))]
    axis = f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(x_label)}</text>'
    legend = "".join(f'<span class="key {line.style}"><i></i>{escape(line.name)}</span>' for line in drawn)
    picture = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}{axis}</svg>'
    )
    return f'<figure><figcaption>{escape(title)}<span class="legend">{legend}</span></figcaption>{picture}</figure>'


def thin(points: Sequence[Point]) -> list[Point]:
    """At most :data:`MAX_POINTS` points: means of equal runs of neighbours."""
    size = -(-len(points) // MAX_POINTS)
    runs = [points[at : at + size] for at in range(0, len(points), max(size, 1))]
    return [(run[-1][0], sum(y for _, y in run) / len(run)) for run in runs]


def smooth(points: Sequence[Point]) -> list[Point]:
    """An exponential moving average over about a fiftieth of the points; few points stay as they are."""
    weight = max(0.0, 1 - 50 / max(len(points), 1))
    total, norm = 0.0, 0.0
    smoothed: list[Point] = []
    for x, y in points:
        total, norm = weight * total + (1 - weight) * y, weight * norm + (1 - weight)
        smoothed.append((x, total / norm))
    return smoothed


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers within [low, high]."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * unit for factor in (1, 2, 2.5, 5, 10) if factor * unit >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _frame(points: Sequence[Point]) -> _Frame:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(ys), max(ys)
    margin = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    left, right = min(0.0, *xs), max(xs)
    return _Frame(left, right if right > left else left + 1, low - margin, high + margin)


def _grid(frame: _Frame) -> list[str]:
    parts: list[str] = []
    for value in ticks(frame.y0, frame.y1):
        y = frame.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for value in ticks(frame.x0, frame.x1, 8):
        x = frame.x(value)
        if x < WIDTH - RIGHT - 60:  # the axis's own name stands at the end
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:,.4g}</text>'
            )
    base = HEIGHT - BOTTOM
    return [*parts, f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>']


def _line(line: Series, frame: _Frame) -> list[str]:
    places = [(frame.x(x), frame.y(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline class="{line.style}" points="{path}"/>']
    if line.dots and len(places) <= 80:
        hints = [f"{line.name} {y:.4f} at {x:,.0f}" for x, y in line.points]
        parts += [
            f'<circle class="{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(hint)}</title></circle>'
            for (x, y), hint in zip(places, hints, strict=True)
        ]
    return parts
