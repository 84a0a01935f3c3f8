"""Branch and bound for one margin: which cases there are, and whether all are proved.

    open = { all latents that meet the facts }
    while open:
        take the case with the least bound of the margin
        split it where its relaxation loses most; bound the children; keep those not proved
    proved where nothing is left open

Every case is proved by a form of its own (``relaxation.case_forms``), which the certificate stores;
nothing else counts. Which split comes next is read off the relaxation itself. Where a form is
least, the true margin is computed too: a latent that meets the facts and loses ends the search.

Reference: A. H. Land, A. G. Doig, "An Automatic Method of Solving Discrete Programming Problems",
Econometrica 28, 1960.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.time_limit import time_is_up
from protoproof.prover.relaxation.case import Cut, Node
from protoproof.prover.relaxation.case_forms import Branch, CaseForm, CaseRelaxation, Leaf, Tree
from protoproof.prover.relaxation.case_split import Cases

DEPTH = 40  # of a tree of cases
# After so many cases, the least bound has to be this share of the first one, unless all is small.
_PATIENCE, _SHARE = 8, 0.85
# A point that loses by less than this, or leaves the facts by more, is no reason to give up.
_CLEAR = 1e-7
# Steps of descent at the first case, and at one in so many others.
_DESCENT, _SELDOM = 4, 8


@dataclass
class _Slot:
    """A case under construction: its form while it is open, a split or a proof afterwards."""

    node: Node
    form: CaseForm | None
    cut: Cut | None = None
    children: tuple[_Slot, ...] = ()


class CaseSearch:
    """Branch and bound for one margin; ``bound`` is the least over all cases when it ends."""

    def __init__(
        self,
        cases: Cases,
        row: int,
        slack: float,
        most: int,
        *,
        deep: bool,
        hints: Sequence[Cut] = (),
    ) -> None:
        self.cases, self.row, self.slack, self.most, self.deep = cases, row, slack, most, deep
        self.hints = hints
        self.bound = -math.inf
        self.count = 0
        self.refuted: Float[NDArray[np.float64], "location channel"] | None = None

    def run(self) -> Tree | None:
        """A tree whose leaves are all proved, or None."""
        root = self._slot(self.cases.root)
        heap = [(self._rank(root), 0, root)]
        first = heap[0][0]
        while heap and heap[0][0] <= self.slack:
            self.bound, _, slot = heapq.heappop(heap)
            slow = not self.deep and self.cases.lifted is None
            hopeless = slow and self.count >= _PATIENCE and self.bound < _SHARE * first
            spent = self.count >= self.most or len(slot.node.path) >= DEPTH
            if hopeless or spent or time_is_up() or self._loses(slot):
                return None
            cut = self._choose(slot)
            if cut is None:
                return None
            slot.cut = cut
            slot.children = tuple(
                self._slot(self.cases.child(slot.node, cut, number))
                for number in range(cut.children(len(slot.node.among)))
            )
            for child in slot.children:
                heapq.heappush(heap, (self._rank(child), self.count + len(heap), child))
        self.bound = heap[0][0] if heap else math.inf
        return _tree(root)

    def _rank(self, slot: _Slot) -> float:
        return math.inf if slot.form is None else slot.form.bound

    def _slot(self, node: Node) -> _Slot:
        if node.empty:
            return _Slot(node, None)
        self.count += 1
        relaxation = CaseRelaxation(self.cases, node, self.row)
        return _Slot(node, relaxation.solve(self.slack))

    def _choose(self, slot: _Slot) -> Cut | None:
        if slot.form is None:
            return None
        for hint in self.hints:
            if self.cases.divides(slot.node, hint):
                return hint
        relaxation = CaseRelaxation(self.cases, slot.node, self.row)
        found = relaxation.cuts(slot.form, self.deep)
        return found[0][1] if found else None

    def _loses(self, slot: _Slot) -> bool:
        """Whether a latent near the form's points meets the facts and loses to the rival."""
        if slot.form is None:
            return False
        if self._loses_at(slot.form.points):
            return True
        if self.cases.lifted is None or (slot.node.path and self.count % _SELDOM):
            return False
        relaxation = CaseRelaxation(self.cases, slot.node, self.row)
        return any(map(self._loses_at, relaxation.descent(slot.form.points, _DESCENT)))

    def _loses_at(self, points: NDArray[np.float64]) -> bool:
        point = projected(self.cases, points)
        if not _meets(self.cases, point):
            return False
        instance = self.cases.instance
        q = instance.head.measurement(point)
        activation = instance.similarity(np.maximum(q.min(axis=0), 0.0))
        margin = instance.margin_weights[self.row] @ activation + instance.margin_offset[self.row]
        if margin < -_CLEAR:
            self.refuted = point
            return True
        return False


def projected(
    cases: Cases, points: Float[NDArray[np.float64], "location channel"]
) -> Float[NDArray[np.float64], "location channel"]:
    """The latent at the points, put on the sphere of the pair facts of every location."""
    instance = cases.instance
    latent = instance.latent + points
    prototypes = instance.head.prototypes
    for location, known in enumerate(cases.state.known):
        hull = known.hull
        if hull is None or not points[location].any():
            continue
        base = prototypes[hull.base]
        spanned = prototypes[list(hull.spanning[1:])] - base
        own, there = instance.latent[location] - base, latent[location] - base
        if len(spanned):
            basis = np.linalg.qr(spanned.T)[0]
            foot = basis @ (basis.T @ own)
            across = there - basis @ (basis.T @ there)
        else:
            foot, across = np.zeros_like(own), there
        length, radius = float(np.linalg.norm(across)), float(np.linalg.norm(own - foot))
        if length > 0:
            latent[location] = base + foot + across * (radius / length)
    return np.asarray(latent)


def _meets(cases: Cases, latent: NDArray[np.float64]) -> bool:
    """Whether a latent is in the domain and meets the facts, up to rounding."""
    facts, head = cases.facts, cases.instance.head
    if cases.bounded is not None:
        e = latent - cases.instance.latent
        if (e < cases.bounded.lower - _CLEAR).any() or (e > cases.bounded.upper + _CLEAR).any():
            return False
        if cases.bounded.extra is not None:
            return False  # norms and sums are left to the witness search
    q = head.measurement(latent)
    best = q.min(axis=0)

    def within(value: float, low: float, high: float) -> bool:
        return low - _CLEAR * (1 + abs(low)) <= value <= high + _CLEAR * (1 + abs(high))

    return (
        all(within(float(q[f.location, f.prototype]), f.lower, f.upper) for f in facts.pairs)
        and all(within(float(best[f.prototype]), f.lower, f.upper) for f in facts.activations)
        and all(
            within(float(value), ceiling.bound, math.inf)
            for ceiling in facts.ceilings
            for j, value in enumerate(best)
            if j not in ceiling.exempt
        )
    )


def _tree(slot: _Slot) -> Tree:
    """The finished tree; at most ``DEPTH`` deep."""
    if slot.cut is None:
        return Leaf(slot.node, slot.form)
    return Branch(slot.cut, tuple(_tree(child) for child in slot.children))
