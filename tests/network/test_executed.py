"""Operators without a rule: executed in an encoder, and named where bounds are asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from PIL import Image

from protoproof.errors import InputError, ModelError, UnsupportedOperatorError
from protoproof.explanation.certifiable import checkers_objection
from protoproof.kernel import ModelFile
from protoproof.network import load
from protoproof.network.inputs import read_input
from protoproof.network.inspect import inspect_file
from protoproof.network.onnx.file import OnnxFile, read_model
from protoproof.network.onnx.graph import Graph, build_graph
from protoproof.network.onnx.inferred import exposing
from protoproof.network.onnx.limits import DEFAULT_LIMITS
from protoproof.network.onnx.runtime import Session
from protoproof.network.onnx.screen import refusals
from tests.support.cli import protoproof
from tests.support.network.builders import draft, node
from tests.support.network.crosscheck import executed_only
from tests.support.network.encoders import EXECUTED, executed

IMAGE = np.random.default_rng(5).random((1, 6, 6)).astype(np.float32)


def graph_of(path: Path) -> tuple[OnnxFile, Graph]:
    file = read_model(path)
    assert list(refusals(file.model, DEFAULT_LIMITS, file.files)) == []
    return file, build_graph(file.model, DEFAULT_LIMITS, file.files, file.data)


@pytest.mark.parametrize("batch", ["N", 1])
@pytest.mark.parametrize("name", EXECUTED)
def test_shapes_are_those_of_the_runtime(tmp_path: Path, name: str, batch: str | int) -> None:
    parts = executed(name)
    parts.batch = batch
    file, graph = graph_of(parts.save(tmp_path))
    names = tuple(name for node in graph.nodes for name in node.outputs if name)
    new = tuple(name for name in names if name not in graph.outputs)
    found = Session(exposing(file.data, new)).shapes(names, {"input": IMAGE[None]})
    assert {name: graph.shapes[name] for name in names} == found
    assert executed_only(graph)
    assert not graph.free_batch


@pytest.mark.parametrize("name", EXECUTED)
def test_the_checker_reads_them(tmp_path: Path, name: str) -> None:
    file = ModelFile.read(executed(name).save(tmp_path))
    assert file.graph.inputs == ("input",)
    assert file.graph.operator("latent") == "Sigmoid"


@pytest.mark.parametrize("name", EXECUTED)
def test_explained_but_not_bounded(tmp_path: Path, name: str) -> None:
    """Facts are certified; a region of inputs needs rules, and the message says who has none."""
    path = executed(name).save(tmp_path)
    np.save(tmp_path / "x.npy", IMAGE)
    given = (path, "--input", tmp_path / "x.npy")
    out = tmp_path / "x.cert.json"
    explained = protoproof("explain", *given, "--out", out, "--json")
    assert explained.code == 0, explained.err
    assert json.loads(explained.out)["verdict"] == "proved"
    assert protoproof("check", out, path, "--input", tmp_path / "x.npy").code == 0
    refused = protoproof("certify", *given, "--region", "linf:0.01", "--out", tmp_path / "r.json")
    assert refused.code in (2, 3)
    text = refused.out + refused.err
    _, graph = graph_of(path)
    assert any(line.split(":")[0] in text for line in executed_only(graph))
    assert "Traceback" not in text


def test_the_first_one_is_named(tmp_path: Path) -> None:
    network = load(executed("Gelu").save(tmp_path))
    with pytest.raises(UnsupportedOperatorError) as caught:
        network.encoder  # noqa: B018
    assert str(caught.value) == (
        "node 'Gelu.r1' (Gelu, opset 20): there is no rule to bound it; it can only be executed"
    )


@pytest.mark.parametrize("name", ["half precision", "quantised"])
def test_a_latent_that_is_not_float32(tmp_path: Path, name: str) -> None:
    """What stands in the encoder is executed; the head is about float32 numbers."""
    parts = executed(name)
    network = load(parts.save(tmp_path))
    assert network.observe(IMAGE).latent.dtype == np.float32


def test_statements_of_the_file_are_not_believed(tmp_path: Path) -> None:
    """About a tensor whose shape is inferred; a statement that contradicts is refused."""
    parts = executed("Gelu")
    parts.extra.append(
        lambda model: model.graph.value_info.append(
            helper.make_tensor_value_info("r1", 1, ["N", 5, 3, 3])
        )
    )
    file = read_model(parts.save(tmp_path))
    with pytest.raises(ModelError, match=r"tensor 'r1' has shape \[1, 5, 2, 2\]"):
        build_graph(file.model, DEFAULT_LIMITS, file.files, file.data)


def test_unknown_shapes_without_a_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protoproof.extras.find_spec", lambda _: None)
    file = read_model(executed("the runtime's own").save(tmp_path))
    with pytest.raises(ModelError, match="can only be measured, which needs ONNX Runtime"):
        build_graph(file.model, DEFAULT_LIMITS, file.files, file.data)


@pytest.mark.parametrize("opset", range(13, 29))
def test_every_opset(tmp_path: Path, opset: int) -> None:
    _, graph = graph_of(draft(opset=opset).save(tmp_path))
    assert graph.opset == opset
    assert ModelFile.read(tmp_path / "tiny.onnx").graph.opset == opset


def test_an_encoder_behind_a_cast_of_bytes(tmp_path: Path) -> None:
    """An input of uint8, cast and scaled in the graph."""
    parts = draft()
    parts.weights["full"] = np.array(255, np.float32)
    parts.nodes[0].input[0] = "scaled"
    parts.nodes.insert(0, node("Cast", ["input"], "real", to=1))
    parts.nodes.insert(1, node("Div", ["real", "full"], "scaled"))
    parts.extra.append(lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", 2))
    path = parts.save(tmp_path)
    _, graph = graph_of(path)
    assert graph.bytes_in
    assert graph.shapes["scaled"] == (1, 1, 6, 6)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    network, plain = load(path), load(draft().save(tmp_path, "plain.onnx"))
    x = read_input(tmp_path / "x.png", network.pixels)
    assert np.array_equal(x, pixels[None])
    usual = read_input(tmp_path / "x.png", plain.pixels)
    assert network.observe(x).logits.tobytes() == plain.observe(usual).logits.tobytes()
    with pytest.raises(InputError, match=r"whole numbers 0..255"):
        network.observe(x * np.float32(0.5))
    # the description's range is not the bytes'
    found = inspect_file(path, checker=checkers_objection)
    assert (found.refusals, found.certifiable, found.compared) == ((), True, True)
    assert "whole numbers 0..255 (uint8)" in found.to_text()
