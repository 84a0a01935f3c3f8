"""The shipped networks are read, recognised, and agree with their translation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protoproof.network import load
from protoproof.network.inspect import inspect_file
from protoproof.resources import NAMES, zoo_path
from tests.support.network.crosscheck import cross_check, executed_only

ZOO = [zoo_path(name) for name in NAMES]

# what the last operator of the encoder guarantees, where it is no sigmoid
GUARANTEED = {
    "digits-hyperspherical": "ball",
    "emoji-pipnet": "softmax",
    "mnist-cosine": "relu",
    "mnist-shots": "free",
    "mnist-two-banks": "ball",
}


def test_there_is_a_zoo() -> None:
    assert {path.stem for path in ZOO} >= {"mnist-1x1", "mnist-7x7", "mnist-certified"}


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_zoo(path: Path) -> None:
    network = load(path)
    assert network.latent_range == GUARANTEED.get(path.stem, "sigmoid")
    assert not network.about.external
    assert inspect_file(path).refusals == ()
    rng = np.random.default_rng(0)
    inputs = [rng.random(network.input_shape, dtype=np.float32) for _ in range(5)]
    inputs += [np.full(network.input_shape, v, dtype=np.float32) for v in network.input_range]
    for x in inputs:
        if executed_only(network.encoder_graph):  # no translation to compare with
            network.check_head(network.observe(x))
        else:
            cross_check(network, x)
