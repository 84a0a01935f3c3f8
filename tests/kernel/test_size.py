"""Lower bounds on the size of explanations, against brute force; forgeries are refused."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

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
from protoproof.kernel import CheckReport, check
from protoproof.kernel.claims import words
from tests.support.kernel.builders import (
    Scene,
    core,
    distance,
    down,
    exact,
    file,
    scene,
    topk_core,
    up,
)
from tests.support.kernel.moves import encode, second_point

COUNT, LOCATIONS = 3, 2
SEEDS = range(4)
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


def judged(here: Scene, content: Core) -> CheckReport:
    return check(file(content), here.data)


VOCABULARIES = pytest.mark.parametrize("vocabulary", ["pairs", "ceiling", "mixed"])


@VOCABULARIES
@pytest.mark.parametrize("seed", SEEDS)
def test_the_bound_is_that_of_brute_force(seed: int, vocabulary: str) -> None:
    here, content, least = certificate(seed, vocabulary)
    report = judged(here, content)
    assert report.accepted, report.failures
    assert report.lower_bound == (least or None)
    assert ("minimum-size" in words(report.claims)) == (least == len(content.facts))


@pytest.mark.parametrize("seed", SEEDS)
def test_topk_is_bounded_by_what_one_latent_keeps(seed: int) -> None:
    here, found = refuted(seed)
    content = topk_core(here)
    bound = SizeBound(refutations=found, covers=())
    report = judged(here, content.model_copy(update={"size_bound": bound}))
    assert report.accepted, report.failures
    order = sorted(range(COUNT), key=lambda j: here.best[j])
    refuted_k = 0
    for refutation in found:
        after = measured(here, refutation.moves)
        best = [min(column) for column in zip(*after, strict=True)]
        for k in range(1, COUNT + 1):
            kept = not any(breaks(here, ("activation", j), after) for j in order[:k])
            level = Fraction(down(here.best[order[k - 1]]))
            if kept and all(best[j] >= level for j in order[k:]):
                refuted_k = max(refuted_k, k)
    assert report.lower_bound == refuted_k + 2


def test_without_a_bound_nothing_is_claimed() -> None:
    here, content, _ = certificate(0, "pairs")
    report = judged(here, content.model_copy(update={"size_bound": None}))
    assert report.accepted
    assert report.lower_bound is None


def changed(content: Core, **changes: Any) -> Core:
    assert content.size_bound is not None
    return content.model_copy(update={"size_bound": content.size_bound.model_copy(update=changes)})


def nodes_changed(content: Core, nodes: Sequence[Node]) -> Core:
    assert content.size_bound is not None
    cover = content.size_bound.covers[0].model_copy(update={"nodes": tuple(nodes)})
    return changed(content, covers=(cover, *content.size_bound.covers[1:]))


def forged(here: Scene, content: Core) -> dict[str, Core]:
    """Wrong in one respect each."""
    bound = content.size_bound
    assert bound is not None
    first, nodes = bound.refutations[0], bound.covers[0].nodes
    still = Move(location=0, keep=(), direction=encode(np.zeros(3)))
    weights = [n for n in nodes if isinstance(n, Packing) and n.weights]
    beyond = Packing(scale=1, weights=((len(bound.refutations), 1),))
    light = Packing(scale=1, weights=((0, 1),))
    return {
        "does not certainly lose": changed(
            content,
            refutations=(
                first.model_copy(update={"moves": (still,)}),
                *bound.refutations[1:],
            ),
        ),
        "is not a rival": changed(
            content,
            refutations=(
                first.model_copy(update={"rival": here.predicted}),
                *bound.refutations[1:],
            ),
        ),
        "needs one cover": changed(content, covers=()),
        "ends too early": nodes_changed(content, nodes[:-1]),
        "after its end": nodes_changed(content, [*nodes, nodes[-1]]),
        "splits twice": nodes_changed(content, [Split(fact=0), *nodes, weights[0]]),
        "says nothing here": nodes_changed(content, [beyond]),
        "more than its scale": nodes_changed(
            content, [light.model_copy(update={"weights": ((0, 1), (0, 1))})]
        ),
    }


def test_forgeries_are_refused() -> None:
    here, content, _ = certificate(0, "pairs")
    cases = forged(here, content)
    for complaint, wrong in cases.items():
        report = judged(here, wrong)
        assert report.status == "rejected", complaint
        assert [o.number for o in report.failures] == [11], complaint
        assert complaint in report.failures[0].detail


def test_a_met_clause_cannot_be_used_again() -> None:
    here, content, _ = certificate(0, "pairs")
    numbers = {s: index for index, s in enumerate(universe(here, "pairs"))}
    assert content.size_bound is not None
    (clause, *_) = clauses(here, content.size_bound.refutations, "pairs")
    member = min(numbers[s] for s in clause)
    again = Packing(scale=1, weights=((0, 1),))
    nothing = Packing(scale=1, weights=())
    report = judged(here, nodes_changed(content, [Split(fact=member), again, nothing]))
    assert report.status == "rejected"
    assert "met already" in report.failures[0].detail
    report = judged(here, nodes_changed(content, [Split(fact=member), nothing, again]))
    assert report.accepted


def test_every_ceiling_must_be_covered() -> None:
    here, content, _ = certificate(1, "ceiling")
    assert content.size_bound is not None
    covers = content.size_bound.covers
    for wrong, complaint in (
        (covers[:-1], "leave out a ceiling"),
        ((*covers, covers[0].model_copy(update={"ceilings": (0, COUNT)})), "do not exist"),
        ((*covers, covers[0].model_copy(update={"ceilings": None})), "about no ceiling"),
    ):
        report = judged(here, changed(content, covers=wrong))
        assert report.status == "rejected"
        assert complaint in report.failures[0].detail


def test_a_bound_above_the_facts_is_a_contradiction() -> None:
    here, content, _ = certificate(0, "pairs")
    fewer = content.model_copy(update={"facts": content.facts[:1]})
    report = judged(here, fewer)
    assert not report.accepted


def test_leaving_the_box_is_no_refutation() -> None:
    here, content, _ = certificate(0, "pairs")
    assert content.size_bound is not None
    away = Move(location=0, keep=(), direction=encode(np.full(3, 50.0)))
    far = content.size_bound.refutations[0].model_copy(update={"moves": (away,)})
    boxed = core(here, content.facts, "pairs", box=True)
    bound = SizeBound(
        refutations=(far,),
        covers=(Cover(ceilings=None, nodes=(Packing(scale=1, weights=()),)),),
    )
    report = judged(here, boxed.model_copy(update={"size_bound": bound}))
    assert report.status == "rejected"
    assert "leaves the domain" in report.failures[0].detail
