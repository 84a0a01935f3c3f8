"""Bounds of every q_lj over the domain alone, over ``2**GRID``, rounded outwards.

* free: squares are not negative.
* box, reach: the squared distance to the box, and to its farthest corner; sums over channels.
* sphere: with |z| in [r, R] and n = |p|, the triangle inequality gives
  max(n - R, r - n, 0)^2 <= |z - p|^2 <= (n + R)^2. Written out, n^2 + R^2 -+ 2 sqrt(n^2 R^2), only
  one square root remains, and it is rounded up.
* simplex: a convex function on a polytope is largest at a corner, all of the sum in one channel:
  |p|^2 - 2 s min p + s^2 for the smallest or the largest sum s. From below, for *any* t,
  |z - p|^2 >= min over z >= 0 of (|z - p|^2 + 2 t sum z) - 2 t s with s the largest sum for t >= 0
  and the smallest for t < 0; per channel the minimum is 2 t p - t^2 for p > t and p^2 otherwise.
  (The best t is the shift of the projection on the simplex; being any t, it needs no proof.)
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt

from protoproof.certificate.schema import BoxDomain, FreeDomain, SimplexDomain, SphereDomain
from protoproof.kernel.arithmetic.exact import GRID, Ratio, grid_ceiling, grid_floor, hex_ratio
from protoproof.kernel.latent.domain import Region
from protoproof.kernel.model.head import Head

Interval = tuple[int, int | None]


def domain_ranges(head: Head, region: Region) -> list[list[Interval]]:
    """[L][P] bounds; locations that are alike share one list."""
    if not region.uniform:
        return [box_ranges(head, region, location) for location in range(region.locations)]
    return [_everywhere(head, region)] * region.locations


def _everywhere(head: Head, region: Region) -> list[Interval]:
    domain = region.domain
    if isinstance(domain, FreeDomain):
        return [(0, None)] * head.prototype_count
    if isinstance(domain, BoxDomain):
        upper = None if domain.upper is None else hex_ratio(domain.upper)
        return [
            (grid_floor(near), None if far is None else grid_ceiling(far))
            for near, far in head.box_bounds(hex_ratio(domain.lower), upper)
        ]
    if isinstance(domain, SphereDomain):
        return [_to_shell((norm, 1 << (2 * head.shift)), domain) for norm in head.norms]
    if isinstance(domain, SimplexDomain):
        slack = Fraction(*hex_ratio(domain.slack))
        unit = 1 << head.shift
        return [
            _to_simplex([Fraction(n, unit) for n in head.prototype(j)], 1 - slack, 1 + slack)
            for j in range(head.prototype_count)
        ]
    return box_ranges(head, region, 0)


def box_ranges(head: Head, region: Region, location: int) -> list[Interval]:
    """[P] bounds over the box of one location, whose ends are finite."""
    lower, upper = region.ends(location)
    shift = max(region.shift, head.shift)
    own, theirs = shift - head.shift, shift - region.shift
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


def _to_shell(norm: Ratio, domain: SphereDomain) -> Interval:
    numerator, unit = hex_ratio(domain.slack)
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


def _to_simplex(point: Sequence[Fraction], least: Fraction, most: Fraction) -> Interval:
    norm, smallest = sum(x * x for x in point), min(point)
    far = max(norm - 2 * s * smallest + s * s for s in (least, most))
    total = sum(max(x, Fraction(0)) for x in point)
    shift = Fraction(0)
    if total > most:
        shift = _shift(point, most)
    elif total < least:
        shift = _shift(point, least)
    near = sum(2 * shift * x - shift * shift if x > shift else x * x for x in point)
    near -= 2 * shift * (most if shift >= 0 else least)
    return (
        max(0, grid_floor((near.numerator, near.denominator))),
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
