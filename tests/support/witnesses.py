"""Tiny networks seen from the prover, and witnesses in the certificate's words."""

from __future__ import annotations

import numpy as np

from protoproof.certificate import schema
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.gram import squared_distances
from protoproof.prover.latent.instance import Instance
from protoproof.prover.proof.encode import stored_fact
from tests.support import heads
from tests.support.kernel.builders import Scene


def instance_of(here: Scene) -> Instance:
    """The prover's view of a tiny network's recorded latent."""
    tiny = here.tiny
    bias = np.zeros(len(tiny.weight)) if tiny.bias is None else tiny.bias
    head = heads.prototype_head(
        tiny.prototypes.astype(np.float64),
        heads.similarity(tiny.similarity, tiny.constant),
        tiny.weight.astype(np.float64),
        bias.astype(np.float64),
        None,
        tiny.grid,
    )
    latent = here.latent.astype(np.float64)
    measurement = head.measurement(latent)
    return Instance(
        head,
        latent,
        measurement,
        head.activation(measurement),
        here.predicted,
        squared_distances(head.prototypes),
    )


def stored_facts(facts: FactSet) -> list[schema.Fact]:
    return [stored_fact(fact) for fact in facts]
