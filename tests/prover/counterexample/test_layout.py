"""Laid-out latents meet all facts and come closer to losing than the instance does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings

from protoproof.prover.counterexample.witness import _Search
from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.search.ceiling import ceiling
from protoproof.prover.search.topk import topk
from tests.support.strategies import random_instance, seeds

DOMAINS = pytest.mark.parametrize("domain", [Free(), Box(0.0, 1.0)], ids=["free", "box"])


@settings(max_examples=20)
@given(seeds)
@DOMAINS
@pytest.mark.parametrize("propose", [topk, ceiling])
def test_laid_out_latents_meet_the_facts(propose: object, domain: Domain, seed: int) -> None:
    instance = random_instance(seed, prototypes=10, grid=(3, 3))
    assume(bool((instance.margins > 1e-6).all()))
    facts = propose(IntervalOracle().prepare(instance, domain))  # type: ignore[operator]
    assert facts is not None
    search = _Search(instance, domain, facts, 1)
    for row in range(len(search.weights)):
        latent = search.base.layout.latent(search.demands, row)
        best = instance.head.measurement(latent).min(axis=0)
        for fact in facts.activations:
            assert best[fact.prototype] == pytest.approx(fact.lower, rel=1e-6, abs=1e-6)
        for fact in facts.ceilings:
            below = np.ones(10, dtype=bool)
            below[list(fact.exempt)] = False
            assert (best[below] >= fact.bound * (1 - 1e-6) - 1e-6).all()
        if isinstance(domain, Box):
            assert (latent >= 0).all()
            assert (latent <= 1).all()


def test_they_come_closer_to_losing() -> None:
    closer = cases = 0
    for seed in range(30):
        instance = random_instance(seed, prototypes=10, grid=(3, 3))
        if not (instance.margins > 1e-6).all():
            continue
        facts = ceiling(IntervalOracle().prepare(instance, Free()))
        assert facts is not None
        search = _Search(instance, Free(), facts, 1)
        for row, weights in enumerate(search.weights):
            latent = search.base.layout.latent(search.demands, row)
            best = instance.head.measurement(latent).min(axis=0)
            margin = instance.similarity(best) @ weights + search.offset[row]
            closer += margin < instance.margins[search.rows[row]] - 0.01
            cases += 1
    assert closer >= 0.8 * cases > 0


def test_every_location_may_be_free() -> None:
    """A ceiling alone: nothing is kept anywhere."""
    instance = random_instance(4, prototypes=10, grid=(2, 2))
    facts = topk(IntervalOracle().prepare(instance, Free()))
    assert facts is not None
    bare = type(facts)(ceilings=facts.ceilings)
    search = _Search(instance, Free(), bare, 1)
    latent = search.base.layout.latent(search.demands, 0)
    assert latent.shape == instance.latent.shape
    assert np.isfinite(latent).all()
