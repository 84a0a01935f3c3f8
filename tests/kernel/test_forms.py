"""Relational evidence: proved where it holds, refused where malformed, harmless where weak."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.certificate.schema import Chord, PlaceMultipliers, RivalForm
from protoproof.kernel import CheckReport, check
from protoproof.kernel.claims import words
from tests.support.examples import examples
from tests.support.heads import SIMILARITIES
from tests.support.kernel.builders import Scene, few_pairs, file, scene
from tests.support.kernel.models import Tiny
from tests.support.kernel.relational import fewest, latents, needs_forms, relational_core

GRIDS = ((1, 1), (1, 2))
HERE, NAMED = needs_forms(0)
CORE = json.loads(file(relational_core(HERE, NAMED)))


def verdict(change: Callable[[Any], None]) -> CheckReport:
    document = json.loads(json.dumps(CORE))
    change(document["core"])
    assert document != CORE
    return check(json.dumps(document).encode(), HERE.data)


def forms(core: Any) -> Any:
    return core["evidence"]["forms"]


def weakest(core: Any) -> Any:
    """The form that the proof cannot do without: intervals leave its margin open."""
    bare = json.loads(json.dumps(core))
    bare["evidence"]["forms"] = []
    report = check(json.dumps({**CORE, "core": bare}).encode(), HERE.data)
    open_ = [rival for rival, lower in report.margins if not lower > 0]
    return next(form for form in forms(core) if form["rival"] in open_)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("box", [False, True])
def test_forms_prove_what_intervals_do_not(
    similarity: str, grid: tuple[int, int], box: bool
) -> None:
    here, named = needs_forms(0, similarity, grid)
    report = check(file(relational_core(here, named, box=box)), here.data)
    assert report.accepted, report.failures
    assert words(report.claims) == ("sufficient",)
    alone = check(file(relational_core(here, named, forms=False)), here.data)
    assert alone.status == "incomplete"
    for (_, with_forms), (_, intervals) in zip(report.margins, alone.margins, strict=True):
        assert with_forms >= intervals


def flip(core: Any) -> None:
    for place in weakest(core)["multipliers"]:
        place["mu"] = [-value for value in place["mu"]]


def flatten(core: Any) -> None:
    for entry in weakest(core)["supports"]:
        entry["at"] = (1e6).hex()


def drown(core: Any) -> None:
    for place in weakest(core)["multipliers"]:
        place["mu"] = [-(10**20) for _ in place["mu"]]


def swap_locations(core: Any) -> None:
    """Every listed prototype at the other location, with multipliers of the facts there."""
    form = weakest(core)
    for entry in (*form["supports"], *form["opposes"]):
        entry["location"] = 1 - entry["location"]
    form["multipliers"] = [
        {"location": k, "facts": NAMED[k], "shift": 0, "mu": [9] * len(NAMED[k])}
        for k in sorted({e["location"] for e in (*form["supports"], *form["opposes"])})
    ]


WEAK: dict[str, Callable[[Any], None]] = {
    "signs of mu flipped": flip,
    "tangents far away": flatten,
    "A <= 0": drown,
    "other locations": swap_locations,
    "no form": lambda core: forms(core).remove(weakest(core)),
    "nothing listed": lambda core: weakest(core).update(supports=[], opposes=[], multipliers=[]),
}


@pytest.mark.parametrize("name", WEAK)
def test_weak_forms_prove_nothing(name: str) -> None:
    report = verdict(WEAK[name])
    assert report.status == "incomplete", report.failures
    assert [o.number for o in report.failures] == [8]
    assert words(report.claims) == ()


def support(core: Any) -> Any:
    return next(form for form in forms(core) if form["supports"])


def opposition(core: Any) -> Any:
    return next(form for form in forms(core) if form["opposes"])


def support_as_opposition(core: Any) -> None:
    form = support(core)
    entry = form["supports"].pop()
    form["opposes"].append({"prototype": entry["prototype"], "location": entry["location"]})


def opposition_as_support(core: Any) -> None:
    form = opposition(core)
    form["supports"].append({**form["opposes"].pop(), "at": (0.5).hex()})


def both_sides(core: Any) -> None:
    form = support(core)
    entry = form["supports"][0]
    form["opposes"].append({"prototype": entry["prototype"], "location": entry["location"]})


def place(core: Any) -> Any:
    return weakest(core)["multipliers"][0]


def unstated(core: Any) -> None:
    entry = place(core)
    entry["facts"][0] = next(j for j in range(6) if j not in NAMED[entry["location"]])


def widen(core: Any) -> None:
    fact = core["facts"][0]
    fact["upper"] = math.nextafter(float.fromhex(fact["upper"]), math.inf).hex()


MALFORMED: dict[str, tuple[Callable[[Any], None], int]] = {
    "support with negative weight": (opposition_as_support, 7),
    "opposition with positive weight": (support_as_opposition, 7),
    "listed twice": (
        lambda core: support(core)["supports"].append(support(core)["supports"][0]), 7
    ),
    "listed on both sides": (both_sides, 7),
    "prototype out of range": (
        lambda core: support(core)["supports"][0].update(prototype=99), 7
    ),
    "location out of range": (lambda core: support(core)["supports"][0].update(location=99), 7),
    "tangent below zero": (
        lambda core: support(core)["supports"][0].update(at=(-0.5).hex()), 7
    ),
    "tangent spelled oddly": (
        lambda core: support(core)["supports"][0].update(at="0x1.0p+9999"), 1
    ),
    "no multipliers": (lambda core: weakest(core).update(multipliers=[]), 7),
    "multipliers twice": (lambda core: weakest(core)["multipliers"].append(place(core)), 7),
    "multipliers elsewhere": (lambda core: place(core).update(location=99), 7),
    "facts that are not stated": (unstated, 7),
    "a fact twice": (
        lambda core: place(core).update(
            facts=[place(core)["facts"][0]] * 2, mu=[place(core)["mu"][0]] * 2
        ),
        7,
    ),
    "mu too many": (lambda core: place(core)["mu"].append(1), 7),
    "not a rival": (lambda core: forms(core)[0].update(rival=HERE.predicted), 7),
    "no such class": (lambda core: forms(core)[0].update(rival=99), 7),
    "two forms for one rival": (lambda core: forms(core).append(forms(core)[0]), 7),
    "a wider premise": (widen, 6),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_forms_are_rejected(name: str) -> None:
    change, number = MALFORMED[name]
    report = verdict(change)
    assert report.status == "rejected"
    assert number in [o.number for o in report.failures if o.passed is False]


HARMLESS: dict[str, Callable[[Any], None]] = {
    "forms reversed": lambda core: forms(core).reverse(),
    "a multiplier one unit off": lambda core: place(core)["mu"].__setitem__(
        0, place(core)["mu"][0] + 1
    ),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_changes_of_forms_are_accepted(name: str) -> None:
    assert verdict(HARMLESS[name]).accepted


def worst(here: Scene, points: Any, rival: int) -> float:
    p = here.tiny.prototypes.astype(np.float64)
    best = ((points[:, :, None] - p) ** 2).sum(axis=3).min(axis=1)
    logits = np.array([here.logits(row) for row in best.tolist()])
    return float((logits[:, here.predicted] - logits[:, rival]).min())


@examples(20, 60)
@given(st.integers(0, 10**6), st.sampled_from(SIMILARITIES), st.sampled_from(GRIDS), st.data())
def test_no_latent_that_meets_the_facts_beats_a_margin(
    seed: int, similarity: str, grid: tuple[int, int], data: st.DataObject
) -> None:
    """Whatever the multipliers and tangents are: the margins are bounds, accepted or not."""
    here = scene(seed, similarity=similarity, grid=grid, count=5, channels=4, classes=3)
    named = data.draw(st.sampled_from([fewest(here, seed), few_pairs(here, seed)]))
    document = json.loads(file(relational_core(here, named)))
    rng = np.random.default_rng(seed)
    for form in forms(document["core"]):
        for entry in form["supports"]:
            entry["at"] = (float.fromhex(entry["at"]) * float(rng.uniform(0.3, 3))).hex()
        for multipliers in form["multipliers"]:
            multipliers["mu"] = [round(mu * float(rng.normal(1, 0.1))) for mu in multipliers["mu"]]
    report = check(json.dumps(document).encode(), here.data)
    assert report.status in ("accepted", "incomplete")
    points = latents(here, named, rng, 200)
    for rival, lower in report.margins:
        assert worst(here, points, rival) >= lower - 1e-6


@pytest.mark.trust(13)
def test_a_chord_respects_the_other_locations() -> None:
    """Another location without facts may match an opposing prototype, whatever the chord says."""
    prototypes = np.array([[0.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    weight = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    tiny = Tiny(prototypes, weight, grid=(1, 2), operator="")
    here = Scene(tiny, np.array([[0.25, 0.0], [3.0, 0.0]], dtype=np.float32))
    content = relational_core(here, [[0], []])
    forced = RivalForm(
        rival=1,
        supports=(),
        opposes=(Chord(prototype=1, location=0),),
        multipliers=(PlaceMultipliers(location=0, facts=(0,), shift=0, mu=(1,)),),
    )
    evidence = content.evidence.model_copy(update={"forms": (forced,)})
    report = check(file(content.model_copy(update={"evidence": evidence})), here.data)
    assert report.status == "incomplete"
    ((_, lower),) = report.margins
    assert worst(here, np.array([[[0.25, 0.0], [1.0, 0.0]]]), 1) >= lower - 1e-12


@pytest.mark.parametrize("start", [0, 300])
def test_a_chord_knows_the_upper_end_from_its_own_rows_only(start: int) -> None:
    """Without the rows that bound it, a chord has no end, and the form proves less."""
    for seed in range(start, start + 300):
        here, named = needs_forms(seed, grid=(1, 1))
        document = json.loads(file(relational_core(here, named)))
        listed = {e["prototype"] for form in forms(document["core"]) for e in form["opposes"]}
        if not listed:
            continue
        for block in document["core"]["evidence"]["blocks"]:
            kept = [i for i, j in enumerate(block["upper"]["prototypes"]) if j not in listed]
            block["upper"] = {
                key: [block["upper"][key][i] for i in kept] for key in ("prototypes", "theta")
            }
        before = check(file(relational_core(here, named)), here.data)
        after = check(json.dumps(document).encode(), here.data)
        assert after.status in ("accepted", "incomplete")
        assert sum(lower for _, lower in after.margins) < sum(lower for _, lower in before.margins)
        return
    raise AssertionError
