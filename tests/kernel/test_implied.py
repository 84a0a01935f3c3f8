"""Bounds that activation facts give for other prototypes, and forgeries of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.certificate.schema import ImpliedBound
from protoproof.kernel import CheckReport, ModelFile, check
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.rows import implied_bounds
from tests.support.kernel.builders import Scene, ceiling_core, file, head_of, scene
from tests.support.kernel.forging import failed
from tests.support.kernel.second_checker import second_check


def needing() -> tuple[Scene, dict[str, Any]]:
    """A certificate that is proved by implied bounds, and not without them."""
    for seed in range(400):
        here = scene(seed, count=6, channels=3, classes=2, grid=(1, 2))
        for names in range(1, 5):
            for above in range(6):
                found = ceiling_core(here, names, above)
                if any(entry.stretch[0] == "-" for entry in found.evidence.implied):
                    continue  # `test_kept_off` is about these
                if check(file(found), here.data).accepted:
                    bare = found.model_copy(
                        update={"evidence": found.evidence.model_copy(update={"implied": ()})}
                    )
                    if check(file(bare), here.data).status == "incomplete":
                        return here, json.loads(file(found))
    raise AssertionError("no such scene")


HERE, DOCUMENT = needing()
MODEL = ModelFile(HERE.data)


def verdict(change: Callable[[list[dict[str, Any]]], None]) -> CheckReport:
    document = json.loads(json.dumps(DOCUMENT))
    change(document["core"]["evidence"]["implied"])
    assert document != DOCUMENT
    return check(json.dumps(document).encode(), MODEL)


def test_the_second_checker_agrees() -> None:
    assert second_check(json.dumps(DOCUMENT).encode(), HERE.data)
    bare = json.loads(json.dumps(DOCUMENT))
    bare["core"]["evidence"]["implied"] = []
    assert not second_check(json.dumps(bare).encode(), HERE.data)


UNNAMED = next(
    j
    for j in range(6)
    if j not in [f.get("prototype") for f in DOCUMENT["core"]["facts"]]
)  # fmt: skip
MALFORMED: dict[str, Callable[[list[dict[str, Any]]], None]] = {
    "a fact that is not stated": lambda rows: rows[0].update(via=UNNAMED),
    "a fact about no prototype": lambda rows: rows[0].update(via=77),
    "a prototype out of range": lambda rows: rows[0].update(prototype=6),
    "no stretch": lambda rows: rows[0].update(stretch=(0.0).hex()),
    "a negative stretch": lambda rows: rows[0].update(
        stretch=(-float.fromhex(rows[0]["stretch"])).hex()
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_ones_are_rejected(name: str) -> None:
    report = verdict(MALFORMED[name])
    assert not report.accepted
    assert 7 in failed(report)


def test_a_weak_stretch_only_weakens() -> None:
    def weaken(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["stretch"] = (2.0**40).hex()

    assert verdict(weaken).status in ("incomplete", "accepted")


@given(st.integers(0, 10**6), st.floats(2.0**-40, 2.0**40))
def test_never_below_the_triangle_bound(seed: int, stretch: float) -> None:
    """Any positive stretch gives at least (sqrt h + |p_i - p_j|)^2, the best one about that."""
    here = scene(seed % 50, count=4, channels=3)
    head = head_of(here.data)
    i, j = seed % 4, (seed // 4) % 4
    near = Fraction(seed % 1000, 1024)
    apart = sum(
        (Fraction(float(a)) - Fraction(float(b))) ** 2
        for a, b in zip(here.tiny.prototypes[i], here.tiny.prototypes[j], strict=True)
    )
    entry = ImpliedBound(prototype=j, via=i, stretch=stretch.hex())
    ((_, _, high),) = implied_bounds(head, [entry], {i: near.as_integer_ratio()}, {})
    bound = Fraction(high, 1 << GRID)
    # x >= (sqrt h + sqrt g)^2 iff x >= h + g and (x - h - g)^2 >= 4 h g
    assert bound >= near + apart
    assert (bound - near - apart) ** 2 >= 4 * near * apart
    if near and apart:
        best = math.sqrt(apart / near)
        entry = ImpliedBound(prototype=j, via=i, stretch=best.hex())
        ((_, _, high),) = implied_bounds(head, [entry], {i: near.as_integer_ratio()}, {})
        bound = Fraction(high, 1 << GRID)
        assert float(bound) == pytest.approx((math.sqrt(near) + math.sqrt(apart)) ** 2)
