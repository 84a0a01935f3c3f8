"""What a vocabulary chooses among, and whether an oracle proves a set of its facts."""

from __future__ import annotations

from verifier.latent.domain import Domain
from verifier.latent.facts import FactSet
from verifier.minimise.deletion import delete_facts
from verifier.minimise.refute import Kinds
from verifier.minimise.search import Candidate, Vocabulary
from verifier.oracle.exact import SLACK, ExactOracle, ExactState
from verifier.oracle.interface import Instance
from verifier.oracle.relational import RelationalOracle
from verifier.verdict import Status

# What a vocabulary chooses among. (In `ceiling` every explanation has one ceiling, so these are
# cases; in `topk` the sets are a chain.)
KINDS: dict[Vocabulary, Kinds] = {
    "topk": frozenset({"activations"}),
    "ceiling": frozenset({"activations"}),
    "mixed": frozenset({"pairs", "activations", "ceilings"}),
    "pairs": frozenset({"pairs"}),
}


def decided(instance: Instance, domain: Domain, facts: FactSet) -> Candidate | None:
    """A set as a candidate for the checker, if the strongest oracle for its facts proves it."""
    if not facts:
        return None
    state: ExactState
    if facts.pairs:
        relational = RelationalOracle(SLACK)
        state = relational.prepare(instance, domain)
        verdict = relational.decide(state, facts).verdict
    else:
        exact = ExactOracle(SLACK)
        state = exact.prepare(instance, domain)
        verdict = exact.decide(state, facts).verdict
    if verdict.status is not Status.PROVED:
        return None
    return Candidate(facts, "relational" if facts.pairs else "exact", state)


def shrunk(instance: Instance, domain: Domain, facts: FactSet) -> Candidate | None:
    """A proved subset of a proved set, from which the oracle can drop no fact."""
    if facts.pairs:
        relational = RelationalOracle(SLACK)
        fewer = delete_facts(relational, relational.prepare(instance, domain), facts)
    else:
        exact = ExactOracle(SLACK)
        fewer = delete_facts(exact, exact.prepare(instance, domain), facts)
    return decided(instance, domain, fewer)
