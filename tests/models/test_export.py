"""The exported file: canonical head, exact prototypes, honest description, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from PIL import Image

from models import export
from models.checkpoint import load_checkpoint
from models.onnx_graph import OUTPUTS, build_graph
from models.protopnet import ProtoPNet
from models.runtime import Runtime
from models.train import TrainResult
from protoproof.data.dataset import Dataset
from protoproof.errors import TrainingError
from protoproof.network.head.about import parse_about

HEAD = "Unsqueeze Sub Mul ReduceSum Neg MaxPool Neg Flatten Add Add Div Log Gemm"


@pytest.fixture(scope="module")
def graph(trained: TrainResult) -> onnx.GraphProto:
    return onnx.load(trained.export.model).graph


def _weights(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def test_the_head_is_the_canonical_one(graph: onnx.GraphProto) -> None:
    latent = next(n for n, node in enumerate(graph.node) if node.output[0] == "latent")
    assert [node.op_type for node in graph.node[latent + 1 :]] == HEAD.split()
    encoder = {node.op_type for node in graph.node[: latent + 1]}
    assert encoder == {"Sub", "Div", "Conv", "Relu", "Sigmoid"}
    assert tuple(output.name for output in graph.output) == OUTPUTS
    assert _weights(graph)["prototypes"].shape == (9, 8, 1, 1)


def test_only_the_batch_axis_is_free(graph: onnx.GraphProto) -> None:
    for tensor in (*graph.input, *graph.output):
        first, *rest = tensor.type.tensor_type.shape.dim
        assert first.dim_param == "N"
        assert all(size.dim_value > 0 for size in rest)


def test_the_description_is_the_contract_s(trained: TrainResult, colour_data: Dataset) -> None:
    model = onnx.load(trained.export.model)
    assert (model.ir_version, model.opset_import[0].version) == (9, 17)
    text = {entry.key: entry.value for entry in model.metadata_props}["protoproof"]
    description = parse_about(text, "model.onnx")
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) == text
    assert description.classes == ("0", "1", "2")
    assert description.prototype_class == (0, 0, 0, 1, 1, 1, 2, 2, 2)
    assert description.training_data is not None
    assert description.training_data.sha256 == colour_data.sha256
    assert str(trained.export.model.parent) not in text


def test_prototypes_are_runtime_latents_bit_for_bit(
    trained: TrainResult, colour_data: Dataset, graph: onnx.GraphProto
) -> None:
    prototypes = _weights(graph)["prototypes"][:, :, 0, 0]
    runtime = Runtime(trained.export.model.read_bytes())
    for origin in trained.origins:
        image = colour_data.x_train[origin.image : origin.image + 1]
        latent = runtime.observe(image).latent[0]
        assert np.array_equal(
            latent[:, origin.location[0], origin.location[1]], prototypes[origin.prototype]
        )


def test_the_graph_computes_the_definition(trained: TrainResult, colour_data: Dataset) -> None:
    content = trained.export.model.read_bytes()
    weights = _weights(onnx.load_from_string(content).graph)
    observed = Runtime(content).observe(colour_data.x_test)
    points = weights["prototypes"][:, :, 0, 0].astype(np.float64)
    latent = observed.latent.astype(np.float64)
    difference = latent[:, None] - points[None, :, :, None, None]
    q = (difference**2).sum(axis=2)
    # A float32 sum of D = 8 squares, of which none cancels: relative error (D + 3) 2^-24.
    np.testing.assert_allclose(observed.measurement, q, rtol=11 * 2.0**-24, atol=0)
    nearest = observed.measurement.astype(np.float64).min(axis=(2, 3))
    activation = np.log((nearest + 1) / (nearest + np.float64(np.float32(1e-4))))
    np.testing.assert_allclose(observed.activation, activation, rtol=0, atol=1e-5)
    logits = observed.activation.astype(np.float64) @ weights["head.weight"].T.astype(np.float64)
    np.testing.assert_allclose(observed.logits, logits, rtol=0, atol=1e-4)


def test_one_image_and_a_batch_agree(trained: TrainResult, colour_data: Dataset) -> None:
    runtime = Runtime(trained.export.model.read_bytes())
    batch = runtime.observe(colour_data.x_test)
    single = runtime.observe(colour_data.x_test[3:4])
    np.testing.assert_allclose(single.latent[0], batch.latent[3], rtol=0, atol=1e-6)


def test_provenance_and_contact_sheet(trained: TrainResult, colour_data: Dataset) -> None:
    facts = json.loads(trained.export.provenance.read_text())
    assert facts["schema"] == "protoproof.provenance/1"
    assert facts["data"]["name"] == "stripes.npz"
    assert facts["data"]["sha256"] == colour_data.sha256
    assert "--data stripes.npz --grid 3" in facts["command"]
    assert facts["accuracy"]["test"] == trained.export.accuracy
    assert facts["agreement"]["largest_latent_difference"] < 1e-5
    height, width = facts["sheet"]["tile"]
    with Image.open(trained.export.model.with_name(facts["sheet"]["file"])) as picture:
        sheet = np.asarray(picture)
    assert sheet.shape == (height, 10 * width, 3)
    for entry in facts["prototypes"]:
        y0, x0, y1, x1 = entry["box"]
        if (y1 - y0, x1 - x0) != (height, width):
            continue
        pixels = colour_data.x_train[entry["image"], :, y0:y1, x0:x1].transpose(1, 2, 0)
        left = entry["prototype"] * width
        assert np.array_equal(sheet[:, left : left + width], np.rint(pixels * 255))


@pytest.mark.parametrize("tampered", ["encoder.0.bias", "head.weight", "encoder.4.weight"])
def test_a_graph_that_disagrees_is_not_exported(
    trained: TrainResult,
    colour_data: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tampered: str,
) -> None:
    record, model = load_checkpoint(trained.checkpoint)

    def wrong(network: ProtoPNet, prototypes: np.ndarray, description: str) -> onnx.ModelProto:
        proto = build_graph(network, prototypes, description)
        for tensor in proto.graph.initializer:
            if tensor.name == tampered:
                array = numpy_helper.to_array(tensor) * np.float32(1.01) + np.float32(0.01)
                tensor.CopyFrom(numpy_helper.from_array(array, tampered))
        return proto

    monkeypatch.setattr(export, "build_graph", wrong)
    with pytest.raises(TrainingError, match=r"disagree|not latents"):
        export.export_model(record, model, colour_data, tmp_path / "out" / "model.onnx")
    assert not (tmp_path / "out").exists()


def test_origins_that_are_wrong_are_not_exported(
    trained: TrainResult, colour_data: Dataset, tmp_path: Path
) -> None:
    record, model = load_checkpoint(trained.checkpoint)
    with torch.no_grad():
        model.prototypes += 0.1
    with pytest.raises(TrainingError, match="not latents of their recorded patches"):
        export.export_model(record, model, colour_data, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
