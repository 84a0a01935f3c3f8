"""Vocabulary *top-k*: the fewest most activated prototypes, and a ceiling at the last of them.

Reference: the top-k explanation of the abductive-latent-explanation literature, with the true
infimum of the similarity in place of an assumed zero.

    for k = 0, 1, ..., P:
        E = { a_j as observed : j among the k most activated } + { a_j <= a_(k) for all others }
        if E is sufficient: return E
"""

from __future__ import annotations

import numpy as np

from verifier.latent.facts import FactSet
from verifier.minimise.build import activation_fact, ceiling_fact
from verifier.oracle.exact import SLACK, ExactState, margins_between


def topk(state: ExactState, slack: float = SLACK) -> FactSet | None:
    """The smallest sufficient top-k explanation, or None where even k = P does not suffice.

    Sufficiency is monotone in k (more is named, and the ceiling sinks), so bisection finds the
    least k.
    """
    instance = state.instance
    nearest = instance.measurement.min(axis=0)
    # ties broken by index, so that equal runs agree
    ranking = np.lexsort((np.arange(len(nearest)), nearest))

    def sufficient(k: int) -> bool:
        low, high = state.floor.copy(), state.roof.copy()
        named = ranking[:k]
        low[ranking[k:]] = np.maximum(low[ranking[k:]], nearest[ranking[k - 1]])
        low[named] = high[named] = nearest[named]
        return bool((margins_between(instance, low, high) > slack).all())

    smallest, largest = 1, len(ranking)
    if not sufficient(largest):
        return None
    while smallest < largest:
        middle = (smallest + largest) // 2
        if sufficient(middle):
            largest = middle
        else:
            smallest = middle + 1
    named = [int(j) for j in ranking[:largest]]
    return FactSet(
        activations=tuple(activation_fact(instance, j) for j in named),
        ceiling=ceiling_fact(instance, named[-1], named),
    )
