"""Rules of rounding for numbers whose range is known, and whose error grows with no latent.

Of a number x with |computed - x| <= r |x| + a, r < 1, both x + r |x| + a and x - r |x| - a rise
with x; hence the largest of several keeps the largest r and the largest a (``docs/level-f.md``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from flint import arb, ctx

from protoproof.kernel.arithmetic.exact import sigmoid
from protoproof.kernel.arithmetic.outward import float_below
from protoproof.kernel.budget import SIMILARITY, spend
from protoproof.kernel.float32.record import (
    ETA,
    FUNCTIONS,
    NOWHERE,
    Array,
    Record,
    U,
    sums,
    times,
    up,
)
from protoproof.kernel.model.symbolic.arrays import Shape

Pair = tuple[Array, Array]


def rounded(record: Record, relative: float = 1, absolute: float = 0.0) -> Record:
    """What f(x)(1 + d) + e adds, |d| <= relative u and |e| <= absolute."""
    more = 1 + relative * U
    return replace(
        record,
        r=up((1 + record.r) * more - 1 + 2.0**-50),
        a0=up(record.a0 * more + absolute),
        floor=-NOWHERE,
        roof=NOWHERE,
    )


def outward(low: Array, high: Array) -> Pair:
    """Ends that were rounded once."""
    with np.errstate(invalid="ignore"):
        return np.nextafter(low, -np.inf), np.nextafter(high, np.inf)


def plus(x: Record, y: Record, shape: Shape) -> Record:
    """x + y, of which neither error grows with the latent."""
    low, high = _sum(x.low, y.low), _sum(x.high, y.high)
    least, most = _sum(x.least, y.least), _sum(x.most, y.most)
    alike = ((x.low >= 0) & (y.low >= 0)) | ((x.high <= 0) & (y.high <= 0))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # of one sign: r |x| <= r k |x + y|, k the share of the sum that x can be
        share = times(x.r, _share(x, y)) + times(y.r, _share(y, x))
        r = np.where(alike, np.minimum(np.maximum(x.r, y.r), share), 0.0)
        across = np.where(alike, 0.0, times(x.r, x.size) + times(y.r, y.size))
        # where one is not bounded: |x| <= |x + y| + |y|
        for one, other in ((x, y), (y, x)):
            open_ = ~alike & ~np.isfinite(one.size) & (one.r > 0) & np.isfinite(other.size)
            r = np.where(open_, one.r, r)
            across = np.where(open_, times(one.r + other.r, other.size), across)
    found = Record(shape, up(r), a0=up(x.a0 + y.a0 + across))
    ends = (*_out(low, high), *_out(least, most))
    return rounded(found).between(*ends)


def _share(x: Record, y: Record) -> Array:
    """The largest |x| / |x + y| of numbers of one sign; at most 1."""
    floor = np.minimum(np.abs(y.low), np.abs(y.high))
    size = x.size
    with np.errstate(invalid="ignore"):
        found = size / (size + floor)
    return np.where(np.isfinite(size) & (size + floor > 0), found, 1.0)


def _sum(left: Array, right: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray(left + right)


def _out(low: Array, high: Array) -> Pair:
    """Ends of an interval, outwards; nothing is known where one is NaN."""
    low, high = outward(low, high)
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)


def product_range(x: Pair, y: Pair) -> Pair:
    """Of a product."""
    corners = [times(a, b) for a in x for b in y]
    return _out(np.minimum.reduce(corners), np.maximum.reduce(corners))


def by(x: Record, y: Record, shape: Shape, shifted: bool = False) -> Record:
    """x * y; ``shifted``: y are exact powers of two."""
    x, y = _beside_open(x, y), _beside_open(y, x)
    r = up((1 + x.r) * (1 + y.r) - 1 + 2.0**-50) if np.any(y.r > 0) else x.r
    a0 = up(
        times(x.a0, times(y.size, 1 + y.r))
        + times(y.a0, times(x.size, 1 + x.r))
        + times(x.a0, y.a0)
    )
    found = rounded(Record(shape, r, a0=a0), 0 if shifted else 1, ETA)
    first = product_range((x.low, x.high), (y.low, y.high))
    return found.between(*first, *product_range((x.least, x.most), (y.least, y.most)))


def _beside_open(x: Record, other: Record) -> Record:
    """With the whole error relative, where the other factor has no bound and this one is not 0."""
    if np.isfinite(other.size).all():
        return x
    share, _ = relative(x)
    whole = np.isfinite(share) & (x.a0 > 0)
    return replace(x, r=np.where(whole, share, x.r), a0=np.where(whole, 0.0, x.a0))


def over(x: Record, y: Record, shape: Shape) -> Record:
    """x / y; nothing is bounded where y may be 0."""
    share, smallest = relative(y)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        grown = 1 / (1 - share)
        r = np.where(share < 1, (1 + x.r) * grown - 1 + 2.0**-50, np.inf)
        a0 = np.where(share < 1, times(x.a0, grown / smallest), np.inf)
        inverse = [_inverse(y.low, y.high), _inverse(y.least, y.most)]
    found = rounded(Record(shape, up(r), a0=up(a0)), 1, ETA)
    first = product_range((x.low, x.high), inverse[0])
    return found.between(*first, *product_range((x.least, x.most), inverse[1]))


def _inverse(low: Array, high: Array) -> Pair:
    with np.errstate(divide="ignore"):
        one = (low > 0) | (high < 0)
        return _out(np.where(one, 1 / high, -np.inf), np.where(one, 1 / low, np.inf))


def relative(x: Record) -> Pair:
    """The whole error relative to |x|, and the least |x|; infinite where x may be 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        smallest = np.where(x.low > 0, x.low, np.where(x.high < 0, -x.high, 0.0))
        share = x.r + np.where(x.a0 > 0, x.a0 / smallest, 0.0)
    return up(np.where(smallest > 0, share, np.where(x.a0 > 0, np.inf, x.r))), smallest


def total(x: Record, axes: tuple[int, ...], mean: bool) -> Record:
    """A sum (or mean) over axes, which are left out; ``fresh`` is of the computed terms."""
    count = math.prod(x.shape[k] for k in axes)
    low, high, least, most, r, a0, fresh = (
        x.spread(name) for name in ("low", "high", "least", "most", "r", "a0", "fresh")
    )
    size = np.maximum(np.abs(low), np.abs(high))
    grown, unit = sums(count - 1), 1.0 / count if mean else 1.0
    alike = (low >= 0).all(axis=axes) | (high <= 0).all(axis=axes)
    errors = up((times(r, size) + a0).sum(axis=axes), count)
    whole = up((times(1 + r, size) + a0).sum(axis=axes), count)
    absolute = up(errors + times(np.asarray(grown), whole)) * unit
    kept = up(a0.sum(axis=axes) * (1 + grown), count) * unit
    with np.errstate(invalid="ignore"):
        ends = [
            _out(
                up_down(a.sum(axis=axes), count, -1) * unit,
                up_down(b.sum(axis=axes), count, 1) * unit,
            )
            for a, b in ((low, high), (least, most))
        ]
    shape = tuple(n for k, n in enumerate(x.shape) if k not in axes)
    found = Record(
        shape,
        up(np.where(alike, (1 + r.max(axis=axes)) * (1 + grown) - 1 + 2.0**-50, 0.0)),
        a0=np.where(alike, kept, absolute),
        fresh=up(fresh.sum(axis=axes) * unit + times(np.asarray(grown), whole) * unit, count),
    )
    found = found.between(*ends[0], *ends[1])
    if mean:
        size = found.size
        found = rounded(found, 3, ETA)
        found = replace(
            found, fresh=up(found.fresh * (1 + 3 * U) + times(np.asarray(3 * U), size) + ETA)
        )
    return found


def up_down(values: Array, terms: int, sign: int) -> Array:
    """A sum of terms of any sign, moved outwards by more than float64 rounds it."""
    with np.errstate(invalid="ignore"):
        return np.asarray(values + sign * np.abs(values) * (terms + 8) * 2.0**-50 + sign * 1e-300)


def limited(x: Record, low: Array | None, high: Array | None) -> Record:
    """max(x, low) and min(x, high), for exact limits."""
    ends = [x.low, x.high, x.least, x.most]
    if low is not None:
        ends = [np.maximum(end, low) for end in ends]
    if high is not None:
        ends = [np.minimum(end, high) for end in ends]
    return x.between(*ends)


def negative(x: Record) -> Record:
    return x.between(-x.high, -x.low, -x.most, -x.least)


def absolute(x: Record) -> Record:
    def ends(low: Array, high: Array) -> Pair:
        inside = (low <= 0) & (high >= 0)
        near = np.where(inside, 0.0, np.minimum(np.abs(low), np.abs(high)))
        return near, np.maximum(np.abs(low), np.abs(high))

    return x.between(*ends(x.low, x.high), *ends(x.least, x.most))


def jumped(x: Record, limit: Array) -> Record:
    """0 where x < limit, else x: where rounding may decide, the whole number is the error; the
    computed one lies between the ends all the same."""
    error = up(times(x.r, np.abs(limit)) + x.a0) / (1 - np.minimum(x.r, 0.5))
    apart = (x.low > limit + 2 * error) | (x.high < limit - 2 * error)
    # of exact numbers the comparison is exact
    a0 = np.where(apart | (error == 0), x.a0, up(np.abs(limit) + 4 * error + x.a0))
    low, high = x.pooled().computed
    under, above = low < limit, high >= limit
    ends = [np.minimum(x.low, 0.0), np.maximum(x.high, 0.0)]
    ends += [np.minimum(x.least, 0.0), np.maximum(x.most, 0.0)]
    return replace(
        replace(x, a0=a0).between(*ends),
        floor=np.where(under, np.minimum(low, 0.0), low),
        roof=np.where(above, np.maximum(high, 0.0), 0.0),
    )


def function(kind: str, x: Record, exponent: float = 1.0) -> Record:
    """A function of one number that a runtime approximates."""
    steps = {
        "exp": _exp, "log": _log, "sqrt": _root, "sigmoid": _sigmoid, "tanh": _tanh,
        "softplus": _softplus, "reciprocal": _reciprocal,
    }  # fmt: skip
    if kind == "power":
        found, ball = _power(x, exponent), lambda t: t ** arb(exponent)
        falling = exponent < 0
    else:
        found, ball, falling = steps[kind](x), _BALLS[kind], kind == "reciprocal"
    relative_error, absolute_error = FUNCTIONS[kind]
    ends = [_image(ball, a, b, falling, kind) for a, b in ((x.low, x.high), (x.least, x.most))]
    return rounded(found, relative_error, max(absolute_error * U, ETA)).between(*ends[0], *ends[1])


_BALLS: dict[str, Callable[[arb], arb]] = {
    "exp": lambda t: t.exp(),
    "log": lambda t: t.log(),
    "sqrt": lambda t: t.sqrt(),
    "sigmoid": sigmoid,
    "tanh": lambda t: t.tanh(),
    "softplus": lambda t: t + (-t).exp().log1p() if t > 0 else t.exp().log1p(),
    "reciprocal": lambda t: 1 / t,
}
# f at minus and plus infinity, and where it is not defined from there down
_LIMITS = {
    "exp": (0.0, np.inf), "log": (-np.inf, np.inf), "sqrt": (0.0, np.inf),
    "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softplus": (0.0, np.inf),
}  # fmt: skip


def _image(ball: Callable[[arb], arb], low: Array, high: Array, falling: bool, kind: str) -> Pair:
    if falling:
        one = (low > 0) | (high < 0) if kind == "reciprocal" else low > 0
        first, last = _each(ball, high, -1, 0.0), _each(ball, low, 1, np.inf)
        return np.where(one, first, -np.inf), np.where(one, last, np.inf)
    under, above = _LIMITS.get(kind, (0.0, np.inf))
    if kind in ("log", "sqrt", "power"):
        low = np.maximum(low, 0.0)
    return _each(ball, low, -1, under), _each(ball, high, 1, above)


def _each(ball: Callable[[arb], arb], ends: Array, sign: int, limit: float) -> Array:
    """The function at every end, outwards; ``limit``: where the end is infinite, or it has none."""
    values, place = np.unique(ends, return_inverse=True)
    spend("the rounding of similarities", SIMILARITY * values.size)
    found = np.full(values.shape, limit)
    with ctx.workprec(64):
        for k, value in enumerate(values.tolist()):
            if math.isfinite(value):
                result = ball(arb(value))
                if result.is_finite():
                    found[k] = float_below(result) if sign < 0 else -float_below(-result)
    return np.asarray(found[place].reshape(np.shape(ends)))


def _small(exponent: Array) -> Array:
    """e^t - 1, or more."""
    return np.where(exponent <= 1, exponent * (1 + exponent), np.inf)


def _exp(x: Record) -> Record:
    with np.errstate(invalid="ignore", over="ignore"):
        relative_error = _small(up(times(x.r, x.size) + x.a0))
        # x <= 0: |x| e^x <= 1 / e
        most = np.exp(np.minimum(x.high, 700.0)) * (1 + 2.0**-40)
        a0 = np.where(
            x.high <= 0,
            (1 + _small(x.a0)) * (x.r / (1 - np.minimum(x.r, 0.5)) + x.a0),
            np.inf,
        )
        first = times(relative_error, most) <= a0
    return Record(
        x.shape, up(np.where(first, relative_error, 0.0)), a0=up(np.where(first, 0.0, a0))
    )


def _log(x: Record) -> Record:
    share, _ = relative(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        known = (share < 1) & (x.low > 0)
        a0 = np.where(known, share / (1 - np.minimum(share, 0.999)), np.inf)
    return Record(x.shape, a0=up(np.where(share < 0.999, a0, np.inf)))


def _root(x: Record) -> Record:
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.maximum(x.low, 0.0)
        share, _ = relative(x)
        a0 = np.minimum(
            np.sqrt(x.a0), np.where(share < 0.5, x.a0 / (2 * np.sqrt(low * 0.5)), np.inf)
        )
        a0 = np.where(x.a0 > 0, a0, 0.0)
    return Record(x.shape, np.where(x.low >= 0, x.r, np.inf), a0=up(a0))


def _bounded(x: Record, steepest: float, inside: float) -> Record:
    """|f'| <= steepest and |x f'(x)| <= inside."""
    scaled = x.r / (1 - np.minimum(x.r, 0.5))
    a0 = np.where(x.r < 0.5, steepest * x.a0 / (1 - np.minimum(x.r, 0.5)) + inside * scaled, np.inf)
    return Record(x.shape, a0=up(a0))


def _sigmoid(x: Record) -> Record:
    return _bounded(x, 0.25, 0.25)


def _tanh(x: Record) -> Record:
    return _bounded(x, 1.0, 0.5)


def _softplus(x: Record) -> Record:
    """x f'(x) is at most f(x) for x >= 0, and its size at most 0.28 below."""
    found = _bounded(x, 1.0, 0.3)
    return replace(found, r=up(x.r / (1 - np.minimum(x.r, 0.5))))


def _reciprocal(x: Record) -> Record:
    share, _ = relative(x)
    known = share < 0.999
    return Record(x.shape, up(np.where(known, share / (1 - np.minimum(share, 0.999)), np.inf)))


def _power(x: Record, exponent: float) -> Record:
    share, _ = relative(x)
    known = (share < 0.5) & (x.low > 0)
    grown = _small(up(abs(exponent) * share / (1 - np.minimum(share, 0.5))))
    return Record(x.shape, up(np.where(known, grown, np.inf)))
