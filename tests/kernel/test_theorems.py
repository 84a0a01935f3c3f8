"""The mathematics that the checker rests on, tested again, against sampling and closed forms."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from protoproof.certificate.schema import Rows
from protoproof.kernel import check
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.lagrangian import Interval, Lagrangian
from protoproof.kernel.latent.ranges import box_ranges
from tests.support.kernel.builders import (
    SHIFT,
    Scene,
    core,
    distance,
    exact,
    few_pairs,
    file,
    head_of,
    pair_core,
    project,
    scene,
    topk_core,
)
from tests.support.kernel.models import Tiny

Vector = NDArray[np.float64]


def on_the_spheres(
    here: Scene, location: int, named: list[int], rng: np.random.Generator
) -> Vector:
    """A float64 latent of one location with the observed distances to the named prototypes."""
    p = here.tiny.prototypes.astype(np.float64)
    if not named:
        return rng.normal(0.5, 1.0, p.shape[1])
    foot, radius = here.hull(location, named)
    step = rng.normal(size=p.shape[1])
    away = project(foot + step, p[named]) - (foot + step)
    size = float(np.linalg.norm(away))
    return foot + (radius / size) * away if size > 1e-9 else foot


# --- the Lagrangian row --------------------------------------------------------------------------

DYADIC = st.integers(-(1 << 12), 1 << 12)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_row_bounds_any_point_that_meets_the_facts(data: st.DataObject) -> None:
    """Exact: points are rationals, facts are intervals around their distances, rows are random."""
    channels = data.draw(st.integers(1, 3))
    count = data.draw(st.integers(2, 4))
    coordinate = st.integers(-40, 40)
    points = st.lists(coordinate, min_size=channels, max_size=channels)
    prototypes = data.draw(st.lists(points, min_size=count, max_size=count))
    z = [Fraction(n, 16) for n in data.draw(points)]
    tiny = Tiny(
        np.array(prototypes, np.float32) / np.float32(8), np.eye(2, count, dtype=np.float32)
    )
    head = head_of(tiny.data)
    q = [distance(z, exact(p)) for p in tiny.prototypes]
    named = list(range(1, count))
    width = st.integers(0, 64)
    ends: list[Interval] = []
    for i in named:
        low, high = q[i] - Fraction(data.draw(width), 32), q[i] + Fraction(data.draw(width), 32)
        ends.append((low.as_integer_ratio(), high.as_integer_ratio()))
    theta = tuple(data.draw(DYADIC) for _ in named)
    for sign in (1, -1):
        if (sign << 8) + sum(theta) > 0:
            rows = Rows(prototypes=(0,), theta=(theta,))
            rule = Lagrangian(head, LatentDomain(1, head.channels), 0, named, ends)
            ((prototype, bound),) = rule.rows(rows.prototypes, rows.theta, 8, sign)
            assert prototype == 0
            assert Fraction(*bound) <= sign * q[0]


@pytest.mark.parametrize("seed", range(10))
def test_a_row_is_the_bound_of_the_theory(seed: int) -> None:
    """Rows against the formula, with p formed explicitly and fractions throughout."""
    here = scene(seed, grid=(1, 1), count=5, channels=4)
    head = head_of(here.data)
    named = [4, 1, 2]
    block = here.block(0, named)
    p = [exact(row) for row in here.tiny.prototypes]
    facts = [here.pair(0, i) for i in named]
    ends: list[Interval] = [
        (float.fromhex(fact.lower).as_integer_ratio(), float.fromhex(fact.upper).as_integer_ratio())
        for fact in facts
    ]
    rule = Lagrangian(head, LatentDomain(1, head.channels), 0, named, ends)
    for rows, sign in ((block.lower, 1), (block.upper, -1)):
        for (j, bound), row in zip(
            rule.rows(rows.prototypes, rows.theta, SHIFT, sign), rows.theta, strict=True
        ):
            theta = [Fraction(t, 1 << SHIFT) for t in row]
            leading = sign + sum(theta)
            total = [sign * x for x in p[j]]
            for t, i in zip(theta, named, strict=True):
                total = [a + t * b for a, b in zip(total, p[i], strict=True)]
            value = sign * sum(x * x for x in p[j]) - sum(x * x for x in total) / leading
            for t, i, (low, high) in zip(theta, named, ends, strict=True):
                value += t * sum(x * x for x in p[i]) - t * Fraction(*(high if t > 0 else low))
            assert Fraction(*bound) == value


@pytest.mark.parametrize("seed", range(15))
def test_good_multipliers_attain_the_exact_interval(seed: int) -> None:
    """Theory, section 3: the interval is both valid and what the best multipliers prove."""
    here = scene(seed, grid=(1, 1), count=5, channels=5)
    rng = np.random.default_rng(seed)
    named = [int(j) for j in rng.permutation(5)[: int(rng.integers(1, 5))]]
    facts = [here.pair(0, j) for j in named]
    head = head_of(here.data)
    content = core(here, facts, "pairs")
    proved = Bounds(head, content, read_domain(content.domain, 1, head.channels)).best
    p = here.tiny.prototypes.astype(np.float64)
    samples = [on_the_spheres(here, 0, named, rng) for _ in range(300)]
    for j, (low, high) in enumerate(proved):
        assert high is not None
        lowest, highest = here.interval(0, named, j)
        assert low / 2**GRID == pytest.approx(lowest, abs=1e-6)
        assert high / 2**GRID == pytest.approx(highest, abs=1e-6)
        for z in samples:
            q = float(((z - p[j]) ** 2).sum())
            assert low / 2**GRID - 1e-9 <= q <= high / 2**GRID + 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_box_bounds_are_the_exact_extremes(seed: int) -> None:
    """Nearest point and farthest corner of the box, in fractions."""
    rng = np.random.default_rng(seed)
    prototypes = rng.normal(0.5, 1.0, (4, 3)).astype(np.float32)
    head = head_of(Tiny(prototypes, np.eye(2, 4, dtype=np.float32)).data)
    for lower, upper in (((0, 1), (1, 1)), ((-1, 4), (3, 8)), ((0, 1), None)):
        low, high = Fraction(*lower), None if upper is None else Fraction(*upper)
        box = BoundedDomain.alike("box", (1, 3), lower, upper, (0, 1))
        found = box_ranges(head, box, 0)
        for p, (near, far) in zip(prototypes, found, strict=True):
            nearest = [max(low, x if high is None else min(x, high)) for x in exact(p)]
            assert near == math.floor(distance(nearest, exact(p)) * 2**GRID)
            assert (far is None) == (high is None)
            if high is not None and far is not None:
                corner = [low if x - low > high - x else high for x in exact(p)]
                assert far == math.ceil(distance(corner, exact(p)) * 2**GRID)


# --- whole certificates against attack -----------------------------------------------------------


def worst_margin(here: Scene, z: Vector) -> float:
    p = here.tiny.prototypes.astype(np.float64)
    best = ((z[:, None] - p[None]) ** 2).sum(axis=2).min(axis=0)
    logits = here.logits(best)
    return float(min(logits[here.predicted] - logits[k] for k in here.rivals))


@pytest.mark.parametrize("seed", range(12))
def test_no_latent_that_meets_the_pair_facts_beats_an_accepted_certificate(seed: int) -> None:
    here = scene(seed)
    report = check(file(pair_core(here, seed)), here.data)
    assert report.accepted
    proved = min(lower for _, lower in report.margins)
    named = few_pairs(here, seed)
    rng = np.random.default_rng(seed)
    least = np.inf
    current = np.array([on_the_spheres(here, i, chosen, rng) for i, chosen in enumerate(named)])
    for step in range(1500):
        candidate = current.copy()
        location = int(rng.integers(len(named)))
        jump = on_the_spheres(here, location, named[location], rng)
        candidate[location] = jump
        if step % 2 and named[location]:  # a small move along the sphere
            near = current[location] + 0.1 * rng.normal(size=current.shape[1])
            foot, radius = here.hull(location, named[location])
            p = here.tiny.prototypes.astype(np.float64)
            away = near - project(near, p[named[location]])
            candidate[location] = foot + radius * away / max(float(np.linalg.norm(away)), 1e-9)
        margin = worst_margin(here, candidate)
        if margin < least:
            least, current = margin, candidate
    assert least >= proved - 1e-7
    assert least > 0


@pytest.mark.parametrize("seed", range(12))
def test_no_latent_that_meets_activations_and_ceiling_beats_an_accepted_certificate(
    seed: int,
) -> None:
    """Random latents of which those are kept that meet the facts up to their observed values."""
    here = scene(seed, grid=(2, 2), classes=2, count=4, channels=2)
    accepted = [
        count for count in (1, 2, 3, 4) if check(file(topk_core(here, count)), here.data).accepted
    ]
    ranking = sorted(range(4), key=lambda j: here.best[j])
    p = here.tiny.prototypes.astype(np.float64)
    best = np.array([float(q) for q in here.best])
    rng = np.random.default_rng(seed)
    met = 0
    for count in accepted:
        named, rest = ranking[:count], ranking[count:]
        for _ in range(300):
            z = rng.random((4, 2)) * 2 - 0.5
            for j in named:  # put some location on the sphere of every named prototype
                angle = rng.random() * 2 * np.pi
                away = np.array([np.cos(angle), np.sin(angle)])
                z[int(rng.integers(4))] = p[j] + np.sqrt(best[j]) * away
            q = ((z[:, None] - p[None]) ** 2).sum(axis=2).min(axis=0)
            holds = np.abs(q[named] - best[named]).max() < 1e-9
            if holds and (not rest or q[rest].min() >= best[named[-1]]):
                met += 1
                assert worst_margin(here, z) > 0
    assert met or not accepted or accepted == [4]


def test_a_location_without_facts_can_match_anything() -> None:
    """Facts at one of two locations never prove what depends on the other."""
    for seed in range(20):
        here = scene(seed, grid=(1, 2), count=4, classes=2)
        facts = [here.pair(0, j) for j in range(4)]
        report = check(file(core(here, facts, "pairs")), here.data)
        loses = worst_margin(
            here, np.vstack([here.latent[0], here.tiny.prototypes[1 - here.predicted]])
        )
        if loses < 0:
            assert report.status == "incomplete"
