"""Whether the checker reads the head that the prover reasons about, before anything is explained.

Both read it from the graph, each with code of its own. Where they agree, "recognised" means that
explanations can be certified; where the checker refuses, its sentence says why they cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from flint import fmpq
from numpy.typing import NDArray

from protoproof.errors import ProtoProofError
from protoproof.kernel import ModelFile
from protoproof.kernel.model.head import Head
from protoproof.network import Network
from protoproof.network.head.head import Head as OurHead


def checkers_objection(network: Network, model: ModelFile | None = None) -> str:
    """What the checker says against the head of a network; "" if it reads the same."""
    found = network.recognised
    file = model or ModelFile(network.data, network.files)
    try:
        bound = file.bound(found.latents, found.output)
    except ProtoProofError as error:
        return str(error)
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
            return f"the checker reads another head: {name} {other}, not {own}"
    first = np.concatenate([cut.sites for cut in found.cuts])
    second = np.concatenate([cut.sites for cut in bound.cuts])
    if not np.array_equal(first, second):
        return "the checker reads the locations of the latent in another order"
    same = _same_numbers(ours.prototypes, theirs.prototype, theirs.shift)
    if ours.scales is not None:
        same &= _same_numbers(ours.scales, theirs.scales.__getitem__, theirs.scale_shift)
    if not same or not _same_pooled(ours, theirs):
        return "the checker measures in other units: it shares a factor of the prototypes otherwise"
    return ""


def _same_pooled(ours: OurHead, theirs: Head) -> bool:
    """Whether what is pooled, where that is more than the nearest measurement, is the same."""
    if ours.all_nearest:
        return True
    at = 0.25 if ours.geometry in ("euclidean", "diagonal") else -0.25
    own = ours.inner_chain.value(np.full(len(ours.prototypes), at))
    other = [float(theirs.inner.value(j, fmpq(int(4 * at), 4))) for j in range(len(own))]
    kinds = np.array([kind == "nearest" for kind in ours.pooling_of.kinds])
    return bool(np.allclose(np.where(kinds, 0.0, own), np.where(kinds, 0.0, other), rtol=1e-9))


def _same_numbers(
    ours: NDArray[np.float64], theirs: Callable[[int], Sequence[int]], shift: int
) -> bool:
    """Whether rows of the prover's numbers are the checker's, which are over ``2**shift``: then
    facts about measurements mean the same to both, rounding of the prover's aside."""
    unit = 1 << shift
    for row, own in enumerate(ours):
        other = [number / unit for number in theirs(row)]
        if not np.allclose(own, other, rtol=1e-9, atol=0):
            return False
    return True
