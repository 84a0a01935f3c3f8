"""Whether the checker reads the head that the prover reasons about, before anything is explained.

Both read it from the graph, each with code of its own. Where they agree, "recognised" means that
explanations can be certified; where the checker refuses, its sentence says why they cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import fmpq
from numpy.typing import NDArray

from protoproof.errors import ProtoProofError
from protoproof.kernel import ModelFile
from protoproof.kernel.model.chain import Chain
from protoproof.kernel.model.head import Head
from protoproof.network import Network
from protoproof.network.head.chain import Chain as OurChain
from protoproof.network.head.head import Head as OurHead
from protoproof.prover.latent.exact import ExactStep, Similarities, Steps

# What an argument of two similarities is compared at, where their ends allow it.
_AT = 0.25
# Relative difference of two similarities that rounding of constants explains.
_SAME = 1e-9


@dataclass(frozen=True)
class Reading:
    """What the checker says against a head, "" where it reads the same one.

    ``similarities``: those of its reading, whose constants are not rounded; None where it objects.
    The prover states facts with them. That takes nothing on trust: the checker has read the
    constants from the graph, and computes every fact again.
    """

    objection: str
    similarities: Similarities | None = None


def checkers_reading(network: Network, model: ModelFile | None = None) -> Reading:
    """As what the checker reads the head of a network."""
    found = network.recognised
    file = model or ModelFile(network.data, network.files)
    try:
        bound = file.bound(found.latents, found.output)
    except ProtoProofError as error:
        return Reading(str(error))
    ours, theirs = network.head, bound.head
    kinds = sorted({one.kind for one in theirs.pooling})
    words = {
        "geometry": (ours.geometry, theirs.geometry),
        "prototypes": (len(ours.prototypes), theirs.prototype_count),
        "channels": (ours.channels, theirs.channels),
        "locations": (ours.locations, theirs.location_count),
        "pooling": (sorted(set(ours.pooling_of.kinds)), kinds),
        "decision": (ours.decision.kind, theirs.decision.kind),
    }
    for name, (own, other) in words.items():
        if own != other:
            return Reading(f"the checker reads another head: {name} {other}, not {own}")
    first = np.concatenate([cut.sites for cut in found.cuts])
    second = np.concatenate([cut.sites for cut in bound.cuts])
    if not np.array_equal(first, second):
        return Reading("the checker reads the locations of the latent in another order")
    if not _same_units(ours, theirs):
        return Reading(
            "the checker measures in other units: it shares a factor of the prototypes otherwise"
        )
    for own_chain, chain in ((ours.inner_chain, theirs.inner), (ours.chain, theirs.chain)):
        if not _same_similarity(own_chain, chain, ours):
            return Reading("the checker reads another similarity, or one in other units")
    return Reading("", Similarities(_steps(theirs.inner), _steps(theirs.chain)))


def checkers_objection(network: Network, model: ModelFile | None = None) -> str:
    """What the checker says against the head of a network; "" if it reads the same."""
    return checkers_reading(network, model).objection


def _same_units(ours: OurHead, theirs: Head) -> bool:
    """Whether facts about measurements mean the same to both, to the last bit: what the prover
    rounds would make true facts false."""
    lengths = (ours.epsilon, theirs.floor), (ours.added, theirs.added)
    return (
        _same_numbers(ours.prototypes, [theirs.prototype(j) for j in _all(ours)], theirs.shift)
        and (ours.scales is None or _same_numbers(ours.scales, theirs.scales, theirs.scale_shift))
        and all(Fraction(own) == other for own, other in lengths)
        and ours.uniform == theirs.uniform
    )


def _all(head: OurHead) -> range:
    return range(len(head.prototypes))


def _same_numbers(own: NDArray[np.float64], rows: list[list[int]], shift: int) -> bool:
    """Whether float64 numbers are integers over ``2**shift``, exactly."""
    unit = 1 << shift
    return all(
        numerator * unit == other * denominator
        for row, others in zip(own.tolist(), rows, strict=True)
        for (numerator, denominator), other in zip(
            (value.as_integer_ratio() for value in row), others, strict=True
        )
    )


def _same_similarity(ours: OurChain, theirs: Chain, head: OurHead) -> bool:
    """Whether two chains give the same, rounding of the prover's constants aside."""
    low = np.array([-np.inf]) if ours.low is None else ours.low
    high = np.array([np.inf]) if ours.high is None else ours.high
    at = np.clip(np.full(len(head.prototypes), _AT), low, high)
    own = ours.value(at)
    other = [float(theirs.value(j, fmpq(*x.as_integer_ratio()))) for j, x in enumerate(at.tolist())]
    return bool(np.allclose(own, other, rtol=_SAME, atol=_SAME, equal_nan=True))


def _steps(chain: Chain) -> Steps:
    return tuple(ExactStep(step.name, step.constants) for step in chain.steps)
