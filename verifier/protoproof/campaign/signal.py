"""Size as a signal: whether wrong predictions need longer explanations than right ones.

How well a size (or a small margin) tells wrong predictions from right ones is the area under its
curve: the chance that a wrong one has the larger size, ties counted half (Mann and Whitney). Its
interval is Newcombe's fifth method: the areas whose distance from the observed one is at most 1.96
of their own standard errors by Hanley and McNeil, with both counts in these replaced by their mean.
It is no point even where nothing is mixed up, and stays inside [0, 1].

Sources: J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating
characteristic (ROC) curve", Radiology 143, 1982. R. G. Newcombe, "Confidence intervals for an
effect size measure based on the Mann-Whitney statistic. Part 2", Statistics in Medicine 25, 2006.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from protoproof.campaign.record import Record, Row

# Of fewer predictions of either kind, an interval says next to nothing.
FEWEST = 5
_Z = 1.959963984540054
_STEPS = 60
_MOST_POINTS = 101  # of one curve

# What is measured of a proved explanation; the larger, the more suspicious.
UNITS: dict[str, Callable[[Record], float | None]] = {
    "facts": lambda record: record.size,
    "numbers": lambda record: record.numbers,
    "margin": lambda record: None if record.margin is None else -record.margin,
}


@dataclass(frozen=True)
class Point:
    """Who is sent to a person by "more than ``over``" (None: everybody): the wrong predictions
    among them, and all of them."""

    over: float | None
    caught: int
    referred: int


@dataclass(frozen=True)
class Curve:
    """One unit: the area under its curve with its interval (95%), and the curve.

    ``right``, ``wrong``: the mean and the median of either kind. Of ``margin`` all numbers are of
    the negative margin.
    """

    unit: str
    right: tuple[float, float]
    wrong: tuple[float, float]
    area: float
    low: float
    high: float
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Signal:
    """How many proved explanations are of right and of wrong predictions, and what parts them.

    ``unsized``: predictions whose explanation is not proved, and that have no size; ``reason``: why
    nothing was measured, where ``curves`` are none.
    """

    right: int
    wrong: int
    unsized: int
    reason: str
    curves: tuple[Curve, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def signal(rows: Sequence[Row]) -> Signal:
    """What the sizes of a campaign's proved explanations say of its wrong predictions."""
    known = [row for row in rows if row.correct is not None]
    proved = [row for row in known if row.record.state == "proved"]
    wrong = [row.record for row in proved if row.correct is False]
    right = [row.record for row in proved if row.correct]
    few = [
        f"{len(found)} {word} prediction{'' if len(found) == 1 else 's'} with a proved explanation"
        for word, found in (("wrong", wrong), ("right", right))
        if len(found) < FEWEST
    ]
    reason = f"not measured: {' and '.join(few)}, and it takes {FEWEST}" if few else ""
    if not known:
        reason = "not measured: no prediction has a label to compare it with"
    curves = () if reason else tuple(_curves(right, wrong))
    return Signal(len(right), len(wrong), len(known) - len(proved), reason, curves)


def _curves(right: Sequence[Record], wrong: Sequence[Record]) -> list[Curve]:
    found = []
    for unit, measure in UNITS.items():
        values = [[measure(record) for record in kind] for kind in (right, wrong)]
        ordinary, suspect = ([v for v in kind if v is not None] for kind in values)
        if len(ordinary) == len(right) and len(suspect) == len(wrong):
            found.append(curve(unit, ordinary, suspect))
    return found


def curve(unit: str, right: Sequence[float], wrong: Sequence[float]) -> Curve:
    """How well a value tells wrong predictions from right ones; both are non-empty."""
    above = [(value, 1, 0) for value in wrong] + [(value, 0, 1) for value in right]
    above.sort(key=lambda item: -item[0])
    caught = others = index = 0
    pairs = 0.0  # right ones below each wrong one, ties half
    points = [Point(above[0][0], 0, 0)]
    while index < len(above):
        value = above[index][0]
        more = [0, 0]
        while index < len(above) and above[index][0] == value:
            more[0] += above[index][1]
            more[1] += above[index][2]
            index += 1
        pairs += more[0] * (len(right) - others - more[1] / 2)
        caught, others = caught + more[0], others + more[1]
        over = above[index][0] if index < len(above) else None
        points.append(Point(over, caught, caught + others))
    area = pairs / (len(right) * len(wrong))
    low, high = interval(area, len(right), len(wrong))
    ends = [(statistics.fmean(kind), statistics.median(kind)) for kind in (right, wrong)]
    return Curve(unit, ends[0], ends[1], area, low, high, tuple(_thinned(points)))


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """Few enough to store and draw, both ends among them."""
    if len(points) <= _MOST_POINTS:
        return points
    last = len(points) - 1
    return [points[round(n * last / (_MOST_POINTS - 1))] for n in range(_MOST_POINTS)]


def interval(area: float, right: int, wrong: int) -> tuple[float, float]:
    """The interval (95%) of an area under a curve; see the module's docstring."""

    def far(theta: float) -> bool:
        share = (right + wrong) / 2 - 1
        inside = 1 + share * (1 - theta) / (2 - theta) + share * theta / (1 + theta)
        error = math.sqrt(theta * (1 - theta) * inside / (right * wrong))
        return abs(area - theta) > _Z * error

    return _end(area, 0.0, far), _end(area, 1.0, far)


def _end(inside: float, outside: float, far: Callable[[float], bool]) -> float:
    """Where ``far`` begins between two ends, by bisection."""
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if far(middle) else (middle, outside)
    return outside
