"""Small data sets and one small trained network, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.train import TrainResult, train_model
from protoproof.data.dataset import Dataset, load_data
from tests.support.training import SMALL, stripes


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Networks of this size only lose by sharing their work out, on a busy machine by far."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def colour_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 colour images of 12 x 14 pixels in three classes."""
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    np.savez(path, **stripes(200, 3, 12, 14, 3))
    return path


@pytest.fixture(scope="session")
def colour_data(colour_file: Path) -> Dataset:
    return load_data(str(colour_file))


@pytest.fixture(scope="session")
def trained(colour_file: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A network on a 3 x 3 grid, trained on the colour images; nobody may change its files."""
    out = tmp_path_factory.mktemp("trained")
    return train_model("protopnet", str(colour_file), out, grid=3, **SMALL)


@pytest.fixture(scope="session")
def certified(colour_file: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A network on a 1 x 1 grid, trained for the L-infinity radius 0.05."""
    out = tmp_path_factory.mktemp("certified")
    options = SMALL | {"epochs": 30}
    return train_model("protopnet", str(colour_file), out, grid=1, certified_eps=0.05, **options)
