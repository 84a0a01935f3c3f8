"""Ranges over domains against the definition: corners of boxes, and lengths squared twice."""

from __future__ import annotations

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
    SimplexDomain,
    SphereDomain,
)
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.ranges import box_ranges, domain_ranges, shift_to
from protoproof.kernel.model.head import Geometry, Head
from tests.support.kernel.exactly import linear, small_head

ONE = 1 << GRID
POINTS = [[0, 0, 0], [3, -1, 2], [-2, 5, 0], [1, 1, 1]]
SCALES = [[1, 2, 3], [0, 1, 4], [2, 0, 0], [0, 0, 0]]
STEP = Fraction(1, ONE)
Ends = tuple[int | None, int | None]


def head_of(geometry: Geometry = "euclidean", **more: Any) -> Head:
    if geometry == "diagonal":
        more["scales"] = ([n for row in SCALES for n in row], 2)
    weight = linear([[1] * 4, [0] * 4])
    return small_head(POINTS, weight, shift=1, geometry=geometry, locations=(0, 0), **more)


def measured(geometry: str, j: int, z: Sequence[Fraction]) -> Fraction:
    p = [Fraction(n, 2) for n in POINTS[j]]
    if geometry == "linear":
        return -sum((a * b for a, b in zip(p, z, strict=True)), Fraction(0))
    weights = [Fraction(n, 4) for n in SCALES[j]] if geometry == "diagonal" else [Fraction(1)] * 3
    return sum((w * (a - b) ** 2 for w, a, b in zip(weights, z, p, strict=True)), Fraction(0))


def floor(x: Fraction) -> int:
    return math.floor(x * ONE)


@pytest.mark.trust(22)
@pytest.mark.parametrize("geometry", ["euclidean", "diagonal", "linear"])
def test_over_a_box_the_extremes_are_attained(geometry: Geometry) -> None:
    """At corners, or at the nearest point of the box; rounded outwards."""
    head, rng = head_of(geometry), np.random.default_rng(0)
    for number in range(12):
        unit = 8.0 if number % 2 else 2.0**45  # finer than the grid's half
        ends = np.sort(rng.integers(-20, 20, (2, 2, 3)), axis=0) / unit
        ends += number // 2 % 2
        where = BoundedDomain.around(ends[0], ends[1])
        for k, found in enumerate(domain_ranges(head, where)):
            low, high = ([Fraction(x) for x in side[k]] for side in ends)
            corners = list(itertools.product(*zip(low, high, strict=True)))
            for j in range(4):
                values = [measured(geometry, j, z) for z in corners]
                near = [
                    min(max(Fraction(n, 2), a), b)
                    for n, a, b in zip(POINTS[j], low, high, strict=True)
                ]
                least = min(values) if geometry == "linear" else measured(geometry, j, near)
                assert found[j] == (floor(least), -floor(-max(values)))


@pytest.mark.trust(22)
def test_a_box_without_an_upper_end_is_open_where_it_matters() -> None:
    where = read_domain(BoxDomain(lower=(0.5).hex(), upper=None), 2, 3)
    half = [Fraction(1, 2)] * 3
    euclidean: list[Ends] = []
    for j, point in enumerate(POINTS):
        near = [max(Fraction(n, 2), Fraction(1, 2)) for n in point]
        euclidean.append((floor(measured("euclidean", j, near)), None))
    assert domain_ranges(head_of(), where) == [euclidean] * 2
    diagonal = domain_ranges(head_of("diagonal"), where)[0]
    for j in range(4):
        near = [max(Fraction(n, 2), Fraction(1, 2)) for n in POINTS[j]]
        high = None if any(SCALES[j]) else 0
        assert diagonal[j] == (floor(measured("diagonal", j, near)), high)
    linear_ = domain_ranges(head_of("linear"), where)[1]
    assert linear_[0] == (0, 0)
    assert linear_[1] == (None, None)
    assert linear_[2] == (None, None)
    assert linear_[3] == (None, floor(measured("linear", 3, half)))
    turned = small_head([[-1, 0, -2]], linear([[1], [0]]), geometry="linear")
    assert domain_ranges(turned, where)[0] == [(3 * ONE // 2, None)]


@pytest.mark.trust(22)
def test_scales_that_may_be_larger_reach_further() -> None:
    slack = Fraction(3, 16)
    head = head_of("diagonal", scale_slack=slack)
    where = BoundedDomain.around(np.full((2, 3), -1.0), np.full((2, 3), 2.0))
    found = domain_ranges(head, where)[0]
    plain = domain_ranges(head_of("diagonal"), where)[0]
    for j in range(4):
        far = [max(abs(Fraction(n, 2) + 1), abs(2 - Fraction(n, 2))) for n in POINTS[j]]
        # three sixteenths are rounded up to a quarter, the unit of scales
        more = sum(
            (Fraction(w + 1, 4) * x * x for w, x in zip(SCALES[j], far, strict=True)), Fraction(0)
        )
        assert found[j] == (plain[j][0], -floor(-more))


def root_close(end: int, square: Fraction) -> None:
    """At least the root, and no more than a few steps of the grid above it."""
    assert Fraction(end, ONE) ** 2 >= square
    assert (Fraction(end, ONE) - 3 * STEP) ** 2 < square or end <= 3


@pytest.mark.trust(22)
def test_angles_are_no_longer_than_their_prototype() -> None:
    """Where no channel is negative, only the positive part counts towards the nearest."""
    head = head_of("angular")
    signed = read_domain(BoxDomain(lower=(-(2.0**-50)).hex(), upper=(1.0).hex()), 2, 3)
    positive = read_domain(BoxDomain(lower=(0.0).hex(), upper=None), 2, 3)
    for where in (LatentDomain(2, 3), signed):
        for j, (low, high) in enumerate(domain_ranges(head, where)[0]):
            assert low is not None
            assert high == -low
            root_close(high, sum((Fraction(n, 2) ** 2 for n in POINTS[j]), Fraction(0)))
    for j, (low, high) in enumerate(domain_ranges(head, positive)[0]):
        assert low is not None
        assert high is not None
        root_close(-low, sum((Fraction(n, 2) ** 2 for n in POINTS[j] if n > 0), Fraction(0)))
        root_close(high, sum((Fraction(n, 2) ** 2 for n in POINTS[j] if n < 0), Fraction(0)))


@pytest.mark.trust(22)
def test_free_space_has_the_ranges_of_the_geometry() -> None:
    free = LatentDomain(2, 3)
    for geometry, first, other in (
        ("euclidean", (0, None), (0, None)), ("diagonal", (0, None), (0, None)),
        ("linear", (0, 0), (None, None)),
    ):  # fmt: skip
        head = head_of(geometry)  # type: ignore[arg-type]
        assert domain_ranges(head, free) == [[first, other, other, other]] * 2


def shell(kind: str, slack: float) -> Domain:
    return (SphereDomain if kind == "sphere" else BallDomain)(slack=slack.hex())


@pytest.mark.trust(22)
@pytest.mark.parametrize("kind", ["sphere", "ball"])
@pytest.mark.parametrize("slack", [0.0, 0.4375])
def test_distances_to_a_shell_follow_from_lengths(kind: str, slack: float) -> None:
    """|p| against the lengths that the domain has: beyond, between, and within them."""
    points = [[0, 0, 0], [6, 0, 0], [0, 1, 0], [0, 0, 2], [3, 4, 0], [1, 1, 1]]
    head = small_head(points, linear([[1] * 6, [0] * 6]), shift=1, locations=(0, 0))
    where = read_domain(shell(kind, slack), 2, 3)
    outer = Fraction(1) + Fraction(slack)
    inner = Fraction(1) - Fraction(slack) if kind == "sphere" else Fraction(0)
    for p, (low, high) in zip(points, domain_ranges(head, where)[1], strict=True):
        norm = sum((Fraction(n, 2) ** 2 for n in p), Fraction(0))
        assert low is not None
        assert high is not None
        radius = outer if norm > outer else inner
        true = norm + radius - 2 * Fraction(math.isqrt(int(norm * radius * 2**200)), 2**100)
        near = true if norm > outer or norm < inner else Fraction(0)
        assert near - 8 * STEP < Fraction(low, ONE) <= near + Fraction(1, 2**90)
        assert low >= 0
        far = norm + outer + 2 * Fraction(math.isqrt(int(norm * outer * 2**200)), 2**100)
        assert far - Fraction(1, 2**90) <= Fraction(high, ONE) < far + 8 * STEP


@pytest.mark.trust(22)
@pytest.mark.parametrize("kind", ["sphere", "ball"])
def test_products_on_a_shell_are_no_longer_than_both(kind: str) -> None:
    where = read_domain(shell(kind, 0.25), 2, 3)
    for j, (low, high) in enumerate(domain_ranges(head_of("linear"), where)[0]):
        norm = sum((Fraction(n, 2) ** 2 for n in POINTS[j]), Fraction(0))
        assert high is not None
        assert low == -high
        root_close(high, norm * Fraction(5, 4))


@pytest.mark.trust(22)
@pytest.mark.parametrize("slack", [0.0, 0.25])
def test_ranges_over_a_simplex(slack: float) -> None:
    where = read_domain(SimplexDomain(slack=slack.hex()), 2, 3)
    sums = Fraction(1 - slack), Fraction(1 + slack)
    corners = [[s if d == k else Fraction(0) for d in range(3)] for s in sums for k in range(3)]
    for j, ends in enumerate(domain_ranges(head_of("linear"), where)[0]):
        values = [measured("linear", j, z) for z in corners]
        assert ends == (floor(min(values)), -floor(-max(values)))
    for j, (low, high) in enumerate(domain_ranges(head_of(), where)[1]):
        assert high == -floor(-max(measured("euclidean", j, z) for z in corners))
        point = [Fraction(n, 2) for n in POINTS[j]]
        total = min(max(sum(max(x, Fraction(0)) for x in point), sums[0]), sums[1])
        near = measured("euclidean", j, projected(point, Fraction(total)))
        assert low is not None
        assert near - 2 * STEP < Fraction(low, ONE) <= near


def projected(point: Sequence[Fraction], total: Fraction) -> list[Fraction]:
    """The nearest point z >= 0 with sum z = total: by the channels that stay, the best of all."""
    found = []
    for size in range(1, len(point) + 1):
        for stay in itertools.combinations(range(len(point)), size):
            t = (sum((point[d] for d in stay), Fraction(0)) - total) / size
            z = [point[d] - t if d in stay else Fraction(0) for d in range(len(point))]
            if min(z) >= 0:
                found.append(z)
    return min(found, key=lambda z: sum((a - b) ** 2 for a, b in zip(z, point, strict=True)))


@pytest.mark.trust(22)
def test_the_shift_of_a_projection() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        point = [Fraction(int(n), 3) for n in rng.integers(-4, 7, 4)]
        total = Fraction(int(rng.integers(1, 9)), 2)
        t = shift_to(point, total)
        z = projected(point, total)
        assert [max(x - t, Fraction(0)) for x in point] == z
        assert sum(z, Fraction(0)) == total
    assert shift_to([Fraction(2)], Fraction(1, 2)) == Fraction(3, 2)


def test_equal_boxes_share_their_ranges_and_others_do_not() -> None:
    head = head_of()
    boxes = [BoxDomain(lower=(0.0).hex(), upper=x.hex()) for x in (1.0, 2.0, 1.0)]
    found = [domain_ranges(head, read_domain(box, 2, 3)) for box in boxes]
    assert found[0] == found[2] != found[1]
    assert found[0][0] == box_ranges(head, read_domain(boxes[0], 2, 3), 1)
    half = read_domain(BoxDomain(lower=(0.0).hex(), upper=None), 2, 3)
    assert domain_ranges(head, half)[0][1][1] is None
