"""Readings of a soft tree: which one is proved is said, and none passes for another."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from flint import arb

from protoproof.certificate.schema import Core
from protoproof.errors import ModelError
from protoproof.kernel.claims import Alike, words
from protoproof.kernel.latent.margins import loses
from protoproof.kernel.model.decision import ROUTINGS, Decision, Node, Score
from tests.support.kernel.algebra import Made, made
from tests.support.kernel.given import honest, report_of

TREES = ("a tree of distances", "a greedy tree of distances", "the largest leaf by distance")
SEEDS = range(12)


def routed(core: Core, routing: str | None) -> Core:
    model = core.model.model_copy(update={"routing": routing})
    return core.model_copy(update={"model": model})


def predicted(here: Made, routing: str) -> int:
    """The class at the recorded latent by another reading, from the definitions in numpy."""
    name = {"distributed": 0, "greedy": 1, "sample-max": 2}[routing]
    other = made(TREES[name], 0)
    kind = replace(here, kind=other.kind, head=here.head.routed(routing))  # type: ignore[arg-type]
    return int(np.argmax(kind.scores(here.latent.astype(np.float64))))


@pytest.mark.parametrize("name", TREES)
def test_a_certificate_of_one_reading_is_none_of_another(name: str) -> None:
    """Claimed as another reading, it is accepted only where that predicts the same, and then the
    claims had said so."""
    accepted = rejected = 0
    for seed in SEEDS:
        here = made(name, seed)
        core = honest(here)
        own = core.model.routing
        said = {claim.routing for claim in report_of(here, core).claims
                if isinstance(claim, Alike) and claim.everywhere}  # fmt: skip
        for other in ROUTINGS:
            if other == own:
                continue
            report = report_of(here, routed(core, other))
            assert report.accepted == (other in said)
            accepted += report.accepted
            if predicted(here, other) != core.instance.predicted:
                assert report.status == "rejected"
                assert 9 in [o.number for o in report.failures]
                rejected += 1
    assert accepted
    assert rejected


def test_trees_say_how_they_route_and_others_do_not() -> None:
    for name, routing in (("a tree of distances", None), ("distances", "greedy")):
        here = made(name, 0)
        report = report_of(here, routed(honest(here), routing))
        assert report.status == "rejected"
        assert report.failures[0].number == 3


def test_agreement_at_the_recorded_latent_alone_is_no_agreement_everywhere() -> None:
    """All activations but one free: what the others say there is claimed for that latent only."""
    seen = set()
    for name, seed in itertools.product(TREES, SEEDS):
        here = made(name, seed)
        report = report_of(here, honest(here))
        for claim in report.claims:
            if isinstance(claim, Alike):
                assert predicted(here, claim.routing) == here.instance.predicted
                seen.add(claim.everywhere)
        assert len({claim.routing for claim in report.claims if isinstance(claim, Alike)}) == sum(
            word.startswith("alike") for word in words(report.claims)
        )
    assert True in seen


def chain(routing: str, leaves: list[int], prototypes: int = 2) -> Decision:
    """A root whose right child is a leaf, and a second node to the left."""
    nodes = (Node(0, 1, -3), Node(prototypes - 1, -1, -2))
    weight = [list(leaves), [0] * 3]
    return Decision("tree", 2, weight, [0, 0], 0, (), nodes, routing=routing)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("routing", "shares", "wanted"),
    [
        ("greedy", (0.25, 0.75), 0.25),  # left, right: the second leaf, by a quarter at the root
        ("greedy", (0.5, 0.9), 0.0),  # a tie at the root is nobody's
        ("greedy", (0.75, 0.9), -0.25),  # the bad leaf
        ("sample-max", (0.25, 0.75), 0.75 * 0.75 - 0.25),
        ("sample-max", (0.45, 0.5), 0.55 * 0.5 - 0.45),  # greedily good, and not the largest
    ],
)
def test_margins_by_hand(routing: str, shares: tuple[float, float], wanted: float) -> None:
    """Leaves 0 and 1 are good, leaf 2 (right of the root) is bad."""
    decision = chain(routing, [1, 1, -1])
    ends = [arb(share) for share in shares]
    value = decision.least(decision.over(0, 1), ends.__getitem__, ends.__getitem__)
    assert value is not None
    assert float(value) == pytest.approx(wanted)


@pytest.mark.parametrize("routing", ["greedy", "sample-max"])
def test_a_leaf_that_favours_neither_is_good_for_neither(routing: str) -> None:
    decision = chain(routing, [1, 0, 1])
    ends = [arb(0.25), arb(0.75)]  # leaf 1 counts, and scores both alike
    for score in (decision.over(0, 1), decision.over(1, 0)):
        value = decision.least(score, ends.__getitem__, ends.__getitem__)
        assert value is not None
        assert value < 0


def test_only_trees_route() -> None:
    with pytest.raises(ModelError, match="routes nothing"):
        Decision("linear", 1, [[1], [0]], [0, 0], 0, routing="greedy")
    with pytest.raises(ModelError, match="routes nothing"):
        made("distances", 0).head.routed("greedy")


def test_rounding_of_irrational_leaves_shows_no_loss() -> None:
    """Two classes that score alike, up to what rounding took: neither certainly loses."""
    nodes = (Node(0, -1, -2),)
    decision = Decision("tree", 1, [[1, 1], [1, 1]], [0, 0], 0, (), nodes, slack=2)
    assert decision.over(0, 1) == Score([0, 0], -2)
    assert decision.over(1, 0) == Score([0, 0], -2)
    here = made("a tree of distances", 0)
    for rival in here.rivals:  # nor at the recorded latent, where the prediction holds
        assert not loses(here.head, here.instance, rival, here.exact.moved({}))
