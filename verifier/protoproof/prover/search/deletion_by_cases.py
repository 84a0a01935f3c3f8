"""The last stage of a search: what a proof by cases still leaves out of a set.

Every other oracle has had its turn. A fact is dropped where the rest is proved case by case, so the
result is never larger than what it starts from; facts are tried in the order of the margin that the
relational oracle leaves without them. What may be dropped depends on the vocabulary: all facts of
``pairs`` and ``mixed``, the names of ``ceiling``, and in ``topk`` the last ones together with the
ceiling, which moves up to the last one named.
"""

from __future__ import annotations

from collections.abc import Callable

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.enclosed import ranked
from protoproof.prover.latent.facts import ActivationFact, Fact, FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceiling_fact
from protoproof.prover.oracle.branch_and_bound import BranchAndBoundOracle, CaseState
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.oracle.smt import Solver
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.prover.search.deletion import Subset, delete, least_useful_first
from protoproof.verdict import Status

# Cases of one search: so many squared distances times channels, and no fewer than the second.
_WORK, _FEWEST = 1 << 24, 60


def fewer(
    instance: Instance, domain: Domain, vocabulary: str, facts: FactSet, slack: float = SLACK
) -> tuple[FactSet, CaseState] | None:
    """A smaller sufficient set and the state that proved it; None where nothing can be left out.

    Args:
        vocabulary: what ``facts``, a sufficient set, is an explanation in.
    """
    with Solver() as solver:
        oracle = BranchAndBoundOracle(slack, solver=solver)
        state = oracle.cases(instance, domain)
        size = instance.measurement.size * instance.latent.shape[1]
        state.budget = max(_WORK // size, _FEWEST)

        def suffices(rest: FactSet) -> bool:
            return bool(rest) and oracle.decide(state, rest).verdict.status is Status.PROVED

        left = _left(instance, domain, vocabulary, facts, suffices)
    if len(left) == len(facts):
        return None
    # the state outlives the solver: what is asked of it from here on it has found before
    state.solver = state.budget = None
    return left, state


def _left(
    instance: Instance,
    domain: Domain,
    vocabulary: str,
    facts: FactSet,
    suffices: Callable[[FactSet], bool],
) -> FactSet:
    if vocabulary == "topk":
        return _shorter(instance, facts, suffices)
    names_only = vocabulary == "ceiling"
    order: list[Fact] = [f for f in facts if isinstance(f, ActivationFact) or not names_only]
    if not (facts.activations or facts.ceilings or domain.box(*instance.latent.shape)):
        # a location without any fact could match every prototype perfectly
        order = [fact for fact in facts.pairs if len(facts.at(fact.location)) > 1]
    relational = RelationalOracle().prepare(instance, domain)
    order = least_useful_first(order, lambda fact: relational.margins(facts.without(fact)))
    subset = Subset(facts, FactSet.without, suffices)
    delete(subset, order)
    return subset.kept


def _shorter(instance: Instance, facts: FactSet, suffices: Callable[[FactSet], bool]) -> FactSet:
    """The shortest list of most activated prototypes found by bisection."""
    kept = {fact.prototype for fact in facts.activations}
    ranking = [j for j in ranked(instance) if j in kept]
    best, smallest, largest = facts, 1, len(ranking)
    while smallest < largest:
        middle = (smallest + largest) // 2
        named = ranking[:middle]
        rest = FactSet(
            activations=tuple(activation_fact(instance, j) for j in named),
            ceilings=(ceiling_fact(instance, named[-1], named),),
        )
        if suffices(rest):
            best, largest = rest, middle
        else:
            smallest = middle + 1
    return best
