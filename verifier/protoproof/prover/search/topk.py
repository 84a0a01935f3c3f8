"""Vocabulary *top-k*: the fewest most activated prototypes, and a ceiling at the last of them.

Reference: the top-k explanation of the abductive-latent-explanation literature, with the true
infimum of the similarity in place of an assumed zero, and with what named prototypes say about
those that look like them (``relaxation.implied``).

    for k = 1, ..., P:
        E = { a_j as observed : j among the k most activated } + { a_j <= a_(k) for all others }
        if E is sufficient: return E
"""

from __future__ import annotations

from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.observed import activation_fact, ceiling_fact
from protoproof.prover.oracle.interval import IntervalState
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.prover.search.greedy_cover import Cover


def topk(state: IntervalState, slack: float = SLACK, cover: Cover | None = None) -> FactSet | None:
    """The smallest sufficient top-k explanation, or None where even k = P does not suffice.

    Sufficiency is monotone in k (more is named, and the ceiling sinks), so bisection finds the
    least k.

    Args:
        state: of the instance.
        slack: what every margin has to exceed.
        cover: of the same state and slack, where it is made already.
    """
    instance, cover = state.instance, cover or Cover(state, slack)
    ranking = cover.ranking.tolist()

    def facts(k: int) -> FactSet:
        named = ranking[:k]
        return FactSet(
            activations=tuple(activation_fact(instance, j) for j in named),
            ceilings=(ceiling_fact(instance, named[-1], named),),
        )

    def sufficient(k: int) -> bool:
        if not instance.atoms.linear:
            return state.proves(state.margins(facts(k)))
        # the ceiling at the k-th exempts those before it, and the k-th is named
        return cover.closes([*ranking[:k], cover.count + k - 1])

    smallest, largest = 1, len(ranking)
    if not sufficient(largest):
        return None
    while smallest < largest:
        middle = (smallest + largest) // 2
        if sufficient(middle):
            largest = middle
        else:
            smallest = middle + 1
    return facts(largest)
