"""Necessity, size and contrasts over a region: never about a box of the author's choosing."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from protoproof.certificate import canonical_bytes
from protoproof.certificate.schema import (
    Core,
    Cover,
    Envelope,
    Move,
    Packing,
    ReachDomain,
    Refutation,
    SizeBound,
    Witness,
)
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.result import Explanation
from protoproof.kernel import CheckReport, check
from protoproof.kernel.claims import words
from protoproof.network import load
from protoproof.resources import zoo_path
from protoproof.verdict import Status

NAME = "mnist-certified"
WIDE, NARROW = "linf:0.2", "linf:0.02"  # facts are needed; none is


@cache
def explainer() -> Explainer:
    return Explainer(load(zoo_path(NAME)))


@cache
def image() -> NDArray[np.float32]:
    return np.asarray(load_data("mnist5k").x_test[3])


@cache
def explained(region: str = WIDE, minimal: str = "subset") -> Explanation:
    return explainer().explain(
        image(), domain=region, vocabulary="pairs", minimal=minimal, timeout=20.0
    )


def core_of(result: Explanation) -> Core:
    assert result.certificate is not None
    return result.certificate.core


def examine(core: Core) -> CheckReport:
    return check(canonical_bytes(Envelope(core=core)), explainer().model_file)


def reach(core: Core) -> ReachDomain:
    assert isinstance(core.domain, ReachDomain)
    return core.domain


def inflated(core: Core, by: float) -> Core:
    """The same certificate with a box that is larger on all sides by a share of its width."""
    domain = reach(core)
    low, high = (
        np.frombuffer(base64.b64decode(text), "<f8") for text in (domain.lower, domain.upper)
    )
    more = by * (high - low) + by
    ends = {"lower": low - more, "upper": high + more}
    text = {word: base64.b64encode(end.tobytes()).decode() for word, end in ends.items()}
    return core.model_copy(update={"domain": domain.model_copy(update=text)})


def losing(core: Core) -> Refutation:
    """A latent far outside everything that is walked: the first location at rivals' prototypes."""
    head = explainer().network.head
    latent = np.frombuffer(base64.b64decode(core.instance.latent), "<f4").reshape(
        core.instance.locations, -1
    )
    for rival in core.rivals:
        moves = []
        j = int(np.argmax(head.weight[rival] - head.weight[core.instance.predicted]))
        for location, here in enumerate(latent):
            step = (head.prototypes[j] - here).astype("<f4")
            text = base64.b64encode(step.tobytes()).decode()
            moves.append(Move(location=location, keep=(), direction=text))
        there = latent + np.stack(
            [np.frombuffer(base64.b64decode(m.direction), "<f4") for m in moves]
        )
        scores = head.activation(head.measurement(there.astype(np.float64))) @ head.weight.T
        scores = scores + (0 if head.bias is None else head.bias)
        if scores[rival] > scores[core.instance.predicted] + 0.1:
            return Refutation(rival=rival, moves=tuple(moves))
    raise AssertionError("no prototype makes a rival win")


def test_an_honest_explanation_over_a_region_is_accepted_with_its_witnesses() -> None:
    result = explained()
    report = examine(core_of(result))
    assert report.accepted
    assert result.verdict.status is Status.PROVED
    assert result.size
    assert report.necessary
    assert "encoder and head" in report.assumptions[0]
    assert "interval walk" in dict(report.subject)["necessity and size over"]


@pytest.mark.parametrize("by", [1e-9, 1e-3, 1.0, 1e3])
@pytest.mark.trust(44)
def test_a_larger_stated_box_changes_no_claim_of_necessity(by: float) -> None:
    """Witnesses in the walked box stay witnesses; a larger box brings none, and loses none."""
    honest, core = examine(core_of(explained())), inflated(core_of(explained()), by)
    report = examine(core)
    if report.met:  # the margins may be lost over a larger box, and nothing else
        assert set(words(report.claims)) == set(words(honest.claims))
    else:
        assert report.status == "incomplete"
        assert [o.number for o in report.failures] == [8]


def as_witness(core: Core) -> dict[str, Any]:
    found = losing(core)
    return {"witnesses": (Witness(fact=0, rival=found.rival, moves=found.moves),)}


def as_size(core: Core) -> dict[str, Any]:
    cover = Cover(ceilings=None, nodes=(Packing(weights=((0, 1),), scale=1),))
    return {"size_bound": SizeBound(refutations=(losing(core),), covers=(cover,))}


def as_contrast(core: Core) -> dict[str, Any]:
    return {"contrasts": (losing(core),)}


FORGED: dict[str, tuple[int, Callable[[Core], dict[str, Any]]]] = {
    "witness": (10, as_witness),
    "size": (11, as_size),
    "contrast": (12, as_contrast),
}


@pytest.mark.parametrize("by", [0.0, 1e-3, 1.0, 1e2])
@pytest.mark.parametrize("kind", FORGED)
def test_latents_outside_what_is_walked_show_nothing(kind: str, by: float) -> None:
    number, forge = FORGED[kind]
    core = core_of(explained())
    core = inflated(core.model_copy(update={"witnesses": (), "contrasts": ()} | forge(core)), by)
    report = examine(core)
    outcome = report.obligations[number - 1]
    assert report.status == "rejected"
    assert outcome.passed is False
    assert "leaves the domain" in outcome.detail
    assert not words(report.claims)
    # the same latent is in the stated box where that is large enough: only the walk excludes it
    if by == 1e2:
        assert examine_without_region(core).obligations[number - 1].passed or kind == "witness"


def examine_without_region(core: Core) -> CheckReport:
    domain = reach(core).model_copy(update={"region": None})
    return examine(core.model_copy(update={"domain": domain}))


@pytest.mark.trust(44)
def test_no_region_needs_one_fact_and_none() -> None:
    """Over one region, "no fact is needed" is accepted, hence "at least one" never is."""
    none = core_of(explained(NARROW))
    assert not none.facts
    report = examine(none)
    assert report.accepted
    assert not {"subset-minimal", "minimum-size"} & set(words(report.claims))
    for by in (0.0, 1.0, 1e2):
        forged = inflated(none.model_copy(update=as_size(none)), by)
        answer = examine(forged)
        assert answer.status == "rejected"
        assert not words(answer.claims)


def test_minimum_size_over_a_region_is_found_and_accepted() -> None:
    result = explained(WIDE, "minimum")
    report = examine(core_of(result))
    assert report.accepted
    assert {"minimum-size", "subset-minimal"} <= set(words(report.claims))
    assert report.lower_bound == result.size == 1
