"""Vocabulary *pairs*: a sufficient set of (location, prototype) facts, grown by need.

    E = the nearest prototype of every location
    while some margin is not proved:
        k = the rival with the least proved margin
        j = the prototype whose interval costs margin_k most
        add the fact that closes j's interval where it is open
    return E

Each step costs one location. The set is then minimised by deletion.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from verifier.oracle.exact import ExactState

Vector = Float[NDArray[np.float64], " prototype"]


def grow(state: ExactState) -> bool:
    """Add pair facts to ``state`` until every margin is proved; False when nothing is left to add.

    Starts from one fact per location: over a free domain a location without any fact could match
    every prototype perfectly, so no smaller start can succeed there.
    """
    instance = state.instance
    for location, row in enumerate(instance.measurement):
        state.set_location(location, [int(np.argmin(row))])
    while True:
        margins = state.margins()
        if state.proves(margins):
            return True
        pair = _most_wanted(state, int(np.argmin(margins)))
        if pair is None:
            return False
        location, prototype = pair
        state.set_location(location, [*state.places[location].facts, int(prototype)])


def _most_wanted(state: ExactState, rival: int) -> tuple[int, int] | None:
    """The (location, prototype) whose fact closes the costliest interval of a rival's margin."""
    instance = state.instance
    weights = instance.margin_weights[rival]
    low, high = state.nearest()
    least, most = instance.similarity(high), instance.similarity(low)
    with np.errstate(invalid="ignore"):
        loss = np.where(
            weights > 0,
            weights * (instance.activation - least),
            -weights * (most - instance.activation),
        )
    loss = np.where(weights == 0, 0.0, loss)
    for prototype in np.argsort(-loss, kind="stable"):
        if not loss[prototype] > 0:
            return None
        # an upper bound is improved where the instance attains its minimum; a lower bound where
        # the present minimum of the lower bounds lies
        column = instance.measurement if weights[prototype] > 0 else state.low
        location = int(np.argmin(column[:, prototype]))
        if prototype not in state.places[location].facts:
            return location, int(prototype)
    return None
