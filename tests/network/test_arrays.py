"""Engines: the same kernels in numpy and in torch, and devices that are not there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from protoproof.backend import PROCESSOR, Engine, engine_named, namespace
from protoproof.errors import UsageError
from tests.support import heads
from tests.support.heads import SIMILARITIES

TORCH = Engine("torch:cpu")


def test_arrays_come_back_as_they_went() -> None:
    values = np.arange(6.0).reshape(2, 3)
    values.setflags(write=False)
    for array in (values, values.T, np.broadcast_to(0.0, (2, 2)), np.array([3, 1]), values > 2):
        for engine in (PROCESSOR, TORCH):
            back = engine.get(engine.put(array))
            assert back.dtype == array.dtype
            np.testing.assert_array_equal(back, array)
    assert isinstance(TORCH.put(values), torch.Tensor)
    assert PROCESSOR.put(values) is values


def test_a_change_over_there_leaves_the_original_alone() -> None:
    values = np.zeros(3)
    there = TORCH.put(values)
    there += 1.0
    assert not values.any()


def test_the_first_of_equal_numbers_is_the_least_everywhere() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, size=(50, 40, 3)).astype(np.float64)
    expected = [[column.tolist().index(column.min()) for column in page.T] for page in values]
    for engine in (PROCESSOR, TORCH):
        there = engine.put(values)
        least = engine.get(namespace(there).argmin(there, axis=1))
        np.testing.assert_array_equal(least, expected)


@pytest.mark.parametrize("kind", SIMILARITIES)
def test_similarities_are_the_same_in_torch(kind: str) -> None:
    similarity = heads.similarity(kind, 0.25)
    q = np.concatenate([[0.0], np.geomspace(1e-12, 1e9, 500)])
    for function in (similarity.value, similarity.derivative):
        there = function(TORCH.put(q))
        assert isinstance(there, torch.Tensor)
        np.testing.assert_allclose(TORCH.get(there), function(q), rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    "name", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "cuda:9999", "torch:cpu"]
)
def test_no_such_device(name: str) -> None:
    with pytest.raises(UsageError, match="no such device here; use --device cpu"):
        engine_named(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_no_cuda_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"^--device cuda: no such device here; use --device cpu$"):
        engine_named("cuda")


def test_batches_fit_where_they_run() -> None:
    assert engine_named("cpu") is PROCESSOR
    assert PROCESSOR.cells(12) == TORCH.cells(12) > 0
