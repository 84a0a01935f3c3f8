"""Bounds of pooled values against the definition, at every corner and where extremes can be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx, fmpq

from protoproof.kernel.latent.pooling import pooled, pooled_range
from protoproof.kernel.model.head import Pooling, PoolingKind
from protoproof.kernel.model.primitives import End, Number
from tests.support.kernel.exactly import fraction

Values = Sequence[Fraction]
MEAN, SUM, FOCAL = Pooling("mean"), Pooling("sum"), Pooling("focal")
LESS, LARGEST = Pooling("nearest less mean"), Pooling("k-largest mean", 2)


def mean(values: Values) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


DEFINED: dict[PoolingKind, Callable[[Values], Fraction]] = {
    "mean": mean,
    "sum": lambda values: sum(values, Fraction(0)),
    "k-largest mean": lambda values: mean(sorted(values)[-2:]),
    "focal": lambda values: max(values) - mean(values),
    # of the function 1 - 2 t
    "nearest less mean": lambda values: 2 * (mean(values) - min(values)),
}


def falling(t: Number) -> Number:
    return 1 - 2 * t


def falling_range(low: End, high: End) -> tuple[End, End]:
    return 1 - 2 * high, 1 - 2 * low


def exact(value: Fraction) -> fmpq:
    return fmpq(value.numerator, value.denominator)


def holds(ball: arb, value: fmpq) -> bool:
    with ctx.workprec(400):  # a fraction becomes a ball of its own, which is very small
        return bool(ball.contains(arb(value))) and bool(ball.rad() < 1e-9)


def drawn(rng: np.random.Generator, count: int) -> list[tuple[Fraction, Fraction]]:
    ends = [sorted(rng.integers(-6, 7, 2).tolist()) for _ in range(count)]
    return [(Fraction(a, 2), Fraction(b, 2)) for a, b in ends]


def ends(pooling: Pooling, ranges: Sequence[tuple[End, End]]) -> tuple[End, End]:
    return pooled_range(pooling, ranges, falling_range)


@pytest.mark.trust(22)
@pytest.mark.parametrize("pooling", [MEAN, SUM, FOCAL, LARGEST, LESS])
def test_bounds_are_the_extremes(pooling: Pooling) -> None:
    """Attained, but for nearest less mean, whose two parts are bounded one by one."""
    rng = np.random.default_rng(0)
    define = DEFINED[pooling.kind]
    for count in (2, 3, 3, 4, 4, 4):
        ranges = sorted(drawn(rng, count))
        ranges = ranges if count % 2 else ranges[::-1]
        top = max(low for low, _ in ranges)  # above it, a largest one falls less than the mean
        grid = [{low, high, min(max(top, low), high)} for low, high in ranges]
        values = [define(x) for x in itertools.product(*grid)]
        low, high = ends(pooling, [(exact(a), exact(b)) for a, b in ranges])
        if pooling is LESS:
            lows, highs = [a for a, _ in ranges], [b for _, b in ranges]
            assert fraction(low) == max(0, 2 * (mean(lows) - min(highs)))
            assert fraction(high) == 2 * (mean(highs) - min(lows))
            assert fraction(low) <= min(values) <= max(values) <= fraction(high)
        else:
            assert (fraction(low), fraction(high)) == (min(values), max(values))
        point = [a for a, _ in ranges]
        found = pooled(pooling, list(map(exact, point)), falling)
        assert isinstance(found, fmpq)
        assert fraction(found) == define(point)
        # in balls, it is around the same numbers
        wide = [(arb(exact(a)), arb(exact(b))) for a, b in ranges]
        around = [arb(x) if isinstance(x, fmpq) else x for x in ends(pooling, wide)]
        here = pooled(pooling, [arb(exact(x)) for x in point], falling)
        assert holds(here, found)
        with ctx.workprec(400):
            assert arb(low) - 1e-9 < around[0].lower() <= arb(low)
            assert arb(high) <= around[1].upper() < arb(high) + 1e-9


@pytest.mark.trust(22)
def test_one_location_pools_to_itself() -> None:
    one = [(fmpq(-3), fmpq(2))]
    for pooling, wanted in ((MEAN, (-3, 2)), (SUM, (-3, 2)), (FOCAL, (0, 0)), (LESS, (0, 10))):
        assert tuple(map(fraction, ends(pooling, one))) == wanted
    assert tuple(map(fraction, ends(Pooling("k-largest mean", 1), one))) == (-3, 2)


@pytest.mark.trust(22)
def test_values_that_are_one_number_differ_by_nothing() -> None:
    """Whatever the function makes of it, also where it makes nothing of it."""
    same = [fmpq(1, 3)] * 3
    assert pooled(LESS, same, lambda _: arb("nan")) == 0
    assert pooled(LESS, [fmpq(0), fmpq(1)], falling) == 1


@pytest.mark.trust(22)
@pytest.mark.parametrize("pooling", [MEAN, SUM, FOCAL, LARGEST, LESS])
def test_wide_balls_are_rounded_outwards(pooling: Pooling) -> None:
    """Every number that the balls hold, at every end, is within the bounds."""
    rng = np.random.default_rng(1)
    define = DEFINED[pooling.kind]
    for _ in range(4):
        middle = rng.integers(-4, 5, 3).tolist()
        # ends that are balls of radius 1/4, of which the second may be the upper one
        balls = [(arb(m, 0.25), arb(m + int(rng.integers(2)), 0.25)) for m in middle]
        found = ends(pooling, balls)
        low, high = (arb(x) if isinstance(x, fmpq) else x for x in found)
        for shares in itertools.product((0, 1), repeat=3):
            corner = [
                Fraction(4 * int(float(b.mid())) + 1, 4) if s
                else Fraction(4 * int(float(a.mid())) - 1, 4)
                for s, (a, b) in zip(shares, balls, strict=True)
            ]  # fmt: skip
            value = define(corner)
            assert not low > exact(value)
            assert not high < exact(value)
            here = pooled(pooling, [a for a, _ in balls], falling)
            inside = define([Fraction(4 * int(float(a.mid())) - 1, 4) for a, _ in balls])
            assert not here > exact(inside)
            assert not here < exact(inside)


INFINITE = math.inf


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    ("pooling", "ranges", "wanted"),
    [
        (MEAN, [(0, INFINITE), (1, 2)], (Fraction(1, 2), INFINITE)),
        (MEAN, [(-INFINITE, 4), (1, 2)], (-INFINITE, 3)),
        (SUM, [(0, INFINITE), (1, INFINITE)], (1, INFINITE)),
        (SUM, [(-INFINITE, INFINITE), (1, 2)], (-INFINITE, INFINITE)),
        (LARGEST, [(0, INFINITE), (-INFINITE, 1), (2, 3)], (1, INFINITE)),
        (LARGEST, [(-INFINITE, 1), (-INFINITE, 5), (2, 3)], (-INFINITE, 4)),
        (FOCAL, [(0, INFINITE), (1, 2)], (0, INFINITE)),
        (FOCAL, [(3, INFINITE), (1, 2)], (Fraction(1, 2), INFINITE)),
        (FOCAL, [(-INFINITE, 5), (-INFINITE, 2)], (0, INFINITE)),
        (FOCAL, [(-INFINITE, INFINITE)], (0, 0)),
        (LESS, [(0, INFINITE), (1, 2)], (0, INFINITE)),
        (LESS, [(5, INFINITE), (0, 1)], (3, INFINITE)),
    ],
)
def test_infinite_ends(
    pooling: Pooling, ranges: list[tuple[float, float]], wanted: tuple[float, float]
) -> None:
    def end(value: float) -> End:
        return value if isinstance(value, float) else fmpq(value)

    def common(low: End, high: End) -> tuple[End, End]:
        ends = [-math.inf if x == math.inf else 1 - 2 * x for x in (high, low)]
        return ends[0], ends[1]

    with ctx.workprec(200):
        found = pooled_range(pooling, [(end(a), end(b)) for a, b in ranges], common)
        for number, expected in zip(found, wanted, strict=True):
            if isinstance(expected, float):
                assert number == expected
            else:
                assert not isinstance(number, float)
                assert arb(number).overlaps(arb(exact(Fraction(expected))))
                assert arb(number).rad() < 1e-30


@pytest.mark.trust(22)
@pytest.mark.parametrize("pooling", [MEAN, SUM, FOCAL, LARGEST, LESS])
def test_what_is_not_defined_bounds_nothing(pooling: Pooling) -> None:
    nothing = arb("nan")
    for one in ((nothing, fmpq(1)), (fmpq(0), nothing), (nothing, nothing)):
        low, high = ends(pooling, [(fmpq(0), fmpq(1)), one])
        for number, worst in ((low, -math.inf), (high, math.inf)):
            # no number that is one, but for what is never less than 0
            free = isinstance(number, float) and (math.isnan(number) or number == worst)
            assert free or not arb(number).is_finite() or (pooling is LESS and number == 0)
        assert not arb(high).is_finite()
    for values in ([nothing, nothing], [fmpq(0), nothing], [nothing, fmpq(0)]):
        found = pooled(pooling, values, falling)
        assert isinstance(found, arb)
        assert not found.is_finite()


@pytest.mark.trust(22)
def test_a_number_without_an_upper_end_has_no_focal_value() -> None:
    """Of a range it would have a lower bound, which is no value."""
    found = pooled(FOCAL, [fmpq(0), arb("inf")], falling)
    assert isinstance(found, arb)
    assert not found.is_finite()


@pytest.mark.trust(22)
def test_fractions_and_balls_pool_together() -> None:
    """The least is taken of both, in whatever order they come."""
    for values in ([fmpq(3), arb(1)], [arb(1), fmpq(3)], [arb(3), fmpq(1)], [fmpq(1), arb(3)]):
        for pooling, wanted in ((LESS, 2), (FOCAL, 1), (MEAN, 2)):
            assert pooled(pooling, values, falling).contains(wanted)
            low, high = ends(pooling, [(x, x) for x in values])
            assert arb(low).contains(wanted)
            assert arb(high).contains(wanted)
