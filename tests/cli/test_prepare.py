"""A prepared model needs nothing beside it, and computes what it did before."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from protoproof.network import load
from protoproof.network.head.about import PICTURES
from protoproof.network.inputs import read_input
from protoproof.report.files import prototype_pictures
from protoproof.report.page.patches import patches_of
from tests.support.cli import protoproof
from tests.support.network.builders import Draft, draft, node

STATED = "resize=7,crop=6,bgr,mean=0.485,0.456,0.406,std=0.229,0.224,0.225"


def colour(layout: str = "channels first") -> Draft:
    """A network for three colours that says nothing about itself."""
    parts, rng = draft(), np.random.default_rng(1)
    parts.description = None
    parts.weights["w1"] = rng.normal(0, 0.4, (5, 3, 3, 3)).astype(np.float32)
    parts.image = (3, 6, 6)
    if layout == "channels last":
        parts.image = (6, 6, 3)
        parts.node("c1").input[0] = "turned"
        parts.nodes.insert(0, node("Transpose", ["input"], "turned", perm=[0, 3, 1, 2]))
    return parts


def pictures(folder: Path) -> Path:
    rng = np.random.default_rng(2)
    for part in ("train", "test"):
        for name in ("jay", "wren"):
            (folder / part / name).mkdir(parents=True)
            for k in range(2):
                pixels = rng.integers(0, 256, (9 + k, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{k}.png")
    return folder


@pytest.mark.parametrize("layout", ["channels first", "channels last"])
def test_everything_inside_one_file(layout: str, tmp_path: Path) -> None:
    model = colour(layout).build()
    path = tmp_path / "net.onnx"
    onnx.save(
        model, path, save_as_external_data=True, location="net.data", size_threshold=0
    )  # as torch's exporter does
    data, out = pictures(tmp_path / "birds"), tmp_path / "new" / "ready.onnx"
    asked = ("prepare", path, "--out", out, "--preprocess", STATED, "--data", data)
    said = protoproof(*asked)
    assert said.code == 0, said.err
    for words in (
        "external data merged: net.data",
        "red and blue exchanged, mean and std",
        "recorded: resize=7,crop=6x6",
        "class names: jay, wren",
        "pictures of 4 prototypes from all 4 training images of birds",
        "largest difference 0;",
    ):
        assert words in said.out
    # the same bits, from the same pictures, with nothing said beside it
    before, after = load(path, preprocess=STATED), load(out)
    assert (after.files, after.class_names) == ({}, ("jay", "wren"))
    assert after.input_shape == (3, 6, 6)
    assert after.input_range == (0.0, 1.0)
    picture = data / "test" / "wren" / "0.png"
    certificate = tmp_path / "x.cert.json"
    explained = protoproof("explain", out, "--input", picture, "--out", certificate)
    assert explained.code == 0, explained.err
    assert "a picture was" not in explained.err
    image = np.random.default_rng(0).random((3, 6, 6)).astype(np.float32)
    one = before.observe(before.pixels.values(image))
    two = after.observe(after.pixels.values(image))
    assert one.latent.tobytes() == two.latent.tobytes()
    assert one.logits.tobytes() == two.logits.tobytes()
    assert protoproof("check", certificate, out, "--input", picture).code == 0
    assert [file.name for file in out.parent.iterdir()] == ["ready.onnx"]  # and nothing beside it
    patches = patches_of(after)
    assert patches is not None
    assert len(patches.pictures) == 4
    assert "the nearest patch, not the prototype's own" in patches.origins[0]
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "training image" in page
    assert "looks like" not in page  # what is shown is no prototype, but the nearest patch
    # nothing is written over
    again = protoproof(*asked)
    assert again.code == 2
    assert "exists already" in again.err


def test_names_in_another_order_than_the_networks_show(tmp_path: Path) -> None:
    """Folders are sorted, a network counts as it was trained: only its predictions can tell."""
    model, data = colour().save(tmp_path), pictures(tmp_path / "birds")
    network = load(model, preprocess=STATED)
    for file in sorted((data / "train").glob("*/*.png")):
        seen = network.observe(read_input(file, network.pixels)).predicted
        if ("jay", "wren")[seen] != file.parent.name:
            file.unlink()  # so that most are predicted as their folder says
            break
    stated = ("prepare", model, "--preprocess", STATED, "--data", data)
    shares = []
    for number, names in enumerate([(), ("--classes", "wren,jay")]):
        said = protoproof(*stated, "--out", tmp_path / f"{number}.onnx", *names)
        assert said.code == 0, said.err
        (line,) = (line for line in said.out.splitlines() if "training images, " in line)
        found = re.search(r"of 3 training images, (\d) are predicted as they are labelled", line)
        assert found is not None
        shares.append(int(found[1]))
        assert ("in another order, state it with --classes" in line) == (number == 1)
    assert shares == [2, 1]


def test_the_patch_that_a_prototype_is(tmp_path: Path) -> None:
    """Where a prototype is a patch's latent, that patch is found, and is not called the nearest."""
    parts = draft()
    parts.save(tmp_path)
    images = np.random.default_rng(3).random((4, 1, 6, 6)).astype(np.float32)
    labels = np.array([0, 1, 0, 1])
    np.savez(tmp_path / "d.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    latent = load(tmp_path / "tiny.onnx").observe(images[2]).latent
    parts.weights["prototypes"][1, :, 0, 0] = latent[3]
    model = parts.save(tmp_path, "projected.onnx")
    out = tmp_path / "ready.onnx"
    said = protoproof("prepare", model, "--out", out, "--data", tmp_path / "d.npz", "--json")
    assert said.code == 0, said.err
    assert "1 are the latent of their patch" in " ".join(json.loads(said.out)["steps"])
    (text,) = (e.value for e in onnx.load(out).metadata_props if e.key == PICTURES)
    origin = json.loads(text)["prototypes"][1]
    assert origin == {"prototype": 1, "image": 2, "box": [2, 2, 5, 5], "nearest": False}


def test_a_network_that_takes_pictures_as_they_are_says_so_then(tmp_path: Path) -> None:
    model, out = colour().save(tmp_path), tmp_path / "ready.onnx"
    said = protoproof("prepare", model, "--out", out, "--preprocess", "range=0,1,resize=6x6")
    assert said.code == 0, said.err
    assert "recorded: the network takes colours from 0 to 1 as they are" in said.out
    ready = load(out)
    assert (ready.range_stated, ready.input_range, ready.pixels.problem) == (True, (0.0, 1.0), "")
    assert ready.pixels.text == "resize=6x6"


def test_large_pictures_lie_beside_the_model_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prototype_pictures, "MOST_INSIDE", 10)
    model, out = colour().save(tmp_path), tmp_path / "ready.onnx"
    data = pictures(tmp_path / "birds")
    said = protoproof("prepare", model, "--out", out, "--preprocess", STATED, "--data", data)
    assert said.code == 0, said.err
    assert "pictures beside the model, for they are large" in said.out
    for name in ("ready.prototypes.png", "ready.json"):
        assert (tmp_path / name).is_file()
        assert name in said.out
    assert patches_of(load(out)) is not None


def test_what_nobody_states_is_left_alone_and_said(tmp_path: Path) -> None:
    model, out = colour().save(tmp_path), tmp_path / "ready.onnx"
    said = protoproof("prepare", model, "--out", out, "--classes", "jay,wren")
    assert said.code == 0, said.err
    assert "no preprocessing put inside: which numbers the network takes" in said.out
    assert load(out).class_names == ("jay", "wren")
    assert not load(out).range_stated
    names = tmp_path / "names.txt"
    names.write_text("jay\n")
    wrong = protoproof("prepare", model, "--out", tmp_path / "x.onnx", "--classes", names)
    assert (wrong.code, "1 names, and the network has 2 classes" in wrong.err) == (2, True)
    assert protoproof("prepare", model, "--out", tmp_path / "x.json").code == 2


def test_a_refusal_names_options_that_the_verb_has(tmp_path: Path) -> None:
    model = draft().save(tmp_path)  # takes grey pictures
    data = pictures(tmp_path / "birds")
    asked = ("--preprocess", "resize=6x6,mean=0.5,std=0.25", "--data", data)
    said = protoproof("prepare", model, "--out", tmp_path / "ready.onnx", *asked)
    assert said.code == 2
    named = set(re.findall(r"--[a-z]+", said.err))
    assert named
    assert named <= set(re.findall(r"--[a-z]+", protoproof("prepare", "--help").out))
