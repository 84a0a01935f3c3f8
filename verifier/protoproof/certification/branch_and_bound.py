"""Branch and bound over a region of inputs: best first, in batches, until parts are proved alone.

The part with the worst bound is cut next, because it decides how the whole fares. A part is proved
by intervals, or by linear forms over its box of latents; its middle is run through the network, so
that a region with a counterexample does not grow parts without end. What comes out is a tree whose
leaves the checker walks again, one by one.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.certificate.partition import InputCut, LightCut, PartNode
from protoproof.certificate.partition import Part as Leaf
from protoproof.certificate.schema import Core, IntervalEvidence
from protoproof.network import Network, Observation
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.reach import Reach
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.proof.encode import certificate_core
from protoproof.prover.proof.evidence import encoded
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.region.bounds.attack import Counterexample, Flip, replay
from protoproof.region.bounds.interval import LatentBox, encoder_bounds
from protoproof.region.bounds.latent_bounds import around, widened
from protoproof.region.bounds.margins import activations, margin_ends
from protoproof.region.bounds.partition import (
    MOST_DEPTH,
    MOST_PARTS,
    MOST_PRODUCTS,
    MOST_UNITS,
    Cut,
    Part,
    slopes,
    whole,
)
from protoproof.region.sets.region import Region
from protoproof.region.sets.statement import require_statement
from protoproof.region.sets.transformations import Brightness
from protoproof.verdict import Status
from protoproof.wording import plural

_BATCH = 16  # parts that are cut in one round
_HELD = 1 << 27  # input numbers of all parts together
_TRIED = 4  # cuts that are compared for one part
# Where more quantities than this vary, so many parts without a proved one, and less than this share
# of the first deficit made good, tell that cutting does not help. Fewer are cut to the end.
_MANY = 12
_PATIENCE = 96
_WORTH = 0.25

_ORACLE = RelationalOracle()


@dataclass(frozen=True)
class Progress:
    """How far the search is: ``proved`` share of the volume, parts ``done`` and ``open``, and the
    ``worst`` lower bound of a margin over an open part."""

    proved: float
    done: int
    open: int
    worst: float

    def __str__(self) -> str:
        share = f"{100 * self.proved:.1f} %"
        return f"proved on {share} of the region's volume, open on {plural(self.open, 'part')}"


@dataclass(eq=False)
class _Node:
    part: Part
    bound: float = -np.inf
    evidence: IntervalEvidence | None = None
    cut: Cut | None = None
    halves: list[_Node] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Proved:
    """A region in parts that are all proved: nodes in preorder, and the evidence they use.

    ``box`` holds the latents of all parts. ``propagated``: linear bounds are, in layers of up to so
    many units; None: intervals alone are used.
    """

    nodes: tuple[PartNode, ...]
    evidence: tuple[IntervalEvidence, ...]
    box: LatentBox
    progress: Progress
    propagated: int | None = None


@dataclass(frozen=True)
class Undecided:
    """Why the search ended early, and how far it was."""

    reason: str
    progress: Progress


class Branching:
    """The search over one region.

    Args:
        instance: the centre's; gives the predicted class and what the head's instances share.
        deadline: of ``time.perf_counter``.
        watch: told the progress after every round.
    """

    def __init__(
        self,
        network: Network,
        instance: Instance,
        deadline: float,
        watch: Callable[[Progress], None] | None = None,
    ) -> None:
        self.network, self.instance = network, instance
        self.deadline, self.watch = deadline, watch
        self._most = _most_parts(network)
        self._heap: list[tuple[float, int, _Node]] = []
        self._order = itertools.count()
        self._done, self._share = 0, 0.0
        self._low: NDArray[np.float64] | None = None
        self._high: NDArray[np.float64] | None = None

    def run(self, region: Region) -> Proved | Counterexample | Undecided:
        """Cut until every part is proved.

        Raises:
            BoundsError: the walk fails.
        """
        part = whole(region)
        if part is None:
            return Undecided("this kind of region is not cut", self._progress())
        root = _Node(part)
        self._bound([root])
        first = root.bound
        while self._heap:
            if self.watch is not None:
                self.watch(self._progress())
            reason = self._ended(first)
            if reason:
                return Undecided(reason, self._progress())
            count = min(_BATCH, len(self._heap))
            batch = [heapq.heappop(self._heap)[2] for _ in range(count)]
            found = self._refuted(batch)
            if isinstance(found, Flip):
                return Undecided(found.words(self.network.class_names), self._progress())
            if found is not None:
                return found
            stuck = self._cut(batch)
            if stuck:
                self._put(stuck)
                return Undecided("a part cannot be cut further", self._progress())
        return self._parts_proved(root)

    def _ended(self, first: float) -> str:
        """Why no further round starts; empty where one does."""
        if time.perf_counter() > self.deadline:
            return "timeout"
        total = self._done + len(self._heap)
        if total + _BATCH > self._most:
            return f"more than {plural(self._most, 'part')}"
        worst = self._heap[0][0]
        many = self._heap[0][2].part.freedom > _MANY
        if many and total >= _PATIENCE and not self._done and worst < (1 - _WORTH) * first:
            return "cutting does not help"
        return ""

    def _progress(self) -> Progress:
        worst = self._heap[0][0] if self._heap else np.inf
        return Progress(self._share, self._done, len(self._heap), worst)

    def _put(self, nodes: Sequence[_Node]) -> None:
        for node in nodes:
            heapq.heappush(self._heap, (node.bound, next(self._order), node))

    def _refuted(self, nodes: Sequence[_Node]) -> Counterexample | Flip | None:
        """The first middle of a part that is predicted otherwise."""
        members = [m for node in nodes if (m := node.part.member()) is not None]
        if not members:
            return None
        head, wanted = self.network.head, self.instance.predicted
        box = encoder_bounds(self.network, [tiny for _, tiny in members])
        _, upper = margin_ends(head, activations(head, box), wanted)
        for (image, tiny), most in zip(members, upper, strict=True):
            if most.min() < 0:
                found = replay(self.network, image, tiny, wanted)
                if found is not None:
                    return found
        return None

    def _cut(self, nodes: list[_Node]) -> list[_Node]:
        """Replace every part by two halves, by the best of the cuts that are tried.

        Returns the parts that nothing can cut: then none was.
        """
        slope = slopes(self.network, [node.part for node in nodes], self.instance.predicted)
        choices = [
            node.part.cuts(own, _TRIED) if node.part.depth < MOST_DEPTH else []
            for node, own in zip(nodes, slope, strict=True)
        ]
        stuck = [node for node, found in zip(nodes, choices, strict=True) if not found]
        if stuck:
            return nodes
        halves = [half for found in choices for _, *both in found for half in both]
        bounds = iter(self._margins(self._boxes(halves)).min(axis=1).tolist())
        fresh = []
        for node, found in zip(nodes, choices, strict=True):
            gains = [_gain(next(bounds), next(bounds)) for _ in found]
            cut, *both = found[int(np.argmax(gains))]
            node.cut, node.halves = cut, [_Node(half) for half in both]
            fresh += node.halves
        self._bound(fresh)
        return []

    def _boxes(self, parts: Sequence[Part]) -> LatentBox:
        return encoder_bounds(self.network, [part.box for part in parts])

    def _margins(self, box: LatentBox) -> Float[NDArray[np.float64], "part rival"]:
        """Lower bounds of all margins over every box, prototypes apart."""
        head, predicted = self.network.head, self.instance.predicted
        lower, _ = margin_ends(head, activations(head, box), predicted)
        return np.delete(lower, predicted, axis=1)

    def _bound(self, nodes: Sequence[_Node]) -> None:
        """Bound the margins over new parts: proved ones are done, the others wait."""
        box = self._boxes([node.part for node in nodes])
        for node, margins, low, high in zip(
            nodes, self._margins(box), box.lower, box.upper, strict=True
        ):
            self._low = low if self._low is None else np.minimum(self._low, low)
            self._high = high if self._high is None else np.maximum(self._high, high)
            node.bound = float(margins.min())
            if not node.bound > SLACK:
                self._together(node, low, high)
            if node.bound > SLACK:
                self._done += 1
                self._share += node.part.share
            else:
                self._put([node])

    def _together(self, node: _Node, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
        """Bound all prototypes together over a part's box, seen from its middle."""
        head, middle = self.network.head, (low + high) / 2
        measurement = head.measurement(middle)
        activation = head.activation(measurement)
        here = self.instance
        seen = Instance(head, middle, measurement, activation, here.predicted, here.gram)
        if not float(seen.margins.min()) > SLACK:
            return
        state = _ORACLE.prepare(seen, Reach(*widened(low, high), "interval"))
        decision = _ORACLE.decide(state, FactSet())
        node.bound = max(node.bound, float(decision.margins.min()))
        if decision.verdict.status is Status.PROVED:
            node.evidence = encoded(state.evidence(FactSet()))

    def _parts_proved(self, root: _Node) -> Proved:
        if self._low is None or self._high is None:
            raise ValueError("no part was bounded")
        evidence: list[IntervalEvidence] = []
        nodes: list[PartNode] = []
        for node in _preorder(root):
            if node.cut is not None:
                nodes.append(_stored(node.cut))
            elif node.evidence is None:
                nodes.append(Leaf())
            else:
                nodes.append(Leaf(evidence=len(evidence)))
                evidence.append(node.evidence)
        box = LatentBox(self._low[None], self._high[None])
        return Proved(tuple(nodes), tuple(evidence), box, self._progress())


def core_of_parts(
    network: Network, observation: Observation, instance: Instance, region: Region, proved: Proved
) -> Core:
    """The certificate of a region whose parts are all proved.

    Raises:
        UsageError: a region that a certificate has no words for.
    """
    plain = replace(region, parts=1) if isinstance(region, Brightness) else region
    reach = around(proved.box, instance.latent, require_statement(plain))
    reach = replace(reach, propagated=proved.propagated)
    state = IntervalOracle().prepare(instance, reach)
    core = certificate_core(network, observation, reach, "pairs", FactSet(), state)
    update = {
        "evidence": IntervalEvidence(),
        "parts": proved.nodes,
        "part_evidence": proved.evidence,
    }
    return core.model_copy(update=update)


def _most_parts(network: Network) -> int:
    """How many parts the checker walks for this network, and this machine can hold."""
    units = network.head.locations * network.head.channels
    # every part proves every margin: a weight costs about two products
    products = max(units, 2 * network.head.classes) * len(network.head.prototypes)
    held = _HELD // math.prod(network.input_shape)
    return min(MOST_PARTS, MOST_UNITS // units, MOST_PRODUCTS // products, held)


def _gain(first: float, second: float) -> float:
    """How good a cut is whose halves have these bounds; above zero there is nothing to gain."""
    low, high = sorted((min(first, 0.0), min(second, 0.0)))
    return low + high / 4


def _preorder(root: _Node) -> Iterator[_Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.halves)


def _stored(cut: Cut) -> InputCut | LightCut:
    if isinstance(cut.quantity, int):
        return InputCut(number=cut.quantity, at=float(cut.at).hex())
    return LightCut(parameter=cut.quantity, at=str(cut.at))
