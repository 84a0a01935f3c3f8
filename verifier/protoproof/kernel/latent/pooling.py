"""What the values of a prototype at all locations of its bank pool to, and in which bounds.

Over independent intervals [lo_l, hi_l] of the values at L locations, and exactly:

* mean, sum, mean of the k largest: between those of all lo and of all hi, as none of them falls
  when a value rises;
* focal, largest less mean: with M the largest lo, between M - mean of min(hi_l, M) and the largest,
  over i, of hi_i - (hi_i + sum of the other lo) / L. From below: the largest is some y >= M; for
  fixed y the mean is largest with all others at min(hi_l, y), and y - mean of min(hi_l, y) does not
  fall in y. From above: it is convex, hence largest at corners, where one location i is the largest
  and lowering any other only helps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from flint import arb, fmpq

from protoproof.kernel.model.head import Pooling
from protoproof.kernel.model.primitives import End, Number, as_ball

# fractions, or exact balls, also infinite ones
_Ends = list[Number]


def pooled(pooling: Pooling, values: Sequence[Number]) -> Number:
    """The pooled value of known values; a ball around it where some of them are balls."""
    low, high = pooled_range(pooling, [(value, value) for value in values])
    if isinstance(low, float) or isinstance(high, float):
        return arb("nan")
    return low if isinstance(low, fmpq) else as_ball(low).union(as_ball(high))


def pooled_range(pooling: Pooling, ranges: Sequence[tuple[End, End]]) -> tuple[End, End]:
    """Bounds of the pooled value; see the module. NaN where some value is not defined."""
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


def _focal(lows: _Ends, highs: _Ends) -> tuple[Number, Number]:
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


def _mean(ends: _Ends, count: int) -> Number:
    """Their sum over a number. Infinite ends are all of one sign."""
    return sum(ends, fmpq(0)) / count


def _number(end: End) -> Number:
    return arb(end) if isinstance(end, float) else end


def _end(number: Number) -> End:
    if isinstance(number, fmpq) or number.is_finite():
        return number
    return math.inf if number > 0 else -math.inf if number < 0 else math.nan
