"""Margins over a region by optimised lines, and by cases of units where one case does not do.

Best first, in batches: the case with the worst bound is cut next, at the unit whose line costs it
most. Every case has slopes, multipliers and tangents of its own, which start where those of the
case above it ended. What comes out is a tree whose leaves the checker bounds again, one by one.

Reference: S. Wang et al., "Beta-CROWN: Efficient Bound Propagation with Per-neuron Split
Constraints for Neural Network Robustness Verification", NeurIPS 2021.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protoproof.certificate.partition import Part, PartNode
from protoproof.certificate.schema import IntervalEvidence
from protoproof.certification.branch_and_bound import Progress, Proved, Undecided
from protoproof.certification.leaves import Row, evidence_of, row_of, stored_cut
from protoproof.errors import BoundsError
from protoproof.network import Network
from protoproof.network.onnx.ops import lookup
from protoproof.prover.latent.instance import Instance
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.region.bounds.ascent import Ascent, Problem
from protoproof.region.bounds.attack import Counterexample, Flip, replay
from protoproof.region.bounds.cells import in_cells
from protoproof.region.bounds.dual import Choice, Dual
from protoproof.region.bounds.interval import LatentBox
from protoproof.region.bounds.linear import sharpened
from protoproof.region.bounds.locations import by_location
from protoproof.region.bounds.margin_lines import Free, MarginLines
from protoproof.region.bounds.margins import activations, margin_ends
from protoproof.region.bounds.sides import CaseBounds, Side, Sides, case_bounds
from protoproof.region.bounds.splits import UnitCut, cuts_of
from protoproof.region.sets.region import Boxed, Image, InputBox, L2Ball, Region
from protoproof.region.sets.transformations import Brightness

_BATCH = 8  # cases that are cut in one round
_FIRST, _LATER = 40, 16  # steps of the whole region, and of a case
_ENOUGH = 1e-6  # what a bound has to exceed: the checker's own differs by rounding
MOST_DEPTH = 64  # as the checker has it
# So many cases without this share of the first deficit made good tell that cutting does not help.
_PATIENCE, _WORTH = 48, 0.25
_WORK = 1 << 32  # multiply-adds of one passage of all rows
MOST_CASES = 1 << 12


@dataclass(eq=False)
class _Case:
    sides: Sides = ()
    bound: float = -np.inf
    start: dict[int, tuple[Choice, Free]] = field(default_factory=dict)  # by margin row
    rows: tuple[Row, ...] = ()
    cuts: list[UnitCut] = field(default_factory=list)
    cut: UnitCut | None = None
    halves: list[_Case] = field(default_factory=list)


class Splitting:
    """The search over one region that one box covers.

    Args:
        instance: the centre's.
        cases: the most that are made; 1 for optimised lines alone.
        deadline: of ``time.perf_counter``.
        watch: told the progress after every round.
        patient: goes on where cuts do not seem to help.
    """

    def __init__(
        self,
        network: Network,
        instance: Instance,
        cases: int,
        deadline: float,
        watch: Callable[[Progress], None] | None = None,
        *,
        patient: bool = True,
    ) -> None:
        self.network, self.instance = network, instance
        self.most, self.deadline, self.watch, self.patient = cases, deadline, watch, patient
        self.sites = torch.from_numpy(np.array(network.sites))
        self._heap: list[tuple[float, int, _Case]] = []
        self._order = itertools.count()
        self._done, self._share = 0, 0.0
        self._tried: list[tuple[Tensor, float]] = []

    def run(self, region: Region) -> Proved | Counterexample | Undecided:
        """Cut until every case is proved.

        Raises:
            BoundsError: the walk fails.
        """
        cover = (replace(region, parts=1) if isinstance(region, Brightness) else region).cover()
        if len(cover) != 1:
            return Undecided("this kind of region is not cut", self._progress())
        self._pass(cover[0])
        root = _Case()
        self._bound([root], _FIRST)
        first = root.bound
        while self._heap:
            if self.watch is not None:
                self.watch(self._progress())
            found = self._refuted(region)
            if isinstance(found, Flip):
                return Undecided(found.words(self.network.class_names), self._progress())
            if found is not None:
                return found
            reason = self._ended(first)
            if reason:
                return Undecided(reason, self._progress())
            batch = [heapq.heappop(self._heap)[2] for _ in range(min(_BATCH, len(self._heap)))]
            if any(not case.cuts or len(case.sides) >= MOST_DEPTH for case in batch):
                self._put(batch)
                return Undecided("a case cannot be cut further", self._progress())
            self._cut(batch)
        return self._proved(root)

    def _pass(self, box: InputBox) -> None:
        """Bounds over the whole region, with as many units sharpened as can be afforded.

        Raises:
            BoundsError: the walk fails, or one row costs too much.
        """
        graph = self.network.encoder_graph
        work = sum(
            lookup(node).work(graph.call(node), graph.shapes[node.output]) for node in graph.nodes
        )
        rows = self.network.head.classes - 1
        if work * rows > _WORK:
            raise BoundsError("optimising lines through this encoder is too much work")
        self.passage = sharpened(graph, box)

    def _ended(self, first: float) -> str:
        if time.perf_counter() > self.deadline:
            return "timeout"
        total = self._done + len(self._heap)
        if self.most == 1:
            return "margin: no bound that was tried proves it"
        if total + _BATCH > self.most:
            return f"more than {self.most} cases"
        worst = self._heap[0][0]
        if not self.patient and total >= _PATIENCE and worst < (1 - _WORTH) * first:
            return "cutting does not help"
        return ""

    def _progress(self) -> Progress:
        worst = self._heap[0][0] if self._heap else np.inf
        return Progress(self._share, self._done, len(self._heap), worst)

    def _put(self, cases: Sequence[_Case]) -> None:
        for case in cases:
            heapq.heappush(self._heap, (case.bound, next(self._order), case))

    def _cut(self, cases: Sequence[_Case]) -> None:
        fresh = []
        for case in cases:
            cut = case.cut = case.cuts[0]
            for above in (False, True):
                side = Side(cut.tensor, cut.number, cut.at, above)
                case.halves.append(_Case((*case.sides, side), case.bound, case.start))
            case.start, case.cuts = {}, []
            fresh += case.halves
        self._bound(fresh, _LATER)

    def _bound(self, cases: list[_Case], steps: int) -> None:
        """Bound the margins in new cases: proved ones are done, the others wait."""
        bounds = case_bounds(self.passage, [case.sides for case in cases])
        low, high = self._latents(bounds)
        ends = LatentBox(low.numpy(), high.numpy())
        margins, _ = margin_ends(
            self.network.head, activations(self.network.head, ends), self.instance.predicted
        )
        margins = np.delete(margins, self.instance.predicted, axis=1)
        where = [
            (place, row)
            for place in range(len(cases))
            if bool(bounds.possible[place])
            for row in np.flatnonzero(~(margins[place] > SLACK)).tolist()
        ]
        if where:
            self._ascend(cases, bounds, (low, high), where, steps)
        open_ = {place for place, _ in where}
        for place, case in enumerate(cases):
            if place not in open_ or case.bound > _ENOUGH:
                self._done += 1
                self._share += 0.5 ** len(case.sides)
                case.start, case.cuts = {}, []
            else:
                self._put([case])

    def _latents(self, bounds: CaseBounds) -> tuple[Tensor, Tensor]:
        ends = bounds.values[self.passage.graph.outputs[0]]
        sites = self.network.sites
        low, high = (torch.from_numpy(by_location(e, sites)) for e in (ends.lower, ends.upper))
        return low, high

    def _ascend(
        self,
        cases: list[_Case],
        bounds: CaseBounds,
        ends: tuple[Tensor, Tensor],
        where: list[tuple[int, int]],
        steps: int,
    ) -> None:
        """The rows (case, margin) that intervals leave open."""
        places = torch.tensor([place for place, _ in where])
        dual = Dual(self.passage, bounds.chosen(places), [cases[p].sides for p, _ in where])
        rivals = [row for _, row in where]
        lines = MarginLines(self.instance, rivals, ends[0][places], ends[1][places])
        shape = tuple(self.passage.graph.shapes[self.passage.graph.outputs[0]][1:])
        problem = Problem(dual, lines, shape, self.sites)
        choice, free = self._start(problem, cases, where)
        found = problem.ascend(choice, free, _ENOUGH, steps)
        found, inside = in_cells(problem, found, _ENOUGH)
        cuts, x, seen = cuts_of(problem, found, 1, inside)
        for place, case in enumerate(cases):
            own = [i for i, (p, _) in enumerate(where) if p == place]
            if not own:
                continue
            worst = min(own, key=lambda i: float(found.bound[i]))
            case.bound = float(found.bound[worst])
            if case.bound > _ENOUGH:
                case.rows = tuple(
                    row_of(problem, found, i, self.instance.rivals[where[i][1]]) for i in own
                )
                continue
            case.cuts = cuts[worst]
            case.start = {where[i][1]: _alone(found, i) for i in own}
            self._tried += [(x[i], float(seen[i])) for i in own]

    def _start(
        self, problem: Problem, cases: list[_Case], where: list[tuple[int, int]]
    ) -> tuple[Choice, Free]:
        """Where the case above ended; the usual lines where there is none."""
        choice = problem.dual.start()
        free = problem.warm(problem.lines.start(torch.from_numpy(np.array(self.instance.latent))))
        for i, (place, row) in enumerate(where):
            known = cases[place].start.get(row)
            if known is None:
                continue
            own, place_ = known
            for name, value in own.low.items():
                choice.low[name][i] = value
            for name, value in own.high.items():
                choice.high[name][i] = value
            # a batch has room for as many sides as any of its cases has
            sides = min(len(own.duals), len(cases[place].sides))
            choice.duals[i, :sides] = own.duals[:sides]
            free.tangent[i], free.point[i] = place_.tangent, place_.point
        problem.dual.allowed(choice)
        return choice, free

    def _refuted(self, region: Region) -> Counterexample | Flip | None:
        """The first of the inputs where forms were least that is predicted otherwise."""
        tried, self._tried = self._tried, []
        for x, margin in tried:
            image = _member(region, x.numpy())
            if margin < 0 and image is not None:
                exact = image.astype(np.float64)
                found = replay(self.network, image, InputBox(exact, exact), self.instance.predicted)
                if found is not None:
                    return found
        return None

    def _proved(self, root: _Case) -> Proved:
        nodes: list[PartNode] = []
        evidence: list[IntervalEvidence] = []
        for case in _preorder(root):
            if case.cut is not None:
                nodes.append(stored_cut(case.cut))
            elif case.rows:
                nodes.append(Part(evidence=len(evidence), forms=tuple(r.form for r in case.rows)))
                evidence.append(evidence_of(case.rows))
            else:
                nodes.append(Part())
        ends = self.passage.values[self.passage.graph.outputs[0]]
        sites = self.network.sites
        box = LatentBox(by_location(ends.lower, sites), by_location(ends.upper, sites))
        return Proved(tuple(nodes), tuple(evidence), box, self._progress(), self.passage.units)


def _alone(found: Ascent, row: int) -> tuple[Choice, Free]:
    free = Free(found.free.tangent[row], found.free.point[row])
    return found.choice.map(lambda value: value[row]), free


def _member(region: Region, x: NDArray[np.float64]) -> Image | None:
    if isinstance(region, Boxed):
        return np.asarray(np.clip(x.astype(np.float32), *region.float32_ends()))
    return region.nearest(x) if isinstance(region, L2Ball) else None


def _preorder(root: _Case) -> Iterator[_Case]:
    waiting = [root]
    while waiting:
        case = waiting.pop()
        yield case
        waiting += reversed(case.halves)
