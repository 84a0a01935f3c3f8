"""Sets that meet all clauses, listed: against every set there is."""

from __future__ import annotations

import itertools

import numpy as np

from protoproof.prover.search import survivors
from protoproof.prover.search.hitting_set import smallest
from protoproof.prover.search.survivors import Survivors


def test_they_are_the_smallest_sets_that_meet_all_clauses() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        clauses = [frozenset(rng.choice(8, size=4, replace=False).tolist()) for _ in range(6)]
        known = Survivors(8)
        for clause in clauses:
            known.add(clause)
            known.advance()
        least = smallest(clauses)
        assert least is not None
        assert known.size == len(least)
        sets = [
            some
            for some in itertools.combinations(range(8), known.size)
            if all(clause & set(some) for clause in clauses)
        ]
        found = []
        while (proposed := known.next()) is not None:
            found.append(tuple(proposed))
            known.guess(proposed)
        assert sorted(found) == sets
        assert known.guesses == len(sets)
        known.advance()  # guesses prove nothing
        assert known.size == len(least)


def test_the_proposal_is_the_one_most_used() -> None:
    known = Survivors(4)
    for clause in ({0, 1}, {0, 2}, {0, 1, 3}):
        known.add(clause)
        known.advance()
    assert (known.size, known.next()) == (1, [0])
    assert known.use().tolist() == [1.0, 0.0, 0.0, 0.0]


def test_too_many_sets_are_not_listed() -> None:
    known = Survivors(2000)
    known.add(range(10))
    known.advance()
    known.add(range(10, 20))
    for _ in range(3):  # a size that is not listed proves nothing about the next one
        known.advance()
    assert known.size == 2
    assert not known.listed
    assert known.next() is None
    known.guess([0, 10])  # of what is not listed, nothing is left out
    assert known.guesses == 0
    assert known.use()[:20].tolist() == [1.0] * 20
    assert survivors._MOST < 2000 * 1999 / 2
