"""Degenerate heads and latents: every stage goes through, and what it claims is accepted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protoproof.errors import InternalError
from protoproof.kernel import check
from protoproof.prover.counterexample.witness import find_witnesses
from protoproof.prover.latent.domain import Box, Free
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.proof.encode import stored_witnesses
from protoproof.prover.search.exchange import exchange
from protoproof.prover.search.names import VOCABULARIES
from protoproof.prover.search.pairs import grow
from protoproof.prover.search.search import candidates
from tests.support import heads
from tests.support.kernel import builders
from tests.support.kernel.builders import Scene, scene
from tests.support.strategies import make_instance, random_instance
from tests.support.witnesses import instance_of, stored_facts


def duplicated(seed: int) -> Scene:
    """Prototype 1 is prototype 0 again, and a latent lies on prototype 2."""
    base = scene(seed, grid=(1, 2), count=6, channels=5, classes=3)
    prototypes = base.tiny.prototypes
    prototypes[1] = prototypes[0]
    latent = base.latent.copy()
    latent[0] = prototypes[2]
    return Scene(type(base.tiny)(**{**vars(base.tiny), "prototypes": prototypes}), latent)


def constant(seed: int) -> Scene:
    """Every location holds the same values, and these are all equal."""
    base = scene(seed, grid=(1, 2), count=6, channels=5, classes=3)
    return Scene(base.tiny, np.full_like(base.latent, 0.5))


def matched(seed: int) -> Scene:
    """Every location lies on a prototype: q = 0, and facts leave no freedom at all."""
    base = scene(seed, grid=(1, 2), count=6, channels=5, classes=3)
    return Scene(base.tiny, base.tiny.prototypes[[seed % 6, (seed + 1) % 6]].copy())


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("make", [duplicated, constant, matched])
def test_the_checker_accepts_what_is_found(make: Any, vocabulary: str) -> None:
    proved = 0
    for seed in range(6):
        here = make(seed)
        instance = instance_of(here)
        if not (instance.margins > 1e-6).all():
            continue
        for domain in (Free(), Box(0.0, 1.0)):
            found = next(candidates(instance, domain, vocabulary, "exact"), None)  # type: ignore[arg-type]
            if found is None:
                continue
            witnesses = stored_witnesses(find_witnesses(instance, domain, found.facts))
            core = builders.core(
                here,
                stored_facts(found.facts),
                vocabulary,
                box=isinstance(domain, Box),
                blocks=None if vocabulary == "pairs" else (),
                witnesses=witnesses,
            )
            report = check(builders.file(core), here.data)
            (judged,) = [o for o in report.obligations if o.number == 10]
            assert judged.passed is not False, judged.detail
            assert report.status != "rejected", report.failures
            proved += 1
    assert proved >= 4


def tied() -> Instance:
    """Two classes with equal weights: their logits are equal everywhere."""
    instance = random_instance(0)
    weight = instance.head.weight.copy()
    weight[:] = weight[0]
    head = heads.prototype_head(
        instance.head.prototypes,
        instance.head.chain,
        weight,
        instance.head.bias,
        None,
        instance.head.grid,
    )
    return make_instance(head, instance.latent)


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_a_tie_has_no_explanation(vocabulary: str) -> None:
    assert list(candidates(tied(), Free(), vocabulary, "auto")) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("grid", [(1, 1), (2, 2)])
def test_one_prototype(vocabulary: str, grid: tuple[int, int]) -> None:
    instance = random_instance(3, prototypes=1, classes=2, grid=grid)
    assert (instance.margins > 0).all()
    for domain in (Free(), Box(0.0, 1.0)):
        found = next(candidates(instance, domain, vocabulary, "auto"), None)  # type: ignore[arg-type]
        assert found is not None
        # one prototype with one weight per class: the domain alone may entail the class
        assert len(found.facts) <= max(grid[0] * grid[1], 2)
        assert find_witnesses(instance, domain, found.facts) is not None


def test_a_latent_that_is_not_a_number_is_refused() -> None:
    good = random_instance(0)
    latent = good.latent.copy()
    latent[1, 2] = np.nan
    with pytest.raises(InternalError, match="NaN"):
        make_instance(good.head, latent)


def test_exchange_among_equal_prototypes_is_deterministic() -> None:
    """Equal prototypes are equally good: the one with the smaller index is taken."""

    def chosen() -> list[tuple[int, ...]]:
        state: IntervalState = IntervalOracle().prepare(instance_of(duplicated(1)), Free())
        assert grow(state)
        exchange(state)
        return state.chosen

    assert chosen() == chosen()
    assert all(1 not in facts or 0 not in facts for facts in chosen())
