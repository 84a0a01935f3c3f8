"""The falsifier: finds planted counterexamples, never leaves the region, repeats itself."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from protoproof.data.dataset import load_data
from protoproof.network import Network, load
from protoproof.region.bounds.attack import Counterexample, Flip, attack, margins, replay
from protoproof.region.bounds.interval import encoder_bounds
from protoproof.region.bounds.margins import activations, margin_ends
from protoproof.region.sets.region import InputBox, LinfBall
from protoproof.region.sets.syntax import parse_region
from protoproof.resources import zoo_path
from tests.support import heads

DOMAIN = (0.0, 1.0)


@cache
def network() -> Network:
    return load(zoo_path("mnist-certified"))


@cache
def images() -> NDArray[np.float32]:
    return load_data("mnist5k").x_test[::130]


@pytest.mark.parametrize(
    "text", ["linf:0.25", "l2:3", "occlude:4,4,20,20", "brightness:0.9,0.9", "shift:6"]
)
def test_large_regions_hold_counterexamples(text: str) -> None:
    """Each is examined here again: member of the region, float32, other class in the runtime."""
    net, refuted = network(), 0
    for x in images()[:5]:
        region = parse_region(text, x, x.shape, DOMAIN)
        predicted = net.observe(x).predicted
        found = attack(net, region, predicted)
        if not isinstance(found, Counterexample):
            continue
        refuted += 1
        assert found.x.dtype == np.float32
        assert net.observe(found.x).predicted != predicted
        assert ((found.box.lower <= found.x) & (found.x <= found.box.upper)).all()
        if not text.startswith("brightness"):
            assert region.inside(found.x)
    assert refuted >= 3


@pytest.mark.trust(7)
def test_small_regions_hold_none_and_proofs_agree() -> None:
    net = network()
    for x in images():
        predicted = net.observe(x).predicted
        region = LinfBall(x, DOMAIN, Fraction(1, 10))
        found = attack(net, region, predicted, steps=10, restarts=1)
        low, _ = margin_ends(
            net.head, activations(net.head, encoder_bounds(net, region.cover())), predicted
        )
        low[:, predicted] = 1
        assert not isinstance(found, Counterexample) or not (low > 0).all()


def test_it_repeats_itself() -> None:
    net, x = network(), images()[1]
    region = LinfBall(x, DOMAIN, Fraction(1, 4))
    predicted = net.observe(x).predicted
    first, second = (attack(net, region, predicted, seed=7) for _ in range(2))
    assert isinstance(first, Counterexample)
    assert isinstance(second, Counterexample)
    assert np.array_equal(first.x, second.x)


def test_radius_zero_finds_nothing() -> None:
    net, x = network(), images()[0]
    assert attack(net, LinfBall(x, DOMAIN, Fraction(0)), net.observe(x).predicted) is None


def test_a_wrong_expectation_is_refuted_at_once() -> None:
    net, x = network(), images()[0]
    other = (net.observe(x).predicted + 1) % 10
    found = attack(net, LinfBall(x, DOMAIN, Fraction(0)), other)
    assert isinstance(found, Counterexample)
    assert np.array_equal(found.x, x)


@pytest.mark.trust(9)
def test_intervals_must_agree_with_the_runtime() -> None:
    """A box that holds other classes too is no counterexample, whatever the runtime says."""
    net, x = network(), images()[0]
    other = (net.observe(x).predicted + 1) % 10
    wide = InputBox(np.zeros(x.shape), np.ones(x.shape))
    found = replay(net, x, wide, other)
    assert isinstance(found, Flip)
    assert found.predicted == net.observe(x).predicted


def test_the_margin_is_the_head_s() -> None:
    net = network()
    for x in images()[:3]:
        seen = net.observe(x)
        latent = torch.from_numpy(np.array(seen.latent.T)).view(1, -1, *net.head.grid)
        activation = net.head.activation(net.head.measurement(seen.latent.astype(np.float64)))
        expected = np.delete(net.head.margins(activation, seen.predicted), seen.predicted).min()
        found = float(margins(net, latent, seen.predicted))
        assert found == pytest.approx(float(expected), abs=1e-3)


@pytest.mark.parametrize("kind", heads.SIMILARITIES)
def test_every_similarity_has_a_gradient(kind: str) -> None:
    from dataclasses import replace as changed

    chain = heads.similarity(kind, 0.5)
    head = changed(network().head, chain=chain)
    q = torch.linspace(0.01, 4, 20, dtype=torch.float64, requires_grad=True)
    value = head.chain.value(q)
    value.sum().backward()
    assert q.grad is not None
    expected = chain.value(q.detach().numpy())
    assert np.abs(value.detach().numpy() - expected).max() < 1e-12
    slope = chain.derivative(q.detach().numpy())
    assert np.abs(q.grad.numpy() - slope).max() < 1e-12
