"""A region of inputs in parts: each part's box of inputs, and the box of latents over it.

*Coverage.* The whole is cut into the inputs where some quantity (an input number, or a parameter of
a family) is at most t, and those where it is at least t. Every input is in one of the two, so by
induction every input of the region is in the part of some leaf. Where the cuts lie carries no
weight; that each is strictly inside keeps every part a proper one.

The shape of the tree and the work that it asks for are settled before anything is walked. Nothing
recurses: nodes come in preorder, and the parts that still wait are on a stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from protoproof.certificate.input_region import LightRegion
from protoproof.certificate.partition import InputCut, LightCut, Part, PartNode
from protoproof.certificate.schema import Core, IntervalEvidence, ReachDomain
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import hex_ratio
from protoproof.kernel.arithmetic.outward import Array, Range
from protoproof.kernel.budget import BALL, NODE, OPERATION, current, hold, rounds
from protoproof.kernel.encoder.input_region import Inputs
from protoproof.kernel.encoder.interval import PER_WALK, IntervalPropagation
from protoproof.kernel.encoder.latents import latent_range
from protoproof.kernel.encoder.parametric import ParametricSet
from protoproof.kernel.latent.ranges import box_cost
from protoproof.kernel.model.file import LatentTensor
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.head import Head

MAX_DEPTH = 64  # cuts above one part
_PER_WALK = PER_WALK + 4 * NODE

_Ends = tuple[Fraction, Fraction]


def part_complaints(core: Core, head: Head) -> Iterator[str]:
    """What is wrong with the parts before anything is walked; nothing: :func:`walked` may start."""
    domain = core.domain
    if not isinstance(domain, ReachDomain) or domain.region is None or domain.bounds:
        yield "parts: the domain is not a region of inputs that the checker walks itself"
    if core.facts or core.witnesses or core.size_bound or core.contrasts or core.holds:
        yield "parts: they prove a claim about inputs, without facts and what belongs to facts"
    if core.evidence != IntervalEvidence():
        yield "parts: evidence that belongs to no part"
    yield from _shape_complaints(core.parts)
    count = sum(isinstance(node, Part) for node in core.parts)
    current().afford(f"the margins over {count} parts", count * part_cost(head))
    used = [n.evidence for n in core.parts if isinstance(n, Part) and n.evidence is not None]
    if used != list(range(len(core.part_evidence))):
        yield "parts: the parts do not use every evidence once, in order"


def part_cost(head: Head) -> int:
    """Steps of any part: a propagation, ranges over its box, and every rival's margin."""
    locations, count = head.location_count, head.prototype_count
    ranges = locations * (box_cost(count, head.channels) + 64 * OPERATION * head.channels)
    return _PER_WALK + ranges + count * (2 * head.chain.cost + head.class_count * BALL)


def _shape_complaints(nodes: tuple[PartNode, ...]) -> Iterator[str]:
    """One tree in preorder: as many halves as cuts ask for, none below the depth limit."""
    waiting = [0]  # depths
    for node in nodes:
        if not waiting:
            yield "parts: nodes after the end of the tree"
            return
        depth = waiting.pop()
        if not isinstance(node, Part):
            if depth >= MAX_DEPTH:
                yield f"parts: more than {MAX_DEPTH} cuts above one part"
                return
            waiting += [depth + 1] * 2
    if waiting:
        yield f"parts: {len(waiting)} parts are missing"


def walked(
    core: Core, inputs: Inputs, graph: Graph, latent: LatentTensor
) -> Iterator[tuple[Array, Array]]:
    """Bounds [L, D] of the latent over every part, in order.

    Assumes that :func:`part_complaints` found nothing.

    Raises:
        ReplayError: the encoder cannot be walked.
        OutOfBudgetError: not so often.
        CertificateError, ModelError: a cut that is none; malformed numbers or model.
    """
    count = sum(isinstance(node, Part) for node in core.parts)
    for box, parametric in rounds(boxes(core.parts, inputs), count, "a walk"):
        with current().scope():
            low, high = latent_range(
                IntervalPropagation(graph, box, parametric, keep=False), latent
            )
        hold("the boxes of latents", 16 * low.size)
        yield low, high


def boxes(
    nodes: tuple[PartNode, ...], inputs: Inputs
) -> Iterator[tuple[Range, ParametricSet | None]]:
    """A box of inputs [1, C, H, W] around every part, in order, with its parametric set, if any.

    Raises:
        CertificateError: a cut that does not lie strictly inside, or is of another kind of region.
    """
    waiting = [_Piece.whole(inputs)]
    for node in nodes:
        piece = waiting.pop()
        if isinstance(node, Part):
            yield piece.start()
        else:
            first, second = piece.light(node) if isinstance(node, LightCut) else piece.input(node)
            waiting += [second, first]


@dataclass(frozen=True)
class _Piece:
    """A part of the region: a box of inputs, or ranges of the two parameters of a family.

    ``parametric set`` holds the whole region, hence also what of it is in the box.
    """

    inputs: Inputs
    range: Range | None
    brightness: _Ends = (Fraction(0), Fraction(0))
    contrast: _Ends = (Fraction(0), Fraction(0))
    parametric: ParametricSet | None = None

    @classmethod
    def whole(cls, inputs: Inputs) -> _Piece:
        region = inputs.region
        if not isinstance(region, LightRegion):
            box, parametric = next(inputs.starts())
            return cls(inputs, box, parametric=parametric)
        if region.parts != 1:
            raise CertificateError("parts: the region is cut into pieces already")
        shift, scale = Fraction(region.brightness), Fraction(region.contrast)
        return cls(inputs, None, (-shift, shift), (-scale, scale))

    def start(self) -> tuple[Range, ParametricSet | None]:
        if self.range is not None:
            return self.range, self.parametric
        family = self.brightness, self.contrast
        return self.inputs.piece(*family), self.inputs.lit(*family)

    def light(self, cut: LightCut) -> tuple[_Piece, _Piece]:
        at = Fraction(cut.at)
        bright = cut.parameter == "brightness"
        low, high = self.brightness if bright else self.contrast
        if self.range is not None or not low < at < high:
            raise CertificateError("parts: a cut that is not inside the range of its parameter")
        halves = (low, at), (at, high)
        if bright:
            first, second = (_Piece(self.inputs, None, half, self.contrast) for half in halves)
        else:
            first, second = (_Piece(self.inputs, None, self.brightness, half) for half in halves)
        return first, second

    def input(self, cut: InputCut) -> tuple[_Piece, _Piece]:
        numerator, unit = hex_ratio(cut.at)
        at = numerator / unit  # exact: it was a float64
        if self.range is None or cut.number >= self.range.low.size:
            raise CertificateError("parts: a cut of an input number that the region does not have")
        low, high = self.range
        if not low.flat[cut.number] < at < high.flat[cut.number]:
            raise CertificateError("parts: a cut that is not inside the range of its input number")
        below, above = high.copy(), low.copy()
        below.flat[cut.number] = above.flat[cut.number] = at
        return replace(self, range=Range(low, below)), replace(self, range=Range(above, high))
