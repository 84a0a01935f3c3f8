"""Similarities of every kind: values, ranges and directions, against interval arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx, fmpq
from mpmath import iv, mp, mpf

from protoproof.errors import DescriptionError
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.primitives import End, as_ball
from tests.support.kernel.algebra import COUNT, Program, made
from tests.support.kernel.second_heads import image

ONE_OF_EACH = {
    made(name, 0).kind.chain: name
    for name in ("distances", "folded norms", "roots of distances", "own temperatures", "angles",
                 "own scales of angles", "angles, cut off", "means of distances",
                 "products of positive numbers", "sigmoids of products")
}  # fmt: skip
NEAR = 1e-12


def chain_of(name: str) -> tuple[Chain, Program]:
    here = made(name, 1)
    if here.kind.pooling != "nearest":
        return here.head.inner, here.inner
    return here.head.chain, here.program


def number(end: End) -> float:
    return end if isinstance(end, float) else float(as_ball(end).mid())


def exactly(end: float) -> End:
    return end if math.isinf(end) else fmpq(*end.as_integer_ratio())


@pytest.mark.trust(22)
@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_values_and_ranges_are_those_of_the_steps(kind: str) -> None:
    chain, program = chain_of(ONE_OF_EACH[kind])
    assert chain.uniform == all(len(set(c)) <= 1 for _, c in program)
    rng = np.random.default_rng(2)
    positive = made(ONE_OF_EACH[kind], 1).kind.geometry == "euclidean"
    with mp.workprec(200), ctx.workprec(160):
        iv.prec = 200
        for _ in range(12):
            low, high = sorted(float(x) for x in rng.normal(0.3, 0.6, 2))
            if positive:
                low, high = abs(low), abs(low) + abs(high)
            if rng.random() < 0.3:
                high = math.inf
            if rng.random() < 0.2:
                low = 0.0 if positive else -math.inf
            for j in range(COUNT):
                found = [number(e) for e in chain.range(j, exactly(low), exactly(high))]
                wanted = [float(mpf(e.a)) for e in image(program, j, low, high)]
                assert found == pytest.approx(wanted, abs=NEAR)
                point = low if math.isfinite(low) else 0.5
                assert float(chain.value(j, exactly(point)).mid()) == pytest.approx(
                    float(mpf(image(program, j, point, point)[0].a)), abs=NEAR
                )
                _slope(chain, program, j, point)


def _slope(chain: Chain, program: Program, j: int, t: float) -> None:
    """The derivative is the quotient of small differences, where there is no kink."""
    step = mpf(2) ** -40
    ends = [image(program, j, mpf(t) + s, mpf(t) + s)[0] for s in (0, step)]
    wanted = float(mpf(((ends[1] - ends[0]) / step).a))
    found = chain.slope(j, exactly(t))
    if found.is_finite() and float(found.rad()) < NEAR:
        assert float(found.mid()) == pytest.approx(wanted, abs=1e-6)


def test_a_chain_of_equal_constants_is_one_for_all() -> None:
    steps = [Step("add", (Fraction(1),)), Step("mul", (Fraction(-2), Fraction(-2)))]
    assert Chain(steps).uniform
    assert not Chain([*steps, Step("add", (Fraction(1), Fraction(2)))]).uniform
    assert Chain(steps).fits(2)
    assert not Chain(steps).fits(3)


def test_one_constant_that_a_step_does_not_take_is_enough() -> None:
    with pytest.raises(DescriptionError):
        Step("div_root", (Fraction(1), Fraction(-1)))


def test_a_logarithm_after_something_else_is_a_logarithm() -> None:
    add, log = Step("add", (Fraction(1),)), Step("log")
    assert abs(Chain([add, log]).value(0, fmpq(1)) - arb(2).log()) < 1e-12
    one_plus = Step("one_plus", (Fraction(3),))
    assert abs(Chain([one_plus, log]).value(0, fmpq(1)) - arb(4).log()) < 1e-12
    assert abs(Chain([add, one_plus, log]).value(0, fmpq(2)) - arb(2).log()) < 1e-12
    twice = Chain([one_plus, Step("mul", (Fraction(2),))])
    assert twice.number(0, fmpq(1)) == 8


@pytest.mark.parametrize(
    ("steps", "falls", "never_falls"),
    [
        ([Step("mul", (Fraction(-1),))], True, False),
        ([Step("mul", (Fraction(2),))], False, True),
        ([Step("mul", (Fraction(-1),)), Step("exp")], True, False),
        ([Step("mul", (Fraction(-1),)), Step("mul", (Fraction(-1),))], False, True),
    ],
)
def test_directions(steps: list[Step], falls: bool, never_falls: bool) -> None:
    chain = Chain(steps)
    ends = fmpq(0), fmpq(5)
    found = chain.not_decreasing(0, *ends), chain.never_falls(0, *ends)
    assert (not found[0], found[1]) == (falls, never_falls)
