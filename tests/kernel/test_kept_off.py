"""Lower bounds that ceilings and activation facts give for other prototypes, and forgeries."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.schema import ActivationFact, CeilingFact
from protoproof.errors import CertificateError
from protoproof.kernel import CheckReport, ModelFile, check
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.rows import Far, implied_bounds
from protoproof.kernel.model.head import Head
from tests.support.kernel.exactly import linear, small_head
from tests.support.kernel.forging import failed
from tests.support.kernel.kept_off import entry, needing_kept_off
from tests.support.kernel.second_checker import second_check

ONE = 1 << GRID
POINTS = [[-3, 1], [3, 8], [8, 4], [1, 7]]


def head_of(geometry: str = "euclidean") -> Head:
    return small_head(POINTS, linear([[1] * 4, [0] * 4]), shift=1, geometry=geometry)


def lower(head: Head, stretch: float, near: Fraction, via: int = 1) -> list[Fraction]:
    """Of every prototype."""
    entries = [entry(j, via, stretch) for j in range(len(POINTS))]
    found = list(implied_bounds(head, entries, {}, {via: near.as_integer_ratio()}))
    assert [(j, high) for j, _, high in found] == [(j, None) for j in range(len(POINTS))]
    return [Fraction(low, ONE) for _, low, _ in found if low is not None]


@pytest.mark.parametrize("stretch", [-0.375, -0.75, -(2.0**-20), -1 + 2.0**-20])
def test_the_formula_rounded_down(stretch: float) -> None:
    s, near = Fraction(stretch), Fraction(301, 8)
    for j, low in enumerate(lower(head_of(), stretch, near)):
        apart = sum((a - b) ** 2 for a, b in zip(POINTS[j], POINTS[1], strict=True))
        exact = (1 + s) * near + (1 + 1 / s) * Fraction(apart, 4)
        assert low == Fraction(math.floor(exact * ONE), ONE)
        # never more than (sqrt h - sqrt g)^2, which is h + g - 2 sqrt(h g)
        rest = near + Fraction(apart, 4) - low
        assert rest >= 0
        assert rest**2 >= 4 * near * Fraction(apart, 4)


@pytest.mark.parametrize("stretch", [-0.375, -3.0, -(2.0**-10)])
@pytest.mark.parametrize("near", [(-3, 8), (0, 1), (5, 4)])
def test_of_angles_almost_the_best(stretch: float, near: tuple[int, int]) -> None:
    """At most -s h - |p_j + s p_i|, and hardly less."""
    s, h = Fraction(stretch), Fraction(*near)
    for j, low in enumerate(lower(head_of("angular"), stretch, h)):
        apart = [Fraction(a) + s * b for a, b in zip(POINTS[j], POINTS[1], strict=True)]
        square = sum((x * x for x in apart), Fraction(0)) / 4
        rest = -s * h - low
        assert rest > 0
        assert square <= rest**2 < square * (1 + Fraction(1, 2**30))


@pytest.mark.parametrize("geometry", ["euclidean", "angular"])
def test_no_latent_is_nearer(geometry: str) -> None:
    """Random latents that keep away from one prototype, and the one that does only just."""
    rng, head = np.random.default_rng(0), head_of(geometry)
    points = np.array(POINTS) / 2
    z = rng.normal(size=(4000, 2)) * 4 + points[rng.integers(0, 4, 4000)]
    measured = ((z[:, None] - points) ** 2).sum(-1)
    if geometry == "angular":
        measured = -(z @ points.T) / np.linalg.norm(z, axis=1)[:, None]
    for via in range(4):
        for near in np.quantile(measured[:, via], [0.1, 0.5, 0.9]).tolist():
            kept = measured[measured[:, via] >= near]
            for stretch in (-0.9, -0.5, -0.2, -0.05):
                found = lower(head, stretch, Fraction(near), via)
                assert (kept >= [float(low) - 1e-9 for low in found]).all()
    if geometry == "euclidean":  # beyond p_j on the line through p_i: the bound is attained there
        away = np.linalg.norm(points - points[1], axis=1)
        for j in (0, 2, 3):
            near = Fraction(100)
            found = lower(head, -away[j] / 10, near)
            assert float(found[j]) == pytest.approx((10 - away[j]) ** 2)


def test_what_starts_it() -> None:
    facts = (
        ActivationFact(prototype=0, lower=(1.0).hex(), upper=(2.0).hex()),
        CeilingFact(bound=(1.5).hex(), exempt=(1, 2)),
        CeilingFact(bound=(0.5).hex(), exempt=(1,)),
    )
    far = Far(head_of(), facts)
    assert [far[j] for j in (0, 2, 3)] == [(3, 2), (1, 2), (3, 2)]
    assert [j in far for j in range(5)] == [True, False, True, True, False]
    alone = Far(head_of(), facts[:1])
    assert alone[0] == (1, 1)
    assert 3 not in alone
    with pytest.raises(CertificateError):
        list(implied_bounds(head_of(), [entry(0, 1, -2.0)], {}, {1: (1, 1)}))


HERE, DOCUMENT = needing_kept_off()
MODEL = ModelFile(HERE.data)
PLACE = next(
    n for n, e in enumerate(DOCUMENT["core"]["evidence"]["implied"]) if e["stretch"][0] == "-"
)


def verdict(change: Callable[[dict[str, Any]], None]) -> CheckReport:
    document = json.loads(json.dumps(DOCUMENT))
    change(document["core"]["evidence"]["implied"][PLACE])
    assert document != DOCUMENT
    return check(json.dumps(document).encode(), MODEL)


def test_the_second_checker_agrees() -> None:
    assert second_check(json.dumps(DOCUMENT).encode(), HERE.data)
    bare = json.loads(json.dumps(DOCUMENT))
    del bare["core"]["evidence"]["implied"][PLACE:]
    assert not second_check(json.dumps(bare).encode(), HERE.data)


EXEMPT = next(
    j
    for j in next(f["exempt"] for f in DOCUMENT["core"]["facts"] if f["kind"] == "ceiling")
    if j not in [f.get("prototype") for f in DOCUMENT["core"]["facts"]]
)  # fmt: skip
MALFORMED: dict[str, Callable[[dict[str, Any]], None]] = {
    "a prototype that no fact keeps away": lambda row: row.update(via=EXEMPT),
    "one that is none": lambda row: row.update(via=77),
    "a prototype out of range": lambda row: row.update(prototype=6),
    "no stretch": lambda row: row.update(stretch=(0.0).hex()),
    "all of it": lambda row: row.update(stretch=(-1.0).hex()),
    "more than all": lambda row: row.update(stretch=(-1.5).hex()),
    "from above, without a name": lambda row: row.update(
        stretch=(-float.fromhex(row["stretch"])).hex()
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_ones_are_rejected(name: str) -> None:
    report = verdict(MALFORMED[name])
    assert not report.accepted
    assert 7 in failed(report)


def test_a_weak_stretch_only_weakens() -> None:
    for stretch in (-(2.0**-20), -1 + 2.0**-20):
        assert verdict(lambda row, s=stretch: row.update(stretch=s.hex())).status == "incomplete"


def test_without_its_ceiling_nothing_is_kept_away() -> None:
    document = json.loads(json.dumps(DOCUMENT))
    facts = document["core"]["facts"]
    document["core"]["facts"] = [f for f in facts if f["kind"] != "ceiling"]
    document["core"]["vocabulary"] = "mixed"
    report = check(json.dumps(document).encode(), MODEL)
    assert 7 in failed(report)


def test_a_ceiling_that_is_a_shade_lower_than_observed_is_rejected() -> None:
    document = json.loads(json.dumps(DOCUMENT))
    fact = next(f for f in document["core"]["facts"] if f["kind"] == "ceiling")
    fact["bound"] = math.nextafter(float.fromhex(fact["bound"]), math.inf).hex()
    assert check(json.dumps(document).encode(), MODEL).status == "rejected"
