"""Certificates of every kind of head and domain, asked of both checkers."""

from __future__ import annotations

import numpy as np

from protoproof.certificate.schema import Core, Fact, ImpliedBound, PairBlock, Rows
from tests.support.kernel.algebra import COUNT, Made, made
from tests.support.kernel.given import honest, report_of
from tests.support.kernel.sampling import some_facts
from tests.support.kernel.second_heads import accepts


def certificates(here: Made, rng: np.random.Generator, count: int) -> list[Core]:
    """Honest ones, ones with fewer facts, wide or narrow or false ones, rows and implied bounds."""
    core = honest(here)
    found = [core, here.core(())]
    while len(found) < count:
        if rng.random() < 0.4:
            kept = [f for f in core.facts if rng.random() < 0.8]
            found.append(core.model_copy(update={"facts": tuple(kept)}))
            continue
        room = 10.0 ** float(rng.uniform(-6, -0.5))
        facts: list[Fact] = [here.activation_fact(j, room) for j in range(COUNT)]
        if rng.random() < 0.5:
            facts = list(some_facts(here, rng))
        evidence: dict[str, object] = {}
        pairs = {(f.location, f.prototype) for f in facts if f.kind == "pair"}
        named = [f.prototype for f in facts if f.kind == "activation"]
        euclidean = here.kind.geometry == "euclidean"
        if pairs and here.head.related and here.kind.geometry in ("euclidean", "angular"):
            location, prototype = sorted(pairs)[0]
            columns = 1 if euclidean else 2
            mates = [j for j in range(COUNT) if here.head.measures(location, j)]
            lower, upper = (
                Rows(
                    prototypes=tuple(mates),
                    theta=tuple(
                        tuple(int(t) for t in rng.integers(300, 900, columns)) for _ in mates
                    ),
                )
                for _ in range(2)
            )
            evidence["blocks"] = (
                PairBlock(location=location, facts=(prototype,), shift=8, lower=lower, upper=upper),
            )
        alike = here.kind.pooling == "nearest" and here.head.related
        if named and alike and here.kind.geometry in ("euclidean", "angular"):
            banks = here.banks[1]
            evidence["implied"] = tuple(
                ImpliedBound(prototype=j, via=named[0], stretch=stretch.hex())
                for j in range(COUNT)
                for stretch in (float(rng.integers(1, 9)), -float(rng.uniform(0.01, 0.99)))
                if banks[j] == banks[named[0]] and j != named[0]
            )
        made_core = here.core(tuple(facts), **evidence)
        if rng.random() < 0.2 and facts and facts[0].kind != "ceiling":
            false = facts[0].model_copy(update={"lower": facts[0].upper})
            made_core = made_core.model_copy(update={"facts": (false, *facts[1:])})
        found.append(made_core)
    return found


def compared(name: str, seed: int, count: int) -> tuple[int, int, list[str]]:
    """How many certificates of one head were compared, how many accepted, and disagreements."""
    here, rng = made(name, seed), np.random.default_rng(seed)
    accepted, apart = 0, []
    cores = certificates(here, rng, count)
    for index, core in enumerate(cores):
        told = report_of(here, core)
        accepted += told.accepted
        if told.accepted != accepts(here, core):
            apart.append(f"{name} {seed} {index}: {told.status}")
    return len(cores), accepted, apart
