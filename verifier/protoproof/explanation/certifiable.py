"""Whether the checker reads the head that the prover reasons about, before anything is explained.

Both read it from the graph, each with code of its own. Where they agree, "recognised" means that
explanations can be certified; where the checker refuses, its sentence says why they cannot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

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
from protoproof.network.head.unrounded import ExactStep, Points, Steps, Unrounded, points_of

# What an argument of two similarities is compared at, where their ends allow it.
_AT = 0.25
# Relative difference of two similarities that rounding of constants explains.
_SAME = 1e-9


@dataclass(frozen=True)
class Reading:
    """What the checker says against a head, "" where it reads the same one.

    ``unrounded``: the numbers of its reading, which float64 rounds; None where it objects.
    The prover states facts with them. That takes nothing on trust: the checker has read them from
    the graph, and computes every fact again.
    """

    objection: str
    unrounded: Unrounded | None = None


def checkers_reading(network: Network, model: ModelFile | None = None) -> Reading:
    """As what the checker reads the head of a network."""
    found = network.recognised
    file = model or ModelFile(network.data, network.files)
    try:
        bound = file.bound(found.latents, found.output, whole=True)  # level F is asked for next
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
    points = _points(ours, theirs)
    if points is None or not _same_units(ours, theirs):
        return Reading(
            "the checker measures in other units: it shares a factor of the prototypes otherwise"
        )
    both = (
        (ours.inner_chain, theirs.inner),
        (ours.chain, theirs.chain),
        (ours.common_chain, theirs.common),
    )
    for own_chain, chain in both:
        if not _same_similarity(own_chain, chain, ours):
            return Reading("the checker reads another similarity, or one in other units")
    weights, unit = None, 1 << theirs.scale_shift
    if ours.rounded:
        weights = tuple(tuple(fmpq(w, unit) for w in row) for row in theirs.scales)
    slack = fmpq(theirs.scale_slack.numerator, theirs.scale_slack.denominator)
    inner, outer, common = (_steps(chain) for _, chain in both)
    return Reading("", Unrounded(inner, outer, common, points, weights, slack))


def checkers_objection(network: Network, model: ModelFile | None = None) -> str:
    """What the checker says against the head of a network; "" if it reads the same."""
    return checkers_reading(network, model).objection


def _same_units(ours: OurHead, theirs: Head) -> bool:
    """Whether, with the same prototypes, facts about measurements mean the same to both, to the
    last bit: what the prover rounds would make true facts false. Where it knows that it rounded
    (weights of channels, lengths), it encloses, and the same up to that will do."""
    lengths = [theirs.length(j) for j in range(len(ours.prototypes))]
    squares = [(one.floor, one.beside) for one in lengths]
    own = [np.asarray(part) for part in (ours.epsilon, ours.beside)]
    other = [[float(part) ** 0.5 for part in parts] for parts in zip(*squares, strict=True)]
    return (
        (
            ours.scales is None
            or _same_numbers(
                ours.scales, theirs.scales.__getitem__, theirs.scale_shift, rounded=ours.rounded
            )
        )
        and all(Fraction(ours.added) == one.added for one in lengths)
        and all(map(partial(np.allclose, rtol=_SAME, atol=0), own, other))
        and ours.uniform == theirs.uniform
    )


def _same_numbers(
    ours: NDArray[np.float64],
    theirs: Callable[[int], Sequence[int]],
    shift: int,
    *,
    rounded: bool = False,
) -> bool:
    """Whether rows of float64 numbers are integers over ``2**shift``: exactly, or ``rounded``; what
    is too long for float64 over that unit is not."""
    if rounded:
        return all(
            math.isclose(value, other / (1 << shift), rel_tol=_SAME)
            for row, own in enumerate(ours.tolist())
            for value, other in zip(own, theirs(row), strict=True)
        )
    with np.errstate(over="ignore"):
        raised = np.ldexp(ours, shift)  # exactly, and Python compares with integers exactly
    if not np.isfinite(raised).all():
        return False
    return all(own == list(theirs(row)) for row, own in enumerate(raised.tolist()))


def _points(ours: OurHead, theirs: Head) -> Points | None:
    """The prototypes as the checker has read them; None where they are others, or in other units.

    Where the prover has rounded some (products with a matrix), facts are stated about these.
    """
    if _same_numbers(ours.prototypes, theirs.prototype, theirs.shift):
        return points_of(ours)
    rows = [list(theirs.prototype(j)) for j in range(len(ours.prototypes))]
    for row, own in zip(rows, ours.prototypes, strict=True):
        # relative to the row: what cancels in one coordinate was rounded like the others
        near = _SAME * float(np.abs(own).max(initial=0.0))
        if not np.allclose(own, [n / (1 << theirs.shift) for n in row], rtol=0, atol=near):
            return None
    return Points(rows, theirs.shift, rounded=True)


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
