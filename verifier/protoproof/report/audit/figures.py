"""Figures as geometry: bars, curves and cells, which the template draws as SVG.

Drawn by hand, not by a plotting library: a few hundred bytes each, sharp on paper, and in the
page's own colours in light and dark.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from protoproof.campaign.signal import Curve as Told
from protoproof.campaign.signal import Signal
from protoproof.report.audit.page import AuditRegion, Step

WIDTH, HEIGHT = 560.0, 180.0  # of the plotting area, in drawing units
SIDE = 240.0  # of a square one
_BARS = 24
_LABEL = 48.0  # the room that a number below an axis takes


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram, with the values from ``low`` to ``high`` that it counts."""

    x: float
    y: float
    width: float
    height: float
    low: int
    high: int
    count: int


@dataclass(frozen=True)
class Histogram:
    """Sizes of explanations in one vocabulary."""

    vocabulary: str
    bars: tuple[Bar, ...]
    count: int
    median: float
    p95: int
    largest: int
    tallest: int


def histogram(vocabulary: str, sizes: Sequence[int]) -> Histogram:
    """At most two dozen bars of equal range over the sizes (at least one is needed)."""
    ordered = sorted(sizes)
    low, high = ordered[0], ordered[-1]
    step = max(1, math.ceil((high - low + 1) / _BARS))
    counts = Counter((size - low) // step for size in ordered)
    columns = (high - low) // step + 1
    tallest, wide = max(counts.values()), WIDTH / columns
    bars = tuple(
        Bar(
            x=round(column * wide + 0.06 * wide, 2),
            y=round(HEIGHT * (1 - counts[column] / tallest), 2),
            width=round(0.88 * wide, 2),
            height=round(HEIGHT * counts[column] / tallest, 2),
            low=low + column * step,
            high=low + (column + 1) * step - 1,
            count=counts[column],
        )
        for column in range(columns)
    )
    middle = len(ordered) // 2
    median = (ordered[middle] + ordered[~middle]) / 2
    p95 = ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)]
    return Histogram(vocabulary, bars, len(ordered), median, p95, high, tallest)


@dataclass(frozen=True)
class Fall:
    """One step of a waterfall, in percent of its width."""

    label: str
    value: float
    x: float
    width: float
    kind: str


def waterfall(steps: Sequence[Step]) -> tuple[Fall, ...]:
    """Steps one after another from 0, and their sum as the last bar."""
    ends = [0.0]
    for step in steps:
        ends.append(ends[-1] + step.value)
    low, high = min(ends), max(ends)
    scale = 100 / (high - low) if high > low else 0.0
    falls = [
        Fall(
            step.label,
            step.value,
            round((min(start, end) - low) * scale, 2),
            round(max(abs(end - start) * scale, 0.4), 2),
            "up" if step.value >= 0 else "down",
        )
        for step, start, end in zip(steps, ends, ends[1:], strict=False)
    ]
    total = ends[-1]
    start = round((min(0.0, total) - low) * scale, 2)
    falls.append(Fall("observed margin", total, start, round(abs(total) * scale, 2), "sum"))
    return tuple(falls)


@dataclass(frozen=True)
class Point:
    """Certified share at one radius, its place in the drawing, and what to write below it."""

    x: float
    y: float
    radius: float
    certified: int
    label: str


@dataclass(frozen=True)
class Curve:
    """Certified accuracy against the radius, in one norm."""

    norm: str
    total: int
    points: tuple[Point, ...]


def curves(regions: Sequence[AuditRegion], correct: int) -> tuple[Curve, ...]:
    """One curve per norm, for radii of different norms do not compare.

    Each begins at radius 0, where certified accuracy is accuracy: ``correct`` instances.
    """
    found = []
    for norm in sorted({region.norm for region in regions if region.norm is not None}):
        balls = [region for region in regions if region.norm == norm]
        shares = {0.0: correct} | {ball.radius or 0.0: ball.certified for ball in balls}
        total, widest = balls[0].total, max(shares) or 1.0
        points, free = [], -math.inf
        for radius in sorted(shares):
            x = WIDTH * radius / widest
            label = f"{radius:g}" if x >= free else ""
            free = x + _LABEL if label else free
            y = HEIGHT * (1 - shares[radius] / total)
            points.append(Point(round(x, 2), round(y, 2), radius, shares[radius], label))
        found.append(Curve(norm, total, tuple(points)))
    return tuple(found)


@dataclass(frozen=True)
class Roc:
    """One unit's curve: of the right predictions across, of the wrong ones upwards, the share that
    is above a size; ``path`` are the points of a line in a square ``SIDE`` wide."""

    told: Told
    path: str


def roc(signal: Signal) -> tuple[Roc, ...]:
    """A curve per unit that was measured."""
    return tuple(Roc(curve, _path(curve, signal)) for curve in signal.curves)


def _path(curve: Told, signal: Signal) -> str:
    places = (
        (
            SIDE * (point.referred - point.caught) / signal.right,
            SIDE * (1 - point.caught / signal.wrong),
        )
        for point in curve.points
    )
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


@dataclass(frozen=True)
class Cell:
    """One class and prototype of the use matrix; only used ones are drawn."""

    x: float
    y: float
    class_: int
    prototype: int
    count: int
    opacity: float


@dataclass(frozen=True)
class Matrix:
    """Which classes' explanations name which prototypes."""

    cells: tuple[Cell, ...]
    columns: int
    rows: int
    side: float


def matrix(use: Sequence[Sequence[int]]) -> Matrix:
    """Cells of a grid ``WIDTH`` wide, darker the more explanations name the prototype."""
    rows, columns = len(use), max((len(row) for row in use), default=0)
    most = max((count for row in use for count in row), default=0) or 1
    side = round(WIDTH / max(columns, 1), 3)
    cells = tuple(
        Cell(
            x=round(j * side, 2),
            y=float(k * 14),
            class_=k,
            prototype=j,
            count=count,
            opacity=round(0.25 + 0.75 * math.sqrt(count / most), 2),
        )
        for k, row in enumerate(use)
        for j, count in enumerate(row)
        if count
    )
    return Matrix(cells, columns, rows, side)
