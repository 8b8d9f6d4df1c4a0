"""Curves and bars as numbers that an inline SVG takes; the template draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

WIDTH, HEIGHT = 420, 250  # units of the drawing; its texts are 12 units high
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 36  # around the plot
POINTS = 300  # of a curve; more are averaged

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """One curve: its name, how it is drawn (a CSS class), and its points (x, y)."""

    name: str
    style: str
    points: Points


@dataclass(frozen=True)
class Chart:
    """A chart in units of the drawing.

    lines: for each curve its name, style, the points of a polyline and the dots (x, y). bars: x, y,
    width, height. across, up: where a tick is, and its text.
    """

    title: str
    alt: str
    x_title: str
    lines: tuple[tuple[str, str, str, tuple[tuple[float, float], ...]], ...]
    bars: tuple[tuple[float, float, float, float], ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]


def curves(
    title: str,
    x_title: str,
    drawn: Sequence[Curve],
    *,
    alt: str,
    low: float | None = None,
    high: float | None = None,
) -> Chart:
    """Curves over one pair of axes; low and high: what the upright one has to show."""
    thinned = [Curve(c.name, c.style, _thinned(_finite(c.points))) for c in drawn]
    thinned = [curve for curve in thinned if curve.points]
    xs = [x for curve in thinned for x, _ in curve.points] or [0.0]
    ys = [y for curve in thinned for _, y in curve.points] or [0.0]
    across = ticks(min(0.0, *xs), max(xs))
    up = ticks(min(ys) if low is None else low, max(ys) if high is None else high)
    x_scale, y_scale = _Scale(across, LEFT, WIDTH - RIGHT), _Scale(up, HEIGHT - BOTTOM, TOP)
    lines = []
    for curve in thinned:
        places = tuple((x_scale(x), y_scale(y)) for x, y in curve.points)
        text = " ".join(f"{x:g},{y:g}" for x, y in places)
        lines.append((curve.name, curve.style, text, places if len(places) <= 30 else ()))
    return Chart(
        title, alt, x_title, tuple(lines), (), _labelled(across, x_scale), _labelled(up, y_scale)
    )


def bars(title: str, x_title: str, heights: Sequence[float], *, high: float, alt: str) -> Chart:
    """Bars side by side over the axis from 0 to `high`; heights are shares, shown in percent."""
    up = ticks(0.0, 100 * max(heights, default=0) or 1.0)
    y_scale = _Scale(up, HEIGHT - BOTTOM, TOP)
    across = [0, high / 4, high / 2, 3 * high / 4, high]
    x_scale = _Scale(across, LEFT, WIDTH - RIGHT)
    step = (WIDTH - LEFT - RIGHT) / max(1, len(heights))
    drawn = []
    for k, height in enumerate(heights):
        top = y_scale(100 * height)
        left = round(LEFT + k * step + 0.5, 2)
        drawn.append((left, top, round(step - 1, 2), round(HEIGHT - BOTTOM - top, 2)))
    return Chart(
        title, alt, x_title, (), tuple(drawn), _labelled(across, x_scale), _labelled(up, y_scale)
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers, evenly spaced, from `low` or below to `high` or above, about `count`."""
    if not high > low:
        low, high = (low - 0.5, low + 0.5) if low else (0.0, 1.0)
    rough = (high - low) / count
    power = 10.0 ** floor(log10(rough))
    step = next(power * k for k in (1, 2, 2.5, 5, 10) if power * k >= rough * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


class _Scale:
    """A straight map from the ticks' range to a range of the drawing."""

    def __init__(self, ticks: Sequence[float], start: float, stop: float) -> None:
        self._low, self._span = ticks[0], (ticks[-1] - ticks[0]) or 1.0
        self._start, self._stop = start, stop

    def __call__(self, value: float) -> float:
        part = (value - self._low) / self._span
        return round(self._start + part * (self._stop - self._start), 2)


def _labelled(ticks: Sequence[float], scale: _Scale) -> tuple[tuple[float, str], ...]:
    return tuple((scale(tick), f"{tick:g}") for tick in ticks)


def _finite(points: Points) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if isfinite(y)]  # a run that diverged has losses that are not


def _thinned(points: Points) -> Points:
    """At most POINTS points; each is the mean of its neighbours where there are more."""
    if len(points) <= POINTS:
        return points
    size = ceil(len(points) / POINTS)
    parts = [points[k : k + size] for k in range(0, len(points), size)]
    return [(sum(x for x, _ in p) / len(p), sum(y for _, y in p) / len(p)) for p in parts]
