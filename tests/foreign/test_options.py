"""What people ask exporters for beside their defaults changes no head."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.foreign.export import OPTIONS, export
from tests.support.foreign.families import BY_NAME
from tests.support.foreign.found import computed, form_of, loaded
from tests.support.foreign.running import SINGLE, inputs, same_scores

ALWAYS = ("protopnet-log", "tree")
SWEPT = ("projection", "cosine", "concepts-clamped", "slots-log", "topk-mean", "token-distance")


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize(
    "name", [*ALWAYS, *(pytest.param(name, marks=pytest.mark.sweep) for name in SWEPT)]
)
def test_the_same_head_is_found(name: str, option: str, tmp_path: Path) -> None:
    family, (exporter, options) = BY_NAME[name], OPTIONS[option]
    path = export(family.build(), family.shape, tmp_path / "net.onnx", exporter, **options)
    network, model, output = loaded(path, family.output)
    assert form_of(network) == family.expected
    seen = computed(network, model, inputs(family.shape, 3), output)
    assert same_scores(seen.ours, seen.precise, labels=False)
    assert same_scores(seen.ours, seen.runtime, labels=False, tolerance=SINGLE)
