"""Laws of bounds and vocabularies for heads of every kind."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from protoproof.prover.latent.facts import ActivationFact, CeilingFact, FactSet, PairFact
from protoproof.prover.latent.observed import activation_fact, ceiling_fact, pair_fact
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.search.names import VOCABULARIES
from protoproof.prover.search.search import candidates
from tests.support.algebra import NAMES, case, sample
from tests.support.examples import one_and_more

SEEDS = range(3)


class Seen(NamedTuple):
    """Latents of a case, the instance's own first, and what its head makes of each."""

    measured: np.ndarray
    pooled: np.ndarray
    level: np.ndarray
    margins: np.ndarray

    def met(self, facts: FactSet, spare: float = 1e-9) -> np.ndarray:
        """Which of the latents meet facts, give or take rounding."""
        found = np.ones(len(self.pooled), dtype=bool)
        for fact in facts:
            match fact:
                case PairFact(location, prototype, lower, upper):
                    ends, value = (lower, upper), self.measured[:, location, prototype]
                case ActivationFact(prototype, lower, upper):
                    ends, value = (lower, upper), self.pooled[:, prototype]
                case CeilingFact(bound, exempt):
                    under = np.delete(self.level, list(exempt), axis=1)
                    ends, value = (bound, np.inf), under.min(axis=1, initial=np.inf)
            found &= (ends[0] - spare <= value) & (value <= ends[1] + spare)
        return found


@cache
def seen(name: str, seed: int, count: int) -> Seen:
    made = case(name, seed)
    head, instance = made.head, made.instance
    latents = [instance.latent, *sample(made, seed, count)]
    measured = [head.measurement(latent) for latent in latents]
    pooled = [head.pooled(one) for one in measured]
    margins = [instance.atoms.margins(head.activation(one)) for one in measured]
    levels = [head.levels(one) for one in pooled]
    return Seen(*map(np.array, (measured, pooled, levels, margins)))


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
    made, there = case(name, seed), seen(name, seed, 100)
    state = IntervalOracle().prepare(made.instance, made.domain)
    inside = np.isfinite(there.measured)
    assert (there.measured >= state.near - 1e-9)[inside].all()
    assert (there.measured <= state.far + 1e-9)[inside].all()
    floor, roof = state.seen()
    assert (there.pooled >= floor - 1e-9).all()
    assert (there.pooled <= roof + 1e-9).all()
    assert (there.margins >= state.margins() - 1e-9).all()


@one_and_more(SEEDS)
@pytest.mark.parametrize("vocabulary", [*VOCABULARIES, "path"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_called_sufficient_is(name: str, vocabulary: str, seed: int) -> None:
    """No latent that meets the facts is predicted otherwise; and naming everything suffices."""
    made, there = case(name, seed), seen(name, seed, 100)
    found = next(iter(candidates(made.instance, made.domain, vocabulary, "auto")), None)
    if vocabulary in ("topk", "ceiling", "mixed"):
        assert found is not None, "all activations decide every prediction"
    if found is not None:
        met = there.met(found.facts)
        assert met[0]
        assert (there.margins[met] > -1e-7).all()


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
