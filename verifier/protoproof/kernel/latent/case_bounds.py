"""What is known about every distance in one case of a proof by cases.

All bounds are integers over ``2**GRID``, rounded outwards, as in ``bounds``.
"""

from __future__ import annotations

from collections.abc import Sequence

from protoproof.kernel.latent.bounds import Bounds, Interval, larger, smaller, smallest
from protoproof.kernel.model.head import Head


class CaseBounds:
    """Bounds of every m_lj and t_j over the latents of one case.

    Assumes that every t_j is a least m_lj. It starts with what holds in every case and is
    narrowed; nothing is ever widened. Locations that *may attain* t_j are all of its bank, until a
    split says more.

    Attributes:
        best: per prototype, bounds of t_j.
    """

    def __init__(self, head: Head, known: Bounds) -> None:
        self._head, self._known = head, known
        self.best: list[Interval] = list(known.best)
        self._low: dict[tuple[int, int], int] = {}
        self._high: dict[tuple[int, int], int] = {}
        self._all = frozenset(range(head.location_count))
        self._among: dict[int, frozenset[int]] = {}
        self._touched: set[int] = set()

    def at(self, location: int, prototype: int) -> Interval:
        """Bounds of m_lj: its own, m_lj >= t_j, and m_lj = t_j where no other location attains it.

        Its own include what holds in every case.
        """
        low, high = self._known.at(location, prototype)
        key = location, prototype
        low = larger(larger(low, self.best[prototype][0]), self._low.get(key))
        high = smaller(high, self._high.get(key))
        if self._may_attain(prototype) == {location}:
            high = smaller(high, self.best[prototype][1])
        return low, high

    def elsewhere(self, location: int, prototype: int) -> tuple[bool, int | None]:
        """Whether locations k but one may attain t_j, and a lower bound of m_kj at all of them."""
        others = self._may_attain(prototype) - {location}
        return bool(others), smallest(self.at(k, prototype)[0] for k in others)

    def narrow(self, location: int, prototype: int, low: int | None, high: int | None) -> None:
        """A bound of m_lj is known (None: nothing new on that side)."""
        key = location, prototype
        if low is not None:
            self._low[key] = max(low, self._low.get(key, low))
        if high is not None:
            self._high[key] = min(high, self._high.get(key, high))
        self._touched.add(prototype)

    def narrow_best(self, prototype: int, low: int | None, high: int | None) -> None:
        """A bound of t_j is known."""
        near, far = self.best[prototype]
        self.best[prototype] = larger(near, low), smaller(far, high)
        self._touched.add(prototype)

    def place(self, prototype: int, locations: Sequence[int], child: int) -> None:
        """t_j is attained at ``locations[child]``, or, after the last, at none of them."""
        last = child == len(locations)
        here = self._all.difference(locations) if last else frozenset({locations[child]})
        self._among[prototype] = self._may_attain(prototype) & here
        self._touched.add(prototype)

    def settle(self) -> None:
        """Carry what is known about m_lj over to t_j, for the prototypes that changed.

        t_j is one of the m_lj that may attain it, so it is at least the least of their lower
        bounds; and it is at most every m_lj.
        """
        for prototype in self._touched:
            ends = {k: self.at(k, prototype) for k in self.places(prototype)}
            low, high = self.best[prototype]
            among = self._may_attain(prototype)
            low = larger(low, smallest(ends[k][0] for k in among))
            for _, end in ends.values():
                high = smaller(high, end)
            self.best[prototype] = low, high

    def is_empty(self) -> bool:
        """Whether some bounds exclude each other: there is no latent in this case."""
        for prototype in self._touched:
            low, high = self.best[prototype]
            if not self._may_attain(prototype) or crossed(low, high):
                return True
        return any(crossed(*self.at(*key)) for key in (*self._low, *self._high))

    def places(self, prototype: int) -> frozenset[int]:
        """The locations of the prototype's bank."""
        if self._head.one_bank:
            return self._all
        return frozenset(k for k in self._all if self._head.measures(k, prototype))

    def _may_attain(self, prototype: int) -> frozenset[int]:
        return self._among.get(prototype, self.places(prototype))


def crossed(low: int | None, high: int | None) -> bool:
    """Whether nothing lies between two ends, of which any may be open."""
    return low is not None and high is not None and low > high
