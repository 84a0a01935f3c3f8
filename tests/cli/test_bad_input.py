"""Bad input: one clear line on stderr, the documented exit code, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from protoproof.network import load
from protoproof.resources import zoo_path
from tests.support.cli import Result, called, protoproof
from tests.support.network.builders import draft

MODEL = zoo_path("mnist-1x1")


def refused(result: Result, *words: str, code: int = 2) -> None:
    assert result.code == code
    assert result.out == ""
    assert result.err.count("\n") == 1, result.err
    for word in words:
        assert word in result.err


def blank(path: Path, size: int = 28) -> Path:
    Image.fromarray(np.zeros((size, size), dtype=np.uint8)).save(path)
    return path


def test_missing_model(tmp_path: Path) -> None:
    refused(protoproof("explain", tmp_path / "no.onnx", "--input", "x.png"), "no.onnx")


def test_truncated_model(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(MODEL.read_bytes()[:5000])
    refused(protoproof("explain", path, "--input", blank(tmp_path / "x.png")), "cut.onnx")


def test_a_model_without_names_is_explained_and_says_so(tmp_path: Path) -> None:
    model = onnx.load(MODEL)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    asked = ("explain", tmp_path / "bare.onnx", "--input", blank(tmp_path / "x.png"))
    refused(protoproof(*asked), "x.png", "takes for pixels is not stated", "--preprocess")
    result = protoproof(*asked, "--preprocess", "range=0,1")
    assert result.code == 0, result.err
    assert "bare sees class" in result.out
    assert "pixels were prepared as stated: range=0,1" in result.out


def test_image_of_the_wrong_size(tmp_path: Path) -> None:
    result = protoproof("explain", MODEL, "--input", blank(tmp_path / "x.png", 32))
    refused(result, "x.png", "[1, 32, 32]", "[1, 28, 28]")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16"])
def test_colours_are_not_converted_silently(mode: str, tmp_path: Path) -> None:
    image = Image.new(mode, (28, 28))
    if mode == "RGB":
        image.putpixel((3, 4), (255, 0, 0))
    image.save(tmp_path / "x.png")
    refused(protoproof("explain", MODEL, "--input", tmp_path / "x.png"), "x.png", "convert")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"hello"])
def test_broken_image(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(content)
    refused(protoproof("explain", MODEL, "--input", tmp_path / "x.png"), "x.png")


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5])
def test_values_outside_the_range(value: float, tmp_path: Path) -> None:
    x = np.zeros((1, 28, 28), dtype=np.float32)
    x[0, 3, 4] = value
    np.save(tmp_path / "x.npy", x)
    refused(protoproof("explain", MODEL, "--input", tmp_path / "x.npy"))


@pytest.mark.trust(28)
def test_pickled_array_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(protoproof("explain", MODEL, "--input", tmp_path / "x.npy"), "x.npy")


def test_index_outside_the_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 1, 28, 28), dtype=np.float32))
    result = protoproof("explain", MODEL, "--input", tmp_path / "x.npy", "--index", "3")
    refused(result, "--index 3")


@pytest.mark.trust(32)
def test_output_that_is_a_directory_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    image = blank(tmp_path / "x.png")
    refused(protoproof("explain", MODEL, "--input", image, "--out", tmp_path / "taken"), "taken")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["taken", "x.png"]


def test_output_below_a_file(tmp_path: Path) -> None:
    image = blank(tmp_path / "x.png")
    refused(protoproof("explain", MODEL, "--input", image, "--out", image / "c.json"), "x.png")


def test_labels_out_of_range(tmp_path: Path) -> None:
    x = np.zeros((6, 28, 28), dtype=np.uint8)
    y = np.array([0, 1, -1, 0, 1, 0])
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    refused(protoproof("train", "--data", tmp_path / "d.npz", "--out", tmp_path / "net"), "y_train")
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ("--vocabulary", "everything"),
        ("--domain", "moon"),
        ("--oracle", "delphi"),
        ("--device", "abacus"),
    ],
)
def test_unknown_words(option: str, word: str, tmp_path: Path) -> None:
    image = blank(tmp_path / "x.png")
    refused(protoproof("explain", MODEL, "--input", image, option, word), option, word)


def mirrored(path: Path) -> Path:
    """A network whose classes 0 and 1 have the same last-layer weights: they always tie."""
    model = onnx.load(MODEL)
    for tensor in model.graph.initializer:
        if tensor.name == "head.weight":
            weight = numpy_helper.to_array(tensor).copy()
            weight[:] = -0.5
            weight[:2] = 1.0
            tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    onnx.save(model, path)
    return path


@pytest.mark.trust(4)
def test_a_tie_is_undecided_and_writes_nothing(tmp_path: Path) -> None:
    model = mirrored(tmp_path / "tie.onnx")
    image = blank(tmp_path / "x.png")
    out = tmp_path / "out" / "c.json"
    result = protoproof("explain", model, "--input", image, "--out", out)
    assert result.code == 3
    assert "tie" in result.out
    assert not out.exists()


@pytest.mark.trust(49)
def test_a_runtime_that_is_wrong_is_no_tie(tmp_path: Path) -> None:
    """Distances of large latents cancel in float32: what is left is rounding."""
    parts = draft(last="Relu")
    parts.weights["b2"] = np.full(3, 3e3, dtype=np.float32)
    parts.node("c2").input.append("b2")
    parts.weights["prototypes"] += np.float32(3e3)
    model = parts.save(tmp_path)
    network, wrong = load(model), None
    for seed in range(50):
        x = np.random.default_rng(seed).random((1, 6, 6), dtype=np.float32)
        seen = network.observe(x)
        exact = network.head.logits(
            network.head.activation(network.head.measurement(seen.latent.astype(np.float64)))
        )
        if seen.predicted == 1 and exact[0] > exact[1] + 1e-6:
            wrong = x
            break
    assert wrong is not None
    np.save(tmp_path / "x.npy", wrong)
    result = protoproof(
        "explain", model, "--input", tmp_path / "x.npy", "--out", tmp_path / "c.json"
    )
    assert result.code == 3
    assert "ONNX Runtime says yes, and in exact arithmetic no is ahead of it" in result.out
    assert "tie" not in result.out
    assert not (tmp_path / "c.json").exists()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    words = ["check", "no.json", str(MODEL)]
    for place in range(len(words) + 1):
        done = called(*words[:place], "--debug", *words[place:], cwd=tmp_path)
        assert done.code == 2
        assert "Traceback" in done.err
        assert "no.json" in done.err
