"""Bounds of every q_lj over a bounded domain alone, over ``2**GRID``, rounded outwards.

* box, reach: the squared distance to the box, and to its farthest corner; sums over channels.
* sphere: with |z| in [r, R] and n = |p|, the triangle inequality gives
  max(n - R, r - n, 0)^2 <= |z - p|^2 <= (n + R)^2. Written out, n^2 + R^2 -+ 2 sqrt(n^2 R^2), only
  one square root remains, and it is rounded up.
* simplex: a convex function on a polytope is largest at a corner, all of the sum in one channel:
  |p|^2 - 2 s min p + s^2 for the smallest or the largest sum s. From below, the Lagrangian bound
  (see ``lagrangian``) with some multiplier of the sum. The best one is twice the shift of the
  projection on the simplex; being any, it needs no proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt

from protoproof.kernel.arithmetic.exact import GRID, Ratio, grid_ceiling, grid_floor
from protoproof.kernel.budget import OPERATION, hold, integer, room, spend
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Interval
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.lagrangian import Lagrangian
from protoproof.kernel.model.head import Head

_BITS = 2 * GRID  # of a multiplier that is close to the best one
_PER_RANGE = 160  # bytes of two bounds
_FRACTIONS = 64 * OPERATION  # of one prototype and channel, for a simplex


def domain_ranges(head: Head, where: LatentDomain) -> list[list[Interval]]:
    """[L][P] bounds over a bounded domain; locations that are alike share one list."""
    if not where.uniform:
        room("the ranges over the domain", _PER_RANGE * where.locations * head.prototype_count)
        return [box_ranges(head, where, location) for location in range(where.locations)]
    return [_everywhere(head, where)] * where.locations


def _everywhere(head: Head, where: LatentDomain) -> list[Interval]:
    count = head.prototype_count
    hold("the ranges over the domain", _PER_RANGE * count)
    spend("the ranges over the domain", 16 * count * integer(3))
    if isinstance(where, BoundedDomain) and where.kind == "sphere":
        return [_to_shell((norm, 1 << (2 * head.shift)), where.slack) for norm in head.norms]
    if isinstance(where, BoundedDomain) and where.kind == "simplex":
        slack = Fraction(*where.slack)
        spend("the ranges over the domain", _FRACTIONS * count * head.channels)
        return [_to_simplex(head, j, where, (1 - slack, 1 + slack)) for j in range(count)]
    unit = 1 << where.shift
    (low, *_), (high, *_) = where.ends(0)
    return [
        (grid_floor(near), None if far is None else grid_ceiling(far))
        for near, far in head.box_bounds((low, unit), None if high is None else (high, unit))
    ]


def box_ranges(head: Head, where: LatentDomain, location: int) -> list[Interval]:
    """[P] bounds over the box of one location, whose ends are finite."""
    spend(
        "the ranges over a box",
        box_cost(head.prototype_count, head.channels, where.size + head.size),
    )
    lower, upper = where.ends(location)
    shift = max(where.shift, head.shift)
    own, theirs = shift - head.shift, shift - where.shift
    low = [n << theirs for n in lower]
    high = [(0 if n is None else n) << theirs for n in upper]
    unit = 1 << (2 * shift)
    result: list[Interval] = []
    for j in range(head.prototype_count):
        near = far = 0
        for n, a, b in zip(head.prototype(j), low, high, strict=True):
            below, above = (n << own) - a, b - (n << own)
            if below < 0:
                near += below * below
                far += above * above
            elif above < 0:
                near += above * above
                far += below * below
            else:
                far += max(below, above) ** 2
        result.append((grid_floor((near, unit)), grid_ceiling((far, unit))))
    return result


def box_cost(prototypes: int, channels: int, size: int = 1) -> int:
    """Steps of :func:`box_ranges` for numbers of so many limbs."""
    return prototypes * (16 * OPERATION + 4 * channels * integer(size, size))


def _to_shell(norm: Ratio, slack: Ratio) -> Interval:
    numerator, unit = slack
    inner, outer = (unit - numerator, unit), (unit + numerator, unit)
    low = 0
    for radius, beyond in ((outer, _less(outer, norm)), (inner, _less(norm, inner))):
        if beyond:
            total = grid_floor(norm) + grid_floor(radius)
            low = max(low, total - 2 * _root_above(norm, radius))
    return low, grid_ceiling(norm) + grid_ceiling(outer) + 2 * _root_above(norm, outer)


def _less(left: Ratio, right: Ratio) -> bool:
    return left[0] * right[1] < right[0] * left[1]


def _root_above(left: Ratio, right: Ratio) -> int:
    """At least sqrt(left * right), over ``2**GRID``."""
    return isqrt((left[0] * right[0] << (2 * GRID)) // (left[1] * right[1])) + 1


def _to_simplex(
    head: Head, prototype: int, where: LatentDomain, sums: tuple[Fraction, Fraction]
) -> Interval:
    point = [Fraction(n, 1 << head.shift) for n in head.prototype(prototype)]
    norm, smallest = sum(x * x for x in point), min(point)
    far = max(norm - 2 * s * smallest + s * s for s in sums)
    total = sum((max(x, Fraction(0)) for x in point), Fraction(0))
    nearest = min(max(total, sums[0]), sums[1])
    # any multiplier bounds, so that this one may be rounded
    multiplier = round(2 * _shift(point, nearest) * (1 << _BITS)) if nearest != total else 0
    rule = Lagrangian(head, where, 0, constraints=where.local())
    near = rule.row(prototype, 1, (multiplier,), _BITS)
    return (
        0 if near is None else max(0, grid_floor(near)),
        grid_ceiling((far.numerator, far.denominator)),
    )


def _shift(point: Sequence[Fraction], total: Fraction) -> Fraction:
    """t with sum max(x - t, 0) = total: the mean excess of the largest channels that stay."""
    running, shift = Fraction(0), Fraction(0)
    for count, x in enumerate(sorted(point, reverse=True), 1):
        running += x
        excess = (running - total) / count
        if x <= excess:
            break
        shift = excess
    return shift
