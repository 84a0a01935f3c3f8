"""Training works on any small data set, repeats itself, and refuses what makes no sense."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.checkpoint import RECORD, TENSORS, load_checkpoint
from models.evaluate import certified_accuracy
from models.export import export_checkpoint
from models.recipe import Recipe
from models.train import TrainResult, train_model
from protoproof.data.dataset import load_data
from protoproof.errors import InputError, OutputError, TrainingError, UsageError
from tests.support.training import SMALL, stripes


def test_a_small_colour_data_set_is_learnt(trained: TrainResult) -> None:
    assert trained.accuracy["test"] >= 0.9
    assert trained.export.accuracy >= 0.9
    assert len(trained.origins) == 9


def test_certified_training_certifies_unseen_images(
    certified: TrainResult, colour_file: Path
) -> None:
    assert certified.accuracy["certified_eps"] == 0.05
    assert certified.accuracy["certified"] >= 0.9
    assert certified.accuracy["certified"] <= certified.accuracy["test"]
    _, model = load_checkpoint(certified.checkpoint)
    dataset = load_data(str(colour_file))
    shares = [
        certified_accuracy(model, dataset.x_test, dataset.y_test, radius)
        for radius in (0.0, 0.05, 0.5)
    ]
    # Within rounding of the recomputed prototypes, the recorded share is what comes out again.
    assert shares[1] == pytest.approx(certified.accuracy["certified"], abs=0.02)
    assert shares[0] >= shares[1] >= shares[2]


@pytest.mark.parametrize(("grid", "certified_eps"), [(2, None), (1, 0.05)])
def test_the_same_seed_gives_the_same_file(
    tmp_path: Path, colour_file: Path, grid: int, certified_eps: float | None
) -> None:
    state = torch.random.get_rng_state()

    def run(folder: str, seed: int) -> str:
        options: dict[str, Any] = SMALL | {"epochs": 1, "certified_eps": certified_eps}
        out = tmp_path / folder
        result = train_model("protopnet", str(colour_file), out, grid=grid, seed=seed, **options)
        return result.export.sha256

    first = run("a", 5)
    torch.rand(3)  # neither the caller's generator matters
    torch.set_num_threads(2)  # nor how many threads it has
    assert run("b", 5) == first
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert run("c", 6) != first
    torch.random.set_rng_state(state)


def test_defaults_fit_a_tiny_grey_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "tiny.npz"
    np.savez(data, **stripes(40, 1, 9, 8, 2))
    result = train_model("protopnet", str(data), tmp_path / "out", epochs=2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        RECORD,
        TENSORS,
        "model.json",
        "model.onnx",
        "model.prototypes.png",
    ]
    assert result.export.model == tmp_path / "out" / "model.onnx"
    # what pages call it
    provenance = json.loads((tmp_path / "out" / "model.json").read_text(encoding="utf-8"))
    assert provenance["name"] == "protopnet-tiny"


def test_small_data_sets_get_more_epochs() -> None:
    epochs = [Recipe.for_data(images, None, None).epochs for images in (50, 4_000, 60_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert Recipe.for_data(50, 3, None).epochs == 3


REFUSED = [
    ({"family": "tree"}, "family 'tree' is unknown"),
    ({"grid": 13}, "grid 13 does not fit images of 12x14"),
    ({"certified_eps": 0.0}, "outside"),
    ({"certified_eps": float("nan")}, "outside"),
    ({"seed": -1}, "seed -1"),
    ({"epochs": 0}, "0 epochs"),
    ({"prototypes_per_class": 0}, "0 prototypes per class"),
    ({"name": "../model"}, "not a plain file name"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, colour_file: Path, options: dict[str, Any], said: str
) -> None:
    arguments = {"family": "protopnet", "data": str(colour_file), "out": tmp_path / "out"}
    with pytest.raises(UsageError, match=said):
        train_model(**arguments | options)
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder_is_found_out_before_training(
    tmp_path: Path, colour_file: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(OutputError, match="file"):
        train_model("protopnet", str(colour_file), blocked, epochs=10_000)


def test_images_that_are_too_small_are_refused(tmp_path: Path) -> None:
    data = tmp_path / "small.npz"
    np.savez(data, **stripes(40, 1, 6, 20, 2))
    with pytest.raises(UsageError, match="images of 6x20"):
        train_model("protopnet", str(data), tmp_path / "out")


def _copy(trained: TrainResult, folder: Path) -> Path:
    shutil.copytree(trained.checkpoint.parent, folder)
    return folder


def test_an_exported_checkpoint_is_the_same_file(
    trained: TrainResult, colour_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again" / "model.onnx"
    for checkpoint in (trained.checkpoint, trained.checkpoint.parent):
        assert export_checkpoint(checkpoint, out, str(colour_file)).sha256 == trained.export.sha256
    assert out.read_bytes() == trained.export.model.read_bytes()


def test_other_data_is_refused_at_export(trained: TrainResult, tmp_path: Path) -> None:
    data = tmp_path / "other.npz"
    np.savez(data, **stripes(60, 3, 12, 14, 3))
    with pytest.raises(InputError, match="is not what"):
        export_checkpoint(trained.checkpoint, tmp_path / "model.onnx", str(data))
    with pytest.raises(UsageError, match=r"ends in \.onnx"):
        export_checkpoint(trained.checkpoint, tmp_path / "model.pt", str(data))


def test_damaged_checkpoints_are_refused(trained: TrainResult, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        load_checkpoint(tmp_path / "nowhere")
    folder = _copy(trained, tmp_path / "truncated")
    tensors = folder / TENSORS
    tensors.write_bytes(tensors.read_bytes()[:-10])
    with pytest.raises(TrainingError, match="is damaged"):
        load_checkpoint(folder)
    folder = _copy(trained, tmp_path / "field")
    record = json.loads((folder / RECORD).read_text())
    (folder / RECORD).write_text(json.dumps(record | {"surprise": 1}))
    with pytest.raises(TrainingError, match="surprise"):
        load_checkpoint(folder)
    (folder / RECORD).write_text(json.dumps(record | {"prototypes_per_class": 7}))
    with pytest.raises(TrainingError, match="does not fit"):
        load_checkpoint(folder)
    (folder / RECORD).write_text("{")
    with pytest.raises(TrainingError, match="train the network again"):
        load_checkpoint(folder)


def test_nothing_is_trained_with_what_it_is_tested_on(tmp_path: Path) -> None:
    arrays = stripes(40, 1, 8, 9, 2)
    np.savez(tmp_path / "one.npz", x_test=arrays["x_test"], y_test=arrays["y_test"])
    with pytest.raises(InputError, match="has no training part"):
        train_model("protopnet", str(tmp_path / "one.npz"), tmp_path / "out", **SMALL)
