"""Float64 enclosures of what is exactly true at an instance: measurements, pooled values, levels.

Rational values are enclosed as tightly as float64 can; irrational ones (norms, similarities inside
a pooling) by balls whose ends are moved outwards by one float64 number each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cmp_to_key

import numpy as np
from flint import arb, ctx, fmpq
from numpy.typing import NDArray

from protoproof.arithmetic.enclosure import enclose_nearest, enclose_squared_distance
from protoproof.network.head.head import Head
from protoproof.prover.latent.exact import Number, chain_number
from protoproof.prover.latent.instance import Instance

# Bits of the balls: far more than float64 has, so that their width never shows.
_BITS = 192
# Locations whose float64 measurement is this close to the least may attain it.
_NEAR = 1e-9


def enclosed_measurement(instance: Instance, location: int, prototype: int) -> tuple[float, float]:
    """Ends of one measurement."""
    head, z = instance.head, instance.latent[location]
    if head.geometry == "euclidean" and _single(head, prototype):
        return enclose_squared_distance(z, head.prototypes[prototype])
    if head.geometry == "angular":
        with ctx.workprec(_BITS):
            return enclosed_number(measurement_number(head, z, prototype))
    return enclosed_fraction(measurement_fraction(head, z, prototype))


def enclosed_pooled(instance: Instance, prototype: int) -> tuple[float, float]:
    """Ends of the pooled value of one prototype."""
    head = instance.head
    if head.pooling_of.kinds[prototype] != "nearest":
        with ctx.workprec(_BITS):
            return enclosed_number(pooled_number(instance, prototype))
    column = instance.measurement[:, prototype]
    if head.geometry == "euclidean" and head.mask is None and _single(head, prototype):
        return enclose_nearest(instance.latent, head.prototypes[prototype], column)
    # rounding is monotone: the enclosure of a minimum is the minimum of the enclosures
    ends = [enclosed_measurement(instance, place, prototype) for place in _near(column)]
    return min(low for low, _ in ends), min(high for _, high in ends)


def enclosed_level(instance: Instance, prototype: int) -> float:
    """The largest float64 known to be at most the level of one prototype."""
    if prototype not in instance.known_levels:
        if instance.head.uniform:
            found = enclosed_pooled(instance, prototype)[0]
        else:
            with ctx.workprec(_BITS):
                found = enclosed_number(_level_number(instance, prototype))[0]
        instance.known_levels[prototype] = found
    return instance.known_levels[prototype]


def enclosed_ceiling(instance: Instance, prototype: int, exempt: Sequence[int]) -> float:
    """The largest float64 known to be at most the level of ``prototype``, and of every prototype
    that float64 cannot tell from it and that is not exempt: where they differ, it is the least."""
    near = _near_to(instance.level, float(instance.level[prototype]))
    near[list(exempt)] = False
    near[prototype] = True
    return min(enclosed_level(instance, j) for j in np.flatnonzero(near).tolist())


def ranked(instance: Instance) -> list[int]:
    """The prototypes by their level, the most activated first, equal ones by their index.

    Exact numbers decide where float64 may not tell: an order that only rounding makes is none.
    """
    level = instance.level
    found: list[int] = []
    order = np.lexsort((np.arange(len(level)), level))
    apart = ~_near_to(level[order][1:], level[order][:-1])
    for run in np.split(order, np.flatnonzero(apart) + 1):
        found += run.tolist() if len(run) == 1 else _exactly_ranked(instance, run.tolist())
    return found


def _exactly_ranked(instance: Instance, run: Sequence[int]) -> list[int]:
    with ctx.workprec(_BITS):
        numbers = {j: _level_number(instance, j) for j in run}

    def compare(i: int, j: int) -> int:
        if numbers[i] < numbers[j]:
            return -1
        return 1 if numbers[j] < numbers[i] else i - j

    return sorted(run, key=cmp_to_key(compare))


def _level_number(instance: Instance, prototype: int) -> Number:
    number = pooled_number(instance, prototype)
    if instance.head.uniform:
        return number
    return -chain_number(instance.exact.chain, prototype, number)


def _single(head: Head, prototype: int) -> bool:
    """Whether a prototype has float32 coordinates."""
    point = head.prototypes[prototype]
    return bool((point.astype(np.float32) == point).all())


def pooled_number(instance: Instance, prototype: int) -> Number:
    """The pooled value of one prototype: a fraction, or a ball around it."""
    head, kind = instance.head, instance.head.pooling_of.kinds[prototype]
    column = instance.measurement[:, prototype]
    places = _near(column) if kind == "nearest" else np.flatnonzero(np.isfinite(column)).tolist()
    values = [measurement_number(head, instance.latent[place], prototype) for place in places]
    if kind == "nearest":
        return least(values)
    inner = [chain_number(instance.exact.inner, prototype, value) for value in values]
    return pooled_numbers(kind, inner, head.pooling_of.count[prototype])


def least(values: Sequence[Number]) -> Number:
    """The least of some values; a ball around it where some are balls."""
    if all(isinstance(value, fmpq) for value in values):
        return min(values)
    found = _as_ball(values[0])
    for value in values[1:]:
        found = found.min(_as_ball(value))
    return found


def pooled_numbers(kind: str, values: Sequence[Number], count: int) -> Number:
    """Values, pooled; ``k-largest mean`` is the mean of the ``count`` largest."""
    exact = all(isinstance(value, fmpq) for value in values)
    balls = [] if exact else [_as_ball(value) for value in values]
    values = values if exact else balls
    total = sum(values, fmpq(0) if exact else arb(0))
    if kind == "sum":
        return total
    if kind == "mean":
        return total / len(values)
    if kind == "focal":
        top = -least([-value for value in values])
        return top - total / len(values)
    ranked = sorted(values, reverse=True) if exact else largest(balls)
    kept = ranked[: min(count, len(values))]
    return sum(kept, fmpq(0) if exact else arb(0)) / len(kept)


def largest(values: Sequence[arb]) -> list[arb]:
    """Balls around the values in falling order, whatever the order of overlapping ones.

    The k-th largest of the values lies between the k-th largest lower and the k-th largest upper
    end.
    """
    lower = sorted((value.lower() for value in values), key=float, reverse=True)
    upper = sorted((value.upper() for value in values), key=float, reverse=True)
    return [low.union(high) for low, high in zip(lower, upper, strict=True)]


def measurement_number(head: Head, z: NDArray[np.float64], prototype: int) -> Number:
    """One measurement at a latent of float64 values: a fraction, or a ball around a cosine."""
    if head.geometry != "angular":
        value = measurement_fraction(head, z, prototype)
        return fmpq(value.numerator, value.denominator)
    values = [Fraction(v) for v in z.tolist()]
    dot = sum(
        (a * Fraction(b) for a, b in zip(values, head.prototypes[prototype].tolist(), strict=True)),
        Fraction(0),
    )
    square = sum((v * v for v in values), Fraction(head.added))
    square = max(square, Fraction(head.epsilon) ** 2)
    if not square:
        return fmpq(0)
    norm = arb(fmpq(square.numerator, square.denominator)).sqrt()
    return -arb(fmpq(dot.numerator, dot.denominator)) / norm


def measurement_fraction(head: Head, z: NDArray[np.float64], prototype: int) -> Fraction:
    """One measurement exactly; not for angular heads, whose norms are irrational."""
    pairs = zip(z.tolist(), head.prototypes[prototype].tolist(), strict=True)
    if head.geometry == "linear":
        return -sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction(0))
    squares = [(Fraction(a) - Fraction(b)) ** 2 for a, b in pairs]
    if head.scales is None:
        return sum(squares, Fraction(0))
    weights = head.scales[prototype].tolist()
    return sum((Fraction(w) * s for w, s in zip(weights, squares, strict=True)), Fraction(0))


def enclosed_number(value: Number) -> tuple[float, float]:
    """Float64 ends: the tightest around a fraction; around a ball, one number wider at most."""
    if isinstance(value, fmpq):
        return enclosed_fraction(Fraction(int(value.p), int(value.q)))
    low, high = float(value.lower()), float(value.upper())
    if low == high and value == arb(low):
        return low, high
    return math.nextafter(low, -math.inf), math.nextafter(high, math.inf)


def enclosed_fraction(value: Fraction) -> tuple[float, float]:
    """The largest float64 below and the smallest above a rational number."""
    near = float(value)
    exact = Fraction(near)
    low = near if exact <= value else math.nextafter(near, -math.inf)
    high = near if exact >= value else math.nextafter(near, math.inf)
    return low, high


def _as_ball(value: Number) -> arb:
    return value if isinstance(value, arb) else arb(value)


def _near(column: NDArray[np.float64]) -> list[int]:
    found: list[int] = np.flatnonzero(_near_to(column, float(column.min()))).tolist()
    return found


def _near_to(values: NDArray[np.float64], other: float | NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether float64 may not tell numbers apart (infinite ones only from the others)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (values == other) | (np.abs(values - other) <= _NEAR * (1.0 + np.abs(other)))
        )
