"""The zoo keeps its promises on ``mnist5k``, which none of its networks has seen."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from models.build_zoo import ENTRIES, build, everything
from models.runtime import Runtime
from protoproof.data.dataset import load_data
from protoproof.errors import UsageError
from protoproof.network.head.about import parse_about
from protoproof.resources import ZOO, zoo_path
from tests.benchmarks.explained import measured
from tests.support.zoo_intervals import certified_images

PROMISED = {"mnist-7x7": 0.97, "mnist-1x1": 0.98, "mnist-certified": 0.93, "mnist-explained": 0.93}
PROMISED_CERTIFIED = 0.80
PROMISED_EXPLAINED = 0.85
LARGEST = 3_000_000


def _facts(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(zoo_path(name).with_suffix(".json").read_text())
    return content


@pytest.fixture(scope="module")
def mnist() -> tuple[np.ndarray, np.ndarray]:
    return everything(load_data("mnist5k"))


def test_the_zoo_is_complete() -> None:
    assert set(PROMISED) == set(ENTRIES) < set(ZOO)
    for name in ZOO:
        assert zoo_path(name).stat().st_size < LARGEST
    with pytest.raises(UsageError, match="does not exist"):
        zoo_path("mnist-9x9")
    with pytest.raises(UsageError, match="does not exist"):
        build(("mnist-9x9",), "nowhere.npz")


@pytest.mark.parametrize("name", ENTRIES)
def test_accuracy_on_unseen_images(name: str, mnist: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = mnist
    predicted = Runtime(zoo_path(name).read_bytes()).predict(images)
    share = float((predicted == labels).mean())
    assert share >= PROMISED[name]
    # Another machine may round a close call the other way, not more than a few of 5,000.
    assert share == pytest.approx(_facts(name)["accuracy"]["mnist5k"], abs=0.001)


def test_certified_share(mnist: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = mnist
    chosen = slice(None, None, 10)
    path = zoo_path("mnist-certified")
    proved = certified_images(path, images[chosen], labels[chosen], 0.1)
    recorded = _facts("mnist-certified")["accuracy"]
    assert recorded["certified_eps"] == 0.1
    assert recorded["mnist5k_certified"] >= PROMISED_CERTIFIED
    assert proved.mean() >= PROMISED_CERTIFIED
    # 500 of the 5,000 images: three standard deviations of a share.
    assert proved.mean() == pytest.approx(recorded["mnist5k_certified"], abs=0.06)
    # What is certified must also be right, on the image itself and near it.
    runtime = Runtime(path.read_bytes())
    state = np.random.RandomState(0)
    sure, truth = images[chosen][proved], labels[chosen][proved]
    for _ in range(5):
        moved = sure + state.choice([-0.1, 0.1], sure.shape).astype(np.float32)
        assert np.array_equal(runtime.predict(np.clip(moved, 0, 1)), truth)


def test_explanations_hold_over_balls(mnist: tuple[np.ndarray, np.ndarray]) -> None:
    """What training counted in float, the checker accepts; on other images than were trained on."""
    recorded = _facts("mnist-explained")["accuracy"]
    assert recorded["certified_eps"] == 0.1
    assert recorded["mnist5k_explained"] >= PROMISED_EXPLAINED
    row = measured(zoo_path("mnist-explained"), Fraction(1, 10), 6)
    assert row["images"] == 6
    assert 4 / 6 <= row["same"] <= row["some"] <= row["certified"] <= row["right"]
    # a fact that holds over the ball asks for less than the image shows, but for something
    assert 0 < row["stated"] < row["seen"]


@pytest.mark.parametrize("name", ENTRIES)
def test_provenance_says_where_it_comes_from(name: str) -> None:
    facts = _facts(name)
    assert facts["name"] == name
    assert facts["data"]["name"] == "mnist_train.npz"
    assert (facts["data"]["train"], facts["data"]["test"]) == (50_000, 5_000)
    assert "--data mnist_train.npz " in facts["command"]
    assert f"--epochs {ENTRIES[name].epochs} " in facts["command"]
    model = onnx.load(zoo_path(name))
    text = {entry.key: entry.value for entry in model.metadata_props}["protoproof"]
    description = parse_about(text, name)
    assert description.training_data is not None
    assert description.training_data.sha256 == facts["data"]["sha256"]


@pytest.mark.parametrize("name", ENTRIES)
def test_the_sheet_shows_what_the_prototypes_are(name: str) -> None:
    """A patch from the sheet, put where it was cut, must yield the prototype itself."""
    facts = _facts(name)
    height, width = facts["sheet"]["tile"]
    with Image.open(zoo_path(name).with_name(facts["sheet"]["file"])) as picture:
        sheet = np.asarray(picture)
    model = onnx.load(zoo_path(name))
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    runtime = Runtime(zoo_path(name).read_bytes())
    compared = 0
    for entry in facts["prototypes"]:
        y0, x0, y1, x1 = entry["box"]
        if (y1 - y0, x1 - x0) != (height, width):
            continue  # cut off by the border, so the tile is a resized patch
        top, left = entry["prototype"] // 10 * height, entry["prototype"] % 10 * width
        image = np.zeros((1, 1, 28, 28), dtype=np.float32)
        tile = sheet[top : top + height, left : left + width].astype(np.float32)
        image[0, 0, y0:y1, x0:x1] = tile / np.float32(255)
        row, column = entry["location"]
        latent = runtime.observe(image).latent[0, :, row, column]
        prototype = weights["prototypes"][entry["prototype"], :, 0, 0]
        np.testing.assert_allclose(latent, prototype, rtol=0, atol=1e-5)
        compared += 1
    assert compared >= 10
