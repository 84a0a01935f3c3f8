"""Tiny networks with latents that lose, and certificates of size bounds made of them, naively."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from protoproof.certificate.schema import (
    Core,
    Cover,
    Move,
    Node,
    Packing,
    Refutation,
    SizeBound,
    Split,
)
from tests.support.kernel.builders import Scene, core, distance, down, exact, scene, up
from tests.support.kernel.moves import encode, second_point

COUNT, LOCATIONS = 3, 2
Clause = frozenset[tuple[Any, ...]]


def measured(here: Scene, moves: Sequence[Move]) -> list[list[Fraction]]:
    """q_lj after moves without kept distances, in fractions."""
    points = [exact(z) for z in here.latent]
    for move in moves:
        assert not move.keep
        points[move.location] = exact(second_point(here, move))
    prototypes = [exact(p) for p in here.tiny.prototypes]
    return [[distance(z, p) for p in prototypes] for z in points]


def losing(here: Scene, found: list[list[Fraction]]) -> int | None:
    logits = here.logits([float(min(column)) for column in zip(*found, strict=True)])
    rival = max(here.rivals, key=lambda k: logits[k])
    return rival if logits[rival] > logits[here.predicted] + 1e-6 else None


def universe(here: Scene, vocabulary: str) -> list[tuple[Any, ...]]:
    """Subjects of facts in the order of their numbers."""
    pairs = [("pair", i, j) for i in range(LOCATIONS) for j in range(COUNT)]
    activations = [("activation", j) for j in range(COUNT)]
    ceilings = [("ceiling", t) for t in range(COUNT)]
    return {
        "pairs": pairs,
        "ceiling": activations,
        "mixed": pairs + activations + ceilings,
    }[vocabulary]


def breaks(here: Scene, subject: tuple[Any, ...], found: list[list[Fraction]]) -> bool:
    """Whether measurements violate the tightest fact about a subject."""
    best = [min(column) for column in zip(*found, strict=True)]
    if subject[0] == "pair":
        value, was = found[subject[1]][subject[2]], here.measurement[subject[1]][subject[2]]
    elif subject[0] == "activation":
        value, was = best[subject[1]], here.best[subject[1]]
    else:
        level = sorted(here.best)[subject[1]]
        bound = Fraction(down(level))
        return any(best[j] < bound for j in range(COUNT) if here.best[j] >= level)
    return not Fraction(down(was)) <= value <= Fraction(up(was))


@cache
def refuted(seed: int) -> tuple[Scene, tuple[Refutation, ...]]:
    """A tiny network and latents that lose, at one or two moved locations."""
    here = scene(seed, grid=(1, 2), count=COUNT, channels=3, classes=2)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(400):
        places = [(0,), (1,), (0, 1)][int(rng.integers(3))]
        moves = tuple(
            Move(
                location=place,
                keep=(),
                # short of a prototype, on a coarse grid, so that float64 sums are exact
                direction=encode(
                    np.round((here.tiny.prototypes[rng.integers(COUNT)] - here.latent[place]) * 64)
                    / 64
                    + np.round(rng.normal(0, 0.3, 3) * 8) / 8
                ),
            )
            for place in places
        )
        rival = losing(here, measured(here, moves))
        if rival is not None:
            found.append(Refutation(rival=rival, moves=moves))
        if len(found) == 12:
            break
    assert found
    return here, tuple(found)


def clauses(here: Scene, found: Sequence[Refutation], vocabulary: str) -> list[Clause]:
    return [
        frozenset(s for s in universe(here, vocabulary) if breaks(here, s, measured(here, r.moves)))
        for r in found
    ]


def tree(members: int, clauses: Sequence[frozenset[int] | None]) -> tuple[Node, ...]:
    """Every case apart: no relaxation, no library."""

    def case(inside: frozenset[int], outside: frozenset[int], next_: int) -> list[Node]:
        for index, clause in enumerate(clauses):
            if clause is not None and clause <= outside:
                return [Packing(scale=1, weights=((index, 100),))]
        if all(clause is None or clause & inside for clause in clauses) or next_ == members:
            return [Packing(scale=1, weights=())]
        return [
            Split(fact=next_),
            *case(inside | {next_}, outside, next_ + 1),
            *case(inside, outside | {next_}, next_ + 1),
        ]

    return tuple(case(frozenset(), frozenset(), 0))


def certificate(seed: int, vocabulary: str) -> tuple[Scene, Core, int]:
    """All facts of a vocabulary, a bound on the size, and that bound by brute force."""
    here, found = refuted(seed)
    named = universe(here, vocabulary)
    number = {subject: index for index, subject in enumerate(named)}
    sets = clauses(here, found, vocabulary)
    pairs = [here.pair(i, j) for i in range(LOCATIONS) for j in range(COUNT)]
    activations = [here.activation(j) for j in range(COUNT)]
    if vocabulary != "ceiling":
        numbers = [frozenset(number[s] for s in clause) for clause in sets]
        covers = [Cover(ceilings=None, nodes=tree(len(named), numbers))]
        least = brute_force(numbers, len(named))
        facts = pairs if vocabulary == "pairs" else [*pairs, *activations]
        return here, with_bound(here, facts, vocabulary, found, covers), least
    covers, least = [], 99
    for t in range(COUNT):
        usable = [
            None
            if breaks(here, ("ceiling", t), measured(here, r.moves))
            else frozenset(number[s] for s in clause)
            for r, clause in zip(found, sets, strict=True)
        ]
        covers.append(Cover(ceilings=(t, t), nodes=tree(len(named), usable)))
        known = [clause for clause in usable if clause is not None]
        least = min(least, 1 + brute_force(known, len(named)))
    first = min(range(COUNT), key=lambda j: here.best[j])
    facts = [here.ceiling(first, []), *activations]
    return here, with_bound(here, facts, vocabulary, found, covers), least


def with_bound(
    here: Scene, facts: Any, vocabulary: str, found: Sequence[Refutation], covers: Sequence[Cover]
) -> Core:
    bound = SizeBound(refutations=tuple(found), covers=tuple(covers))
    return core(here, facts, vocabulary, size_bound=bound)


def brute_force(clauses: Sequence[frozenset[int]], members: int) -> int:
    for size in range(members + 1):
        for chosen in itertools.combinations(range(members), size):
            if all(clause & set(chosen) for clause in clauses):
                return size
    return 99
