"""What the premises prove about every prototype's best measurement.

The best measurement of prototype j is m_j = min over locations l of q_lj. Lower and upper bounds
are integers over ``2**GRID``, rounded outwards: a lower bound that is rounded down and an upper
bound that is rounded up stay bounds, so comparing the rounded ones is sound.
"""

from __future__ import annotations

from collections.abc import Iterable

from protoproof.certificate.schema import ActivationFact, CeilingFact, Core, ImpliedBound
from protoproof.kernel.arithmetic.exact import grid_ceiling, grid_floor, hex_ratio
from protoproof.kernel.budget import OPERATION, hold, integer, room, spend
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.facts import intervals
from protoproof.kernel.model.head import Head

# over ``2**GRID``; None: no upper end
Interval = tuple[int, int | None]

_PER_RANGE = 160  # bytes of two bounds


class Bounds:
    """Bounds of every q_lj, and of every m_j, over all latents of the domain that meet the facts.

    Assumes that the blocks are well-formed (obligation 7) and refer to facts of ``core``.

    * At one location, q_lj is bounded by the domain, by the fact about (l, j), and by the rows of
      the blocks there; the best of them counts.
    * m_j is at least the least of the lower bounds of *all* locations: where there is no other,
      the domain's. It is at most the upper bound at any one location.
    * Activation and ceiling facts bound m_j itself, and an activation fact about one prototype
      bounds m_j of another from above.

    Attributes:
        best: per prototype, bounds of m_j.
    """

    def __init__(self, head: Head, core: Core, where: LatentDomain) -> None:
        self._alone = _alone(head, where)
        self._uniform = where.uniform
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
        nearest = [self._nearest(j) for j in count]
        self.best = _with_activations(nearest, core)
        if core.evidence.implied:
            self.best = _with_implied(self.best, head, core, core.evidence.implied)

    def _charge(self, head: Head, core: Core) -> None:
        """Charge what is looked at once per prototype, or once per prototype and location."""
        ceilings = sum(isinstance(fact, CeilingFact) for fact in core.facts)
        each = 16 + 4 * ceilings + (0 if self._uniform else 8 * self._locations)
        rows = len(core.evidence.implied) + 4 * len(core.facts)
        spend("the bounds of all prototypes", OPERATION * (head.prototype_count * each + 16 * rows))
        room("the bounds of all prototypes", 400 * head.prototype_count)

    def _nearest(self, prototype: int) -> Interval:
        """Bounds of m_j from all locations."""
        below = self._lower[prototype]
        low, high = self._alone[0][prototype]
        if not self._uniform:
            ranges = [row[prototype] for row in self._alone]
            low = min(max(near, below.get(k, near)) for k, (near, _) in enumerate(ranges))
            high = min((far for _, far in ranges if far is not None), default=None)
        elif len(below) == self._locations:
            low = max(low, min(below.values()))
        for bound in self._upper[prototype].values():
            high = _least(high, bound)
        return low, high

    def at(self, location: int, prototype: int) -> Interval:
        """Bounds of q_lj.

        Every lower bound of m_j is one of q_lj, because m_j is the least of them; an upper bound
        of m_j says nothing about any one location.
        """
        near, high = self._alone[location][prototype]
        low = max(near, self.best[prototype][0])
        local = self._upper[prototype].get(location)
        return (
            max(low, self._lower[prototype].get(location, low)),
            high if local is None else _least(high, local),
        )

    def elsewhere(self, location: int, prototype: int) -> int | None:
        """A lower bound of q_kj at all locations k but one; None where there is no other."""
        others = [k for k in range(self._locations) if k != location]
        return min((self.at(k, prototype)[0] for k in others), default=None)


def _least(known: int | None, new: int) -> int:
    return new if known is None else min(known, new)


def _with_activations(intervals: list[Interval], core: Core) -> list[Interval]:
    for fact in core.facts:
        if isinstance(fact, ActivationFact):
            low, high = intervals[fact.prototype]
            intervals[fact.prototype] = (
                max(low, grid_floor(hex_ratio(fact.lower))),
                _least(high, grid_ceiling(hex_ratio(fact.upper))),
            )
        elif isinstance(fact, CeilingFact):
            bound, exempt = grid_floor(hex_ratio(fact.bound)), set(fact.exempt)
            intervals = [
                (low if prototype in exempt else max(low, bound), high)
                for prototype, (low, high) in enumerate(intervals)
            ]
    return intervals


def _alone(head: Head, where: LatentDomain) -> list[list[Interval]]:
    """[L][P] bounds by the domain alone; locations that are alike share one list."""
    if where.bounded:
        from protoproof.kernel.latent.ranges import domain_ranges

        return domain_ranges(head, where)
    hold("the ranges over the domain", _PER_RANGE * head.prototype_count)
    spend("the ranges over the domain", 16 * head.prototype_count * integer(3))
    return [[(0, None)] * head.prototype_count] * where.locations  # squares are not negative


def _with_implied(
    found: list[Interval], head: Head, core: Core, entries: Iterable[ImpliedBound]
) -> list[Interval]:
    from protoproof.kernel.latent.rows import implied_bounds

    upper = {f.prototype: hex_ratio(f.upper) for f in core.facts if isinstance(f, ActivationFact)}
    head.gram_rows(entry.via for entry in entries)  # one product of matrices for all
    for prototype, bound in implied_bounds(head, entries, upper):
        low, high = found[prototype]
        found[prototype] = low, _least(high, bound)
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
