"""Certificates whose proofs split cases, of random tiny networks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Envelope
from protoproof.explanation.explainer import Explainer
from protoproof.network import Network, load
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.observed import activation_fact, ceiling_fact
from protoproof.prover.oracle.branch_and_bound import BranchAndBoundOracle
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.proof.encode import certificate_core
from protoproof.verdict import Status
from tests.support.heads import SIMILARITIES
from tests.support.kernel.builders import scene


@dataclass(frozen=True)
class Proved:
    """A certificate with cases, and the model that it is about."""

    network: Network
    document: Any

    @property
    def nodes(self) -> list[Any]:
        """Those of the first tree with a split."""
        trees = self.document["core"]["evidence"]["cases"]
        return next(tree["nodes"] for tree in trees if len(tree["nodes"]) > 1)


@cache
def proved(seed: int) -> Proved:
    """Facts that the relational oracle misses and cases prove, on a network of a few numbers."""
    rng = np.random.default_rng(seed)
    here = scene(
        seed,
        similarity=SIMILARITIES[seed % 4],
        grid=(1, int(rng.integers(1, 3))),
        count=int(rng.integers(3, 7)),
        channels=int(rng.integers(1, 5)),
        classes=int(rng.integers(2, 4)),
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.onnx"
        path.write_bytes(here.data)
        network = load(path)
    explainer = Explainer(network)
    seen = network.observe(rng.random(network.input_shape, dtype=np.float32))
    instance = explainer.instance(seen)
    domain = explainer.domain("box" if seed % 2 else "free", seen)
    prototypes = instance.measurement.shape[1]
    ranking = np.argsort(instance.measurement.min(axis=0), kind="stable")
    above = int(rng.integers(prototypes))
    named = rng.permutation(prototypes)[: rng.integers(prototypes + 1)]
    facts = FactSet(
        activations=tuple(activation_fact(instance, int(j)) for j in named),
        ceilings=(ceiling_fact(instance, int(ranking[above]), ranking[:above].tolist()),),
    )
    weaker = RelationalOracle()
    assert weaker.decide(weaker.prepare(instance, domain), facts).verdict.status is Status.UNKNOWN
    oracle = BranchAndBoundOracle(most=60)
    state = oracle.prepare(instance, domain)
    assert oracle.decide(state, facts).verdict.status is Status.PROVED
    core = certificate_core(network, seen, domain, "mixed", facts, state)
    return Proved(network, json.loads(canonical_bytes(Envelope(core=core))))
