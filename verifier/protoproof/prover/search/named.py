"""Activation facts for decisions that are no linear form: all, less what is not needed.

    E = names (and a ceiling) that prove every margin
    drop fact after fact while the rest proves every margin, those first that cost least

The order is found by leaving out one fact at a time; one pass of deletion then leaves a set from
which the oracle can drop none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protoproof.network.head.decision import Tree
from protoproof.prover.latent.enclosed import ranked
from protoproof.prover.latent.facts import ActivationFact, FactSet
from protoproof.prover.latent.observed import activation_fact, ceiling_fact
from protoproof.prover.latent.time_limit import time_is_up
from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.search.deletion import delete, least_useful_first
from protoproof.prover.search.reading import Length

# Ceilings that are tried: one every so many ranks, this many at most.
_CEILINGS = 16


def named_under_ceiling(state: IntervalState, length: Length) -> FactSet | None:
    """A small sufficient set of names under one ceiling, or None where naming everything fails.

    The ceiling stays, even where the names alone would do. Of several, the one of least ``length``.
    """
    instance = state.instance
    count = len(instance.level)
    ranking = ranked(instance)
    best: FactSet | None = None
    for rank in sorted({*np.linspace(0, count - 1, min(count, _CEILINGS)).astype(int).tolist()}):
        if best is not None and time_is_up():
            break
        at = ranking[rank]
        roof = ceiling_fact(instance, at, ranking[:rank])
        everything = FactSet(
            activations=tuple(activation_fact(instance, j) for j in range(count)),
            ceilings=(roof,),
        )
        found = _fewest(state, everything)
        if found is not None and (best is None or length(found) < length(best)):
            best = found
    return best


def along_path(state: IntervalState) -> FactSet | None:
    """Of a tree: the names of the nodes on the path that the instance takes, less what is not
    needed; the names of other nodes where the path alone does not suffice.

    None where naming everything fails, or the decision is no tree.
    """
    instance = state.instance
    tree = instance.atoms.decision
    if not isinstance(tree, Tree):
        return None
    taken = list(dict.fromkeys(int(tree.feature[n]) for n in tree.path(instance.activation)))
    found = _fewest(state, _named(state, taken))
    if found is not None:
        return found
    others = [j for j in np.unique(tree.feature).tolist() if j not in taken]
    return _fewest(state, _named(state, [*taken, *others]))


def _named(state: IntervalState, prototypes: Sequence[int]) -> FactSet:
    return FactSet(activations=tuple(activation_fact(state.instance, j) for j in prototypes))


def _fewest(state: IntervalState, facts: FactSet) -> FactSet | None:
    """A subset of names that the oracle cannot shrink, or None where all of them do not suffice."""
    state.adopt(facts)
    if not state.suffices():
        return None
    names = [fact for fact in facts if isinstance(fact, ActivationFact)]
    delete(state, least_useful_first(names, state.margins_without))
    return state.facts
