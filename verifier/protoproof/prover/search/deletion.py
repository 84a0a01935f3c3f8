"""Deletion: a set of facts from which the oracle can drop none.

Reference: deletion-based extraction of minimal unsatisfiable subsets (one pass suffices, because
the oracle is monotone: a fact that could not be dropped once can never be dropped later).

    for e in E, least useful first:
        if E - {e} is still proved: E = E - {e}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from protoproof.prover.latent.facts import Fact, FactSet
from protoproof.prover.oracle.oracle import Decision, Oracle, State
from protoproof.prover.relaxation.intervals import ExactState
from protoproof.prover.search.order import Pair
from protoproof.verdict import Status


def delete(state: ExactState, order: Iterable[Pair]) -> None:
    """Drop every pair fact of ``state`` that the oracle does not need, in the given order.

    A fact is dropped only where every margin stays proved; only its location is recomputed. Where
    the domain alone entails the class, none is left.
    """
    for location, prototype in order:
        rest = [j for j in state.places[location].facts if j != prototype]
        state.reduce(location, rest)


def delete_facts(oracle: Oracle[State], state: State, facts: FactSet) -> FactSet:
    """``facts``, which the oracle proves, less every fact of any kind that it does not need.

    The facts that leave the largest margin when dropped alone are tried first; ties go by the
    order of the set.
    """
    return drop_facts(facts, facts, partial(oracle.decide, state))


def drop_facts(
    facts: FactSet, tried: Iterable[Fact], decide: Callable[[FactSet], Decision]
) -> FactSet:
    """``facts``, which ``decide`` proves, less every one of ``tried`` that it does not need.

    The order is that of :func:`delete_facts`.
    """
    left = {fact: decide(facts.without(fact)).margins.min() for fact in tried}
    for fact in sorted(left, key=lambda fact: -left[fact]):
        rest = facts.without(fact)
        if decide(rest).verdict.status is Status.PROVED:
            facts = rest
    return facts
