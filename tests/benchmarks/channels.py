"""The published rules for channels that sum to one, for comparison only.

*simplex*: pairs (location, channel), the one with the most mass first. With the mass rest_l that
the pairs at location l leave, activation j lies between its largest named value and the larger of
that value and max_l rest_l:

    E = {}
    until verified: add the pair of E's complement with the largest value

*sparse evidence*, where no weight is negative and activations are at most s_j: every prototype that
votes for the class, then those whose worst case helps the strongest rival most:

    E = { j : W_cj > 0 }
    until verified: k = the rival with the largest upper bound
                    add the prototype j with the largest W_kj (s_j - a_j)

An unnamed prototype adds nothing to the class and at most W_kj s_j to a rival. Neither rule
deletes. Both are sound as they stand, with the similarity of the head (a threshold, for example)
applied to the ends of the intervals, which the published form leaves out.

Source: the two PIP-Net paradigms of Soria et al., "Beyond L2", ECML PKDD 2026, implemented anew
from their description.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.network.head.decision import Labels, Linear
from protoproof.prover.latent.domain import Domain, Simplex
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle

Vector = Float[NDArray[np.float64], " prototype"]


def are_channels(instance: Instance, domain: Domain) -> bool:
    """Whether every prototype is one channel of a softmax, and its best location counts."""
    head = instance.head
    rows = head.prototypes
    one_each = ((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all()
    distinct = len(np.unique(rows, axis=0)) == len(rows)
    return bool(
        head.geometry == "linear"
        and isinstance(domain, Simplex)
        and head.all_nearest
        and head.mask is None
        and one_each
        and distinct
    )


def simplex(instance: Instance, domain: Simplex) -> tuple[tuple[int, int], ...] | None:
    """The pairs of the simplex rule, in order, or None where all of them do not verify."""
    head, mass = instance.head, -instance.measurement
    order = np.argsort(-mass, axis=None, kind="stable")
    rest, known = np.full(len(mass), 1.0 + domain.slack), np.zeros(mass.shape[1])
    chosen: list[tuple[int, int]] = []
    for flat in [-1, *order.tolist()]:
        if flat >= 0:
            location, channel = divmod(flat, mass.shape[1])
            chosen.append((location, channel))
            rest[location] -= mass[location, channel]
            known[channel] = max(known[channel], mass[location, channel])
        most = np.maximum(known, rest.max())
        low, high = head.activation_between(-most, -known)
        if (instance.atoms.least(low, high) > 0).all():
            return tuple(chosen)
    return None


def evidence_counts(instance: Instance, domain: Domain) -> bool:
    """Whether the head's votes are never negative and its activations bounded from above."""
    decision = instance.head.decision
    if not isinstance(decision, Linear) or isinstance(decision, Labels):
        return False
    return bool((decision.weight >= 0).all() and np.isfinite(_most(instance, domain)).all())


def _most(instance: Instance, domain: Domain) -> Vector:
    """The greatest activations over a domain."""
    state = IntervalOracle(slack=0.0).prepare(instance, domain)
    return instance.head.activation_between(*state.seen())[1]


def sparse_evidence(instance: Instance, domain: Domain) -> tuple[int, ...]:
    """The prototypes that sparse evidence names, in order."""
    weight, bias = instance.head.weight, instance.head.bias
    activation, most = instance.activation, _most(instance, domain)
    predicted = instance.predicted
    chosen = np.flatnonzero(weight[predicted] > 0).tolist()
    while len(chosen) < len(activation):
        reached = most.copy()
        reached[chosen] = activation[chosen]
        # unnamed prototypes have no weight in the predicted class
        scores = weight @ reached + bias
        scores[predicted] = weight[predicted] @ activation + bias[predicted]
        rivals = scores - scores[predicted]
        rivals[predicted] = -np.inf
        if not (rivals >= 0).any():
            break
        drop = weight[int(np.argmax(rivals))] * (most - activation)
        drop[chosen] = -np.inf
        chosen.append(int(np.argmax(drop)))
    return tuple(chosen)
