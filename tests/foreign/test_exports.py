"""The list itself: both exporters write what torch computes; what they cannot write is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.foreign.export import EXPORTERS, export_family
from tests.support.foreign.families import BEYOND, FAMILIES, RECOGNISED
from tests.support.foreign.family import Family, Form
from tests.support.foreign.running import inputs, load_model, run

EVERY = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


def test_the_list_is_long_and_has_no_twins() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert len({family.source for family in FAMILIES}) == len(FAMILIES)
    assert len(RECOGNISED) > 40
    assert len(BEYOND) > 4


def test_the_list_covers_the_algebra() -> None:
    forms = [family.expected for family in RECOGNISED if isinstance(family.expected, Form)]
    assert {form.geometry for form in forms} == {"euclidean", "diagonal", "linear", "angular"}
    assert {kind for form in forms for kind in form.pooling} == {
        "nearest",
        "mean",
        "k-largest mean",
        "focal",
        "nearest less mean",
    }
    assert {form.decision for form in forms} == {"linear", "labels", "best", "tree"}
    assert {len(form.cuts) for form in forms} == {1, 2, 3}


@EVERY
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_runtime_computes_what_torch_does(
    family: Family, exporter: str, exported: Callable[[Family, str], Path]
) -> None:
    if exporter in family.unexported:
        with pytest.raises((torch.onnx.OnnxExporterError, RuntimeError)):
            exported(family, exporter)
        return
    model = load_model(exported(family, exporter))
    module = family.build()
    name = model.graph.output[family.output].name
    images = inputs(family.shape, 3)
    for image, (result,) in zip(images, run(model, [name], images), strict=True):
        with torch.no_grad():
            wanted = module(torch.from_numpy(image))
        wanted = wanted[family.output] if isinstance(wanted, tuple) else wanted
        # both in float32, in another order
        assert result == pytest.approx(wanted.numpy(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES[:3], ids=lambda family: family.name)
def test_equal_seeds_give_equal_networks(family: Family, tmp_path: Path) -> None:
    first, second = (export_family(family, tmp_path / str(k), "legacy", 5) for k in _made(tmp_path))
    assert first.read_bytes() == second.read_bytes()
    other = export_family(family, tmp_path, "legacy", 6)
    assert other.read_bytes() != first.read_bytes()


def _made(folder: Path) -> range:
    for k in range(2):
        (folder / str(k)).mkdir()
    return range(2)


@EVERY
def test_outputs_are_finite_and_depend_on_the_input(family: Family) -> None:
    module = family.build()
    results = []
    for image in inputs(family.shape, 3):
        with torch.no_grad():
            result = module(torch.from_numpy(image))
        result = result[family.output] if isinstance(result, tuple) else result
        assert torch.isfinite(result).all()
        results.append(result.numpy())
    assert not np.allclose(results[0], results[1], rtol=1e-6, atol=0)
