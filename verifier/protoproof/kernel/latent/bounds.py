"""What the premises prove about every prototype's pooled value.

The pooled value of prototype j is t_j, the least m_lj over the locations of its bank, or (see
``pooling``) what inner_j(m_lj) pools to. Lower and upper bounds are integers over ``2**GRID``,
rounded outwards: a lower bound that is rounded down and an upper bound that is rounded up stay
bounds, so comparing the rounded ones is sound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

from flint import ctx, fmpq

from protoproof.certificate.schema import ActivationFact, CeilingFact, Core, ImpliedBound
from protoproof.kernel.arithmetic.exact import (
    GRID,
    Ratio,
    at_most,
    grid_ceiling,
    grid_floor,
    hex_ratio,
)
from protoproof.kernel.budget import OPERATION, hold, integer, room, spend
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.facts import intervals
from protoproof.kernel.latent.pooling import pooled_range
from protoproof.kernel.model.head import Head
from protoproof.kernel.model.primitives import End

# over ``2**GRID``; None: no end on that side
Interval = tuple[int | None, int | None]

_ONE = 1 << GRID
_PER_RANGE = 160  # bytes of two bounds


class Bounds:
    """Bounds of every m_lj, and of every t_j, over all latents of the domain that meet the facts.

    Assumes that the blocks are well-formed (obligation 7) and refer to facts of ``core``.

    * At one location, m_lj is bounded by the domain, by the fact about (l, j), and by the rows of
      the blocks there; the best of them counts.
    * A least t_j is at least the least of the lower bounds of *all* locations of the bank: where
      there is no other, the domain's. It is at most the upper bound at any one location. Of other
      poolings the bounds are pooled.
    * Activation facts bound t_j itself, ceilings t_j or (where similarities differ) the activation;
      and an activation fact about one prototype bounds a least t_j of another from above, an
      activation fact or a ceiling from below.

    Attributes:
        best: per prototype, bounds of t_j.
        caps: per prototype, an upper bound of a_j that ceilings give; None where none does.
        uniform: whether the domain says the same about all locations.
    """

    def __init__(self, head: Head, core: Core, where: LatentDomain) -> None:
        self._alone = over_domain(head, where)
        self.uniform = where.uniform
        self._locations = head.location_count
        self._charge(head, core)
        count = range(head.prototype_count)
        self._lower: list[dict[int, int]] = [{} for _ in count]  # prototype -> location -> bound
        self._upper: list[dict[int, int]] = [{} for _ in count]
        for location, prototype, low, high in _local_bounds(head, core, where):
            if low is not None:
                known = self._lower[prototype].get(location, low)
                self._lower[prototype][location] = max(known, low)
            if high is not None:
                known = self._upper[prototype].get(location, high)
                self._upper[prototype][location] = min(known, high)
        self._head = head
        found = [self._nearest(j) if head.nearest(j) else self.pooled(j) for j in count]
        self.best, self.caps = _with_activations(head, found, core)
        if core.evidence.implied:
            self.best = _with_implied(self.best, head, core, core.evidence.implied)

    def _charge(self, head: Head, core: Core) -> None:
        """Charge what is looked at once per prototype, or once per prototype and location."""
        ceilings = sum(isinstance(fact, CeilingFact) for fact in core.facts)
        alike = self.uniform and head.one_bank
        each = 16 + 4 * ceilings + (0 if alike else 8 * self._locations)
        rows = len(core.evidence.implied) + 4 * len(core.facts)
        spend("the bounds of all prototypes", OPERATION * (head.prototype_count * each + 16 * rows))
        room("the bounds of all prototypes", 400 * head.prototype_count)

    def places(self, prototype: int) -> list[int] | range:
        """The locations of the prototype's bank."""
        if self._head.one_bank:
            return range(self._locations)
        return [k for k in range(self._locations) if self._head.measures(k, prototype)]

    def _nearest(self, prototype: int) -> Interval:
        """Bounds of the least m_lj from all locations."""
        below, places = self._lower[prototype], self.places(prototype)
        low, high = self._alone[places[0]][prototype]
        if not self.uniform:
            ranges = [(k, *self._alone[k][prototype]) for k in places]
            low = smallest(larger(near, below.get(k)) for k, near, _ in ranges)
            high = min((far for _, _, far in ranges if far is not None), default=None)
        elif len(below) == len(places):
            low = larger(low, min(below.values()))
        for bound in self._upper[prototype].values():
            high = smaller(high, bound)
        return low, high

    def alone(self, location: int, prototype: int) -> Interval:
        """What the domain alone says about m_lj."""
        return self._alone[location][prototype]

    def pooled(self, prototype: int) -> Interval:
        """Bounds of another pooled value, from those of all locations."""
        places = self.places(prototype)
        head = self._head
        each = 2 * head.inner.cost + 8 * OPERATION
        spend("pooled bounds", len(places) * each + 4 * head.common.cost)
        ends = (self._local(k, prototype) for k in places)
        with ctx.workprec(2 * GRID):
            ranges = [head.inner.range(prototype, *as_ends(low, high)) for low, high in ends]
            common = partial(head.common.range, prototype)
            return on_grid(*pooled_range(head.pooling[prototype], ranges, common))

    def _local(self, location: int, prototype: int) -> Interval:
        low, high = self._alone[location][prototype]
        low = larger(low, self._lower[prototype].get(location))
        return low, smaller(high, self._upper[prototype].get(location))

    def at(self, location: int, prototype: int) -> Interval:
        """Bounds of m_lj.

        Every lower bound of a least t_j is one of m_lj; an upper bound of t_j says nothing about
        any one location.
        """
        low, high = self._local(location, prototype)
        if self._head.nearest(prototype):
            low = larger(low, self.best[prototype][0])
        return low, high

    def elsewhere(self, location: int, prototype: int) -> tuple[bool, int | None]:
        """Whether there are other locations, and a lower bound of m_kj at all of them."""
        others = [k for k in self.places(prototype) if k != location]
        return bool(others), smallest(self.at(k, prototype)[0] for k in others)


def larger(known: int | None, new: int | None) -> int | None:
    """The better of two lower bounds."""
    if known is None or new is None:
        return new if known is None else known
    return max(known, new)


def smaller(known: int | None, new: int | None) -> int | None:
    """The better of two upper bounds."""
    if known is None or new is None:
        return new if known is None else known
    return min(known, new)


def smallest(bounds: Iterable[int | None]) -> int | None:
    """A lower bound of all, from one of each; None where one has none (or there are none)."""
    least: int | None = None
    for bound in bounds:
        if bound is None:
            return None
        least = bound if least is None else min(least, bound)
    return least


def as_ends(low: int | None, high: int | None) -> tuple[End, End]:
    """An interval over ``2**GRID`` as a chain takes it."""
    return (
        -math.inf if low is None else fmpq(low, _ONE),
        math.inf if high is None else fmpq(high, _ONE),
    )


def on_grid(low: End, high: End) -> Interval:
    """A chain's range, rounded outwards; None where an end is infinite or undefined."""
    return _floor(low), None if (top := _floor(-high)) is None else -top


def _floor(end: End) -> int | None:
    if isinstance(end, float):
        return None
    if isinstance(end, fmpq):
        return grid_floor((int(end.p), int(end.q)))
    if not end.is_finite():
        return None
    mantissa, exponent = end.lower().man_exp()
    power = int(exponent) + GRID
    return int(mantissa) << power if power >= 0 else int(mantissa) >> -power


def _with_activations(
    head: Head, found: list[Interval], core: Core
) -> tuple[list[Interval], list[Ratio | None]]:
    caps: list[Ratio | None] = [None] * len(found)
    for fact in core.facts:
        if isinstance(fact, ActivationFact):
            low, high = found[fact.prototype]
            found[fact.prototype] = (
                larger(low, grid_floor(hex_ratio(fact.lower))),
                smaller(high, grid_ceiling(hex_ratio(fact.upper))),
            )
        elif isinstance(fact, CeilingFact):
            bound, exempt = hex_ratio(fact.bound), set(fact.exempt)
            for prototype in range(len(found)):
                if prototype in exempt:
                    continue
                low, high = found[prototype]
                if head.uniform:
                    found[prototype] = larger(low, grid_floor(bound)), high
                    continue
                cap, known = (-bound[0], bound[1]), caps[prototype]
                caps[prototype] = cap if known is None or at_most(cap, known) else known
    return found, caps


def over_domain(head: Head, where: LatentDomain) -> list[list[Interval]]:
    """[L][P] bounds by the domain alone; locations that are alike share one list."""
    if where.bounded or head.geometry != "euclidean":
        from protoproof.kernel.latent.ranges import domain_ranges

        return domain_ranges(head, where)
    hold("the ranges over the domain", _PER_RANGE * head.prototype_count)
    spend("the ranges over the domain", 16 * head.prototype_count * integer(3))
    return [[(0, None)] * head.prototype_count] * where.locations  # squares are not negative


def _with_implied(
    found: list[Interval], head: Head, core: Core, entries: Iterable[ImpliedBound]
) -> list[Interval]:
    from protoproof.kernel.latent.rows import Far, implied_bounds

    upper = {f.prototype: hex_ratio(f.upper) for f in core.facts if isinstance(f, ActivationFact)}
    head.gram_rows(entry.via for entry in entries)  # one product of matrices for all
    # all start from facts, none from what another one gives
    for prototype, below, above in implied_bounds(head, entries, upper, Far(head, core.facts)):
        low, high = found[prototype]
        found[prototype] = larger(low, below), smaller(high, above)
    return found


def _local_bounds(
    head: Head, core: Core, where: LatentDomain
) -> Iterable[tuple[int, int, int | None, int | None]]:
    """(location, prototype, lower, upper) from every pair fact and every row of every block."""
    known = intervals(core.facts)
    for (location, prototype), (low, high) in known.items():
        yield location, prototype, grid_floor(low), grid_ceiling(high)
    evidence = core.evidence
    if evidence.blocks or evidence.domain_blocks:
        from protoproof.kernel.latent.rows import block_bounds

        # one product of matrices for the inner products that all blocks need
        head.gram_rows(prototype for block in evidence.blocks for prototype in block.facts)
        yield from block_bounds(head, where, (*evidence.blocks, *evidence.domain_blocks), known)
