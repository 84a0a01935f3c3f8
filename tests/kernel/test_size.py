"""Lower bounds on the size of explanations, against brute force; forgeries are refused."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.schema import (
    Core,
    Cover,
    Move,
    Node,
    Packing,
    SizeBound,
    Split,
)
from protoproof.kernel import CheckReport, check
from protoproof.kernel.claims import words
from tests.support.kernel.builders import Scene, core, down, file, topk_core
from tests.support.kernel.moves import encode
from tests.support.kernel.sizes import (
    COUNT,
    breaks,
    certificate,
    clauses,
    measured,
    refuted,
    universe,
)

SEEDS = range(4)


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
