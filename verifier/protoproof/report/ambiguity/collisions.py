"""Pairs of inputs with the same top-k explanation and different predictions.

The *top-k explanation* that prototype networks show is the set of the k most activated prototypes
(ties are broken by index). Two inputs *collide* at k if these sets are equal and the network
predicts different classes for them: whatever the set says, it does not say the class. Reported per
k, over all unordered pairs of the given inputs:

    rate_k = pairs with equal sets and different predictions / pairs with equal sets.

Only which prototypes are named counts, not how strongly they are seen. This is an observation about
these inputs on this runtime, and no proof; where no pair collides, other inputs may.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.errors import UsageError
from protoproof.network import Network, Observation

Activations = Float[NDArray[np.float64], "input prototype"]


@dataclass(frozen=True)
class Level:
    """The collisions at one k.

    Attributes:
        k: how many prototypes an explanation names.
        explanations: how many different ones there are.
        same: unordered pairs of inputs that share theirs.
        colliding: those of them that are predicted differently.
        inputs: how many inputs collide with some other one.
    """

    k: int
    explanations: int
    same: int
    colliding: int
    inputs: int

    @property
    def rate(self) -> float | None:
        """Share of the pairs with the same explanation that collide; None where there are none."""
        return self.colliding / self.same if self.same else None


@dataclass(frozen=True)
class Collision:
    """Two inputs (indices) with the same k most activated prototypes, in order of the first's.

    ``predicted`` and ``activation`` [k] are those of either input; ``margin`` is the difference of
    the two largest logits.
    """

    k: int
    first: int
    second: int
    prototypes: tuple[int, ...]
    predicted: tuple[int, int]
    activation: tuple[tuple[float, ...], tuple[float, ...]]
    margin: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Ambiguity:
    """All levels from k = 1 on, and a colliding pair at the largest k that has one, if any."""

    levels: tuple[Level, ...]
    inputs: int
    example: Collision | None
    class_names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data; ``example`` is None where nothing collides."""
        found = self.example
        return {
            "inputs": self.inputs,
            "levels": [
                {
                    "k": level.k,
                    "explanations": level.explanations,
                    "pairs_same_explanation": level.same,
                    "pairs_different_class": level.colliding,
                    "rate": level.rate,
                    "inputs_involved": level.inputs,
                }
                for level in self.levels
            ],
            "example": None
            if found is None
            else {
                "k": found.k,
                "inputs": [found.first, found.second],
                "prototypes": list(found.prototypes),
                "predicted": list(found.predicted),
                "predicted_names": [self.class_names[k] for k in found.predicted],
                "margins": list(found.margin),
            },
        }


def ambiguity(network: Network, observations: Sequence[Observation], most: int = 10) -> Ambiguity:
    """Count collisions for k = 1 to ``most`` (at most the number of prototypes).

    Args:
        network: the network.
        observations: what the runtime computed for at least two inputs.
        most: the largest k.

    Raises:
        UsageError: fewer than two inputs, or ``most`` below 1.
    """
    if len(observations) < 2 or most < 1:
        raise UsageError("collisions need at least two inputs and k of at least 1; give more data")
    head = network.head
    activation = np.stack(
        [head.activation(head.measurement(o.latent.astype(np.float64))) for o in observations]
    )
    predicted = np.array([o.predicted for o in observations])
    logits = np.sort(np.stack([o.logits.astype(np.float64) for o in observations]), axis=1)
    ranking = np.argsort(-activation, axis=1, kind="stable")
    levels, example = [], None
    for k in range(1, min(most, activation.shape[1]) + 1):
        groups = _groups(np.sort(ranking[:, :k], axis=1))
        level, mixed = _level(k, groups, predicted)
        levels.append(level)
        if mixed:
            margins = logits[:, -1] - logits[:, -2]
            example = _clearest(k, mixed, predicted, margins, ranking, activation)
    return Ambiguity(tuple(levels), len(observations), example, network.class_names)


def _groups(named: Int[NDArray[np.intp], "input k"]) -> list[list[int]]:
    """Inputs that share an explanation, in order of the first of them."""
    groups: dict[bytes, list[int]] = {}
    for index, row in enumerate(named):
        groups.setdefault(row.tobytes(), []).append(index)
    return list(groups.values())


def _level(
    k: int, groups: Sequence[Sequence[int]], predicted: Int[NDArray[np.intp], " input"]
) -> tuple[Level, list[Sequence[int]]]:
    """The counts at one k, and the groups whose members are not all predicted the same."""
    same = colliding = inputs = 0
    mixed = []
    for group in groups:
        counts = Counter(predicted[list(group)].tolist())
        pairs = len(group) * (len(group) - 1) // 2
        same += pairs
        if len(counts) > 1:
            colliding += pairs - sum(n * (n - 1) // 2 for n in counts.values())
            inputs += len(group)  # each has a member of another class beside it
            mixed.append(group)
    return Level(k, len(groups), same, colliding, inputs), mixed


def _clearest(
    k: int,
    mixed: Sequence[Sequence[int]],
    predicted: Int[NDArray[np.intp], " input"],
    margins: Float[NDArray[np.float64], " input"],
    ranking: Int[NDArray[np.intp], "input prototype"],
    activation: Activations,
) -> Collision:
    """The colliding pair whose less certain input is the most certain."""
    best: tuple[float, int, int] | None = None
    for group in mixed:
        # the most certain input of every class; the clearest pair of a group is among them
        champions: dict[int, int] = {}
        for index in group:
            own = int(predicted[index])
            if own not in champions or margins[index] > margins[champions[own]]:
                champions[own] = index
        first, second = sorted(champions.values(), key=lambda index: -margins[index])[:2]
        found = (float(margins[second]), -min(first, second), -max(first, second))
        if best is None or found > best:
            best = found
    if best is None:
        raise UsageError("no two inputs collide")
    first, second = -best[1], -best[2]
    named = tuple(int(j) for j in ranking[first, :k])
    columns = list(named)
    return Collision(
        k,
        first,
        second,
        named,
        (int(predicted[first]), int(predicted[second])),
        (tuple(activation[first, columns].tolist()), tuple(activation[second, columns].tolist())),
        (float(margins[first]), float(margins[second])),
    )
