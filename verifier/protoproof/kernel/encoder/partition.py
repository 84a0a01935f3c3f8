"""A region of inputs in parts: each part's inputs, and what the latents over it meet.

*Coverage.* The whole is cut into the inputs where some quantity (an input number, a parameter of a
family, or a number that the encoder computes) is at most t, and those where it is at least t. Every
input is in one of the two, so by induction every input of the region is in the part of some leaf.
Where the cuts lie carries no weight; that those of input numbers and parameters are strictly inside
keeps such parts proper ones. Parts by cuts of units may hold no input at all.

The shape of the tree and the work that it asks for are settled before anything is walked. Nothing
recurses: nodes come in preorder, and the parts that still wait are on a stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from protoproof.certificate.input_region import LightRegion
from protoproof.certificate.partition import InputCut, LightCut, Part, PartNode, UnitCut
from protoproof.certificate.schema import Core, IntervalEvidence, ReachDomain
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import hex_ratio
from protoproof.kernel.arithmetic.outward import Range
from protoproof.kernel.budget import BALL, NODE, OPERATION, current, hold, rounds
from protoproof.kernel.encoder.backward import LinearPropagation, Side
from protoproof.kernel.encoder.cases import latents_of
from protoproof.kernel.encoder.input_region import Inputs
from protoproof.kernel.encoder.interval import PER_WALK, IntervalPropagation
from protoproof.kernel.encoder.latents import latent_range
from protoproof.kernel.encoder.parametric import ParametricSet
from protoproof.kernel.latent.ranges import box_cost
from protoproof.kernel.latent.reached import Latents
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
    if domain.kind == "reach" and domain.propagated is None and any(map(_linear, core.parts)):
        yield "parts: units are cut, or forms bounded, where no linear bounds are propagated"
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


def _linear(node: PartNode) -> bool:
    return isinstance(node, UnitCut) or (isinstance(node, Part) and bool(node.forms))


def _shape_complaints(nodes: tuple[PartNode, ...]) -> Iterator[str]:
    """One tree in preorder: as many halves as cuts ask for, none below the depth limit; forms with
    as many multipliers as units are cut above them."""
    waiting = [(0, 0)]  # cuts above, and those of them that are of units
    for node in nodes:
        if not waiting:
            yield "parts: nodes after the end of the tree"
            return
        depth, units = waiting.pop()
        if isinstance(node, Part):
            if any(len(form.duals) != units for form in node.forms):
                yield "parts: not one multiplier for each cut of a unit"
            continue
        if depth >= MAX_DEPTH:
            yield f"parts: more than {MAX_DEPTH} cuts above one part"
            return
        waiting += [(depth + 1, units + isinstance(node, UnitCut))] * 2
    if waiting:
        yield f"parts: {len(waiting)} parts are missing"


def walked(
    core: Core, inputs: Inputs, graph: Graph, latent: LatentTensor
) -> Iterator[Latents | None]:
    """What the latents over every part meet, in order; None for a part that holds no input.

    Assumes that :func:`part_complaints` found nothing. Where the domain has linear bounds
    propagated, parts that differ in cuts of units alone share one propagation.

    Raises:
        ReplayError: the encoder cannot be walked.
        OutOfBudgetError: not so often.
        CertificateError, ModelError: a cut that is none; malformed numbers or model.
    """
    parts = _pieces(core.parts, inputs)
    if isinstance(core.domain, ReachDomain) and core.domain.propagated is not None:
        yield from _propagated(parts, graph, latent, core.domain.propagated)
        return
    count = sum(isinstance(node, Part) for node in core.parts)
    for _, piece in rounds(parts, count, "a walk"):
        with current().scope():
            box, parametric = piece.start()
            low, high = latent_range(
                IntervalPropagation(graph, box, parametric, keep=False), latent
            )
        hold("the boxes of latents", 16 * low.size)
        yield Latents(low, high)


def _propagated(
    parts: Iterator[tuple[Part, _Piece]], graph: Graph, latent: LatentTensor, most: int
) -> Iterator[Latents | None]:
    """The same by linear bounds; ``most``: of the units of a layer that has its own."""
    shared: _Piece | None = None
    held = 0
    for leaf, piece in parts:
        if shared is not piece.uncut:
            current().release(held)
            shared, held = piece.uncut, -current().alive
            whole = LinearPropagation(graph, *piece.start(), most)
            latent_range(whole, latent)
            held += current().alive
        with current().scope():
            hold("the tensors of a case", sum(16 * v.low.size for v in whole.known.values()))
            found = latents_of(whole, piece.sides, leaf.forms, latent)
        if found is not None:
            hold("the boxes of latents", (16 + 8 * len(found.forms)) * found.low.size)
        yield found


def _pieces(nodes: tuple[PartNode, ...], inputs: Inputs) -> Iterator[tuple[Part, _Piece]]:
    """Every part with its inputs, in order.

    Raises:
        CertificateError: a cut that does not lie strictly inside, or is of another kind of region.
    """
    waiting = [_Piece.whole(inputs)]
    for node in nodes:
        piece = waiting.pop()
        if isinstance(node, Part):
            yield node, piece
            continue
        if isinstance(node, LightCut):
            first, second = piece.light(node)
        else:
            first, second = piece.unit(node) if isinstance(node, UnitCut) else piece.input(node)
        waiting += [second, first]


@dataclass(frozen=True)
class _Piece:
    """A part of the region: a box of inputs, or ranges of the two parameters of a family; of these
    the inputs for which units are on their ``sides``.

    ``parametric`` holds the whole region, hence also what of it is in the box.
    """

    inputs: Inputs
    range: Range | None
    brightness: _Ends = (Fraction(0), Fraction(0))
    contrast: _Ends = (Fraction(0), Fraction(0))
    parametric: ParametricSet | None = None
    sides: tuple[Side, ...] = ()
    _uncut: _Piece | None = None

    @property
    def uncut(self) -> _Piece:
        """The piece of the same inputs before units were cut: one and the same for all of them."""
        return self._uncut or self

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
            first, second = (self._with(brightness=half) for half in halves)
        else:
            first, second = (self._with(contrast=half) for half in halves)
        return first, second

    def _with(self, **changes: Any) -> _Piece:
        """Other inputs, with the same sides of units."""
        return replace(self, _uncut=None, **changes)

    def unit(self, cut: UnitCut) -> tuple[_Piece, _Piece]:
        numerator, unit = hex_ratio(cut.at)
        at = numerator / unit  # exact: it was a float64
        first, second = (
            replace(
                self,
                _uncut=self.uncut,
                sides=(*self.sides, Side(cut.tensor, cut.number, at, above)),
            )
            for above in (False, True)
        )
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
        return self._with(range=Range(low, below)), self._with(range=Range(above, high))
