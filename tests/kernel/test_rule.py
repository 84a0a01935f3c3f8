"""The Lagrangian rule on boxes of two channels: every value is that of its definition."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from flint import arb, ctx

from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import Ratio
from protoproof.kernel.latent.domain import Constraint, Ends, LatentDomain
from protoproof.kernel.latent.lagrangian import (
    Interval,
    Lagrangian,
    ball_minimum,
    box_minimum,
    free_rule,
    unit_ball,
)
from protoproof.kernel.model.head import Head, Length
from tests.support.kernel.second_rule import Form, bound, least
from tests.support.kernel.small_heads import CHANNELS, PROTOTYPES, head_of

F = Fraction
ZERO = Form(F(0), (F(0),) * CHANNELS, F(0))
SMALL = arb(2) ** -150
FREE = LatentDomain(3, CHANNELS)


class Box(LatentDomain):
    """A box, at every location."""

    def __init__(self, lower: list[int], upper: list[int | None], shift: int) -> None:
        super().__init__(3, CHANNELS)
        self.bounded, self.shift, self._ends = True, shift, (lower, upper)

    def ends(self, location: int) -> Ends:
        return self._ends


def ball(value: Fraction) -> arb:
    return arb(value.numerator) / value.denominator


def fraction(end: Ratio | None) -> Fraction | None:
    return None if end is None else F(*end)


def measured(head: Head, j: int) -> Form:
    p = [F(n, 1 << head.shift) for n in PROTOTYPES[j]]
    if head.geometry == "euclidean":
        return Form(F(1), tuple(-2 * x for x in p), sum((x * x for x in p), F(0)))
    return Form(F(0), tuple(-x for x in p), F(0))


def constrained(one: Constraint, shift: int) -> Form:
    return Form(F(one.square), tuple(F(n, 1 << shift) for n in one.slope), F(0))


ENDS = [(low, high) for low, high in product((None, -2, 0, 1), (None, -1, 0, 2))
        if low is None or high is None or low <= high]  # fmt: skip


@pytest.mark.trust(22)
@pytest.mark.parametrize("leading", [-2, -1, 0, 1, 2])
def test_the_least_value_over_every_small_box(leading: int) -> None:
    """One channel of each kind, and the same beside another; as integers and as balls."""
    halves = F(leading, 2)
    for low, high in ENDS:
        for g in range(-5, 6):
            for beside in (0, -3):
                lower, upper, slope = [low, -1], [high, 1], [g, beside]
                ends = [[None if n is None else F(n) for n in side] for side in (lower, upper)]
                free = leading <= 0 and low is None  # bounds nothing, whatever g is
                for a, exact in ((leading, True), (halves, False)):
                    wanted = None if free else least(
                        Form(F(a), (F(g), F(beside)), F(0)), ends[0], ends[1]
                    )  # fmt: skip
                    if exact:
                        found = box_minimum(leading, slope, lower, upper)
                        assert (found is None) == (wanted is None)
                        if found is not None:
                            rest = F(found[1], 4 * leading) if leading > 0 else F(0)
                            assert found[0] - rest == wanted
                    value = ball_minimum(ball(F(a)), [arb(n) for n in slope], lower, upper)
                    assert value.is_finite() == (wanted is not None)
                    if wanted is not None:
                        assert abs(value - ball(wanted)) < 1e-12


def test_balls_bound_whatever_number_they_hold() -> None:
    """Also where the sign of a curvature or a slope is open; of one that is no number, nothing."""
    for middle, radius, g in product((-1, 0, 1), (0.25, 1.5), (-1, 0, 1)):
        found = ball_minimum(arb(middle, radius), [arb(g, radius)], [-1], [2])
        for a, b in product((-1, 0, 1), repeat=2):
            form = Form(F(middle) + a * F(radius), (F(g) + b * F(radius),), F(0))
            wanted = least(form, [F(-1)], [F(2)])
            assert wanted is not None
            assert not found.lower() > ball(wanted)
    for leading in (arb("nan"), arb("inf") - arb("inf")):
        assert not ball_minimum(leading, [arb(1)], [-1], [2]).is_finite()


def scenes(rng: np.random.Generator, geometry: str) -> tuple[Lagrangian, Head, list[object]]:
    """A rule, what it may charge as forms with their ends, and its box in fractions."""
    head = head_of(geometry, shift=int(rng.choice([0, 2, 3])))
    facts = rng.permutation(3)[: int(rng.integers(0, 4))].tolist()
    unit = int(rng.choice([1, 2, 1 << 14]))
    ends: list[Interval] = []
    for _ in facts:
        low = int(rng.integers(-40, 40))
        pair = (low, unit), (low + 1 + int(rng.integers(0, 40)), unit)
        ends.append((pair[0] if rng.random() < 0.9 else None, pair[1]))
    if rng.random() < 0.4:
        rule = free_rule(head, FREE, 0, facts, ends)
        limits, shift, constraints = ([None] * CHANNELS,) * 2, 0, unit_ball(head)
    else:
        shift = int(rng.choice([0, 2, 5]))
        lower = rng.integers(-60, 1, CHANNELS).tolist()
        upper = [n + int(rng.integers(0, 90)) if rng.random() < 0.9 else None for n in lower]
        constraints = [
            Constraint(1, rng.integers(-9, 9, CHANNELS).tolist(), (-7, 2), (31, 16)),
            Constraint(0, rng.integers(-9, 9, CHANNELS).tolist(), None, (5, 1)),
        ][: int(rng.integers(0, 3))]
        rule = Lagrangian(head, Box(lower, upper, shift), 0, facts, ends, constraints)
        limits = (
            [F(n, 1 << shift) for n in lower],
            [None if n is None else F(n, 1 << shift) for n in upper],
        )
    charged = [(measured(head, i), *map(fraction, e)) for i, e in zip(facts, ends, strict=True)]
    charged += [(constrained(c, shift), fraction(c.low), fraction(c.high)) for c in constraints]
    return rule, head, [charged, limits, shift]


@pytest.mark.trust(22)
@pytest.mark.parametrize("geometry", ["euclidean", "linear", "angular"])
def test_rows_and_forms_are_what_the_theorem_says(geometry: str) -> None:
    rng, proved = np.random.default_rng(5), 0
    for _ in range(40):
        rule, head, (charged, (lower, upper), shift) = scenes(rng, geometry)  # type: ignore[misc]
        rows = [
            [int(t) if rng.random() < 0.8 else 0 for t in rng.integers(-9, 30, len(charged))]
            for _ in range(3)
        ]
        sign, order = int(rng.choice([-1, 1])), rng.permutation(3).tolist()
        for j, row in zip(order, rows, strict=True):
            theta = [F(t, 8) for t in row]
            wanted = bound(ZERO.plus(F(sign), measured(head, j)), charged, theta, lower, upper)
            curved = sign * measured(head, j).square
            curved += sum(t * f.square for t, (f, *_) in zip(theta, charged, strict=True))
            if lower[0] is None and curved <= 0:
                wanted = None
            found = _proved(rule, j, sign, row)
            assert found == wanted
            proved += found is not None
            _forms(rule, head, row, [theta, charged, lower, upper, shift], rng)
        try:
            together = dict(rule.rows(order, rows, 3, sign))
        except CertificateError:
            continue
        alone = {j: _proved(rule, j, sign, row) for j, row in zip(order, rows, strict=True)}
        assert {j: F(*r) for j, r in together.items()} == {
            j: value for j, value in alone.items() if value is not None
        }
    assert proved > 20


def _proved(rule: Lagrangian, j: int, sign: int, row: Sequence[int]) -> Fraction | None:
    try:
        return fraction(rule.row(j, sign, row, 3))
    except CertificateError:
        return None


def _forms(
    rule: Lagrangian, head: Head, row: list[int], known: list[object], rng: np.random.Generator
) -> None:
    """Of some prototypes, or of none, less some linear functions of the latent."""
    theta, charged, lower, upper, shift = known
    numbers = {j: F(int(rng.integers(-9, 10)), 4) for j in range(3) if rng.random() < 0.6}
    less = [(F(3, 4), rng.integers(-9, 9, CHANNELS).tolist())][: int(rng.integers(0, 2))]
    wanted_form = ZERO
    for j, value in numbers.items():
        wanted_form = wanted_form.plus(value, measured(head, j))
    for nu, normal in less:
        slope = tuple(F(n, 1 << shift) for n in normal)  # type: ignore[operator]
        wanted_form = wanted_form.plus(-nu, Form(F(0), slope, F(0)))
    wanted = bound(wanted_form, charged, theta, lower, upper)  # type: ignore[arg-type]
    with ctx.workprec(300):
        balls = [(ball(nu), normal) for nu, normal in less]
        try:
            value = rule.form({j: ball(n) for j, n in numbers.items()}, row, ball(F(1, 8)), balls)
        except CertificateError:
            assert wanted is None
            return
        flat = lower[0] is None and wanted is not None and not value.is_finite()  # type: ignore[index]
        if not flat:  # without a box nothing is said where there is no curvature
            assert value.is_finite() == (wanted is not None)
            assert wanted is None or abs(value - ball(wanted)) < SMALL


def test_curvature_as_small_as_it_can_be_bounds_and_none_does_not() -> None:
    head = head_of("euclidean")
    rule = free_rule(head, FREE, 0, (0,), (((0, 1), (9, 1)),))
    wanted = measured(head, 1).plus(F(-255, 256), measured(head, 0))
    none = [None] * CHANNELS
    assert rule.leading([-255], 256) == 1
    assert fraction(rule.row(1, 1, [-255], 8)) == least(wanted, none, none)
    for t in (-256, -257):
        with pytest.raises(CertificateError, match="A <= 0"):
            rule.row(1, 1, [t], 8)
    assert list(rule.rows((), (), 8, 1)) == []


def test_what_does_not_belong_together_is_refused_and_never_cut_off() -> None:
    head, one = head_of("euclidean"), (1, 1)
    box = Box([0, 0], [4, 4], 0)
    for geometry, lengths in (("diagonal", ()), ("angular", [Length(F(n)) for n in range(3)])):
        with pytest.raises(CertificateError, match="do not bound"):
            Lagrangian(head_of(geometry, lengths), FREE, 0)
    for ends in ((), ((one, one),) * 2):
        with pytest.raises(ValueError, match="zip"):
            Lagrangian(head, box, 0, (0,), ends)
    for end in ((1, 3), (1, 6)):
        for pair in ((end, None), (None, end)):
            with pytest.raises(ValueError, match="power of two"):
                Lagrangian(head, box, 0, (0,), (pair,))
    sloped = Constraint(0, [0, 1], None, one)
    with pytest.raises(ValueError, match="without a box"):
        Lagrangian(head, FREE, 0, (), (), [sloped])
    Lagrangian(head, FREE, 0, (), (), [Constraint(1, [0, 0], None, one)])
    rule = Lagrangian(head, box, 0, (0,), ((one, one),), [sloped])
    for theta in ([[1, 0]], [[1, 0]] * 3):
        with pytest.raises(ValueError, match="zip"):
            list(rule.rows((1, 2), theta, 8, 1))
        with pytest.raises(ValueError, match="zip"):
            list(Lagrangian(head, FREE, 0).rows((1, 2), [[]] * len(theta), 8, 1))
    with pytest.raises(ValueError, match="zip"):
        rule.form({1: arb(1)}, [1, 1], arb(1), [(arb(1), [1])])
    short = Lagrangian(head, box, 0, (), (), [Constraint(0, [1], None, one)])
    with pytest.raises(ValueError, match="zip"):
        short.form({1: arb(1)}, [1], arb(1))


@pytest.mark.parametrize("row", [[], [1], [1, 1, 1]])
def test_one_multiplier_for_each_that_may_be_charged(row: list[int]) -> None:
    for ends in ((((0, 1), (1, 1)),) * 2, ((None, (1, 1)),) * 2):
        rule = Lagrangian(head_of("euclidean"), FREE, 0, (0, 1), ends)
        for refusing in (rule.accept, rule.charge):
            with pytest.raises(CertificateError, match="not one multiplier"):
                refusing(row)


def test_only_ends_that_are_known_are_charged() -> None:
    """An end of measurement 0, at (0, 0) of which it is 34/16."""
    head, closed = head_of("euclidean"), ((1, 1), (3, 1))
    for open_, good in (((None, (3, 1)), 1), (((1, 1), None), -1), ((None, None), 0)):
        for ends in ((closed, open_), (open_, closed)):
            rule = Lagrangian(head, FREE, 0, (0, 0), ends)
            place = ends.index(open_)
            for t in (-1, 0, 1):
                row = [0, 0]
                row[place] = t
                if t in (0, good):
                    rule.accept(row)
                    rule.charge(row)
                    continue
                for refusing in (rule.accept, rule.charge):
                    with pytest.raises(CertificateError, match="open end"):
                        refusing(row)
    rule = Lagrangian(head, FREE, 0, (0,), (closed,))
    rule.accept([1])
    unit = 1 << 4
    assert [rule.charge([t]) for t in (-2, 0, 2)] == [
        -2 * unit * (1 - F(34, 16)), 0, 2 * unit * (3 - F(34, 16)),
    ]  # fmt: skip


def test_a_direction_is_in_the_unit_ball_and_nothing_else_is_known() -> None:
    (one,) = unit_ball(head_of("angular"))
    assert (one.square, one.slope) == (1, [0, 0])
    assert (fraction(one.low), fraction(one.high)) == (0, 1)
    assert unit_ball(head_of("euclidean")) == unit_ball(head_of("linear")) == []
