"""Optimised lines and cuts of units: all of tiny networks, sharper on the zoo's."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from protoproof.certification import splitting
from protoproof.certification.certify import Certifier
from protoproof.certification.result import Certified
from protoproof.kernel.claims import words
from protoproof.network import load
from protoproof.region.bounds import linear
from protoproof.region.bounds.linear import sharpened
from protoproof.region.sets.region import L2Ball, LinfBall, Region
from protoproof.report.page.stated import claimed_words
from protoproof.verdict import Status
from tests.benchmarks.region import RADIUS, images
from tests.support.certification import certifier
from tests.support.deep import deep, grid

CLEAR = 1e-3


def tiny(seed: int, folder: Path) -> tuple[Certifier, Region, int, float]:
    """A network, a region, the class at its centre, and the least margin on a fine grid."""
    net, path = deep(seed), folder / f"{seed}.onnx"
    path.write_bytes(net.model())
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    radius = Fraction(int(rng.integers(1, 16)), 32)
    own = int(net.logits(x[None].astype(np.float64))[0].argmax())
    points = grid(np.maximum(x - float(radius), -1), np.minimum(x + float(radius), 1), 81)
    logits = net.logits(points)
    least = float((logits[:, own] - logits[:, 1 - own]).min())
    return Certifier(load(path)), LinfBall(x.reshape(1, 1, 2), (-1.0, 1.0), radius), own, least


@pytest.mark.parametrize(
    "seed",
    # 17 needs exact multipliers, and 38 the input that comes with them
    [pytest.param(s, marks=() if s < 6 or s in (17, 38) else pytest.mark.sweep) for s in range(60)],
)
def test_questions_about_tiny_networks_are_decided(seed: int, tmp_path: Path) -> None:
    """As a fine grid of inputs says, without any attack."""
    known, region, own, least = tiny(seed, tmp_path)
    answer = known.certify(region, method="split", falsify=False, timeout=1e9)
    assert answer.predicted == own
    assert answer.verdict.status in (Status.PROVED, Status.REFUTED)
    if abs(least) > CLEAR:
        assert (answer.verdict.status is Status.PROVED) == (least > 0)
    elif least < 0:
        assert answer.verdict.status is Status.REFUTED
    if answer.certificates:
        assert answer.conditions == ()


@cache
def certified(number: int, method: str) -> Certified:
    """One of the images of the benchmark that intervals and linear bounds leave open."""
    x = images(500)[0][number]
    return certifier().certify(LinfBall(x, (0.0, 1.0), RADIUS), method=method, falsify=False)


def test_optimised_lines_prove_what_linear_bounds_leave_open() -> None:
    assert certified(140, "linear").verdict.status is Status.UNKNOWN
    answer = certified(140, "linear-slopes")
    assert answer.verdict.status is Status.PROVED
    assert answer.method == "linear-slopes"
    assert words(answer.checks[0].claims) == ("robust",)
    assert answer.conditions == ()


def test_cuts_of_units_prove_what_lines_alone_leave_open() -> None:
    assert certified(499, "linear-slopes").verdict.status is Status.UNKNOWN
    answer = certified(499, "split")
    assert answer.method == "split"
    nodes = answer.certificates[0].core.parts
    kinds = [node.kind for node in nodes]
    assert kinds.count("unit") == kinds.count("part") - 1 >= 1
    units = len({(node.tensor, node.number) for node in nodes if node.kind == "unit"})
    assert claimed_words(answer.certificates[0].core, "0")[-1] == (
        f"Part by part: {kinds.count('part')} parts, with {units} unit{'s' * (units > 1)} cut."
    )
    assert answer.conditions == ()


def test_a_proof_by_one_case_is_named_by_its_lines() -> None:
    assert certified(140, "split").method == "linear-slopes"


@pytest.mark.parametrize(
    ("number", "radius", "status"), [(50, "3/20", "proved"), (150, "1/10", "refuted")]
)
def test_a_ball_keeps_its_shape_through_lines(number: int, radius: str, status: str) -> None:
    """In L2, where intervals leave it open: the worst input of the lines is one of the ball's."""
    x = images(500)[0][number]
    ball = L2Ball(x, (0.0, 1.0), Fraction(radius))
    answer = certifier().certify(ball, method="linear-slopes", falsify=False)
    assert answer.verdict.status.value == status
    if answer.counterexample is None:
        assert answer.method == "linear-slopes"
    else:
        assert ball.inside(answer.counterexample.x)


@pytest.mark.sweep
def test_a_network_that_is_trained_ordinarily_is_certified_for_a_small_radius() -> None:
    """Where intervals lose all: every layer has to be bounded by lines."""
    known = certifier("mnist-1x1")
    ball = LinfBall(images(500)[0][0], (0.0, 1.0), Fraction(1, 500))
    assert known.certify(ball, method="linear", falsify=False).verdict.status is Status.UNKNOWN
    answer = known.certify(ball, method="linear-slopes", falsify=False)
    assert answer.verdict.status is Status.PROVED
    assert answer.conditions == ()


def test_as_many_layers_are_sharpened_as_the_work_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted by the units that ask for it: more of them where the ball is larger."""
    graph, x = certifier().network.encoder_graph, images(500)[0][0]
    small, large = (LinfBall(x, (0.0, 1.0), Fraction(1, k)).cover()[0] for k in (100, 5))
    assert sharpened(graph, small).units == sharpened(graph, large).units == 3136
    monkeypatch.setattr(linear, "_WORK", 1 << 30)
    assert sharpened(graph, small).units > sharpened(graph, large).units
    monkeypatch.setattr(linear, "_WORK", 0)
    assert sharpened(graph, small).units == 0


def test_hopeless_searches_end_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default; who asks for cuts gets them until the time is up."""
    monkeypatch.setattr(splitting, "_PATIENCE", 2)
    monkeypatch.setattr(splitting, "_WORTH", 1.0)
    x = images(500)[0][118]
    answer = certifier().certify(LinfBall(x, (0.0, 1.0), RADIUS), falsify=False)
    assert "cutting does not help" in str(answer.verdict)
