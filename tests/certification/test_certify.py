"""Regions of real images: verdicts, their certificates, and 10,000 samples against each proof."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from protoproof.certification.certify import Certifier
from protoproof.data.dataset import load_data
from protoproof.errors import BoundsError, OutputError, UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import check
from protoproof.kernel.claims import words
from protoproof.network import Network, load
from protoproof.prover.latent.facts import FactSet
from protoproof.region.bounds.latent_bounds import reach_of
from protoproof.region.bounds.lirpa import available
from protoproof.region.sets.region import LinfBall
from protoproof.region.sets.syntax import parse_region
from protoproof.verdict import Status
from tests.support.certification import certifier
from tests.support.heads import SIMILARITIES
from tests.support.network.builders import draft, node

DOMAIN = (0.0, 1.0)
SAMPLES = 10_000


@cache
def images() -> NDArray[np.float32]:
    return load_data("mnist5k").x_test[3::200]


def logits(network: Network, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The whole graph on a batch: far faster than one image at a time, and enough to disagree."""
    name = network.recognised.output
    return network.session.run((name,), {network.graph.input: x})[0]


@pytest.mark.parametrize(
    "text", ["linf:0.1", "linf:0.05", "l2:0.02", "occlude:0,0,5,5", "brightness:0.1", "shift:1"]
)
def test_samples_never_contradict_a_proof(text: str) -> None:
    """Proved regions are sampled, 10,000 images per kind; certificates are accepted."""
    known, proofs = certifier(), 0
    rng = np.random.default_rng(0)
    share = SAMPLES // len(images())
    for x in images():
        region = parse_region(text, x, x.shape, DOMAIN)
        result = known.certify(region, falsify=False, method="interval")
        if result.verdict.status is not Status.PROVED:
            assert not result.certificates
            continue
        proofs += 1
        assert all(report.accepted for report in result.checks)
        seen = logits(known.network, region.sample(rng, share)).argmax(axis=1)
        assert (seen == result.predicted).all()
    assert proofs >= 3


@pytest.mark.trust(11)
def test_verdicts_of_nested_regions_never_contradict_each_other() -> None:
    """Larger regions are never proved where a smaller one is refuted."""
    known = certifier()
    for x in images()[:5]:
        refuted = False
        for radius in (
            Fraction(0),
            Fraction(1, 20),
            Fraction(1, 8),
            Fraction(1, 5),
            Fraction(2, 5),
        ):
            status = known.certify(LinfBall(x, DOMAIN, radius), method="interval").verdict.status
            assert not (refuted and status is Status.PROVED)
            refuted |= status is Status.REFUTED
        assert refuted


@pytest.mark.parametrize("name", ["mnist-certified", "mnist-1x1", "mnist-7x7"])
def test_radius_zero_agrees_with_the_point(name: str) -> None:
    known = certifier(name)
    for x in images()[:2]:
        result = known.certify(LinfBall(x, DOMAIN, Fraction(0)), method="interval")
        assert result.verdict.status is Status.PROVED
        assert result.predicted == known.network.observe(x).predicted
        assert result.top is not None
        assert len(result.top.possible) <= result.top.k + 2  # ties within rounding


@pytest.mark.trust(9)
def test_counterexamples_are_members_and_predicted_otherwise() -> None:
    known = certifier()
    for x in images()[:3]:
        region = LinfBall(x, DOMAIN, Fraction(3, 10))
        result = known.certify(region)
        assert result.verdict.status is Status.REFUTED
        found = result.counterexample
        assert found is not None
        assert region.inside(found.x)
        assert known.network.observe(found.x).predicted != result.predicted


def test_the_sandwich_is_ordered_and_its_ends_hold() -> None:
    known = certifier()
    band = known.sandwich(images()[1], "linf", Fraction(2, 5), steps=5)
    assert band.proved is not None
    assert band.refuted is not None
    assert 0 < band.proved < band.refuted <= Fraction(2, 5)
    proved = known.certify(LinfBall(images()[1], DOMAIN, band.proved), method="interval")
    assert proved.verdict.status is Status.PROVED
    assert known.sandwich(images()[1], "linf", Fraction(1, 100)).refuted is None
    with pytest.raises(UsageError, match="no radius"):
        known.sandwich(images()[1], "occlude", Fraction(1))


def test_top_k_sets_hold_for_samples() -> None:
    known, rng = certifier(), np.random.default_rng(1)
    head = known.network.head
    for x in images()[:3]:
        region = LinfBall(x, DOMAIN, Fraction(1, 20))
        top = known.certify(region, falsify=False, method="interval", top=8).top
        assert top is not None
        for member in region.sample(rng, 60):
            latent = known.network.observe(member).latent.astype(np.float64)
            order = np.argsort(-head.activation(head.measurement(latent)), kind="stable")[:8]
            assert set(top.certain) <= set(order.tolist()) <= set(top.possible)


@pytest.mark.skipif(not available(), reason="auto_LiRPA is not installed")
def test_crown_proves_what_intervals_do_not_and_names_the_assumption() -> None:
    """Intervals stay open here for some image; what CROWN adds rests on its word."""
    known, further = certifier(), 0
    for x in images():
        region = parse_region("occlude:2,2,3,3", x, x.shape, DOMAIN)
        result = known.certify(region, falsify=False, method="crown")
        if not result.certificates or result.method == "interval":
            continue
        further += 1
        # on the word of auto_LiRPA nothing is proved
        assert result.verdict.status is Status.UNKNOWN
        assert result.verdict.reason.startswith("conditional: ")
        assert "auto_LiRPA" in result.verdict.reason
        ours = known.certify(region, falsify=False)
        assert ours.method in ("linear", "linear-deep")
        assert "robust" in words(ours.checks[0].claims)
        assert not ours.conditions
        assert all("level R: encoder and head" in text for text in ours.assumptions)
        assert any("auto_LiRPA" in text and "not replayed" in text for text in result.assumptions)
        assert "robust" not in words(result.checks[0].claims)
        seen = logits(known.network, region.sample(np.random.default_rng(2), 500)).argmax(axis=1)
        assert (seen == result.predicted).all()
    assert further


@pytest.mark.trust(2)
def test_a_region_that_no_engine_bounds_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise BoundsError("bounds of the latent are NaN or infinite; use a smaller region")

    monkeypatch.setattr("protoproof.certification.stages.reach_of", fails)
    result = certifier().certify(LinfBall(images()[0], DOMAIN, Fraction(1, 100)), falsify=False)
    assert result.verdict.status is Status.UNKNOWN
    assert "NaN" in result.verdict.reason


@pytest.mark.trust(6)
def test_a_planted_counterexample_is_never_proved() -> None:
    """With the falsifier off, regions that hold a known counterexample stay undecided."""
    known = certifier()
    for x in images()[:3]:
        region = LinfBall(x, DOMAIN, Fraction(3, 10))
        assert known.certify(region).verdict.status is Status.REFUTED
        undecided = known.certify(region, falsify=False, method="interval")
        assert undecided.verdict.status is Status.UNKNOWN


def test_another_expected_class_is_refuted() -> None:
    known, x = certifier(), images()[0]
    other = (known.network.observe(x).predicted + 1) % 10
    result = known.certify(LinfBall(x, DOMAIN, Fraction(0)), expected=other, falsify=False)
    assert result.verdict.status is Status.REFUTED


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown; use"):
        certifier().certify(LinfBall(images()[0], DOMAIN, Fraction(0)), method="magic")


def test_a_timeout_of_zero_stops_after_the_first_bound() -> None:
    region = parse_region("occlude:2,2,9,9", images()[0], images()[0].shape, DOMAIN)
    result = certifier().certify(region, timeout=0.0, falsify=False)
    assert str(result.verdict) in ("unknown (timeout)", "proved")


def test_files_and_json(tmp_path: Path) -> None:
    known = certifier()
    out = tmp_path / "r.cert.json"
    proved = known.certify(parse_region("shift:1", images()[1], images()[1].shape, DOMAIN))
    paths = proved.save(out)
    assert len(paths) == 9
    assert check(paths[4], known.network.path).accepted
    refuted = known.certify(LinfBall(images()[1], DOMAIN, Fraction(3, 10)))
    out = tmp_path / "l.cert.json"
    (image,) = refuted.save(out)
    assert image.name == "l.counterexample.npy"
    with pytest.raises(OutputError, match="another question"):
        proved.save(out)
    assert len(proved.save(tmp_path / "r.cert.json")) == 9  # the same question again
    assert refuted.counterexample is not None
    assert np.array_equal(np.load(image), refuted.counterexample.x)
    for result in (proved, refuted):
        document = json.loads(json.dumps(result.to_json()))
        assert document["verdict"] == result.verdict.status.value
        assert document["stages"]


def test_region_relative_explanations_are_no_larger() -> None:
    """Facts over the latents of a ball: fewer than over all latents, and the proof is accepted."""
    known = Explainer(certifier("mnist-7x7").network)
    x = images()[0]
    free = known.explain(x, vocabulary="pairs", witnesses=False)
    latent = free.observation.latent.astype(np.float64)
    region = LinfBall(x, DOMAIN, Fraction(1, 255))
    near = known.explain(
        x, vocabulary="pairs", domain=reach_of(known.network, region, latent), witnesses=False
    )
    assert near.check is not None
    assert near.check.accepted
    assert near.size <= free.size


def test_a_small_network_without_zoo(tmp_path: Path) -> None:
    """Every similarity, a grid of four locations, with bias: proved at a small radius."""
    for similarity in SIMILARITIES:
        network = load(draft(similarity=similarity, bias=True).save(tmp_path))
        known = Certifier(network)
        x = np.random.default_rng(5).random((1, 6, 6)).astype(np.float32)
        result = known.certify(LinfBall(x, DOMAIN, Fraction(1, 1000)), method="interval")
        assert result.verdict.status is Status.PROVED
        assert result.certificates[0].core.facts == tuple(FactSet())


def cancelling(folder: Path, large: float) -> Network:
    """Its encoder computes (x + large) - large: x over the reals, and in float32 for 2**20 the
    eighth next to x. It says "no" of black images, and "yes" of all that are grey or white.
    """
    made = draft(distance="direct", bias=True)
    made.weights |= {
        "unit": np.ones((1, 1, 1, 1), np.float32),
        "up": np.array([large], np.float32),
        "down": np.array([-large], np.float32),
        "head.bias": np.array([-1.465, -0.25], np.float32),
    }
    made.nodes[:1] = [
        node("Conv", ["input", "unit", "up"], "far"),
        node("Conv", ["far", "unit", "down"], "back"),
        node("Conv", ["back", "w1", "b1"], "c1", strides=[3, 3], pads=[1, 1, 1, 1]),
    ]
    return load(made.save(folder))


@pytest.mark.trust(48)
def test_a_region_whose_float32_execution_flips_is_fragile(tmp_path: Path) -> None:
    grey = np.full((1, 6, 6), 0.0635, np.float32)
    region = LinfBall(grey, DOMAIN, Fraction(2, 1000))
    assert Certifier(cancelling(tmp_path, 0.0)).certify(region).verdict.status is Status.PROVED
    known = Certifier(cancelling(tmp_path, 2.0**20))
    result = known.certify(region)
    assert result.verdict.status is Status.UNKNOWN
    assert result.verdict.reason.startswith("numerically fragile: ONNX Runtime predicts no")
    assert not result.certificates
    # the flip is nothing that real arithmetic knows of
    assert known.certify(region, falsify=False).verdict.status is Status.PROVED
    band = known.sandwich(grey, "linf", Fraction(2, 1000), steps=3)
    assert band.refuted is None
    assert band.proved is not None
    assert band.proved <= Fraction(1, 1000)


def test_what_the_checker_does_not_accept_is_said_in_its_words(tmp_path: Path) -> None:
    """Bounds proved it; that no bound did would be untrue."""
    made = draft()
    made.nodes.insert(
        2, node("AveragePool", ["r1"], "mean", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    )
    made.node("c2").input[0] = "mean"
    region = LinfBall(np.full((1, 6, 6), 0.5, np.float32), DOMAIN, Fraction(1, 10**6))
    found = Certifier(load(made.save(tmp_path))).certify(region, falsify=False)
    assert found.verdict.status is Status.UNKNOWN
    assert found.verdict.reason.startswith("uncertified: the encoder cannot be walked")
    assert "AveragePool: padding is not known here" in found.verdict.reason
