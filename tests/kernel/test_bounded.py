"""Bounded domains in fractions: their ends, their constraints, and who lies at their edge."""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.schema import (
    BallDomain,
    BoxDomain,
    Domain,
    FreeDomain,
    LinearBound,
    ReachDomain,
    SimplexDomain,
    SphereDomain,
)
from protoproof.errors import CertificateError
from protoproof.kernel.latent.bounded import BoundedDomain, float64_integers, float64_width
from protoproof.kernel.latent.domain import Constraint, LatentDomain, read_domain

SLACK = 0.125
SHAPE = 2, 3


def read(domain: Domain) -> LatentDomain:
    return read_domain(domain, *SHAPE)


def doubles(values: Any) -> str:
    return base64.b64encode(np.asarray(values, dtype="<f8").tobytes()).decode()


def ends(where: LatentDomain, location: int) -> tuple[list[Fraction], list[Fraction | None]]:
    lower, upper = where.ends(location)
    unit = 1 << where.shift
    return [Fraction(n, unit) for n in lower], [
        None if n is None else Fraction(n, unit) for n in upper
    ]


def box(lower: float, upper: float | None) -> BoxDomain:
    return BoxDomain(lower=lower.hex(), upper=None if upper is None else upper.hex())


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    ("domain", "low", "high"),
    [
        (box(-0.75, 3.0), -0.75, 3.0),
        (box(5.0, 5.0), 5.0, 5.0),
        (box(-(2.0**-40), None), -(2.0**-40), None),
        (box(0.0, 2.0**60), 0.0, 2.0**60),
        (SphereDomain(slack=SLACK.hex()), -1 - SLACK, 1 + SLACK),
        (BallDomain(slack=SLACK.hex()), -1 - SLACK, 1 + SLACK),
        (BallDomain(slack=(0.0).hex()), -1, 1),
        (SimplexDomain(slack=SLACK.hex()), 0, 1 + SLACK),
        (SimplexDomain(slack=(1 - 2.0**-52).hex()), 0, 2 - 2.0**-52),
    ],
)
def test_a_domain_that_is_alike_everywhere_has_one_box(
    domain: Any, low: float, high: float | None
) -> None:
    where = read(domain)
    top = None if high is None else Fraction(high)
    for k in range(2):
        assert ends(where, k) == ([Fraction(low)] * 3, [top] * 3)
    assert (where.kind, where.bounded, where.uniform) == (domain.kind, True, True)
    assert not where.joints
    longest = max(abs(n or 0) for side in where.ends(0) for n in side)
    assert where.size >= longest.bit_length() / 64


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    "domain",
    [
        box(1.0, math.nextafter(1.0, 0.0)), SphereDomain(slack=(1.0).hex()),
        BallDomain(slack=(1.5).hex()), SimplexDomain(slack=(-(2.0**-60)).hex()),
        BallDomain(slack=(-1.0).hex()),
    ],
)  # fmt: skip
def test_an_empty_box_or_another_slack_is_refused(domain: Any) -> None:
    with pytest.raises(CertificateError):
        read(domain)


def reach(lower: Any, upper: Any, *forms: tuple[Any, float]) -> ReachDomain:
    bounds = tuple(LinearBound(coefficients=doubles(c), bound=d.hex()) for c, d in forms)
    return ReachDomain(lower=doubles(lower), upper=doubles(upper), bounds=bounds, source="x")


LOWER = np.array([[0.0, -1.5, 2.0**-30], [3.0, 0.25, -7.0]])
UPPER = np.array([[0.0, 2.5, 1.0], [3.5, 0.5, 2.0**20]])
FORM = np.array([[1.0, -2.0, 0.5], [0.0, 0.25, -1.0]])


@pytest.mark.trust(22)
def test_what_a_region_reaches_has_a_box_per_location() -> None:
    where = read(reach(LOWER, UPPER, (FORM, -0.375), (-FORM, 2.0)))
    for k in range(2):
        low, high = ([Fraction(x) for x in side[k]] for side in (LOWER, UPPER))
        assert ends(where, k) == (low, high)
    assert (where.kind, where.bounded, where.uniform) == ("reach", True, False)
    unit = 1 << where.shift
    for joint, sign, bound in zip(where.joints, (1, -1), (-0.375, 2.0), strict=True):
        found = [[Fraction(n, unit) for n in row] for row in joint.slopes]
        assert found == [[sign * Fraction(x) for x in row] for row in FORM]
        assert Fraction(*joint.bound) == Fraction(bound)
        most = [largest(sign * FORM[k], k) for k in range(2)]
        assert [Fraction(n, unit**2) for n in joint.most] == most
    for k, j in itertools.product(range(2), range(3)):
        crossed = LOWER.copy()
        crossed[k, j] = math.nextafter(UPPER[k, j], math.inf)
        with pytest.raises(CertificateError, match="empty"):
            read(reach(crossed, UPPER))


def largest(slope: Sequence[float], location: int) -> Fraction:
    corners = itertools.product(*zip(LOWER[location], UPPER[location], strict=True))
    return max(
        sum((Fraction(c) * Fraction(z) for c, z in zip(slope, corner, strict=True)), Fraction(0))
        for corner in corners
    )


def constraint(where: LatentDomain, found: Constraint) -> tuple[Any, ...]:
    slope = [Fraction(n, 1 << where.shift) for n in found.slope]
    low, high = (None if end is None else Fraction(*end) for end in (found.low, found.high))
    return found.square, slope, low, high


@pytest.mark.trust(22)
def test_constraints_are_those_of_the_kind() -> None:
    less, more = Fraction(1 - SLACK), Fraction(1 + SLACK)
    nothing, ones = [Fraction(0)] * 3, [Fraction(1)] * 3
    for domain, wanted in (
        (SphereDomain(slack=SLACK.hex()), (1, nothing, less, more)),
        (BallDomain(slack=SLACK.hex()), (1, nothing, Fraction(0), more)),
        (SimplexDomain(slack=SLACK.hex()), (0, ones, less, more)),
    ):  # fmt: skip
        where = read(domain)
        for found in (where.local(), where.constraints(1), where.constraints(1)):
            assert [constraint(where, one) for one in found] == [wanted]
    for domain in (box(0.0, 1.0), reach(LOWER, UPPER), FreeDomain()):
        assert read(domain).local() == read(domain).constraints(0) == []
    # as one location sees a linear bound, the others do as much as their box allows
    where = read(reach(LOWER, UPPER, (FORM, -0.375), (-FORM, 2.0)))
    for k in range(2):
        found = [constraint(where, one) for one in where.constraints(k)]
        assert found == [
            (
                0, [sign * Fraction(x) for x in FORM[k]],
                Fraction(bound) - largest(sign * FORM[1 - k], 1 - k), None,
            )
            for sign, bound in ((1, -0.375), (-1, 2.0))
        ]  # fmt: skip


def outside(where: LatentDomain, location: int, *z: Fraction | float) -> str | None:
    values = [Fraction(x) for x in z]
    unit = math.lcm(*(x.denominator for x in values))
    return where.outside(location, [int(x * unit) for x in values], unit)


NEAR = Fraction(1, 10**30)


@pytest.mark.trust(22)
def test_the_edge_belongs_to_a_domain_and_nothing_beyond() -> None:
    half = read(box(-0.5, None))
    assert outside(half, 1, Fraction(-1, 2), 10**9, 0) is None
    assert outside(half, 1, 0, 0, Fraction(-1, 2) - NEAR) == "location 1, channel 2"
    both = read(box(-0.5, 0.75))
    assert outside(both, 0, Fraction(-1, 2), Fraction(3, 4), Fraction(1, 3)) is None
    assert outside(both, 0, Fraction(3, 4) + NEAR, 0, 0) == "location 0, channel 0"
    where = read(reach(LOWER, UPPER))
    assert outside(where, 0, 0, -1.5, 1) is None
    assert outside(where, 0, NEAR, -1.5, 1) == "location 0, channel 0"
    assert outside(where, 1, 3, Fraction(1, 2) + NEAR, 0) == "location 1, channel 1"
    # 3-4-5 triangles, of length 3/4 and 1
    sphere, ball = read(SphereDomain(slack=(0.4375).hex())), read(BallDomain(slack=(0.4375).hex()))
    for size, on, within in (
        (Fraction(3, 4), True, True), (1, True, True), (Fraction(3, 4) - NEAR, False, True),
        (0, False, True),
    ):  # fmt: skip
        z = Fraction(3, 5) * size, Fraction(4, 5) * size, Fraction(0)
        assert (outside(sphere, 0, *z) is None) is on
        assert (outside(ball, 0, *z) is None) is within
    simplex = read(SimplexDomain(slack=SLACK.hex()))
    less, more = Fraction(7, 8), Fraction(9, 8)
    third = Fraction(1, 3)
    for total, good in ((less, True), (more, True), (less - NEAR, False), (more + NEAR, False)):
        found = outside(simplex, 1, third, third, total - 2 * third)
        assert (found is None) is good
        assert found in (None, "location 1 (simplex)")
    assert outside(simplex, 0, -NEAR, 1, 0) == "location 0, channel 0"


@pytest.mark.trust(22)
def test_a_ball_ends_exactly_at_its_length() -> None:
    where = read(BallDomain(slack=(0.5625).hex()))  # of length 5/4
    for size, good in ((1, True), (1 + NEAR, False)):
        z = Fraction(3, 4) * size, Fraction(1) * size, Fraction(0)
        assert (outside(where, 0, *z) is None) is good
    sphere = read(SphereDomain(slack=(0.5625).hex()))
    assert outside(sphere, 0, Fraction(3, 4), 1, 0) is None
    assert outside(sphere, 0, Fraction(3, 4), 1, NEAR) == "location 0 (sphere)"


@pytest.mark.trust(22)
def test_linear_bounds_add_up_over_all_locations() -> None:
    """Whatever the units; equality is within."""
    where = read(reach(LOWER - 50, UPPER + 50, (FORM, -0.375), (-FORM, -40.0)))

    def jointly(first: Sequence[Fraction], second: Sequence[Fraction]) -> str | None:
        points = {}
        for k, z in enumerate((first, second)):
            unit = math.lcm(*(x.denominator for x in z))
            points[k] = [int(x * unit) for x in z], unit
        return where.outside_jointly(points)

    one, three, seven = Fraction(1), Fraction(1, 3), Fraction(1, 7)
    at = [one, three, seven], [seven, three, Fraction(0)]

    def value() -> Fraction:
        return sum(
            (Fraction(c) * z for row, here in zip(FORM, at, strict=True)
             for c, z in zip(row, here, strict=True)), Fraction(0),
        )  # fmt: skip

    at[1][2] = value() + Fraction(3, 8)  # its coefficient is -1
    assert value() == Fraction(-3, 8)
    assert jointly(*at) is None
    at[1][2] += NEAR
    assert jointly(*at) == "linear bound 0"
    at[1][2] = Fraction(0)
    at[1][2] = value() - 40
    assert jointly(*at) is None
    at[1][2] -= NEAR
    assert jointly(*at) == "linear bound 1"
    assert read(FreeDomain()).outside_jointly({}) is None
    assert read(box(0.0, 1.0)).outside_jointly({0: ([5, 5, 5], 1)}) is None


@pytest.mark.trust(22)
def test_free_space_is_everything() -> None:
    free = read(FreeDomain())
    assert (free.kind, free.bounded, free.uniform, free.shift) == ("free", False, True, 0)
    assert (free.locations, free.channels) == SHAPE
    assert not free.joints
    assert outside(free, 0, 10**9, -(10**9), 0) is None
    with pytest.raises(ValueError, match="no box"):
        free.ends(0)


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    "values", [[0.0, -0.0], [1.0], [0.1, -3.5, 2.0**70], [5e-324, 1.0], [-(2.0**-60), 2.0**-61], []]
)
def test_float64_become_integers_over_one_unit(values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    numbers, shift = float64_integers(array)
    assert shift >= 0
    assert [Fraction(n, 1 << shift) for n in numbers] == [Fraction(x) for x in values]
    longest = max((abs(n).bit_length() for n in numbers), default=0)
    assert longest <= 64 * float64_width(array) <= longest + 64 + 64 + 64
    if numbers and any(numbers):
        assert shift == 0 or any(n % 2 for n in numbers)


def test_a_box_of_one_location_is_read_alike() -> None:
    where = BoundedDomain.around(LOWER[:1], UPPER[:1])
    assert ends(where, 0)[0] == [Fraction(x) for x in LOWER[0]]
