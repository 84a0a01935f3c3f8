"""What ceilings say about the prototypes that they exempt, against latents that meet them."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceiling_fact
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.search.greedy_cover import Cover
from tests.support.domains import small_head_instance


def instance_of(seed: int) -> Instance:
    rng = np.random.default_rng(seed)
    prototypes = rng.normal(size=(8, 3)) * 0.4
    return small_head_instance(prototypes, rng.normal(size=(1, 3)))


def under(seed: int, exempt: int) -> tuple[Instance, IntervalState, FactSet]:
    """A ceiling that exempts the best seen prototypes, none of which is named."""
    instance = instance_of(seed)
    ranking = np.argsort(instance.pooled, kind="stable").tolist()
    facts = FactSet(ceilings=(ceiling_fact(instance, ranking[exempt], ranking[:exempt]),))
    state = IntervalOracle().prepare(instance, Free())
    state.adopt(facts)
    return instance, state, facts


@pytest.mark.parametrize("exempt", [1, 3, 6])
def test_no_latent_under_the_ceiling_is_nearer(exempt: int) -> None:
    raised = 0
    for seed in range(6):
        instance, state, facts = under(seed, exempt)
        low, _ = state.nearest()
        bound = facts.ceilings[0]
        raised += int((low[list(bound.exempt)] > 0).sum())
        points = np.random.default_rng(seed).normal(size=(20_000, 3))
        measured = ((points[:, None] - instance.head.prototypes) ** 2).sum(-1)
        rest = [j for j in range(len(low)) if j not in bound.exempt]
        kept = measured[(measured[:, rest] >= bound.bound).all(axis=1)]
        assert (kept >= low - 1e-12).all()
        for j in np.flatnonzero(state.implied.off >= 0).tolist():
            off = int(state.implied.off[j])
            assert off in rest
            side = float(np.sqrt(instance.gram[off, j]))
            assert low[j] == pytest.approx((np.sqrt(bound.bound) - side) ** 2)
    assert raised


def test_more_facts_never_say_less() -> None:
    for seed in range(6):
        instance, state, facts = under(seed, 5)
        ranking = np.argsort(instance.pooled, kind="stable").tolist()
        low, high = state.nearest()
        lower = ceiling_fact(instance, ranking[2], ranking[:2])
        named = activation_fact(instance, ranking[1])
        for more in (
            FactSet(ceilings=(*facts.ceilings, lower)),
            FactSet((), (named,), facts.ceilings),
        ):
            state.adopt(more)
            assert (state.nearest()[0] >= low).all()
            assert (state.nearest()[1] <= high).all()


def test_the_search_for_covers_sees_the_same() -> None:
    for seed in range(6):
        instance, state, _ = under(seed, 4)
        cover = Cover(state, state.slack)
        for level in range(1, 8):
            reached = cover.after([cover.count + level])
            state.adopt(cover.facts([cover.count + level]))
            most = instance.head.activation_between(*state.nearest())[1]
            assert np.minimum(reached.high, most) == pytest.approx(most, rel=1e-9)
            assert (reached.high >= most - 1e-9).all()
