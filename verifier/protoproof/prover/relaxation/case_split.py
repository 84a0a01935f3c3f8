"""The cases of one instance: the first, and how a split narrows its children."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from protoproof.prover.latent.ranges import box_range
from protoproof.prover.relaxation.case import Cut, Node, Row
from protoproof.prover.relaxation.case_dual import CaseDuals, Point

# A row of a case is kept where it gains this share of the interval that it narrows.
_WORTH = 1e-3
# Given ends that are closer than this share count as one number.
_EQUAL = 1e-12


class Cases(CaseDuals):
    """What holds in every case, and what a split adds."""

    @cached_property
    def root(self) -> Node:
        """The case that holds every latent; it knows what the state knows."""
        state, instance = self.state, self.instance
        locations, count = instance.measurement.shape
        near, far = state.nearest()
        if locations > 1:
            # of what facts say about the prototype itself: more steers splits no better
            near = np.maximum(state.seen()[0], state.implied.stated)
        given_low = np.maximum(state.implied.stated, 0.0) + np.zeros((locations, 1))
        given_high = np.full((locations, count), np.inf)
        own = [fact.prototype for fact in self.facts.activations]
        if locations == 1:
            given_high[0, own] = [fact.upper for fact in self.facts.activations]
        for fact in self.facts.pairs:
            location = fact.location, fact.prototype
            given_low[location] = max(given_low[location], fact.lower)
            given_high[location] = min(given_high[location], fact.upper)
        shape = instance.latent.shape
        box = (np.full(shape, -np.inf), np.full(shape, np.inf))
        if self.bounded is not None:
            box = self.bounded.lower.copy(), self.bounded.upper.copy()
        equal = [location.facts for location in state.known]
        if locations == 1:
            equal = [(*equal[0], *(j for j in own if j not in equal[0]))]
        low, high = np.maximum(state.low, given_low), np.minimum(state.high, given_high)
        among = np.ones((locations, count), dtype=bool)
        extra = ((),) * locations
        node = Node(
            (), given_low, given_high, low, high, near.copy(), far.copy(), among, *box,
            tuple(equal), extra,
        )  # fmt: skip
        if locations == 1 and own:
            self.tighten(node, 0)
        self.settle(node)
        return node

    def child(self, node: Node, cut: Cut, number: int) -> Node:
        """One case of a split, with the bounds that follow."""
        new = node.copy()
        new.path = (*node.path, (cut, number))
        j, at = cut.index, cut.location
        touched = {at} if cut.kind in ("distance", "channel") else set()
        if cut.kind == "distance":
            for array in (new.given_low, new.low) if number else (new.given_high, new.high):
                array[at, j] = (max if number else min)(array[at, j], cut.at)
            self._attend(new, at, j)
        elif cut.kind == "nearest":
            if number:
                new.near[j] = max(new.near[j], cut.at)
                new.given_low[:, j] = np.maximum(new.given_low[:, j], cut.at)
            else:
                new.far[j] = min(new.far[j], cut.at)
        elif cut.kind == "place":
            chosen = np.zeros(len(new.among), dtype=bool)
            if number < len(cut.locations):
                chosen[cut.locations[number]] = True
            else:
                chosen[:] = True
                chosen[list(cut.locations)] = False
            new.among[:, j] &= chosen
        else:
            self._halve(new, cut, number)
        touched |= self._placed(new, j) if cut.kind in ("nearest", "place") else set()
        self.settle(new)
        for location in sorted(touched):
            if not new.empty and self.lifted is None:  # else multipliers see all that is given
                self.tighten(new, location)
        self.settle(new)
        return new

    def _placed(self, node: Node, j: int) -> set[int]:
        """Where m_j is attained at one location, its bounds are given there."""
        locations = np.flatnonzero(node.among[:, j])
        if len(locations) != 1:
            return set()
        location = int(locations[0])
        low, high = node.near[j], node.far[j]
        node.given_low[location, j] = max(node.given_low[location, j], low)
        node.given_high[location, j] = min(node.given_high[location, j], high)
        self._attend(node, location, j)
        return {location}

    def _attend(self, node: Node, location: int, j: int) -> None:
        """Let the multipliers of a location look at the given bounds of a prototype."""
        low, high = node.given_low[location, j], node.given_high[location, j]
        if j in node.equal[location]:
            return
        extra = tuple(i for i in node.extra[location] if i != j)
        if high - low <= _EQUAL * (1.0 + low):
            own = (*node.equal[location], j)
            node.equal = (*node.equal[:location], own, *node.equal[location + 1 :])
        else:
            extra = (*extra, j)
        node.extra = (*node.extra[:location], extra, *node.extra[location + 1 :])

    def attend_to(self, node: Node, location: int, most: int, point: Point) -> bool:
        """Add the given bounds that a point of a location violates most; whether there were any."""
        offsets = self.offsets[location]
        q = self.instance.measurement[location] + point @ point - 2.0 * offsets @ point
        excess = np.maximum(node.given_low[location] - q, q - node.given_high[location])
        excess[list(self.terms(node, location))] = -np.inf
        worst = np.argsort(-excess, kind="stable")[:most]
        chosen = [int(j) for j in worst if excess[j] > 1e-7 * (1.0 + q[j])]
        for j in chosen:
            self._attend(node, location, j)
        return bool(chosen)

    def _halve(self, node: Node, cut: Cut, number: int) -> None:
        location, channel = cut.location, cut.index
        if location not in node.cut:
            lower, upper = self.box(node, location)
            node.lower[location], node.upper[location] = lower, upper
            node.cut |= {location}
        edge = cut.at - self.instance.latent[location, channel]
        if number:
            node.lower[location, channel] = max(node.lower[location, channel], edge)
        else:
            node.upper[location, channel] = min(node.upper[location, channel], edge)
        latent = self.instance.latent[location]
        with np.errstate(invalid="ignore"):
            low, high = box_range(
                self.instance.head.prototypes,
                node.lower[location] + latent,
                node.upper[location] + latent,
            )
        node.low[location] = np.maximum(node.low[location], low)
        node.high[location] = np.minimum(node.high[location], high)

    def settle(self, node: Node) -> None:
        """Carry bounds of q_lj over to m_j and back."""
        low = np.where(node.among, node.low, np.inf).min(axis=0)
        node.near = np.maximum(node.near, low)
        node.far = np.minimum(node.far, node.high.min(axis=0))
        node.low = np.maximum(node.low, node.near)
        alone = node.among & (node.among.sum(axis=0) == 1)
        node.high = np.where(alone, np.minimum(node.high, node.far), node.high)

    def divides(self, node: Node, cut: Cut) -> bool:
        """Whether a split leaves two cases that are both smaller than this one."""
        location, j = cut.location, cut.index
        if cut.kind == "place":
            return int(node.among[:, j].sum()) > 1
        if cut.kind == "distance":
            low, high = node.low[location, j], node.high[location, j]
        elif cut.kind == "nearest":
            low, high = node.near[j], node.far[j]
        else:
            lower, upper = self.box(node, location)
            low, high = lower[j], upper[j]
            low, high = (
                low + self.instance.latent[location, j],
                high + self.instance.latent[location, j],
            )
            if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
                return False
        edge = 1e-4 * min(1.0, float(high - low))
        return bool(low + edge < cut.at < high - edge)

    def tighten(self, node: Node, location: int) -> None:
        """Bounds of the q_lj that weigh something, from the given ones of their location.

        Both ends where the prototype opposes some class in question, the upper one elsewhere.
        """
        weights = self.instance.margin_weights[self.rows]
        open_ = node.high[location] > node.low[location]
        below = np.flatnonzero((weights < 0).any(axis=0) & open_)
        above = np.flatnonzero((weights != 0).any(axis=0) & open_)
        terms, domain = self.terms(node, location), self.boxed(node, location)
        if not len(above) or not (terms or domain):
            return
        sign = np.repeat([1.0, -1.0], [len(below), len(above)])
        both = np.concatenate([below, above])
        parts = np.zeros((len(both), weights.shape[1]))
        parts[np.arange(len(both)), both] = sign
        x, value, _ = self.solve(node, [location], parts, alone=True, steps=8)
        bound = sign * self.instance.measurement[location, both] + value
        for row, (j, s) in enumerate(zip(both.tolist(), sign.astype(int).tolist(), strict=True)):
            if not np.isfinite(bound[row]):
                continue
            old = float(node.low[location, j] if s > 0 else -node.high[location, j])
            width = float(node.high[location, j] - node.low[location, j])
            if bound[row] > old + _WORTH * min(width, 1.0 + abs(float(bound[row]))):
                array = node.low if s > 0 else node.high
                array[location, j] = s * bound[row]
                node.rows[location, j, s] = Row(terms, x[row], domain)
