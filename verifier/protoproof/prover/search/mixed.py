"""Vocabulary *mixed*: activation facts, a staircase of ceilings, and pair facts together.

One ceiling has to be high where a single opposing prototype is well activated, and is then loose
for all the others. Several ceilings follow the activations down: "none but these three exceeds 4.1;
none but those twenty exceeds 1.3". Each counts as one fact, says how many prototypes it binds, and
is chosen by the same greedy cover as the names. At last, prototypes that only support the
prediction are named at the location where they are seen instead of anywhere: facts about one
location add up, so that some may become superfluous.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from protoproof.prover.latent.facts import FactSet, of_facts
from protoproof.prover.latent.observed import pair_fact
from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.prover.search.deletion import delete_facts
from protoproof.prover.search.greedy_cover import Cover
from protoproof.prover.search.named import named_under_ceiling
from protoproof.prover.search.reading import length_of, shortest
from protoproof.verdict import Status

# Every so many ceilings, one starts a search; the search adds the ceilings that it needs.
_STRIDE = 4


def mixed(
    state: IntervalState,
    slack: float = SLACK,
    cover: Callable[[float], Cover] | None = None,
    *,
    reading: bool = False,
) -> FactSet | None:
    """A small sufficient set of facts of all kinds, or None where naming everything fails.

    Args:
        state: of the instance.
        slack: what every margin has to exceed.
        cover: makes one for a slack, or has it already; by default from the state.
        reading: whether numbers count before facts.
    """
    length = length_of(len(state.instance.measurement), reading=reading)
    if not state.instance.atoms.linear:
        return named_under_ceiling(state, length)
    one = _pair_alone(state)
    if one is not None:
        return one
    made = Cover(state, slack) if cover is None else cover(slack)
    alone = made.alone()
    levels = made.levels[::_STRIDE]
    best = [int(alone[0])] if len(alone) else made.smallest(levels, ceilings=True)
    if best is None:
        return None
    found = [made.facts(best)]
    if reading:
        found += [made.facts(shortest(made, known=best))]
    return min((set_ for f in found for set_ in (f, _located(state, f))), key=length)


def _pair_alone(state: IntervalState) -> FactSet | None:
    """Of one location: the nearest prototype's fact, where it suffices by itself."""
    instance = state.instance
    if len(instance.measurement) > 1 or not instance.head.all_nearest:
        return None
    facts = FactSet((pair_fact(instance, 0, int(np.argmin(instance.measurement[0]))),))
    return facts if state.decide(facts).verdict.status is Status.PROVED else None


def _located(state: IntervalState, facts: FactSet) -> FactSet:
    """The facts with supporting prototypes named at their location, less what that spares."""
    instance = state.instance
    only_support = np.all(instance.margin_weights >= 0, axis=0)
    if len(instance.measurement) == 1:
        only_support[:] = True  # one location: a pair fact and an activation fact say the same
    only_support &= instance.head.pooling_of.nearest
    where = np.argmin(instance.measurement, axis=0)
    moved = [f.prototype for f in facts.activations if only_support[f.prototype]]
    located = FactSet(
        tuple(pair_fact(instance, int(where[j]), j) for j in moved),
        tuple(f for f in facts.activations if not only_support[f.prototype]),
        facts.ceilings,
    )
    if state.decide(located).verdict.status is not Status.PROVED:
        return facts
    return delete_facts(state, located)


def where_seen(state: IntervalState, facts: FactSet) -> FactSet:
    """The facts with every prototype named at the location where it is seen, as far as these still
    suffice: an activation fact also says that no location is nearer, which a pair fact does not."""
    instance = state.instance
    where = np.argmin(instance.measurement, axis=0)
    for named in facts.activations:
        if instance.head.pooling_of.nearest[named.prototype]:
            pair = pair_fact(instance, int(where[named.prototype]), named.prototype)
            trial = of_facts([*facts.without(named), pair])
            if state.decide(trial).verdict.status is Status.PROVED:
                facts = trial
    return facts
