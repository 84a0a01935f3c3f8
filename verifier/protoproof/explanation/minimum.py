"""From a set of facts to a core, and from a search for a smallest set to what is accepted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from protoproof.certificate.schema import Core, Envelope, SizeBound
from protoproof.kernel import CheckReport
from protoproof.network import Network, Observation
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.proof.encode import certificate_core, restated, stored_size_bound
from protoproof.prover.proof.inflation import inflate, widest
from protoproof.prover.search.names import Vocabulary
from protoproof.prover.search.search import Candidate


@dataclass(frozen=True)
class Proof:
    """A certified set of facts; ``gap_reason`` says why it is not proved to be a smallest one,
    ``level_reason`` why its level is not F."""

    facts: FactSet
    found: Candidate
    certificate: Envelope
    check: CheckReport
    gap_reason: str = ""
    level_reason: str = ""

    @property
    def oracle(self) -> str:
        """The oracle that found it."""
        return self.found.oracle


def smallest(
    instance: Instance,
    domain: Domain,
    vocabulary: Vocabulary,
    start: Candidate,
    deadline: float,
    certify: Callable[[Candidate, SizeBound | None], Proof | None],
) -> tuple[Proof | None, str]:
    """The first of these that is accepted, and why it is not proved to be a smallest one (or "").

    The best set with the bound; the set of the start with it; the best set without any bound.

    Args:
        start: a certified set.
        deadline: when the search ends, by ``time.perf_counter``.
        certify: a certified proof of a set with or without a bound, or None.
    """
    from protoproof.prover.search.minimum import minimum  # its solvers are not always needed

    result = minimum(instance, domain, vocabulary, start, deadline=deadline, now=time.perf_counter)
    bound = None if result.proof is None else stored_size_bound(result.proof)
    reason = result.reason
    for found, evidence in ((result.best, bound), (start, bound), (result.best, None)):
        proof = certify(found, evidence)
        if proof is not None:
            return proof, reason
        reason = "uncertified: the checker did not accept the smaller set or its bound"
    return None, reason


def stated(
    network: Network,
    observation: Observation,
    domain: Domain,
    vocabulary: Vocabulary,
    found: Candidate,
    widen: bool,
) -> tuple[Core, FactSet]:
    """The core of a set, and its facts as they are stated there: widened where asked for."""
    facts, head = found.facts, found.state.instance.head
    found.state.intervals.adopt(facts)  # another search may have used the state since
    follows = widen and bool(facts.pairs) and head.plain and head.uniform
    if widen and not follows:  # nothing but intervals: the proof follows the facts
        facts = inflate(found.state.intervals, facts)
    core = certificate_core(
        network, observation, domain, vocabulary, facts, found.state, short=not follows
    )
    if follows:  # multipliers: the facts follow the proof
        facts = widest(found.state.intervals, facts, core)
    return (core if facts == found.facts else restated(core, facts)), facts
