"""Tensors split into sequences, and casts to another's type: as the runtime takes them, by the
checker as by the prover."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from protoproof.errors import ModelError, ProtoProofError
from protoproof.network import load
from tests.support.kernel.four_places import Change, bound, network
from tests.support.kernel.runtime import image, session

Nodes = list[object]
Stored = dict[str, np.ndarray]


def made(change: Change | None = None) -> onnx.ModelProto:
    """The network with a change, of a version that every runtime takes."""
    model = network(change)
    model.ir_version = 10
    return model


# sizes, attributes, which tensors are taken out, and what joins them
SPLITS = {
    "sizes left out": (None, {"axis": 1}, (2, 0, 1), "Concat"),
    "axes dropped": (None, {"axis": 1, "keepdims": 0}, (-1, 0, 1), "Stack"),
    "one size": (np.array(2), {"axis": -1}, (1, 0), "Concat"),
    "sizes": (np.array([1, 2]), {"axis": 1}, (-1, -2), "Concat"),
}


def split(name: str, stored: Stored, nodes: Nodes) -> None:
    """The scores of the prototypes, taken apart and joined in another order."""
    sizes, attributes, places, joined = SPLITS[name]
    nodes[-1] = helper.make_node("Mul", ["t", "minus"], ["whole"])
    inputs = ["whole"]
    if sizes is not None:
        stored["sizes"] = sizes
        inputs.append("sizes")
    nodes.append(helper.make_node("SplitToSequence", inputs, ["parts"], **attributes))
    taken = []
    for k, place in enumerate(places):
        stored[f"place{k}"], taken = np.array(place), [*taken, f"part{k}"]
        nodes.append(helper.make_node("SequenceAt", ["parts", f"place{k}"], taken[-1:]))
    if joined == "Stack":
        stored["last"] = np.array([1])
        for k, part in enumerate(taken):
            nodes.append(helper.make_node("Unsqueeze", [part, "last"], [f"wide{k}"]))
        taken = [f"wide{k}" for k in range(len(taken))]
    nodes.append(helper.make_node("Concat", taken, ["s"], axis=1))


@pytest.mark.parametrize("name", SPLITS)
def test_parts_of_a_sequence(name: str, tmp_path: Path) -> None:
    model = made(partial(split, name))
    x = image(1, 4, 2, 2)
    (there,) = session(model).run(["y"], {"x": x})
    (before,) = session(made()).run(["y"], {"x": x})
    assert not np.allclose(there, before)
    read = bound(model).head
    weight = np.array(read.decision.weight, dtype=float) / 2**read.decision.shift
    onnx.save(model, tmp_path / "net.onnx")
    head = load(tmp_path / "net.onnx").head
    assert np.array_equal(
        [[n / 2**read.shift for n in read.prototype(j)] for j in range(3)], head.prototypes
    )
    latent = x.reshape(4, 4).T.astype(np.float64)
    activation = head.activation(head.measurement(latent))
    assert head.logits(activation) == pytest.approx(there[0], rel=1e-5)
    assert np.abs(weight) == pytest.approx(np.abs(head.weight))


@pytest.mark.parametrize("place", [3, -4])
def test_a_tensor_that_a_sequence_does_not_have(place: int, tmp_path: Path) -> None:
    def change(stored: Stored, nodes: Nodes) -> None:
        split("sizes left out", stored, nodes)
        stored["place0"] = np.array(place)

    model = made(change)
    with pytest.raises(ModelError, match="SequenceAt"):
        bound(model)
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(ProtoProofError):
        load(tmp_path / "net.onnx")


def test_parts_of_given_sizes_without_their_axis(tmp_path: Path) -> None:
    """A runtime drops the axis, or fails, where the standard keeps it."""

    def change(stored: Stored, nodes: Nodes) -> None:
        split("one size", stored, nodes)
        for node in nodes:
            if node.op_type == "SplitToSequence":  # type: ignore[attr-defined]
                node.attribute.append(helper.make_attribute("keepdims", 0))  # type: ignore[attr-defined]

    with pytest.raises(ModelError, match="without their axis"):
        bound(made(change))
    onnx.save(made(change), tmp_path / "net.onnx")
    with pytest.raises(ProtoProofError):
        load(tmp_path / "net.onnx")


def test_a_sequence_is_no_tensor() -> None:
    def change(stored: Stored, nodes: Nodes) -> None:
        split("sizes left out", stored, nodes)
        nodes[-1] = helper.make_node("Identity", ["parts"], ["s"])

    with pytest.raises(ModelError, match="sequence"):
        bound(made(change))


def cast_like(number: float | int, like: str, stored: Stored, nodes: Nodes) -> None:
    stored["number"] = np.array(number, np.float32 if isinstance(number, float) else np.int64)
    stored["half"] = np.ones(1, np.float16)
    nodes[-1] = helper.make_node("Mul", ["t", "minus"], ["whole"])
    nodes.append(helper.make_node("CastLike", ["number", like], ["cast"]))
    nodes.append(helper.make_node("Mul", ["whole", "cast"], ["s"]))


@pytest.mark.parametrize("like", ["t", "minus"])
def test_a_cast_to_the_type_of_another(like: str) -> None:
    model = made(partial(cast_like, 0.5, like))
    read, before = (bound(m).head for m in (model, made()))
    assert len(session(model).run(["y"], {"x": image(1, 4, 2, 2)})) == 1
    assert [s.name for s in read.chain.steps] == ["mul"]
    assert read.chain.steps[0].constants[0] * 2 == before.chain.steps[0].constants[0]


@pytest.mark.parametrize(
    ("number", "like"), [(2**24 + 1, "t"), (2.0**-20 + 1, "minus"), (1e6, "half")]
)
def test_a_cast_that_may_round(number: float, like: str) -> None:
    with pytest.raises(ModelError, match="rounded"):
        bound(made(partial(cast_like, number, like)))
