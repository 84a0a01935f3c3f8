"""What the values of a prototype at all locations of its bank pool to, and in which bounds.

Over independent intervals [lo_l, hi_l] of the values at L locations, and exactly where not said
otherwise:

* mean, sum, mean of the k largest: between those of all lo and of all hi, as none of them falls
  when a value rises;
* nearest less mean, f(least) - f(mean): the least lies between the least of all lo and that of all
  hi, the mean between those of all lo and of all hi, and f of either in the image of that range. So
  their difference lies in the difference of the two images, whatever f is. It is also never less
  than 0, as the least is at most the mean and f never rises (``Head`` refuses one that may). Not
  exact: that both are made of the same values does not enter;
* focal, largest less mean: with M the largest lo, between M - mean of min(hi_l, M) and the largest,
  over i, of hi_i - (hi_i + sum of the other lo) / L. From below: the largest is some y >= M; for
  fixed y the mean is largest with all others at min(hi_l, y), and y - mean of min(hi_l, y) does not
  fall in y. From above: it is convex, hence largest at corners, where one location i is the largest
  and lowering any other only helps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce

from flint import arb, fmpq

from protoproof.kernel.model.head import Pooling
from protoproof.kernel.model.primitives import ZERO, End, Number, as_ball, at_least

# fractions, or exact balls, also infinite ones
_Numbers = list[Number]


def pooled(
    pooling: Pooling, values: Sequence[Number], common: Callable[[Number], Number]
) -> Number:
    """The pooled value of known values; a ball around it where some number is a ball.

    ``common``: the f of nearest less mean.
    """
    if pooling.kind == "nearest less mean":
        nearest, mean = _least(values), _mean(values, len(values))
        # where all are one number, whatever the function makes of it
        return ZERO if nearest == mean else common(nearest) - common(mean)
    low, high = _ends(pooling, [(value, value) for value in values])
    if isinstance(low, float) or isinstance(high, float):
        return arb("nan")
    return low if isinstance(low, fmpq) else as_ball(low).union(as_ball(high))


def pooled_range(
    pooling: Pooling,
    ranges: Sequence[tuple[End, End]],
    common: Callable[[End, End], tuple[End, End]],
) -> tuple[End, End]:
    """Bounds of the pooled value; see the module. NaN where some value is not defined.

    ``common``: from bounds of an argument to those of the f of nearest less mean.
    """
    if pooling.kind == "nearest less mean":
        return _nearest_less_mean(ranges, common)
    return _ends(pooling, ranges)


def _ends(pooling: Pooling, ranges: Sequence[tuple[End, End]]) -> tuple[End, End]:
    lows, highs = [_number(low) for low, _ in ranges], [_number(high) for _, high in ranges]
    if any(isinstance(end, arb) for end in (*lows, *highs)):
        # exact ends, so that every comparison below is certain; each is rounded outwards
        if any(as_ball(end).is_nan() for end in (*lows, *highs)):
            return math.nan, math.nan
        lows, highs = [as_ball(n).lower() for n in lows], [as_ball(n).upper() for n in highs]
    if pooling.kind == "focal":
        low, high = _focal(lows, highs)
    else:
        count = {"sum": 1, "k-largest mean": pooling.largest}.get(pooling.kind, len(ranges))
        if pooling.kind == "k-largest mean":
            lows, highs = (sorted(ends, reverse=True)[:count] for ends in (lows, highs))
        low, high = _mean(lows, count), _mean(highs, count)
    return _end(low), _end(high)


def _nearest_less_mean(
    ranges: Sequence[tuple[End, End]], common: Callable[[End, End], tuple[End, End]]
) -> tuple[End, End]:
    lows, highs = ([_number(ends[side]) for ends in ranges] for side in (0, 1))
    count = len(ranges)
    near = common(_end(_least(lows)), _end(_least(highs)))
    mean = common(_end(_mean(lows, count)), _end(_mean(highs, count)))
    low, high = (_difference(one, other) for one, other in ((near[0], mean[1]), (near[1], mean[0])))
    return low if at_least(low, ZERO) else ZERO, high


def _difference(left: End, right: End) -> End:
    """NaN where an end is, or both are infinite alike."""
    return _end(_number(left) - _number(right))


def _least(values: Sequence[Number]) -> Number:
    """A fraction; a ball around the least where some value is a ball."""
    if all(isinstance(value, fmpq) for value in values):
        return min(values)
    return reduce(arb.min, map(as_ball, values))


def _focal(lows: _Numbers, highs: _Numbers) -> tuple[Number, Number]:
    count, largest = len(lows), max(lows)
    low = largest - _mean([min(high, largest) for high in highs], count)
    total = sum(lows, fmpq(0))
    tops = [high - (high + total - own) / count for high, own in zip(highs, lows, strict=True)]
    if any(isinstance(top, arb) for top in tops):
        if not all(as_ball(n).is_finite() for n in (*lows, *highs)):
            # the mean is at most the largest; and nothing bounds the difference from above
            low = low if as_ball(low).is_finite() else fmpq(0)
            return low, arb("inf") if count > 1 else fmpq(0)
        tops = [as_ball(top).upper() for top in tops]
    return low, max(tops)


def _mean(ends: Sequence[Number], count: int) -> Number:
    """Their sum over a number. Infinite ends are all of one sign."""
    return sum(ends, fmpq(0)) / count


def _number(end: End) -> Number:
    return arb(end) if isinstance(end, float) else end


def _end(number: Number) -> End:
    if isinstance(number, fmpq) or number.is_finite():
        return number
    return math.inf if number > 0 else -math.inf if number < 0 else math.nan
