"""Witnesses and refutations of heads of every kind hold exactly, also by the checker's rules."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.certificate.schema import Witness
from protoproof.kernel.latent.domain import read_domain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.witness import witness_complaints
from protoproof.prover.counterexample.refute import Refuter
from protoproof.prover.counterexample.witness import find_witnesses
from protoproof.prover.latent.facts import FactSet, of_facts
from protoproof.prover.proof.encode import core_of, stored_witnesses
from protoproof.prover.search.entailment import KINDS
from protoproof.prover.search.search import candidates
from tests.support.algebra import NAMES, case
from tests.support.twins import identity, twin

SEEDS = range(2)


@pytest.mark.parametrize("name", NAMES)
def test_the_checker_accepts_every_witness(name: str) -> None:
    found = 0
    for seed in SEEDS:
        made = case(name, seed)
        instance = made.instance
        for vocabulary in ("ceiling", "pairs"):
            sought = candidates(instance, made.domain, vocabulary, "interval")  # type: ignore[arg-type]
            candidate = next(iter(sought), None)
            if candidate is None:
                continue
            witnesses = find_witnesses(instance, made.domain, candidate.facts)
            core = core_of(
                identity(made.head),
                "0" * 64,
                made.domain,
                vocabulary,
                candidate.facts,
                candidate.state,
            )
            latent = Latent(twin(made.head), instance.latent.astype(np.float32))
            where = read_domain(core.domain, *instance.latent.shape)
            for witness in stored_witnesses(witnesses):
                assert isinstance(witness, Witness)
                assert list(witness_complaints(core, where, latent, witness)) == []
                found += 1
    if name not in NEEDS_LUCK:
        assert found > 0


# facts of one location that cannot move without breaking the others have no witness by moves
NEEDS_LUCK = {name for name in NAMES if "mean" in name or "sum" in name or "focal" in name}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_at_all_is_refuted(name: str) -> None:
    """Without facts some latent is predicted otherwise; it breaks what the refutation says."""
    refuted = 0
    for seed in range(3):
        made = case(name, seed)
        if refuted:
            break
        refuter = Refuter(made.instance, made.domain, kinds=KINDS["mixed"])
        (found,) = refuter.refute([FactSet()])
        if found is None:
            continue
        refuted += 1
        assert found.violated
        assert refuter.replay.survives(FactSet(), None, found.rival, found.moves)
        grown = refuter.grow(FactSet(), found)
        assert grown.violated
        kept = [fact for fact in refuter.elements() if fact not in grown.violated]
        assert refuter.replay.survives(of_facts(kept), None, grown.rival, grown.moves)
    assert refuted > 0
