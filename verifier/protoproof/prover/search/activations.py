"""What activation facts and ceilings leave possible, and what each more of them would add.

Naming a prototype raises the least activation of every prototype that looks like it
(``relaxation.implied``) and fixes its own; a ceiling lowers the greatest activation of all
prototypes under it, and of those beside them (``relaxation.apart``). With low and high the
activations that a set N of such facts leaves possible,

    margin_k(N) = supporting_k . low(N) + opposing_k . high(N) + offset_k

and since low takes a maximum over N, and high a minimum, what a fact adds to a margin only shrinks
while N grows. So does what it adds to

    score(N) = sum_k min(margin_k(N), enough),

which is therefore submodular.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.enclosed import ranked
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.observed import activation_fact, ceiling_fact
from protoproof.prover.relaxation.apart import kept_off
from protoproof.prover.relaxation.intervals import Intervals

Vector = Float[NDArray[np.float64], " prototype"]
Margins = Float[NDArray[np.float64], " rival"]
Rows = Float[NDArray[np.float64], "row prototype"]

# Ceilings that are considered: all of the highest ones, then fewer and fewer.
_LEVELS = 128
# Numbers of named prototypes and similarities kept at once when all are looked at: 32 MiB.
CHUNK = 1 << 22


class Reached(NamedTuple):
    """What the facts chosen so far leave possible, and the margins they prove.

    ``low``: least activations of the prototypes that support anything, in the order of ``useful``;
    ``high``: greatest activations of all.
    """

    low: Vector
    high: Vector
    margins: Margins


class Rivals(NamedTuple):
    """Weights against the rivals whose margins may still be open: of useful prototypes that
    support, of all that oppose, and what each name adds at first."""

    which: slice | Int[NDArray[np.intp], " rival"]
    number: int
    support: Float[NDArray[np.float64], "useful rival"]
    oppose: Float[NDArray[np.float64], "prototype rival"]
    first: Float[NDArray[np.float64], "prototype rival"]


class Activations:
    """The facts about activations of one instance, and what each would add.

    A fact is a number: ``j`` < P names prototype j, ``P + t`` is a ceiling at the level ranked t
    (from 0, the lowest); the prototypes ranked before it are exempt from it.

    Least activations enter margins only by supporting weights, so those of prototypes that support
    the prediction against no rival (all of other classes, where weights are the same for every
    class but one's own) are never computed; nor are margins that are closed already.
    """

    def __init__(self, state: Intervals, slack: float) -> None:
        self.instance, self.slack, self.kin = state.instance, slack, state.kin
        self.apart = state.apart
        instance = self.instance
        self.nearest = instance.pooled
        count = self.count = len(self.nearest)
        self.ranking = np.array(ranked(instance), dtype=np.intp)
        self.rank = np.empty(count, dtype=np.intp)
        self.rank[self.ranking] = np.arange(count)
        self.levels = _levels(count)
        self.useful = np.flatnonzero(instance.supporting.any(axis=0))
        self._place = np.full(count, -1)
        self._place[self.useful] = np.arange(len(self.useful))
        self.support = np.ascontiguousarray(instance.supporting[:, self.useful].T)
        self.oppose = np.ascontiguousarray(instance.opposing.T)
        low, high = instance.head.activation_between(state.floor, state.roof)
        low = np.where(np.isfinite(low), low, instance.activation - self._penalty(1.0))
        high = np.where(np.isfinite(high), high, instance.activation + self._penalty(-1.0))
        low = low[self.useful]
        self.start = Reached(low, high, self.margins(low, high))
        keep = count * len(self.useful) <= CHUNK
        self.rows = self._similar(np.arange(count)) if keep else None
        small = count <= _LEVELS
        self._roofs = self._permitted(np.arange(count)) if small else None

    def _penalty(self, sign: float) -> Vector:
        """How far an unbounded similarity is taken to go.

        It would make margins minus infinity: a penalty that costs every margin more than all
        activations together are worth says the same in finite numbers. (The oracle decides about
        the final set; this only proposes it.)
        """
        instance = self.instance
        worth = 1.0 + np.abs(instance.margin_weights) @ np.abs(instance.activation)
        weights = sign * instance.margin_weights
        least = np.where(weights > 0, weights, np.inf).min(axis=0, initial=np.inf)
        return np.where(least < np.inf, 1e2 * worth.max(initial=1.0) / least, 0.0)

    def margins(self, low: Vector, high: Vector) -> Margins:
        """The margins that such activations prove."""
        return np.asarray(
            low @ self.support + self.instance.opposing @ high + self.instance.margin_offset
        )

    def _similar(self, named: Int[NDArray[np.intp], " row"]) -> Rows:
        """The least similarity of every useful prototype once one is named, a row for each name."""
        rows = max(1, CHUNK // self.count)
        parts = [self._told(named[start : start + rows]) for start in range(0, len(named), rows)]
        return np.concatenate([np.empty((0, len(self.useful))), *parts])

    def _told(self, named: Int[NDArray[np.intp], " row"]) -> Rows:
        instance, useful = self.instance, self.useful
        at = self._place[named]
        own = np.flatnonzero(at >= 0)
        if self.kin is None:
            least = np.full((len(named), len(useful)), -np.inf)
        else:
            reach = self.kin.reach(named, self.nearest[named])[:, useful]
            reach[own, at[own]] = self.nearest[named[own]]
            least = instance.similarity(reach, useful)
            least[:, ~instance.head.pooling_of.nearest[useful]] = -np.inf  # of these only one's own
        least[own, at[own]] = instance.activation[named[own]]
        return least

    def lifts(self, named: Int[NDArray[np.intp], " row"]) -> Rows:
        """As ``_similar``, from memory where all of them fit into it."""
        return self._similar(named) if self.rows is None else self.rows[named]

    def after(self, chosen: Iterable[int]) -> Reached:
        """What a set of facts leaves possible."""
        facts = list(chosen)
        low, high = self.start.low, self.start.high.copy()
        named = np.array([fact for fact in facts if fact < self.count], dtype=np.intp)
        if len(named):
            low = np.maximum(low, self.lifts(named).max(axis=0))
        for fact in facts:
            if fact >= self.count:
                high = np.minimum(high, self.ceilings(np.array([fact - self.count]))[0])
        high[named] = self.instance.activation[named]
        return Reached(low, high, self.margins(low, high))

    def and_one(self, reached: Reached, fact: int) -> Reached:
        """What one more fact leaves possible."""
        if fact >= self.count:
            high = np.minimum(reached.high, self.ceilings(np.array([fact - self.count]))[0])
            margins = reached.margins + self.instance.opposing @ (high - reached.high)
            return Reached(reached.low, high, margins)
        low = np.maximum(reached.low, self.lifts(np.array([fact]))[0])
        high = reached.high.copy()
        high[fact] = self.instance.activation[fact]
        margins = reached.margins + (low - reached.low) @ self.support
        margins += self.oppose[fact] * (high[fact] - reached.high[fact])
        return Reached(low, high, margins)

    def without_each(self, chosen: Sequence[int]) -> Float[NDArray[np.float64], "fact rival"]:
        """The margins that a set of facts proves without each of them."""
        facts = np.array(chosen, dtype=np.intp)
        is_name = facts < self.count
        names = facts[is_name]
        low, others = _but_one(np.vstack([self.start.low, self.lifts(names)]), -1)
        high, rest = _but_one(
            np.vstack([self.start.high, self.ceilings(facts[~is_name] - self.count)]), 1
        )
        activation = self.instance.activation[names]
        lost = self.oppose[names] * (high[names] - activation)[:, None]
        high[names] = rest[:, names] = activation  # whatever ceilings say of what is named
        margins = np.empty((len(facts), len(self.instance.margin_offset)))
        margins[is_name] = others @ self.support + high @ self.oppose + lost
        margins[~is_name] = low @ self.support + rest @ self.oppose
        margins += self.instance.margin_offset
        return margins

    def closes(self, chosen: Iterable[int]) -> bool:
        """Whether a set of facts proves every margin."""
        return bool((self.after(chosen).margins > self.slack).all())

    def ceilings(self, levels: Int[NDArray[np.intp], " row"]) -> Rows:
        """The greatest activations that each of some ceilings permits."""
        return self._permitted(levels) if self._roofs is None else self._roofs[levels]

    def _permitted(self, levels: Int[NDArray[np.intp], " row"]) -> Rows:
        tau = self.instance.activation[self.ranking[levels]]
        found = np.where(self.rank >= levels[:, None], tau[:, None], np.inf)
        if self.apart is not None:
            found[:, self.apart.targets] = np.minimum(
                found[:, self.apart.targets], self._beside[levels]
            )
        return found

    @cached_property
    def _beside(self) -> Float[NDArray[np.float64], "level target"]:
        """The greatest activations that each ceiling permits prototypes beside those it binds."""
        apart, count = self.apart, self.count
        if apart is None or not len(apart.targets):
            return np.full((count, 0), np.inf)
        sides = apart.sides[:, self.ranking]  # the last ones are bound by every ceiling
        nearest = np.minimum.accumulate(sides[:, ::-1], axis=1)[:, ::-1].T
        low = kept_off(self.nearest[self.ranking][:, None], nearest)
        return self.instance.similarity(low, apart.targets)

    @cached_property
    def _first(self) -> Float[NDArray[np.float64], "prototype rival"]:
        """What the least activations that each name raises add to every margin, from the start."""
        rows = max(1, CHUNK // max(1, len(self.useful)))
        parts = []
        for start in range(0, self.count, rows):
            named = np.arange(start, min(start + rows, self.count))
            raised = np.maximum(self.lifts(named), self.start.low) - self.start.low
            parts.append(raised @ self.support)
        return np.concatenate(parts)

    def score(self, margins: Float[NDArray[np.float64], "... rival"]) -> NDArray[np.float64]:
        """sum_k min(margin_k, enough) of each row."""
        return np.asarray(np.minimum(margins, 2 * self.slack).sum(axis=-1))

    @cached_property
    def rivals(self) -> Rivals:
        """All of them."""
        count = len(self.instance.margin_offset)
        return Rivals(slice(None), count, self.support, self.oppose, self._first)

    def open_rivals(self, reached: Reached, rivals: Rivals | None = None) -> Rivals:
        """Those whose margins still count in the score; where these are most of ``rivals``, those.

        Margins only grow with a set of facts, so what is closed stays so.
        """
        rivals = rivals or self.rivals
        open_ = np.flatnonzero(reached.margins < 2 * self.slack)
        if 2 * len(open_) > rivals.number:
            return rivals
        support, oppose = self.support[:, open_], self.oppose[:, open_]
        return Rivals(open_, len(open_), support, oppose, self._first[:, open_])

    def alone(self) -> Int[NDArray[np.intp], " prototype"]:
        """The prototypes whose name alone proves every margin, the best match first."""
        start = self.start
        lowered = np.minimum(self.instance.activation, start.high) - start.high
        margins = start.margins + self._first + self.oppose * lowered[:, None]
        closed = np.asarray((margins > self.slack).all(axis=1))
        return self.ranking[closed[self.ranking]]

    def gains(
        self,
        facts: Int[NDArray[np.intp], " fact"],
        reached: Reached,
        rivals: Rivals | None = None,
    ) -> Float[NDArray[np.float64], " fact"]:
        """What each fact would add to the score; ``rivals``: at least those that are open."""
        instance, rivals = self.instance, rivals or self.rivals
        name = facts < self.count
        names, levels = facts[name], facts[~name] - self.count
        before = reached.margins[rivals.which]
        after = np.empty((len(facts), len(before)))
        if len(names):
            raised = np.maximum(self.lifts(names), reached.low) - reached.low
            high = reached.high[names]
            lowered = np.minimum(instance.activation[names], high) - high
            found = raised @ rivals.support
            found += rivals.oppose[names] * lowered[:, None]
            after[name] = found
        if len(levels):
            lowered = np.minimum(self.ceilings(levels), reached.high) - reached.high
            after[~name] = lowered @ rivals.oppose
        after += before
        return np.asarray(self.score(after) - self.score(before))

    def bounds(self, reached: Reached, *, ceilings: bool) -> NDArray[np.float64]:
        """Upper bounds of what every name, and every ceiling, adds to the score."""
        rivals = self.open_rivals(reached)
        lowered = np.minimum(self.instance.activation, reached.high) - reached.high
        before = reached.margins[rivals.which]
        after = rivals.oppose * lowered[:, None]
        after += rivals.first
        after += before
        bound = self.score(after) - self.score(before)
        if not ceilings:
            return np.asarray(bound)
        return np.append(bound, self.gains(np.array(self.levels) + self.count, reached, rivals))

    def under(self, levels: Sequence[int]) -> Iterator[tuple[Reached, Vector]]:
        """For every one of some ceilings: what it alone proves, and bounds of what names add."""
        start, rivals = self.start, self.rivals
        enough = 2 * self.slack
        step = max(1, CHUNK // (8 * self.count * max(1, rivals.number)))
        for begin in range(0, len(levels), step):
            some = np.array(levels[begin : begin + step], dtype=np.intp)
            high = np.minimum(self.ceilings(some), start.high)
            before = start.margins + (high - start.high) @ rivals.oppose
            lowered = np.minimum(self.instance.activation, high) - high
            after = rivals.oppose * lowered[..., None]
            after += rivals.first
            after += before[:, None]
            np.minimum(after, enough, out=after)
            bound = after.sum(axis=-1) - self.score(before)[:, None]
            for row in range(len(some)):
                yield Reached(start.low, high[row], before[row]), bound[row]

    def facts(self, chosen: Iterable[int]) -> FactSet:
        """The facts that the numbers stand for."""
        activations, ceilings = [], []
        for fact in chosen:
            if fact < self.count:
                activations.append(activation_fact(self.instance, fact))
            else:
                above = self.ranking[: fact - self.count].tolist()
                at = int(self.ranking[fact - self.count])
                ceilings.append(ceiling_fact(self.instance, at, above))
        return FactSet(activations=tuple(activations), ceilings=tuple(ceilings))


def _but_one(rows: Rows, sign: int) -> tuple[Vector, Rows]:
    """Column by column, the least of all rows (the greatest, where ``sign`` is -1); and of all
    rows but each one after the first."""
    if len(rows) == 1:
        return rows[0], rows[1:]
    ordered = np.partition(sign * rows, 1, axis=0)
    which = np.argmin(sign * rows, axis=0)
    number = np.arange(1, len(rows))[:, None]
    return sign * ordered[0], sign * np.where(which == number, ordered[1], ordered[0])


def _levels(count: int) -> list[int]:
    """At most ``_LEVELS`` ranks, every one of the first half of them, the others spread evenly."""
    if count <= _LEVELS:
        return list(range(count))
    dense = _LEVELS // 2
    return sorted({*range(dense), *np.geomspace(dense, count - 1, dense).astype(int).tolist()})
