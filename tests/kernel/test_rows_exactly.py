"""Rows and forms have exactly the value that the theorem gives, written out in fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx

from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import Ratio
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.lagrangian import Lagrangian, free_rule
from tests.support.kernel.algebra import CHANNELS, COUNT, NAMES, Made, made
from tests.support.kernel.second_rule import Ends, Form, bound

RELATED = [name for name in NAMES if made(name, 0).head.related]
OPEN: tuple[Ends, Ends] = ([None] * CHANNELS, [None] * CHANNELS)
Charged = list[tuple[Form, Fraction | None, Fraction | None]]


def form(here: Made, prototype: int) -> Form:
    """The measurement, over z (of angles: over z by its length)."""
    p = [Fraction(float(x)) for x in here.prototypes[prototype]]
    if here.kind.geometry == "euclidean":
        return Form(Fraction(1), tuple(-2 * x for x in p), sum((x * x for x in p), Fraction(0)))
    return Form(Fraction(0), tuple(-x for x in p), Fraction(0))


def box(where: LatentDomain) -> tuple[Ends, Ends]:
    if not where.bounded:
        return OPEN
    unit = 1 << where.shift
    lower, upper = where.ends(0)
    return (
        [Fraction(n, unit) for n in lower],
        [None if n is None else Fraction(n, unit) for n in upper],
    )


def number(ratio: Ratio | None) -> Fraction | None:
    return None if ratio is None else Fraction(*ratio)


def constraints(here: Made) -> Charged:
    """What the domain says, or that a direction is no longer than 1."""
    found: Charged = []
    if here.kind.geometry == "angular":
        zero = (Fraction(0),) * CHANNELS
        return [(Form(Fraction(1), zero, Fraction(0)), Fraction(0), Fraction(1))]
    for one in here.where.constraints(0):
        slope = tuple(Fraction(n, 1 << here.where.shift) for n in one.slope)
        ends = number(one.low), number(one.high)
        found.append((Form(Fraction(one.square), slope, Fraction(0)), *ends))
    return found


def random_ends(rng: np.random.Generator) -> tuple[Ratio | None, Ratio | None]:
    low, width = int(rng.integers(-64, 64)), int(rng.integers(0, 64))
    return (low, 32) if rng.random() < 0.9 else None, (low + width, 32)


@pytest.mark.trust(22)
@pytest.mark.parametrize("name", RELATED)
def test_a_row_is_what_the_theorem_says(name: str) -> None:
    rng = np.random.default_rng(1)
    for seed in range(2):
        here = made(name, seed)
        angular = here.kind.geometry == "angular"
        facts = tuple(rng.permutation(COUNT)[: int(rng.integers(0, 4))].tolist())
        ends = [random_ends(rng) for _ in facts]
        charged = [(form(here, i), *map(number, e)) for i, e in zip(facts, ends, strict=True)]
        charged += constraints(here)
        if angular or not here.where.bounded:
            rule, (lower, upper) = free_rule(here.head, here.where, 0, facts, ends), OPEN
        else:
            where = here.where
            rule = Lagrangian(here.head, where, 0, facts, ends, where.constraints(0))
            lower, upper = box(where)
        for _ in range(12):
            row = rng.integers(-300, 600, len(charged)).tolist()
            row = [t if rng.random() < 0.8 else 0 for t in row]
            sign, j = int(rng.choice([-1, 1])), int(rng.integers(COUNT))
            zero = Form(Fraction(0), (Fraction(0),) * CHANNELS, Fraction(0))
            wanted = zero.plus(Fraction(sign), form(here, j))
            theta = [Fraction(t, 256) for t in row]
            expected = bound(wanted, charged, theta, lower, upper)
            try:
                found = number(rule.row(j, sign, row, 8))
            except CertificateError:
                found = None
            if not here.where.bounded and not angular and found is None:
                # without a box nothing is bounded unless it is curved, whatever its slope
                curved = zip(theta, (f.square for f, _, _ in charged), strict=True)
                leading = sum(t * square for t, square in curved) + wanted.square
                assert expected is None or leading <= 0
                continue
            assert found == expected
            if found is not None:
                _same_form(rule, j, sign, row, found)


def _same_form(rule: Lagrangian, j: int, sign: int, row: list[int], exact: Fraction) -> None:
    """A form of one measurement is the row, in balls."""
    with ctx.workprec(300):
        value = rule.form({j: arb(sign)}, row, arb(1) / 256)
        if value.is_finite():
            wanted = arb(exact.numerator) / exact.denominator
            assert abs(value - wanted) < arb(2) ** -200
