"""Bounds of every m_lj over a domain alone, over ``2**GRID``, rounded outwards; None: infinite.

* box, reach: the squared distance to the box, and to its farthest corner, or every channel of a
  product at one end; sums over channels.
* a product on a sphere or in a ball: |<p, z>| <= |p| |z|. An angular measurement is a product with
  some u, |u| <= 1, wherever z is; where z >= 0, the negative part of p only makes <p, u> smaller.
* sphere and ball: with |z| in [r, R] and n = |p|, the triangle inequality gives
  max(n - R, r - n, 0)^2 <= |z - p|^2 <= (n + R)^2. Written out, n^2 + R^2 -+ 2 sqrt(n^2 R^2), only
  one square root remains, and it is rounded up.
* simplex: a convex function on a polytope is largest at a corner, all of the sum in one channel:
  |p|^2 - 2 s min p + s^2 for the smallest or the largest sum s. From below, the Lagrangian bound
  (see ``lagrangian``) with some multiplier of the sum. The best one is twice the shift of the
  projection on the simplex; being any, it needs no proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from math import isqrt

from protoproof.kernel.arithmetic.exact import GRID, Ratio, grid_ceiling, grid_floor
from protoproof.kernel.budget import OPERATION, hold, integer, room, spend
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Interval
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.lagrangian import Lagrangian, Open
from protoproof.kernel.model.head import Head

_BITS = 2 * GRID  # of a multiplier that is close to the best one
_PER_RANGE = 160  # bytes of two bounds
_FRACTIONS = 64 * OPERATION  # of one prototype and channel, for a simplex


def domain_ranges(head: Head, where: LatentDomain) -> list[list[Interval]]:
    """[L][P] bounds by the domain alone; locations that are alike share one list.

    Those of a location and a prototype of different banks mean nothing.
    """
    if not where.uniform:
        room("the ranges over the domain", _PER_RANGE * where.locations * head.prototype_count)
        return [box_ranges(head, where, location) for location in range(where.locations)]
    return [_everywhere(head, where)] * where.locations


def _everywhere(head: Head, where: LatentDomain) -> list[Interval]:
    count = head.prototype_count
    hold("the ranges over the domain", _PER_RANGE * count)
    spend("the ranges over the domain", 16 * count * integer(3))
    if not where.bounded:
        return [_free(head, j) for j in range(count)]
    if isinstance(where, BoundedDomain) and head.geometry in ("euclidean", "linear"):
        found = _curved(head, where)
        if found is not None:
            return found
    (low, *_), (high, *_) = where.ends(0)
    if where.kind != "box":
        return box_ranges(head, where, 0)
    # what the graph guarantees: the same box for every certificate of a model, and charged to each
    key = low, high, where.shift
    hold("the ranges over the domain", 400 * count)
    if key in head.boxes:
        _spend_box(head, where)
    else:
        head.boxes[key] = box_ranges(head, where, 0)
    return head.boxes[key]


def _curved(head: Head, where: BoundedDomain) -> list[Interval] | None:
    """Over a sphere, a ball or a simplex; None for a box."""
    count, euclidean = head.prototype_count, head.geometry == "euclidean"
    if where.kind in ("sphere", "ball"):
        numerator, unit = where.slack
        inner = (unit - numerator, unit) if where.kind == "sphere" else (0, 1)
        find = _to_shell if euclidean else _in_shell
        ring = inner, (unit + numerator, unit)
        return [find((norm, 1 << (2 * head.shift)), *ring) for norm in head.norms]
    if where.kind == "simplex":
        slack = Fraction(*where.slack)
        spend("the ranges over the domain", _FRACTIONS * count * head.channels)
        find_on = _to_simplex if euclidean else _on_simplex
        return [find_on(head, j, where, (1 - slack, 1 + slack)) for j in range(count)]
    return None


def _free(head: Head, prototype: int) -> Interval:
    """Over all latents whatsoever."""
    if head.geometry in ("euclidean", "diagonal"):
        return 0, None
    if head.geometry == "angular":
        return _angles(head, prototype, False)
    return (None, None) if head.norms[prototype] else (0, 0)


def _angles(head: Head, prototype: int, positive: bool) -> Interval:
    """-<p, u> for |u| <= 1: u is at best p / |p|; where u >= 0, at best its positive part."""
    if not positive:
        end = head.norm_above(prototype)
        return -end, end
    unit, point = 1 << (2 * head.shift), head.prototype(prototype)
    above = _root_above((sum(n * n for n in point if n > 0), unit), (1, 1))
    below = _root_above((sum(n * n for n in point if n < 0), unit), (1, 1))
    return -above, below


def box_ranges(head: Head, where: LatentDomain, location: int) -> list[Interval]:
    """[P] bounds over the box of one location."""
    _spend_box(head, where)
    lower, upper = where.ends(location)
    count = range(head.prototype_count)
    if head.geometry == "angular":
        return [_angles(head, j, min(lower) >= 0) for j in count]
    shift = max(where.shift, head.shift)
    own, theirs = shift - head.shift, shift - where.shift
    low = [n << theirs for n in lower]
    high = [None if n is None else n << theirs for n in upper]
    if head.geometry == "linear":
        return [_products(head, j, low, high, shift) for j in count]
    unit = 1 << (2 * shift + head.scale_shift)
    slack = math.ceil(head.scale_slack * (1 << head.scale_shift))
    result: list[Interval] = []
    for j in count:
        scales = head.scales[j] if head.scales else None
        point = [n << own for n in head.prototype(j)]
        near, far = _squares(point, scales, low, high)
        if scales is not None and slack and far is not None:
            _, far = _squares(point, [w + slack for w in scales], low, high)
        top = None if far is None else grid_ceiling((far, unit))
        result.append((grid_floor((near, unit)), top))
    return result


def _squares(
    point: Sequence[int], scales: Sequence[int] | None, low: Sequence[int], high: Open
) -> tuple[int, int | None]:
    """The (scaled) squared distances to the box and to its farthest corner."""
    near = far = 0
    infinite = False
    for d, (n, a, b) in enumerate(zip(point, low, high, strict=True)):
        scale = 1 if scales is None else scales[d]
        below = n - a
        if b is None:
            infinite = infinite or scale > 0
            near += scale * below * below if below < 0 else 0
            continue
        above = b - n
        if below < 0:
            near += scale * below * below
            far += scale * above * above
        elif above < 0:
            near += scale * above * above
            far += scale * below * below
        else:
            far += scale * max(below, above) ** 2
    return near, None if infinite else far


def _products(head: Head, prototype: int, low: Sequence[int], high: Open, shift: int) -> Interval:
    """-<p, z> over the box: every channel at the end that its coefficient chooses."""
    least: int | None = 0
    most: int | None = 0
    for n, a, b in zip(head.prototype(prototype), low, high, strict=True):
        if not n:
            continue
        at_high = None if b is None else -n * b
        first, second = (at_high, -n * a) if n > 0 else (-n * a, at_high)
        least = None if least is None or first is None else least + first
        most = None if most is None or second is None else most + second
    unit = 1 << (head.shift + shift)
    return (
        None if least is None else grid_floor((least, unit)),
        None if most is None else grid_ceiling((most, unit)),
    )


def _spend_box(head: Head, where: LatentDomain) -> None:
    size = where.size + head.size * (2 if head.scales else 1)
    cost = box_cost(head.prototype_count, head.channels, size)
    spend("the ranges over a box", cost * (2 if head.scales else 1))


def box_cost(prototypes: int, channels: int, size: int = 1) -> int:
    """Steps of :func:`box_ranges` for numbers of so many limbs."""
    return prototypes * (16 * OPERATION + 4 * channels * integer(size, size))


def _in_shell(norm: Ratio, inner: Ratio, outer: Ratio) -> Interval:
    """-<p, z>, whose size is at most |p| |z|."""
    end = _root_above(norm, outer)
    return -end, end


def _on_simplex(
    head: Head, prototype: int, where: LatentDomain, sums: tuple[Fraction, Fraction]
) -> Interval:
    """-<p, z> where z >= 0 sums to s: between -s max p and -s min p."""
    point = head.prototype(prototype)
    ends = [-s * n / (1 << head.shift) for s in sums for n in (min(point), max(point))]
    low, high = min(ends), max(ends)
    return grid_floor(low.as_integer_ratio()), grid_ceiling(high.as_integer_ratio())


def _to_shell(norm: Ratio, inner: Ratio, outer: Ratio) -> Interval:
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
    multiplier = round(2 * shift_to(point, nearest) * (1 << _BITS)) if nearest != total else 0
    rule = Lagrangian(head, where, 0, constraints=where.local())
    near = rule.row(prototype, 1, (multiplier,), _BITS)
    return (
        0 if near is None else max(0, grid_floor(near)),
        grid_ceiling((far.numerator, far.denominator)),
    )


def shift_to(point: Sequence[Fraction], total: Fraction) -> Fraction:
    """t with sum max(x - t, 0) = total: the mean excess of the largest channels that stay."""
    running, shift = Fraction(0), Fraction(0)
    for count, x in enumerate(sorted(point, reverse=True), 1):
        running += x
        excess = (running - total) / count
        if x <= excess:
            break
        shift = excess
    return shift
