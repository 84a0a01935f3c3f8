"""Cases: whatever path a latent follows, its distances stay within the bounds of that path."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from protoproof.certificate.cases import (
    CaseNode,
    CaseTree,
    ChannelSplit,
    DistanceSplit,
    Leaf,
    NearestSplit,
    PlaceSplit,
)
from protoproof.certificate.schema import Core, IntervalEvidence
from protoproof.errors import CertificateError
from protoproof.kernel import check
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.budget import MAX_STEPS
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.case_bounds import CaseBounds
from protoproof.kernel.latent.case_tree import (
    LOOK,
    MAX_DEPTH,
    Step,
    children,
    leaves,
    looks,
)
from protoproof.kernel.latent.cases import _boxed, _follow
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.model.head import Head
from tests.support.kernel.builders import (
    Scene,
    core,
    distance,
    exact,
    file,
    head_of,
    scene,
    topk_core,
)
from tests.support.kernel.models import random_tiny

UNIT = 1 << GRID


def start(here: Scene, *, box: bool) -> tuple[Head, Core, LatentDomain, Bounds]:
    """What holds in every case when nothing but one very high ceiling is stated."""
    content = core(here, [here.ceiling(0, range(len(here.best)))], "mixed", box=box)
    head = head_of(here.data)
    region = read_domain(content.domain, head.location_count, head.channels)
    return head, content, region, Bounds(head, content, region)


def random_step(
    rng: np.random.Generator, z: np.ndarray, q: list[list[Fraction]], *, channels: bool
) -> Step:
    """A split, and the child that a latent with distances q follows."""
    locations, prototypes = len(q), len(q[0])
    place, j = int(rng.integers(locations)), int(rng.integers(prototypes))
    near = [min(column) for column in zip(*q, strict=True)]
    kind = rng.choice(["distance", "nearest", "place", *(["channel"] if channels else [])])
    if kind == "place":
        size = int(rng.integers(1, locations + 1))
        listed = tuple(sorted(rng.permutation(locations)[:size].tolist()))
        attained = next(k for k in range(locations) if q[k][j] == near[j])
        child = listed.index(attained) if attained in listed else len(listed)
        return PlaceSplit(prototype=j, locations=listed), child
    if kind == "channel":
        channel = int(rng.integers(z.shape[1]))
        at = float(z[place, channel] + rng.normal() * 0.1)
        split = ChannelSplit(location=place, channel=channel, at=at.hex())
        return split, int(Fraction(float(z[place, channel])) > Fraction(at))
    true = q[place][j] if kind == "distance" else near[j]
    at = float(true) * float(rng.uniform(0.5, 1.5))
    if kind == "distance":
        return DistanceSplit(location=place, prototype=j, at=at.hex()), int(true > Fraction(at))
    return NearestSplit(prototype=j, at=at.hex()), int(true > Fraction(at))


@pytest.mark.parametrize("box", [False, True])
def test_no_latent_leaves_the_bounds_of_its_path(box: bool) -> None:
    here = scene(5, grid=(1, 3), count=5, channels=2, operator="Sigmoid" if box else "")
    head, _, region, known = start(here, box=box)
    points = [exact(p) for p in here.tiny.prototypes]
    for seed in range(150):
        rng = np.random.default_rng(seed)
        z = rng.random(here.latent.shape).astype(np.float32)
        q = [[distance(exact(row), p) for p in points] for row in z]
        path = [random_step(rng, z, q, channels=box) for _ in range(int(rng.integers(1, 9)))]
        bounds = CaseBounds(head, known)
        _follow(bounds, path)
        boxed = _boxed(head, region, bounds, path)
        bounds.settle()
        assert not bounds.is_empty()
        for place, row in enumerate(q):
            for j, value in enumerate(row):
                low, high = bounds.at(place, j)
                assert Fraction(low, UNIT) <= value
                assert high is None or value <= Fraction(high, UNIT)
        for j, column in enumerate(zip(*q, strict=True)):
            low, high = bounds.best[j]
            assert Fraction(low, UNIT) <= min(column)
            assert high is None or min(column) <= Fraction(high, UNIT)
            place = column.index(min(column))
            _, others = bounds.elsewhere(place, j)
            rest = [value for k, value in enumerate(column) if k != place]
            assert others is None or Fraction(others, UNIT) <= max([*rest, min(column)])
        if box:
            for place, row in enumerate(z):
                for value, low, high in zip(row, *boxed.ends(place), strict=True):
                    assert Fraction(low, 1 << boxed.shift) <= Fraction(float(value))
                    assert high is not None
                    assert Fraction(float(value)) <= Fraction(high, 1 << boxed.shift)


def test_a_channel_without_any_box_is_refused() -> None:
    here = scene(5, grid=(1, 3), count=5, channels=2, operator="")
    head, _, region, known = start(here, box=False)
    bounds = CaseBounds(head, known)
    path: list[Step] = [(ChannelSplit(location=0, channel=0, at=(0.5).hex()), 0)]
    with pytest.raises(CertificateError, match="no box"):
        _boxed(head, region, bounds, path)
    # a distance that is bounded there gives it one
    path.insert(0, (DistanceSplit(location=0, prototype=1, at=(0.25).hex()), 0))
    _follow(bounds, path)
    lower, upper = _boxed(head, region, bounds, path).ends(0)
    assert all(low < (high or 0) for low, high in zip(lower, upper, strict=True))


def test_contradictory_paths_are_empty() -> None:
    here = scene(5, grid=(1, 3), count=5, channels=2, operator="Sigmoid")
    head, _, _, known = start(here, box=True)
    cases: list[list[Step]] = [
        [
            (DistanceSplit(location=1, prototype=0, at=(0.25).hex()), 0),
            (DistanceSplit(location=1, prototype=0, at=(0.5).hex()), 1),
        ],
        [
            (DistanceSplit(location=1, prototype=0, at=(0.25).hex()), 0),
            (NearestSplit(prototype=0, at=(0.5).hex()), 1),
        ],
        [
            (PlaceSplit(prototype=0, locations=(0,)), 0),
            (PlaceSplit(prototype=0, locations=(0,)), 1),
        ],
        [
            (PlaceSplit(prototype=0, locations=(0,)), 0),
            (NearestSplit(prototype=0, at=(0.25).hex()), 0),
            (DistanceSplit(location=0, prototype=0, at=(0.5).hex()), 1),
        ],
    ]
    for path in cases:
        bounds = CaseBounds(head, known)
        _follow(bounds, path)
        assert bounds.is_empty()
        shorter = CaseBounds(head, known)
        _follow(shorter, path[:-1])
        assert not shorter.is_empty()


def test_walks_visit_every_leaf_in_order() -> None:
    head = head_of(scene(5, grid=(1, 3), count=5, channels=2).data)
    split = NearestSplit(prototype=0, at=(1.0).hex())
    places = PlaceSplit(prototype=0, locations=(0, 2))
    leaf = Leaf()
    nodes = [places, leaf, split, leaf, leaf, leaf]
    assert [[child for _, child in path] for path, _ in leaves(nodes, head)] == [
        [0],
        [1, 0],
        [1, 1],
        [2],
    ]
    # where all locations are listed, there is no other
    assert children(PlaceSplit(prototype=0, locations=(0, 1, 2)), head) == 3
    for wrong in (nodes[:-1], [*nodes, leaf], [], [split]):
        with pytest.raises(CertificateError):
            list(leaves(wrong, head))
    deep = [split] * (MAX_DEPTH + 1) + [leaf] * (MAX_DEPTH + 2)
    with pytest.raises(CertificateError, match="deeper"):
        list(leaves(deep, head))


def test_what_cases_cost_is_known_before_any_is_examined() -> None:
    here = scene(5, grid=(1, 3), count=5, channels=2, operator="Sigmoid")
    head, *_ = start(here, box=True)
    rival = here.rivals[0]

    def comb(split: CaseNode) -> int:
        return looks(head, [CaseTree(rival=rival, nodes=(split, Leaf()) * 40 + (Leaf(),))])

    cheap = comb(NearestSplit(prototype=0, at=(0.25).hex()))
    boxes = comb(ChannelSplit(location=0, channel=0, at=(0.25).hex()))
    # 41 cases of 5 prototypes, of which those with a box look at 2 channels and 3 locations
    assert 41 * 5 <= cheap < boxes
    assert boxes >= 41 * 5 * (2 + 3)
    assert LOOK * boxes < MAX_STEPS


def test_more_cases_than_can_be_examined_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    here = scene(2, grid=(2, 2), bias=None)
    content = topk_core(here)
    trees = tuple(CaseTree(rival=rival, nodes=(Leaf(),)) for rival in here.rivals)
    evidence = content.evidence.model_copy(update={"cases": trees})
    certificate = file(content.model_copy(update={"evidence": evidence}))
    assert check(certificate, here.data).accepted
    head = head_of(here.data)
    monkeypatch.setattr(
        "protoproof.kernel.latent.case_tree.LOOK", MAX_STEPS // looks(head, trees) + 1
    )
    report = check(certificate, here.data)
    assert report.status == "incomplete"
    assert "all cases ask" in report.obligations[6].detail.replace("asks", "ask")
    assert report.obligations[6].passed is None


def test_a_case_that_fails_says_nothing_of_the_others() -> None:
    """Its own lower bound is none of the margin: in another case the margin may be lower."""
    tiny = random_tiny(
        1, channels=1, count=2, classes=2, grid=(1, 1), similarity="reciprocal", operator="Sigmoid"
    ).but(
        prototypes=np.array([[0.0], [1.0]], np.float32),
        weight=np.array([[4.0, 0.0], [0.0, 4.0]], np.float32),
    )
    here = Scene(tiny, np.array([[0.25]], np.float32))
    # at z it is 4 / (1 + z^2) - 4 / (1 + (1 - z)^2): -2 at z = 1
    tree = CaseTree(
        rival=1, nodes=(ChannelSplit(location=0, channel=0, at=(0.5).hex()), Leaf(), Leaf())
    )
    content = core(here, [], "mixed", box=True, evidence=IntervalEvidence(cases=(tree,)))
    report = check(file(content), here.data)
    assert report.status == "incomplete"
    ((_, lower),) = report.margins
    assert lower <= -2
