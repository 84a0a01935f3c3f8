"""The families of the zoo keep what their sheets promise; nothing is trained here."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from models.build_zoo import ENTRIES, build
from models.corpora import corpus
from models.families import FAMILIES
from models.heldout import heldout, names
from models.plain_export import KEY
from models.zoo_entry import scores, share_right
from models.zoo_table import PAGE, ZOO, page, provenance
from protoproof.errors import UsageError
from protoproof.resources import ZOO as ZOO_NAMES
from protoproof.resources import zoo_path

CHANCE_FACTOR = 3.0
"""A network that is worth explaining is right at least this many times as often as a guess."""
LARGEST = 1_050_000
ALL_NEW_FILES = 8_000_000
NAMED = {
    *("schema", "name", "family", "producer", "training_data"),
    *("input", "latent", "classes", "prototype_class"),
}


def _path(name: str) -> Any:
    return ZOO / f"{name}.onnx"


def test_the_zoo_is_complete_and_small() -> None:
    assert set(names()) == set(ENTRIES) | set(FAMILIES) == set(ZOO_NAMES)
    assert all(zoo_path(name) == _path(name) for name in ZOO_NAMES)
    assert {path.stem for path in ZOO.glob("*.onnx")} == set(names())
    files = [path for name in FAMILIES for path in ZOO.glob(f"{name}.*")]
    assert len(files) == 3 * len(FAMILIES)
    assert sum(path.stat().st_size for path in files) < ALL_NEW_FILES
    assert all(_path(name).stat().st_size < LARGEST for name in FAMILIES)


def test_every_kind_of_head_has_its_own_file_and_its_own_network() -> None:
    kinds = {type(family.head()).__module__ for family in FAMILIES.values()}
    assert len(kinds) >= len(FAMILIES) - 1  # Gaussian: one file, two covariances


@pytest.mark.parametrize("name", FAMILIES)
def test_accuracy_on_held_out_samples(name: str) -> None:
    facts, unseen = provenance(name), heldout(name)
    found = share_right(scores(_path(name).read_bytes(), unseen.x), unseen.y)
    # Another machine may round a close call the other way, and draws a few pixels differently.
    for key, share in found.items():
        assert share == pytest.approx(facts["accuracy"][key], abs=0.01)
    guess = 0.5 if unseen.y.ndim == 2 else 1 / len(unseen.classes)
    assert found["test"] >= min(0.9, CHANCE_FACTOR * guess)


@pytest.mark.parametrize("name", FAMILIES)
def test_provenance(name: str) -> None:
    facts, family = provenance(name), FAMILIES[name]
    content = _path(name).read_bytes()
    assert facts["name"] == name
    assert facts["model"] == {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    assert facts["command"] == f"python -m models.build_zoo {name}"
    assert facts["seed"] == family.seed
    data = corpus(family.corpus)
    assert facts["data"]["sha256"] == data.sha256
    assert (facts["data"]["train"], facts["data"]["test"]) == (len(data.x_train), len(data.x_test))
    assert facts["data"]["licence"] == data.licence
    assert {"torch", "numpy", "onnx", "onnxruntime"} <= set(facts["versions"])
    recipe, schedule = facts["recipe"], family.schedule
    assert (recipe["epochs"], recipe["last_layer_epochs"]) == (
        schedule.epochs,
        schedule.settle_epochs,
    )
    assert (recipe["batch"], recipe["learning_rate"]) == (schedule.batch, schedule.rate)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_file_is_what_an_exporter_writes(name: str) -> None:
    """One input for one sample, one output, and metadata that names things but no tensor."""
    model = onnx.load(_path(name))
    onnx.checker.check_model(model, full_check=True)
    data = corpus(FAMILIES[name].corpus)
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == [1, *data.shape]
    assert len(model.graph.input) == len(model.graph.output) == 1
    texts = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert set(texts) == {KEY}
    assert tuple(texts[KEY]["classes"]) == data.classes
    assert set(texts[KEY]) <= NAMED
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_sheet_has_a_picture_for_every_prototype(name: str) -> None:
    facts = provenance(name)
    count, (rows, columns) = facts["head"]["prototypes"], facts["sheet"]["tile"]
    assert [entry["prototype"] for entry in facts["prototypes"]] == list(range(count))
    with Image.open(ZOO / facts["sheet"]["file"]) as picture:
        assert picture.size == (columns * facts["sheet"]["columns"], rows * -(-count // 10))
        pixels = np.asarray(picture)
    tiles = [
        pixels[i // 10 * rows : (i // 10 + 1) * rows, i % 10 * columns : (i % 10 + 1) * columns]
        for i in range(count)
    ]
    # A prototype may stand for plain background; most show something.
    assert sum(int(tile.max()) > int(tile.min()) for tile in tiles) > 0.8 * count


@pytest.mark.parametrize(
    "name", [n for n, f in FAMILIES.items() if f.corpus == "emoji" or f.corpus == "mnist5k"]
)
def test_patches_on_the_sheet_are_those_of_the_recorded_places(name: str) -> None:
    facts = provenance(name)
    if facts["family"] == "CaseBased":
        assert facts["sheet"]["tile"] == [28, 28]  # decoded, not cut out
        return
    data = corpus(FAMILIES[name].corpus)
    rows, columns = facts["sheet"]["tile"]
    with Image.open(ZOO / facts["sheet"]["file"]) as picture:
        sheet = np.asarray(picture).astype(np.float32)
    compared = 0
    for entry in facts["prototypes"]:
        y0, x0, y1, x1 = entry["box"]
        assert data.y_train[entry["image"]] == entry["class"]
        if (y1 - y0, x1 - x0) != (rows, columns):
            continue  # cut off by the border, so the tile is a resized patch
        top, left = entry["prototype"] // 10 * rows, entry["prototype"] % 10 * columns
        tile = sheet[top : top + rows, left : left + columns].reshape(rows, columns, -1)
        patch = data.x_train[entry["image"]][:, y0:y1, x0:x1].transpose(1, 2, 0) * 255
        assert np.abs(tile - patch).max() <= 1.0
        compared += 1
    assert compared


@pytest.mark.parametrize("name", FAMILIES)
def test_the_prototypes_of_a_family_differ(name: str) -> None:
    """Every held-out class is predicted somewhere: no score is dead."""
    unseen = heldout(name)
    found = scores(_path(name).read_bytes(), unseen.x)
    assert np.isfinite(found).all()
    assert (found.std(axis=0) > 0).all()


@pytest.mark.parametrize("name", ZOO_NAMES)
def test_held_out_samples_for_a_benchmark(name: str) -> None:
    every, some = heldout(name), heldout(name, 100)
    assert len(some.x) == len(some.y) == 100
    assert some.classes == every.classes
    assert some.x.dtype == np.float32
    again = heldout(name, 100)
    assert np.array_equal(some.x, again.x)
    seen = corpus(FAMILIES[name].corpus if name in FAMILIES else "mnist5k").x_train
    known = {sample.tobytes() for sample in seen}
    repeated = sum(sample.tobytes() in known for sample in every.x)
    assert repeated == 0
    with pytest.raises(UsageError, match="held-out samples"):
        heldout(name, len(every.x) + 1)


def test_names_that_do_not_exist() -> None:
    with pytest.raises(UsageError, match="does not exist"):
        heldout("mnist-9x9")
    with pytest.raises(UsageError, match="does not exist"):
        build(("mnist-9x9",))
    for name in ENTRIES:
        with pytest.raises(UsageError, match="needs --data"):
            build((name,))


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_scores_of_one_sample_do_not_depend_on_the_others() -> None:
    unseen = heldout("digits-diagonal")
    content = _path("digits-diagonal").read_bytes()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    alone = session.run(None, {session.get_inputs()[0].name: unseen.x[5:6]})[0][0]
    assert np.array_equal(scores(content, unseen.x[:10])[5], alone)
