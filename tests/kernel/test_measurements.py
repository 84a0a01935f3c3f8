"""Measurements of recorded and moved latents, against their definitions in fractions and roots."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from protoproof.errors import CertificateError
from protoproof.kernel.latent import measurement
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.measurer import Point
from protoproof.kernel.latent.value import Approximate, Exact, Value
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.head import Head, Length, Pooling
from protoproof.kernel.model.primitives import as_ball
from tests.support.kernel.small_heads import PROTOTYPES, SCALES, head_of

F = Fraction
WIDER = 1 + 2.0**-20  # radii are rounded up to few bits
RISES = Chain([Step("mul", (F(3),))])
# as float32: coarser and finer than a prototype, and of another size
COARSE = [[0.5, -1.0], [2.0, 0.0], [-0.5, 1.5]]
FINE = [[0.5, 2.0**-20], [3.0, -(2.0**-9)], [-1.25, 1.5]]
# of one bank the first is long, and less near, but its products are larger
APART = [[-0.5, 64.0], [0.25, 0.25 + 2.0**-20], [-1.25, 1.5]]
MOVED = [[5, -3], [1, 0], [-4, 1]]  # over 3, 7 and 1 times 2**shift
DENOMINATORS = [3, 7, 1]
FLOOR, ADDED, BESIDE = Length(F(9, 16)), Length(F(1, 4), F(1, 3)), Length(F(0), F(1, 8), F(1, 4))

HEADS: dict[str, dict[str, Any]] = {
    "distances": {"geometry": "euclidean"},
    "scaled": {"geometry": "diagonal"},
    "enclosed scales": {"geometry": "diagonal", "slack": F(1, 64)},
    "products": {"geometry": "linear"},
    "angles": {"geometry": "angular"},
    "angles with a floor": {"geometry": "angular", "lengths": [FLOOR]},
    "angles with an addend": {"geometry": "angular", "lengths": [ADDED]},
    "angles beside a number": {"geometry": "angular", "lengths": [BESIDE]},
    "own floors": {"geometry": "angular", "lengths": [FLOOR, ADDED, Length(F(2))]},
    # the first is exact, the others are not
    "own numbers": {"geometry": "angular", "lengths": [ADDED, BESIDE, Length(F(9), F(0), F(4))]},
}


def vectors(latent: Latent, moved: Sequence[int]) -> list[list[Fraction]]:
    """z, exactly."""
    unit = 1 << latent.shift
    return [
        [F(n, DENOMINATORS[k] * unit) for n in MOVED[k]] if k in moved else [F(n, unit) for n in v]
        for k, v in enumerate(latent.points)
    ]


def defined(head: Head, z: list[Fraction], j: int) -> tuple[Fraction, Fraction] | arb:
    """The least and the largest number that a measurement may be; a ball if it is irrational."""
    p = [F(n, 1 << head.shift) for n in PROTOTYPES[j]]
    if head.geometry in ("euclidean", "diagonal"):
        w = [F(n, 8) if head.scales else F(1) for n in SCALES[j]]
        found = sum((a * (x - y) ** 2 for a, x, y in zip(w, z, p, strict=True)), F(0))
        more = 2 * head.scale_slack * sum((x * x for x in (*z, *p)), F(0))
        return found, found + more
    product = sum((x * y for x, y in zip(z, p, strict=True)), F(0))
    if head.geometry == "linear":
        return -product, -product
    length = head.lengths[j if len(head.lengths) > 1 else 0]
    square = max(sum((x * x for x in z), F(0)) + length.added, length.floor)
    if not product:
        return F(0), F(0)
    return -number(product) / (number(square).sqrt() + number(length.beside).sqrt())


def number(value: Fraction) -> arb:
    return arb(value.numerator) / value.denominator


def require(value: Value, wanted: tuple[Fraction, Fraction] | arb) -> None:
    with ctx.workprec(400):
        found = as_ball(value.number())
        if isinstance(wanted, arb):
            assert abs(found - wanted) < arb(2) ** -300
            return
        assert found.contains(number(wanted[0]))
        assert found.contains(number(wanted[1]))
        assert found.rad() <= number(wanted[1] - wanted[0]) / 2 * WIDER + arb(2) ** -300
        if wanted[0] == wanted[1]:
            assert isinstance(value, Exact)
            assert value.at_least((wanted[0].numerator, wanted[0].denominator))
            assert value.at_most((wanted[0].numerator, wanted[0].denominator))


@pytest.mark.trust(22)
@pytest.mark.parametrize(("values", "shift"), [(COARSE, 2), (FINE, 3), (COARSE, 30)])
@pytest.mark.parametrize("kind", HEADS)
def test_measurements_are_what_they_are_defined_as(
    kind: str, values: list[list[float]], shift: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all locations at once, of a few, and of one; also where few are computed at once."""
    monkeypatch.setattr(measurement, "_AT_ONCE", {"angles": 1, "products": 7}.get(kind, 1 << 16))
    head = head_of(**HEADS[kind], shift=shift)
    latent = Latent(head, np.array(values, np.float32))
    assert vectors(latent, ()) == [[F(float(x)) for x in row] for row in np.float32(values)]
    points = {k: Point(MOVED[k], DENOMINATORS[k]) for k in (0, 2)}
    here = latent.moved(points)
    here.need({0: [2, 1]})
    with ctx.workprec(400):
        for k in range(3):
            for j in range(3):
                require(latent.measurement(k, j), defined(head, vectors(latent, ())[k], j))
                require(here.measurement(k, j), defined(head, vectors(latent, (0, 2))[k], j))
    assert sorted(points[0].known) == [0, 1, 2]
    known, whole = dict(points[0].known), points[0].whole
    here.need({0: range(3)})
    assert (points[0].known, points[0].whole) == (known, whole)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("moved", [(), (1,), (0, 2), (0, 1, 2)])
def test_the_least_of_a_bank(kind: str, moved: tuple[int, ...]) -> None:
    """The first location is of another."""
    head = head_of(**HEADS[kind], banks=([0, 1, 1], [0, 1, 1]))
    latent = Latent(head, np.array([APART[2], *APART[:2]], np.float32))
    here = latent.moved({k: Point(MOVED[k], DENOMINATORS[k]) for k in moved})
    if len(moved) == 2:
        here.need(dict.fromkeys(moved, range(3)))
    with ctx.workprec(400):
        for j in range(3):
            every = [defined(head, vectors(latent, moved)[k], j) for k in ((1, 2), (0,))[j == 0]]
            balls = [w if isinstance(w, arb) else number(w[0]).union(number(w[1])) for w in every]
            wanted = balls[0] if len(balls) < 2 else balls[0].min(balls[1])
            for value in (here.best(j), *([] if moved else [latent.best(j)])):
                assert abs(as_ball(value.number()) - wanted).lower() < arb(2) ** -300
                assert as_ball(value.number()).rad() <= wanted.rad() * WIDER + arb(2) ** -300
                assert here.level(j) is value or value is latent.best(j)
            assert latent.level(j) is latent.best(j)
    assert latent.best(0) is latent.best(0)
    assert here.best(0) is here.best(0)


@pytest.mark.parametrize("kind", ["distances", "scaled", "products"])
def test_the_least_where_all_was_measured_at_once(kind: str) -> None:
    """Exactly, also of numbers that differ by less than a floor shows; of equal ones the recorded
    latent's. Where a moved location was not measured as a whole, all the same."""
    rng, head = np.random.default_rng(0), head_of(**HEADS[kind])
    kept = 0
    for number_ in range(60):
        values_ = rng.integers(-2, 3, (3, 2)) / 2
        # squares of such numbers lie between the integers that are compared first
        values_[(values_ == 0) & (rng.random((3, 2)) < 0.7)] = 3 * 2.0**-50
        latent = Latent(head, values_.astype(np.float32))
        moved = np.flatnonzero(rng.random(3) < 0.6).tolist()
        points = {}
        for k in moved:
            under = int(rng.choice([1, 3, 7])) << int(rng.choice([0, 100]))
            by = [int(n) for n in rng.integers(-1, 2, 2)]
            far = under if rng.random() < 0.3 else 1
            at = latent.points[int(rng.integers(3))]
            points[k] = Point([n * under + far * d for n, d in zip(at, by, strict=True)], under)
        here = latent.moved(points)
        whole = moved if number_ % 4 else moved[1:]
        here.need(dict.fromkeys(whole, range(3)))
        assert all((points[k].floors is not None) == (k in whole) for k in moved)
        for j in range(3):
            found = here.best(j)
            every = [here.measurement(k, j) for k in range(3)]
            values = [F(v.numerator, v.unit) for v in every if isinstance(v, Exact)]
            assert isinstance(found, Exact)
            assert F(found.numerator, found.unit) == min(values)
            assert here.activation(j).overlaps(head.chain.value(j, found.number()))
            there = [latent.measurement(k, j) for k in range(3)]
            recorded = [F(v.numerator, v.unit) for v in there if isinstance(v, Exact)]
            nearest = recorded.index(min(recorded))
            if nearest not in moved and values[nearest] == min(values):
                kept += bool(moved)
                assert found is latent.best(j)
    assert kept > 20


@pytest.mark.parametrize("geometry", ["euclidean", "angular"])
@pytest.mark.parametrize("moved", [(), (2,), (0,), (0, 1), (0, 1, 2)])
def test_pooled_values_are_exact_where_everything_is_rational(
    geometry: str, moved: tuple[int, ...]
) -> None:
    """Means over the first two locations, of three times the measurement."""
    banks = ([0, 0, 1], [0, 0, 1])
    head = head_of(geometry, pooling=Pooling("mean"), inner=RISES, banks=banks)
    latent = Latent(head, np.array(FINE, np.float32))
    here = latent.moved({k: Point(MOVED[k], DENOMINATORS[k]) for k in moved})
    here.need(dict.fromkeys(moved, range(3)))
    values = vectors(latent, moved)
    with ctx.workprec(400):
        for j in range(3):
            every = [defined(head, values[k], j) for k in ((0, 1), (2,))[j == 2]]
            balls = [w if isinstance(w, arb) else number(w[0]) for w in every]
            wanted = 3 * sum(balls, arb(0)) / len(balls)
            assert isinstance(here.best(j), Exact if geometry == "euclidean" else Approximate)
            assert abs(as_ball(here.best(j).number()) - wanted) < arb(2) ** -300
            assert abs(here.activation(j) + wanted) < arb(2) ** -300
            level = as_ball(here.level(j).number())
            assert abs(level - wanted) < arb(2) ** -300
            assert isinstance(here.level(j), Approximate)
            if not {0, 1} & set(moved) and j < 2:
                assert abs(as_ball(latent.level(j).number()) - wanted) < arb(2) ** -300
    assert latent.level(0) is latent.level(0)


def test_pooled_values_where_all_was_measured_at_once() -> None:
    """A location that is far now is no nearest one, and still one of those that are pooled."""
    head = head_of("euclidean", pooling=Pooling("mean"), inner=RISES)
    latent = Latent(head, np.array(FINE, np.float32))
    far = [4096 << latent.shift, 0]
    here = latent.moved({2: Point(far)})
    here.need({2: range(3)})
    there = [F(4096), F(0)]
    with ctx.workprec(400):
        for j in range(3):
            values = [defined(head, z, j) for z in (*vectors(latent, ())[:2], there)]
            wanted = sum((one[0] for one in values if isinstance(one, tuple)), F(0))
            assert abs(here.activation(j) + number(wanted)) < arb(2) ** -300


def test_pooled_exponentials_are_balls() -> None:
    chain = Chain([Step("mul", (F(-1),)), Step("exp")])
    head = head_of("euclidean", pooling=Pooling("mean"), inner=chain)
    assert isinstance(Latent(head, np.array(FINE, np.float32)).best(0), Approximate)


def test_levels_of_different_similarities_are_activations() -> None:
    chain = Chain([Step("mul", (F(-1), F(-2), F(-3)))])
    latent = Latent(head_of("euclidean", chain=chain), np.array(FINE, np.float32))
    other = latent.moved({0: Point(MOVED[0], 3)})
    with ctx.workprec(400):
        for here in (latent, latent.moved({}), other):
            for j in range(3):
                wanted = (j + 1) * as_ball(here.best(j).number())
                assert abs(as_ball(here.level(j).number()) - wanted) < arb(2) ** -300


@pytest.mark.parametrize("kind", [name for name in HEADS if "angles" in name or "own" in name])
def test_the_zero_vector_has_the_measurement_0_where_it_has_any(kind: str) -> None:
    for zero in (True, False):
        head = head_of(**HEADS[kind], zero=zero)
        here = Latent(head, np.ones((3, 2), np.float32)).moved({1: Point([0, 0], 5)})
        if kind == "angles" and not zero:
            with pytest.raises(CertificateError, match="no direction"):
                here.measurement(1, 0)
            continue
        for j in range(3):
            require(here.measurement(1, j), (F(0), F(0)))
    tiny = Latent(head_of("angular"), np.ones((3, 2), np.float32)).moved({1: Point([1, 0])})
    assert tiny.measurement(1, 0).same(Exact(-9, 16, True))


@pytest.mark.parametrize("count", [1, 2])
def test_few_prototypes_with_lengths_of_their_own(count: int) -> None:
    lengths = [FLOOR, ADDED][:count]
    head = head_of("angular", lengths, count=count)
    latent = Latent(head, np.array(COARSE, np.float32))
    here = latent.moved({0: Point([2, 0], 5)})
    with ctx.workprec(400):
        for j in reversed(range(count)):
            require(latent.measurement(0, j), defined(head, vectors(latent, ())[0], j))
            moved = [F(2, 5 << latent.shift), F(0)]
            require(here.measurement(0, j), defined(head, moved, j))


def test_sizes_are_limbs_of_the_longest_number() -> None:
    assert Point([1 << 62, -1]).size == 1
    assert Point([1, -(1 << 63)]).size == 2
    assert Point([1], 1 << 128).size == 3
    for shift, limbs in ((44, 3), (46, 2)):
        small = Latent(head_of("euclidean", shift=shift), np.array([[2.0**-149, 0]] * 3, "f4"))
        assert small.shift == 172
        assert small.size == limbs  # of a prototype over 2**172
    large = Latent(head_of("euclidean"), np.array([[2.0**120, 0]] * 3, "f4"))
    assert large.size == 2
    assert large.moved({}).size == 2 * 2 + 1
    assert large.moved({0: Point([1], 1 << 128), 1: Point([1])}).size == 2 * (2 + 3) + 1
