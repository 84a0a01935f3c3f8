"""Lines below and above an activation over bounds of its input.

The slopes are free; whatever they are, the intercepts make the lines true. For slope s the line
s x + t lies below f over [l, u] where t <= min (f(x) - s x) there.

* ReLU and LeakyReLU are convex with f(0) = 0: every line through 0 with a slope between both of
  its slopes lies below (another slope is refused). A line lies above a convex function where it
  does so at l and at u.
* sigmoid: f - s x has its extremes at l, u or where f' = f (1 - f) = s, that is (for s < 1/4) at
  f = (1 - r) / 2, a local minimum of f - s x, and (1 + r) / 2, with r = sqrt(1 - 4 s); at the first
  x = -log((1 + r) / (1 - r)). The line above follows from 1 - f(x) = f(-x).
* tanh(x) = 2 sigmoid(2 x) - 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from flint import arb, ctx

from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic import outward
from protoproof.kernel.arithmetic.exact import sigmoid
from protoproof.kernel.arithmetic.outward import Array, Range
from protoproof.kernel.encoder.step import Step


class LinearRelaxation(NamedTuple):
    """low_slope x + low_offset <= f(x) <= high_slope x + high_offset; slopes are exact."""

    low_slope: Array
    low_offset: Array
    high_slope: Array
    high_offset: Array


class Chosen(NamedTuple):
    """Slopes that somebody chose, of the lines below and above; of one activation's shape."""

    low: Array
    high: Array | None


def leaky_relaxation(x: Range, slope: float, chosen: Chosen | None = None) -> LinearRelaxation:
    """Lines of max(x, slope * x) for a slope in [0, 1]; ReLU has slope 0.

    Raises:
        CertificateError: slopes above that are not free, or one below that is not in [slope, 1].
    """
    low, high = x
    crosses = (low < 0) & (high > 0)
    ends = (
        outward.above(np.where(low < 0, slope * low, low)),
        np.where(high < 0, outward.above(slope * high), high),
    )  # f at l and u, rounded up
    width = np.where(crosses, high - low, 1.0)
    chord = np.clip((ends[1] - ends[0]) / width, slope, 1.0)
    known = np.where(low >= 0, 1.0, slope)  # on one side, the function itself
    above = np.where(crosses, chord, known)
    over = [outward.above(end - outward.below(above * at)) for end, at in zip(ends, x, strict=True)]
    offset = np.where(crosses, np.maximum(*over), 0.0)
    usual = np.where(high > -low * (1 + 1e-6), 1.0, slope)
    if chosen is not None:
        usual = chosen.low
        if chosen.high is not None or not ((slope <= usual) & (usual <= 1)).all():
            raise CertificateError("slopes: not of a line below and through the kink")
    below = np.where(crosses, usual, known)
    return LinearRelaxation(below, np.zeros_like(low), above, offset)


def sigmoid_relaxation(x: Range, chosen: Chosen | None = None) -> LinearRelaxation:
    """Lines of 1 / (1 + exp(-x)).

    Raises:
        CertificateError: slopes below without those above.
    """
    if chosen is None:
        below = _best_slopes(x.low, x.high)
        above = _best_slopes(-x.high, -x.low)  # 1 - f(-x) is f: the same function, mirrored
    elif chosen.high is None:
        raise CertificateError("slopes: those of the lines above are missing")
    else:
        below, above = chosen.low, chosen.high
    under = _intercepts(below, x.low, x.high)
    over = _intercepts(above, -x.high, -x.low)
    return LinearRelaxation(below, under, above, outward.above(1.0 - over))


def tanh_relaxation(x: Range, chosen: Chosen | None = None) -> LinearRelaxation:
    """tanh(x) = 2 sigmoid(2 x) - 1: slope 4 s and intercept 2 t - 1."""
    if chosen is not None:
        high = None if chosen.high is None else chosen.high / 4.0
        chosen = Chosen(chosen.low / 4.0, high)
    half = sigmoid_relaxation(Range(2.0 * x.low, 2.0 * x.high), chosen)
    return LinearRelaxation(
        4.0 * half.low_slope,
        outward.below(2.0 * half.low_offset - 1.0),
        4.0 * half.high_slope,
        outward.above(2.0 * half.high_offset - 1.0),
    )


def _best_slopes(low: Array, high: Array) -> Array:
    """Slopes in [0, 1/4] whose lines below are highest in the middle; any slopes are sound.

    The height is concave in the slope, so that thirds close in on the best one.
    """
    least, most = np.zeros_like(low), np.full_like(low, 0.25)
    middle = low / 2 + high / 2
    for _ in range(40):
        a, b = least + (most - least) / 3, most - (most - least) / 3
        better = a * middle + _about(a, low, high) > b * middle + _about(b, low, high)
        least, most = np.where(better, least, a), np.where(better, b, most)
    return least / 2 + most / 2


def _about(slope: Array, low: Array, high: Array) -> Array:
    """min (f(x) - slope x) over [low, high], up to rounding."""
    root = np.sqrt(np.maximum(1 - 4 * slope, 1e-18))
    turn = -np.log((1 + root) / np.maximum(1 - root, 1e-300))
    at = np.clip(turn, low, high)
    found: Array = np.minimum.reduce([_logistic(v) - slope * v for v in (low, high, at)])
    return found


def _logistic(x: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def _intercepts(slope: Array, low: Array, high: Array) -> Array:
    """Lower bounds of min (f(x) - slope x) over [low, high], by balls."""
    table = zip(slope.ravel().tolist(), low.ravel().tolist(), high.ravel().tolist(), strict=True)
    with ctx.workprec(64):
        found = [_intercept(*map(arb, row)) for row in table]
    return np.array(found).reshape(slope.shape)


def _intercept(slope: arb, low: arb, high: arb) -> float:
    values = [sigmoid(low) - slope * low, sigmoid(high) - slope * high]
    rest = 1 - 4 * slope
    if rest > 0 and slope > 0:
        root = rest.sqrt()
        turn = -((1 + root) / (1 - root)).log()
        # counted unless it is certainly outside; a ball that is not finite counts, and is refused
        if not (turn < low or turn > high):
            values.append((1 - root) / 2 - slope * turn)
    elif not (slope >= 0.25 or slope <= 0):
        values.append(arb("nan"))
    return min(outward.float_below(value) for value in values)


def _leaky(step: Step, chosen: Chosen | None) -> LinearRelaxation:
    (alpha,) = step.only(alpha=0.01)
    if not isinstance(alpha, float):
        raise step.refuse("the slope is no number")
    return leaky_relaxation(step.data(), float(np.float32(alpha)), chosen)


RELAXATIONS: dict[str, Callable[[Step, Chosen | None], LinearRelaxation]] = {
    "LeakyRelu": _leaky,
    "Relu": lambda step, chosen: leaky_relaxation(step.data(), 0.0, chosen),
    "Sigmoid": lambda step, chosen: sigmoid_relaxation(step.data(), chosen),
    "Tanh": lambda step, chosen: tanh_relaxation(step.data(), chosen),
}
