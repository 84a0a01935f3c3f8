"""The shipped networks are read, recognised, and agree with their translation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protoproof.network import load
from protoproof.network.inspect import inspect_file
from protoproof.resources import NAMES, zoo_path

ZOO = [zoo_path(name) for name in NAMES]


def test_there_is_a_zoo() -> None:
    assert {path.stem for path in ZOO} >= {"mnist-1x1", "mnist-7x7", "mnist-certified"}


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_zoo(path: Path) -> None:
    network = load(path)
    assert (network.binding, network.latent_range) == ("recognised", "sigmoid")
    assert network.description_external is None
    assert inspect_file(path).refusals == ()
    rng = np.random.default_rng(0)
    for _ in range(5):
        network.cross_check(rng.random(network.input_shape, dtype=np.float32))
    for value in network.input_range:
        network.cross_check(np.full(network.input_shape, value, dtype=np.float32))
