"""The laws of every oracle over every domain: sound, monotone, independent of order, ordered."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import pair_fact
from protoproof.prover.latent.reach import Reach
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.oracle.triangle import TriangleOracle
from tests.oracle.domains import (
    KINDS,
    adversaries,
    domain_of,
    placed,
    shell_reaches,
    small_head_instance,
    violation,
)
from tests.oracle.test_exact import margins_at, some_pairs

ORACLES = {
    "triangle": TriangleOracle(np.inf),
    "exact": IntervalOracle(np.inf),
    "relational": RelationalOracle(np.inf),
}
SIMILARITIES = ("log_ratio", "exponential", "negated", "reciprocal")
kinds = pytest.mark.parametrize("kind", KINDS)
oracles = pytest.mark.parametrize("name", ORACLES)


def margins(name, instance, domain, facts):  # type: ignore[no-untyped-def]
    oracle = ORACLES[name]
    return oracle.decide(oracle.prepare(instance, domain), facts).margins


@kinds
@pytest.mark.parametrize("seed", range(2))
def test_no_latent_inside_facts_and_domain_beats_a_bound(kind: str, seed: int) -> None:
    instance, domain = placed(kind, seed, SIMILARITIES[(seed + len(kind)) % 4])
    facts = some_pairs(instance, seed, most=2)
    proved = {name: margins(name, instance, domain, facts) for name in ORACLES}
    met = 0
    for latent in adversaries(instance, domain, facts, seed):
        broken = float(np.abs(violation(instance, domain, facts, latent)).max())
        if broken > 1e-5:
            continue
        met += 1
        for name, bound in proved.items():
            # what is broken by b moves a similarity by at most (slope at 0, 1/eps = 100) * b each
            spare = 1e-8 + 300.0 * broken * np.abs(instance.margin_weights).sum()
            assert (margins_at(instance, latent) >= bound - spare).all(), name
    assert met >= 1


@kinds
@oracles
@pytest.mark.parametrize("seed", [4])
def test_monotone_in_facts(kind: str, name: str, seed: int) -> None:
    instance, domain = placed(kind, seed)
    facts = some_pairs(instance, seed, most=2)
    full = margins(name, instance, domain, facts)
    for fact in facts:
        # multipliers are optimised by a few steps only, hence the tolerance
        assert (margins(name, instance, domain, facts.without(fact)) <= full + 2e-2).all()


@oracles
@pytest.mark.parametrize("seed", range(4))
def test_a_smaller_domain_never_loses(name: str, seed: int) -> None:
    instance, _ = placed("free", seed)
    facts = some_pairs(instance, seed, most=2)
    before = margins(name, instance, Free(), facts)
    for domain in shell_reaches(instance):
        after = margins(name, instance, domain, facts)
        assert (after >= before - 2e-2).all()
        before = after
    point = Reach(instance.latent, instance.latent, "tests")
    np.testing.assert_allclose(margins(name, instance, point, FactSet()), instance.margins)


@kinds
@pytest.mark.parametrize("seed", range(1, 3))
def test_order_and_history_do_not_matter(kind: str, seed: int) -> None:
    instance, domain = placed(kind, seed)
    facts = some_pairs(instance, seed, most=3)
    exact = IntervalOracle()
    fresh = exact.decide(exact.prepare(instance, domain), facts).margins
    # multipliers of a search that starts elsewhere, hence the tolerance
    np.testing.assert_allclose(backwards(exact, instance, domain, facts), fresh, rtol=0, atol=1e-2)
    relational = RelationalOracle(np.inf)
    found = backwards(relational, instance, domain, facts)
    # over a bounded domain another start may find other multipliers; they are never worse than none
    assert (found >= fresh - 1e-2).all()
    assert (found <= instance.margins + 1e-8).all()
    if kind == "free":
        again = relational.decide(relational.prepare(instance, domain), facts).margins
        np.testing.assert_allclose(found, again, rtol=0, atol=1e-9)


def backwards(
    oracle: IntervalOracle | RelationalOracle, instance: Instance, domain: Domain, facts: FactSet
) -> np.ndarray:
    """Margins after the facts of every location were put in the opposite order."""
    state = oracle.prepare(instance, domain)
    for location in range(len(instance.latent)):
        reverse = [fact.prototype for fact in facts.at(location)][::-1]
        state.set_location(location, reverse)
    return np.asarray(state.margins())


@kinds
@pytest.mark.parametrize("seed", range(2))
def test_relational_is_never_looser_than_intervals(kind: str, seed: int) -> None:
    instance, domain = placed(kind, seed, SIMILARITIES[(seed + len(kind)) % 4])
    facts = some_pairs(instance, seed, most=2)
    exact = margins("exact", instance, domain, facts)
    relational = margins("relational", instance, domain, facts)
    assert (exact >= margins("triangle", instance, domain, facts) - 1e-9).all()
    assert (relational >= exact - 1e-12).all()


@kinds
@pytest.mark.parametrize("seed", range(4))
def test_never_looser_than_facts_or_domain_alone(kind: str, seed: int) -> None:
    instance, domain = placed(kind, seed)
    facts = some_pairs(instance, seed, most=2)
    state = IntervalOracle().prepare(instance, domain)
    free = IntervalOracle().prepare(instance, Free())
    for location in range(len(instance.latent)):
        named = [fact.prototype for fact in facts.at(location)]
        state.set_location(location, named)
        free.set_location(location, named)
    assert (state.low >= np.maximum(free.low, state.near) - 1e-12).all()
    assert (state.high <= np.minimum(free.high, state.far) + 1e-12).all()


def test_bounds_over_a_box_are_attained() -> None:
    """One fact, two channels, a box: what is left is an arc, sampled densely."""
    gaps = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        instance = small_head_instance(rng.random((5, 2)), 0.2 + 0.6 * rng.random((1, 2)))
        domain = domain_of("reach", instance, seed, half_width=0.25)
        state = IntervalOracle().prepare(instance, domain)
        state.set_location(0, [0])
        centre, radius = instance.head.prototypes[0], np.sqrt(instance.measurement[0, 0])
        angle = np.linspace(0, 2 * np.pi, 200_001)
        arc = centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        lower, upper = domain.box(1, 2) or (arc, arc)
        arc = arc[((arc >= lower) & (arc <= upper)).all(axis=1)]
        measured = ((arc[:, None] - instance.head.prototypes) ** 2).sum(axis=2)
        used = np.flatnonzero(instance.measurement[0] < 9.0)
        assert (state.low[0, used] <= measured[:, used].min(axis=0) + 1e-6).all()
        assert (state.high[0, used] >= measured[:, used].max(axis=0) - 1e-6).all()
        width = measured[:, used].max(axis=0) - measured[:, used].min(axis=0)
        found = state.high[0, used] - state.low[0, used]
        free = IntervalOracle().prepare(instance, Free())
        free.set_location(0, [0])
        loose = free.high[0, used] - free.low[0, used]
        gaps.append(((found - width)[1:].mean(), (loose - width)[1:].mean()))
    over, without = np.mean(gaps, axis=0)
    assert over < 0.25 * without  # two channels are the hardest: the relaxation has a gap there


@pytest.mark.parametrize("kind", ["box", "reach"])
def test_degenerate_heads_and_latents(kind: str) -> None:
    """Duplicate prototypes, a latent on a prototype, a constant latent, one prototype per class."""
    rng = np.random.default_rng(1)
    once = rng.random((2, 4))
    cases = [
        (np.vstack([once, once]), rng.random((1, 4))),
        (np.vstack([once, rng.random((2, 4))]), once[:1]),
        (rng.random((4, 4)), np.full((1, 4), 0.5)),
        (once, rng.random((1, 4))),
    ]
    for prototypes, latent in cases:
        instance = small_head_instance(prototypes, latent)
        domain = domain_of(kind, instance, 0) if kind == "reach" else Box(0.0, 1.0)
        count = len(prototypes)
        facts = FactSet(pairs=tuple(pair_fact(instance, 0, j) for j in range(count)))
        for name in ORACLES:
            full = margins(name, instance, domain, facts)
            np.testing.assert_allclose(full, instance.margins, atol=1e-6)
            some = margins(name, instance, domain, FactSet(pairs=facts.pairs[:1]))
            assert np.isfinite(some).all()
            assert (some <= instance.margins + 1e-9).all()
