"""The shipped networks are read, recognised, and agree with their translation."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.network import load
from protoproof.network.inspect import inspect_file
from protoproof.resources import ZOO, zoo_path
from tests.support.network.crosscheck import cross_check, executed_only

# what the last operator of the encoder guarantees, where it is no sigmoid
GUARANTEED = {
    "digits-hyperspherical": "ball",
    "emoji-pipnet": "softmax",
    "mnist-cosine": "relu",
    "mnist-shots": "free",
    "mnist-two-banks": "ball",
}


def test_there_is_a_zoo() -> None:
    assert {"mnist-1x1", "mnist-7x7", "mnist-certified", *GUARANTEED} < set(ZOO)


@pytest.mark.parametrize("name", ZOO)
def test_zoo(name: str) -> None:
    path = zoo_path(name)
    network = load(path)
    assert network.latent_range == GUARANTEED.get(name, "sigmoid")
    assert not network.about.external
    assert inspect_file(path).refusals == ()
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(*network.input_range, network.input_shape) for _ in range(5)]
    inputs += [np.full(network.input_shape, v) for v in network.input_range]
    for x in (one.astype(np.float32) for one in inputs):
        if executed_only(network.encoder_graph):  # no translation to compare with
            network.check_head(network.observe(x))
        else:
            cross_check(network, x)
