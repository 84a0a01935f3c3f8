"""Networks that cannot be taken: one line that names the file, exit code 2, nothing written."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tests.support.cli import Result, protoproof
from tests.support.foreign import beyond
from tests.support.foreign.almost import ALMOST, almost, gated
from tests.support.foreign.encoders import Network, plain
from tests.support.foreign.export import EXPORTERS, export, quiet
from tests.support.foreign.families import BY_NAME, REFUSED, UNCERTIFIED
from tests.support.foreign.family import Family

Exported = Callable[[Family, str], Path]

IMAGE = (1, 1, 12, 12)


def refused(result: Result, *words: str) -> None:
    assert result.code == 2, result.out + result.err
    assert result.out == ""
    assert result.err.count("\n") == 1, result.err
    for word in words:
        assert word in result.err, result.err


def explain(path: Path, shape: tuple[int, ...] = IMAGE, *options: object) -> Result:
    """``explain`` with an input of the right shape, which must leave nothing behind."""
    return explain_in(path.parent, path, shape, *options)


def explain_in(home: Path, path: Path, shape: tuple[int, ...], *options: object) -> Result:
    """The same, with input and answer in another folder than the network's."""
    folder = home / "out"
    folder.mkdir()
    np.save(home / "x.npy", np.full(shape[1:], 0.5, dtype=np.float32))
    result = protoproof(
        "explain", path, "--input", home / "x.npy", "--out", folder / "c.json", *options
    )
    if result.code == 2:
        assert not list(folder.iterdir())
    return result


def changed(family: str, folder: Path, change: Callable[[ModelProto], None]) -> Path:
    """A legacy export of the list, changed as a graph."""
    path = folder / f"{family}.onnx"
    export(BY_NAME[family].build(), BY_NAME[family].shape, path, "legacy")
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("name", ALMOST)
def test_almost_a_head(name: str, tmp_path: Path) -> None:
    path = export(almost(name), IMAGE, tmp_path / "almost.onnx", "legacy")
    refused(explain(path), "almost.onnx", "node")


def test_almost_a_head_by_the_default_exporter(tmp_path: Path) -> None:
    name = "a wave of the distance"
    path = export(almost(name), IMAGE, tmp_path / "almost.onnx", "default")
    refused(explain(path), "almost.onnx", "node")


def test_a_way_around_the_latent(tmp_path: Path) -> None:
    """No tensor separates the logits from the image."""
    path = export(gated(), IMAGE, tmp_path / "around.onnx", "legacy")
    refused(explain(path), "around.onnx")


@pytest.mark.parametrize(
    ("family", "exporter"),
    [pytest.param(family, e, id=f"{family.name}-{e}") for family, e in UNCERTIFIED],
)
def test_what_the_checker_cannot_read(
    family: Family, exporter: str, exported: Exported, tmp_path: Path
) -> None:
    path = exported(family, exporter)
    refused(explain_in(tmp_path, path, family.shape), path.name)


@pytest.mark.parametrize(
    ("family", "exporter"),
    [pytest.param(family, e, id=f"{family.name}-{e}") for family, e in REFUSED],
)
def test_beyond_the_algebra(
    family: Family, exporter: str, exported: Exported, tmp_path: Path
) -> None:
    path = exported(family, exporter)
    refused(explain_in(tmp_path, path, family.shape), path.name, "node")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("family", ["protopnet-log", "projection", "tree", "concepts-clamped"])
def test_constants_that_are_no_numbers(family: str, value: float, tmp_path: Path) -> None:
    def spoil(model: ModelProto) -> None:
        last = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT][-1]
        values = numpy_helper.to_array(last).copy()
        values.reshape(-1)[0] = value
        last.CopyFrom(numpy_helper.from_array(values, last.name))

    path = changed(family, tmp_path, spoil)
    refused(explain(path, BY_NAME[family].shape), f"{family}.onnx")


def test_a_prototype_without_length_is_divided_by(tmp_path: Path) -> None:
    """0 / 0 for one prototype, at every location."""

    def spoil(model: ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.name.endswith("prototypes"):
                values = numpy_helper.to_array(tensor).copy()
                values[0] = 0
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        for node in model.graph.node:  # the exporter that drops 1e-8
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.t.data_type == TensorProto.FLOAT:
                    small = numpy_helper.to_array(attribute.t)
                    if small.size == 1 and 0 < float(small) < 1e-7:
                        attribute.t.CopyFrom(numpy_helper.from_array(np.zeros_like(small)))

    refused(explain(changed("cosine", tmp_path, spoil)), "cosine.onnx")


@pytest.mark.trust(51)
def test_an_epsilon_that_the_exporter_dropped(tmp_path: Path) -> None:
    """log((q + 1) / q) is infinite where a latent is a prototype."""

    def spoil(model: ModelProto) -> None:
        (division,) = [node for node in model.graph.node if node.op_type == "Div"]
        (add,) = [node for node in model.graph.node if division.input[1] in node.output]
        division.input[1] = add.input[0]
        model.graph.node.remove(add)

    result = explain(changed("protopnet-log", tmp_path, spoil))
    refused(result, "protopnet-log.onnx", "no finite value at 0")


def test_free_image_sizes(tmp_path: Path) -> None:
    path = tmp_path / "free.onnx"
    module = BY_NAME["protopnet-similarity-map"].build()
    with quiet():
        torch.onnx.export(
            module,
            (torch.zeros(IMAGE),),
            str(path),
            dynamo=False,
            input_names=["image"],
            dynamic_axes={"image": {2: "height", 3: "width"}},
        )
    refused(explain(path), "free.onnx", "image")


def test_an_old_opset_is_one_line(tmp_path: Path) -> None:
    """Its operators are older too; that is not said of each."""
    family = BY_NAME["protopnet-log"]
    path = export(family.build(), family.shape, tmp_path / "old.onnx", "legacy", opset_version=11)
    refused(explain(path, family.shape), "old.onnx", "opset 11 is outside", "use opset")
    found = protoproof("inspect", path)
    assert [line for line in found.out.splitlines() if line.startswith("refused")] == [
        "refused     opset 11 is outside 13..28; use opset 20"
    ]


def test_a_batch_of_eight(tmp_path: Path) -> None:
    path = export(BY_NAME["projection"].build(), (8, 1, 12, 12), tmp_path / "b.onnx", "legacy")
    refused(explain(path), "b.onnx", "8")


def test_half_precision(tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    module = BY_NAME["projection"].build().half()
    with quiet():
        torch.onnx.export(module, (torch.zeros(IMAGE).half(),), str(path), dynamo=False)
    refused(explain(path), "half.onnx", "float32")


def test_quantised(tmp_path: Path) -> None:
    """Through eight bits and back before the head."""

    def quantise(model: ModelProto) -> None:
        graph = model.graph
        node = next(n for n in graph.node if n.op_type == "Sigmoid")
        graph.initializer.append(helper.make_tensor("step", TensorProto.FLOAT, [], [1 / 255]))
        graph.initializer.append(helper.make_tensor("zero", TensorProto.UINT8, [], [0]))
        latent = node.output[0]
        node.output[0] = "before"
        at = list(graph.node).index(node) + 1
        graph.node.insert(at, helper.make_node("QuantizeLinear", ["before", "step", "zero"], ["q"]))
        graph.node.insert(
            at + 1, helper.make_node("DequantizeLinear", ["q", "step", "zero"], [latent])
        )

    path = changed("projection", tmp_path, quantise)
    refused(explain(path), "projection.onnx")


@pytest.mark.parametrize("part", ["batch normalisation", "dropout"])
def test_nodes_in_training_mode(part: str, tmp_path: Path) -> None:
    path = tmp_path / "training.onnx"
    module = copy.deepcopy(BY_NAME["protopnet-residual"].build())
    if part == "dropout":
        module.encoder = torch.nn.Sequential(module.encoder, torch.nn.Dropout(0.5))
    module.train()
    if part == "dropout":
        for norm in module.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.eval()
    with quiet():
        torch.onnx.export(
            module,
            (torch.rand(2, 3, 12, 12)[:1],),
            str(path),
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    word = {"batch normalisation": "BatchNormalization", "dropout": "Dropout"}[part]
    refused(explain(path, (1, 3, 12, 12)), "training.onnx", word)


def test_an_output_that_there_is_not(tmp_path: Path) -> None:
    path = export(BY_NAME["projection"].build(), IMAGE, tmp_path / "p.onnx", "legacy")
    refused(explain(path, IMAGE, "--output", "elsewhere"), "elsewhere")


def test_a_latent_that_there_is_not(tmp_path: Path) -> None:
    path = export(BY_NAME["projection"].build(), IMAGE, tmp_path / "p.onnx", "legacy")
    refused(explain(path, IMAGE, "--latent", "elsewhere"), "elsewhere")


def test_a_latent_from_which_there_is_no_head(tmp_path: Path) -> None:
    path = export(BY_NAME["projection"].build(), IMAGE, tmp_path / "p.onnx", "legacy")
    first = onnx.load(path).graph.node[0].output[0]
    refused(explain(path, IMAGE, "--latent", first), "p.onnx", "Relu")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_refusal_names_what_the_head_does_not_what_the_encoder_does(
    exporter: str, tmp_path: Path
) -> None:
    path = export(BY_NAME["token-attention"].build(), IMAGE, tmp_path / "soft.onnx", exporter)
    refused(explain(path, IMAGE), "soft.onnx", "(Softmax)")


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("right", [True, False])
def test_a_tree_that_chooses_its_branches_in_the_graph(
    right: bool, exporter: str, tmp_path: Path
) -> None:
    """It says what explains such a choice: shares, and the option."""
    module = Network(plain(8), beyond.Greedy(8, right)).eval()
    path = export(module, IMAGE, tmp_path / "greedy.onnx", exporter)
    words = "greedy.onnx", "Greater" if right else "of a condition", "shares between 0 and 1"
    refused(explain(path, IMAGE), *words, "--routing greedy")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_votes_over_a_sum_of_absolute_values(exporter: str, tmp_path: Path) -> None:
    module = Network(plain(8), beyond.AbsoluteVotes(8)).eval()
    path = export(module, IMAGE, tmp_path / "votes.onnx", exporter)
    refused(explain(path, IMAGE), "votes.onnx", "ReduceL1", "have to be a ReduceSum")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_values_that_are_written_into_a_tensor(exporter: str, tmp_path: Path) -> None:
    module = Network(plain(8), beyond.Assembled(8)).eval()
    path = export(module, IMAGE, tmp_path / "pieces.onnx", exporter)
    refused(explain(path, IMAGE), "pieces.onnx", "(Scatter", "put together by Concat")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_two_possible_cuts(exporter: str, tmp_path: Path) -> None:
    """Before and after the normalisation: the better one is taken, the other one is said."""
    path = export(BY_NAME["hypersphere"].build(), IMAGE, tmp_path / "two.onnx", exporter)
    seen = protoproof("inspect", path)
    assert seen.code == 0, seen.err
    assert "geometry    dot product" in seen.out
    assert "or          cosine" in seen.out
    model = onnx.load(path, load_external_data=False)
    (norm,) = [node for node in model.graph.node if node.op_type == "ReduceL2"]
    other = protoproof("inspect", path, "--latent", norm.input[0])
    assert other.code == 0, other.err
    assert "cosine" in other.out
    assert explain(path, IMAGE, "--latent", norm.input[0]).code == 0


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_two_outputs_that_are_both_predictions(exporter: str, tmp_path: Path) -> None:
    """Which one is meant is said, and the other one can be chosen."""
    family = BY_NAME["two-banks-two-outputs"]
    path = export(family.build(), family.shape, tmp_path / "two.onnx", exporter)
    names = [output.name for output in onnx.load(path, load_external_data=False).graph.output]
    for name in names:
        seen = protoproof("inspect", path, "--output", name)
        assert seen.code == 0, seen.err
        assert name in seen.out
