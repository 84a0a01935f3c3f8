"""Vocabulary *mixed*: activation facts, a staircase of ceilings, and pair facts together.

One ceiling has to be high where a single opposing prototype is well activated, and is then loose
for all the others. Several ceilings follow the activations down: "none but these three exceeds 4.1;
none but those twenty exceeds 1.3". Each counts as one fact, says how many prototypes it binds, and
is chosen by the same greedy cover as the names. At last, prototypes that only support the
prediction are named at the location where they are seen instead of anywhere: facts about one
location add up, so that some may become superfluous.
"""

from __future__ import annotations

import numpy as np

from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.observed import pair_fact
from protoproof.prover.latent.time_limit import time_is_up
from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.prover.search.deletion import delete_facts
from protoproof.prover.search.greedy_cover import SPARE, Cover
from protoproof.prover.search.named import named_under_ceiling
from protoproof.verdict import Status

# Every so many ceilings, one starts a search; the search adds the ceilings that it needs.
_STRIDE = 4


def mixed(state: IntervalState, slack: float = SLACK) -> FactSet | None:
    """A small sufficient set of facts of all kinds, or None where naming everything fails."""
    if not state.instance.atoms.linear:
        return named_under_ceiling(state)
    cover = Cover(state, slack)
    best: list[int] | None = None
    for level in cover.levels[::_STRIDE]:
        if best is not None and time_is_up():
            break
        most = 2 * cover.count if best is None else len(best) + SPARE
        start = [cover.count + level]
        found = cover.greedy(start, most, ceilings=True, limited=best is not None)
        if found is not None and (best is None or len(found) < len(best)):
            best = found
    if best is None:
        return None
    facts = cover.facts(best)
    return min(facts, _located(state, facts), key=len)


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
