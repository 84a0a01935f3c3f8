"""What a runtime computes otherwise than over the reals, in constants and shapes, is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from protoproof.errors import ModelError
from protoproof.kernel import ModelFile

FLOAT = TensorProto.FLOAT
PROTOTYPES = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
WEIGHT = np.array([[300, 0], [0, 7], [0, 5]], np.float32)
Change = Callable[[dict[str, np.ndarray], list[object]], None]


def network(change: Change | None = None, published: str = "y") -> ModelProto:
    """Squared distances at four places, their least, negated; ``change`` makes the weight W."""
    stored = {"p": PROTOTYPES.reshape(3, 4, 1, 1), "W": WEIGHT, "minus": np.array(-1, np.float32)}
    stored["ones"] = np.ones((3, 4, 1, 1), np.float32)
    stored["norms"] = (PROTOTYPES**2).sum(axis=1).reshape(3, 1, 1)
    stored["two"] = np.array(-2, np.float32)
    stored["places"] = np.array([2, 3])
    nodes: list[object] = [
        helper.make_node("Identity", ["x"], ["z"]),
        helper.make_node("Mul", ["z", "z"], ["zz"]),
        helper.make_node("Conv", ["zz", "ones"], ["own"]),
        helper.make_node("Conv", ["z", "p"], ["zp"]),
        helper.make_node("Mul", ["zp", "two"], ["cross"]),
        helper.make_node("Add", ["own", "cross"], ["part"]),
        helper.make_node("Add", ["part", "norms"], ["q"]),
        helper.make_node("ReduceMin", ["q", "places"], ["t"], keepdims=0),
        helper.make_node("Mul", ["t", "minus"], ["s"]),
    ]
    if change is not None:
        change(stored, nodes)
    nodes.append(helper.make_node("MatMul", ["s", "W"], ["y"]))
    if published != "y":
        nodes.append(helper.make_node("Softmax", ["y"], [published], axis=0))
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", FLOAT, [1, 4, 2, 2])],
        [helper.make_tensor_value_info(published, FLOAT, [1, 2])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def cast(*types: int) -> Change:
    def change(stored: dict[str, np.ndarray], nodes: list[object]) -> None:
        stored["W0"] = stored.pop("W")
        for k, to in enumerate(types):
            name = "W" if k == len(types) - 1 else f"W{k + 1}"
            nodes.append(helper.make_node("Cast", [f"W{k}"], [name], to=to))

    return change


def wrapped(stored: dict[str, np.ndarray], nodes: list[object]) -> None:
    stored["w"] = (stored.pop("W") * 1000).astype(np.int32)
    nodes.append(helper.make_node("Mul", ["w", "w"], ["ww"]))
    nodes.append(helper.make_node("Cast", ["ww"], ["W"], to=FLOAT))


def fraction(stored: dict[str, np.ndarray], nodes: list[object]) -> None:
    stored["w"], stored["less"] = np.full((3, 2), 3), np.array(-1)
    del stored["W"]
    nodes.append(helper.make_node("Pow", ["w", "less"], ["ww"]))
    nodes.append(helper.make_node("Cast", ["ww"], ["W"], to=FLOAT))


def test_the_network_itself_is_read() -> None:
    assert bound(network()).head.prototype_count == 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(cast(TensorProto.UINT8, FLOAT), id="uint8"),
        pytest.param(cast(TensorProto.INT64, TensorProto.INT8, FLOAT), id="int8"),
        pytest.param(cast(TensorProto.FLOAT16, FLOAT), id="float16"),
        pytest.param(cast(TensorProto.BFLOAT16, FLOAT), id="bfloat16"),
        pytest.param(wrapped, id="int32 wraps"),
        pytest.param(fraction, id="one third of whole numbers"),
    ],
)
def test_constants_that_a_runtime_rounds_or_wraps(change: Change) -> None:
    with pytest.raises(ModelError):
        bound(network(change))


def test_whole_numbers_that_stay_as_they_are() -> None:
    plain = bound(network()).head.decision.weight
    assert bound(network(cast(TensorProto.INT64, FLOAT))).head.decision.weight == plain


def test_an_output_normalised_over_the_batch_is_none() -> None:
    with pytest.raises(ModelError, match="axis"):
        bound(network(published="softened"))


def bound(model: ModelProto):  # type: ignore[no-untyped-def]
    return ModelFile(model.SerializeToString()).bound(("z",), "y")
