"""What is known about every distance in one case of a proof by cases.

All bounds are integers over ``2**GRID``, rounded outwards, as in ``bounds``.
"""

from __future__ import annotations

from collections.abc import Sequence

from protoproof.kernel.latent.bounds import Bounds, Interval


class CaseBounds:
    """Bounds of every q_lj and m_j over the latents of one case.

    It starts with what holds in every case and is narrowed; nothing is ever widened. Locations
    that *may attain* m_j are all of them, until a split says more.

    Attributes:
        best: per prototype, bounds of m_j.
    """

    def __init__(self, known: Bounds, locations: int) -> None:
        self._known = known
        self.best: list[Interval] = list(known.best)
        self._low: dict[tuple[int, int], int] = {}
        self._high: dict[tuple[int, int], int] = {}
        self._all = frozenset(range(locations))
        self._among: dict[int, frozenset[int]] = {}
        self._touched: set[int] = set()

    def at(self, location: int, prototype: int) -> Interval:
        """Bounds of q_lj: its own, q_lj >= m_j, and q_lj = m_j where no other location attains it.

        Its own include what holds in every case.
        """
        low, high = self._known.at(location, prototype)
        key = location, prototype
        low = max(low, self.best[prototype][0], self._low.get(key, low))
        if key in self._high:
            high = _least(high, self._high[key])
        if self._may_attain(prototype) == {location}:
            high = _least(high, self.best[prototype][1])
        return low, high

    def elsewhere(self, location: int, prototype: int) -> int | None:
        """A lower bound of q_kj at all locations k but one that may attain m_j; None: none may."""
        others = self._may_attain(prototype) - {location}
        return min((self.at(k, prototype)[0] for k in others), default=None)

    def narrow(self, location: int, prototype: int, low: int | None, high: int | None) -> None:
        """A bound of q_lj is known (None: nothing new on that side)."""
        key = location, prototype
        if low is not None:
            self._low[key] = max(low, self._low.get(key, low))
        if high is not None:
            self._high[key] = min(high, self._high.get(key, high))
        self._touched.add(prototype)

    def narrow_best(self, prototype: int, low: int | None, high: int | None) -> None:
        """A bound of m_j is known."""
        near, far = self.best[prototype]
        self.best[prototype] = near if low is None else max(near, low), _least(far, high)
        self._touched.add(prototype)

    def place(self, prototype: int, locations: Sequence[int], child: int) -> None:
        """m_j is attained at ``locations[child]``, or, after the last, at none of them."""
        last = child == len(locations)
        here = self._all.difference(locations) if last else frozenset({locations[child]})
        self._among[prototype] = self._may_attain(prototype) & here
        self._touched.add(prototype)

    def settle(self) -> None:
        """Carry what is known about q_lj over to m_j, for the prototypes that changed.

        m_j is one of the q_lj that may attain it, so it is at least the least of their lower
        bounds; and it is at most every q_lj.
        """
        for prototype in self._touched:
            ends = {k: self.at(k, prototype) for k in self._all}
            low, high = self.best[prototype]
            among = self._may_attain(prototype)
            low = max([low, min((ends[k][0] for k in among), default=low)])
            for _, end in ends.values():
                high = _least(high, end)
            self.best[prototype] = low, high

    def is_empty(self) -> bool:
        """Whether some bounds exclude each other: there is no latent in this case."""
        for prototype in self._touched:
            low, high = self.best[prototype]
            if not self._may_attain(prototype) or (high is not None and low > high):
                return True
        return any(
            high is not None and low > high
            for low, high in (self.at(*key) for key in (*self._low, *self._high))
        )

    def _may_attain(self, prototype: int) -> frozenset[int]:
        return self._among.get(prototype, self._all)


def _least(known: int | None, new: int | None) -> int | None:
    if known is None or new is None:
        return new if known is None else known
    return min(known, new)
