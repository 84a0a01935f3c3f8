"""Hostile users: what was once possible, and must stay impossible."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from protoproof.data.dataset import load_data
from protoproof.network.recorded import input_digest
from protoproof.resources import zoo_path
from tests.support.cli import protoproof

MODEL = zoo_path("mnist-1x1")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0.npy shows a zero, 1.npy another digit; cert.json explains 0.npy."""
    folder = tmp_path_factory.mktemp("digits")
    data = load_data("mnist5k")
    other = int(np.flatnonzero(data.y_test != data.y_test[0])[0])
    for name, index in (("0.npy", 0), ("1.npy", other)):
        np.save(folder / name, data.x_test[index])
    out = folder / "cert.json"
    assert protoproof("explain", MODEL, "--input", folder / "0.npy", "--out", out).code == 0
    return folder


@pytest.mark.trust(17)
def test_another_inputs_hash_does_not_make_it_that_inputs_certificate(
    digits: Path, tmp_path: Path
) -> None:
    """The hash can be written by anybody: presenting the input runs the network."""
    document = json.loads((digits / "cert.json").read_text())
    document["core"]["instance"]["input_sha256"] = input_digest(np.load(digits / "1.npy"))
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps(document))
    honest = protoproof("check", digits / "cert.json", MODEL, "--input", digits / "0.npy")
    assert honest.code == 0
    assert "bit for bit" in honest.out
    result = protoproof("check", forged, MODEL, "--input", digits / "1.npy")
    assert result.code == 1
    assert "another latent" in result.out


@pytest.mark.parametrize("kind", ["model", "input", "symlink", "fifo", "no json"])
@pytest.mark.trust(32)
def test_outputs_never_replace_what_is_not_theirs(kind: str, digits: Path, tmp_path: Path) -> None:
    model, x = tmp_path / "m.json", tmp_path / "x.npy"
    model.write_bytes(MODEL.read_bytes())
    x.write_bytes((digits / "0.npy").read_bytes())
    out = {"model": model, "input": tmp_path / "y.json", "no json": tmp_path / "c.txt"}.get(kind)
    if kind == "input":
        image = tmp_path / "y.npy"
        image.write_bytes(x.read_bytes())
        os.link(image, tmp_path / "y.json")  # one file, two names
        (tmp_path / "y.json").unlink()
        (tmp_path / "y.json").symlink_to(image)
    if out is None:
        out = tmp_path / "c.json"
        if kind == "symlink":
            out.symlink_to(x)
        else:
            os.mkfifo(out)
    before = {path.name: path.lstat().st_mode for path in tmp_path.iterdir()}
    result = protoproof("explain", model, "--input", x, "--out", out)
    assert result.code == 2
    assert {path.name: path.lstat().st_mode for path in tmp_path.iterdir()} == before
    assert x.read_bytes() == (digits / "0.npy").read_bytes()
    assert model.read_bytes() == MODEL.read_bytes()


def test_outputs_come_together_or_not_at_all(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "d.html").mkdir()
    result = protoproof(
        "explain", MODEL, "--input", digits / "0.npy", "--out", tmp_path / "d.cert.json"
    )
    assert result.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["d.html"]


@pytest.mark.trust(31)
def test_names_cannot_speak_to_the_terminal(digits: Path, tmp_path: Path) -> None:
    model = onnx.load(MODEL)
    description = json.loads(model.metadata_props[0].value)
    description["classes"] = [f"\x1b]0;owned\x07\x1b[31m{k}\u202e" for k in range(10)]
    description["name"] = "[bold]\x1b[2Jname"
    model.metadata_props[0].value = json.dumps(description)
    onnx.save(model, tmp_path / "m.onnx")
    out = tmp_path / "c.json"
    result = protoproof("explain", tmp_path / "m.onnx", "--input", digits / "0.npy", "--out", out)
    assert result.code == 0
    assert not set("\x1b\x07\u202e") & set(result.out)
    assert "[bold]" in result.out
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert not set("\x1b\x07\u202e") & set(page)


def test_index_without_input_is_refused(digits: Path) -> None:
    result = protoproof("check", digits / "cert.json", MODEL, "--index", "3")
    assert result.code == 2
    assert "--index" in result.err


@pytest.mark.trust(32)
def test_file_names_that_are_no_text(digits: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    pixels = (np.load(digits / "0.npy")[0] * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / name)
    out = tmp_path / "c.json"
    result = protoproof("explain", MODEL, "--input", tmp_path / name, "--out", out, "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["verdict"] == "proved"
