"""Moved latents in fractions: where moves lead, where they leave the domain, and who loses."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from protoproof.certificate.schema import (
    ActivationFact,
    BoxDomain,
    CeilingFact,
    Fact,
    Move,
    PairFact,
    Refutation,
    Witness,
)
from protoproof.errors import CertificateError
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.contrast import contrasts
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.measurer import Point
from protoproof.kernel.latent.witness import (
    departures,
    materialise,
    second_intersection,
    witness_complaints,
)
from protoproof.kernel.model.decision import Decision
from protoproof.kernel.model.head import Geometry, Head
from tests.support.kernel.exactly import core_of, linear, small_head
from tests.support.kernel.moves import encode

POINTS = [[0, 0, 0], [4, 0, 0], [0, 6, 0], [1, 1, 8]]
WEIGHT = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
FREE = LatentDomain(2, 3)
LATENT = [[1.0, 0.5, 0.0], [0.0, 0.0, 2.0]]
Vector = list[Fraction]


def head_of(geometry: Geometry = "euclidean", shift: int = 1) -> Head:
    return small_head(POINTS, linear(WEIGHT), shift=shift, geometry=geometry, locations=(0, 0))


def latent_of(head: Head, values: Sequence[Sequence[float]] = LATENT) -> Latent:
    return Latent(head, np.array(values, np.float32))


def vector(values: Sequence[float]) -> Vector:
    return [Fraction(float(x)) for x in values]


def point(latent: Latent, found: Point) -> Vector:
    return [Fraction(n, found.denominator << latent.shift) for n in found.numerators]


def dot(a: Vector, b: Vector) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def minus(a: Vector, b: Vector) -> Vector:
    return [x - y for x, y in zip(a, b, strict=True)]


def move(location: int, direction: Sequence[float], keep: Sequence[int] = ()) -> Move:
    return Move(location=location, keep=tuple(keep), direction=encode(direction))


@pytest.mark.trust(22)
@pytest.mark.parametrize("geometry", ["euclidean", "linear", "angular"])
@pytest.mark.parametrize("keep", [(), (1,), (1, 2), (0, 1, 3)])
def test_moves_keep_what_they_say_and_go_where_they_point(
    geometry: Geometry, keep: tuple[int, ...]
) -> None:
    """Along the part of the direction that is orthogonal to what is kept; not to v itself."""
    head = head_of(geometry)
    if geometry != "euclidean" and 0 in keep:
        keep = (1, 3)  # the prototype at 0 has no direction
    values = [[1.0, 0.5, 0.25], LATENT[1]]
    latent = latent_of(head, values)
    step = [0.25, -1.5, 0.125]
    for kind in ("free", "sphere"):
        where = LatentDomain(2, 3)
        where.kind = kind
        z = point(latent, materialise(latent, where, [move(0, step, keep)])[0])
        v, d = vector(values[0]), vector(step)
        gone = minus(z, v)
        assert any(gone)
        if not keep:
            assert gone == d
            continue
        p = [[Fraction(n, 2) for n in POINTS[j]] for j in keep]
        if geometry == "euclidean":
            for q in p:
                assert dot(minus(z, q), minus(z, q)) == dot(minus(v, q), minus(v, q))
            p = [minus(q, p[0]) for q in p[1:]]
        else:
            assert all(dot(gone, q) == 0 for q in p)
            around = geometry == "angular" or kind == "sphere"
            assert (dot(z, z) == dot(v, v)) is around
        # what was left out of the direction is a combination of what is kept
        scale = dot(gone, gone) / dot(gone, d)
        rest = minus(d, [x / scale for x in gone])
        assert dot(rest, gone) == 0
        assert all(dot(gone, q) == 0 for q in p)


@pytest.mark.trust(22)
def test_the_second_intersection_is_on_the_sphere_and_the_line() -> None:
    for here, centre, along in (
        ([1, 2], [0, 0], [1, 0]), ([3, -1], [1, 1], [2, -5]), ([0, 7], [0, 7], [1, 3]),
        ([1, 0], [0, 0], [0, 4]),
    ):  # fmt: skip
        found = second_intersection(here, centre, along)
        z = [Fraction(n, found.denominator) for n in found.numerators]
        v, c = [Fraction(n) for n in here], [Fraction(n) for n in centre]
        assert dot(minus(z, c), minus(z, c)) == dot(minus(v, c), minus(v, c))
        gone = minus(z, v)
        assert gone[0] * along[1] == gone[1] * along[0]
        tangent = dot(minus(v, c), [Fraction(n) for n in along]) == 0
        assert any(gone) is not tangent
    with pytest.raises(CertificateError, match="vanishes"):
        second_intersection([1, 2], [0, 0], [0, 0])


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    ("moves", "reason"),
    [
        ((move(2, [1, 0, 0]),), "out of range, or twice"),
        ((move(0, [1, 0, 0]), move(0, [1, 0, 0])), "out of range, or twice"),
        ((move(0, [1, 0, 0], (1, 1)),), "keeps a prototype twice"),
        ((move(0, [1, 0, 0], (4,)),), "one that does not exist"),
        ((move(0, [1, 0, 0], (1, 4)),), "one that does not exist"),
        ((move(0, [0, 0, 0], (1,)),), "vanishes"),
        ((move(0, [1, 0, 0], (0, 1)),), "vanishes"),
    ],
)
def test_moves_that_make_no_sense_are_refused(moves: tuple[Move, ...], reason: str) -> None:
    with pytest.raises(CertificateError, match=reason):
        materialise(latent_of(head_of()), FREE, moves)


@pytest.mark.trust(22)
def test_no_more_is_kept_than_an_affine_basis() -> None:
    points = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [2, 0, 1]]
    head = small_head(points, linear([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]]), locations=(0, 0))
    for count, reason in ((4, "vanishes"), (5, "more prototypes than an affine basis")):
        with pytest.raises(CertificateError, match=reason):
            materialise(latent_of(head), FREE, [move(0, [1, 2, 3], range(count))])
    line = small_head([[0, 0, 0], [1, 0, 0], [2, 0, 0]], linear([[1] * 3, [0] * 3]))
    with pytest.raises(CertificateError, match="dependent; keep fewer"):
        materialise(Latent(line, np.ones((1, 3), np.float32)), FREE, [move(0, [1, 2, 3], range(3))])
    scaled = small_head(
        points, linear([[1] * 5, [0] * 5]), geometry="diagonal", locations=(0, 0),
        scales=([1] * 15, 0),
    )  # fmt: skip
    with pytest.raises(CertificateError, match="weight per channel"):
        materialise(latent_of(scaled), FREE, [move(0, [1, 2, 3], (0,))])


def outside(where: LatentDomain, *points: Sequence[float]) -> list[str]:
    """What is said of locations that are at float64 points, over thirds of the unit."""
    latent = latent_of(head_of())
    moved = {
        k: Point([int(Fraction(x) * 3 * (1 << latent.shift)) for x in values], 3)
        for k, values in enumerate(points)
    }
    return list(departures(where, latent, moved))


@pytest.mark.trust(22)
def test_a_latent_leaves_a_box_beyond_its_edge() -> None:
    box = read_domain(BoxDomain(lower=(-0.5).hex(), upper=(2.0).hex()), 2, 3)
    half = read_domain(BoxDomain(lower=(-0.5).hex(), upper=None), 2, 3)
    assert not outside(box, [-0.5, 0.0, 2.0], [2.0, 2.0, 2.0])
    assert outside(box, [-0.5, 0.0, 2.5]) == ["leaves the domain at location 0, channel 2"]
    assert outside(box, [0.0] * 3, [0.0, -1.0, 0.0]) == [
        "leaves the domain at location 1, channel 1"
    ]
    assert not outside(half, [9.0, 0.0, -0.5])
    assert outside(half, [9.0, -1.0, 0.0])
    assert not outside(FREE, [9.0, -9.0, 0.0])


@pytest.mark.trust(22)
def test_a_linear_bound_is_about_all_locations() -> None:
    """z_00 + 2 z_10 - z_12 >= 1, and what does not move stays at v."""
    form = np.array([[1.0, 0, 0], [2.0, 0, -1.0]])
    wide = np.full((2, 3), 9.0)
    where = BoundedDomain.around(-wide, wide, [(form, (1, 1))])
    # at v: 1 + 0 - 2
    assert list(departures(where, latent_of(head_of()), {})) == [
        "leaves the domain: linear bound 0"
    ]
    assert not outside(where, [3.0, 0.0, 0.0])
    assert outside(where, [2.5, 0.0, 0.0]) == ["leaves the domain: linear bound 0"]
    assert not outside(where, [1.0, 0, 0], [0.0, 5.0, 0.0])
    assert outside(where, [0.5, 0, 0], [0.0, 5.0, 0.0])
    assert not outside(where, [-1.0, 0, 0], [1.0, 5.0, 0.0])
    two = [*[(form, (1, 1))], (-form, (-2, 1))]
    where = BoundedDomain.around(-wide, wide, two)
    assert not outside(where, [2.0, 0, 0], [0.0, 0.0, 0.0])
    assert outside(where, [2.5, 0, 0], [0.0, 0.0, 0.0]) == ["leaves the domain: linear bound 1"]


def activation(j: int, low: float, high: float) -> ActivationFact:
    return ActivationFact(prototype=j, lower=low.hex(), upper=high.hex())


def pair(k: int, j: int, low: float, high: float) -> PairFact:
    return PairFact(location=k, prototype=j, lower=low.hex(), upper=high.hex())


def told(facts: Sequence[Fact], witness: Witness, where: LatentDomain = FREE) -> list[str]:
    head = head_of()
    core = core_of(head, LATENT, facts)
    return list(witness_complaints(core, where, latent_of(head), witness))


@pytest.mark.trust(22)
def test_a_witness_meets_all_facts_but_its_own_and_loses() -> None:
    """The first location goes to (2, 0, 0), on prototype 1: its class leads from there."""
    facts: list[Fact] = [
        pair(0, 1, 1.25, 1.25),  # of v; there it is 0
        pair(1, 0, 4.0, 4.0),  # at the location that stays
        activation(0, 1.25, 4.0),
        CeilingFact(bound=(0.0).hex(), exempt=(0,)),
    ]
    there = Witness(fact=0, rival=1, moves=(move(0, [1.0, -0.5, 0.0]),))
    assert not told(facts, there)
    assert told(facts, there.model_copy(update={"fact": 2})) == ["violates fact 0 too"]
    for index, worse in (
        (2, activation(0, 1.25, 3.75)), (3, CeilingFact(bound=(0.25).hex(), exempt=(0,))),
        (1, pair(0, 0, 1.25, 1.25)), (2, activation(1, 0.25, 1.25)),
    ):  # fmt: skip
        changed = [*facts[:index], worse, *facts[index + 1 :]]
        assert told(changed, there) == [f"violates fact {index} too"]
    # what is said of a location that stays is true there: obligation 6 says so of v
    assert not told([*facts, pair(1, 1, 9.0, 9.5)], there)
    assert told(facts, there.model_copy(update={"rival": 2})) == [
        "does not certainly lose to class 2"
    ]
    near = Witness(fact=0, rival=1, moves=(move(0, [-0.5, -0.5, 0.0]),))
    assert "does not certainly lose to class 1" in told(facts, near)
    # half way between the two, nobody leads
    tie = Witness(fact=0, rival=1, moves=(move(0, [0.0, -0.5, 0.0]),))
    assert told(facts, tie)[-1] == "does not certainly lose to class 1"
    box = read_domain(BoxDomain(lower=(0.0).hex(), upper=(1.5).hex()), 2, 3)
    assert told(facts, there, box) == ["leaves the domain at location 0, channel 0"]


@pytest.mark.trust(22)
def test_a_contrast_leads_over_every_other_class() -> None:
    """And counts the pairs whose tightest facts it violates."""
    head = head_of()

    def found(rival: int, where: LatentDomain = FREE, *moves: Move) -> list[tuple[int, int]]:
        core = core_of(head, LATENT, contrasts=(Refutation(rival=rival, moves=moves),))
        claims = contrasts(core, where, latent_of(head))
        return [(claim.rival, claim.count) for claim in claims]

    away = move(0, [1.0, -0.5, 0.0])
    assert found(1, FREE, away) == [(1, 4)]
    # on the mirror image of v in channel 1 nothing is violated but the third prototype
    with pytest.raises(CertificateError, match="contrast 0: class 0 is not a rival"):
        found(0, FREE, away)
    with pytest.raises(CertificateError, match="class 3 is not a rival"):
        found(3, FREE, away)
    with pytest.raises(CertificateError, match="not certainly predicted as class 2"):
        found(2, FREE, away)
    box = read_domain(BoxDomain(lower=(0.0).hex(), upper=(2.0).hex()), 2, 3)
    assert found(1, box, away) == [(1, 4)]
    less = read_domain(BoxDomain(lower=(0.0).hex(), upper=(1.5).hex()), 2, 3)
    with pytest.raises(CertificateError, match="contrast 0: leaves the domain"):
        found(1, less, away)
    # a tie with a third class is no prediction: (1, 3/2, 0) is as far from 1 as from 2
    with pytest.raises(CertificateError, match="not certainly predicted"):
        found(1, FREE, move(0, [2.0, 1.75, 0.0]))
    both = (move(0, [1.0, -0.5, 0.0]), move(1, [0.0, 0.0, 1.0]))
    assert found(1, FREE, *both) == [(1, 8)]


@pytest.mark.trust(22)
def test_a_tie_with_a_third_class_is_no_contrast() -> None:
    """(5/2, 5/2) is as far from the second prototype as from the third."""
    head, values = head_of(), [[1.0, 0.5, 0.0], [50.0, 50.0, 50.0]]
    latent = latent_of(head, values)
    for step, rival, good in (
        (0.0, 1, False),
        (0.0, 2, False),
        (0.125, 1, True),
        (-0.125, 2, True),
    ):
        given = Refutation(rival=rival, moves=(move(0, [1.5 + step, 2.0, 0.0]),))
        core = core_of(head, values, contrasts=(given,))
        if good:
            assert [claim.rival for claim in contrasts(core, FREE, latent)] == [rival]
            continue
        with pytest.raises(CertificateError, match=f"certainly predicted as class {rival}"):
            list(contrasts(core, FREE, latent))


@pytest.mark.trust(22)
def test_a_label_that_is_decided_otherwise_is_a_contrast() -> None:
    """Whatever becomes of the others."""
    decision = Decision("labels", 4, WEIGHT, [2, 2, 2], 0)
    head = small_head(POINTS, decision, shift=1, locations=(0, 0))
    for rival, good in ((0, True), (1, False), (2, False)):
        given = Refutation(rival=rival, moves=(move(0, [2.0, -0.5, 0.0]),))
        core = core_of(head, LATENT, labels=(0, 1), rivals=(0, 1, 2), contrasts=(given,))
        found = contrasts(core, FREE, latent_of(head))
        if good:
            assert [claim.rival for claim in found] == [0]
            continue
        with pytest.raises(CertificateError, match="certainly predicted"):
            list(found)
