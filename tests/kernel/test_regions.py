"""Exact domains and the Lagrangian bound over boxes, against brute force and sampled latents."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from flint import arb

from protoproof.certificate.schema import (
    BoxDomain,
    Domain,
    DomainBlock,
    FreeDomain,
    LinearBound,
    ReachDomain,
    Rows,
    SimplexDomain,
    SphereDomain,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.lagrangian import Interval, Lagrangian, ball_minimum, box_minimum
from protoproof.kernel.latent.ranges import domain_ranges
from protoproof.kernel.latent.rows import block_bounds
from protoproof.kernel.model.head import Head
from tests.support.kernel.builders import head_of, scene

KINDS = ("box", "relu", "sphere", "simplex", "reach", "linear")


def doubles(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()


def sampled(kind: str, rng: np.random.Generator, shape: tuple[int, int], count: int) -> np.ndarray:
    """Latents of a domain, [count, L, D]; those of a sphere and a simplex up to rounding."""
    if kind == "sphere":
        points = rng.normal(size=(count, *shape))
        return np.asarray(points / np.linalg.norm(points, axis=2, keepdims=True))
    if kind == "simplex":
        return rng.dirichlet(np.full(shape[1], 0.3), size=(count, shape[0]))
    points = rng.random((count, *shape))
    points[rng.random(points.shape) < 0.3] = 0.0
    points[rng.random(points.shape) < 0.3] = 1.0
    return np.asarray(points * 3.0 if kind == "relu" else points)


def domain(kind: str, shape: tuple[int, int], points: np.ndarray) -> Domain:
    """A domain that contains all of the points."""
    if kind == "box":
        return BoxDomain(lower=(0.0).hex(), upper=(1.0).hex())
    if kind == "relu":
        return BoxDomain(lower=(0.0).hex(), upper=None)
    if kind in ("sphere", "simplex"):
        slack = (2.0**-30).hex()
        return SphereDomain(slack=slack) if kind == "sphere" else SimplexDomain(slack=slack)
    bounds: tuple[LinearBound, ...] = ()
    if kind == "linear":
        coefficients = np.random.default_rng(3).normal(size=(2, *shape))
        values = np.einsum("kld,nld->kn", coefficients, points).min(axis=1)
        bounds = tuple(
            LinearBound(coefficients=doubles(c), bound=float(v - 1e-9).hex())
            for c, v in zip(coefficients, values, strict=True)
        )
    return ReachDomain(
        lower=doubles(points.min(axis=0)),
        upper=doubles(points.max(axis=0)),
        bounds=bounds,
        source="tests",
    )


def setting(kind: str, seed: int) -> tuple[Head, LatentDomain, np.ndarray, np.ndarray]:
    """A head, a region, latents inside, and their squared distances [count, L, P]."""
    here = scene(seed, grid=(1, 2), count=4, channels=4, classes=2)
    head = head_of(here.data)
    points = sampled(kind, np.random.default_rng(seed), (2, 4), 400)
    region = read_domain(domain(kind, (2, 4), points), 2, 4)
    prototypes = here.tiny.prototypes.astype(np.float64)
    measured = ((points[:, :, None] - prototypes) ** 2).sum(axis=3)
    return head, region, points, measured


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_ranges_hold_and_are_nearly_attained(kind: str, seed: int) -> None:
    head, region, _, measured = setting(kind, seed)
    ranges = domain_ranges(head, region)
    for location, row in enumerate(ranges):
        for prototype, (low, high) in enumerate(row):
            seen = measured[:, location, prototype]
            assert low / 2**GRID <= seen.min() + 1e-7
            assert high is None or high / 2**GRID >= seen.max() - 1e-7
            if kind in ("sphere", "simplex"):
                assert high is not None
                assert low / 2**GRID >= seen.min() - 0.5
                assert high / 2**GRID <= seen.max() + 0.8


def test_the_simplex_is_exact_at_known_points() -> None:
    """A prototype outside, on and inside; the nearest point is known by hand."""
    here = scene(0, grid=(1, 2), count=4, channels=4, classes=2)
    points = [(2.0, 0.0, 0.0, 0.0), (0.25,) * 4, (0.0,) * 4, (0.0, -1.0, 0.0, 0.0)]
    tiny = here.tiny.but(prototypes=np.array(points, np.float32))
    head = head_of(tiny.data)
    region = read_domain(SimplexDomain(slack=(2.0**-30).hex()), 2, 4)
    nearest, farthest = (1.0, 0.0, 0.25, 4 / 3), (5.0, 0.75, 1.0, 4.0)
    for row in domain_ranges(head, region):
        for (low, high), near, far in zip(row, nearest, farthest, strict=True):
            assert near - 1e-8 <= low / 2**GRID <= near
            assert high is not None
            assert far <= high / 2**GRID <= far + 1e-7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_random_multipliers_never_beat_a_latent(kind: str, seed: int) -> None:
    """Whatever the row says, what it proves holds at every latent of domain and facts."""
    head, region, _, measured = setting(kind, seed)
    rng = np.random.default_rng(seed)
    count = len(region.constraints(0))
    for sign in (1, -1):
        for _ in range(20):
            location = int(rng.integers(2))
            facts = tuple(int(j) for j in rng.permutation(4)[: rng.integers(0, 3)])
            theta = rng.normal(0, 2.0, len(facts) + count)
            if kind == "linear":  # a linear bound has a lower end only
                theta[len(facts) :] = -np.abs(theta[len(facts) :])
            row = tuple(round(t * 2**20) for t in theta.tolist())
            sides = Rows(prototypes=(3,), theta=(row,)), Rows(prototypes=(), theta=())
            lower, upper = sides if sign == 1 else sides[::-1]
            block = DomainBlock(location=location, facts=facts, shift=20, lower=lower, upper=upper)
            # the facts: as wide as the sampled latents
            known = {
                (location, j): (
                    float(measured[:, location, j].min()).as_integer_ratio(),
                    float(measured[:, location, j].max()).as_integer_ratio(),
                )
                for j in facts
            }
            for *_, low, high in block_bounds(head, region, [block], known):
                bound = low if sign == 1 else -(high or 0)
                assert (low is None, high is None) == (sign == -1, sign == 1)
                assert bound is not None
                assert bound / 2**GRID <= (sign * measured[:, location, 3]).min() + 1e-6


@pytest.mark.parametrize("seed", range(30))
def test_the_minimum_over_a_box(seed: int) -> None:
    rng = np.random.default_rng(seed)
    leading = int(rng.integers(-3, 4))
    slope = [int(g) for g in rng.integers(-20, 21, 3)]
    lower = [int(n) for n in rng.integers(-5, 1, 3)]
    upper: list[int | None] = [low + int(w) for low, w in zip(lower, rng.integers(0, 9, 3))]  # noqa: B905
    found = box_minimum(leading, slope, lower, upper)
    assert found is not None
    grid = [
        np.linspace(low, high or 0, 4001)
        for low, high in zip(lower, upper, strict=True)
        if high is not None
    ]
    brute = sum(float((leading * x * x + g * x).min()) for g, x in zip(slope, grid, strict=True))
    exact = found[0] - (found[1] / (4 * leading) if leading > 0 else 0)
    assert brute - 1e-3 <= exact <= brute + 1e-9
    ball = ball_minimum(arb(leading), [arb(g) for g in slope], lower, upper)
    assert abs(float(ball.mid()) - exact) < 1e-9
    wide = ball_minimum(arb(leading, 0.01), [arb(g, 0.01) for g in slope], lower, upper)
    assert float(wide.lower()) <= exact


def test_an_unbounded_box_needs_a_bowl() -> None:
    assert box_minimum(-1, [0], [0], [None]) is None
    assert box_minimum(0, [-1], [0], [None]) is None
    assert box_minimum(0, [2], [3], [None]) == (6, 0)
    assert box_minimum(1, [-4], [0], [None]) == (0, 16)
    assert box_minimum(1, [-4], [None], [None]) == (0, 16)
    assert box_minimum(0, [0], [None], [None]) is None
    corner: tuple[list[int | None], list[int | None]] = [0], [None]
    assert not ball_minimum(arb(-1), [arb(0)], *corner).is_finite()
    assert not ball_minimum(arb(0, 1), [arb(1)], *corner).is_finite()
    assert not ball_minimum(arb("nan"), [arb(1)], *corner).is_finite()
    assert ball_minimum(arb(0), [arb(2)], *corner) == 0


@pytest.mark.parametrize(
    "bad",
    [
        SphereDomain(slack=(1.0).hex()),
        SimplexDomain(slack=(-0.5).hex()),
        BoxDomain(lower=(1.0).hex(), upper=(0.5).hex()),
        ReachDomain(lower=doubles(np.ones(8)), upper=doubles(np.zeros(8)), source="x"),
        ReachDomain(lower=doubles(np.zeros(7)), upper=doubles(np.ones(8)), source="x"),
        ReachDomain(lower=doubles(np.full(8, np.nan)), upper=doubles(np.ones(8)), source="x"),
        ReachDomain(lower=doubles(np.zeros(8)), upper=doubles(np.full(8, np.inf)), source="x"),
        ReachDomain(
            lower=doubles(np.zeros(8)), upper=doubles(np.ones(8)), source="x",
            bounds=(LinearBound(coefficients=doubles(np.ones(4)), bound=(0.0).hex()),),
        ),
    ],
)  # fmt: skip
def test_malformed_domains_are_refused(bad: Domain) -> None:
    with pytest.raises(CertificateError):
        read_domain(bad, 2, 4)


def test_nobody_is_outside_free_space() -> None:
    assert read_domain(FreeDomain(), 1, 2).outside(0, [10**30, -(10**30)], 1) is None


ONE = (1, 1)


@pytest.mark.parametrize(
    ("ends", "row", "problem"),
    [
        ((None, ONE), (-1,), "open end"),
        ((ONE, None), (1,), "open end"),
        ((ONE, ONE), (), "not one multiplier"),
        ((ONE, ONE), (1, 1), "not one multiplier"),
        ((ONE, ONE), (-(1 << 8),), "A <= 0"),
        ((ONE, ONE), (-(1 << 9),), "A <= 0"),
    ],
)
def test_the_rule_itself_refuses_malformed_multipliers(
    ends: Interval, row: tuple[int, ...], problem: str
) -> None:
    """Whoever calls it: nothing depends on somebody having looked before."""
    head, *_ = setting("box", 0)
    rule = Lagrangian(head, LatentDomain(2, 4), 0, (0,), (ends,))
    with pytest.raises(CertificateError, match=problem):
        rule.row(1, 1, row, 8)
    if "A <=" in problem:  # forms are balls, of which it may be unknown
        assert not rule.form({1: arb(1)}, row, arb(1) / 256).is_finite()
    else:
        with pytest.raises(CertificateError, match=problem):
            rule.form({1: arb(1)}, row, arb(1) / 256)


def test_the_rule_takes_ends_over_powers_of_two_and_constraints_of_a_box() -> None:
    head, region, *_ = setting("simplex", 0)
    free = LatentDomain(2, 4)
    with pytest.raises(ValueError, match="power of two"):
        Lagrangian(head, free, 0, (0,), (((1, 3), None),))
    with pytest.raises(ValueError, match="without a box"):
        Lagrangian(head, free, 0, constraints=region.local())


@pytest.mark.parametrize("kind", [*KINDS, "free"])
@pytest.mark.parametrize("seed", range(3))
def test_a_form_of_one_measurement_is_the_row(kind: str, seed: int) -> None:
    """Balls and integers go through the same rule: they prove the same up to rounding."""
    head, region, *_ = setting("box" if kind == "free" else kind, seed)
    domain_ = LatentDomain(2, 4) if kind == "free" else region
    rng = np.random.default_rng(seed)
    constraints = domain_.constraints(1)
    ends: list[Interval] = [((1, 4), (9, 2)), ((0, 1), (3, 1))]
    rule = Lagrangian(head, domain_, 1, (0, 2), ends, constraints)
    for _ in range(10):
        facts = tuple(int(n) for n in rng.integers(-100, 300, 2))
        own = tuple(-abs(int(n)) for n in rng.integers(-300, 300, len(constraints)))
        exact = rule.row(3, 1, (*facts, *own), 8)
        ball = rule.form({3: arb(1)}, (*facts, *own), arb(1) / 256)
        if exact is None:
            assert not ball.is_finite()
        else:
            assert abs(float(ball.mid()) - exact[0] / exact[1]) <= 1e-9 * (1 + abs(float(ball)))
