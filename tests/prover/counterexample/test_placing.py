"""Points for many locations at once: what no few locations could refute, and limits that hold."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.network.head.chain import Chain
from protoproof.network.head.decision import Linear
from protoproof.network.head.head import Head
from protoproof.prover.counterexample.placing import Placing
from protoproof.prover.counterexample.refute import Refuter
from protoproof.prover.counterexample.seek import Asked
from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.observed import activation_fact, ceiling_fact
from protoproof.prover.search.entailment import KINDS
from tests.support.algebra import NAMES, case, instance_of
from tests.support.heads import step


def test_many_weak_opponents_need_a_location_each() -> None:
    """Ten cosines: ours counts 1, nine others 0.16 each; four locations raise them to 0.955."""
    prototypes = np.eye(10)
    weight = np.zeros((2, 10))
    weight[0, 0], weight[1, 1:] = 1.0, np.float32(0.16)
    head = Head(
        "angular", prototypes, Chain((step("mul", -1.0),)), Linear(weight, np.zeros(2)), (2, 5)
    )
    instance = instance_of(head, np.tile(prototypes[0], (10, 1)))
    facts = FactSet(activations=(activation_fact(instance, 0),))
    refuter = Refuter(instance, Free(), kinds=KINDS["mixed"])
    (found,) = refuter.refute([facts])
    assert found is not None
    assert refuter.replay.survives(facts, None, found.rival, found.moves)
    assert len(found.moves) > 4


@pytest.mark.parametrize("name", NAMES)
def test_points_that_are_chosen_meet_the_facts(name: str) -> None:
    """The ceiling and what is named hold at the whole latent, because they do at every point."""
    for seed in range(2):
        made = case(name, seed)
        instance, head = made.instance, made.head
        ranking = np.argsort(instance.level)
        facts = FactSet(
            activations=(activation_fact(instance, int(ranking[0])),),
            ceilings=(ceiling_fact(instance, int(ranking[1]), [int(ranking[0])]),),
        )
        asked = Asked(instance, made.domain, facts)
        placing = Placing(instance, asked.regions, asked.kept, asked.limits)
        if not head.all_nearest:
            assert not placing.places
            continue
        rows = list(range(len(instance.rivals)))
        for latent in placing.placed(rows, instance.latent[:1]):
            measured = head.measurement(latent)
            level = head.levels(head.pooled(measured))
            named = facts.activations[0]
            least = head.pooled(measured)[named.prototype]
            assert least == pytest.approx(named.lower, rel=1e-6, abs=1e-6)
            others = np.delete(level, named.prototype)
            assert (others >= facts.ceilings[0].bound - 1e-6).all()
