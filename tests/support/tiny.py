"""Random tiny networks with a few bits per number: what exact nonlinear arithmetic can judge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protoproof.prover.latent.domain import Box, Domain, Free
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceiling_fact, pair_fact
from protoproof.prover.oracle.branch_and_bound import BranchAndBoundOracle
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.nonlinear import Truth, truth
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.oracle.smt import Solver
from protoproof.prover.oracle.triangle import TriangleOracle
from protoproof.verdict import Status
from tests.support import heads
from tests.support.strategies import make_instance

ORACLES = (TriangleOracle(), IntervalOracle(), RelationalOracle(), BranchAndBoundOracle())


@dataclass(frozen=True)
class TinyCase:
    """One question: do these facts about this latent entail its class over this domain?"""

    instance: Instance
    domain: Domain
    facts: FactSet


def tiny_case(seed: int) -> TinyCase:
    """D <= 3, P <= 6, L <= 2, K <= 3; coordinates are multiples of 1/32, weights of 1/64."""
    rng = np.random.default_rng(seed)
    channels, prototypes = int(rng.integers(1, 4)), int(rng.integers(2, 7))
    locations, classes = int(rng.integers(1, 3)), int(rng.integers(2, 4))
    owner = np.arange(prototypes) % classes
    weight = np.where(owner == np.arange(classes)[:, None], 1.0, -0.5)
    head = heads.prototype_head(
        np.round(rng.random((prototypes, channels)) * 32) / 32,
        heads.similarity(("negated", "reciprocal")[int(rng.integers(2))]),
        weight + np.round(rng.normal(0, 0.1, weight.shape) * 64) / 64,
        np.zeros(classes),
        tuple(int(k) for k in owner),
        (1, locations),
    )
    near = head.prototypes[rng.integers(prototypes, size=locations)]
    latent = np.round(np.clip(near + 0.2 * rng.normal(size=near.shape), 0, 1) * 32) / 32
    instance = make_instance(head, latent)
    domain: Domain = Free() if rng.integers(2) else Box(0.0, 1.0)
    return TinyCase(instance, domain, _facts(instance, rng))


def _facts(instance: Instance, rng: np.random.Generator) -> FactSet:
    locations, prototypes = instance.measurement.shape
    if rng.integers(3):  # two in three: pairs
        every = [(place, j) for place in range(locations) for j in range(prototypes)]
        count = int(rng.integers(1, len(every) + 1))
        chosen = [every[index] for index in rng.permutation(len(every))[:count]]
        return FactSet(pairs=tuple(pair_fact(instance, place, j) for place, j in chosen))
    ranking = np.argsort(instance.measurement.min(axis=0), kind="stable")
    above = int(rng.integers(prototypes))
    named = rng.permutation(prototypes)[: rng.integers(prototypes + 1)]
    return FactSet(
        activations=tuple(activation_fact(instance, int(j)) for j in named),
        ceilings=(ceiling_fact(instance, int(ranking[above]), ranking[:above].tolist()),),
    )


@dataclass(frozen=True)
class Judgement:
    """The ground truth of a case and what every oracle says; ``wrong`` are contradictions."""

    truth: Truth
    proved: dict[str, bool]

    @property
    def wrong(self) -> list[str]:
        """Oracles that call sufficient what z3 or an exact counterexample calls insufficient."""
        if self.truth.status != "refuted" and "sat" not in self.truth.answers:
            return []
        return [name for name, proved in self.proved.items() if proved]


def judge(case: TinyCase, solver: Solver, steps: int, seconds: float) -> Judgement:
    """Ask everybody."""
    known = truth(case.instance, case.domain, case.facts, solver, steps=steps, seconds=seconds)
    proved = {}
    for oracle in ORACLES:
        state = oracle.prepare(case.instance, case.domain)
        verdict = oracle.decide(state, case.facts).verdict
        proved[oracle.name] = verdict.status is Status.PROVED
    return Judgement(known, proved)
