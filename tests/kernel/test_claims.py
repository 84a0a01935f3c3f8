"""Theorems: frozen, with their hypotheses, and concluded from others only where those fit."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from protoproof.certificate.input_region import BallRegion, KeptRegion
from protoproof.certificate.schema import FreeDomain, PairFact
from protoproof.kernel.claims import (
    Alike,
    AtLeast,
    Contrast,
    Held,
    MinimalTiles,
    MinimumSize,
    Necessary,
    NecessaryTile,
    Robust,
    RobustExplanation,
    SubsetMinimal,
    Sufficient,
    about_latent,
    minimal_tiles,
    minimum_size,
    robust_explanation,
    subset_minimal,
    words,
)
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.obligations import RULES
from protoproof.kernel.rule import Domains, Established

ONE = (1.0).hex()
FACTS = tuple(PairFact(location=0, prototype=j, lower=ONE, upper=ONE) for j in range(2))
REGION = BallRegion(
    kind="linf", shape=(1, 1, 1), centre="AAAAAA==", low=(0.0).hex(), high=ONE, radius="1/2"
)
KEPT = KeptRegion(
    kind="keep", shape=(1, 1, 2), centre="AAAAAAAAAAA=", low=(0.0).hex(), high=ONE, radius="1",
    tile=1, kept=(0, 1),
)  # fmt: skip
BOTH = Sufficient(FreeDomain(), FACTS)
NONE = Sufficient(FreeDomain(), ())


def test_every_claim_is_frozen_and_spelled_as_in_files() -> None:
    claims = (
        BOTH, Necessary(1, 2), Robust(REGION), RobustExplanation(REGION), SubsetMinimal(FACTS),
        AtLeast(2), MinimumSize(2), Contrast(3, 4),
    )  # fmt: skip
    assert words(claims) == (
        "sufficient", "necessary:1", "robust", "robust-explanation", "subset-minimal",
        "at-least:2", "minimum-size", "contrast:3:4",
    )  # fmt: skip
    for claim in claims:
        with pytest.raises(FrozenInstanceError):
            setattr(claim, fields(claim)[0].name, None)


def test_minimal_is_what_has_a_witness_for_every_fact() -> None:
    assert subset_minimal(BOTH, [Necessary(0, 1), Necessary(1, 1)]) == (SubsetMinimal(FACTS),)
    for some in ([], [Necessary(0, 1)], [Necessary(0, 1), Necessary(2, 1)]):
        assert subset_minimal(BOTH, some) == ()
    assert subset_minimal(NONE, []) == ()


def test_tiles_are_minimal_where_an_input_shows_each_to_be_necessary() -> None:
    every = [NecessaryTile(0, 1), NecessaryTile(1, 1)]
    assert minimal_tiles(Robust(KEPT), every) == (MinimalTiles(KEPT),)
    for some in ([], every[:1], [every[0], NecessaryTile(2, 1)]):
        assert minimal_tiles(Robust(KEPT), some) == ()
    assert minimal_tiles(Robust(REGION), every) == ()
    assert minimal_tiles(Robust(KEPT.model_copy(update={"kept": ()})), []) == ()


def test_only_claims_about_inputs_themselves_rest_on_no_recorded_latent() -> None:
    alone = (
        NONE, Robust(REGION), NecessaryTile(0, 1), MinimalTiles(KEPT),
        Alike("greedy", everywhere=True),
    )  # fmt: skip
    assert not any(map(about_latent, alone))
    others = (
        BOTH, Necessary(0, 1), SubsetMinimal(FACTS), AtLeast(1), MinimumSize(2), Contrast(1, 1),
        RobustExplanation(REGION), Alike("greedy", everywhere=False),
    )  # fmt: skip
    assert all(map(about_latent, others))


@pytest.mark.parametrize("count", range(4))
def test_of_minimum_size_is_what_has_as_many_facts_as_any(count: int) -> None:
    assert minimum_size(BOTH, AtLeast(count)) == ((MinimumSize(2),) if count == 2 else ())
    assert minimum_size(NONE, AtLeast(count)) == ()


def test_facts_that_hold_over_a_region_explain_it_only_if_they_are_the_sufficient_ones() -> None:
    held = Held(REGION, FACTS)
    assert robust_explanation(BOTH, held) == (Robust(REGION), RobustExplanation(REGION))
    for other in (NONE, Sufficient(FreeDomain(), FACTS[:1])):
        with pytest.raises(ValueError, match="different facts"):
            robust_explanation(other, held)


def test_nothing_is_known_that_was_not_established() -> None:
    known = Established([None, AtLeast(3)])
    assert known[AtLeast] == AtLeast(3)
    assert known.get(Held) is None
    with pytest.raises(LookupError, match="Held is not established"):
        known[Held]
    assert all(rule.number not in rule.needs for rule in RULES)


def test_latents_that_were_not_looked_for_refute_nothing() -> None:
    free = LatentDomain(1, 1)
    assert Domains(free, free).among() is free
    with pytest.raises(LookupError, match="not established"):
        Domains(free, None).among()
