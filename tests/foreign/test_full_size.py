"""The size that the field trains is recognised from either exporter, and read by the checker."""

from __future__ import annotations

from pathlib import Path

import pytest

from protoproof.explanation.certifiable import checkers_objection
from protoproof.network import load
from tests.support.foreign.export import EXPORTERS, export
from tests.support.foreign.full_size import CHANNELS, CLASSES, EACH, SHAPE, full_size


@pytest.mark.sweep
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_network_of_full_size_is_recognised(exporter: str, tmp_path: Path) -> None:
    network = load(export(full_size(), SHAPE, tmp_path / "large.onnx", exporter))
    head = network.head
    assert (head.geometry, head.grid, head.channels) == ("euclidean", (7, 7), CHANNELS)
    assert (len(head.prototypes), head.classes) == (CLASSES * EACH, CLASSES)
    assert not checkers_objection(network)
