"""Comparisons and enclosures of values against fractions, where they are equal too."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx, fmpq

from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.value import (
    IRRATIONAL_STEPS,
    Approximate,
    Exact,
    Value,
    least,
    less,
    ordered,
    steps,
    tight,
    tight_below,
)
from protoproof.kernel.model.primitives import EXACT_BITS

ONE = 1 << GRID
RATIOS = [(-7, 2), (-1, 3), (0, 5), (2, 6), (1, 3), (1, 1), (9, 4), (10**30, 7)]


def after(number: float, count: int) -> float:
    for _ in range(count):
        number = math.nextafter(number, math.inf)
    return number


def root_of(two: int) -> Approximate:
    return Approximate(lambda: arb(two).sqrt())


def exactly(number: Fraction) -> Approximate:
    return Approximate(lambda: arb(number.numerator) / number.denominator)


NOTHING = Approximate(lambda: arb("nan"))


@pytest.mark.trust(22)
@pytest.mark.parametrize("value", RATIOS)
def test_a_fraction_is_compared_and_rounded_exactly(value: tuple[int, int]) -> None:
    here, true = Exact(*value), Fraction(*value)
    for other in RATIOS:
        bound = Fraction(*other)
        assert here.at_least(other) == (true >= bound)
        assert here.at_most(other) == (true <= bound)
        assert here.below(Exact(*other)) == less(here, Exact(*other)) == (true < bound)
        assert here.same(Exact(*other)) == (true == bound)
        assert not here.same(Exact(*other, root=True))
    assert here.floor() == math.floor(true * ONE)
    assert here.ceiling() == math.ceil(true * ONE)
    assert Fraction(here.down()) <= true < Fraction(after(here.down(), 1))
    assert Fraction(here.up()) >= true > Fraction(math.nextafter(here.up(), -math.inf))
    assert here.number() == fmpq(*value)
    assert here.rational


@pytest.mark.trust(22)
@pytest.mark.parametrize("square", RATIOS)
def test_a_root_is_compared_by_its_square(square: tuple[int, int]) -> None:
    """sgn(x) x^2 = n / u: everything that is said of x holds for its square with the sign."""
    here, true = Exact(*square, root=True), Fraction(*square)

    def signed(x: Fraction) -> Fraction:
        return x * abs(x)

    for other in RATIOS:
        assert here.at_least(other) == (true >= signed(Fraction(*other)))
        assert here.at_most(other) == (true <= signed(Fraction(*other)))
        assert here.below(Exact(*other, root=True)) == (true < Fraction(*other))
        assert here.same(Exact(*other, root=True)) == (true == Fraction(*other))
    grid = Fraction(1, ONE)
    assert signed(here.floor() * grid) <= true < signed((here.floor() + 1) * grid)
    assert signed(here.ceiling() * grid) >= true > signed((here.ceiling() - 1) * grid)
    down, up = here.down(), here.up()
    assert signed(Fraction(down)) <= true < signed(Fraction(after(down, 1)))
    assert signed(Fraction(up)) >= true > signed(Fraction(math.nextafter(up, -math.inf)))
    with ctx.workprec(200):
        number = here.number()
        assert isinstance(number, arb)
        away = number * abs(number) - arb(fmpq(*square))
        assert away.contains(0)
        assert away.rad() < 1e-20
    assert not here.rational


@pytest.mark.trust(22)
def test_what_lies_on_the_grid_or_is_a_float64_stays() -> None:
    for root in (False, True):
        here = Exact(9, 4, root)
        value = 1.5 if root else 2.25
        assert here.down() == here.up() == value
        assert here.floor() == here.ceiling() == int(value * ONE)
        there = Exact(-9, 4, root)
        assert there.down() == there.up() == -value
        assert there.floor() == there.ceiling() == -int(value * ONE)
    near = Exact(10**60 + 1, 10**60, True)  # of which the grid cannot tell the root from 1
    assert (near.down(), near.up()) == (1.0, after(1.0, 1))
    assert near.floor() == ONE
    assert near.ceiling() == ONE + 1


def test_very_long_fractions_go_on_as_balls() -> None:
    longest = Exact(1, 1 << (EXACT_BITS - 1))
    assert isinstance(longest.number(), fmpq)
    longer = Exact(3, 1 << EXACT_BITS).number()
    assert isinstance(longer, arb)
    assert longer.contains(fmpq(3, 1 << EXACT_BITS))


@pytest.mark.trust(22)
def test_only_what_is_certain_of_a_ball_is_said() -> None:
    root = root_of(2)
    low, high = (141, 100), (142, 100)
    assert root.at_least(low)
    assert root.at_most(high)
    assert not root.at_least(high)
    assert not root.at_most(low)
    for value in (NOTHING, Approximate(lambda: arb("inf")), Approximate(lambda: -arb("inf"))):
        assert not value.at_least(low)
        assert not value.at_most(low)
        assert not less(value, root)
        assert not less(root, value)
    half = exactly(Fraction(1, 2))  # a ball without radius is the number itself
    assert half.at_least((1, 2))
    assert half.at_most((1, 2))
    assert not half.at_least((1, 1))
    assert not half.at_most((1, 4))
    third = exactly(Fraction(1, 3))
    assert not third.at_least((1, 3))
    assert not third.at_most((1, 3))
    assert root.same(root)
    assert not root.same(root_of(2))
    assert not root.same(Exact(2, 1, True))
    assert not root.rational
    with ctx.workprec(2 * GRID):
        assert Fraction(root.floor(), ONE) ** 2 <= 2 < Fraction(root.floor() + 1, ONE) ** 2
        assert Fraction(root.ceiling() - 1, ONE) ** 2 < 2 <= Fraction(root.ceiling(), ONE) ** 2
    assert Fraction(root.down()) ** 2 < 2 < Fraction(after(root.down(), 1)) ** 2
    assert root.up() == after(root.down(), 1)
    assert root.number().contains(arb(2).sqrt())
    assert half.floor() == half.ceiling() == ONE // 2
    large = Approximate(lambda: arb(3) * 2**90)
    assert large.floor() == large.ceiling() == (3 << 90) * ONE
    for value in (NOTHING, Approximate(lambda: arb("inf"))):
        assert value.floor() <= -(2**200)
        assert value.ceiling() >= 2**200
    assert NOTHING.down() == -math.inf
    assert NOTHING.up() == math.inf
    negative = Approximate(lambda: -arb(2).sqrt())
    assert (negative.floor(), negative.ceiling()) == (-root.ceiling(), -root.floor())
    assert (negative.down(), negative.up()) == (-root.up(), -root.down())


@pytest.mark.trust(22)
def test_values_of_two_kinds_are_ordered_where_that_is_certain() -> None:
    root, one = root_of(2), Exact(1, 1)
    assert less(one, root)
    assert not less(root, one)
    assert not less(root, root)
    assert not less(root, root_of(2))
    assert not less(Exact(2, 1, True), root)
    assert less(Exact(3, 2, True), Exact(3, 2))  # sqrt(3/2) < 3/2
    assert not less(Exact(3, 2), Exact(3, 2, True))
    assert not less(NOTHING, one)
    assert not less(one, NOTHING)
    half = exactly(Fraction(1, 2))
    assert not less(half, Exact(1, 2))
    assert not less(Exact(1, 2), half)


def test_items_come_in_the_order_of_their_values_and_ties_as_they_were() -> None:
    values: list[Value] = [Exact(3, 1), Exact(1, 1), Exact(6, 2), Exact(2, 1), Exact(2, 2)]
    assert ordered(range(5), values.__getitem__) == [1, 4, 3, 0, 2]
    assert ordered([4, 2, 1, 0], values.__getitem__) == [4, 1, 2, 0]
    mixed = [root_of(3), Exact(1, 1), root_of(2)]
    assert ordered(range(3), mixed.__getitem__) == [1, 2, 0]


@pytest.mark.trust(22)
def test_the_least_is_one_of_the_values_or_a_ball_around_it() -> None:
    values = [Exact(5, 3), Exact(3, 2), Exact(7, 4)]
    for some in itertools.permutations(values):
        assert least(some) is values[1]
    assert least(values[:1]) is values[0]
    mixed: list[Value] = [root_of(3), Exact(3, 2), root_of(2)]
    for order in itertools.permutations(mixed):
        found = least(order)
        assert isinstance(found, Approximate)
        assert found.at_most((1415, 1000))
        assert found.at_least((1414, 1000))
    assert least([Exact(1, 1), root_of(2)]).at_most((1, 1))


@pytest.mark.trust(22)
@pytest.mark.parametrize("number", [-2.5, -5e-324, 0.0, 0.1, 3.0])
def test_steps_are_counted_up_to_one_more_than_matters(number: float) -> None:
    for count in (0, 1, 2, IRRATIONAL_STEPS, IRRATIONAL_STEPS + 1):
        assert steps(number, after(number, count)) == count
    assert steps(number, after(number, IRRATIONAL_STEPS + 9)) == IRRATIONAL_STEPS + 1
    assert steps(after(number, 1), number) == 0


@pytest.mark.trust(22)
def test_an_exact_premise_is_the_tightest_one() -> None:
    third = Exact(1, 3)
    low, high = third.down(), third.up()
    assert tight(third, low, high)
    assert not tight(third, low, after(high, 1))
    assert not tight(third, math.nextafter(low, -math.inf), high)
    assert tight_below(third, low)
    assert not tight_below(third, high)
    assert not tight_below(third, math.nextafter(low, -math.inf))
    root = root_of(2)
    below = root.down()
    assert tight(root, below, after(below, IRRATIONAL_STEPS))
    assert not tight(root, below, after(below, IRRATIONAL_STEPS + 1))
    for count in range(IRRATIONAL_STEPS):
        bound = below
        for _ in range(count):
            bound = math.nextafter(bound, -math.inf)
        assert tight_below(root, bound)
    assert not tight_below(root, math.nextafter(bound, -math.inf))
    assert not tight_below(root, after(below, 1))


def test_roots_are_told_apart_by_random_squares() -> None:
    rng = np.random.default_rng(0)
    numbers = [(int(a), int(b)) for a, b in rng.integers(1, 60, (5, 2))]
    compare: Callable[[Value, Value], bool] = less
    for left, right in itertools.product(numbers, repeat=2):
        root, ratio = Exact(*left, root=True), Exact(*right)
        expected = Fraction(*left) < Fraction(*right) ** 2
        assert compare(root, ratio) == expected
        assert compare(Exact(-left[0], left[1], True), Exact(-right[0], right[1])) == (
            Fraction(*left) > Fraction(*right) ** 2
        )


def test_a_wide_ball_is_rounded_from_its_ends() -> None:
    wide = Approximate(lambda: arb(3, 0.5))
    assert wide.floor() <= 5 << (GRID - 1)
    assert wide.ceiling() >= 7 << (GRID - 1)
