"""Tiles of an input that cannot be released: an input that shows it, run in exact arithmetic.

*Theorem.* Let a region keep the tiles S as they are and let every other number move within a
radius, and let x be an input that differs from the centre only in numbers outside S and in those of
one tile t of S, by no more than the radius, inside the domain. If a rival is ahead of the recorded
class at x, the claim that S without t forces the class is false: x belongs to the region of S
without t. Since fewer kept tiles give a larger region, no set inside S without t forces it either.

Membership is decided in exact rationals. The class at x is proved: the propagation over the box
{x} encloses the latent over the real numbers, and the rival's lead over that box has a positive
lower bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from protoproof.certificate.input_region import KeptRegion
from protoproof.certificate.schema import Core, IntervalEvidence, Released
from protoproof.kernel.arithmetic.exact import decided, decode_floats
from protoproof.kernel.arithmetic.outward import Array, Range
from protoproof.kernel.budget import BALL, current, spend
from protoproof.kernel.encoder.input_region import Inputs
from protoproof.kernel.encoder.interval import IntervalPropagation
from protoproof.kernel.encoder.latents import latent_range
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.margins import Ends, UnboundedError, known
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.model.graph import Graph

_PER_NUMBER = 1 << 13  # comparing one rational number


class Releases:
    """The region of a certificate, and what releasing one of its tiles would allow."""

    def __init__(self, core: Core, region: KeptRegion, graph: Graph, bound: BoundHead) -> None:
        self.core, self.region, self.graph, self.bound = core, region, graph, bound
        self.inputs = Inputs(region)

    def complaints(self, witness: Released) -> Iterator[str]:
        """Why an input does not show that its tile is necessary.

        Raises:
            ReplayError: the encoder cannot be walked.
            CertificateError, ModelError: malformed numbers or model.
        """
        region, inputs, count = self.region, self.inputs, len(self.inputs.centre)
        if self.bound.head.decision.kind == "labels":
            yield "labels are decided alone; no input shows which tiles they need"
            return
        spend("an input of the region", 2 * _PER_NUMBER * count)
        x = decode_floats(witness.x, count, np.float32)
        rest = frozenset(region.kept) - {witness.tile}
        ends = inputs.kept_ends(region, rest)
        for number, (value, (least, most)) in enumerate(zip(x.tolist(), ends, strict=True)):
            low, high = max(least, inputs.low), min(most, inputs.high)
            if not low <= Fraction(value) <= high:
                yield f"its input leaves the region, of which the tile is released, at {number}"
                return
        if not self._ahead(x.astype(np.float64), witness.rival):
            yield f"class {witness.rival} is not certainly ahead at its input"

    def _ahead(self, x: Array, rival: int) -> bool:
        point = x.reshape(1, *self.region.shape)
        head = self.bound.head
        with current().scope():
            walk = IntervalPropagation(self.graph, Range(point, point), keep=False)
            low, high = latent_range(walk, self.bound.latent_tensor)
            bare = self.core.model_copy(update={"facts": (), "evidence": IntervalEvidence()})
            bounds = Bounds(head, bare, BoundedDomain.around(low, high))
            ends = Ends(head, bounds.best, bounds.caps)
            spend("the lead of a class", BALL * head.decision.work)
            score = head.decision.over(rival, self.core.instance.predicted)
            try:
                sign, _ = decided(lambda: known(ends.least(score)))
            except UnboundedError:
                return False
        return sign > 0
