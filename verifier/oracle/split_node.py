"""One case of a proof by cases: what its path says, and the bounds that follow.

Two kinds of bounds are kept apart. *Given* ones come from facts, ceilings and the path: multipliers
may charge them. The others follow from the given ones, by intervals or by rows of multipliers; they
serve chords and interval margins. (Charging what follows from the same premises gains nothing.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from verifier.latent.domain import box_range
from verifier.latent.duality import Dual, Sites
from verifier.latent.facts import FactSet
from verifier.latent.geometry import Hull
from verifier.oracle.exact import ExactState
from verifier.oracle.interface import Instance

Vector = Float[NDArray[np.float64], " prototype"]
Matrix = Float[NDArray[np.float64], "location prototype"]
Affine = tuple[Float[NDArray[np.float64], "prototype fact"], Vector]
Coefficients = Float[NDArray[np.float64], "row prototype"]
Point = Float[NDArray[np.float64], " channel"]

# A row of a case is kept where it gains this share of the interval that it narrows.
_WORTH = 1e-3
# Given ends that are closer than this share count as one number.
_EQUAL = 1e-12
# Curvatures of multipliers stay above this; rounding of float64 enclosures. See ``lagrangian``.
_FLAT, _ULP = 2.0**-30, 2.0**-52
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
    ``among`` marks the locations that may attain m_j. ``equal[l]`` are the prototypes whose
    distance at location l is one given number, ``extra[l]`` others whose given bounds its
    multipliers look at. ``cut`` are the locations whose box was split.
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
    equal: tuple[tuple[int, ...], ...]
    extra: tuple[tuple[int, ...], ...]
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
    """The cases of one instance under one set of facts, for the margins over ``rows``."""

    def __init__(self, state: ExactState, facts: FactSet, rows: Sequence[int]) -> None:
        self.state, self.facts, self.rows = state, facts, list(rows)
        self.instance: Instance = state.instance
        self.bounded = state.bounded
        self._hulls: dict[tuple[int, tuple[int, ...], bytes], tuple[Hull, Affine]] = {}
        self.offsets = self.instance.head.prototypes[None] - self.instance.latent[:, None]

    @cached_property
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
        equal = [place.facts for place in state.places]
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

    def hull(self, node: Node, location: int) -> tuple[Hull, Affine] | None:
        """The hull of the prototypes whose distance is given at a location, and its coordinates."""
        facts = node.equal[location]
        if not facts:
            return None
        given = node.given_low[location, list(facts)]
        key = location, facts, given.tobytes()
        if key not in self._hulls:
            # where a prototype is placed, its distance may differ from the instance's
            seen = self.instance.measurement[location].copy()
            seen[list(facts)] = given
            hull = Hull.of(self.instance.gram, seen, facts)
            self._hulls[key] = hull, hull.affine()
        return self._hulls[key]

    def terms(self, node: Node, location: int) -> tuple[int, ...]:
        """The prototypes that the multipliers of a location belong to, in order."""
        hull = self.hull(node, location)
        return (*(() if hull is None else hull[0].spanning), *node.extra[location])

    def start(self, node: Node, location: int, coefficients: Matrix) -> NDArray[np.float64]:
        """The best multipliers [row, term] of the given distances alone, in free space."""
        known = self.hull(node, location)
        x = np.zeros((len(coefficients), len(self.terms(node, location))))
        if known is None:
            return x
        hull, (of_prototype, of_latent) = known
        spanning = list(hull.spanning)
        spanned = coefficients @ of_prototype
        prototypes = self.instance.head.prototypes
        across = coefficients @ prototypes - spanned @ prototypes[spanning]
        length = np.sqrt((across**2).sum(axis=1))
        # facts are float64 enclosures: what they leave open acts as a little more radius
        seen = node.given_high[location, spanning]
        radius = math.sqrt(hull.radius + _ULP * float(np.abs(of_latent) @ seen))
        least = _FLAT * np.maximum(1.0, np.abs(coefficients).sum(axis=1))
        leading = np.maximum(length / max(radius, _FLAT), least)
        x[:, : len(spanning)] = leading[:, None] * of_latent - spanned
        return x

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

    def divides(self, node: Node, cut: Cut) -> bool:
        """Whether a split leaves two cases that are both smaller than this one."""
        place, j = cut.location, cut.index
        if cut.kind == "place":
            return int(node.among[:, j].sum()) > 1
        if cut.kind == "distance":
            low, high = node.low[place, j], node.high[place, j]
        elif cut.kind == "nearest":
            low, high = node.near[j], node.far[j]
        else:
            lower, upper = self.box(node, place)
            low, high = lower[j], upper[j]
            low, high = low + self.instance.latent[place, j], high + self.instance.latent[place, j]
            if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
                return False
        edge = 1e-4 * min(1.0, float(high - low))
        return bool(low + edge < cut.at < high - edge)

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
        spans = [self.terms(node, place) for place in places]
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
        parts: Coefficients,
        *,
        alone: bool = False,
        start: NDArray[np.float64] | None = None,
        steps: int = 16,
    ) -> tuple[NDArray[np.float64], Vector, NDArray[np.float64]]:
        """The best multipliers found for some forms, their bounds, and points near the minimisers.

        In free space a bound holds for all of it, whatever box the search used; where only given
        distances play a part there, the best multipliers are known.

        Args:
            places: the location of every form, or one for all of them.
            parts: [row, P] the coefficients of the forms.
            start: multipliers to go on from.

        Returns:
            Multipliers [row, term] padded as in :meth:`sites`, bounds relative to v, points of e.
        """
        sites, spans, _ = self.sites(node, places, alone=alone)
        site = np.zeros(len(parts), dtype=np.intp) if len(places) == 1 else np.arange(len(parts))
        at = np.array(places)[site]
        slope = np.matmul(parts[:, None], self.offsets[at])[:, 0]
        if len(places) == 1:
            slope = parts @ self.offsets[places[0]]
        dual = Dual(sites, site, parts.sum(axis=1), slope)
        x = np.zeros((len(parts), sites.square.shape[1])) if start is None else start
        if start is None:
            for index, place in enumerate(places):
                rows = site == index
                x[rows, : len(spans[index])] = self.start(node, place, parts[rows])
        free = np.array([not self.boxed(node, place) for place in places])[site]
        idle = np.array([not node.extra[place] for place in places])[site] & free
        value = np.full(len(x), -np.inf)
        point = np.zeros_like(slope)
        if idle.any():
            part = dual.part(np.flatnonzero(idle))
            value[idle] = _free_value(part, x[idle])
            leading, pull = part.totals(x[idle])
            point[idle] = pull / np.where(leading > 0, leading, 1.0)[:, None]
        if not idle.all():
            busy = np.flatnonzero(~idle)
            part = dual.part(busy)
            # far outside of all that is possible, a step may overflow; its result is not used
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                found, bound, where = part.ascend(x[busy], steps)
            bound = np.where(free[busy], _free_value(part, found), bound)
            sound = np.isfinite(found).all(axis=1) & ~np.isnan(bound)
            x[busy] = np.where(sound[:, None], found, 0.0)
            value[busy] = np.where(sound, bound, -np.inf)
            point[busy] = np.where(np.isfinite(where), where, 0.0)
        return x, value, point

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


def _free_value(dual: Dual, x: NDArray[np.float64]) -> Vector:
    """What multipliers prove over all of space."""
    leading, slope = dual.totals(x)
    size = np.abs(x).sum(axis=1) + np.abs(dual.leading)
    bent = leading > 2.0**-30 * np.maximum(size, 1e-9)
    with np.errstate(over="ignore", invalid="ignore"):
        value = -(slope**2).sum(axis=1) / np.where(bent, leading, 1.0)
        return np.asarray(np.where(bent, value, -np.inf) - dual.charges(x))
