"""One case of a proof by cases: what its path says, and the bounds that follow.

Two kinds of bounds are kept apart. *Given* ones come from facts, ceilings and the path: multipliers
may charge them. The others follow from the given ones, by intervals or by rows of multipliers; they
serve chords and interval margins. (Charging what follows from the same premises gains nothing.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from verifier.latent.domain import box_range
from verifier.latent.duality import Dual, Sites
from verifier.latent.facts import FactSet
from verifier.oracle.exact import ExactState
from verifier.oracle.interface import Instance

Vector = Float[NDArray[np.float64], " prototype"]
Matrix = Float[NDArray[np.float64], "location prototype"]
Point = Float[NDArray[np.float64], " channel"]

# A row of a case is kept where it gains this share of the interval that it narrows.
_WORTH = 1e-3
# Half-width of the box in which multipliers are sought where nothing bounds a location.
_WIDE = 8.0


@dataclass(frozen=True)
class Cut:
    """A split: by a distance, by m_j, by a channel, or by the place where m_j is attained.

    ``index`` is a prototype, or a channel; ``locations`` belong to ``place`` alone.
    """

    kind: Literal["distance", "nearest", "channel", "place"]
    index: int
    location: int = -1
    at: float = 0.0
    locations: tuple[int, ...] = ()

    def children(self, locations: int) -> int:
        """How many cases there are."""
        if self.kind != "place":
            return 2
        return len(self.locations) + (len(self.locations) < locations)


@dataclass(frozen=True)
class Row:
    """Multipliers of ``terms``, then of the domain's constraints, that bound sign * q_lj."""

    terms: tuple[int, ...]
    x: Float[NDArray[np.float64], " term"]
    domain: bool


@dataclass
class Node:
    """A case. All [L, P] but ``near`` and ``far`` [P], the bounds of m_j, and boxes of e = z - v.

    ``given_low``, ``given_high`` may be charged; ``low``, ``high`` are all that is known.
    ``among`` marks the locations that may attain m_j. ``terms[l]`` are the prototypes whose given
    bounds the multipliers of location l look at. ``cut`` are the locations whose box was split.
    """

    path: tuple[tuple[Cut, int], ...]
    given_low: Matrix
    given_high: Matrix
    low: Matrix
    high: Matrix
    near: Vector
    far: Vector
    among: NDArray[np.bool_]
    lower: Float[NDArray[np.float64], "location channel"]
    upper: Float[NDArray[np.float64], "location channel"]
    terms: tuple[tuple[int, ...], ...]
    cut: frozenset[int] = frozenset()
    rows: dict[tuple[int, int, int], Row] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether some bounds clearly exclude each other.

        By more than rounding: the checker has to see it too.
        """
        width = 1e-9 * (1.0 + np.abs(self.near))
        crossed = (self.low > self.high + width).any() or (self.near > self.far + width).any()
        boxes = (self.lower > self.upper).any()
        return bool(crossed or boxes or not self.among.any(axis=0).all())

    def copy(self) -> Node:
        """The same case, to be narrowed."""
        arrays = ("given_low", "given_high", "low", "high", "near", "far", "among")
        copies = {name: getattr(self, name).copy() for name in (*arrays, "lower", "upper")}
        return replace(self, rows=dict(self.rows), **copies)


class Cases:
    """The cases of one instance under one set of facts."""

    def __init__(self, state: ExactState, facts: FactSet) -> None:
        self.state, self.facts = state, facts
        self.instance: Instance = state.instance
        self.bounded = state.bounded
        self.offsets = self.instance.head.prototypes[None] - self.instance.latent[:, None]

    def root(self) -> Node:
        """The case that holds every latent; it knows what the state knows."""
        state, instance = self.state, self.instance
        locations, count = instance.measurement.shape
        near, far = state.nearest()
        given_low = np.maximum(state.implied.low, 0.0) + np.zeros((locations, 1))
        given_high = np.full((locations, count), np.inf)
        own = [fact.prototype for fact in self.facts.activations]
        if locations == 1:
            given_high[0, own] = [fact.upper for fact in self.facts.activations]
        for fact in self.facts.pairs:
            place = fact.location, fact.prototype
            given_low[place] = max(given_low[place], fact.lower)
            given_high[place] = min(given_high[place], fact.upper)
        shape = instance.latent.shape
        box = (np.full(shape, -np.inf), np.full(shape, np.inf))
        if self.bounded is not None:
            box = self.bounded.lower.copy(), self.bounded.upper.copy()
        spans = [() if place.hull is None else place.hull.spanning for place in state.places]
        if locations == 1:
            spans = [(*spans[0], *(j for j in own if j not in spans[0]))]
        low, high = np.maximum(state.low, given_low), np.minimum(state.high, given_high)
        among = np.ones((locations, count), dtype=bool)
        node = Node((), given_low, given_high, low, high, near.copy(), far.copy(), among, *box,
                    tuple(spans))  # fmt: skip
        if locations == 1:
            for location in range(locations):
                self.tighten(node, location)
        self.settle(node)
        return node

    def child(self, node: Node, cut: Cut, number: int) -> Node:
        """One case of a split, with the bounds that follow."""
        new = node.copy()
        new.path = (*node.path, (cut, number))
        j, place = cut.index, cut.location
        touched = {place} if cut.kind in ("distance", "channel") else set()
        if cut.kind == "distance":
            for array in (new.given_low, new.low) if number else (new.given_high, new.high):
                array[place, j] = (max if number else min)(array[place, j], cut.at)
            self._attend(new, place, j)
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
            if not new.empty:
                self.tighten(new, location)
        self.settle(new)
        return new

    def _placed(self, node: Node, j: int) -> set[int]:
        """Where m_j is attained at one location, its bounds are given there."""
        places = np.flatnonzero(node.among[:, j])
        if len(places) != 1:
            return set()
        place = int(places[0])
        low, high = node.near[j], node.far[j]
        node.given_low[place, j] = max(node.given_low[place, j], low)
        node.given_high[place, j] = min(node.given_high[place, j], high)
        self._attend(node, place, j)
        return {place}

    def _attend(self, node: Node, location: int, j: int) -> None:
        """Let the multipliers of a location look at the given bounds of a prototype."""
        known = node.terms[location]
        if j not in known:
            terms = (*node.terms[:location], (*known, j), *node.terms[location + 1 :])
            node.terms = terms

    def attend_to(self, node: Node, location: int, most: int, point: Point) -> bool:
        """Add the given bounds that a point of a location violates most; whether there were any."""
        offsets = self.offsets[location]
        q = self.instance.measurement[location] + point @ point - 2.0 * offsets @ point
        excess = np.maximum(node.given_low[location] - q, q - node.given_high[location])
        excess[list(node.terms[location])] = -np.inf
        worst = np.argsort(-excess, kind="stable")[:most]
        chosen = [int(j) for j in worst if excess[j] > 1e-7 * (1.0 + q[j])]
        for j in chosen:
            self._attend(node, location, j)
        return bool(chosen)

    def _halve(self, node: Node, cut: Cut, number: int) -> None:
        place, channel = cut.location, cut.index
        if place not in node.cut:
            lower, upper = self.box(node, place)
            node.lower[place], node.upper[place] = lower, upper
            node.cut |= {place}
        edge = cut.at - self.instance.latent[place, channel]
        if number:
            node.lower[place, channel] = max(node.lower[place, channel], edge)
        else:
            node.upper[place, channel] = min(node.upper[place, channel], edge)
        latent = self.instance.latent[place]
        with np.errstate(invalid="ignore"):
            low, high = box_range(
                self.instance.head.prototypes,
                node.lower[place] + latent,
                node.upper[place] + latent,
            )
        node.low[place] = np.maximum(node.low[place], low)
        node.high[place] = np.minimum(node.high[place], high)

    def box(self, node: Node, location: int) -> tuple[Point, Point]:
        """The box of e at a location: the domain's, and the ones around prototypes."""
        half = np.sqrt(np.maximum(node.given_high[location], 0.0))[:, None]
        known = np.isfinite(half[:, 0])
        centre = self.offsets[location][known]
        lower, upper = node.lower[location], node.upper[location]
        if known.any():
            lower = np.maximum(lower, (centre - half[known]).max(axis=0))
            upper = np.minimum(upper, (centre + half[known]).min(axis=0))
        return lower, upper

    def settle(self, node: Node) -> None:
        """Carry bounds of q_lj over to m_j and back."""
        low = np.where(node.among, node.low, np.inf).min(axis=0)
        node.near = np.maximum(node.near, low)
        node.far = np.minimum(node.far, node.high.min(axis=0))
        node.low = np.maximum(node.low, node.near)
        alone = node.among & (node.among.sum(axis=0) == 1)
        node.high = np.where(alone, np.minimum(node.high, node.far), node.high)

    def boxed(self, node: Node, location: int) -> bool:
        """Whether multipliers at a location use its box."""
        return self.bounded is not None or location in node.cut

    def sites(
        self, node: Node, places: list[int], *, alone: bool
    ) -> tuple[Sites, list[tuple[int, ...]], int]:
        """Boxes and constraints of some locations, their terms, and the width of the padding.

        Terms come first, the domain's own constraints last. With ``alone``, linear bounds over all
        locations take part, as each location sees them.
        """
        extra = None if self.bounded is None else self.bounded.extra
        if self.bounded is not None and self.bounded.coupling is not None and not alone:
            extra = None
        own = 0 if extra is None else extra.square.shape[1]
        spans = [node.terms[place] for place in places]
        most = max([len(span) for span in spans], default=0)
        shape = len(places), most + own
        square, centre = np.zeros(shape), np.zeros((*shape, self.offsets.shape[2]))
        low, high = np.full(shape, -np.inf), np.full(shape, np.inf)
        for site, (place, span) in enumerate(zip(places, spans, strict=True)):
            count, named = len(span), list(span)
            square[site, :count] = 1.0
            centre[site, :count] = self.offsets[place, named]
            seen = self.instance.measurement[place, named]
            low[site, :count] = node.given_low[place, named] - seen
            high[site, :count] = node.given_high[place, named] - seen
        if extra is not None:
            for mine, part in zip((square, centre, low, high), extra, strict=True):
                mine[:, most:] = part[places]
        ends = [self._ends(node, place) for place in places]
        lower, upper = np.stack([e[0] for e in ends]), np.stack([e[1] for e in ends])
        return Sites(lower, upper, square, centre, low, high), spans, most

    def _ends(self, node: Node, location: int) -> tuple[Point, Point]:
        """The box of a location; in free space one that holds everything of interest."""
        if self.boxed(node, location):
            return node.lower[location], node.upper[location]
        lower, upper = self.box(node, location)
        reach = _WIDE * (1.0 + math.sqrt(float(self.instance.measurement[location].max())))
        return np.maximum(lower - reach, -9 * reach), np.minimum(upper + reach, 9 * reach)

    def solve(
        self,
        node: Node,
        places: list[int],
        site: NDArray[np.intp],
        leading: Vector,
        slope: NDArray[np.float64],
        *,
        alone: bool = False,
        start: NDArray[np.float64] | None = None,
        steps: int = 16,
    ) -> tuple[NDArray[np.float64], Vector, NDArray[np.float64]]:
        """The best multipliers found for some forms, their bounds, and points near the minimisers.

        In free space a bound holds for all of it, whatever box the search used.
        """
        sites, _, _ = self.sites(node, places, alone=alone)
        dual = Dual(sites, site, leading, slope)
        x = np.zeros((len(site), sites.square.shape[1])) if start is None else start
        x, value, point = dual.ascend(x, steps)
        free = np.array([not self.boxed(node, place) for place in places])[site]
        if free.any():
            value = np.where(free, _free_value(dual, x), value)
        return x, value, point

    def tighten(self, node: Node, location: int) -> None:
        """Bounds of all q_lj that weigh something, from the given ones of their location."""
        used = np.flatnonzero((self.instance.margin_weights != 0).any(axis=0))
        wide = used[node.high[location, used] > node.low[location, used]]
        if not len(wide) or not (node.terms[location] or self.boxed(node, location)):
            return
        sign = np.repeat([1.0, -1.0], len(wide))
        both = np.concatenate([wide, wide])
        slope = sign[:, None] * self.offsets[location, both]
        site = np.zeros(len(both), dtype=np.intp)
        start = self._plain(node, location, both, sign)
        x, value, _ = self.solve(
            node, [location], site, sign, slope, alone=True, start=start, steps=12
        )
        bound = sign * self.instance.measurement[location, both] + value
        terms, domain = node.terms[location], self.boxed(node, location)
        for row, (j, s) in enumerate(zip(both.tolist(), sign.astype(int).tolist(), strict=True)):
            old = node.low[location, j] if s > 0 else -node.high[location, j]
            width = node.high[location, j] - node.low[location, j]
            if bound[row] > old + _WORTH * min(width, 1.0 + abs(bound[row])):
                array = node.low if s > 0 else node.high
                array[location, j] = s * bound[row]
                node.rows[location, j, s] = Row(terms, x[row], domain)

    def _plain(
        self, node: Node, location: int, prototypes: NDArray[np.intp], sign: Vector
    ) -> NDArray[np.float64]:
        """Multipliers to start from: those of the triangle inequality with the nearest term."""
        sites, spans, _ = self.sites(node, [location], alone=True)
        x = np.zeros((len(prototypes), sites.square.shape[1]))
        span = list(spans[0])
        if not span:
            return x
        gram = self.instance.gram
        apart = np.sqrt(np.column_stack([gram[i][prototypes] for i in span]))
        seen = np.sqrt(np.maximum(self.instance.measurement[location, span], 1e-12))
        curve = apart / seen
        gain = np.where(sign[:, None] > 0, np.abs(apart - seen), -(apart + seen))
        best = np.argmax(gain, axis=1)
        rows = np.arange(len(prototypes))
        x[rows, best] = np.maximum(curve[rows, best], 1e-6) - sign
        high = np.isfinite(sites.high[0, best])
        x[rows, best] = np.where(high | (x[rows, best] <= 0), x[rows, best], 0.0)
        return x


def _free_value(dual: Dual, x: NDArray[np.float64]) -> Vector:
    """What multipliers prove over all of space."""
    leading, slope = dual.totals(x)
    size = np.abs(x).sum(axis=1) + np.abs(dual.leading)
    bent = leading > 2.0**-30 * np.maximum(size, 1e-9)
    value = -(slope**2).sum(axis=1) / np.where(bent, leading, 1.0)
    return np.where(bent, value, -np.inf) - dual.charges(x)
