"""All sets of a small size that meet every clause known so far, one by one.

Where they can be listed (a hundred members: up to three at a time), there is no need to solve for a
smallest hitting set: it is any set that is left, and how often a member is in one says which facts
the next losing latent should keep, so that its clause meets few of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.facts import CeilingFact, Fact

# Sets that are listed at most.
_MOST = 200_000


class Survivors:
    """The sets of ``size`` among ``count`` members; smaller ones are all refuted.

    ``guesses`` are sets that were left out without a clause.
    """

    def __init__(self, count: int) -> None:
        self.count, self.size, self.guesses = count, 0, 0
        self._clauses: list[NDArray[np.bool_]] = []
        self._sets: Int[NDArray[np.intp], "set member"] = np.zeros((1, 0), dtype=np.intp)
        self._guessed = self._sets[:0]

    @property
    def listed(self) -> bool:
        """Whether sets of the present size are few enough."""
        return math.comb(self.count, self.size) <= _MOST

    def add(self, clause: Iterable[int]) -> None:
        """Leave out what does not meet a clause."""
        member = np.zeros(self.count, dtype=bool)
        member[list(clause)] = True
        self._clauses.append(member)
        self._sets = self._sets[member[self._sets].any(axis=1)]

    def guess(self, chosen: Iterable[int]) -> None:
        """Leave one set out that is neither proved nor refuted; of sets not listed, none."""
        if not self.listed:
            return
        same = (self._sets == sorted(chosen)).all(axis=1)
        self.guesses += int(same.sum())
        self._guessed = np.concatenate([self._guessed, self._sets[same]])
        self._sets = self._sets[~same]

    def reopen(self) -> None:
        """Take back the guesses, but for what clauses refute since."""
        for member in self._clauses:
            self._guessed = self._guessed[member[self._guessed].any(axis=1)]
        self._sets = np.concatenate([self._sets, self._guessed])
        self._guessed, self.guesses = self._guessed[:0], 0

    def advance(self) -> None:
        """Go on to the least size of which sets are left; the bound, where nothing was guessed."""
        while not len(self._sets) and not self.guesses and self.size < self.count:
            if not self.listed:
                return
            self.size += 1
            if self.listed:
                self._sets = self._all()
                self._guessed = self._sets[:0]

    def _all(self) -> Int[NDArray[np.intp], "set member"]:
        """The sets of the present size that meet every clause."""
        flat = itertools.chain.from_iterable(itertools.combinations(range(self.count), self.size))
        sets = np.fromiter(flat, dtype=np.intp).reshape(-1, self.size)
        for member in self._clauses:
            sets = sets[member[sets].any(axis=1)]
        return sets

    def next(self) -> list[int] | None:
        """The set whose members are in most of those left; None where none is."""
        if not len(self._sets):
            return None
        use = self.use()
        return self._sets[int(np.argmax(use[self._sets].sum(axis=1)))].tolist()  # type: ignore[no-any-return]

    def use(self) -> Float[NDArray[np.float64], " member"]:
        """Per member, the sets that contain it (else the clauses), over the most of any."""
        counts = np.bincount(self._sets.ravel(), minlength=self.count).astype(np.float64)
        if not self.listed and self._clauses:
            counts = np.sum(self._clauses, axis=0).astype(np.float64)
        return counts / max(float(counts.max(initial=0.0)), 1.0)


def alike(elements: Sequence[Fact]) -> tuple[list[int], list[int]]:
    """Of facts about one location, those that say different things; per fact, its place there.

    The one location attains every activation, so that a pair says what its activation does: a
    latent violates both or none. A search needs one of them; the proof speaks about all.
    """
    members: list[int] = []
    place: dict[Hashable, int] = {}
    member_of: list[int] = []
    for number, fact in enumerate(elements):
        key = fact if isinstance(fact, CeilingFact) else fact.prototype
        if key not in place:
            place[key] = len(members)
            members.append(number)
        member_of.append(place[key])
    return members, member_of
