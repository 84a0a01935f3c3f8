"""Laws of bounds and vocabularies for heads of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.prover.latent.facts import ActivationFact, CeilingFact, FactSet, PairFact
from protoproof.prover.latent.observed import activation_fact, ceiling_fact, pair_fact
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.search.names import VOCABULARIES
from protoproof.prover.search.search import candidates
from tests.support.algebra import NAMES, Case, case, sample

SEEDS = range(3)


def met(made: Case, facts: FactSet, latent: np.ndarray, spare: float = 1e-9) -> bool:
    """Whether a latent meets facts, give or take rounding."""
    head = made.head
    measured = head.measurement(latent)
    pooled = head.pooled(measured)
    level = head.levels(pooled)
    for fact in facts:
        match fact:
            case PairFact(location, prototype, lower, upper):
                ends, value = (lower, upper), measured[location, prototype]
            case ActivationFact(prototype, lower, upper):
                ends, value = (lower, upper), pooled[prototype]
            case CeilingFact(bound, exempt):
                free = np.ones(len(level), dtype=bool)
                free[list(exempt)] = False
                ends, value = (bound, np.inf), level[free].min(initial=np.inf)
        if not ends[0] - spare <= value <= ends[1] + spare:
            return False
    return True


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_facts_are_true_at_the_instance_and_tight(name: str, seed: int) -> None:
    made = case(name, seed)
    instance = made.instance
    for j, value in enumerate(instance.pooled.tolist()):
        fact = activation_fact(instance, j)
        assert fact.lower <= fact.upper
        steps = 4 * np.spacing(max(abs(fact.lower), abs(fact.upper), 1e-300))
        assert fact.upper - fact.lower <= steps
        assert value == pytest.approx(fact.lower, rel=1e-12, abs=1e-12)
        ceiling = ceiling_fact(instance, j, ())
        assert ceiling.bound == pytest.approx(instance.level[j], rel=1e-12, abs=1e-12)
    for location, j in np.argwhere(np.isfinite(instance.measurement)).tolist():
        pair = pair_fact(instance, location, j)
        value = instance.measurement[location, j]
        assert value == pytest.approx(pair.lower, rel=1e-12, abs=1e-12)
        assert pair.upper - pair.lower <= 4 * np.spacing(max(abs(pair.upper), 1e-300))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_ranges_and_margins_hold_at_every_latent(name: str, seed: int) -> None:
    """Nothing assumed but intervals that a latent meets: its margins are above the bound."""
    made = case(name, seed)
    instance, head = made.instance, made.head
    state = IntervalOracle().prepare(instance, made.domain)
    for latent in sample(made, seed, 60):
        measured = head.measurement(latent)
        inside = np.isfinite(measured)
        assert (measured >= state.near - 1e-9)[inside].all()
        assert (measured <= state.far + 1e-9)[inside].all()
        pooled = head.pooled(measured)
        floor, roof = state.seen()
        assert (pooled >= floor - 1e-9).all()
        assert (pooled <= roof + 1e-9).all()
        margins = instance.atoms.margins(head.activation(measured))
        assert (margins >= state.margins() - 1e-9).all()


@pytest.mark.parametrize("vocabulary", [*VOCABULARIES, "path"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_called_sufficient_is(name: str, vocabulary: str) -> None:
    """No latent that meets the facts is predicted otherwise; and naming everything suffices."""
    for seed in SEEDS:
        made = case(name, seed)
        instance = made.instance
        found = next(iter(candidates(instance, made.domain, vocabulary, "auto")), None)
        if vocabulary in ("topk", "ceiling", "mixed"):
            assert found is not None, "all activations decide every prediction"
        if found is None:
            continue
        assert met(made, found.facts, instance.latent)
        for latent in sample(made, seed, 100):
            if met(made, found.facts, latent):
                activation = made.head.activation(made.head.measurement(latent))
                assert (instance.atoms.margins(activation) > -1e-7).all()


@pytest.mark.parametrize("name", NAMES)
def test_more_facts_never_loosen(name: str) -> None:
    for seed in SEEDS:
        made = case(name, seed)
        instance = made.instance
        state = IntervalOracle().prepare(instance, made.domain)
        facts = [activation_fact(instance, j) for j in range(len(instance.pooled))]
        before = state.margins(FactSet())
        for count in range(1, len(facts) + 1):
            after = state.margins(FactSet(activations=tuple(facts[:count])))
            assert (after >= before - 1e-9).all()
            before = after
        np.testing.assert_allclose(before, instance.margins, atol=1e-7)
